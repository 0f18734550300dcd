package runtimetest

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"

	"github.com/astra-arenas/astra/gateway"
)

// A move is one call of a random history.
type move struct{ tool, args string }

func randomMoves(r *rand.Rand, n int) []move {
	all := make([]move, n)
	for i := range all {
		k := r.IntN(100)
		all[i] = []move{
			{"add", fmt.Sprintf(`{"n":%d}`, k)}, {"add", fmt.Sprintf(`{"n":%d.5}`, k)}, {"total", `{}`}, {"roll", `{}`},
			{"fail", `{"message":"again"}`}, {"note", `{"text":"hello"}`}, {"echo", fmt.Sprintf(`{"value":[%d,{"k":"%d"}]}`, k, k)},
		}[r.IntN(7)]
	}
	return all
}

// branches holds that a world is a function of its calls: forked at every step of a random
// history, every fork goes on as its parent did, and so does a world that plays the history
// from the beginning.
func branches(c *contract) {
	if !c.pure {
		return
	}
	for seed := range uint64(3) {
		moves := randomMoves(rand.New(rand.NewPCG(seed, 1)), 12)
		inst := c.start(int64(seed), `{"total":7}`)
		forks := []gateway.Instance{c.fork(inst)}
		var told []string
		for _, m := range moves {
			told = append(told, c.told(inst, m))
			forks = append(forks, c.fork(inst))
		}
		end := c.stateText(inst)
		forks = append(forks, c.start(int64(seed), `{"total":7}`)) // plays it all
		for i, f := range forks {
			from := i
			if i == len(forks)-1 { // the last is no fork
				from = 0
			}
			for k := from; k < len(moves); k++ {
				if got := c.told(f, moves[k]); got != told[k] {
					c.Fatalf("forked at step %d, step %d says %s, and said %s", from, k+1, got, told[k])
				}
			}
			if got := c.stateText(f); got != end {
				c.Fatalf("forked at step %d, the end is %s, and was %s", from, got, end)
			}
		}
	}
}

func (c *contract) fork(inst gateway.Instance) gateway.Instance {
	c.Helper()
	f, err := inst.Fork(c.Context())
	if err != nil {
		c.Fatalf("Fork: %v", err)
	}
	c.Cleanup(func() { f.Close() })
	return f
}

func (c *contract) told(inst gateway.Instance, m move) string {
	c.Helper()
	b, err := json.Marshal(c.call(inst, m.tool, m.args))
	if err != nil {
		c.Fatal(err)
	}
	return string(b)
}

func (c *contract) stateText(inst gateway.Instance) string {
	c.Helper()
	res, err := inst.State(c.Context())
	if err != nil {
		c.Fatalf("State: %v", err)
	}
	return string(res.Value)
}
