// Package groups says what is to be learned from episodes that may be compared: how much
// better each was than its group (GRPO's advantage), which groups tell anything at all, and
// which fill a batch.
//
// The objective is ASTRA's (§3.2, eq. 23 and 32): no divergence and no entropy term, the
// loss averaged over all tokens of a batch, and groups alone whose rewards spread by more
// than δ. The paper gives neither δ, nor whether advantages are divided by the standard
// deviation; both are options. An invalid episode has no reward, is never 0, and no member.
package groups

import (
	"fmt"
	"math"

	"github.com/astra-arenas/astra"
)

// A Group is the episodes of one group that have a reward, in the order in which they were
// opened.
type Group struct {
	Name    string            `json:"name"`
	Members []astra.EpisodeID `json:"members"`
	Rewards []float64         `json:"rewards"`           // of Members, in [0, 1]
	Invalid int               `json:"invalid,omitempty"` // episodes that ended without one
	Policy  int64             `json:"policy"`            // version that all of them were sampled from
}

// Check says what is wrong with a group.
func (g *Group) Check() error {
	if len(g.Members) != len(g.Rewards) {
		return fmt.Errorf("group %.64q: %d rewards of %d episodes", g.Name, len(g.Rewards), len(g.Members))
	}
	for i, r := range g.Rewards {
		if !(r >= 0 && r <= 1) {
			return fmt.Errorf("group %.64q: episode %s has the reward %g: want 0 to 1", g.Name, g.Members[i], r)
		}
	}
	return nil
}

// Spread is the standard deviation of the rewards, of the group itself and not of a
// population that it would be drawn from; 0 of fewer than two.
func (g *Group) Spread() float64 { return deviation(g.Rewards) }

// A Baseline is what a reward is compared with.
type Baseline string

// The baselines.
const (
	Mean        Baseline = "mean"      // R − mean(R)
	Normalised  Baseline = "std"       // (R − mean(R)) / (std(R) + ε)
	LeaveOneOut Baseline = "leave-one" // R − the mean of the others
)

// epsilon keeps a group without spread from dividing by nothing: its advantages are 0.
const epsilon = 1e-6

// Advantages are what each reward of a group is worth. Of a group of one, or without spread,
// they are 0: there is nothing to compare with.
func Advantages(rewards []float64, b Baseline) ([]float64, error) {
	n := float64(len(rewards))
	mean, spread := average(rewards), deviation(rewards)
	all := make([]float64, len(rewards))
	if b != Mean && b != Normalised && b != LeaveOneOut {
		return nil, fmt.Errorf("%.40q is no baseline: want %s, %s or %s", b, Mean, Normalised, LeaveOneOut)
	}
	if spread == 0 {
		return all, nil
	}
	for i, r := range rewards {
		switch b {
		case Mean:
			all[i] = r - mean
		case Normalised:
			all[i] = (r - mean) / (spread + epsilon)
		default:
			all[i] = (r - mean) * n / (n - 1) // = r − (Σ − r)/(n−1)
		}
	}
	return all, nil
}

func average(list []float64) float64 {
	if len(list) == 0 {
		return 0
	}
	sum := 0.0
	for _, v := range list {
		sum += v
	}
	return sum / float64(len(list))
}

// deviation is exactly 0 of equal values, whatever rounding makes of their mean.
func deviation(list []float64) float64 {
	equal, sum, mean := true, 0.0, average(list)
	for _, v := range list {
		equal = equal && v == list[0]
		sum += (v - mean) * (v - mean)
	}
	if equal {
		return 0
	}
	return math.Sqrt(sum / float64(len(list)))
}
