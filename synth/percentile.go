package synth

import (
	"math"
	"slices"
)

// Percentile is the value that a share of all is not above, by nearest rank: ties are all
// taken or none. It is 0 of no values.
func Percentile(values []float64, share float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	rank := int(math.Ceil(share*float64(len(sorted)) - 1e-9)) // 0.07 of 100 are 7
	return sorted[max(rank, 1)-1]
}
