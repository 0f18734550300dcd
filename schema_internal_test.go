package astra

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"
)

// The library's verdict is what the standard says; ours must be the same wherever it has one.
func agree(t *testing.T, schema string, instances ...string) {
	t.Helper()
	ours, err := newPatterns().schema(json.RawMessage(schema))
	if err != nil {
		return
	}
	theirs, err := newPatterns().compileWithLibrary(json.RawMessage(schema))
	if err != nil {
		t.Fatalf("compiled once, then not: %v", err)
	}
	for _, instance := range instances {
		v, err := parseJSON([]byte(instance), maxDepth)
		if err != nil {
			continue
		}
		got, want := ours.check(v, "result"), theirs.Validate(v.any())
		if got != nil && strings.Contains(got.Error(), "takes too long") {
			continue
		}
		if (got == nil) != (want == nil) {
			t.Fatalf("schema %s\nvalue %s\nours: %v\ntheirs: %v", schema, instance, got, want)
		}
	}
}

// Each pair is one keyword at work; the verdicts are the library's.
func TestCheckAgreesWithLibrary(t *testing.T) {
	schemas := []string{
		`true`, `false`, `{}`,
		`{"type":"integer"}`, `{"type":["string","null"]}`, `{"type":"object"}`,
		`{"enum":[1,"a",null,[1,2],{"a":1,"b":2}]}`, `{"const":1.0}`, `{"const":{"b":2,"a":1}}`,
		`{"minimum":1,"maximum":10}`, `{"exclusiveMinimum":1,"exclusiveMaximum":2.5}`, `{"multipleOf":0.1}`, `{"multipleOf":2}`,
		`{"minLength":2,"maxLength":3}`, `{"pattern":"^a+$"}`,
		`{"minItems":1,"maxItems":2}`, `{"uniqueItems":true}`, `{"prefixItems":[{"type":"integer"}],"items":{"type":"string"}}`,
		`{"contains":{"type":"integer"}}`, `{"contains":{"type":"integer"},"minContains":0,"maxContains":1}`,
		`{"prefixItems":[{"type":"integer"}],"unevaluatedItems":false}`, `{"contains":{"type":"integer"},"unevaluatedItems":{"type":"string"}}`,
		`{"properties":{"a":{"type":"integer"}},"required":["a"]}`, `{"properties":{"a":true},"additionalProperties":false}`,
		`{"patternProperties":{"^a":{"type":"integer"}},"additionalProperties":{"type":"string"}}`,
		`{"propertyNames":{"maxLength":1}}`, `{"minProperties":1,"maxProperties":1}`,
		`{"dependentRequired":{"a":["b"]}}`, `{"dependentSchemas":{"a":{"required":["b"]}}}`, `{"dependencies":{"a":["b"],"b":{"minProperties":3}}}`,
		`{"allOf":[{"properties":{"a":true}},{"properties":{"b":true}}],"unevaluatedProperties":false}`,
		`{"anyOf":[{"properties":{"a":{"type":"integer"}},"required":["a"]},{"properties":{"b":true},"required":["b"]}],"unevaluatedProperties":false}`,
		`{"oneOf":[{"required":["a"]},{"required":["b"]}]}`, `{"not":{"required":["a"]}}`,
		`{"not":{"properties":{"a":{"type":"integer"}}},"unevaluatedProperties":false}`,
		`{"if":{"properties":{"a":{"const":1}},"required":["a"]},"then":{"properties":{"b":true},"required":["b"]},"else":{"properties":{"c":true}},"unevaluatedProperties":false}`,
		`{"$defs":{"n":{"properties":{"next":{"$ref":"#/$defs/n"},"v":{"type":"integer"}},"additionalProperties":false}},"$ref":"#/$defs/n"}`,
		`{"$anchor":"x","properties":{"a":{"$ref":"#x"}},"maxProperties":2}`,
		`{"allOf":[{"unevaluatedProperties":false}],"properties":{"a":true}}`,
		`{"properties":{"a":true},"allOf":[{"properties":{"b":true},"unevaluatedProperties":{"type":"integer"}}],"unevaluatedProperties":false}`,
	}
	instances := []string{`null`, `true`, `0`, `1`, `1.0`, `10`, `1e1`, `2.5`, `0.3`, `-3`, `12345678901234567890`, `""`, `"a"`, `"aa"`, `"äö"`, `"abcd"`,
		`[]`, `[1]`, `[1,1.0]`, `[1,"a"]`, `["a",1]`, `[[1,2],[1,2]]`, `[{"a":1,"b":2},{"b":2,"a":1}]`, `[1,2,3]`,
		`{}`, `{"a":1}`, `{"a":"x"}`, `{"b":1}`, `{"a":1,"b":2}`, `{"b":2,"a":1.0}`, `{"a":1,"b":2,"c":3}`, `{"ab":1}`, `{"next":{"next":{"v":1}}}`,
		`{"next":{"v":"x"}}`, `{"a":{"a":{"a":1,"b":2,"c":3}}}`}
	for _, s := range schemas {
		if _, err := newPatterns().schema(json.RawMessage(s)); err != nil {
			t.Errorf("%s: %v", s, err)
		}
		agree(t, s, instances...)
	}
}

// Keywords in random company: unevaluated* depends on all of its neighbours.
func TestCheckAgreesOnRandomSchemas(t *testing.T) {
	g := generator{rand.New(rand.NewPCG(1, 2))}
	for range 200 {
		schema := g.schema(2 + g.IntN(2))
		var instances []string
		for range 40 {
			instances = append(instances, g.value(3))
		}
		agree(t, schema, instances...)
	}
}

type generator struct{ *rand.Rand }

func (g generator) pick(from ...string) string { return from[g.IntN(len(from))] }

func (g generator) key() string { return g.pick("a", "b", "c") }

func (g generator) value(depth int) string {
	n := 6
	if depth == 0 {
		n = 4
	}
	switch g.IntN(n) {
	case 0:
		return g.pick("null", "true", "false")
	case 1, 2:
		return g.pick("0", "1", "2", "1.0", "1.5", "-1")
	case 3:
		return g.pick(`""`, `"a"`, `"ab"`, `"b"`)
	case 4:
		return "[" + g.join(func() string { return g.value(depth - 1) }) + "]"
	}
	var members []string
	for _, k := range []string{"a", "b", "c"} {
		if g.IntN(2) == 0 {
			members = append(members, `"`+k+`":`+g.value(depth-1))
		}
	}
	return "{" + strings.Join(members, ",") + "}"
}

func (g generator) join(f func() string) string {
	var parts []string
	for range g.IntN(4) {
		parts = append(parts, f())
	}
	return strings.Join(parts, ",")
}

func (g generator) schema(depth int) string {
	if depth == 0 {
		return g.pick("true", "false", "{}", `{"type":"integer"}`, `{"type":"string"}`, `{"type":"object"}`, `{"const":1}`, `{"minimum":1}`, `{"required":["a"]}`)
	}
	sub := func() string { return g.schema(depth - 1) }
	list := func() string { return "[" + sub() + "," + sub() + "]" }
	words := map[string]func() string{
		"type": func() string {
			return g.pick(`"integer"`, `"object"`, `["array","object"]`, `"string"`, `["null","number"]`)
		},
		"properties":            func() string { return `{"` + g.key() + `":` + sub() + `}` },
		"patternProperties":     func() string { return `{"^[ab]":` + sub() + `}` },
		"additionalProperties":  sub,
		"unevaluatedProperties": sub,
		"unevaluatedItems":      sub,
		"propertyNames":         func() string { return g.pick(`{"maxLength":1}`, `{"const":"a"}`, `true`) },
		"required":              func() string { return `["` + g.key() + `"]` },
		"dependentSchemas":      func() string { return `{"` + g.key() + `":` + sub() + `}` },
		"items":                 sub,
		"prefixItems":           list,
		"contains":              sub,
		"minContains":           func() string { return g.pick("0", "1", "2") },
		"allOf":                 list, "anyOf": list, "oneOf": list, "not": sub, "if": sub, "then": sub, "else": sub,
		"uniqueItems": func() string { return "true" },
		"enum":        func() string { return "[" + g.value(1) + "," + g.value(2) + "]" },
	}
	names := make([]string, 0, len(words))
	for _, w := range []string{"type", "properties", "patternProperties", "additionalProperties", "unevaluatedProperties", "unevaluatedItems", "propertyNames",
		"required", "dependentSchemas", "items", "prefixItems", "contains", "minContains", "allOf", "anyOf", "oneOf", "not", "if", "then", "else", "uniqueItems", "enum"} {
		if g.IntN(6) == 0 {
			names = append(names, `"`+w+`":`+words[w]())
		}
	}
	return "{" + strings.Join(names, ",") + "}"
}
