package ask

import (
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
