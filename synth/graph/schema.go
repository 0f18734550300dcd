package graph

import (
	"bytes"
	"cmp"
	"encoding/json"
	"slices"
	"strings"
)

// A schema is as much of JSON Schema as says what fields there are and what is in them. A
// schema that is true or false says nothing.
type schema struct {
	Type        types              `json:"type"`
	Format      string             `json:"format"`
	Description string             `json:"description"`
	Enum        []json.RawMessage  `json:"enum"`
	Properties  map[string]*schema `json:"properties"`
	Required    []string           `json:"required"`
	Items       *schema            `json:"items"`
	AllOf       []*schema          `json:"allOf"`
	AnyOf       []*schema          `json:"anyOf"`
	OneOf       []*schema          `json:"oneOf"`
	Ref         string             `json:"$ref"`
	Defs        map[string]*schema `json:"$defs"`
	Definitions map[string]*schema `json:"definitions"`
}

// types are a type or several; null says nothing of a field.
type types []string

func (t *types) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*t = types{one}
		return nil
	}
	_ = json.Unmarshal(b, (*[]string)(t)) // what is neither says nothing
	*t = slices.DeleteFunc(*t, func(s string) bool { return s == "null" })
	return nil
}

func (s *schema) UnmarshalJSON(b []byte) error {
	if !bytes.HasPrefix(b, []byte("{")) {
		return nil
	}
	type plain schema
	return json.Unmarshal(b, (*plain)(s))
}

// What is looked at of one schema: a small one can refer to itself in more ways than there
// is time for.
const (
	maxNesting = 6   // of fields in each other
	maxVisits  = 500 // of schemas
)

// A walk reads one schema, and knows where its references lead.
type walk struct {
	root *schema
	left int // visits
}

// walkOf reads a schema. One that is odd says nothing: that an arena takes it was found out
// before.
func walkOf(raw json.RawMessage) *walk {
	w := &walk{root: new(schema), left: maxVisits}
	if json.Unmarshal(raw, w.root) != nil {
		w.root = new(schema)
	}
	return w
}

// variants are a schema, what it refers to, and what holds for the same value, or may.
func (w *walk) variants(s *schema) []*schema {
	if s == nil || w.left == 0 {
		return nil
	}
	w.left--
	all := []*schema{s}
	if name, ok := strings.CutPrefix(s.Ref, "#/$defs/"); ok {
		all = append(all, w.variants(w.root.Defs[name])...)
	} else if name, ok := strings.CutPrefix(s.Ref, "#/definitions/"); ok {
		all = append(all, w.variants(w.root.Definitions[name])...)
	}
	for _, list := range [][]*schema{s.AllOf, s.AnyOf, s.OneOf} {
		for _, branch := range list {
			all = append(all, w.variants(branch)...)
		}
	}
	return all
}

// described is what a value is, as far as the schema says: of a list, what its items are.
func (w *walk) described(s *schema) (d described) {
	for _, v := range w.variants(s) {
		if v.Items != nil {
			inner := w.described(v.Items)
			d.types, d.format, d.enum = append(d.types, inner.types...), cmp.Or(d.format, inner.format), append(d.enum, inner.enum...)
			d.says = cmp.Or(d.says, v.Description, inner.says)
			continue
		}
		d.types, d.format, d.says = append(d.types, v.Type...), cmp.Or(d.format, v.Format), cmp.Or(d.says, v.Description)
		for _, value := range v.Enum {
			d.enum = append(d.enum, string(value))
		}
	}
	return d
}

// described is what can be compared of two fields.
type described struct {
	types  []string // none: it may be anything
	format string
	enum   []string // none: it may be anything
	says   string
}

// fits reports whether what is given can be what is needed. What is not said is no reason
// against it.
func (give *described) fits(need *described) bool {
	return meet(give.kinds(), need.kinds()) && meet(give.enum, need.enum) && (give.format == "" || need.format == "" || give.format == need.format)
}

// kinds are the types, an integer being a number too.
func (d *described) kinds() []string {
	if slices.Contains(d.types, "integer") {
		return append(d.types[:len(d.types):len(d.types)], "number")
	}
	return d.types
}

func meet(a, b []string) bool {
	return len(a) == 0 || len(b) == 0 || slices.ContainsFunc(a, func(s string) bool { return slices.Contains(b, s) })
}
