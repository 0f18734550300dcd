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

var stringOrNoNumber = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|-?Infinity|NaN`)

// ReadByPython reports whether Python's json module reads a text that is no JSON: it takes NaN
// and Infinity for numbers, so that clients in Python pass on what a model wrote so.
func ReadByPython(raw []byte) bool {
	if json.Valid(raw) {
		return false
	}
	read := stringOrNoNumber.ReplaceAllFunc(raw, func(token []byte) []byte {
		if token[0] == '"' {
			return token
		}
		return []byte(" 0 ")
	})
	return json.Valid(read)
}
