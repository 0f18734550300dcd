package datasets_test

import (
	"encoding/json"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/trainer/datasets"
)

func TestReadASTRA(t *testing.T) {
	f, err := os.Open("testdata/astra_sft.jsonl")
	must(t, err)
	defer f.Close()
	var got []astra.Trajectory
	var refused []string
	for tr, err := range datasets.ReadASTRA("astra_sft.jsonl", f) {
		if err != nil {
			refused = append(refused, err.Error())
		} else {
			got = append(got, tr)
		}
	}
	if len(got) != 2 {
		t.Fatalf("%d rows, refused %q", len(got), refused)
	}
	const want = `[{"role":"system","content":"Plan first."},{"role":"user","content":"Is the ferry on time, and is there a berth?"},` +
		`{"role":"assistant","content":"I ask for both.","reasoning_content":"Two calls.","tool_calls":[{"id":"call_1","type":"function","function":{"name":"ferry","arguments":"{\"line\": \"A\"}"}},{"id":"call_2","type":"function","function":{"name":"berth","arguments":"{\"at\":3}"}}]},` +
		`{"role":"tool","content":"[{\"name\":\"ferry\",\"results\":\"late\"}]","tool_call_id":"call_1"},{"role":"tool","content":"free","tool_call_id":"call_2"},` +
		`{"role":"assistant","content":"","tool_calls":[{"id":"call_3","type":"function","function":{"name":"ferry","arguments":"{}"}}]},{"role":"tool","content":"","tool_call_id":"call_3"},` +
		`{"role":"assistant","content":"Late, but there is a berth."}]`
	if string(got[0].Messages) != want {
		t.Errorf("messages:\n%s\nwant:\n%s", got[0].Messages, want)
	}
	m := got[0].Metadata
	if m.Arena != "harbour" || m.Domain != "travel" || !strings.HasPrefix(m.ID, "astra-sft-") || m.Failed != nil || m.ID == got[1].Metadata.ID {
		t.Errorf("metadata: %+v", m)
	}
	if len(got[0].Tools) != 2 || string(got[0].Tools[1].Function.Parameters) != `{"type":"object","properties":{}}` {
		t.Errorf("tools: %+v", got[0].Tools)
	}
	for i, says := range []string{
		"astra_sft.jsonl:3: trajectory: message 1: the run ended in an error",
		`astra_sft.jsonl:4: trajectory: message 2: a result of "berth", which was not called`,
		"astra_sft.jsonl:5: trajectory: it ends before ferry has its result",
		"astra_sft.jsonl:6: no row of ASTRA-SFT: mcp_info is missing",
		"astra_sft.jsonl:7: mcp_info: ",
		`astra_sft.jsonl:8: trajectory: message 0: role "tool"`,
		"astra_sft.jsonl:9: no row of ASTRA-SFT: ",
		"astra_sft.jsonl:10: the parameters of ferry are no JSON object",
	} {
		if len(refused) <= i || !strings.HasPrefix(refused[i], says) {
			t.Errorf("refusal %d of %q, want %q", i, refused, says)
		}
	}
}

// What astra rows say is what came back from them, ids aside.
func TestASTRARoundTrip(t *testing.T) {
	dir, _ := write(t, talks(t), datasets.Options{Format: datasets.ASTRA})
	i := 0
	for tr, err := range datasets.ReadASTRA("rows", strings.NewReader(read(t, dir, "train/train-00000-of-00001.jsonl"))) {
		must(t, err)
		want := talks(t)[i]
		if a, b := plainly(t, &tr), plainly(t, &want); a != b {
			t.Errorf("%s:\n%s\nwant\n%s", want.Metadata.ID, a, b)
		}
		if a, b := string(raw(t, tr.Tools)), string(raw(t, want.Tools)); a != b {
			t.Errorf("%s: tools %s, want %s", want.Metadata.ID, a, b)
		}
		i++
	}
	if i != 6 {
		t.Errorf("%d rows came back", i)
	}
}

func raw(t *testing.T, v any) []byte {
	t.Helper()
	text, err := json.Marshal(v)
	must(t, err)
	return text
}

// plainly is a chat with ids by number, and results in the order of their calls.
func plainly(t *testing.T, tr *astra.Trajectory) string {
	t.Helper()
	chat, err := tr.Chat()
	must(t, err)
	n, renamed := 0, map[string]string{}
	for i := range chat {
		for j := range chat[i].ToolCalls {
			n++
			renamed[chat[i].ToolCalls[j].ID] = "call_" + strconv.Itoa(n)
			chat[i].ToolCalls[j].ID = "call_" + strconv.Itoa(n)
		}
		if id := chat[i].ToolCallID; id != "" {
			chat[i].ToolCallID = renamed[id]
		}
	}
	for i := 1; i < len(chat); i++ { // a few, so insertion will do
		for j := i; chat[j].Role == "tool" && chat[j-1].Role == "tool" && chat[j].ToolCallID < chat[j-1].ToolCallID; j-- {
			chat[j], chat[j-1] = chat[j-1], chat[j]
		}
	}
	return string(raw(t, chat))
}

func FuzzReadASTRA(f *testing.F) {
	text, err := os.ReadFile("testdata/astra_sft.jsonl")
	if err != nil {
		f.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		for tr, err := range datasets.ReadASTRA("fuzz", strings.NewReader(string(text))) {
			if err != nil {
				continue
			}
			if _, err := tr.Chat(); err != nil {
				t.Fatalf("a row was taken that is no chat: %v\n%s", err, tr.Messages)
			}
		}
	})
}
