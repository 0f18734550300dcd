package ors

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// Put together as a client does it, pieces are the text that was sent.
func FuzzPieces(f *testing.F) {
	f.Add("", 1)
	f.Add(" \u00a0\u2003\u3000x", 3000)
	f.Add("條款 𝄞", 2000)
	f.Add(`\ "`, 3000)
	f.Fuzz(func(t *testing.T, text string, times int) {
		if times < 0 || len(text)*times > 1<<20 {
			t.Skip("long")
		}
		want := strings.ToValidUTF8(strings.Repeat(text, times), "\uFFFD")
		b, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var all strings.Builder
		for piece := range pieces(string(b)) {
			if len(piece) > maxPiece || !utf8.ValidString(piece) || piece != strings.TrimLeftFunc(piece, unicode.IsSpace) {
				t.Errorf("a piece of %d bytes that a client would change: %.40q", len(piece), piece)
			}
			all.WriteString(piece)
		}
		var got string
		if err := json.Unmarshal([]byte(all.String()), &got); err != nil || got != want {
			t.Errorf("%q came as %.80q, %v", text, all.String(), err)
		}
	})
}

func TestAllowsNull(t *testing.T) {
	for schema, want := range map[string]bool{
		`{}`: true, `true`: true, `false`: false,
		`{"type":"string"}`: false, `{"type":"null"}`: true, `{"type":["string","null"]}`: true,
		`{"enum":["a"]}`: false, `{"enum":["a",null]}`: true, `{"const":null}`: true, `{"const":1}`: false,
		`{"anyOf":[{"type":"string"},{"type":"null"}]}`: true, `{"oneOf":[{"type":"string"}]}`: false,
		`{"allOf":[{},{"type":"string"}]}`: false,
		`{"$ref":"#/$defs/text"}`:          false, `{"$ref":"#/$defs/a~1b"}`: true, `{"$ref":"#/$defs/round"}`: true,
	} {
		var root, v any
		if err := json.Unmarshal([]byte(`{"$defs":{"text":{"type":"string"},"a/b":{"type":"null"},"round":{"$ref":"#/$defs/round"}}}`), &root); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(schema), &v); err != nil {
			t.Fatal(err)
		}
		if got := allowsNull(root, v, maxRefs); got != want {
			t.Errorf("%s allows null: %v, want %v", schema, got, want)
		}
	}
}
