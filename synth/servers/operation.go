package servers

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/astra-arenas/astra"
)

// An operation is one of an OpenAPI document, with where it stands.
type operation struct {
	*openapi3.Operation
	method, path string
	item         *openapi3.PathItem
}

// called is its id, or made of its method and path: get_users_id of GET /users/{id}.
func (o *operation) called() string {
	return cmp.Or(o.OperationID, strings.ToLower(o.method)+"_"+argumentName(o.path))
}

// argumentName makes an identifier of what has brackets, hyphens and dots: filter[status] is
// filter_status.
func argumentName(s string) string {
	return identifier(strings.Join(strings.FieldsFunc(s, func(r rune) bool { return identifier("a"+string(r)) == "a_" }), "_"))
}

func (o *operation) says() string {
	summary, text := strings.TrimSpace(o.Summary), strings.TrimSpace(o.Description)
	if summary == "" || strings.HasPrefix(text, summary) {
		return text
	}
	return strings.TrimSpace(summary + "\n" + text)
}

// annotations are what HTTP says of its methods (RFC 9110, 9.2).
func (o *operation) annotations() astra.Annotations {
	a := silent
	switch o.method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, "QUERY":
		a.ReadOnly, a.Destructive, a.Idempotent = true, false, true
	case http.MethodPut, http.MethodDelete:
		a.Idempotent = true
	}
	return a
}

// arguments is the schema of an operation's arguments in the making.
type arguments struct {
	shape
	properties map[string]any
	required   []string
}

func (o *operation) input() (json.RawMessage, error) {
	a := &arguments{properties: map[string]any{}}
	for _, p := range o.parameters() {
		if err := a.parameter(p); err != nil {
			return nil, err
		}
	}
	if o.RequestBody != nil && o.RequestBody.Value != nil {
		if err := a.body(o.RequestBody.Value); err != nil {
			return nil, err
		}
	}
	schema := map[string]any{"type": "object", "properties": a.properties}
	if slices.Sort(a.required); len(a.required) > 0 {
		schema["required"] = a.required
	}
	return a.finish(schema)
}

// parameters are those of the path, where the operation has no other of the same name and
// place, and its own.
func (o *operation) parameters() (all []*openapi3.Parameter) {
	for _, list := range []openapi3.Parameters{o.Parameters, o.item.Parameters} {
		for _, ref := range list {
			if ref == nil || ref.Value == nil || ref.Value.In != "path" && ref.Value.In != "query" {
				continue
			}
			if p := ref.Value; !slices.ContainsFunc(all, func(q *openapi3.Parameter) bool { return q.Name == p.Name && q.In == p.In }) {
				all = append(all, p)
			}
		}
	}
	return all
}

func (a *arguments) parameter(p *openapi3.Parameter) error {
	ref := p.Schema
	if ref == nil {
		_, ref = jsonOf(p.Content)
	}
	name := argumentName(p.Name)
	if _, taken := a.properties[name]; taken {
		name += "_" + p.In
	}
	if _, taken := a.properties[name]; taken {
		return fmt.Errorf("two parameters would be called %.64s", name)
	}
	a.add(name, a.of(ref), p.Description, p.Required || p.In == "path")
	return nil
}

// add takes an argument. What a parameter says of itself is said by its schema here.
func (a *arguments) add(name string, schema any, description string, required bool) {
	if m, ok := schema.(map[string]any); ok && description != "" {
		m = maps.Clone(m)
		m["description"], schema = description, m
	}
	if a.properties[name] = schema; required {
		a.required = append(a.required, name)
	}
}

// body takes the properties of a body as arguments, or the body as one.
func (a *arguments) body(b *openapi3.RequestBody) error {
	_, ref := jsonOf(b.Content)
	if ref == nil || ref.Value == nil {
		return nil // bytes that no agent writes, or nothing
	}
	if !a.flat(ref.Value) {
		if _, taken := a.properties["body"]; taken {
			return fmt.Errorf("a parameter is called body, as its body would be")
		}
		a.add("body", a.of(ref), b.Description, b.Required)
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(ref.Value.Properties)) {
		p := ref.Value.Properties[name]
		if p == nil || p.Value == nil || p.Value.ReadOnly { // which is in answers alone
			continue
		}
		a.add(name, a.of(p), "", b.Required && slices.Contains(ref.Value.Required, name))
	}
	return nil
}

// flat reports whether an object is no more than properties that can be arguments.
func (a *arguments) flat(s *openapi3.Schema) bool {
	if len(s.Properties) == 0 || len(s.AllOf)+len(s.AnyOf)+len(s.OneOf) > 0 || s.Not != nil || s.If != nil || s.Nullable || s.AdditionalProperties.Schema != nil {
		return false
	}
	for name := range s.Properties {
		if _, taken := a.properties[name]; taken || name != identifier(name) || len(name) > maxName {
			return false
		}
	}
	return true
}

// output is the schema of the first successful answer that is JSON; nil where none is told,
// or where it is more than an arena takes: a tool is of use without it.
func (o *operation) output() json.RawMessage {
	answers := o.Responses.Map()
	for _, status := range slices.Sorted(maps.Keys(answers)) {
		if status[:min(1, len(status))] != "2" || answers[status] == nil || answers[status].Value == nil {
			continue
		}
		media, ref := jsonOf(answers[status].Value.Content)
		if ref == nil || !isJSON(media) {
			continue
		}
		var s shape
		schema, ok := s.of(ref).(map[string]any)
		if !ok {
			return nil
		}
		out, err := s.finish(schema)
		if err != nil {
			return nil
		}
		return out
	}
	return nil
}

// jsonOf is the schema of a content as JSON, else as the first of its forms that has one.
func jsonOf(c openapi3.Content) (first string, schema *openapi3.SchemaRef) {
	for _, media := range slices.Sorted(maps.Keys(c)) {
		switch {
		case c[media] == nil || c[media].Schema == nil:
		case isJSON(media):
			return media, c[media].Schema
		case schema == nil:
			first, schema = media, c[media].Schema
		}
	}
	return first, schema
}

func isJSON(media string) bool {
	media, _, _ = strings.Cut(media, ";")
	return strings.HasSuffix(media, "/json") || strings.HasSuffix(media, "+json") || media == "*/*"
}
