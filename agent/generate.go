package agent

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Bounds of generated arguments. A schema that asks for more is beyond the generator.
const (
	maxTries  = 32    // draws until one fits the whole schema
	maxNodes  = 2_000 // values in one draw
	maxNest   = 24    // nesting, references included
	maxItems  = 32
	maxLength = 512 // runes of a string
)

// Arguments draws a JSON object that fits a tool's input schema. It follows the keywords
// that say how a value is built (type, properties, items, enum, bounds, pattern, format,
// anyOf, local $ref …) and checks each draw against the whole schema, so what it returns is valid.
func Arguments(rng *rand.Rand, schema json.RawMessage) (json.RawMessage, error) {
	var root any
	dec := json.NewDecoder(bytes.NewReader(schema))
	dec.UseNumber()
	if err := dec.Decode(&root); err != nil {
		return nil, fmt.Errorf("input schema: %w", err)
	}
	if err := numbersFit(root); err != nil {
		return nil, fmt.Errorf("input schema: %w", err)
	}
	check, err := compile(root)
	if err != nil {
		return nil, fmt.Errorf("input schema: %w", err)
	}
	var last error
	for range maxTries {
		g := generator{rng: rng, root: root, left: maxNodes}
		v := g.value(root, 0)
		if _, ok := v.(map[string]any); !ok {
			v = map[string]any{}
		}
		if last = check.Validate(v); last == nil {
			return json.Marshal(v)
		}
	}
	return nil, fmt.Errorf("no arguments that fit the schema in %d draws: %w", maxTries, last)
}

// numbersFit refuses numbers beyond the range of a double, at either end: the library makes
// fractions of them, which takes memory without end or fails, and then it panics.
func numbersFit(v any) error {
	switch v := v.(type) {
	case json.Number:
		f, err := v.Float64()
		mantissa, _, _ := strings.Cut(strings.ToLower(v.String()), "e")
		if err != nil || len(mantissa) > 400 || f == 0 && strings.Trim(mantissa, "-0.") != "" {
			return fmt.Errorf("the number %.40s is beyond the range of a double", v)
		}
	case []any:
		for _, item := range v {
			if err := numbersFit(item); err != nil {
				return err
			}
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) { // so that the same one is named each time
			if err := numbersFit(v[key]); err != nil {
				return err
			}
		}
	}
	return nil
}

// compile loads nothing from outside: the library's own loader would follow file URLs.
func compile(root any) (*jsonschema.Schema, error) {
	c := jsonschema.NewCompiler()
	c.UseLoader(nowhere{})
	if err := c.AddResource("astra:input", root); err != nil {
		return nil, err
	}
	return c.Compile("astra:input")
}

type nowhere struct{}

func (nowhere) Load(url string) (any, error) {
	return nil, fmt.Errorf("%s: schemas load nothing from outside", url)
}

type generator struct {
	rng  *rand.Rand
	root any
	left int // nodes that may still be made
}

// value draws a value for a schema; where that is impossible it draws something that the
// final check refuses.
func (g *generator) value(schema any, depth int) any {
	s, ok := schema.(map[string]any)
	if !ok {
		s = map[string]any{} // true, or false: nothing fits that
	}
	g.left--
	if depth > maxNest || g.left < 0 {
		return nil
	}
	if s = g.flatten(s, depth); s == nil {
		return nil
	}
	if v, ok := s["const"]; ok {
		return v
	}
	for _, key := range []string{"enum", "examples"} {
		if list, ok := s[key].([]any); ok && len(list) > 0 && (key == "enum" || g.rng.IntN(2) == 0) {
			return list[g.rng.IntN(len(list))]
		}
	}
	switch g.kind(s) {
	case "object":
		return g.object(s, depth)
	case "array":
		return g.array(s, depth)
	case "integer":
		return g.number(s, true)
	case "number":
		return g.number(s, false)
	case "boolean":
		return g.rng.IntN(2) == 0
	case "null":
		return nil
	}
	return g.text(s)
}

// flatten follows references and joins allOf and one choice of anyOf and oneOf into one
// schema. It is nil where references never end.
func (g *generator) flatten(s map[string]any, depth int) map[string]any {
	for range maxNest {
		merged := maps.Clone(s)
		for _, key := range []string{"$ref", "allOf", "anyOf", "oneOf"} {
			delete(merged, key)
		}
		var parts []any
		if ref, ok := s["$ref"].(string); ok {
			parts = append(parts, g.resolve(ref))
		}
		if all, ok := s["allOf"].([]any); ok {
			parts = append(parts, all...)
		}
		for _, key := range []string{"anyOf", "oneOf"} {
			if some, ok := s[key].([]any); ok && len(some) > 0 {
				parts = append(parts, some[g.rng.IntN(len(some))])
			}
		}
		if len(parts) == 0 {
			return s
		}
		for _, p := range parts {
			if part, ok := p.(map[string]any); ok {
				merge(merged, part)
			}
		}
		s = merged
	}
	return nil
}

// merge adds what part asks for to into: properties and required names together, of
// other keywords the first.
func merge(into, part map[string]any) {
	for key, v := range part {
		old, had := into[key]
		switch key {
		case "properties":
			a, _ := old.(map[string]any)
			b, _ := v.(map[string]any)
			both := maps.Clone(b)
			maps.Copy(both, a)
			into[key] = both
		case "required", "allOf":
			a, _ := old.([]any)
			b, _ := v.([]any)
			into[key] = slices.Concat(a, b)
		default:
			if !had {
				into[key] = v
			}
		}
	}
}

// resolve follows a JSON Pointer within the schema.
func (g *generator) resolve(ref string) any {
	pointer, ok := strings.CutPrefix(ref, "#")
	if !ok {
		return nil
	}
	at := g.root
	for _, token := range strings.Split(pointer, "/")[1:] {
		token = strings.NewReplacer("~1", "/", "~0", "~").Replace(token)
		switch v := at.(type) {
		case map[string]any:
			at = v[token]
		case []any:
			i, err := strconv.Atoi(token)
			if err != nil || i < 0 || i >= len(v) {
				return nil
			}
			at = v[i]
		default:
			return nil
		}
	}
	return at
}

// kind is the type to draw, guessed from other keywords where none is named.
func (g *generator) kind(s map[string]any) string {
	switch t := s["type"].(type) {
	case string:
		return t
	case []any:
		if len(t) > 0 {
			name, _ := t[g.rng.IntN(len(t))].(string)
			return name
		}
	}
	hints := []struct{ key, kind string }{{"properties", "object"}, {"required", "object"}, {"items", "array"},
		{"prefixItems", "array"}, {"minimum", "number"}, {"maximum", "number"}}
	for _, h := range hints {
		if _, ok := s[h.key]; ok {
			return h.kind
		}
	}
	return "string"
}

func (g *generator) object(s map[string]any, depth int) map[string]any {
	properties, _ := s["properties"].(map[string]any)
	required := map[string]bool{}
	names := slices.Collect(maps.Keys(properties))
	list, _ := s["required"].([]any)
	for _, r := range list {
		if name, ok := r.(string); ok && !required[name] {
			required[name] = true
			names = append(names, name)
		}
	}
	slices.Sort(names) // no map order in what is drawn
	v := map[string]any{}
	for _, name := range slices.Compact(names) {
		sub, known := properties[name]
		if !known {
			sub = s["additionalProperties"]
		}
		if required[name] || depth < maxNest/2 && g.rng.IntN(2) == 0 {
			v[name] = g.value(sub, depth+1)
		}
	}
	return v
}

func (g *generator) array(s map[string]any, depth int) []any {
	least := clamp(bound(s, "minItems", 0), maxItems)
	most := max(clamp(bound(s, "maxItems", float64(least+3)), maxItems), least)
	prefix, _ := s["prefixItems"].([]any)
	unique, _ := s["uniqueItems"].(bool)
	seen := map[string]bool{}
	v := []any{}
	n := least + g.rng.IntN(min(most-least, 3)+1)
	for tries := 0; len(v) < n && tries < 4*n; tries++ {
		sub := s["items"]
		if len(v) < len(prefix) {
			sub = prefix[len(v)]
		}
		item := g.value(sub, depth+1)
		text, _ := json.Marshal(item)
		if unique && seen[string(text)] {
			continue
		}
		seen[string(text)] = true
		v = append(v, item)
	}
	return v
}

// number draws within the bounds; without them, small numbers, which fit most tools.
func (g *generator) number(s map[string]any, whole bool) json.Number {
	step := bound(s, "multipleOf", 0)
	if whole && (step == 0 || step != math.Trunc(step)) {
		step = 1
	}
	inc := cmp.Or(step, 1e-3)
	lo := math.Max(bound(s, "minimum", math.Inf(-1)), bound(s, "exclusiveMinimum", math.Inf(-1))+inc)
	hi := math.Min(bound(s, "maximum", math.Inf(1)), bound(s, "exclusiveMaximum", math.Inf(1))-inc)
	switch {
	case math.IsInf(lo, -1) && math.IsInf(hi, 1):
		lo, hi = 0, 100
	case math.IsInf(lo, -1):
		lo = hi - 100
	case math.IsInf(hi, 1):
		hi = lo + 100
	}
	x := lo + g.rng.Float64()*(hi-lo)
	if step == 0 {
		x = math.Max(lo, math.Round(x*1e3)/1e3)
	} else {
		first, last := math.Ceil(lo/step), math.Floor(hi/step)
		x = step * math.Min(last, first+math.Floor(g.rng.Float64()*(last-first+1)))
	}
	if math.IsNaN(x) || math.IsInf(x, 0) {
		x = 0 // bounds at the end of what a float holds
	}
	return json.Number(strconv.FormatFloat(x, 'f', -1, 64))
}

var formats = map[string]func(*rand.Rand) string{
	"date": func(r *rand.Rand) string { return fmt.Sprintf("2026-%02d-%02d", 1+r.IntN(12), 1+r.IntN(28)) },
	"time": func(r *rand.Rand) string { return fmt.Sprintf("%02d:%02d:00Z", r.IntN(24), r.IntN(60)) },
	"date-time": func(r *rand.Rand) string {
		return fmt.Sprintf("2026-%02d-%02dT%02d:00:00Z", 1+r.IntN(12), 1+r.IntN(28), r.IntN(24))
	},
	"email":    func(r *rand.Rand) string { return letters(r, 6) + "@example.com" },
	"uri":      func(r *rand.Rand) string { return "https://example.com/" + letters(r, 6) },
	"hostname": func(r *rand.Rand) string { return letters(r, 6) + ".example.com" },
	"ipv4":     func(r *rand.Rand) string { return fmt.Sprintf("192.0.2.%d", r.IntN(256)) },
	"uuid": func(r *rand.Rand) string {
		return fmt.Sprintf("%08x-0000-4000-8000-%012x", r.Uint32(), r.Uint32())
	},
}

func (g *generator) text(s map[string]any) string {
	if pattern, ok := s["pattern"].(string); ok {
		if re, err := syntax.Parse(pattern, syntax.Perl); err == nil {
			var b strings.Builder
			g.match(&b, re)
			return b.String()
		}
	}
	if format, _ := s["format"].(string); formats[format] != nil {
		return formats[format](g.rng)
	}
	least := clamp(bound(s, "minLength", 1), maxLength)
	most := max(clamp(bound(s, "maxLength", float64(least+7)), maxLength), least)
	return letters(g.rng, least+g.rng.IntN(min(most-least, 7)+1))
}

func letters(r *rand.Rand, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = 'a' + byte(r.IntN(26))
	}
	return string(b)
}

// match writes a text that a regular expression matches. Anchors and word boundaries
// write nothing; the final check knows whether they hold.
func (g *generator) match(b *strings.Builder, re *syntax.Regexp) {
	if g.left--; g.left < 0 || b.Len() > 4*maxLength {
		return
	}
	switch re.Op {
	case syntax.OpLiteral:
		b.WriteString(string(re.Rune))
	case syntax.OpCharClass:
		g.oneOf(b, re.Rune)
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		b.WriteString(letters(g.rng, 1))
	case syntax.OpCapture, syntax.OpConcat:
		for _, sub := range re.Sub {
			g.match(b, sub)
		}
	case syntax.OpAlternate:
		g.match(b, re.Sub[g.rng.IntN(len(re.Sub))])
	case syntax.OpStar:
		g.repeat(b, re.Sub[0], 0, 3)
	case syntax.OpPlus:
		g.repeat(b, re.Sub[0], 1, 4)
	case syntax.OpQuest:
		g.repeat(b, re.Sub[0], 0, 1)
	case syntax.OpRepeat:
		most := re.Max
		if most < 0 || most > re.Min+3 {
			most = re.Min + 3
		}
		g.repeat(b, re.Sub[0], re.Min, most)
	}
}

func (g *generator) repeat(b *strings.Builder, re *syntax.Regexp, least, most int) {
	for range least + g.rng.IntN(most-least+1) {
		g.match(b, re)
	}
}

// oneOf writes a rune of a class, given as pairs of first and last; printable ASCII is
// preferred, since negated classes reach to the end of Unicode.
func (g *generator) oneOf(b *strings.Builder, class []rune) {
	if len(class) == 0 {
		return
	}
	var plain []rune
	for i := 0; i < len(class); i += 2 {
		for r := max(class[i], ' '); r <= min(class[i+1], '~'); r++ {
			plain = append(plain, r)
		}
	}
	if len(plain) == 0 {
		plain = class[:1]
	}
	b.WriteRune(plain[g.rng.IntN(len(plain))])
}

func bound(s map[string]any, key string, none float64) float64 {
	n, ok := s[key].(json.Number)
	if !ok {
		return none
	}
	f, err := n.Float64()
	if err != nil || errors.Is(err, strconv.ErrRange) {
		return none
	}
	return f
}

func clamp(f float64, most int) int { return int(math.Max(0, math.Min(f, float64(most)))) }
