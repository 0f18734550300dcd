package gateway_test

import (
	"errors"
	"testing"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
)

// A simulated user's words are in the log: a fork and a replay have them too.
func TestSay(t *testing.T) {
	h := newHouse(t, nil)
	id := h.mustOpen("talk").Episode
	if _, err := h.Say(t.Context(), id, "Whose?", "Ada's."); err == nil {
		t.Error("a message came before the task's own")
	}
	if next, err := h.Turn(t.Context(), id, "Whose?"); err != nil || next.Message != "Be quick." {
		t.Fatalf("Turn = %+v, %v", next, err)
	}
	if _, err := h.Say(t.Context(), id, "Whose?", " "); !errors.Is(err, astra.ErrRefused) {
		t.Errorf("an empty message: %v", err)
	}
	next, err := h.Say(t.Context(), id, "Whose?", "Ada's.")
	if err != nil || next.Message != "Ada's." || next.Turn != 3 || next.Done {
		t.Fatalf("Say = %+v, %v", next, err)
	}
	if step, err := h.deposit(id, 5); err != nil || step.Turn != 3 {
		t.Errorf("step = %+v, %v; want turn 3", step, err)
	}
	if _, err := h.Say(t.Context(), id, "Done.", "More."); !errors.Is(err, astra.ErrRefused) {
		t.Errorf("a fourth message of three: %v", err)
	}
	if next, err := h.Turn(t.Context(), id, "Done."); err != nil || !next.Done {
		t.Errorf("Turn = %+v, %v; want the end", next, err)
	}
	one := 1
	forks, err := h.Fork(t.Context(), id, gateway.ForkRequest{At: &one})
	if err != nil {
		t.Fatal(err)
	}
	ep, err := h.Episode(t.Context(), forks[0].Episode)
	if err != nil || len(ep.Turns) != 3 || ep.Turns[2].Prompt != "Ada's." {
		t.Errorf("the fork's turns are %+v, %v", ep, err)
	}
	if _, err := h.Say(t.Context(), h.mustOpen("read").Episode, "Done.", "More."); !errors.Is(err, astra.ErrRefused) {
		t.Errorf("a task without a simulated user: %v", err)
	}
}
