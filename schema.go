package astra

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"net/url"
	"regexp"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

// What a schema may hold.
const (
	maxSchemaBytes = 64 << 10
	maxSchemaDepth = 32
	maxPattern     = 4096     // instructions of a compiled pattern; matching takes this times the text
	maxPatterns    = 64 << 10 // of all patterns of an arena; some 50 bytes each
	maxChain       = 64       // schemas that apply to one value by way of each other
)

// A Schema is a compiled JSON Schema, draft 2020-12. It is safe for concurrent use.
//
// The library compiles: it holds a schema to the meta-schema and resolves its
// references. Checking is ours (check.go): the library's takes exponential time on
// schemas that are easy to write, cannot be stopped, reports in the order of Go's maps, and
// costs about ten times as much. A fuzz target holds the two to the same verdicts.
type Schema struct {
	root *rule
}

// A rule is one schema: an empty one allows everything.
type rule struct {
	never              bool
	types              []string // nil allows all
	enum               []value
	constant           *value
	ref                *rule
	allOf, anyOf       []*rule
	oneOf              []*rule
	not                *rule
	cond, then, other  *rule
	props              map[string]*rule
	patterns           []patternRule // by pattern
	additional         *rule
	names              *rule
	required           []string
	needs              []needRule // by property
	minProps, maxProps *int
	prefix             []*rule
	items, contains    *rule
	minContains        *int
	maxContains        *int
	minItems, maxItems *int
	unique             bool
	minLen, maxLen     *int
	pattern            *pattern
	min, max           *big.Rat
	above, below       *big.Rat
	multiple           *big.Rat
	restProps          *rule // unevaluatedProperties
	restItems          *rule // unevaluatedItems
}

// A patternRule is one of patternProperties.
type patternRule struct {
	*pattern
	rule *rule
}

// A needRule is what the presence of a property asks for.
type needRule struct {
	prop     string
	required []string
	rule     *rule
}

// A pattern is a regular expression of Go's kind (RE2: linear time, no look-around).
type pattern struct {
	*regexp.Regexp
	size int // instructions
}

// patterns compiles each pattern of an arena once, and no more than it may have together: a pattern of ten bytes can
// take a megabyte.
type patterns struct {
	known map[string]*pattern
	total int
}

func newPatterns() *patterns { return &patterns{known: map[string]*pattern{}} }

func (p *patterns) compile(s string) (jsonschema.Regexp, error) {
	if known := p.known[s]; known != nil {
		return known, nil
	}
	parsed, err := syntax.Parse(s, syntax.Perl)
	if err != nil {
		return nil, err
	}
	size := patternSize(parsed)
	if size > maxPattern {
		return nil, fmt.Errorf("pattern of %d instructions; it may have %d", size, maxPattern)
	}
	if p.total += size; p.total > maxPatterns {
		return nil, errors.New("too many patterns")
	}
	re, err := regexp.Compile(s)
	if err != nil {
		return nil, err
	}
	p.known[s] = &pattern{re, size}
	return p.known[s], nil
}

// patternSize is about how many instructions a pattern compiles to, known before they are made.
func patternSize(re *syntax.Regexp) int {
	n := 1
	if re.Op == syntax.OpLiteral {
		n = len(re.Rune)
	}
	for _, sub := range re.Sub {
		n += patternSize(sub)
	}
	if re.Op == syntax.OpRepeat {
		n *= max(re.Min+1, re.Max, 1)
	}
	return min(n, 1<<20) // no overflow further out
}

// nowhere loads nothing. The library's own loader would follow file:// and read the host's files.
type nowhere struct{}

func (nowhere) Load(string) (any, error) {
	return nil, errors.New("schemas load nothing from outside: refer to #/$defs only")
}

// schemaURL is where a schema pretends to be; references are resolved against it. It
// needs its path: relative references to "astra:schema" would resolve to itself.
const schemaURL = "astra:///schema"

// schema reads a schema. Errors are for the author.
func (p *patterns) schema(raw json.RawMessage) (*Schema, error) {
	compiled, err := p.compileWithLibrary(raw)
	if err != nil {
		return nil, err
	}
	c := &ruleCompiler{rules: map[*jsonschema.Schema]*rule{}}
	root := c.rule(compiled)
	if c.err != nil {
		return nil, c.err
	}
	chain := chains{longest: map[*rule]int{}}
	for _, s := range slices.Sorted(maps.Keys(c.byPlace())) {
		if chain.from(c.byPlace()[s]) > maxChain {
			return nil, fmt.Errorf("%s: it refers to itself, or over %d references, for one and the same value", strings.TrimPrefix(s, schemaURL), maxChain)
		}
	}
	return &Schema{root: root}, nil
}

func (p *patterns) compileWithLibrary(raw json.RawMessage) (*jsonschema.Schema, error) {
	if len(raw) > maxSchemaBytes {
		return nil, fmt.Errorf("%d bytes; a schema may have %d", len(raw), maxSchemaBytes)
	}
	v, err := parseJSON(raw, maxSchemaDepth)
	if err != nil {
		return nil, err
	}
	if err := refuseRefs(v, v); err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.UseLoader(nowhere{})
	c.UseRegexpEngine(p.compile)
	if err := c.AddResource(schemaURL, v.any()); err != nil {
		return nil, err
	}
	compiled, err := c.Compile(schemaURL)
	switch {
	case p.total > maxPatterns: // which pattern was one too many depends on the order of a map
		return nil, fmt.Errorf("the patterns of the arena have over %d instructions together", maxPatterns)
	case err != nil:
		return nil, shortReason(err)
	}
	return compiled, nil
}

// refuseRefs refuses references to anything but places in the schema itself, in the order of the text. The library would
// refuse them too, but of several whichever its maps yield first.
func refuseRefs(root, v *value) error {
	for i := range v.items {
		key, item := "", &v.items[i]
		if v.kind == objectKind {
			key = v.keys[i]
		}
		switch {
		case key == "const" || key == "enum" || key == "default" || key == "examples":
			continue // data
		case key == "$id" && item.kind == textKind:
			return errors.New("$id is not read: refer to #/$defs")
		case key == "$ref" && item.kind == textKind:
			if why := refuseRef(root, item.text); why != "" {
				return fmt.Errorf("$ref %s: %s", clip(item.text), why)
			}
		}
		if err := refuseRefs(root, item); err != nil {
			return err
		}
	}
	return nil
}

func refuseRef(root *value, ref string) string {
	fragment, local := strings.CutPrefix(ref, "#")
	if !local {
		return "schemas load nothing from outside: refer to #/$defs"
	}
	pointer, err := url.PathUnescape(fragment)
	if err != nil || pointer != "" && pointer[0] != '/' {
		return "" // an anchor, or for the library to refuse
	}
	tokens, ok := pointerTokens(pointer)
	for _, token := range tokens {
		if root = root.child(token); root == nil {
			break
		}
	}
	if !ok || root == nil {
		return "not found in this schema"
	}
	return ""
}

// shortReason takes from the library's message, which may have many lines and quote all of the schema, the complaint that goes deepest.
func shortReason(err error) error {
	msg := err.Error()
	if meta, ok := errors.AsType[*jsonschema.SchemaValidationError](err); ok {
		if invalid, ok := errors.AsType[*jsonschema.ValidationError](meta.Err); ok {
			leaf := deepest(invalid)
			msg = fmt.Sprintf("/%s: %s", strings.Join(leaf.InstanceLocation, "/"), leaf.ErrorKind.LocalizedString(message.NewPrinter(language.English)))
		}
	}
	return errors.New(shorten(strings.Join(strings.Fields(strings.ReplaceAll(msg, schemaURL, "")), " ")))
}

// deepest is the complaint about the innermost value; of several, the one that sorts first.
func deepest(e *jsonschema.ValidationError) *jsonschema.ValidationError {
	var best *jsonschema.ValidationError
	for _, cause := range e.Causes {
		d := deepest(cause)
		if best == nil || cmp.Or(len(best.InstanceLocation)-len(d.InstanceLocation), strings.Compare(d.Error(), best.Error())) < 0 {
			best = d
		}
	}
	if best == nil {
		return e
	}
	return best
}

// A ruleCompiler turns the library's schemas into rules, each once: they refer to each other in circles.
type ruleCompiler struct {
	rules map[*jsonschema.Schema]*rule
	err   error
}

// byPlace is the rules by where they stand, for an order that does not depend on maps.
func (c *ruleCompiler) byPlace() map[string]*rule {
	m := make(map[string]*rule, len(c.rules))
	for s, r := range c.rules {
		m[s.Location] = r
	}
	return m
}

func (c *ruleCompiler) rule(s *jsonschema.Schema) *rule {
	if s == nil {
		return nil
	}
	if r := c.rules[s]; r != nil {
		return r
	}
	r := &rule{}
	c.rules[s] = r
	if s.Bool != nil {
		r.never = !*s.Bool
		return r
	}
	if s.DynamicRef != nil || s.RecursiveRef != nil {
		c.err = errors.New("$dynamicRef is not read: use $ref")
	}
	if s.DraftVersion != 2020 {
		c.err = errors.New("$schema: leave it out, or use https://json-schema.org/draft/2020-12/schema")
	}
	c.general(r, s)
	c.objects(r, s)
	c.lists(r, s)
	c.scalars(r, s)
	return r
}

func (c *ruleCompiler) each(list []*jsonschema.Schema) (rules []*rule) {
	for _, s := range list {
		rules = append(rules, c.rule(s))
	}
	return rules
}

func (c *ruleCompiler) general(r *rule, s *jsonschema.Schema) {
	if s.Types != nil && !s.Types.IsEmpty() {
		r.types = s.Types.ToStrings()
	}
	if s.Enum != nil {
		r.enum = make([]value, 0, len(s.Enum.Values)) // not nil: an empty one allows nothing
		for _, v := range s.Enum.Values {
			r.enum = append(r.enum, *fromAny(v))
		}
	}
	if s.Const != nil {
		r.constant = fromAny(*s.Const)
	}
	r.ref, r.not = c.rule(s.Ref), c.rule(s.Not)
	r.allOf, r.anyOf, r.oneOf = c.each(s.AllOf), c.each(s.AnyOf), c.each(s.OneOf)
	r.cond, r.then, r.other = c.rule(s.If), c.rule(s.Then), c.rule(s.Else)
}

func (c *ruleCompiler) objects(r *rule, s *jsonschema.Schema) {
	r.minProps, r.maxProps, r.required = s.MinProperties, s.MaxProperties, s.Required
	r.names, r.restProps = c.rule(s.PropertyNames), c.rule(s.UnevaluatedProperties)
	r.props = make(map[string]*rule, len(s.Properties))
	for name, p := range s.Properties {
		r.props[name] = c.rule(p)
	}
	for re, p := range s.PatternProperties {
		r.patterns = append(r.patterns, patternRule{re.(*pattern), c.rule(p)})
	}
	slices.SortFunc(r.patterns, func(a, b patternRule) int { return strings.Compare(a.String(), b.String()) })
	switch a := s.AdditionalProperties.(type) {
	case bool:
		r.additional = &rule{never: !a}
	case *jsonschema.Schema:
		r.additional = c.rule(a)
	}
	for prop, names := range s.DependentRequired {
		r.needs = append(r.needs, needRule{prop: prop, required: names})
	}
	for prop, dep := range s.DependentSchemas {
		r.needs = append(r.needs, needRule{prop: prop, rule: c.rule(dep)})
	}
	for prop, dep := range s.Dependencies { // of older drafts, which 2020-12 still lets be
		need := needRule{prop: prop}
		need.required, _ = dep.([]string)
		if sub, ok := dep.(*jsonschema.Schema); ok {
			need.rule = c.rule(sub)
		}
		r.needs = append(r.needs, need)
	}
	slices.SortStableFunc(r.needs, func(a, b needRule) int { return strings.Compare(a.prop, b.prop) })
}

func (c *ruleCompiler) lists(r *rule, s *jsonschema.Schema) {
	r.minItems, r.maxItems, r.unique = s.MinItems, s.MaxItems, s.UniqueItems
	r.prefix, r.items, r.contains = c.each(s.PrefixItems), c.rule(s.Items2020), c.rule(s.Contains)
	r.minContains, r.maxContains = s.MinContains, s.MaxContains
	r.restItems = c.rule(s.UnevaluatedItems)
}

func (c *ruleCompiler) scalars(r *rule, s *jsonschema.Schema) {
	r.minLen, r.maxLen = s.MinLength, s.MaxLength
	if s.Pattern != nil {
		r.pattern = s.Pattern.(*pattern)
	}
	r.min, r.max, r.multiple = s.Minimum, s.Maximum, s.MultipleOf
	r.above, r.below = s.ExclusiveMinimum, s.ExclusiveMaximum
}

// inPlace lists the rules that a rule applies to the same value.
func (r *rule) inPlace() []*rule {
	list := slices.Concat([]*rule{r.ref, r.not, r.cond, r.then, r.other}, r.allOf, r.anyOf, r.oneOf)
	for _, n := range r.needs {
		list = append(list, n.rule)
	}
	return slices.DeleteFunc(list, func(r *rule) bool { return r == nil })
}

// chains measures how many rules in a row apply to one value. Checking recurses along
// them, and would not end in a circle.
type chains struct{ longest map[*rule]int }

func (c chains) from(r *rule) int {
	if n, ok := c.longest[r]; ok {
		return n
	}
	c.longest[r] = maxChain + 1 // met again before it is known: a circle
	n := 0
	for _, next := range r.inPlace() {
		n = max(n, c.from(next))
	}
	c.longest[r] = min(n+1, maxChain+1)
	return c.longest[r]
}

// fromAny is the inverse of value.any.
func fromAny(x any) *value {
	switch x := x.(type) {
	case bool:
		return &value{kind: boolKind, text: strconv.FormatBool(x)}
	case json.Number:
		return &value{kind: numberKind, text: x.String()}
	case string:
		return &value{kind: textKind, text: x}
	case []any:
		v := &value{kind: listKind}
		for _, item := range x {
			v.items = append(v.items, *fromAny(item))
		}
		return v
	case map[string]any:
		v := &value{kind: objectKind}
		for _, key := range slices.Sorted(maps.Keys(x)) {
			v.keys, v.items = append(v.keys, key), append(v.items, *fromAny(x[key]))
		}
		return v
	}
	return &value{kind: nullKind}
}

// input reads the schema of a tool's arguments, which are an object whose keys are identifiers.
func (p *patterns) input(raw json.RawMessage) (*Schema, error) {
	s, err := p.schema(raw)
	if err != nil {
		return nil, err
	}
	if !slices.Equal(s.root.types, []string{"object"}) {
		return nil, errors.New(`"type" must be "object": a tool is called with one object of arguments`)
	}
	return s, refuseArguments(s.root)
}

// refuseArguments looks at the names in a rule and in those that it applies to the same object.
func refuseArguments(r *rule) error {
	names := slices.Sorted(maps.Keys(r.props))
	for _, name := range append(names, r.required...) {
		if !plainName(name) {
			return fmt.Errorf("%s is no argument's name: use letters, digits and _, not a digit first, at most 64 in all", clip(name))
		}
		if name == "episode_id" {
			return errors.New("the argument episode_id is reserved: explorers name their episode with it")
		}
	}
	for _, next := range r.inPlace() {
		if err := refuseArguments(next); err != nil {
			return err
		}
	}
	return nil
}
