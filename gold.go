package astra

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// A goldRef is a reference to what an earlier gold call returned, and nothing beside it.
var goldRef = regexp.MustCompile(`^\$([1-9][0-9]{0,5})\.value((?:\.[^.]+)*)$`)

// maxInterpolated bounds arguments after interpolation: a reference of eight bytes can
// stand for a whole result, and a gold call may hold thousands of them.
const maxInterpolated = 4 << 20

// Interpolate replaces references like "$1.value.items.0.id" in a gold call's arguments
// by the values that the gold calls before it returned; values[0] is that of $1. The
// result is compact JSON. An error names the reference that leads nowhere.
func Interpolate(args json.RawMessage, values []json.RawMessage) (json.RawMessage, error) {
	v, err := parseJSON(args, maxDepth)
	if err != nil {
		return nil, fmt.Errorf("gold arguments: %w", err)
	}
	in := &interpolation{raw: values, read: make([]*value, len(values))}
	if err := in.fill(v); err != nil {
		return nil, err
	}
	return v.json(), nil
}

// An interpolation reads each value when it is first referred to.
type interpolation struct {
	raw  []json.RawMessage
	read []*value
	size int // bytes put in so far
}

func (in *interpolation) fill(v *value) error {
	for i := range v.items {
		if err := in.fill(&v.items[i]); err != nil {
			return err
		}
	}
	if v.kind != textKind {
		return nil
	}
	if n, path, ok := parseGoldRef(v.text); ok {
		return in.replace(v, n, path)
	}
	if rest, ok := strings.CutPrefix(v.text, "$$"); ok {
		v.text = "$" + rest
	}
	return nil
}

func (in *interpolation) replace(v *value, n int, path []string) error {
	ref := v.text
	if n > len(in.raw) {
		return fmt.Errorf("%s: only %d calls come before", clip(ref), len(in.raw))
	}
	if in.read[n-1] == nil {
		read, err := parseJSON(in.raw[n-1], maxDepth)
		if err != nil {
			return fmt.Errorf("%s: call %d returned no value", clip(ref), n)
		}
		in.read[n-1] = read
	}
	found := in.read[n-1]
	for _, token := range path {
		if found = found.child(token); found == nil {
			return fmt.Errorf("%s: there is no %s in what call %d returned", clip(ref), clip(token), n)
		}
	}
	if in.size += len(found.json()); in.size > maxInterpolated {
		return fmt.Errorf("%s: the arguments grow beyond %d bytes", clip(ref), maxInterpolated)
	}
	*v = *found
	return nil
}

// parseGoldRef takes a reference apart: the call it means, from 1, and the path.
func parseGoldRef(s string) (n int, path []string, ok bool) {
	m := goldRef.FindStringSubmatch(s)
	if m == nil {
		return 0, nil, false
	}
	n, _ = strconv.Atoi(m[1])
	if m[2] != "" {
		path = strings.Split(m[2][1:], ".")
	}
	return n, path, true
}

// A GoldRef is a reference in a gold call's arguments to what an earlier one returned.
type GoldRef struct {
	Param string   // the argument it stands in, at whatever depth
	Call  int      // from 1
	Path  []string // into that call's value
}

// GoldRefs lists the references in a gold call's arguments, in the order of the text.
func GoldRefs(args json.RawMessage) []GoldRef {
	v, err := parseJSON(args, maxDepth)
	if err != nil || v.kind != objectKind {
		return nil
	}
	var refs []GoldRef
	for i, param := range v.keys {
		refs = v.items[i].goldRefs(param, refs)
	}
	return refs
}

func (v *value) goldRefs(param string, refs []GoldRef) []GoldRef {
	for i := range v.items {
		refs = v.items[i].goldRefs(param, refs)
	}
	if v.kind == textKind {
		if n, path, ok := parseGoldRef(v.text); ok {
			refs = append(refs, GoldRef{Param: param, Call: n, Path: path})
		}
	}
	return refs
}
