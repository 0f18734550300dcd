package gateway_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
	"github.com/astra-arenas/astra/gateway/gatewaytest"
)

// randomCalls are calls of every kind, those that fail and breach included, and at the end
// some whose results tell the world.
func randomCalls(rng *rand.Rand, n int) []astra.Call {
	var calls []astra.Call
	call := func(tool, args string) { calls = append(calls, astra.Call{Tool: tool, Args: json.RawMessage(args)}) }
	for range n {
		account, amount := []string{"ada", "bob", "zoe"}[rng.IntN(3)], rng.IntN(90)
		switch rng.IntN(9) {
		case 0, 1:
			call("deposit", fmt.Sprintf(`{"account":%q,"amount":%d}`, account, amount))
		case 2, 3:
			call("transfer", fmt.Sprintf(`{"from":"ada","to":%q,"amount":%d}`, account, amount))
		case 4:
			call("draw", `{}`)
		case 5, 6:
			call("misbehave", fmt.Sprintf(`{"how":%q}`, []string{"throw", "hang", "schema", "size", "size", "size", "no", "loop"}[rng.IntN(8)]))
		case 7:
			call("balance", `{"account":7}`)
		default:
			call("ghost", `{}`)
		}
	}
	call("balance", `{"account":"ada"}`)
	call("balance", `{"account":"bob"}`)
	call("draw", `{}`)
	return calls
}

// bankStates plays recorded steps in a world that knows nothing of gateways, and returns
// its state before the first and after each.
func bankStates(t *testing.T, seed int64, steps []astra.Step) []string {
	t.Helper()
	arena, err := astra.Load("testdata/bank")
	must(t, err)
	program, err := gatewaytest.JavaScript(t).Load(t.Context(), arena)
	must(t, err)
	defer program.Close()
	inst, err := program.Start(t.Context(), gateway.World{Seed: seed, Now: arena.Now})
	must(t, err)
	defer func() { inst.Close() }()
	states := []string{stateText(t, inst)}
	for _, s := range steps {
		if s.Result.Fault != astra.FaultAgent && !s.Result.Injected {
			before, err := inst.Fork(t.Context())
			must(t, err)
			res, err := inst.Call(t.Context(), s.Tool, s.Args)
			must(t, err)
			if s.Result.OK() && string(res.Value) != string(s.Result.Value) || res.Breach != s.Result.Breach {
				t.Errorf("step %d is %+v; in a world alone it is %+v", s.Index, s.Result, res)
			}
			if res.Breach {
				inst, before = before, inst
			}
			before.Close()
		}
		states = append(states, stateText(t, inst))
	}
	return states
}

func stateText(t *testing.T, inst gateway.Instance) string {
	t.Helper()
	res, err := inst.State(t.Context())
	must(t, err)
	return string(res.Value) + res.Error
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// stepText is a step as far as it must be the same wherever it is played.
func stepText(s astra.Step) string {
	s.Key = ""
	b, _ := json.Marshal(s)
	return string(b)
}

// Forked at any step, an episode goes on as it did: live, woken before each call, and
// played again, with the same bytes and the same states.
func TestForkedAnywhereItIsTheSame(t *testing.T) {
	for name, opts := range map[string]*gateway.Options{"live": nil, "woken": {MaxLive: 1}} {
		t.Run(name, func(t *testing.T) {
			kinds := map[string]int{}
			for seed := range int64(3) {
				h := newHouse(t, opts)
				calls := randomCalls(rand.New(rand.NewPCG(uint64(seed), 41)), 9)
				o, err := h.Open(t.Context(), gateway.OpenRequest{Arena: "bank", Seed: &seed, Failures: &astra.FailurePlan{Rate: 0.25}})
				must(t, err)
				f := forker{house: h, calls: calls, wake: opts != nil, other: h.mustOpen("read").Episode}
				f.play(o.Episode, 0)
				e, err := h.Episode(t.Context(), o.Episode)
				must(t, err)
				for _, s := range e.Steps {
					f.steps = append(f.steps, stepText(s))
					kinds[strings.Join(strings.Fields(resultText(s.Result))[:1], "")+fmt.Sprint(s.Result.Breach, s.Result.Injected)]++
				}
				f.states = bankStates(t, seed, e.Steps)
				for at := range len(calls) + 1 {
					f.fork(o.Episode, at)
				}
				h.down()
			}
			for _, kind := range []string{"agent:false false", "tool:false false", "tool:true false", "tool:false true"} {
				if kinds[kind] < 2 {
					t.Errorf("only %d steps are of the kind %s: %v", kinds[kind], kind, kinds)
				}
			}
		})
	}
}

// A forker compares forks of one episode with what it was.
type forker struct {
	*house
	calls         []astra.Call
	wake          bool
	other         astra.EpisodeID
	steps, states []string // of the episode; states[0] is before the first step
}

// play makes the calls from a number on, and compares them with those of the episode, if known.
func (f *forker) play(id astra.EpisodeID, from int) {
	f.t.Helper()
	for i := from; i < len(f.calls); i++ {
		if f.wake {
			_, err := f.deposit(f.other, 1) // there is room for one episode
			if err != nil && !errors.Is(err, astra.ErrBudget) {
				f.t.Fatal(err)
			}
		}
		s, err := f.Call(f.t.Context(), id, f.calls[i])
		must(f.t, err)
		if f.steps != nil && stepText(s) != f.steps[i] {
			f.t.Errorf("forked at %d, step %d is %s, was %s", from, i+1, stepText(s), f.steps[i])
		}
	}
}

func (f *forker) fork(id astra.EpisodeID, at int) {
	f.t.Helper()
	forks, err := f.Fork(f.t.Context(), id, gateway.ForkRequest{At: &at})
	must(f.t, err)
	fork := forks[0].Episode
	f.state(id, &at, at)
	f.state(fork, nil, at)
	f.play(fork, at)
	f.state(fork, nil, len(f.calls))
	if r, err := f.Replay(f.t.Context(), fork); err != nil || !r.Same || r.Steps != len(f.calls) {
		f.t.Errorf("forked at %d, played again: %+v, %v", at, r, err)
	}
}

func (f *forker) state(id astra.EpisodeID, at *int, want int) {
	f.t.Helper()
	s, err := f.StateAt(f.t.Context(), id, at)
	must(f.t, err)
	if got := string(s.State) + s.Error; got != f.states[want] || s.At != want {
		f.t.Errorf("state after step %d is %s, want %s after step %d", s.At, got, f.states[want], want)
	}
}

// Forks at an earlier step share one play of the log, and are independent of each other.
func TestForksShareOneReplay(t *testing.T) {
	h, rt := newTroubled(t, nil)
	id := h.mustOpen("read").Episode
	for range 6 {
		_, err := h.deposit(id, 1)
		must(t, err)
	}
	before, at := rt.waiting.Load(), 4
	forks, err := h.Fork(t.Context(), id, gateway.ForkRequest{At: &at, N: 5})
	must(t, err)
	for i, o := range forks {
		for range 2 { // a world that another shares would have more
			_, err := h.deposit(o.Episode, 10*i)
			must(t, err)
		}
		s, err := h.deposit(o.Episode, 0)
		must(t, err)
		if want := fmt.Sprintf(`{"account":"ada","balance":%d}`, 104+20*i); string(s.Result.Value) != want {
			t.Errorf("fork %d: %s, want %s", i, s.Result.Value, want)
		}
	}
	if n := rt.waiting.Load() - before; n != 4+5*3 {
		t.Errorf("%d calls were made, want 4 to rebuild the world and 15 of the forks", n)
	}
	for _, o := range append(forks, &gateway.Opening{Episode: id}) {
		must(t, h.Abort(t.Context(), o.Episode, ""))
	}
	if n := rt.worlds.Load(); n != 0 {
		t.Errorf("%d worlds were left", n)
	}
}

// Looking at a state takes nobody's turn, changes nothing, and leaves no world behind.
func TestStateAtDisturbsNobody(t *testing.T) {
	rt := newGated()
	h := newHouseOn(t, nil, rt)
	id := h.mustOpen("").Episode
	done := make(chan error)
	go func() {
		_, err := h.deposit(id, 5)
		done <- err
	}()
	for rt.waiting.Load() == 0 {
	}
	s, err := h.StateAt(t.Context(), id, nil) // while the call waits at the gate
	if err != nil || string(s.State) != `{"accounts":{"ada":100,"bob":20}}` {
		t.Errorf("state = %+v, %v", s, err)
	}
	close(rt.gate)
	must(t, <-done)
	if n := rt.worlds.Load(); n != 1 {
		t.Errorf("%d worlds are there, want the episode's", n)
	}
	rt.trouble.Store(1)
	if s, err := h.StateAt(t.Context(), id, nil); err != nil || string(s.State) != `{"accounts":{"ada":105,"bob":20}}` {
		t.Errorf("after trouble that passes, state = %+v, %v", s, err)
	}
}

// A world that cannot be made again is no reason to end the episode: only what asked for it fails.
func TestStateAndForkOfAnotherWorld(t *testing.T) {
	h, rt := newTroubled(t, nil)
	id, at := h.mustOpen("").Episode, 1
	for range 2 {
		_, err := h.deposit(id, 5)
		must(t, err)
	}
	rt.lie.Store(true)
	if s, err := h.StateAt(t.Context(), id, nil); !errors.Is(err, astra.ErrRefused) || !strings.Contains(err.Error(), "step 1, played again, gave another result") {
		t.Errorf("StateAt = %+v, %v; want it refused", s, err)
	}
	if forks, err := h.Fork(t.Context(), id, gateway.ForkRequest{At: &at}); !errors.Is(err, astra.ErrRefused) {
		t.Errorf("Fork = %v, %v; want it refused", forks, err)
	}
	rt.lie.Store(false)
	if _, err := h.deposit(id, 5); err != nil {
		t.Errorf("the episode does not go on: %v", err)
	}
}

func TestStateWithoutState(t *testing.T) {
	h := newHouse(t, nil)
	h.serve(fair)
	o, err := h.Open(t.Context(), gateway.OpenRequest{Arena: "fair"})
	must(t, err)
	_, err = h.StateAt(t.Context(), o.Episode, nil)
	if !errors.Is(err, astra.ErrUnsupported) || !strings.Contains(err.Error(), "arena fair has no state()") {
		t.Errorf("StateAt: %v, want ErrUnsupported", err)
	}
	if _, err := h.StateAt(t.Context(), "ep-none", nil); !errors.Is(err, astra.ErrNotFound) {
		t.Errorf("StateAt of no episode: %v", err)
	}
}

// Keys of the caller's make forking the same thing to do twice.
func TestForkWithKeys(t *testing.T) {
	h := newHouse(t, &gateway.Options{MaxOpen: 4})
	o, err := h.Open(t.Context(), gateway.OpenRequest{Arena: "bank", Task: "read", Mode: astra.Eval})
	must(t, err)
	at := 0
	req := gateway.ForkRequest{At: &at, Group: "g", Keys: []astra.Key{astra.NewKey(), astra.NewKey()}}
	first, err := h.Fork(t.Context(), o.Episode, req)
	must(t, err)
	h.restart()
	again, err := h.Fork(t.Context(), o.Episode, req)
	must(t, err)
	for i := range first {
		if first[i].Key != req.Keys[i] || again[i].Key != req.Keys[i] || again[i].Episode != first[i].Episode || again[i].Message != first[i].Message {
			t.Errorf("fork %d: %+v, and again %+v", i, first[i], again[i])
		}
	}
	refused := func(what string, want error, change func(*gateway.ForkRequest)) {
		t.Helper()
		other := req
		change(&other)
		if _, err := h.Fork(t.Context(), o.Episode, other); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", what, err, want)
		}
	}
	if _, err := h.Fork(t.Context(), first[0].Episode, gateway.ForkRequest{Group: "g", Keys: req.Keys[1:]}); !errors.Is(err, astra.ErrConflict) {
		t.Errorf("forks of another episode: %v", err)
	}
	_, err = h.Call(t.Context(), o.Episode, astra.Call{Tool: "draw"})
	must(t, err)
	one := 1
	refused("another step", astra.ErrConflict, func(r *gateway.ForkRequest) { r.At = &one })
	refused("another group", astra.ErrConflict, func(r *gateway.ForkRequest) { r.Group = "" })
	refused("its own key", astra.ErrConflict, func(r *gateway.ForkRequest) { r.Keys = []astra.Key{o.Key} })
	refused("one key twice", astra.ErrRefused, func(r *gateway.ForkRequest) { r.Keys = []astra.Key{req.Keys[0], req.Keys[0]} })
	refused("too few keys", astra.ErrRefused, func(r *gateway.ForkRequest) { r.N = 3 })

	// There is room for one more, which the repeat finds.
	more := []astra.Key{astra.NewKey(), astra.NewKey()}
	refused("no room", astra.ErrFull, func(r *gateway.ForkRequest) { r.Keys = more })
	must(t, h.Abort(t.Context(), first[0].Episode, "done"))
	if forks, err := h.Fork(t.Context(), o.Episode, gateway.ForkRequest{At: &at, Group: "g", Keys: more}); err != nil || len(forks) != 2 || h.Stats().Opened != 2 {
		t.Errorf("with room: %d forks, %v; opened %d since the restart", len(forks), err, h.Stats().Opened)
	}
	refused("one that has ended", astra.ErrEnded, func(*gateway.ForkRequest) {})
}
