package ask

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/astra-arenas/astra/llm"
)

type verdict struct {
	Verdict string `json:"verdict"`
}

func TestReadReply(t *testing.T) {
	for text, want := range map[string]string{
		`{"verdict":"yes"}`:                               "",
		"<think>{no}</think>\n{\"verdict\":\"yes\"}":      "",
		"so I say</think>{\"verdict\":\"yes\"}":           "",
		"```json\n{\"verdict\":\"yes\"}\n```":             "",
		"<think>x</think>```\n{\"verdict\":\"yes\"}\n```": "",
		"<think>{\"verdict\":\"yes\"}":                    "thought and nothing else",
		"```json\n{\"verdict\":\"yes\"}":                  "not closed",
		`Sure: {"verdict":"yes"}`:                         "one JSON object",
		`{"verdict":"yes"} {"verdict":"no"}`:              "nothing else",
		`[{"verdict":"yes"}]`:                             "one JSON object",
		`{"verdict":"yes","score":1}`:                     "unknown field",
		`{"verdict":true}`:                                "cannot be read",
		`{"verdict":"no","verdict":"yes"}`:                "comes twice",
		`{"verdict":"no","Verdict":"yes"}`:                "comes twice",
		"{\"verdict\":\"\xff\"}":                          "UTF-8",
		``:                                                "one JSON object",
	} {
		var c verdict
		err := ReadReply(llm.Reply{Text: text}, &c)
		if want == "" && (err != nil || c.Verdict != "yes") || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %+v, %v; want %q", text, c, err, want)
		}
	}
	if err := ReadReply(llm.Reply{Text: `{"verdict":"yes"}`, Cut: true}, &verdict{}); err == nil {
		t.Error("a reply that broke off was taken")
	}
}

// What a reply has beside its verdict may repeat itself from object to object, not in one.
func TestRepeatedKeys(t *testing.T) {
	for text, ok := range map[string]bool{
		`{"list":[{"a":1},{"a":{"a":2}},[],{}],"more":{"list":null}}`: true,
		`{"list":[{"a":1,"b":[{}],"a":1}]}`:                           false,
		`{"list":[[{"a":{"x":1,"x":2}}]]}`:                            false,
	} {
		var read struct {
			List json.RawMessage `json:"list"`
			More json.RawMessage `json:"more"`
		}
		if err := ReadReply(llm.Reply{Text: text}, &read); (err == nil) != ok {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestGarbled(t *testing.T) {
	for text, want := range map[string]bool{"one\n\ttwo": false, "第三": false, "": false, "four\x00": true, "fi\ufffdve": true, "\x1b[1msix": true} {
		if Garbled(text) != want {
			t.Errorf("Garbled(%q) = %v", text, !want)
		}
	}
}

func FuzzReadReply(f *testing.F) {
	f.Add("<think>x</think>```json\n{\"verdict\":\"yes\"}\n```")
	f.Add(`{"verdict":"no","verdict":"yes"}`)
	f.Fuzz(func(t *testing.T, text string) {
		var v verdict
		if ReadReply(llm.Reply{Text: text}, &v) == nil && strings.Count(strings.ToLower(text), `"verdict"`) > 1 && !strings.Contains(text, "<") {
			t.Errorf("%q was taken", text)
		}
	})
}
