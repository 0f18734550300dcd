package questions

import (
	"encoding/json"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/synth"
)

// told reports whether a text tells an answer, or a part of one: its words stand in it, by
// themselves. An answer that any text might have by chance (a boolean, a short word, a
// number below 100) is not looked for.
func told(text string, answer json.RawMessage) bool {
	folded := fold(text)
	for _, leaf := range leaves(answer) {
		if s := telling(leaf); s != "" && stands(folded, s) {
			return true
		}
	}
	return false
}

func fold(s string) string { return strings.Join(strings.Fields(strings.ToLower(s)), " ") }

// telling is a leaf as it would be written, or "" if it says too little.
func telling(leaf any) string {
	switch v := leaf.(type) {
	case json.Number:
		if s := v.String(); len(strings.TrimLeft(s, "-")) > 2 {
			return s
		}
	case string:
		if s := fold(v); utf8.RuneCountInString(s) > 2 || hasHan(s) && utf8.RuneCountInString(s) > 1 {
			return s
		}
	}
	return ""
}

// stands finds s in text where it is no part of a longer word or number. Chinese has no
// spaces between words.
func stands(text, s string) bool {
	for from := 0; ; {
		i := strings.Index(text[from:], s)
		if i < 0 {
			return false
		}
		i += from
		before, _ := utf8.DecodeLastRuneInString(text[:i])
		after, n := utf8.DecodeRuneInString(text[i+len(s):])
		if after == '.' { // the end of a sentence, or digits go on
			after, _ = utf8.DecodeRuneInString(text[i+len(s)+n:])
		}
		if hasHan(s) || !joins(before) && before != '.' && !joins(after) {
			return true
		}
		from = i + len(s)
	}
}

func joins(r rune) bool {
	return r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r)) && !unicode.Is(unicode.Han, r)
}

// leaves are what JSON has that is neither list nor object, in order; nil if it is none.
func leaves(raw json.RawMessage) []any {
	v, err := decode(raw)
	if err != nil {
		return nil
	}
	var all []any
	walk(v, func(leaf any) { all = append(all, leaf) })
	return all
}

func walk(v any, f func(any)) {
	switch v := v.(type) {
	case []any:
		for _, x := range v {
			walk(x, f)
		}
	case map[string]any:
		for _, k := range sortedKeys(v) {
			walk(v[k], f)
		}
	default:
		f(v)
	}
}

// tells says where a tool's document tells an answer: in its texts, or as a value that its
// schemas name (enum, default, examples). "" if nowhere.
func (d *Document) tells(answer json.RawMessage) string {
	if told(d.Title+" "+d.Description, answer) {
		return "its description"
	}
	for _, s := range []struct {
		where  string
		schema json.RawMessage
	}{{"its input schema", d.Input}, {"its output schema", d.Output}} {
		for _, leaf := range leaves(s.schema) {
			if text, ok := leaf.(string); ok && told(text, answer) {
				return s.where
			}
		}
		if names(s.schema, answer) {
			return s.where
		}
	}
	return ""
}

// names reports whether a schema has an answer among the values that it names.
func names(schema, answer json.RawMessage) bool {
	v, err := decode(schema)
	return err == nil && namesIn(v, answer)
}

func namesIn(v any, answer json.RawMessage) bool {
	switch v := v.(type) {
	case []any:
		for _, x := range v {
			if namesIn(x, answer) {
				return true
			}
		}
	case map[string]any:
		for _, k := range sortedKeys(v) {
			if k == "enum" || k == "default" || k == "const" || k == "example" || k == "examples" {
				if b, err := synth.JSON(v[k]); err == nil && !common(answer) && astra.AnyLeaf(answer, b, nil) {
					return true
				}
			}
			if namesIn(v[k], answer) {
				return true
			}
		}
	}
	return false
}

// common answers are named by schemas that tell nothing: yes and no.
func common(answer json.RawMessage) bool {
	s := string(answer)
	return s == "true" || s == "false"
}
