package ors

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
)

// withoutNulls leaves out arguments that are null where their schema does not allow it and they
// may be left out: some clients send null for each argument that a model did not give. Others
// are as they were sent.
func withoutNulls(args, schema json.RawMessage) json.RawMessage {
	var given map[string]json.RawMessage
	var root map[string]any
	if json.Unmarshal(args, &given) != nil || json.Unmarshal(schema, &root) != nil {
		return args // no object: for the gateway to refuse
	}
	props, _ := root["properties"].(map[string]any)
	required, _ := root["required"].([]any)
	left := len(given)
	for name, value := range given {
		prop, known := props[name]
		if known && isNull(value) && !slices.Contains(required, any(name)) && !allowsNull(root, prop, maxRefs) {
			delete(given, name)
		}
	}
	if len(given) == left {
		return args
	}
	b, err := json.Marshal(given)
	if err != nil {
		return args
	}
	return b
}

func isNull(value json.RawMessage) bool { return string(bytes.TrimSpace(value)) == "null" }

// mayHaveNulls tells without parsing whether withoutNulls could change anything.
func mayHaveNulls(args json.RawMessage) bool { return bytes.Contains(args, []byte("null")) }

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
	path, _ := strings.CutPrefix(ref, "#")
	for part := range strings.SplitSeq(strings.TrimPrefix(path, "/"), "/") {
		if part == "" {
			continue
		}
		m, _ := root.(map[string]any)
		root = m[strings.NewReplacer("~1", "/", "~0", "~").Replace(part)]
	}
	return root
}
