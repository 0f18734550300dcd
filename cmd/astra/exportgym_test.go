package main

import (
	"testing"

	"github.com/astra-arenas/astra"
)

// No rollout within its budget may be cut off by the agent: that would be a reward of 0.
func TestGymSteps(t *testing.T) {
	turns := make([]astra.TaskTurn, 3)
	for want, calls := range map[int]int{steps: 12, 503: 500} {
		a := &astra.Arena{Tasks: []astra.Task{{Turns: turns[:1]}, {Turns: turns, Budget: &astra.Budget{Calls: calls}}}}
		if got := (&gymTarget{}).config(&rowsFlags{}, []*astra.Arena{a}).Steps; got != want {
			t.Errorf("%d calls: %d steps, want %d", calls, got, want)
		}
	}
}
