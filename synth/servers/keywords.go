package servers

import (
	"regexp"

	"github.com/getkin/kin-openapi/openapi3"
)

// keywords are a JSON Schema in the making: any, as its values are.
type keywords map[string]any

func put[T comparable](m keywords, key string, v T) {
	var zero T
	if v != zero {
		m[key] = v
	}
}

func point[T any](m keywords, key string, p *T) {
	if p != nil {
		m[key] = *p
	}
}

// texts are what a schema says of a value in words, and which values there are. What only
// documents and clients read (example, xml, discriminator, deprecated) is left out.
func (m keywords) texts(v *openapi3.Schema) {
	if v.Type != nil && len(*v.Type) == 1 {
		m["type"] = (*v.Type)[0]
	} else if v.Type != nil && len(*v.Type) > 1 {
		m["type"] = []string(*v.Type)
	}
	put(m, "title", v.Title)
	put(m, "description", v.Description)
	put(m, "format", v.Format)
	if v.Enum != nil {
		m["enum"] = v.Enum
	}
	if v.Const != nil {
		m["const"] = v.Const
	}
	if v.Default != nil {
		m["default"] = v.Default
	}
	if _, err := regexp.Compile(v.Pattern); err == nil {
		put(m, "pattern", v.Pattern)
	}
}

func (m keywords) bounds(v *openapi3.Schema) {
	point(m, "minimum", v.Min)
	point(m, "maximum", v.Max)
	m.exclusive("exclusiveMinimum", "minimum", v.ExclusiveMin)
	m.exclusive("exclusiveMaximum", "maximum", v.ExclusiveMax)
	point(m, "multipleOf", v.MultipleOf)
	put(m, "minLength", v.MinLength)
	point(m, "maxLength", v.MaxLength)
	put(m, "minItems", v.MinItems)
	point(m, "maxItems", v.MaxItems)
	put(m, "uniqueItems", v.UniqueItems)
	put(m, "minProperties", v.MinProps)
	point(m, "maxProperties", v.MaxProps)
	point(m, "minContains", v.MinContains)
	point(m, "maxContains", v.MaxContains)
	if len(v.Required) > 0 {
		m["required"] = v.Required
	}
	if len(v.DependentRequired) > 0 {
		m["dependentRequired"] = v.DependentRequired
	}
}

// exclusive is a bound of its own since 3.1; in 3.0 it said that the other one is.
func (m keywords) exclusive(key, inclusive string, b openapi3.ExclusiveBound) {
	point(m, key, b.Value)
	if bound, ok := m[inclusive]; ok && b.IsTrue() {
		m[key] = bound
		delete(m, inclusive)
	}
}

// nullable is 3.0's way to allow null.
func (m keywords) nullable() {
	if t, ok := m["type"].(string); ok {
		m["type"] = []string{t, "null"}
	}
	if all, ok := m["enum"].([]any); ok {
		m["enum"] = append(all[:len(all):len(all)], nil)
	}
}
