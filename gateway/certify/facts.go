package certify

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/astra-arenas/astra"
)

// toolFacts is what a tool's input schema says of its arguments, at its top level. What it
// says by way of references and choices is not looked at: fewer variants are tried then.
type toolFacts struct {
	Name     string
	ReadOnly bool
	Schema   json.RawMessage
	Params   []param // by name
}

type param struct {
	Name     string
	Required bool
	Enum     []any
	Default  any // nil: none
	Examples []any
}

func factsOf(t *astra.Tool) *toolFacts {
	f := &toolFacts{Name: t.Name, ReadOnly: t.Annotations.ReadOnly, Schema: t.Input}
	root, _ := decode(t.Input).(map[string]any)
	props, _ := root["properties"].(map[string]any)
	required, _ := root["required"].([]any)
	for _, name := range slices.Sorted(maps.Keys(props)) {
		p := param{Name: name, Required: slices.Contains(required, any(name))}
		s, _ := props[name].(map[string]any)
		p.Enum, _ = s["enum"].([]any)
		p.Examples, _ = s["examples"].([]any)
		p.Default = s["default"]
		if c, ok := s["const"]; ok {
			p.Enum = []any{c}
		}
		f.Params = append(f.Params, p)
	}
	return f
}

// takesNothing reports whether a schema knows no argument. Without properties it might
// still take any; a call without arguments then fits all the same.
func (f *toolFacts) takesNothing() bool { return len(f.Params) == 0 }

func (f *toolFacts) param(name string) *param {
	for i := range f.Params {
		if f.Params[i].Name == name {
			return &f.Params[i]
		}
	}
	return nil
}
