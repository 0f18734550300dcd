package ask

import (
	"encoding/json"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/astra-arenas/astra/llm"
)

// Clip shortens text to at most n bytes of UTF-8.
func Clip(s string, n int) string {
	s = strings.ToValidUTF8(s, "�")
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}

// Garbled reports a text with a control character, or with half of a character, which JSON
// can spell and which is U+FFFD when it is read.
func Garbled(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool {
		return r == unicode.ReplacementChar || unicode.IsControl(r) && !strings.ContainsRune("\n\r\t", r)
	})
}

// ReadReply reads exactly one JSON object of known keys, each once. Thoughts before it and a
// fence around it are taken off; nothing else is forgiven.
func ReadReply(reply llm.Reply, into any) error {
	text, err := bare(reply.Text)
	switch {
	case reply.Cut:
		return Misread(CutShort, "the reply broke off before its end: be brief")
	case err != nil:
		return err
	case !strings.HasPrefix(text, "{"):
		return Misread(NoJSON, "the reply must be one JSON object and nothing else")
	}
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return Misread(NoJSON, "the reply cannot be read: %v", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return Misread(NoJSON, "the reply must be one JSON object and nothing else")
	}
	if key := repeated(json.NewDecoder(strings.NewReader(text))); key != "" {
		return Misread(NoJSON, "the key %.60q comes twice", key)
	}
	return nil
}

// repeated is a key that comes twice in one object of a JSON value, "" if none does. Of two
// verdicts the decoder would take the last, and it does not tell "Grade" from "grade".
func repeated(d *json.Decoder) string {
	open, _ := d.Token() // the value was read before: there are no errors
	seen := map[string]bool{}
	for open == json.Delim('{') && d.More() {
		name, _ := d.Token()
		key, _ := name.(string)
		folded := strings.ToLower(strings.ToUpper(key))
		if seen[folded] {
			return key
		}
		seen[folded] = true
		if inner := repeated(d); inner != "" {
			return inner
		}
	}
	for open == json.Delim('[') && d.More() {
		if inner := repeated(d); inner != "" {
			return inner
		}
	}
	if _, nested := open.(json.Delim); nested {
		_, _ = d.Token()
	}
	return ""
}

// bare takes thoughts and Markdown's fence off a reply.
func bare(text string) (string, error) {
	text = strings.TrimSpace(text)
	if !utf8.ValidString(text) {
		return "", Misread(NoJSON, "the reply is not UTF-8")
	}
	if !strings.HasPrefix(text, "{") { // some servers leave the opening tag out
		if i := strings.LastIndex(text, "</think>"); i >= 0 {
			text = strings.TrimSpace(text[i+len("</think>"):])
		} else if strings.HasPrefix(text, "<think>") {
			return "", Misread(NoJSON, "the reply is thought and nothing else")
		}
	}
	if body, ok := strings.CutPrefix(text, "```"); ok {
		_, body, _ = strings.Cut(body, "\n")
		body, closed := strings.CutSuffix(strings.TrimSpace(body), "```")
		if !closed {
			return "", Misread(NoJSON, "the fence around the reply is not closed")
		}
		text = strings.TrimSpace(body)
	}
	return text, nil
}
