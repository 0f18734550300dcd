package astra

import (
	"encoding/json"
	"math"
	"math/big"
	"strconv"
	"strings"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// Same reports whether got is the same as want in the sense of DESIGN.md, changed by c
// (nil changes nothing). What is not JSON is the same as nothing.
func Same(want, got json.RawMessage, c *Compare) bool {
	w, err := parseJSON(want, maxDepth)
	if err != nil {
		return false
	}
	g, err := parseJSON(got, maxDepth)
	return err == nil && newSameness(c).same(w, g)
}

// SameAnswer is Same for a submitted answer, which is text: where want is neither text
// nor a number, text that is JSON is read as such.
func SameAnswer(want json.RawMessage, answer string, c *Compare) bool {
	w, err := parseJSON(want, maxDepth)
	if err != nil {
		return false
	}
	got := &value{kind: textKind, text: answer}
	if w.kind != textKind && w.kind != numberKind {
		if read, err := parseJSON([]byte(answer), maxDepth); err == nil {
			got = read
		}
	}
	return newSameness(c).same(w, got)
}

// AnyLeaf reports whether a leaf of value, or the whole of it, is the same as want. A
// leaf is what is neither a list nor an object.
func AnyLeaf(want, value json.RawMessage, c *Compare) bool {
	w, err := parseJSON(want, maxDepth)
	if err != nil {
		return false
	}
	v, err := parseJSON(value, maxDepth)
	if err != nil {
		return false
	}
	s := newSameness(c)
	return s.same(w, v) || s.anyLeaf(w, v)
}

// At returns what a JSON Pointer (RFC 6901) points to in value, as compact JSON.
func At(value json.RawMessage, pointer string) (json.RawMessage, bool) {
	tokens, ok := pointerTokens(pointer)
	if !ok {
		return nil, false
	}
	v, err := parseJSON(value, maxDepth)
	if err != nil {
		return nil, false
	}
	for _, token := range tokens {
		if v = v.child(token); v == nil {
			return nil, false
		}
	}
	return v.json(), true
}

// pointerTokens splits a JSON Pointer; ok is false where its syntax is wrong.
func pointerTokens(pointer string) (tokens []string, ok bool) {
	if pointer == "" {
		return nil, true
	}
	if pointer[0] != '/' {
		return nil, false
	}
	for token := range strings.SplitSeq(pointer[1:], "/") {
		if bare := strings.NewReplacer("~0", "", "~1", "").Replace(token); strings.Contains(bare, "~") {
			return nil, false
		}
		tokens = append(tokens, strings.NewReplacer("~1", "/", "~0", "~").Replace(token))
	}
	return tokens, true
}

// child is the value under a key of an object or at an index of a list, or nil.
func (v *value) child(token string) *value {
	switch v.kind {
	case objectKind:
		return v.get(token)
	case listKind:
		i, err := strconv.Atoi(token)
		if err != nil || i < 0 || i >= len(v.items) || token != strconv.Itoa(i) {
			return nil
		}
		return &v.items[i]
	}
	return nil
}

// setPairs bounds the comparisons that one comparison of sets may take. Elements that
// are equal as written are found without any; the rest must be tried in pairs, and an agent could
// submit some thirty thousand of them.
const setPairs = 1 << 20

// A sameness is one comparison in progress.
type sameness struct {
	Compare
	pairs int // left of setPairs
	last  *value
	read  scalar // of last: the one expected value is held against many leaves
}

// A scalar is a number or text as it is compared.
type scalar struct {
	digits string // "" if it is no number
	folded string // "" if it is no text
}

func newSameness(c *Compare) *sameness {
	s := &sameness{pairs: setPairs}
	if c != nil {
		s.Compare = *c
	}
	return s
}

func (s *sameness) same(want, got *value) bool {
	switch want.kind {
	case numberKind, textKind:
		return s.sameScalar(want, got)
	case listKind:
		return got.kind == listKind && s.sameList(want.items, got.items)
	case objectKind:
		return got.kind == objectKind && s.sameObject(want, got)
	}
	return want.kind == got.kind && want.text == got.text
}

func (s *sameness) sameScalar(want, got *value) bool {
	if s.last != want {
		s.last, s.read = want, s.scalar(want)
	}
	w, g := s.read, s.scalar(got)
	if w.digits != "" && g.digits != "" {
		return s.sameNumber(w.digits, g.digits)
	}
	return want.kind == textKind && got.kind == textKind && w.folded == g.folded
}

func (s *sameness) scalar(v *value) scalar {
	var read scalar
	if digits, ok := s.number(v); ok {
		read.digits = digits
	}
	if v.kind == textKind {
		read.folded = s.fold(v.text)
	}
	return read
}

// number returns the digits of a number, or of text that is one number as a whole.
func (s *sameness) number(v *value) (string, bool) {
	switch v.kind {
	case numberKind:
		return v.text, true
	case textKind:
		if len(v.text) > 400 { // longer than any double; spares the folding of long text
			return "", false
		}
		t := strings.TrimSpace(norm.NFKC.String(v.text))
		if n := numberPrefix(t); n == 0 || n != len(t) {
			return "", false
		}
		return t, fitsDouble(t)
	}
	return "", false
}

func (s *sameness) sameNumber(want, got string) bool {
	w, _ := strconv.ParseFloat(want, 64)
	g, _ := strconv.ParseFloat(got, 64)
	if s.Tolerance == 0 && (math.Abs(w) >= 1<<53 || math.Abs(g) >= 1<<53) {
		if wi, gi := wholeNumber(want), wholeNumber(got); wi != nil && gi != nil {
			return wi.Cmp(gi) == 0
		}
	}
	margin := s.Tolerance
	switch {
	case s.Tolerance == 0:
		margin = 1e-6 * max(1, math.Abs(w))
	case s.Relative:
		margin = s.Tolerance * math.Abs(w)
	}
	return math.Abs(w-g) <= margin
}

// wholeNumber is the integer that the digits spell, or nil. Integers that a float64
// cannot tell apart are names of things, not measurements: they are compared exactly.
func wholeNumber(digits string) *big.Int {
	i, ok := new(big.Int).SetString(digits, 10)
	if !ok {
		return nil
	}
	return i
}

// fold is text as it is compared.
func (s *sameness) fold(t string) string {
	switch {
	case ascii(t) && s.Case:
	case ascii(t): // the common case, and twenty times as fast
		t = strings.ToLower(t)
	default:
		if t = norm.NFKC.String(t); !s.Case {
			t = norm.NFKC.String(cases.Fold().String(t))
		}
	}
	return strings.Join(strings.Fields(t), " ")
}

func ascii(t string) bool {
	for i := range len(t) {
		if t[i] >= 0x80 {
			return false
		}
	}
	return true
}

func (s *sameness) sameObject(want, got *value) bool {
	if len(want.keys) != len(got.keys) {
		return false
	}
	index := make(map[string]int, len(got.keys))
	for i, k := range got.keys {
		index[k] = i
	}
	for i, k := range want.keys {
		j, ok := index[k]
		if !ok || !s.same(&want.items[i], &got.items[j]) {
			return false
		}
	}
	return true
}

func (s *sameness) sameList(want, got []value) bool {
	if s.As == "set" {
		return s.sameSet(want, got)
	}
	if len(want) != len(got) {
		return false
	}
	for i := range want {
		if !s.same(&want[i], &got[i]) {
			return false
		}
	}
	return true
}

// sameSet reports whether each element has its like on the other side.
func (s *sameness) sameSet(want, got []value) bool {
	wants, gots := written(want), written(got)
	for i := range want {
		if !gots[string(want[i].json())] && !s.any(got, func(g *value) bool { return s.same(&want[i], g) }) {
			return false
		}
	}
	for i := range got {
		if !wants[string(got[i].json())] && !s.any(want, func(w *value) bool { return s.same(w, &got[i]) }) {
			return false
		}
	}
	return true
}

// any stops, with false, when the comparison has taken all its pairs.
func (s *sameness) any(in []value, is func(*value) bool) bool {
	for i := range in {
		if s.pairs--; s.pairs < 0 {
			return false
		}
		if is(&in[i]) {
			return true
		}
	}
	return false
}

func written(list []value) map[string]bool {
	m := make(map[string]bool, len(list))
	for i := range list {
		m[string(list[i].json())] = true
	}
	return m
}

func (s *sameness) anyLeaf(want, v *value) bool {
	if v.kind != listKind && v.kind != objectKind {
		return s.same(want, v)
	}
	for i := range v.items {
		if s.anyLeaf(want, &v.items[i]) {
			return true
		}
	}
	return false
}
