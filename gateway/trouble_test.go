package gateway_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
)

// newTroubled is a house whose runtime and store can be made to fail.
func newTroubled(t *testing.T, opts *gateway.Options) (*house, *gated) {
	rt := newGated()
	close(rt.gate)
	return newHouseOn(t, opts, rt), rt
}

func (h *house) status(id astra.EpisodeID, want astra.Status, fault astra.Fault) {
	h.t.Helper()
	e, err := h.Episode(h.t.Context(), id)
	if err != nil {
		h.t.Fatal(err)
	}
	var got astra.Fault
	if e.Ended != nil {
		got = e.Ended.Fault
	}
	if e.Status != want || got != fault {
		h.t.Errorf("the episode is %s, fault %q; want %s, %q", e.Status, got, want, fault)
	}
}

// A store that takes not even the announcement of an impure call: nothing was sent, and
// the episode goes on.
func TestStoreTroubleBeforeImpureCall(t *testing.T) {
	rt := newGated()
	rt.impure = true
	close(rt.gate)
	h := newHouseOn(t, nil, rt)
	id := h.mustOpen("").Episode
	h.failing.fail.Store(true)
	_, err := h.deposit(id, 1)
	if se, ok := errors.AsType[*astra.StepError](err); !ok || se.Fault != astra.FaultGateway || errors.Is(err, astra.ErrInvalid) {
		t.Errorf("error = %v, want a StepError of the gateway", err)
	}
	h.failing.fail.Store(false)
	if step, err := h.deposit(id, 1); err != nil || step.Index != 1 {
		t.Errorf("afterwards: step %d, %v", step.Index, err)
	}
}

// An impure call that was sent and whose answer the store did not take must not be
// followed by another: nobody knows what the first did.
func TestStoreTroubleAfterImpureCall(t *testing.T) {
	rt := newGated()
	rt.impure = true
	close(rt.gate)
	h := newHouseOn(t, nil, rt)
	id := h.mustOpen("").Episode
	h.failing.later.Store(2)
	if _, err := h.deposit(id, 1); err == nil {
		t.Fatal("the answer was not kept, and nobody said so")
	}
	if _, err := h.deposit(id, 1); !errors.Is(err, astra.ErrInvalid) {
		t.Errorf("next call: %v, want ErrInvalid", err)
	}
	h.status(id, astra.StatusInvalid, astra.FaultUpstream)
}

// A result against its schema is a lie of whoever answered: there is no step, and nobody
// is asked again.
func TestImpureToolLies(t *testing.T) {
	rt := newGated()
	rt.impure = true
	close(rt.gate)
	h := newHouseOn(t, nil, rt)
	id := h.mustOpen("").Episode
	_, err := h.Call(t.Context(), id, astra.Call{Tool: "misbehave", Args: json.RawMessage(`{"how":"schema"}`)})
	if se, ok := errors.AsType[*astra.StepError](err); !ok || se.Fault != astra.FaultUpstream || !errors.Is(err, astra.ErrInvalid) {
		t.Errorf("error = %v, want a StepError of the upstream that ends the episode", err)
	}
	h.status(id, astra.StatusInvalid, astra.FaultUpstream)
	if n := rt.waiting.Load(); n != 1 {
		t.Errorf("%d calls were made, want one", n)
	}
}

// Replay of an impure episode reads the answers from the log: it asks nobody and writes nothing.
func TestReplayOfImpure(t *testing.T) {
	rt := newGated()
	rt.impure = true
	close(rt.gate)
	h := newHouseOn(t, nil, rt)
	id := h.mustOpen("").Episode
	if _, err := h.deposit(id, 1); err != nil {
		t.Fatal(err)
	}
	before := rt.waiting.Load()
	if r, err := h.Replay(t.Context(), id); err != nil || !r.Same {
		t.Errorf("Replay = %+v, %v", r, err)
	}
	if log, err := h.store.Log(t.Context(), id); err != nil || len(log) != 3 || rt.waiting.Load() != before {
		t.Errorf("after a replay the log has %d events (want opened, calling, called) and %d calls were made; %v", len(log), rt.waiting.Load()-before, err)
	}
}

// Who gives up waiting for a gold play does not spoil it for others.
func TestGoldOutlivesItsCaller(t *testing.T) {
	h, rt := newTroubled(t, nil)
	id, other := h.mustOpen("pay").Episode, h.mustOpen("pay").Episode
	if _, err := h.Submit(t.Context(), id, astra.Submitted{}); err != nil {
		t.Fatal(err)
	}
	h.restart()
	rt.gate = make(chan struct{})
	before := rt.waiting.Load()
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { h.Replay(ctx, id) })
	for rt.waiting.Load() == before {
	}
	cancel()
	close(rt.gate)
	wg.Wait()
	if _, err := h.Submit(t.Context(), other, astra.Submitted{}); err != nil {
		t.Error(err)
	}
	if n := rt.waiting.Load() - before; n != 2 {
		t.Errorf("the two gold calls took %d calls", n)
	}
}

// Episodes that are submitted together share one gold play.
func TestGoldIsPlayedOnce(t *testing.T) {
	h, rt := newTroubled(t, nil)
	var wg sync.WaitGroup
	for range 16 {
		id := h.mustOpen("pay").Episode
		wg.Go(func() {
			if score, err := h.Submit(t.Context(), id, astra.Submitted{}); err != nil || score.Reward != 0 {
				t.Errorf("Submit = %+v, %v", score, err)
			}
		})
	}
	wg.Wait()
	if n := rt.waiting.Load(); n != 2 {
		t.Errorf("the two gold calls took %d calls", n)
	}
}

// Trouble in a gold play is tried once more, and is not blamed on its author.
func TestGoldTrouble(t *testing.T) {
	h, rt := newTroubled(t, nil)
	first, second := h.mustOpen("pay").Episode, h.mustOpen("pay").Episode
	rt.trouble.Store(2)
	if _, err := h.Submit(t.Context(), first, astra.Submitted{}); !errors.Is(err, astra.ErrInvalid) {
		t.Errorf("Submit in lasting trouble: %v, want ErrInvalid", err)
	}
	h.status(first, astra.StatusInvalid, astra.FaultSandbox)
	rt.trouble.Store(1)
	if _, err := h.Submit(t.Context(), second, astra.Submitted{}); err != nil {
		t.Errorf("Submit in passing trouble: %v", err)
	}
}

// A world that has to be rebuilt for state() is tried once more, too.
func TestStateTrouble(t *testing.T) {
	h, rt := newTroubled(t, nil)
	id := h.mustOpen("short").Episode
	if _, err := h.deposit(id, 5); err != nil {
		t.Fatal(err)
	}
	h.restart()
	rt.trouble.Store(1)
	if score, err := h.Submit(t.Context(), id, astra.Submitted{}); err != nil || score.Reward != 1 {
		t.Errorf("Submit = %+v, %v", score, err)
	}
}

// An agent that breaches limits again and again does not make every call replay all before it.
func TestBreachesCostNoRebuildEach(t *testing.T) {
	h, rt := newTroubled(t, nil)
	id := h.mustOpen("").Episode
	const rounds = 10
	for i := range rounds {
		if _, err := h.deposit(id, 1); err != nil {
			t.Fatal(err)
		}
		h.want(id, "misbehave", `{"how":"size"}`, "tool: the tool used more than its result size (4096 bytes) (breach)")
		h.want(id, "balance", `{"account":"ada"}`, fmt.Sprintf(`{"account":"ada","balance":%d}`, 101+i))
	}
	if n := rt.waiting.Load(); n > 3*rounds+1 { // one step was played again, after the first breach
		t.Errorf("%d steps took %d calls", 3*rounds, n)
	}
	if r, err := h.Replay(t.Context(), id); err != nil || !r.Same {
		t.Errorf("Replay = %+v, %v", r, err)
	}
	rt.noForks.Store(true) // no room for copies: then it is slower
	h.want(id, "misbehave", `{"how":"size"}`, "tool: the tool used more than its result size (4096 bytes) (breach)")
	h.want(id, "balance", `{"account":"ada"}`, fmt.Sprintf(`{"account":"ada","balance":%d}`, 100+rounds))
	h.down()
	if n := rt.worlds.Load(); n != 0 {
		t.Errorf("%d worlds were left", n)
	}
}

// Where the runtime has room for fewer worlds than episodes may be live, idle ones give
// way: an episode must not become invalid because others rest.
func TestIdleWorldsGiveWay(t *testing.T) {
	h, rt := newTroubled(t, nil)
	rt.room.Store(2)
	var ids []astra.EpisodeID
	for range 5 {
		ids = append(ids, h.mustOpen("pay").Episode)
	}
	for i := range 3 {
		for _, id := range ids {
			h.want(id, "deposit", `{"account":"bob","amount":1}`, fmt.Sprintf(`{"account":"bob","balance":%d}`, 21+i))
		}
	}
	for _, id := range ids {
		if _, err := h.Submit(t.Context(), id, astra.Submitted{}); err != nil { // state, and gold beside it
			t.Error(err)
		}
	}
}

// Forks that find no room leave no world behind.
func TestForkWithoutRoom(t *testing.T) {
	h, rt := newTroubled(t, &gateway.Options{MaxOpen: 2})
	id := h.mustOpen("read").Episode
	if _, err := h.Fork(t.Context(), id, gateway.ForkRequest{N: 3}); !errors.Is(err, astra.ErrFull) {
		t.Errorf("Fork error = %v, want ErrFull", err)
	}
	if open := h.Stats().Open; open != 1 {
		t.Errorf("%d episodes are open, want the first alone", open)
	}
	h.down()
	if n := rt.worlds.Load(); n != 0 {
		t.Errorf("%d worlds were left", n)
	}
}

// A call that panics leaves neither its half-done work nor a closed door.
func TestPanic(t *testing.T) {
	h, rt := newTroubled(t, nil)
	id := h.mustOpen("").Episode
	rt.panics.Store(true)
	func() {
		defer func() {
			if recover() == nil {
				t.Error("no panic")
			}
		}()
		h.deposit(id, 1)
	}()
	if step, err := h.deposit(id, 1); err != nil || string(step.Result.Value) != `{"account":"ada","balance":101}` {
		t.Errorf("afterwards: %s, %v", step.Result.Value, err)
	}
}

// An arena that did not load for want of memory loads when there is some.
func TestLoadTrouble(t *testing.T) {
	h, rt := newTroubled(t, nil)
	rt.unready.Store(1)
	if _, err := h.Open(t.Context(), gateway.OpenRequest{Arena: "bank"}); !errors.Is(err, astra.ErrRefused) {
		t.Errorf("Open error = %v, want ErrRefused", err)
	}
	h.mustOpen("")
}

// An agent that fills its queue does not keep its harness out.
func TestFullQueueTakesSubmit(t *testing.T) {
	rt := newGated()
	h := newHouseOn(t, nil, rt)
	id := h.mustOpen("read").Episode
	var wg sync.WaitGroup
	h.fill(&wg, id)
	ctx, hangUp := context.WithCancel(t.Context())
	hangUp()
	if _, err := h.Submit(ctx, id, astra.Submitted{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Submit behind a full queue: %v, want it to wait", err)
	}
	close(rt.gate)
	wg.Wait()
}

// A sweep does not wait for an episode that is busy, which ends with its next call.
func TestSweepPassesBusyEpisodes(t *testing.T) {
	rt := newGated()
	h := newHouseOn(t, nil, rt)
	busy, idle := h.mustOpen("").Episode, h.mustOpen("").Episode
	var wg sync.WaitGroup
	h.fill(&wg, busy)
	h.clock.Pass(2 * time.Hour)
	if err := h.Sweep(t.Context()); err != nil { // the gate is still closed
		t.Error(err)
	}
	h.status(idle, astra.StatusExpired, "")
	h.status(busy, astra.StatusOpen, "")
	close(rt.gate)
	wg.Wait()
	h.status(busy, astra.StatusExpired, "")
}

// fill makes the queue of an episode full; the calls in it wait at the gate.
func (h *house) fill(wg *sync.WaitGroup, id astra.EpisodeID) {
	for range 65 {
		wg.Go(func() {
			for {
				if _, err := h.deposit(id, 1); !errors.Is(err, astra.ErrBusy) {
					return
				}
				runtime.Gosched() // the probe below had its place
			}
		})
	}
	ctx, hangUp := context.WithCancel(h.t.Context())
	hangUp()
	for {
		if _, err := h.Call(ctx, id, astra.Call{Tool: "balance"}); errors.Is(err, astra.ErrBusy) {
			return
		}
		runtime.Gosched()
	}
}

// An episode ends in time even if its arena is not served any more.
func TestExpiryWithoutArena(t *testing.T) {
	h := newHouse(t, nil)
	ids := []astra.EpisodeID{astra.NewEpisodeID(), astra.NewEpisodeID()}
	for _, id := range ids {
		o := astra.Opened{Episode: id, Arena: "gone", Digest: astra.Digest("sha256:" + strings.Repeat("0", 64)), Mode: astra.Practice,
			KeyHash: astra.NewKey().Hash(), Expires: h.clock.Now().Add(time.Minute)}
		if err := h.store.Append(t.Context(), id, gateway.Synced, astra.Event{Schema: astra.EventSchema, Time: h.clock.Now(), Opened: &o}); err != nil {
			t.Fatal(err)
		}
	}
	h.restart()
	if err := h.Abort(t.Context(), ids[0], "its arena is gone"); err != nil {
		t.Errorf("Abort: %v", err)
	}
	h.status(ids[0], astra.StatusAborted, "")
	h.clock.Pass(time.Hour)
	if err := h.Sweep(t.Context()); err != nil {
		t.Errorf("Sweep: %v", err)
	}
	h.status(ids[1], astra.StatusExpired, "")
}

// A turn that is not in the log was not handed out.
func TestStoreTroubleInTurn(t *testing.T) {
	h := newHouse(t, nil)
	id := h.mustOpen("pay").Episode
	h.failing.fail.Store(true)
	if next, err := h.Turn(t.Context(), id, "250"); err == nil || next != nil {
		t.Errorf("Turn = %+v, %v; want no message, and an error", next, err)
	}
	h.failing.fail.Store(false)
	if next, err := h.Turn(t.Context(), id, "250"); err != nil || next.Turn != 2 {
		t.Errorf("Turn = %+v, %v", next, err)
	}
}

// An end that reached the log, though the store did not say so, is an end.
func TestEndWithoutWord(t *testing.T) {
	h := newHouse(t, nil)
	id := h.mustOpen("read").Episode
	h.failing.mute.Store(true)
	if _, err := h.Submit(t.Context(), id, astra.Submitted{}); err == nil {
		t.Fatal("no error")
	}
	if score, err := h.Submit(t.Context(), id, astra.Submitted{}); err != nil || score == nil {
		t.Errorf("Submit again = %v, %v; want the score that was recorded", score, err)
	}
	if n := h.Stats().Open; n != 0 {
		t.Errorf("%d episodes count as open", n)
	}
}

// A harness that tells of every call it saw refused is believed, though not every refusal
// is logged.
func TestMessagesTellOfManyRefusals(t *testing.T) {
	h := newHouse(t, nil)
	id := h.mustOpen("short").Episode
	var messages []map[string]any
	for i := range 80 {
		call := fmt.Sprintf("c%d", i)
		content := "the call budget is spent"
		if step, err := h.deposit(id, 5); err == nil {
			content = step.Result.Text()
		} else if !errors.Is(err, astra.ErrBudget) {
			t.Fatal(err)
		}
		function := map[string]any{"name": "deposit", "arguments": `{"account":"ada","amount":5}`}
		messages = append(messages,
			map[string]any{"role": "assistant", "tool_calls": []any{map[string]any{"id": call, "type": "function", "function": function}}},
			map[string]any{"role": "tool", "tool_call_id": call, "content": content})
	}
	raw, err := json.Marshal(messages)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Submit(t.Context(), id, astra.Submitted{Messages: raw}); err != nil {
		t.Error(err)
	}
}

// A repeat is known whatever its tool was called, and a key that the log cannot keep is refused.
func TestOddRepeats(t *testing.T) {
	h := newHouse(t, nil)
	id := h.mustOpen("").Episode
	long := astra.Call{Tool: strings.Repeat("é", 200), Key: "k"}
	for range 2 {
		if step, err := h.Call(t.Context(), id, long); err != nil || step.Index != 1 {
			t.Errorf("step %d, %v; want step 1", step.Index, err)
		}
	}
	if _, err := h.Call(t.Context(), id, astra.Call{Tool: "draw", Key: "\xff"}); !errors.Is(err, astra.ErrRefused) {
		t.Errorf("a key that is no text: %v, want ErrRefused", err)
	}
	step, err := h.Call(t.Context(), id, astra.Call{Tool: "balance", Args: json.RawMessage("{\"account\":\"\xff\"}")})
	if err != nil || step.Result.Fault != astra.FaultAgent || string(step.Args) != "null" {
		t.Errorf("arguments that are no text: %s %+v, %v", step.Args, step.Result, err)
	}
}

// Close waits for the calls that run, not for those in a queue.
func TestCloseEmptiesQueues(t *testing.T) {
	rt := newGated()
	h := newHouseOn(t, nil, rt)
	id := h.mustOpen("").Episode
	var wg sync.WaitGroup
	h.fill(&wg, id)
	gw := h.Gateway
	wg.Go(func() {
		if err := gw.Close(); err != nil {
			t.Error(err)
		}
	})
	for !strings.Contains(fmt.Sprint(gw.Abort(t.Context(), astra.NewEpisodeID(), "")), "shutting down") {
		runtime.Gosched()
	}
	close(rt.gate)
	wg.Wait()
	if n := rt.waiting.Load(); n != 1 {
		t.Errorf("%d calls ran, want the one that had begun", n)
	}
}
