package datasets_test

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/trainer/datasets"
)

// What a format cannot carry is left out with its reason.
func TestLeftOut(t *testing.T) {
	const answer = `{"role":"assistant","content":"b"}`
	const asked = `{"role":"user","content":"a"},{"role":"assistant","content":"","tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":ARGS}}]},{"role":"tool","tool_call_id":"c","content":"r"}`
	call := func(args string) string {
		text, _ := json.Marshal(args)
		return strings.Replace(asked, "ARGS", string(text), 1)
	}
	for _, tt := range []struct {
		name, messages string
		formats        []datasets.Format
		why            string
	}{
		{"no chat", `{"role":"user"`, datasets.Formats(), "its messages are no JSON"},
		{"no answer to a call", `{"role":"assistant","content":"","tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]}`, datasets.Formats(), "its messages are no chat"},
		{"no assistant", `{"role":"user","content":"a"}`, datasets.Formats(), "nothing to learn from"},
		{"no end", call("{}"), []datasets.Format{datasets.OpenAI, datasets.LLaMAFactory}, "its last message is not the assistant's answer"},
		{"no object", call("[1]") + "," + answer, []datasets.Format{datasets.TRL, datasets.NeMoRL, datasets.LLaMAFactory, datasets.ATIF}, "arguments that are no JSON object"},
		{"half a character", call(`{"a":"\ud800"}`) + "," + answer, []datasets.Format{datasets.TRL, datasets.NeMoRL, datasets.LLaMAFactory, datasets.ATIF}, "half a character in arguments"},
		{"two users", `{"role":"user","content":"a"},{"role":"user","content":"a"},` + answer, []datasets.Format{datasets.LLaMAFactory}, "turns that do not alternate"},
		{"a late system message", `{"role":"user","content":"a"},{"role":"system","content":"s"},` + answer, []datasets.Format{datasets.LLaMAFactory}, "a system message that is not the first"},
		{"call words in arguments", call(`{"a":"<tool_call>x</tool_call>"}`) + "," + answer, []datasets.Format{datasets.LLaMAFactory}, "text that LLaMA-Factory would take for calls"},
		{"a call after text", `{"role":"user","content":"q"},` + answer + "," + strings.SplitN(call("{}"), "},", 2)[1] + "," + answer, []datasets.Format{datasets.ASTRA}, "a call right after another assistant message"},
	} {
		for _, f := range tt.formats {
			tr := astra.Trajectory{Messages: json.RawMessage("[" + tt.messages + "]"), Metadata: astra.TrajectoryOf{ID: "bad", Arena: "a"}}
			m, err := datasets.Write(filepath.Join(t.TempDir(), "out"), sequence([]astra.Trajectory{tr, talk(1, "a")}), nil, datasets.Options{Format: f})
			must(t, err)
			if len(m.LeftOut) != 1 || m.LeftOut[0].What != tt.why {
				t.Errorf("%s, %s: left out %+v, want %q", tt.name, f, m.LeftOut, tt.why)
			}
		}
	}
}

func TestTools(t *testing.T) {
	for _, parameters := range []string{`[]`, `null`, `{"a":"\ud800x"}`} {
		tr := talk(1, "a")
		tr.Metadata.ID = "bad"
		tr.Tools = []astra.ChatTool{{Type: "function", Function: astra.ChatToolSpec{Name: "f", Parameters: json.RawMessage(parameters)}}}
		_, m := write(t, []astra.Trajectory{tr, talk(2, "a")}, datasets.Options{Format: datasets.OpenAI})
		if len(m.LeftOut) != 1 || m.LeftOut[0].What != "its tools cannot be told" {
			t.Errorf("parameters %s: left out %+v", parameters, m.LeftOut)
		}
	}
}

// Weights: what a fork inherited and, if asked for, failed calls are not learned from.
func TestWeights(t *testing.T) {
	for _, tt := range []struct {
		id   string
		mask bool
		want string
	}{
		{"one-call", false, `"weights":[0,1,0,1]`},
		{"fork", false, `"weights":[0,0,0,1,0,1]`},
		{"two-turns", false, `"weights":[0,1,0,1,0,1,0,1]`},
		{"two-turns", true, `"weights":[0,0,0,1,0,1,0,1]`},
	} {
		dir, _ := write(t, talks(t), datasets.Options{Format: datasets.OpenAI, MaskFailed: tt.mask})
		found := false
		for _, line := range strings.Split(read(t, dir, "rows.jsonl"), "\n") {
			found = found || strings.Contains(line, `"id":"`+tt.id+`"`) && strings.Contains(line, tt.want)
		}
		if !found {
			t.Errorf("%s, masked %v: want %s in\n%s", tt.id, tt.mask, tt.want, read(t, dir, "rows.jsonl"))
		}
	}
	unknown := talk(1, "a")
	unknown.Metadata.Failed = nil
	_, m := write(t, append(talks(t), unknown), datasets.Options{Format: datasets.OpenAI, MaskFailed: true})
	if len(m.LeftOut) != 1 || m.LeftOut[0].What != "which of its steps failed is not known" {
		t.Errorf("left out %+v", m.LeftOut)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}],"tools":[],"metadata":{"arena":"x","seed":0}}`))
	f.Add([]byte(`{"messages":[{"role":"assistant","tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{\"a\":0.7,\"b\":\"\\ud83d\\ude00\"}"}}]},{"role":"tool","tool_call_id":"c","content":"r"},{"role":"assistant","content":"x"}],"tools":[{"type":"function","function":{"name":"f","parameters":{"a":1e5}}}],"metadata":{"arena":"x","seed":1,"prefix":1,"failed":[1],"others":["y"],"scores":{"mean":0.5}}}`))
	f.Add([]byte("\xef\xbb\xbf{}\n\n[1]\nnull\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		o := datasets.Options{Format: datasets.Formats()[len(text)%6], Parquet: len(text)/6%2 == 0, Eval: 0.5}
		m, err := datasets.Write(filepath.Join(t.TempDir(), "out"), datasets.Read("fuzz", strings.NewReader(string(text))), nil, o)
		if err != nil && (m == nil || len(m.Splits) > 0) {
			t.Fatalf("%s: %v", o.Format, err)
		}
	})
}
