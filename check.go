package astra

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxSteps bounds the work of one check, in rules applied, values compared and bytes matched. A schema that branches
// and recurses would take time exponential in the depth of the value; an
// honest check of the largest result takes some hundred thousand.
const maxSteps = 2 << 20

// maxComplaints is how many problems one check reports to the agent.
const maxComplaints = 5

// CheckArgs holds arguments to the tool's input schema; none at all are an empty object.
// The error is for the agent to read: it names the argument and what was expected, has
// at most a few lines, and says the same for the same arguments. Arguments that are not
// strict JSON (repeated keys, nesting beyond the arena's limit) are refused too.
func (t *Tool) CheckArgs(args json.RawMessage) error {
	if len(args) == 0 {
		args = json.RawMessage("{}")
	}
	v, err := parseJSON(args, t.nesting())
	if err != nil {
		return fmt.Errorf("arguments: %w", err)
	}
	if v.kind != objectKind {
		return fmt.Errorf("arguments: must be an object, got %s", show(v))
	}
	return t.in.check(v, "argument")
}

// CheckResult holds a value to the tool's output schema, if there is one, and to the
// arena's nesting.
func (t *Tool) CheckResult(value json.RawMessage) error {
	v, err := parseJSON(value, t.nesting())
	if err != nil {
		return fmt.Errorf("result: %w", err)
	}
	return t.out.check(v, "result")
}

func (t *Tool) nesting() int {
	if t.depth == 0 {
		return DefaultLimits.Depth
	}
	return t.depth
}

// check holds v to the schema; a nil one allows everything. noun is what messages call v.
func (s *Schema) check(v *value, noun string) error {
	if s == nil {
		return nil
	}
	c := checker{noun: noun, steps: maxSteps, path: make([]string, 0, 8)}
	ok := c.apply(s.root, v, nil)
	switch {
	case c.steps < 0:
		return fmt.Errorf("%ss: checking them against the schema takes too long; send less", noun)
	case ok:
		return nil
	}
	msg := strings.Join(c.said, "; ")
	if c.more > 0 {
		msg += fmt.Sprintf("; and %d more", c.more)
	}
	return errors.New(msg)
}

// A checker is one check in progress.
type checker struct {
	noun  string
	steps int      // left of maxSteps; below 0 every answer is no
	path  []string // from the root to the value at hand: .key or [index]
	quiet int      // above 0: only the verdict is wanted
	said  []string
	more  int
}

// no records a complaint about the value at hand; it returns false.
func (c *checker) no(format string, args ...any) bool {
	switch {
	case c.quiet > 0:
	case len(c.said) == maxComplaints:
		c.more++
	default:
		c.said = append(c.said, shorten(c.where()+": "+fmt.Sprintf(format, args...)))
	}
	return false
}

// shorten bounds a complaint: complaints about forms contain others.
func shorten(s string) string {
	const most = 300
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}

// get is value.get, at its cost.
func (c *checker) get(v *value, key string) *value {
	if !c.spend(1 + len(v.keys)/8) {
		return nil
	}
	return v.get(key)
}

// where names the value at hand: argument "items[2].sku".
func (c *checker) where() string {
	if len(c.path) == 0 {
		if c.noun == "argument" {
			return "arguments"
		}
		return c.noun
	}
	return c.noun + " " + clip(strings.TrimPrefix(strings.Join(c.path, ""), "."))
}

func (c *checker) spend(n int) bool {
	c.steps -= n
	return c.steps >= 0
}

// probe asks whether v fits without complaining.
func (c *checker) probe(r *rule, v *value, seen []bool) bool {
	c.quiet++
	defer func() { c.quiet-- }()
	return c.apply(r, v, seen)
}

// apply holds v to a rule. seen, unless nil, notes which items of v some rule has looked
// at: unevaluatedProperties and unevaluatedItems, which may stand further out, hold the rest.
func (c *checker) apply(r *rule, v *value, seen []bool) bool {
	if !c.spend(1) {
		return false
	}
	if r.never {
		return c.no("nothing is allowed here")
	}
	if !c.typed(r, v) || !c.listed(r, v) {
		return false
	}
	rest := r.rest(v)
	outer := seen
	if rest != nil {
		seen = make([]bool, len(v.items))
	}
	ok := c.own(r, v, seen)
	ok = c.combined(r, v, seen) && ok
	if rest != nil {
		ok = c.unseen(rest, v, seen) && ok
		mark(outer, len(outer))
	}
	return ok
}

func (r *rule) rest(v *value) *rule {
	switch v.kind {
	case objectKind:
		return r.restProps
	case listKind:
		return r.restItems
	}
	return nil
}

func mark(seen []bool, n int) {
	for i := range min(n, len(seen)) {
		seen[i] = true
	}
}

func (c *checker) unseen(rest *rule, v *value, seen []bool) bool {
	ok := true
	for i := range v.items {
		if !seen[i] {
			ok = c.item(rest, v, i) && ok
		}
	}
	return ok
}

func (c *checker) own(r *rule, v *value, seen []bool) bool {
	switch v.kind {
	case objectKind:
		return c.object(r, v, seen)
	case listKind:
		return c.list(r, v, seen)
	case textKind:
		return c.text(r, v.text)
	case numberKind:
		return c.number(r, v.text)
	}
	return true
}

// item holds the ith item of v to a rule.
func (c *checker) item(r *rule, v *value, i int) bool {
	if v.kind == objectKind {
		c.path = append(c.path, ".", v.keys[i])
	} else {
		c.path = append(c.path, "[", strconv.Itoa(i)+"]")
	}
	ok := c.apply(r, &v.items[i], nil)
	c.path = c.path[:len(c.path)-2]
	return ok
}

var typeWords = map[string]string{"null": "null", "boolean": "true or false", "number": "a number", "integer": "an integer",
	"string": "a string", "array": "a list", "object": "an object"}

func (c *checker) typed(r *rule, v *value) bool {
	if r.types == nil || slices.ContainsFunc(r.types, v.is) {
		return true
	}
	if c.quiet > 0 {
		return false
	}
	return c.no("must be %s, got %s", wordsOf(r.types), show(v))
}

func wordsOf(types []string) string {
	words := make([]string, len(types))
	for i, t := range types {
		words[i] = typeWords[t]
	}
	return strings.Join(words, " or ")
}

// is reports whether v is of one of JSON Schema's types.
func (v *value) is(schemaType string) bool {
	switch schemaType {
	case "null":
		return v.kind == nullKind
	case "boolean":
		return v.kind == boolKind
	case "number":
		return v.kind == numberKind
	case "integer":
		return v.kind == numberKind && (!strings.ContainsAny(v.text, ".eE") || rational(v.text).IsInt())
	case "string":
		return v.kind == textKind
	case "array":
		return v.kind == listKind
	}
	return v.kind == objectKind
}

// show is a value as messages quote it: short.
func show(v *value) string {
	switch v.kind {
	case listKind:
		return fmt.Sprintf("a list of %d", len(v.items))
	case objectKind:
		return "an object"
	case textKind:
		return clip(v.text)
	case nullKind:
		return "null"
	}
	if len(v.text) > 40 {
		return v.text[:40] + "…"
	}
	return v.text
}

func (c *checker) listed(r *rule, v *value) bool {
	if r.constant != nil && !c.equal(r.constant, v) {
		return c.no("must be %s, got %s", show(r.constant), show(v))
	}
	if r.enum == nil || slices.ContainsFunc(r.enum, func(e value) bool { return c.equal(&e, v) }) {
		return true
	}
	var words []string
	for i := range r.enum[:min(len(r.enum), 12)] {
		words = append(words, show(&r.enum[i]))
	}
	if len(r.enum) > 12 {
		words = append(words, "…")
	}
	return c.no("must be one of %s, got %s", strings.Join(words, ", "), show(v))
}

// equal is JSON Schema's equality: numbers by value, objects without order.
func (c *checker) equal(a, b *value) bool {
	if !c.spend(1) || a.kind != b.kind || len(a.items) != len(b.items) {
		return false
	}
	switch a.kind {
	case numberKind:
		return a.text == b.text || rational(a.text).Cmp(rational(b.text)) == 0
	case listKind:
		for i := range a.items {
			if !c.equal(&a.items[i], &b.items[i]) {
				return false
			}
		}
		return true
	case objectKind:
		for i, k := range a.keys {
			if other := c.get(b, k); other == nil || !c.equal(&a.items[i], other) {
				return false
			}
		}
		return true
	}
	return a.text == b.text
}

// rational is the exact value of a number that parseJSON took.
func rational(digits string) *big.Rat {
	r, ok := new(big.Rat).SetString(digits)
	if !ok {
		return new(big.Rat)
	}
	return r
}

func (c *checker) object(r *rule, v *value, seen []bool) bool {
	ok := c.count(r.minProps, r.maxProps, len(v.items), "key")
	for _, name := range r.required {
		if c.get(v, name) == nil {
			ok = c.no("%s is missing", clip(name))
		}
	}
	for i := range v.items {
		ok = c.property(r, v, i, seen) && ok
	}
	for _, n := range r.needs {
		if c.get(v, n.prop) != nil {
			ok = c.need(n, v, seen) && ok
		}
	}
	return ok
}

func (c *checker) property(r *rule, v *value, i int, seen []bool) bool {
	ok, known := true, false
	if p := r.props[v.keys[i]]; p != nil {
		known, ok = true, c.item(p, v, i)
	}
	for _, p := range r.patterns {
		if c.match(p.pattern, v.keys[i]) {
			known, ok = true, c.item(p.rule, v, i) && ok
		}
	}
	if !known && r.additional != nil {
		known = true
		if r.additional.never {
			ok = c.no("there is no %s here", clip(v.keys[i]))
		} else {
			ok = c.item(r.additional, v, i) && ok
		}
	}
	if r.names != nil && !c.probe(r.names, &value{kind: textKind, text: v.keys[i]}, nil) {
		ok = c.no("%s is not allowed as a key", clip(v.keys[i]))
	}
	if known && seen != nil {
		seen[i] = true
	}
	return ok
}

func (c *checker) need(n needRule, v *value, seen []bool) bool {
	ok := true
	for _, name := range n.required {
		if c.get(v, name) == nil {
			ok = c.no("%s is missing, which %s asks for", clip(name), clip(n.prop))
		}
	}
	if n.rule != nil {
		ok = c.apply(n.rule, v, seen) && ok
	}
	return ok
}

// count holds a number of things to its bounds.
func (c *checker) count(least, most *int, n int, thing string) bool {
	if least != nil && n < *least {
		return c.no("must have at least %d %ss, has %d", *least, thing, n)
	}
	if most != nil && n > *most {
		return c.no("may have at most %d %ss, has %d", *most, thing, n)
	}
	return true
}

func (c *checker) list(r *rule, v *value, seen []bool) bool {
	ok := c.count(r.minItems, r.maxItems, len(v.items), "item")
	for i := range v.items {
		if i < len(r.prefix) {
			ok = c.item(r.prefix[i], v, i) && ok
		} else if r.items != nil {
			ok = c.item(r.items, v, i) && ok
		}
	}
	if mark(seen, len(r.prefix)); r.items != nil {
		mark(seen, len(seen))
	}
	if r.unique {
		ok = c.distinct(v) && ok
	}
	if r.contains != nil {
		ok = c.contains(r, v, seen) && ok
	}
	return ok
}

func (c *checker) distinct(v *value) bool {
	first := make(map[string]int, len(v.items))
	for i := range v.items {
		key := string(v.items[i].canonical(nil))
		if j, twice := first[key]; twice {
			return c.no("items %d and %d are equal; each may be there once", j, i)
		}
		first[key] = i
	}
	return true
}

// canonical writes equal values alike, in the sense of checker.equal.
func (v *value) canonical(b []byte) []byte {
	switch v.kind {
	case numberKind:
		return append(b, rational(v.text).RatString()...)
	case listKind:
		b = append(b, '[')
		for i := range v.items {
			b = append(v.items[i].canonical(b), ',')
		}
		return append(b, ']')
	case objectKind:
		order := make([]int, len(v.keys))
		for i := range order {
			order[i] = i
		}
		slices.SortFunc(order, func(i, j int) int { return strings.Compare(v.keys[i], v.keys[j]) })
		b = append(b, '{')
		for _, i := range order {
			b = append(appendText(b, v.keys[i]), ':')
			b = append(v.items[i].canonical(b), ',')
		}
		return append(b, '}')
	}
	return v.append(b)
}

func (c *checker) contains(r *rule, v *value, seen []bool) bool {
	n := 0
	c.quiet++
	for i := range v.items {
		if c.item(r.contains, v, i) {
			n++
			if seen != nil {
				seen[i] = true
			}
		}
	}
	c.quiet--
	least := 1
	if r.minContains != nil {
		least = *r.minContains
	}
	return c.count(&least, r.maxContains, n, "fitting item")
}

func (c *checker) text(r *rule, s string) bool {
	ok := true
	if r.minLen != nil || r.maxLen != nil {
		ok = c.count(r.minLen, r.maxLen, utf8.RuneCountInString(s), "character")
	}
	if r.pattern != nil && !c.match(r.pattern, s) {
		return c.no("must match %s, got %s", clip(r.pattern.String()), clip(s))
	}
	return ok
}

func (c *checker) match(p *pattern, s string) bool {
	return c.spend(1+len(s)*p.size/16) && p.MatchString(s)
}

func (c *checker) number(r *rule, digits string) bool {
	for _, b := range [...]struct {
		bound *big.Rat
		sign  int // of digits - bound, where it is refused
		equal bool
		words string
	}{
		{r.min, -1, false, "at least"}, {r.max, 1, false, "at most"},
		{r.above, -1, true, "above"}, {r.below, 1, true, "below"},
	} {
		if b.bound == nil {
			continue
		}
		if d := compareNumber(digits, b.bound); d == b.sign || d == 0 && b.equal {
			return c.no("must be %s %s, got %s", b.words, decimal(b.bound), show(&value{kind: numberKind, text: digits}))
		}
	}
	if r.multiple != nil && !new(big.Rat).Quo(rational(digits), r.multiple).IsInt() {
		return c.no("must be a multiple of %s, got %s", decimal(r.multiple), show(&value{kind: numberKind, text: digits}))
	}
	return true
}

// compareNumber spares the common case, whole numbers, the big arithmetic.
func compareNumber(digits string, bound *big.Rat) int {
	if bound.IsInt() && bound.Num().IsInt64() {
		if n, err := strconv.ParseInt(digits, 10, 64); err == nil {
			switch b := bound.Num().Int64(); {
			case n < b:
				return -1
			case n > b:
				return 1
			}
			return 0
		}
	}
	return rational(digits).Cmp(bound)
}

func decimal(r *big.Rat) string {
	if r.IsInt() && len(r.Num().String()) <= 20 {
		return r.Num().String()
	}
	f, _ := r.Float64()
	return strconv.FormatFloat(f, 'g', -1, 64)
}

// combined applies the rules that speak of the same value.
func (c *checker) combined(r *rule, v *value, seen []bool) bool {
	ok := true
	if r.ref != nil {
		ok = c.apply(r.ref, v, seen)
	}
	for _, sub := range r.allOf {
		ok = c.apply(sub, v, seen) && ok
	}
	if r.anyOf != nil {
		ok = c.some(r.anyOf, v, seen, false) && ok
	}
	if r.oneOf != nil {
		ok = c.some(r.oneOf, v, seen, true) && ok
	}
	if r.not != nil && c.probe(r.not, v, slices.Clone(seen)) {
		ok = c.no("must not be like this: %s", show(v))
	}
	if r.cond != nil {
		ok = c.conditional(r, v, seen) && ok
	}
	return ok
}

func (c *checker) conditional(r *rule, v *value, seen []bool) bool {
	tried := slices.Clone(seen)
	branch := r.other
	if c.probe(r.cond, v, tried) {
		copy(seen, tried)
		branch = r.then
	}
	return branch == nil || c.apply(branch, v, seen)
}

// some holds v to at least one, or exactly one, of several rules.
func (c *checker) some(rules []*rule, v *value, seen []bool, one bool) bool {
	fits := 0
	merged := slices.Clone(seen)
	for _, r := range rules {
		tried := slices.Clone(seen)
		if !c.probe(r, v, tried) {
			continue
		}
		for i := range tried {
			merged[i] = merged[i] || tried[i]
		}
		if fits++; !one && seen == nil {
			return true
		}
	}
	copy(seen, merged)
	switch {
	case fits == 0:
		return c.none(rules, v)
	case one && fits > 1:
		return c.no("fits %d of the forms it may have; it must fit one", fits)
	}
	return true
}

// none says why v fits none of several rules: what types they ask for where that is
// all, else the first complaint of each.
func (c *checker) none(rules []*rule, v *value) bool {
	if c.quiet > 0 || c.steps < 0 {
		return false
	}
	var types []string
	for _, r := range rules {
		for _, t := range r.types {
			if v.is(t) {
				return c.forms(rules, v)
			}
		}
		if len(r.types) == 0 {
			return c.forms(rules, v)
		}
		types = append(types, r.types...)
	}
	return c.no("must be %s, got %s", wordsOf(slices.Compact(types)), show(v))
}

func (c *checker) forms(rules []*rule, v *value) bool {
	var why []string
	for _, r := range rules[:min(len(rules), 3)] {
		trial := checker{noun: "", steps: c.steps}
		trial.apply(r, v, nil)
		if c.steps = trial.steps; len(trial.said) > 0 {
			why = append(why, strings.TrimPrefix(strings.TrimSpace(trial.said[0]), ": "))
		}
	}
	return c.no("fits none of the %d forms it may have (%s)", len(rules), strings.Join(why, " | "))
}
