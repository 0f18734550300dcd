package servers

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/astra-arenas/astra/synth"
)

// What a schema of an OpenAPI document may have: an arena takes 64 KiB, and most of the
// small ones refer to most of the others.
const (
	maxShapes = 4000 // schemas in one
	maxShape  = 64 << 10
)

// A shape makes a JSON Schema 2020-12 of schemas of an OpenAPI document of either version.
// What it refers to is put under $defs, each once, so that circles stay what they are.
type shape struct {
	names  map[*openapi3.Schema]string // of those under $defs
	taken  map[string]bool
	queue  []*openapi3.Schema // to be put there
	shapes int
}

// of is a schema, or a reference to it. It is any, as JSON Schema is: an object or a bool.
func (s *shape) of(ref *openapi3.SchemaRef) any {
	switch {
	case ref == nil || ref.Value == nil:
		return map[string]any{}
	case ref.Ref != "":
		return map[string]any{"$ref": "#/$defs/" + s.define(ref)}
	}
	return s.schema(ref.Value)
}

func (s *shape) define(ref *openapi3.SchemaRef) string {
	if name, ok := s.names[ref.Value]; ok {
		return name
	}
	if s.names == nil {
		s.names, s.taken = map[*openapi3.Schema]string{}, map[string]bool{}
	}
	whole := identifier(ref.Ref[strings.LastIndexByte(ref.Ref, '/')+1:])
	name := whole
	for n := 2; s.taken[name]; n++ {
		name = fmt.Sprintf("%s_%d", whole, n)
	}
	s.names[ref.Value], s.taken[name] = name, true
	s.queue = append(s.queue, ref.Value)
	return name
}

// finish puts the definitions into a schema, and is its JSON.
func (s *shape) finish(schema map[string]any) (json.RawMessage, error) {
	defs := map[string]any{}
	for len(s.queue) > 0 && s.shapes <= maxShapes {
		next := s.queue[0]
		s.queue = s.queue[1:]
		defs[s.names[next]] = s.schema(next)
	}
	if len(defs) > 0 {
		schema["$defs"] = defs
	}
	b, err := synth.JSON(schema)
	if err == nil && (s.shapes > maxShapes || len(b) > maxShape) {
		err = fmt.Errorf("its schema, with all that it refers to, has more than %d bytes", maxShape)
	}
	return b, err
}

func (s *shape) schema(v *openapi3.Schema) any {
	if s.shapes++; s.shapes > maxShapes {
		return map[string]any{} // finish refuses the whole
	}
	if v.Always != nil {
		return *v.Always
	}
	m := keywords{}
	m.texts(v)
	m.bounds(v)
	s.parts(m, v)
	s.branches(m, v)
	if v.Nullable {
		m.nullable()
	}
	return map[string]any(m)
}

// parts are the schemas of what is in a value.
func (s *shape) parts(m keywords, v *openapi3.Schema) {
	s.one(m, "items", v.Items)
	s.one(m, "contains", v.Contains)
	s.one(m, "propertyNames", v.PropertyNames)
	s.list(m, "prefixItems", v.PrefixItems)
	s.named(m, "properties", v.Properties)
	s.named(m, "patternProperties", known(v.PatternProperties))
	s.named(m, "dependentSchemas", v.DependentSchemas)
	s.either(m, "additionalProperties", v.AdditionalProperties)
	s.either(m, "unevaluatedProperties", v.UnevaluatedProperties)
	s.either(m, "unevaluatedItems", v.UnevaluatedItems)
}

// branches are the schemas that hold for the same value.
func (s *shape) branches(m keywords, v *openapi3.Schema) {
	s.list(m, "allOf", v.AllOf)
	s.list(m, "anyOf", v.AnyOf)
	s.list(m, "oneOf", v.OneOf)
	s.one(m, "not", v.Not)
	s.one(m, "if", v.If)
	s.one(m, "then", v.Then)
	s.one(m, "else", v.Else)
}

func (s *shape) one(m keywords, key string, ref *openapi3.SchemaRef) {
	if ref != nil {
		m[key] = s.of(ref)
	}
}

func (s *shape) list(m keywords, key string, refs openapi3.SchemaRefs) {
	var all []any
	for _, ref := range refs {
		all = append(all, s.of(ref))
	}
	if all != nil {
		m[key] = all
	}
}

// named goes by name: which of two definitions gets a number must not depend on a map.
func (s *shape) named(m keywords, key string, schemas openapi3.Schemas) {
	all := map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(schemas)) {
		all[name] = s.of(schemas[name])
	}
	if len(all) > 0 {
		m[key] = all
	}
}

func (s *shape) either(m keywords, key string, b openapi3.BoolSchema) {
	if b.Has != nil {
		m[key] = *b.Has
	}
	s.one(m, key, b.Schema)
}

// known are the patterns that RE2 knows.
func known(patterns openapi3.Schemas) openapi3.Schemas {
	return maps.Collect(func(yield func(string, *openapi3.SchemaRef) bool) {
		for p, ref := range patterns {
			if _, err := regexp.Compile(p); err == nil && !yield(p, ref) {
				return
			}
		}
	})
}
