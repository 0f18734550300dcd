package httpapi

import (
	"encoding/json"
	"reflect"
	"strings"
	"time"

	"github.com/astra-arenas/astra"
)

// A schema is a JSON Schema (2020-12) as it is written.
type schema map[string]any

var text = schema{"type": "string"}

func enum[T any](values ...T) schema { return schema{"type": "string", "enum": values} }

// schemas are the named schemas of a document.
type schemas map[string]schema

// of describes how encoding/json writes values of v's type. Structs become components.
func (s schemas) of(v any) schema { return s.ofType(reflect.TypeOf(v)) }

// enums are the string types with few values.
var enums = map[reflect.Type]schema{
	reflect.TypeFor[astra.Mode]():        enum(modes...),
	reflect.TypeFor[astra.Status]():      enum(statuses...),
	reflect.TypeFor[astra.FailureKind](): enum(astra.FailureKinds()...),
	reflect.TypeFor[astra.Fault]():       enum(astra.FaultAgent, astra.FaultTool, astra.FaultSandbox, astra.FaultVerifier, astra.FaultUpstream, astra.FaultGateway),
}

func (s schemas) ofType(t reflect.Type) schema {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return schema{"type": "string", "format": "date-time"}
	case t == reflect.TypeFor[json.RawMessage]():
		return schema{} // any value
	case enums[t] != nil:
		return enums[t]
	}
	switch t.Kind() {
	case reflect.Pointer:
		return s.ofType(t.Elem())
	case reflect.Struct:
		return s.component(t)
	case reflect.Slice, reflect.Array:
		return schema{"type": "array", "items": s.member(t.Elem(), "")}
	case reflect.Map:
		return schema{"type": "object", "additionalProperties": s.member(t.Elem(), "")}
	}
	return basic(t.Kind())
}

func basic(k reflect.Kind) schema {
	switch k {
	case reflect.String:
		return text
	case reflect.Bool:
		return schema{"type": "boolean"}
	case reflect.Float64:
		return schema{"type": "number"}
	case reflect.Interface:
		return schema{}
	}
	return schema{"type": "integer"}
}

func (s schemas) component(t reflect.Type) schema {
	name := strings.ToUpper(t.Name()[:1]) + t.Name()[1:]
	if _, known := s[name]; !known {
		c := schema{"type": "object"}
		s[name] = c // before its fields, which may lead back to it
		properties, required := schema{}, []string{}
		s.fields(t, properties, &required)
		c["properties"] = properties
		if len(required) > 0 {
			c["required"] = required
		}
	}
	return schema{"$ref": "#/components/schemas/" + name}
}

// fields adds a struct's members; those of embedded structs come first, as outer ones hide them.
func (s schemas) fields(t reflect.Type, properties schema, required *[]string) {
	for f := range visible(t) {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "":
			s.fields(f.Type, properties, required)
			continue
		case name == "-":
			continue
		case name == "":
			name = f.Name
		}
		properties[name] = s.member(f.Type, options)
		if options == "" {
			*required = append(*required, name)
		}
	}
}

// member adds null to what is written even where it is nil.
func (s schemas) member(t reflect.Type, options string) schema {
	of := s.ofType(t)
	nils := t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map
	if options == "" && nils && len(of) > 0 {
		return schema{"anyOf": []any{of, schema{"type": "null"}}}
	}
	return of
}

func visible(t reflect.Type) func(func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) {
		for i := range t.NumField() {
			if f := t.Field(i); (f.IsExported() || f.Anonymous) && !yield(f) {
				return
			}
		}
	}
}
