// Package examples_test holds the example arenas to what their tasks promise: the gold
// calls score exactly 1, whatever the seed, and nothing else does.
package examples_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/agent"
	"github.com/astra-arenas/astra/gateway"
	"github.com/astra-arenas/astra/gateway/gatewaytest"
)

var arenas = []string{"files", "inventory", "travel"}

// seeds are those that tasks without one of their own are played with.
var seeds = []int64{0, 1, 2, 42, 1<<53 - 1}

func load(t *testing.T, name string) *astra.Arena {
	t.Helper()
	a, err := astra.Load(filepath.Join("arenas", name))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestArenasAreRich(t *testing.T) {
	for _, name := range arenas {
		a := load(t, name)
		got := map[string]int{}
		for _, task := range a.Tasks {
			got[string(task.Split)]++
			count(got, "multi-turn", len(task.Turns) > 1)
			count(got, "distractors", len(task.Distractors) > 0)
			count(got, "verified", len(task.Verify) > 0)
			count(got, "answers", task.Answer != nil)
			count(got, "untitled", task.Title == "")
			for _, turn := range task.Turns {
				for i := range a.Tools {
					if strings.Contains(turn.Prompt, a.Tools[i].Name) {
						t.Errorf("%s/%s: the prompt names the tool %s", name, task.ID, a.Tools[i].Name)
					}
				}
			}
		}
		if n := len(a.Tools); n < 6 || n > 10 {
			t.Errorf("%s has %d tools, want 6 to 10", name, n)
		}
		for what, least := range map[string]int{"train": 8, "validation": 2, "test": 2, "multi-turn": 2, "distractors": 2, "verified": 6, "answers": 2} {
			if got[what] < least {
				t.Errorf("%s: %d tasks are %s, want %d or more", name, got[what], what, least)
			}
		}
		if got["untitled"] > 0 {
			t.Errorf("%s: %d tasks have no title", name, got["untitled"])
		}
	}
}

func count(m map[string]int, what string, is bool) {
	if is {
		m[what]++
	}
}

// TestGoldScoresOne plays every task's gold calls in the real sandbox.
func TestGoldScoresOne(t *testing.T) {
	g := serve(t)
	each(t, g, seeds, func(t *testing.T, p *player) {
		score := p.gold(t, agent.GoldAnswer(p.task))
		if score.Reward != 1 || score.Precision != 1 || score.Recall != 1 {
			t.Errorf("reward %v, recall %v, precision %v, want 1: %s", score.Reward, score.Recall, score.Precision, indent(score))
		}
	})
}

// TestDoingNothingScoresLess shows that no task gives its whole reward away.
func TestDoingNothingScoresLess(t *testing.T) {
	g := serve(t)
	each(t, g, seeds[:1], func(t *testing.T, p *player) {
		if score := p.submit(t, ""); score.Reward > 0.3 {
			t.Errorf("doing nothing is rewarded with %v: %s", score.Reward, indent(score))
		}
	})
}

// TestDetoursLeaveTheWorldAlone begins with a call that fails and makes every reading call
// of the gold solution twice: the end state must be the same, so that every gate stays
// open, and only precision may fall.
func TestDetoursLeaveTheWorldAlone(t *testing.T) {
	g := serve(t)
	each(t, g, seeds[:1], func(t *testing.T, p *player) {
		p.call(t, p.task.Gold[0][0].Tool, json.RawMessage(`{"no such argument": 1}`))
		p.before = func(tool *astra.Tool, args json.RawMessage) {
			if tool.Annotations.ReadOnly {
				p.call(t, tool.Name, args)
			}
		}
		score := p.gold(t, agent.GoldAnswer(p.task))
		for _, part := range score.Parts {
			if part.Gate && part.Value != 1 {
				t.Errorf("the gate %s is %v after detours, want 1: %s", part.Name, part.Value, indent(part))
			}
		}
		if score.Recall != 1 || score.Reward >= 1 {
			t.Errorf("recall %v, reward %v, want 1 and less than 1", score.Recall, score.Reward)
		}
	})
}

// TestRandomCallsFailInWords makes calls that fit the schemas and mean nothing. They may
// fail, but with an exception that the author wrote: it names a remedy, and the agent pays for
// no bug of the tools.
func TestRandomCallsFailInWords(t *testing.T) {
	const calls = 50 // of each tool, which is within an episode's budget
	g := serve(t)
	rng := rand.New(rand.NewPCG(1, 2))
	for _, a := range g.Arenas() {
		p := &player{g: g, arena: a}
		for i := range a.Tools {
			tool := &a.Tools[i]
			o, err := g.Open(t.Context(), gateway.OpenRequest{Arena: a.Name})
			must(t, err)
			p.id = o.Episode
			for range calls {
				args, err := agent.Arguments(rng, tool.Input)
				must(t, err)
				step := p.call(t, tool.Name, args)
				if why := step.Result.Error; why != "" && !strings.HasPrefix(why, "Error: ") || step.Result.Breach {
					t.Errorf("%s %s(%s) failed with %q", a.Name, tool.Name, args, why)
				}
			}
		}
	}
}

// TestTutorial plays the arena that the README writes step by step.
func TestTutorial(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	must(t, err)
	var task bytes.Buffer
	must(t, json.Compact(&task, block(t, readme, "json")))
	b, err := astra.NewBundle([]astra.File{
		{Path: "arena.yaml", Data: block(t, readme, "yaml")},
		{Path: "tools.js", Data: block(t, readme, "js")},
		{Path: "tasks.jsonl", Data: task.Bytes()},
	})
	must(t, err)
	g := serve(t)
	a, err := g.AddArena(t.Context(), b)
	must(t, err)
	o, err := g.Open(t.Context(), gateway.OpenRequest{Arena: a.Name, Task: a.Tasks[0].ID})
	must(t, err)
	p := &player{g: g, arena: a, task: &a.Tasks[0], id: o.Episode}
	if score := p.gold(t, ""); score.Reward != 1 {
		t.Errorf("reward %v, want 1: %s", score.Reward, indent(score))
	}
}

// block returns the first block of a language in a Markdown text.
func block(t *testing.T, text []byte, language string) []byte {
	t.Helper()
	_, after, ok := bytes.Cut(text, []byte("```"+language+"\n"))
	code, _, closed := bytes.Cut(after, []byte("```"))
	if !ok || !closed {
		t.Fatalf("README.md has no block of %s", language)
	}
	return code
}

// serve starts a gateway over all the example arenas: some tasks have tools of another as
// distractors.
func serve(t *testing.T) *gateway.Gateway {
	t.Helper()
	g := gatewaytest.New(t, nil)
	for _, name := range arenas {
		gatewaytest.Add(t, g, "arenas/"+name)
	}
	return g
}

// each opens an episode of every task of every arena: with its own seed, or with each of seeds.
func each(t *testing.T, g *gateway.Gateway, seeds []int64, play func(*testing.T, *player)) {
	for _, a := range g.Arenas() {
		for i := range a.Tasks {
			task := &a.Tasks[i]
			worlds := seeds
			if task.Seed != nil {
				worlds = []int64{*task.Seed}
			}
			for _, seed := range worlds {
				t.Run(fmt.Sprintf("%s/%s/%d", a.Name, task.ID, seed), func(t *testing.T) {
					o, err := g.Open(t.Context(), gateway.OpenRequest{Arena: a.Name, Task: task.ID, Seed: &seed, Mode: astra.Eval})
					must(t, err)
					play(t, &player{g: g, arena: a, task: task, id: o.Episode})
				})
			}
		}
	}
}

// A player plays one episode through the gateway.
type player struct {
	g      *gateway.Gateway
	arena  *astra.Arena
	task   *astra.Task
	id     astra.EpisodeID
	before func(tool *astra.Tool, args json.RawMessage) // each gold call
}

// gold plays the gold calls turn by turn and submits.
func (p *player) gold(t *testing.T, answer string) *astra.Score {
	t.Helper()
	var values []json.RawMessage
	for i, calls := range p.task.Gold {
		if i > 0 {
			_, err := p.g.Turn(t.Context(), p.id, "Done.")
			must(t, err)
		}
		for _, c := range calls {
			if c.Args == nil {
				c.Args = json.RawMessage("{}")
			}
			args, err := astra.Interpolate(c.Args, values)
			must(t, err)
			if p.before != nil {
				p.before(p.arena.Tool(c.Tool), args)
			}
			step := p.call(t, c.Tool, args)
			if !step.Result.OK() {
				t.Fatalf("%s(%s) failed: %s", c.Tool, args, step.Result.Error)
			}
			values = append(values, step.Result.Value)
		}
	}
	return p.submit(t, answer)
}

func (p *player) call(t *testing.T, tool string, args json.RawMessage) astra.Step {
	t.Helper()
	step, err := p.g.Call(t.Context(), p.id, astra.Call{Tool: tool, Args: args})
	must(t, err)
	return step
}

func (p *player) submit(t *testing.T, answer string) *astra.Score {
	t.Helper()
	score, err := p.g.Submit(context.WithoutCancel(t.Context()), p.id, astra.Submitted{Answer: &answer})
	must(t, err)
	return score
}

func indent(v any) string {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
