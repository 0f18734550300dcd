package harness

import (
	"encoding/json"
	"regexp"
	"strings"
)

// MaxText is what the gateway takes of a reply and of an answer, in bytes.
const MaxText = 64 << 10

// Clip is as much of a model's text as the gateway takes: who says more must still be scored.
func Clip(s string) string {
	if len(s) > MaxText {
		s = s[:MaxText]
	}
	return strings.ToValidUTF8(s, "")
}

// A string that does not end goes to the end: looking for its end once more at each of its
// quotes takes the square of its length.
var stringOrNoNumber = regexp.MustCompile(`(?s)"(?:[^"\\]|\\.)*"?|-?Infinity|NaN`)

// FromPython is a text as JSON where only Python's json module reads it: that takes NaN and
// Infinity for numbers, so that clients in Python pass on what a model wrote so. Here they
// become strings, which no number is. Any other text stays as it is.
func FromPython(raw []byte) []byte {
	if json.Valid(raw) || !json.Valid(replaced(raw, func([]byte) string { return " 0 " })) {
		return raw
	}
	return replaced(raw, func(name []byte) string { return `"` + string(name) + `"` })
}

// replaced has something else for each number that is none.
func replaced(raw []byte, by func(name []byte) string) []byte {
	return stringOrNoNumber.ReplaceAllFunc(raw, func(token []byte) []byte {
		if token[0] == '"' {
			return token
		}
		return []byte(by(token))
	})
}
