package questions

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/astra-arenas/astra/llm"
	"github.com/astra-arenas/astra/synth"
	"github.com/astra-arenas/astra/synth/ask"
)

func FuzzReadReply(f *testing.F) {
	f.Add(`<think>a</think>{"main_question":"?","final_answer":1,"sub_questions":[{"id":"1","question":"?","answer":2,"depends_on":["1"]}]}`)
	f.Add("```\n{\"code\":\"\",\"data\":{},\"others\":[]}\n```")
	f.Fuzz(func(t *testing.T, text string) {
		var p proposal
		if ask.ReadReply(llm.Reply{Text: text}, &p) == nil {
			if in, err := p.instance(&Source{Language: synth.English}); err == nil {
				_ = (&Author{opts: Options{MinHops: 1, MaxHops: 5}}).checkInstance(in, &Source{})
			}
		}
		var c codeReply
		if ask.ReadReply(llm.Reply{Text: text}, &c) == nil {
			_ = c.check()
		}
		var d documentReply
		if ask.ReadReply(llm.Reply{Text: text}, &d) == nil {
			_ = d.Tool.tells(json.RawMessage(`"answer"`))
			_, _ = documented(&d.Tool)
		}
	})
}

func FuzzSources(f *testing.F) {
	f.Add([]byte(`{"question": "Why?", "domain": "all"}`))
	f.Add([]byte(`{"a": {"b": {"description": "c", "examples": [{"query": "d"}]}}}`))
	f.Add([]byte(strings.Repeat(`{"a":`, 40)))
	f.Fuzz(func(t *testing.T, b []byte) {
		for s, err := range ReadSources(strings.NewReader(string(b)), "") {
			if err == nil && (s.Mode == "" || s.Language == "") {
				t.Errorf("source %+v", s)
			}
		}
		all, err := ReadTaxonomy(strings.NewReader(string(b)), "")
		if err == nil && len(all) == 0 {
			t.Error("nothing, and no error")
		}
	})
}

func TestSourceErrors(t *testing.T) {
	for text, want := range map[string]string{
		"{\"domain\":\"a\"}\n\n{\"domain\":": "line 3: want a JSON object",
		`{"other": 1}`:                       "line 1: there is no question",
		"{\"domain\":\"\xff\"}":              "line 1: not UTF-8",
	} {
		var last error
		for _, err := range ReadSources(strings.NewReader(text), "") {
			last = err
		}
		if last == nil || !strings.Contains(last.Error(), want) {
			t.Errorf("%q: %v, want %q", text, last, want)
		}
	}
	for text, want := range map[string]string{
		`[]`: "want an object", `{"description":"x"}`: "under a name", `{}`: "no leaf", `{`: "no JSON",
		strings.Repeat(`{"a":`, 40) + "1" + strings.Repeat("}", 40): "levels",
	} {
		if _, err := ReadTaxonomy(strings.NewReader(text), ""); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, want %q", text, err, want)
		}
	}
}

func TestTold(t *testing.T) {
	for _, c := range []struct {
		text, answer string
		want         bool
	}{
		{"The fee is 1234.5 euros.", `1234.5`, true},
		{"The fee is 1234.5.", `1234.5`, true},
		{"The fee is 1234.56 euros.", `1234.5`, false},
		{"The fee is 51234.5 euros.", `1234.5`, false},
		{"Case 12 of 30", `12`, false},
		{"Ask for marstal  harbour now", `"Marstal Harbour"`, true},
		{"Ask for Marstaller Harbours", `"Marstal"`, false},
		{"Both, yes", `true`, false},
		{"The list has alpha", `["beta", {"x": "Alpha"}]`, true},
		{"请问天津港的费用", `"天津港"`, true},
		{"请问天津的费用", `"天津港"`, false},
		{"", `"abc"`, false},
	} {
		if got := told(c.text, json.RawMessage(c.answer)); got != c.want {
			t.Errorf("told(%q, %s) = %v", c.text, c.answer, got)
		}
	}
	d := Document{Input: json.RawMessage(`{"properties":{"n":{"type":"integer","default":7},"s":{"enum":["yes","no"]}}}`)}
	for answer, want := range map[string]bool{`7`: true, `8`: false, `"no"`: true, `true`: false} {
		if got := d.tells(json.RawMessage(answer)) != ""; got != want {
			t.Errorf("tells(%s) = %v", answer, got)
		}
	}
}

func TestRenameApart(t *testing.T) {
	var all []Environment
	for _, name := range []string{"a", "a", "b!", "a", "b!", "a_2"} {
		all = append(all, Environment{Tool: Document{Name: strings.TrimSuffix(name, "!")}, Merged: strings.HasSuffix(name, "!")})
	}
	renameApart(all, map[string]bool{"b": true})
	var names []string
	for _, e := range all {
		names = append(names, e.Tool.Name)
	}
	if got := fmt.Sprint(names); got != "[a a_2 b_2 a_3 b_2 a_2_2]" {
		t.Errorf("names %s", got)
	}
}

func TestRefer(t *testing.T) {
	in := &synth.Instance{Nodes: []synth.Node{{ID: "1", Answer: json.RawMessage(`["K1", 250.5]`)}, {ID: "2", DependsOn: []string{"1"}}}}
	environments := []Environment{{Node: "1", At: "/all/found"}, {Node: "2", Args: json.RawMessage(`{"a":"k1","b":{"c":[250.5,"$x"]},"d":"250.5","e":["K1",250.5]}`)}}
	got, err := refer(in, environments, map[string]int{"1": 1}, &environments[1])
	want := `{"a":"$1.value.all.found.0","b":{"c":["$1.value.all.found.1","$$x"]},"d":"250.5","e":"$1.value.all.found"}`
	if err != nil || string(got) != want {
		t.Errorf("refer = %s, %v; want %s", got, err, want)
	}
}
