package certify

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// decode reads JSON that astra has taken before, numbers as they are written; nil for null
// and for what is none.
func decode(raw json.RawMessage) any {
	var v any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if d.Decode(&v) != nil {
		return nil
	}
	return v
}

// encode writes a value with the keys of objects sorted: equal values have equal bytes.
func encode(v any) json.RawMessage {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic("certify: " + err.Error()) // only what decode made, and our own numbers, come here
	}
	return bytes.TrimRight(b.Bytes(), "\n")
}

// canonical is JSON with the keys of objects sorted.
func canonical(raw json.RawMessage) string { return string(encode(decode(raw))) }

// with is an object with one key set; without has it left out. The object stays as it is.
func with(object map[string]any, key string, v any) map[string]any {
	c := maps.Clone(object)
	if c == nil {
		c = map[string]any{}
	}
	c[key] = v
	return c
}

func without(object map[string]any, keys ...string) map[string]any {
	c := maps.Clone(object)
	for _, k := range keys {
		delete(c, k)
	}
	return c
}

// leaves calls f with every leaf of v and the key it stands under, in the order of sorted
// keys: that of the nearest object.
func leaves(v any, key string, f func(key string, leaf any)) {
	switch v := v.(type) {
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			leaves(v[k], k, f)
		}
	case []any:
		for _, item := range v {
			leaves(item, key, f)
		}
	default:
		f(key, v)
	}
}

// replace returns v with some leaves, or all of v, put in place of others: new is asked for each.
func replace(v any, is func(any) bool, by any) any {
	if is(v) {
		return by
	}
	switch v := v.(type) {
	case map[string]any:
		c := make(map[string]any, len(v))
		for k, item := range v {
			c[k] = replace(item, is, by)
		}
		return c
	case []any:
		c := make([]any, len(v))
		for i, item := range v {
			c[i] = replace(item, is, by)
		}
		return c
	}
	return v
}

// put returns v with what stands at a path replaced; ok is false where nothing does.
func put(v any, path []string, by any) (_ any, ok bool) {
	if len(path) == 0 {
		return by, true
	}
	switch v := v.(type) {
	case map[string]any:
		item, has := v[path[0]]
		if !has {
			return nil, false
		}
		item, ok = put(item, path[1:], by)
		return with(v, path[0], item), ok
	case []any:
		i, err := strconv.Atoi(path[0])
		if err != nil || i < 0 || i >= len(v) {
			return nil, false
		}
		c := slices.Clone(v)
		c[i], ok = put(v[i], path[1:], by)
		return c, ok
	}
	return nil, false
}

// find is what stands at a path.
func find(v any, path []string) (any, bool) {
	for _, token := range path {
		switch at := v.(type) {
		case map[string]any:
			item, has := at[token]
			if !has {
				return nil, false
			}
			v = item
		case []any:
			i, err := strconv.Atoi(token)
			if err != nil || i < 0 || i >= len(at) {
				return nil, false
			}
			v = at[i]
		default:
			return nil, false
		}
	}
	return v, true
}

// tokens splits a JSON Pointer that was taken at load.
func tokens(pointer string) []string {
	if pointer == "" {
		return nil
	}
	list := strings.Split(pointer[1:], "/")
	for i, t := range list {
		list[i] = strings.NewReplacer("~1", "/", "~0", "~").Replace(t)
	}
	return list
}

func kindOf(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case json.Number:
		return "number"
	case string:
		return "text"
	case []any:
		return "list"
	}
	return "object"
}

func isNumber(v any) (float64, bool) {
	n, ok := v.(json.Number)
	if !ok {
		return 0, false
	}
	x, err := n.Float64()
	return x, err == nil
}

func number(x float64) json.Number {
	return json.Number(strconv.FormatFloat(round(x), 'f', -1, 64))
}

// plain is a value as text: what a person would write for it.
func plain(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	return string(encode(v))
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
