package sandbox

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/astra-arenas/astra/gateway"
)

// A world under the hammer, and what must be true of it.
type world struct {
	gateway.Instance
	*anvil
	orders int
}

// An anvil is an arena with the tools create_order and run.
type anvil struct {
	*program
	order   string   // what create_order returns, by number
	hostile []string // programs for run, some of which breach a limit
	steps   int
}

// TestHammer starts, calls, forks, breaches and closes worlds of one arena on several
// goroutines, against a count of the orders in each. Run it with -race.
func TestHammer(t *testing.T) {
	scripts := func(t *testing.T, o Options) *anvil {
		a := testArena(t, shop, shopTools...)
		a.Limits.Fuel = 1_000_000
		return &anvil{load(t, newTestRuntime(t, o), a), `{"id":"o%d","user":"u1","total":1}`,
			[]string{"for(;;);", "(function f(){f()})()", "new Uint8Array(40 << 20)", "new Uint8Array(3 << 20).fill(1).length"}, 150}
	}
	pythons := func(t *testing.T, o Options) *anvil {
		p := newPyShop(t, o)
		p.limits.Fuel = 2_000_000
		return &anvil{p, `"o%d"`,
			[]string{"while True: pass", "def f(): f()\nf()", "bytearray(40 << 20)", "result = len(bytearray(3 << 20))"}, 40}
	}
	for way, o := range ways {
		for engine, forge := range map[string]func(*testing.T, Options) *anvil{"javascript": scripts, "python": pythons} {
			t.Run(engine+"/"+way, func(t *testing.T) {
				p := forge(t, o)
				var wg sync.WaitGroup
				for w := range 6 {
					wg.Go(func() { hammer(t, p, rand.New(rand.NewPCG(uint64(w), 1)), p.steps) })
				}
				wg.Wait()
				if p.image.out != 0 {
					t.Errorf("%d memories were not released", p.image.out)
				}
			})
		}
	}
}

func hammer(t *testing.T, p *anvil, r *rand.Rand, steps int) {
	var live []*world
	defer func() {
		for _, w := range live {
			w.Instance.Close()
		}
	}()
	for range steps {
		if len(live) < 5 {
			i, err := p.Start(t.Context(), gateway.World{Seed: r.Int64(), Scenario: json.RawMessage(`{"users":2}`)})
			if err != nil {
				t.Error(err)
				return
			}
			live = append(live, &world{Instance: i, anvil: p})
		}
		k := r.IntN(len(live))
		more, err := live[k].strike(t, r)
		if err != nil {
			t.Error(err)
			return
		}
		if more != nil {
			live = append(live, more)
		}
		if r.IntN(8) == 0 || live[k].orders < 0 {
			live[k].Instance.Close()
			live = append(live[:k], live[k+1:]...)
		}
	}
}

// strike does one thing to a world; it returns a fork that it made. A world that was
// breached has fewer than no orders.
func (w *world) strike(t *testing.T, r *rand.Rand) (*world, error) {
	switch k := r.IntN(10); {
	case k < 5:
		res, err := w.Instance.Call(t.Context(), "create_order", json.RawMessage(`{"user":"u1","total":1}`))
		if want := fmt.Sprintf(w.order, w.orders); err != nil || show(res) != want {
			return nil, fmt.Errorf("order = %s, %v, want %s", show(res), err, want)
		}
		w.orders++
	case k < 7:
		f, err := w.Instance.Fork(t.Context())
		return &world{f, w.anvil, w.orders}, err
	case k < 9:
		res, err := w.Instance.State(t.Context())
		var state struct{ Orders []any }
		if err == nil {
			err = json.Unmarshal(res.Value, &state)
		}
		if err != nil || len(state.Orders) != w.orders {
			return nil, fmt.Errorf("state = %s, %v, want %d orders", show(res), err, w.orders)
		}
	default:
		code := w.hostile[r.IntN(len(w.hostile))]
		args, _ := json.Marshal(map[string]string{"code": code})
		res, err := w.Instance.Call(t.Context(), "run", args)
		if res.Breach {
			w.orders = -1
		}
		return nil, err
	}
	return nil, nil
}

// TestCloseUnderLoad closes the arena and the runtime while calls are running.
func TestCloseUnderLoad(t *testing.T) {
	rt := newTestRuntime(t, Options{})
	p := load(t, rt, testArena(t, shop, shopTools...))
	var wg sync.WaitGroup
	for range 4 {
		i := start(t, p, 1)
		wg.Go(func() {
			defer i.Close()
			for {
				r, err := i.Call(t.Context(), "spin", json.RawMessage(`{"n":10000}`))
				if err != nil {
					return // what a closed sandbox answers
				}
				if !r.OK() {
					t.Error(show(r))
					return
				}
			}
		})
	}
	p.Close()
	rt.Close()
	wg.Wait()
}
