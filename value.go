package astra

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxDepth bounds the nesting of any JSON that is read here, whatever an arena's own
// limit says: the readers recurse.
const maxDepth = 512

// A kind is one of JSON's six.
type kind uint8

const (
	nullKind kind = iota
	boolKind
	numberKind
	textKind
	listKind
	objectKind
)

func (k kind) String() string {
	return [...]string{"null", "a boolean", "a number", "text", "a list", "an object"}[k]
}

// A value is JSON as written: objects keep the order of their keys and numbers their
// digits, which map[string]any would lose. YAML is read into the same form.
type value struct {
	kind  kind
	text  string   // digits of a number, content of text, "true" or "false"; "" for the rest
	keys  []string // of an object; unique
	items []value  // of a list, or by key of an object
	line  int      // in the file it was read from, or 0
}

// get returns what an object has under a key.
func (v *value) get(key string) *value {
	if i := slices.Index(v.keys, key); i >= 0 {
		return &v.items[i]
	}
	return nil
}

// json writes the value compactly.
func (v *value) json() json.RawMessage { return v.append(nil) }

func (v *value) append(b []byte) []byte {
	switch v.kind {
	case nullKind:
		return append(b, "null"...)
	case textKind:
		return appendText(b, v.text)
	case listKind:
		b = append(b, '[')
		for i := range v.items {
			if i > 0 {
				b = append(b, ',')
			}
			b = v.items[i].append(b)
		}
		return append(b, ']')
	case objectKind:
		b = append(b, '{')
		for i := range v.items {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendText(b, v.keys[i]), ':')
			b = v.items[i].append(b)
		}
		return append(b, '}')
	}
	return append(b, v.text...) // boolean, number
}

// appendText escapes only what JSON demands, as JSON.stringify does.
func appendText(b []byte, s string) []byte {
	b = append(b, '"')
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c == '\n':
			b = append(b, '\\', 'n')
		case c == '\t':
			b = append(b, '\\', 't')
		case c == '\r':
			b = append(b, '\\', 'r')
		case c < 0x20:
			b = fmt.Appendf(b, `\u%04x`, c)
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}

// any is the value in the form that encoding/json gives with UseNumber.
func (v *value) any() any {
	switch v.kind {
	case boolKind:
		return v.text == "true"
	case numberKind:
		return json.Number(v.text)
	case textKind:
		return v.text
	case listKind:
		list := make([]any, len(v.items))
		for i := range v.items {
			list[i] = v.items[i].any()
		}
		return list
	case objectKind:
		m := make(map[string]any, len(v.items))
		for i, k := range v.keys {
			m[k] = v.items[i].any()
		}
		return m
	}
	return nil
}

// A jsonError is what makes bytes no JSON of ours, and where: a byte offset from 0.
type jsonError struct {
	at  int
	msg string
}

func (e *jsonError) Error() string { return fmt.Sprintf("column %d: %s", e.at+1, e.msg) }

// parseJSON reads exactly one JSON value. It is stricter than encoding/json: UTF-8 only,
// no repeated keys, no nesting beyond depth, no number that a float64 cannot hold.
// Errors are *jsonError. It copies b once and takes memory in proportion to it.
func parseJSON(b []byte, depth int) (*value, error) {
	if !utf8.Valid(b) {
		return nil, &jsonError{invalidAt(b), "not UTF-8"}
	}
	p := &jsonParser{s: string(b), depth: min(depth, maxDepth)}
	var v value
	if err := p.value(&v, 0); err != nil {
		return nil, err
	}
	if p.space(); p.i < len(p.s) {
		return nil, p.errorf("more follows the value")
	}
	return &v, nil
}

func invalidAt(b []byte) int {
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n <= 1 {
			return i
		}
		i += n
	}
	return len(b)
}

type jsonParser struct {
	s     string
	i     int
	depth int
}

func (p *jsonParser) errorf(format string, args ...any) error {
	return &jsonError{p.i, fmt.Sprintf(format, args...)}
}

func (p *jsonParser) space() {
	for p.i < len(p.s) && (p.s[p.i] == ' ' || p.s[p.i] == '\n' || p.s[p.i] == '\t' || p.s[p.i] == '\r') {
		p.i++
	}
}

// eat skips white space and takes c if it comes next.
func (p *jsonParser) eat(c byte) bool {
	p.space()
	if p.i < len(p.s) && p.s[p.i] == c {
		p.i++
		return true
	}
	return false
}

func (p *jsonParser) value(v *value, depth int) error {
	p.space()
	if p.i == len(p.s) {
		return p.errorf("the value is cut off")
	}
	switch c := p.s[p.i]; {
	case c == '{' || c == '[':
		if depth >= p.depth {
			return p.errorf("nested more than %d deep", p.depth)
		}
		p.i++
		if c == '[' {
			return p.list(v, depth+1)
		}
		return p.object(v, depth+1)
	case c == '"':
		v.kind = textKind
		return p.text(&v.text)
	case c == '-' || c >= '0' && c <= '9':
		return p.number(v)
	}
	return p.word(v)
}

func (p *jsonParser) word(v *value) error {
	for _, w := range [...]struct {
		text string
		kind kind
	}{{"true", boolKind}, {"false", boolKind}, {"null", nullKind}} {
		if strings.HasPrefix(p.s[p.i:], w.text) {
			if v.kind = w.kind; w.kind == boolKind {
				v.text = w.text
			}
			p.i += len(w.text)
			return nil
		}
	}
	return p.errorf("not JSON")
}

func (p *jsonParser) list(v *value, depth int) error {
	v.kind = listKind
	if p.eat(']') {
		return nil
	}
	for {
		v.items = append(v.items, value{})
		if err := p.value(&v.items[len(v.items)-1], depth); err != nil {
			return err
		}
		if p.eat(']') {
			return nil
		}
		if !p.eat(',') {
			return p.errorf("expected , or ] in a list")
		}
	}
}

func (p *jsonParser) object(v *value, depth int) error {
	v.kind = objectKind
	if p.eat('}') {
		return nil
	}
	var seen keySet
	for {
		if err := p.member(v, &seen, depth); err != nil {
			return err
		}
		if p.eat('}') {
			return nil
		}
		if !p.eat(',') {
			return p.errorf("expected , or } in an object")
		}
	}
}

func (p *jsonParser) member(v *value, seen *keySet, depth int) error {
	if p.space(); p.i == len(p.s) || p.s[p.i] != '"' {
		return p.errorf("expected a key in quotes")
	}
	start, key := p.i, ""
	if err := p.text(&key); err != nil {
		return err
	}
	if !seen.add(v.keys, key) {
		return &jsonError{start, "the key " + clip(key) + " comes twice"}
	}
	if !p.eat(':') {
		return p.errorf("expected : after a key")
	}
	if v.keys == nil && depth == 1 { // arguments have a few keys; further in, room to spare would let small bytes take much memory
		v.keys, v.items = make([]string, 0, 4), make([]value, 0, 4)
	}
	v.keys, v.items = append(v.keys, key), append(v.items, value{})
	return p.value(&v.items[len(v.items)-1], depth)
}

// A keySet notices repeated keys: by looking at all of a few, by a map from there on.
type keySet map[string]bool

func (s *keySet) add(before []string, key string) bool {
	if len(before) < 16 {
		return !slices.Contains(before, key)
	}
	if *s == nil {
		*s = make(keySet, 2*len(before))
		for _, k := range before {
			(*s)[k] = true
		}
	}
	if (*s)[key] {
		return false
	}
	(*s)[key] = true
	return true
}

// text reads a string; one without escapes shares the memory of the input.
func (p *jsonParser) text(dst *string) error {
	start, escaped := p.i, false
	for p.i++; p.i < len(p.s); p.i++ {
		switch c := p.s[p.i]; {
		case c == '"':
			p.i++
			return p.unquote(dst, start, escaped)
		case c == '\\':
			escaped = true
			p.i++
		case c < 0x20:
			return p.errorf("a control character in text")
		}
	}
	return &jsonError{start, "text without its closing quote"}
}

func (p *jsonParser) unquote(dst *string, start int, escaped bool) error {
	if !escaped {
		*dst = p.s[start+1 : p.i-1]
		return nil
	}
	if err := json.Unmarshal([]byte(p.s[start:p.i]), dst); err != nil {
		return &jsonError{start, "text with a bad escape"}
	}
	return nil
}

func (p *jsonParser) number(v *value) error {
	n := numberPrefix(p.s[p.i:])
	if n == 0 {
		return p.errorf("not a number")
	}
	v.kind, v.text = numberKind, p.s[p.i:p.i+n]
	if !fitsDouble(v.text) {
		return p.errorf("a number beyond the range of a double")
	}
	p.i += n
	return nil
}

// maxDigits bounds a number as written, and its exponent: a double needs some 310, and
// exact arithmetic on 1e-999999999 would take a gigabyte.
const maxDigits = 400

// fitsDouble reports whether a number can be worked with.
func fitsDouble(digits string) bool {
	e := strings.IndexAny(digits, "eE")
	if len(digits) > maxDigits {
		return false
	}
	if e < 0 && len(digits) < 300 {
		return true
	}
	if e >= 0 {
		if n, err := strconv.Atoi(strings.TrimPrefix(digits[e+1:], "+")); err != nil || n > maxDigits || n < -maxDigits {
			return false
		}
	}
	_, err := strconv.ParseFloat(digits, 64)
	return err == nil
}

// numberPrefix is the length of the JSON number that s begins with, or 0.
func numberPrefix(s string) int {
	i := 0
	digits := func() bool {
		from := i
		for i < len(s) && s[i] >= '0' && s[i] <= '9' {
			i++
		}
		return i > from
	}
	if i < len(s) && s[i] == '-' {
		i++
	}
	if i < len(s) && s[i] == '0' {
		i++
	} else if !digits() {
		return 0
	}
	if i < len(s) && s[i] == '.' {
		if i++; !digits() {
			return 0
		}
	}
	if i < len(s) && (s[i] == 'e' || s[i] == 'E') {
		if i++; i < len(s) && (s[i] == '+' || s[i] == '-') {
			i++
		}
		if !digits() {
			return 0
		}
	}
	return i
}
