package examples_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/agent"
	"github.com/astra-arenas/astra/gateway"
	"github.com/astra-arenas/astra/sandbox"
	"github.com/astra-arenas/astra/store"
	"github.com/astra-arenas/astra/verifiers"
)

// runtimes are arenas in other languages than JavaScript, and what make must have built.
var runtimes = map[string]string{
	"python":         "../bin/python.wasm",
	"go":             "runtimes/go/tools.wasm",
	"assemblyscript": "runtimes/assemblyscript/tools.wasm",
}

// serveRuntimes starts a gateway that has every runtime of the sandbox.
func serveRuntimes(t *testing.T) *gateway.Gateway {
	t.Helper()
	st, err := store.Open(t.TempDir(), nil)
	must(t, err)
	t.Cleanup(func() { must(t, st.Close()) })
	python, wasm := sandbox.NewPython(&sandbox.Options{Python: "../bin/python.wasm"}), sandbox.NewWASM(nil)
	t.Cleanup(func() { must(t, python.Close()); must(t, wasm.Close()) })
	judge, err := verifiers.New()
	must(t, err)
	g, err := gateway.New(t.Context(), st, judge, []gateway.Runtime{python, wasm}, nil)
	must(t, err)
	t.Cleanup(func() { must(t, g.Close()) })
	return g
}

// TestRuntimes plays every task's gold calls in every language, forks each episode after
// its first call, and replays both.
func TestRuntimes(t *testing.T) {
	for name, built := range runtimes {
		t.Run(name, func(t *testing.T) {
			if _, err := os.Stat(built); err != nil {
				t.Skipf("%s is not there: make examples", built)
			}
			g := serveRuntimes(t)
			b, err := astra.ReadBundle(filepath.Join("runtimes", name))
			must(t, err)
			a, err := g.AddArena(t.Context(), b)
			must(t, err)
			for i := range a.Tasks {
				t.Run(a.Tasks[i].ID, func(t *testing.T) { playForked(t, g, a, &a.Tasks[i]) })
			}
		})
	}
}

func playForked(t *testing.T, g *gateway.Gateway, a *astra.Arena, task *astra.Task) {
	o, err := g.Open(t.Context(), gateway.OpenRequest{Arena: a.Name, Task: task.ID})
	must(t, err)
	p := &player{g: g, arena: a, task: task, id: o.Episode}
	if score := p.gold(t, agent.GoldAnswer(task)); score.Reward != 1 {
		t.Errorf("reward %v, want 1: %s", score.Reward, indent(score))
	}
	one := 1
	forks, err := g.Fork(t.Context(), o.Episode, gateway.ForkRequest{At: &one})
	must(t, err)
	for _, id := range []astra.EpisodeID{o.Episode, forks[0].Episode} {
		r, err := g.Replay(t.Context(), id)
		must(t, err)
		if !r.Same {
			t.Errorf("step %d was %s and is %s", r.Step, r.Recorded, r.Replayed)
		}
	}
}
