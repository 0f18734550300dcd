package synth_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/astra-arenas/astra/synth"
)

// flight is a sound instance: two sub-questions side by side, one that needs both, and a
// leaf that needs no tool.
func flight() *synth.Instance {
	raw := func(s string) json.RawMessage { return json.RawMessage(s) }
	return &synth.Instance{Language: synth.English, Question: "Can I bring both bags, and what does it cost?", Answer: raw(`"Both may come; the fee is 35.5 euros."`),
		Scenario: synth.ParallelMultiHop, Nodes: []synth.Node{
			{ID: "1", Question: "How many bags are free?", Answer: raw(`1`), Hop: 1, Parallel: true, Tool: true},
			{ID: "2", Question: "What does another cost?", Answer: raw(`35.5`), Hop: 1, Parallel: true, Tool: true},
			{ID: "3", Question: "What is the fee for two?", Answer: raw(`35.5`), DependsOn: []string{"1", "2"}, Hop: 2, Parallel: true, Tool: true},
			{ID: "4", Question: "Is one more than none?", Answer: raw(`"yes"`), DependsOn: []string{"1"}, Hop: 2, Parallel: true},
		}}
}

func TestCheck(t *testing.T) {
	if bad := flight().Check(); len(bad) != 0 {
		t.Errorf("a sound instance: %v", bad)
	}
	for rule, spoil := range map[string]func(*synth.Instance){
		"size":      func(in *synth.Instance) { in.Nodes = nil },
		"ids":       func(in *synth.Instance) { in.Nodes[1].ID = "1" },
		"parents":   func(in *synth.Instance) { in.Nodes[2].DependsOn = []string{"1", "9"} },
		"acyclic":   func(in *synth.Instance) { in.Nodes[0].DependsOn = []string{"3"} },
		"hop_level": func(in *synth.Instance) { in.Nodes[2].Hop = 3 },
		"parallel":  func(in *synth.Instance) { in.Nodes[0].Parallel = false },
		"scenario":  func(in *synth.Instance) { in.Scenario = synth.MultiHop },
		"leaf":      func(in *synth.Instance) { in.Nodes[0].Tool = false },
		"answer":    func(in *synth.Instance) { in.Nodes[0].Answer = json.RawMessage(`" "`) },
		"tool": func(in *synth.Instance) {
			for i := range in.Nodes {
				in.Nodes[i].Tool = false
			}
		},
		"reachable": func(in *synth.Instance) { in.Answer = json.RawMessage(`"Ask at the desk."`) },
	} {
		in := flight()
		spoil(in)
		if bad := in.Check(); len(bad) == 0 || bad[0].Rule != rule {
			t.Errorf("spoiled by %s: %v", rule, bad)
		}
	}
}

func TestLayer(t *testing.T) {
	in := flight()
	in.Nodes[0], in.Nodes[3] = in.Nodes[3], in.Nodes[0]
	for i := range in.Nodes {
		in.Nodes[i].Hop, in.Nodes[i].Parallel = 9, false
	}
	if in.Scenario = ""; !in.Layer() {
		t.Fatal("no DAG")
	}
	if bad := in.Check(); len(bad) != 0 {
		t.Errorf("after Layer: %v", bad)
	}
	in.Node("1").DependsOn = []string{"4"}
	if in.Layer() {
		t.Error("a cycle was layered")
	}
}

func TestShape(t *testing.T) {
	for deps, want := range map[string]synth.Scenario{
		"a": synth.SingleHop, "a b": synth.ParallelSingleHop, "a b:a c:b": synth.MultiHop, "a b c:a,b": synth.ParallelMultiHop, "a b:a c:a": synth.ParallelMultiHop,
	} {
		var in synth.Instance
		for f := range strings.FieldsSeq(deps) {
			id, parents, _ := strings.Cut(f, ":")
			in.Nodes = append(in.Nodes, synth.Node{ID: id, DependsOn: strings.FieldsFunc(parents, func(r rune) bool { return r == ',' })})
		}
		if got := in.Shape(); got != want {
			t.Errorf("%s is %s, want %s", deps, got, want)
		}
	}
}
