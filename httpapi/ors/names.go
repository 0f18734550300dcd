package ors

import (
	"encoding/json"
	"slices"
	"strings"
)

// keywords cannot be names of functions and arguments in Python, of which trainers make
// methods of the tools: TRL stops at a tool that has an argument "from".
var keywords = strings.Fields(`False None True and as assert async await break class continue def del elif else except
	finally for from global if import in is lambda nonlocal not or pass raise return self try while with yield`)

// alias is the name under which one is shown: with a "_" behind a keyword, or as many as make
// it differ from its neighbours.
func alias(name string, taken func(string) bool) string {
	if !slices.Contains(keywords, name) {
		return name
	}
	for name += "_"; taken(name); name += "_" {
	}
	return name
}

// isAlias reports whether a name may be an alias, and of what.
func isAlias(name string) (of string, is bool) {
	of = strings.TrimRight(name, "_")
	return of, of != name && slices.Contains(keywords, of)
}

// aliased shows the arguments of a schema by their aliases, and each with a schema that is an
// object, as TRL looks into it: true allows what {} does. Others stay as they are.
func aliased(schema json.RawMessage) json.RawMessage {
	var root, props map[string]json.RawMessage
	var required []string
	if json.Unmarshal(schema, &root) != nil || json.Unmarshal(root["properties"], &props) != nil {
		return schema
	}
	_ = json.Unmarshal(root["required"], &required) // it may have none
	shown, changed := map[string]json.RawMessage{}, false
	for name, prop := range props {
		as, rule := argument(props, name), objectOf(prop)
		shown[as] = rule
		changed = changed || as != name || len(rule) != len(prop)
	}
	if !changed {
		return schema
	}
	for i, name := range required {
		required[i] = argument(props, name)
	}
	root["properties"] = marshal(shown)
	if len(required) > 0 {
		root["required"] = marshal(required)
	}
	return marshal(root)
}

// objectOf is a schema as an object.
func objectOf(schema json.RawMessage) json.RawMessage {
	switch string(schema) {
	case "true":
		return json.RawMessage(`{}`)
	case "false":
		return json.RawMessage(`{"not":{}}`)
	}
	return schema
}

func argument(props map[string]json.RawMessage, name string) string {
	return alias(name, func(other string) bool { return props[other] != nil })
}

// marshal is for what was JSON before.
func marshal(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}
