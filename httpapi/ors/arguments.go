package ors

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
)

// meant are the arguments that a client means, by the schema of the tool: by their own names,
// and without those that are null where the schema does not allow it and they may be left out,
// as some clients send null for each argument that a model did not give. Otherwise they are
// as they were sent.
func meant(args, schema json.RawMessage) json.RawMessage {
	var given, props map[string]json.RawMessage
	var root map[string]any
	if json.Unmarshal(args, &given) != nil || json.Unmarshal(schema, &root) != nil {
		return args // no object: for the gateway to refuse
	}
	top := map[string]json.RawMessage{}
	_ = json.Unmarshal(schema, &top) // it is an object
	_ = json.Unmarshal(top["properties"], &props)
	changed := unalias(given, props)
	required, _ := root["required"].([]any)
	rules, _ := root["properties"].(map[string]any)
	for name, value := range given {
		rule, known := rules[name]
		if known && isNull(value) && !slices.Contains(required, any(name)) && !allowsNull(root, rule, maxRefs) {
			delete(given, name)
			changed = true
		}
	}
	if !changed {
		return args
	}
	return marshal(given)
}

// unalias gives arguments that were sent by their aliases their names back.
func unalias(given, props map[string]json.RawMessage) (changed bool) {
	for name := range props {
		shown := argument(props, name)
		value, sent := given[shown]
		if _, both := given[name]; shown == name || !sent || both {
			continue
		}
		given[name] = value
		delete(given, shown)
		changed = true
	}
	return changed
}

func isNull(value json.RawMessage) bool { return string(bytes.TrimSpace(value)) == "null" }

// mayBeMeant tells without a schema whether meant could change anything.
func mayBeMeant(args json.RawMessage) bool {
	return bytes.Contains(args, []byte("null")) || bytes.Contains(args, []byte(`_"`))
}

// maxRefs bounds how deep schemas are followed into each other, which may be in circles.
const maxRefs = 32

// allowsNull reports whether a schema may take null; one that is too deep to tell may.
func allowsNull(root, schema any, depth int) bool {
	s, ok := schema.(map[string]any)
	if !ok || depth == 0 {
		return schema != false
	}
	may := func(sub any) bool { return allowsNull(root, sub, depth-1) }
	if ref, ok := s["$ref"].(string); ok && !may(resolve(root, ref)) {
		return false
	}
	switch t := s["type"].(type) {
	case string:
		ok = t == "null"
	case []any:
		ok = slices.Contains(t, any("null"))
	}
	if enum, is := s["enum"].([]any); is {
		ok = ok && slices.Contains(enum, nil)
	}
	if constant, is := s["const"]; is {
		ok = ok && constant == nil
	}
	return ok && anyOf(s["anyOf"], may) && anyOf(s["oneOf"], may) && allOf(s["allOf"], may)
}

func anyOf(list any, may func(any) bool) bool {
	subs, is := list.([]any)
	return !is || slices.ContainsFunc(subs, may)
}

func allOf(list any, may func(any) bool) bool {
	subs, _ := list.([]any)
	return !slices.ContainsFunc(subs, func(sub any) bool { return !may(sub) })
}

// resolve finds the place in a schema that a reference names; nil if it is none, which allows
// everything: the loader of arenas refuses such.
func resolve(root any, ref string) any {
	for part := range strings.SplitSeq(strings.TrimPrefix(ref, "#"), "/") {
		if part == "" {
			continue
		}
		m, _ := root.(map[string]any)
		root = m[strings.NewReplacer("~1", "/", "~0", "~").Replace(part)]
	}
	return root
}
