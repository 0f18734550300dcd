package gateway_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"testing"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
)

func (h *house) rehearse(task string) *gateway.Rehearsal {
	h.t.Helper()
	r, err := h.Rehearse(h.t.Context(), gateway.RehearsalRequest{Arena: "bank", Task: task})
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(r.Close)
	return r
}

// hardCalls has a call of every kind: good, unknown, not yet in view, bad arguments,
// exceptions that keep what was done, breaches that do not, and more than the budget.
var hardCalls = []astra.Call{
	{Tool: "balance", Args: json.RawMessage(`{"account":"ada"}`)},
	{Tool: "nothing"}, {Tool: "transfer"}, {Tool: "balance", Args: json.RawMessage(`[]`)},
	{Tool: "misbehave", Args: json.RawMessage(`{"how":"throw"}`)},
	{Tool: "misbehave", Args: json.RawMessage(`{"how":"loop"}`)},
	{Tool: "balance", Args: json.RawMessage(` {"account" : "ada"}`)},
	{Tool: "misbehave", Args: json.RawMessage(`{"how":"size"}`)},
	{Tool: "misbehave", Args: json.RawMessage(`{"how":"schema"}`)},
	{Tool: "deposit", Args: json.RawMessage(`{"account":"ada","amount":148}`), Key: "k"},
	{Tool: "deposit", Args: json.RawMessage(`{"account":"ada","amount":148}`), Key: "k"},
}

// What comes of a rehearsal is what comes of an episode, step for step, and its score.
func TestRehearsalIsAnEpisode(t *testing.T) {
	h := newHouse(t, nil)
	ctx := t.Context()
	id, r := h.mustOpen("pay").Episode, h.rehearse("pay")
	for i, c := range hardCalls {
		want, err := h.Call(ctx, id, c)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := r.Call(ctx, c); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("call %d: %+v, %v\nwant %+v", i+1, got, err, want)
		}
	}
	next, err := h.Turn(ctx, id, "so much")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := r.Turn(ctx, "so much"); err != nil || !reflect.DeepEqual(got, next) || r.Message() != next.Message {
		t.Errorf("turn = %+v, %v, want %+v", got, err, next)
	}
	pay := astra.Call{Tool: "transfer", Args: json.RawMessage(`{"from":"ada","to":"bob","amount":250}`)}
	want, _ := h.Call(ctx, id, pay)
	if got, err := r.Call(ctx, pay); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("after the turn: %+v, %v, want %+v", got, err, want)
	}
	h.sameScore(id, r)
}

func (h *house) sameScore(id astra.EpisodeID, r *gateway.Rehearsal) {
	h.t.Helper()
	answer := "done"
	got, err := r.Score(h.t.Context(), &answer)
	if err != nil {
		h.t.Fatal(err)
	}
	want, err := h.Submit(h.t.Context(), id, astra.Submitted{Answer: &answer})
	if err != nil || !reflect.DeepEqual(got, want) {
		h.t.Errorf("score = %+v\nwant %+v, %v", got, want, err)
	}
	if again, err := r.Score(h.t.Context(), &answer); err != nil || !reflect.DeepEqual(got, again) {
		h.t.Errorf("scored again: %+v, %v", again, err)
	}
}

func TestRehearsalLeavesNoTrace(t *testing.T) {
	h := newHouse(t, nil)
	before := h.Stats()
	r := h.rehearse("short")
	for range 2 {
		if _, err := r.Call(t.Context(), astra.Call{Tool: "misbehave", Args: json.RawMessage(`{"how":"loop"}`)}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := r.Call(t.Context(), astra.Call{Tool: "draw"}); !errors.Is(err, astra.ErrBudget) {
		t.Errorf("a call beyond the budget: %v", err)
	}
	if _, err := r.Score(t.Context(), nil); err != nil {
		t.Error(err)
	}
	h.clock.Pass(1000 * gateway.DefaultTTL) // a rehearsal has no time to live
	if _, err := r.Turn(t.Context(), ""); err != nil {
		t.Error(err)
	}
	if after := h.Stats(); after.Calls != before.Calls || after.Known != before.Known || after.Open != before.Open || after.Scored != before.Scored {
		t.Errorf("counts %+v became %+v", before, after)
	}
	if page, err := h.List(t.Context(), astra.Query{}); err != nil || len(page.Episodes) != 0 {
		t.Errorf("the store has %d episodes, %v", len(page.Episodes), err)
	}
}

// Forks and their origin do not see each other's calls, and a breach in one does not either.
func TestRehearsalForks(t *testing.T) {
	h := newHouse(t, nil)
	r := h.rehearse("pay")
	deposit := func(r *gateway.Rehearsal, want string) {
		t.Helper()
		step, err := r.Call(t.Context(), astra.Call{Tool: "deposit", Args: json.RawMessage(`{"account":"ada","amount":1}`)})
		if err != nil || string(step.Result.Value) != want {
			t.Errorf("deposit = %s, %v, want %s", step.Result.Value, err, want)
		}
	}
	deposit(r, `{"account":"ada","balance":251}`)
	f, err := r.Fork(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	deposit(f, `{"account":"ada","balance":252}`)
	if _, err := f.Call(t.Context(), astra.Call{Tool: "misbehave", Args: json.RawMessage(`{"how":"loop"}`)}); err != nil {
		t.Fatal(err)
	}
	deposit(f, `{"account":"ada","balance":253}`)
	deposit(r, `{"account":"ada","balance":252}`)
	if len(r.Steps()) != 2 || len(f.Steps()) != 4 {
		t.Errorf("%d and %d steps, want 2 and 4", len(r.Steps()), len(f.Steps()))
	}
	if s, err := f.State(t.Context()); err != nil || string(s.Value) != `{"accounts":{"ada":253,"bob":20}}` {
		t.Errorf("state = %s, %v", s.Value, err)
	}
}

func TestSupposing(t *testing.T) {
	h := newHouse(t, nil)
	r := h.rehearse("read")
	if _, err := r.Call(t.Context(), astra.Call{Tool: "balance", Args: json.RawMessage(`{"account":"bob"}`)}); err != nil {
		t.Fatal(err)
	}
	for value, want := range map[string]float64{`{"account":"bob","balance":20}`: 1, `{"account":"bob","balance":21}`: 0} {
		if s, err := r.Supposing(t.Context(), 1, json.RawMessage(value), nil); err != nil || s.Reward != want {
			t.Errorf("supposing %s: %+v, %v, want %v", value, s, err, want)
		}
	}
	if s, err := r.Score(t.Context(), nil); err != nil || s.Reward != 1 {
		t.Errorf("afterwards: %+v, %v", s, err)
	}
}
