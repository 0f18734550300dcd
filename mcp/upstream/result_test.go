package upstream

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/astra-arenas/astra"
)

var limits = astra.Limits{Result: 100, Depth: 4}

func same(s string) string { return s }

func TestReadResult(t *testing.T) {
	text := func(s string) string { return `{"type":"text","text":"` + s + `"}` }
	for _, tt := range []struct{ raw, value, err string }{
		{raw: `{"content":[],"structuredContent":{"b":1,"a":[2]}}`, value: `{"b":1,"a":[2]}`},
		{raw: `{"content":[` + text("x") + `],"structuredContent": 5}`, value: `5`},
		{raw: `{"content":[` + text("hello") + `]}`, value: `"hello"`},
		{raw: `{"content":[` + text(`{\"a\":1}`) + `]}`, value: `"{\"a\":1}"`}, // a text stays one
		{raw: `{"content":[` + text("a<b") + `,` + text("c") + `]}`, value: `[{"type":"text","text":"a<b"},{"type":"text","text":"c"}]`},
		{raw: `{"content":[{"type":"image","data":"AA=="}]}`, value: `[{"type":"image","data":"AA=="}]`},
		{raw: `{"content":[]}`, value: `[]`},
		{raw: `{"content":[` + text("null") + `],"structuredContent":null}`, value: `null`},
		{raw: `{"content":[],"structuredContent":null}`, value: `null`},
		{raw: `{"content":[` + text("hello") + `],"structuredContent":null}`, value: `"hello"`},
		{raw: `{"content":[` + text(`\ud800`) + `]}`, value: `"` + "\uFFFD" + `"`}, // half a surrogate pair
		{raw: `{"content":[` + text("a") + `,` + text("b") + `],"isError":true}`, err: "a\nb"},
		{raw: `{"content":[],"isError":true}`, err: "the tool failed and does not say why"},
		{raw: `{"content":[` + text(strings.Repeat("x", 101)) + `],"isError":true}`, err: strings.Repeat("x", 100)},
		{raw: `{"content":[` + text(strings.Repeat("x", 99)) + `]}`, err: "the result has more than 100 bytes, which is all that this arena takes; ask for less"},
		{raw: `{"structuredContent":[[[[1]]]]}`, value: `[[[[1]]]]`},
		{raw: `{"structuredContent":[[[[[1]]]]]}`, err: "the result is nested more than 4 deep"},
	} {
		res, err := readResult(json.RawMessage(tt.raw), limits, same)
		if err != nil || string(res.Value) != tt.value || res.Error != tt.err {
			t.Errorf("%s = %s %q, %v; want %s %q", tt.raw, res.Value, res.Error, err, tt.value, tt.err)
		}
	}
	for raw, want := range map[string]string{
		`[]`:                                  "its answer is no tool's result",
		`{"isError":"no"}`:                    "its answer is no tool's result",
		`{}`:                                  "its answer has no content",
		`{"structuredContent":1e999}`:         "1e999 is beyond a double",
		`{"structuredContent":{"a":1,"a":2}}`: `the key "a" comes twice`,
	} {
		if res, err := readResult(json.RawMessage(raw), limits, same); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s = %+v, %v; want %s", raw, res, err, want)
		}
	}
}

// Whatever a server answers, what is kept of it is within the limits, can be read by
// everything that reads results, and is rid of secrets.
func FuzzReadResult(f *testing.F) {
	f.Add(`{"content":[{"type":"text","text":"a \ud83d\ude00 hunter2"}],"structuredContent":{"a":[1,2.5e3,true,null,"x"]}}`)
	f.Add(`{"content":null,"structuredContent":"\ud800","isError":false}`)
	f.Add("{\"content\":[{\"type\":\"text\",\"text\":\"\xff\"}],\"isError\":true}")
	f.Add(`{"content":[{"a":1,"a":2}]}`)
	f.Add(`{"structuredContent":1234567890}`)
	clean := newScrubber(map[string]Target{"x": {Env: map[string]string{"A": "hunter2", "B": "1234567"}}})
	a, err := loadOf("limits: {result: 100, depth: 4}")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		if !json.Valid([]byte(raw)) {
			return // the library has seen to that
		}
		res, err := readResult(json.RawMessage(raw), limits, clean.text)
		if err != nil {
			return
		}
		if res.OK() == (res.Value == nil) || res.OK() == (res.Fault != "") || len(res.Value) > 100 || len(res.Error) > 200 || !utf8.ValidString(res.Error) {
			t.Fatalf("%q = %+v", raw, res)
		}
		if said := string(res.Value) + res.Error; strings.Contains(said, "hunter2") || strings.Contains(said, "1234567") {
			t.Fatalf("%q tells a secret: %s", raw, said)
		}
		if res.OK() {
			if err := a.Tool("look").CheckResult(res.Value); err != nil {
				t.Fatalf("%q = %s: %v", raw, res.Value, err)
			}
		}
	})
}

func loadOf(lines string) (*astra.Arena, error) {
	b, err := astra.NewBundle([]astra.File{{Path: "arena.yaml", Data: []byte("name: a\nversion: 1.0.0\nruntime: upstream\nupstreams: [{alias: a}]\n" + lines + "\ntools: [{name: look, description: x}]\n")}})
	if err != nil {
		return nil, err
	}
	return b.Load()
}
