package datasets

import (
	"maps"
	"slices"

	"github.com/astra-arenas/astra"
)

// Accept says which trajectories a dataset takes. The zero value takes all. What has no
// reward or score that is asked for is not taken: unknown is never enough.
type Accept struct {
	MinReward float64            `json:"min_reward,omitempty"`
	MinScore  float64            `json:"min_score,omitempty"` // of the mean of the scores
	Min       map[string]float64 `json:"min,omitempty"`       // by the name of a score
	Kinds     []string           `json:"kinds,omitempty"`     // of task; none is any
}

// check is the reason why a trajectory is not taken.
func (a *Accept) check(of *astra.TrajectoryOf) error {
	if a.MinReward > 0 {
		if err := atLeast("reward", of.Reward, a.MinReward); err != nil {
			return err
		}
	}
	if a.MinScore > 0 {
		if err := atLeast("mean score", mean(of), a.MinScore); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(a.Min)) {
		var has *float64
		if v, ok := of.Scores[name]; ok {
			has = &v
		}
		if err := atLeast("score "+name, has, a.Min[name]); err != nil {
			return err
		}
	}
	if len(a.Kinds) > 0 && !slices.Contains(a.Kinds, of.Kind) {
		return leaveOut("another kind of task", "%q", of.Kind)
	}
	return nil
}

func atLeast(what string, has *float64, least float64) error {
	if has == nil {
		return leaveOut("no "+what, "at least %v is asked for", least)
	}
	if !(*has >= least) {
		return leaveOut(what+" too low", "%.3f, at least %v is asked for", *has, least)
	}
	return nil
}
