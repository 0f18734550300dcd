package gateway

import (
	"testing"

	"github.com/astra-arenas/astra"
)

// The nearest world is the last before a step, whether it was put away or marked; marks are
// the episode's own world, not that of its distractors.
func TestNearest(t *testing.T) {
	e := &episode{rec: &astra.Episode{Opened: astra.Opened{Digest: "own"}},
		rested: map[astra.Digest]snapshot{"own": {step: 40}, "other": {step: 40}}, marks: []snapshot{{step: 32}, {step: 64}, {step: 96}}}
	for _, c := range []struct {
		of    astra.Digest
		steps int
		want  int // 0: none
	}{
		{"own", 31, 0}, {"own", 32, 32}, {"own", 39, 32}, {"own", 40, 40}, {"own", 63, 40}, {"own", 64, 64}, {"own", 200, 96},
		{"other", 39, 0}, {"other", 200, 40}, {"none", 200, 0},
	} {
		if s, ok := e.nearest(c.of, c.steps); s.step != c.want || ok != (c.want > 0) {
			t.Errorf("nearest(%s, %d) = %d, %v, want %d", c.of, c.steps, s.step, ok, c.want)
		}
	}
}
