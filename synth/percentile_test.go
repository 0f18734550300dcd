package synth_test

import (
	"testing"

	"github.com/astra-arenas/astra/synth"
)

func TestPercentile(t *testing.T) {
	scores := []float64{1, 0.5, 0.75, 1, 0.25, 0.9, 0.8, 0.6, 0.95, 0.7}
	for share, want := range map[float64]float64{0.9: 1, 0.8: 0.95, 0.7: 0.9, 0.1: 0.25, 0.01: 0.25, 1: 1} {
		if got := synth.Percentile(scores, share); got != want {
			t.Errorf("percentile %g = %g, want %g", share, got, want)
		}
	}
	if synth.Percentile(nil, 0.9) != 0 {
		t.Error("of nothing")
	}
}
