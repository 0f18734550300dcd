package ray

import (
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"slices"
)

type verlTool struct {
	Class  string         `yaml:"class_name"`
	Config map[string]any `yaml:"config"`
	Schema map[string]any `yaml:"tool_schema"`
}

func verlTools(rows []Row, class string) (all []verlTool, err error) {
	seen := map[string]string{}
	for _, row := range rows {
		for _, t := range row.Tools {
			var parameters any
			if err := json.Unmarshal(t.Parameters, &parameters); err != nil {
				return nil, fmt.Errorf("parameters of %.60q: %w", t.Name, err)
			}
			same, err := json.Marshal([]any{t.Description, parameters})
			if err != nil {
				return nil, err
			}
			if before, ok := seen[t.Name]; ok && before != string(same) {
				return nil, fmt.Errorf("task %.60q: two tools are named %.60q: write a run for each of their arenas", row.Task, t.Name)
			} else if ok {
				continue
			}
			seen[t.Name] = string(same)
			all = append(all, verlTool{Class: class, Config: map[string]any{"type": "native"}, Schema: map[string]any{"type": "function",
				"function": map[string]any{"name": t.Name, "description": literal(t.Description), "parameters": verlParameters(parameters)}}})
		}
	}
	return all, nil
}

// verlParameters are a tool's as verl 0.9 reads them, which it does for what the policy is told:
// it wants properties, and a type of each, and resolves ${…}.
func verlParameters(schema any) any {
	of, ok := literals(schema).(map[string]any)
	if !ok {
		return schema
	}
	props, _ := of["properties"].(map[string]any)
	typed := map[string]any{}
	for name, p := range props {
		typed[name] = withType(p)
	}
	of["properties"] = typed
	return of
}

// withType is a property with a type, or with all: what says none allows anything.
func withType(p any) map[string]any {
	prop, ok := p.(map[string]any)
	if !ok {
		prop = map[string]any{} // true
	}
	if prop["type"] == nil {
		kinds := typesOf(prop)
		if kinds == nil {
			kinds = []string{"string", "number", "boolean", "array", "object", "null"}
		}
		prop["type"] = kinds
	}
	return prop
}

// typesOf are the types that a schema tells by its type, its alternatives, its values or its
// members, each once, in the order in which they are told; nil if it tells none.
func typesOf(schema map[string]any) []string {
	var kinds []string
	for _, told := range [][]string{declared(schema["type"]), alternatives(schema), valued(schema)} {
		for _, kind := range told {
			if kind != "" && !slices.Contains(kinds, kind) {
				kinds = append(kinds, kind)
			}
		}
	}
	switch {
	case kinds != nil:
	case schema["properties"] != nil:
		kinds = []string{"object"}
	case schema["items"] != nil:
		kinds = []string{"array"}
	}
	return kinds
}

// declared are the types of a type.
func declared(kind any) (kinds []string) {
	list, many := kind.([]any)
	if !many {
		list = []any{kind}
	}
	for _, k := range list {
		name, _ := k.(string)
		kinds = append(kinds, name)
	}
	return kinds
}

func alternatives(schema map[string]any) (kinds []string) {
	for _, of := range []string{"anyOf", "oneOf"} {
		list, _ := schema[of].([]any)
		for _, a := range list {
			one, _ := a.(map[string]any)
			kinds = append(kinds, typesOf(one)...)
		}
	}
	return kinds
}

func valued(schema map[string]any) (kinds []string) {
	values, _ := schema["enum"].([]any)
	if value, is := schema["const"]; is {
		values = append(values, value)
	}
	for _, v := range values {
		kinds = append(kinds, kindOf(v))
	}
	return kinds
}

// kindOf is JSON Schema's name for what a value is.
func kindOf(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case float64:
		if v == math.Trunc(v) {
			return "integer"
		}
		return "number"
	case string:
		return "string"
	case []any:
		return "array"
	}
	return "object"
}

// literals are a document's texts with literal.
func literals(v any) any {
	switch v := v.(type) {
	case string:
		return literal(v)
	case []any:
		for i := range v {
			v[i] = literals(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = literals(v[k])
		}
	}
	return v
}

// literal keeps OmegaConf from looking for what ${…} names.
func literal(s string) string { return interpolation.ReplaceAllString(s, `$1$1\$${`) }

var interpolation = regexp.MustCompile(`(\\*)\$\{`)
