package examples_test

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/agent"
	"github.com/astra-arenas/astra/gateway"
	"github.com/astra-arenas/astra/gateway/gatewaytest"
	"github.com/astra-arenas/astra/sandbox"
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
	python, wasm := sandbox.NewPython(&sandbox.Options{Python: "../bin/python.wasm"}), sandbox.NewWASM(nil)
	t.Cleanup(func() { must(t, python.Close()); must(t, wasm.Close()) })
	return gatewaytest.Open(t, gatewaytest.Store(t, t.TempDir()), nil, python, wasm)
}

// serveRuntime serves one of the arenas in other languages, if it was built.
func serveRuntime(t *testing.T, name, built string) (*gateway.Gateway, *astra.Arena) {
	t.Helper()
	if _, err := os.Stat(built); err != nil {
		t.Skipf("%s is not there: make examples", built)
	}
	g := serveRuntimes(t)
	return g, gatewaytest.Add(t, g, "runtimes/"+name)
}

// TestRuntimes plays every task's gold calls in every language, forks each episode after
// its first call, while it is open, plays both to the end, and replays both.
func TestRuntimes(t *testing.T) {
	for name, built := range runtimes {
		t.Run(name, func(t *testing.T) {
			g, a := serveRuntime(t, name, built)
			for i := range a.Tasks {
				t.Run(a.Tasks[i].ID, func(t *testing.T) { playForked(t, g, a, &a.Tasks[i]) })
			}
		})
	}
}

func playForked(t *testing.T, g *gateway.Gateway, a *astra.Arena, task *astra.Task) {
	o, err := g.Open(t.Context(), gateway.OpenRequest{Arena: a.Name, Task: task.ID})
	must(t, err)
	players := []*player{{g: g, arena: a, task: task, id: o.Episode}}
	first := players[0].call(t, task.Gold[0][0].Tool, task.Gold[0][0].Args)
	forks, err := g.Fork(t.Context(), o.Episode, gateway.ForkRequest{})
	must(t, err)
	players = append(players, &player{g: g, arena: a, task: task, id: forks[0].Episode})
	for _, p := range players {
		if score := p.goldAfter(t, first); score.Reward != 1 {
			t.Errorf("reward %v, want 1: %s", score.Reward, indent(score))
		}
		r, err := g.Replay(t.Context(), p.id)
		must(t, err)
		if !r.Same {
			t.Errorf("step %d was %s and is %s", r.Step, r.Recorded, r.Replayed)
		}
	}
}

// goldAfter goes on with the gold calls after the first one and submits.
func (p *player) goldAfter(t *testing.T, first astra.Step) *astra.Score {
	t.Helper()
	values := []json.RawMessage{first.Result.Value}
	for i, calls := range p.task.Gold {
		if i > 0 {
			_, err := p.g.Turn(t.Context(), p.id, "Done.")
			must(t, err)
		} else {
			calls = calls[1:]
		}
		for _, c := range calls {
			args, err := astra.Interpolate(c.Args, values)
			must(t, err)
			step := p.call(t, c.Tool, args)
			if !step.Result.OK() {
				t.Fatalf("%s(%s) failed: %s", c.Tool, args, step.Result.Error)
			}
			values = append(values, step.Result.Value)
		}
	}
	return p.submit(t, agent.GoldAnswer(p.task))
}
