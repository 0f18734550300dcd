package gateway_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
)

func (h *house) mustOpen(task string) *gateway.Opening {
	h.t.Helper()
	o, err := h.Open(h.t.Context(), gateway.OpenRequest{Arena: "bank", Task: task})
	if err != nil {
		h.t.Fatal(err)
	}
	return o
}

func (h *house) deposit(id astra.EpisodeID, amount int) (astra.Step, error) {
	return h.Call(h.t.Context(), id, astra.Call{Tool: "deposit", Args: json.RawMessage(fmt.Sprintf(`{"account":"ada","amount":%d}`, amount))})
}

// Calls of one episode queue: none is lost, each sees the one before it.
func TestCallsQueue(t *testing.T) {
	h := newHouse(t, nil)
	id := h.mustOpen("read").Episode
	var wg sync.WaitGroup
	for range 40 {
		wg.Go(func() {
			if _, err := h.deposit(id, 1); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	e, err := h.Episode(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range e.Steps {
		if want := fmt.Sprintf(`{"account":"ada","balance":%d}`, 101+i); string(s.Result.Value) != want {
			t.Errorf("step %d = %s, want %s", s.Index, s.Result.Value, want)
		}
	}
	if len(e.Steps) != 40 {
		t.Errorf("%d steps of 40 calls", len(e.Steps))
	}
}

// More than 64 waiting calls are refused, and one that gives up leaves the queue.
func TestQueueIsBounded(t *testing.T) {
	rt := newGated()
	h := newHouseOn(t, nil, rt)
	id := h.mustOpen("").Episode
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	var busy, gaveUp atomic.Int64
	var wg sync.WaitGroup
	for range 80 {
		wg.Go(func() {
			_, err := h.Call(ctx, id, astra.Call{Tool: "balance", Args: json.RawMessage(`{"account":"ada"}`)})
			switch {
			case errors.Is(err, astra.ErrBusy):
				if busy.Add(1) == 15 {
					cancel(errors.New("hung up"))
				}
			case err != nil && err.Error() == "hung up":
				if gaveUp.Add(1) == 64 {
					close(rt.gate)
				}
			case err != nil:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if busy.Load() != 15 || gaveUp.Load() != 64 {
		t.Errorf("%d were refused and %d gave up, want 15 and 64", busy.Load(), gaveUp.Load())
	}
	if e, err := h.Episode(t.Context(), id); err != nil || len(e.Steps) != 1 || e.Status != astra.StatusOpen {
		t.Errorf("the call that ran left %d steps, %v", len(e.Steps), err)
	}
}

// Large records leave memory, too, and the idle ones alone are counted.
func TestEvictionBySize(t *testing.T) {
	h := newHouse(t, &gateway.Options{MaxBytes: 20_000})
	var ids []astra.EpisodeID
	for range 6 {
		ids = append(ids, h.mustOpen("").Episode)
	}
	large := json.RawMessage(fmt.Sprintf(`{"account":%q}`, strings.Repeat("x", 3000)))
	for range 3 {
		for _, id := range ids {
			if _, err := h.Call(t.Context(), id, astra.Call{Tool: "balance", Args: large}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if live := h.Stats().Live; live != 1 { // each has three steps of over 6,500 bytes
		t.Errorf("%d episodes in memory, want 1", live)
	}
	for range 3 {
		for _, id := range ids {
			if err := h.Abort(t.Context(), id, ""); err != nil {
				t.Fatal(err)
			}
		}
	}
	for range 4 { // small ones have room again
		h.mustOpen("")
	}
	if live := h.Stats().Live; live != 4 {
		t.Errorf("%d episodes in memory, want 4", live)
	}
}

func TestKeys(t *testing.T) {
	h := newHouse(t, nil)
	o := h.mustOpen("read")
	if id, err := h.Resolve(t.Context(), o.Key); err != nil || id != o.Episode {
		t.Errorf("Resolve = %s, %v", id, err)
	}
	h.restart()
	if id, err := h.Resolve(t.Context(), o.Key); err != nil || id != o.Episode {
		t.Errorf("Resolve after a restart = %s, %v", id, err)
	}
	if err := h.Abort(t.Context(), o.Episode, "done"); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Resolve(t.Context(), o.Key); err != nil {
		t.Errorf("shortly after the end: %v, want the episode, whose tools say that it is over", err)
	}
	h.clock.Pass(time.Hour)
	if err := h.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, key := range []astra.Key{o.Key, "", "0123456789abcdef0123456789abcdef"} {
		if _, err := h.Resolve(t.Context(), key); !errors.Is(err, astra.ErrNotFound) {
			t.Errorf("Resolve(%q) error = %v, want ErrNotFound", key, err)
		}
	}
}

// Time goes on while no process is there: whoever opens the store next finds the expired
// ended.
func TestExpiresWhileDown(t *testing.T) {
	h := newHouse(t, nil)
	id := h.mustOpen("read").Episode
	h.clock.Pass(2 * time.Hour)
	h.restart()
	if e, err := h.Episode(t.Context(), id); err != nil || e.Status != astra.StatusExpired {
		t.Errorf("after a restart: %s, %v, want expired", e.Status, err)
	}
}

func TestOpenIsBounded(t *testing.T) {
	h := newHouse(t, &gateway.Options{MaxOpen: 2})
	first := h.mustOpen("read")
	h.mustOpen("read")
	if _, err := h.Open(t.Context(), gateway.OpenRequest{Arena: "bank"}); !errors.Is(err, astra.ErrFull) {
		t.Errorf("third Open error = %v, want ErrFull", err)
	}
	if err := h.Abort(t.Context(), first.Episode, ""); err != nil {
		t.Fatal(err)
	}
	h.mustOpen("read")
}

// What doors answer hides the task's own seed and the hash of the key.
func TestRecordHidesSecrets(t *testing.T) {
	h := newHouse(t, nil)
	hidden, shown := h.mustOpen("lucky"), int64(11)
	h.clock.Pass(time.Second)
	if e, err := h.Episode(t.Context(), hidden.Episode); err != nil || e.Seed != 0 || e.KeyHash != "" {
		t.Errorf("seed %d, key hash %q, %v", e.Seed, e.KeyHash, err)
	}
	o, err := h.Open(t.Context(), gateway.OpenRequest{Arena: "bank", Task: "read", Seed: &shown})
	if err != nil {
		t.Fatal(err)
	}
	page, err := h.List(t.Context(), astra.Query{Arena: "bank"})
	if err != nil || len(page.Episodes) != 2 || page.Episodes[0].Episode != o.Episode || page.Episodes[0].Seed != 11 || page.Episodes[1].Seed != 0 {
		t.Errorf("List = %+v, %v", page.Episodes, err)
	}
}

// A refusal of calls beyond the budget is logged a bounded number of times.
func TestRefusalsDoNotFillTheLog(t *testing.T) {
	h := newHouse(t, nil)
	id := h.mustOpen("short").Episode
	for i := range 200 {
		if _, err := h.deposit(id, 1); (i >= 2) != errors.Is(err, astra.ErrBudget) {
			t.Fatalf("call %d: %v", i+1, err)
		}
	}
	if e, err := h.Episode(t.Context(), id); err != nil || e.Refused != 64 || len(e.Steps) != 2 {
		t.Errorf("%d refusals and %d steps in the log, %v", e.Refused, len(e.Steps), err)
	}
}

// A world whose replay gives something else than the log ends the episode invalid.
func TestReplayNotices(t *testing.T) {
	rt := newGated()
	close(rt.gate)
	h := newHouseOn(t, nil, rt)
	id := h.mustOpen("").Episode
	if _, err := h.deposit(id, 5); err != nil {
		t.Fatal(err)
	}
	rt.lie.Store(true)
	r, err := h.Replay(t.Context(), id)
	if err != nil || r.Same || r.Step != 1 || !strings.Contains(r.Replayed, "lie") {
		t.Errorf("Replay = %+v, %v", r, err)
	}
	h.restart()
	if _, err := h.deposit(id, 5); !errors.Is(err, astra.ErrInvalid) {
		t.Errorf("Call in a world that cannot be rebuilt: %v, want ErrInvalid", err)
	}
	if e, err := h.Episode(t.Context(), id); err != nil || e.Status != astra.StatusInvalid || e.Ended.Fault != astra.FaultSandbox {
		t.Errorf("status %s, %+v, %v", e.Status, e.Ended, err)
	}
}

// Trouble that passes is tried once more on a rebuilt instance; trouble that stays ends
// the episode, and is nobody's step.
func TestSandboxTrouble(t *testing.T) {
	rt := newGated()
	close(rt.gate)
	h := newHouseOn(t, nil, rt)
	id := h.mustOpen("").Episode
	if _, err := h.deposit(id, 1); err != nil {
		t.Fatal(err)
	}
	rt.trouble.Store(1)
	if step, err := h.deposit(id, 1); err != nil || string(step.Result.Value) != `{"account":"ada","balance":102}` {
		t.Errorf("after passing trouble: %s, %v", step.Result.Value, err)
	}
	rt.trouble.Store(2)
	_, err := h.deposit(id, 1)
	se, ok := errors.AsType[*astra.StepError](err)
	if !ok || se.Fault != astra.FaultSandbox || se.Step != 3 || !errors.Is(err, astra.ErrInvalid) {
		t.Errorf("error = %v, want a StepError of the sandbox at step 3", err)
	}
	if _, err := h.deposit(id, 1); !errors.Is(err, astra.ErrEnded) {
		t.Errorf("after that: %v, want ErrEnded", err)
	}
	if _, err := h.Submit(t.Context(), id, astra.Submitted{}); !errors.Is(err, astra.ErrEnded) {
		t.Errorf("Submit: %v, want ErrEnded and no score", err)
	}
}

// A call of an impure runtime is in the log before it is sent; without its result after
// a crash nobody knows what it did.
func TestImpureCallIsAnnounced(t *testing.T) {
	rt := newGated()
	rt.impure = true
	close(rt.gate)
	h := newHouseOn(t, nil, rt)
	id := h.mustOpen("").Episode
	if _, err := h.deposit(id, 1); err != nil {
		t.Fatal(err)
	}
	calling := astra.Calling{N: 2, Tool: "deposit", Args: json.RawMessage(`{}`)}
	if err := h.store.Append(t.Context(), id, gateway.Handed, astra.Event{Schema: astra.EventSchema, Calling: &calling}); err != nil {
		t.Fatal(err)
	}
	h.restart()
	e, err := h.Episode(t.Context(), id)
	if err != nil || e.Status != astra.StatusInvalid || e.Ended.Fault != astra.FaultUpstream {
		t.Errorf("status %s, %+v, %v", e.Status, e.Ended, err)
	}
}

// A store that cannot take a step leaves the episode as its log says.
func TestStoreTrouble(t *testing.T) {
	h := newHouse(t, nil)
	id := h.mustOpen("read").Episode
	if _, err := h.deposit(id, 1); err != nil {
		t.Fatal(err)
	}
	h.failing.fail.Store(true)
	_, err := h.deposit(id, 1)
	if se, ok := errors.AsType[*astra.StepError](err); !ok || se.Fault != astra.FaultGateway {
		t.Errorf("error = %v, want a StepError of the gateway", err)
	}
	h.failing.fail.Store(false)
	if step, err := h.deposit(id, 1); err != nil || string(step.Result.Value) != `{"account":"ada","balance":102}` {
		t.Errorf("afterwards: %s, %v; the step that was not kept must not have happened", step.Result.Value, err)
	}
}

// Rescore adds a record and leaves the first score alone.
func TestRescore(t *testing.T) {
	h := newHouse(t, nil)
	id := h.mustOpen("pay").Episode
	if _, err := h.Rescore(t.Context(), id); !errors.Is(err, astra.ErrUnscored) {
		t.Errorf("Rescore of an open episode: %v, want ErrUnscored", err)
	}
	first, err := h.Submit(t.Context(), id, astra.Submitted{})
	if err != nil {
		t.Fatal(err)
	}
	again, err := h.Rescore(t.Context(), id)
	if err != nil || again.Reward != first.Reward {
		t.Errorf("Rescore = %v, %v", again, err)
	}
	if e, err := h.Episode(t.Context(), id); err != nil || e.Score == nil || len(e.Rescored) != 1 || e.Status != astra.StatusScored {
		t.Errorf("record: %+v, %v", e, err)
	}
}

// Everything at once, for the race detector.
func TestHammer(t *testing.T) {
	h := newHouse(t, &gateway.Options{MaxLive: 3, MaxBytes: 20_000})
	var ids []astra.EpisodeID
	for range 6 {
		ids = append(ids, h.mustOpen("read").Episode)
	}
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 12 {
				id := ids[(w*5+i)%len(ids)]
				switch i % 6 {
				case 0, 1, 2:
					h.deposit(id, 1)
				case 3:
					h.Fork(t.Context(), id, gateway.ForkRequest{})
				case 4:
					h.Replay(t.Context(), id)
				case 5:
					h.Sweep(t.Context())
				}
			}
		})
	}
	wg.Wait()
	for _, id := range ids {
		if r, err := h.Replay(t.Context(), id); err != nil || !r.Same {
			t.Errorf("Replay = %+v, %v", r, err)
		}
	}
}

// Close while everything is going on: what was answered is in the log, nothing is invalid,
// and no world is left.
func TestCloseUnderLoad(t *testing.T) {
	rt := newGated()
	close(rt.gate)
	h := newHouseOn(t, &gateway.Options{MaxLive: 3}, rt)
	var mu sync.Mutex
	steps := map[astra.EpisodeID]int{} // answered
	var answered atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for {
				o, err := h.Open(t.Context(), gateway.OpenRequest{Arena: "bank", Task: "pay"})
				if err != nil {
					return
				}
				n := 0
				for range 3 {
					if _, err := h.deposit(o.Episode, 1); err == nil {
						n++
						answered.Add(1)
					}
				}
				mu.Lock()
				steps[o.Episode] = n
				mu.Unlock()
				h.Fork(t.Context(), o.Episode, gateway.ForkRequest{N: 2})
				wg.Go(func() { h.Replay(t.Context(), o.Episode) })
				if _, err := h.Submit(t.Context(), o.Episode, astra.Submitted{}); errors.Is(err, astra.ErrInvalid) {
					t.Errorf("Submit: %v", err)
				}
			}
		})
	}
	for answered.Load() < 100 {
		runtime.Gosched()
	}
	if err := h.Gateway.Close(); err != nil {
		t.Error(err)
	}
	wg.Wait()
	h.restart()
	for id, n := range steps {
		if e, err := h.Episode(t.Context(), id); err != nil || len(e.Steps) != n || e.Status == astra.StatusInvalid {
			t.Errorf("%d steps of %d, %v", len(e.Steps), n, err)
		}
	}
	h.down()
	if n := rt.worlds.Load(); n != 0 {
		t.Errorf("%d worlds were left", n)
	}
}
