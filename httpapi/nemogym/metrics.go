package nemogym

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/http"
	"slices"
	"strings"

	"github.com/astra-arenas/astra/httpapi/harness"
)

// aggregates answers aggregate_metrics, as the base class of NeMo Gym's servers does
// (nemo_gym/reward_profile.py, compute_aggregate_metrics): masked rollouts are told as
// coverage and are in no mean. Its statistics across repeats are left out; whoever collects
// rollouts makes these of the rows.
type aggregates struct {
	Groups  []map[string]any `json:"group_level_metrics"` // a task each, in order
	Agent   map[string]any   `json:"agent_metrics"`       // over all rollouts
	Key     map[string]any   `json:"key_metrics"`         // the means
	Perf    *struct{}        `json:"perf_summary"`
	Repeats []struct{}       `json:"repeat_level_metrics"`
}

// A rolled is a verify's answer, without what is large.
type rolled struct {
	task, repeat int64
	masked       bool
	numbers      map[string]float64 // reward, metrics and token usage; booleans are 0 or 1
}

func (s *Server) aggregate(w http.ResponseWriter, r *http.Request) (reply, error) {
	var body struct {
		Responses []row `json:"verify_responses"`
	}
	if err := readBody(r, maxBody, &body); err != nil {
		return nil, err
	}
	all := make([]rolled, len(body.Responses))
	for n, w := range body.Responses {
		var err error
		if all[n], err = w.rolled(); err != nil {
			return nil, err
		}
	}
	return aggregateOf(all)
}

func aggregateOf(all []rolled) (*aggregates, error) {
	out := &aggregates{Groups: []map[string]any{}, Agent: map[string]any{}, Key: map[string]any{}, Repeats: []struct{}{}}
	if len(all) == 0 {
		return out, nil
	}
	slices.SortStableFunc(all, func(a, b rolled) int { return cmp.Or(cmp.Compare(a.task, b.task), cmp.Compare(a.repeat, b.repeat)) })
	for n := 1; n < len(all); n++ {
		if a, b := all[n-1], all[n]; a.task == b.task && a.repeat == b.repeat {
			return nil, harness.Refuse(http.StatusUnprocessableEntity, "rollout %d of task %d comes twice", b.repeat, b.task)
		}
	}
	scored := slices.DeleteFunc(slices.Clone(all), func(r rolled) bool { return r.masked })
	for len(scored) > 0 {
		n := slices.IndexFunc(scored, func(r rolled) bool { return r.task != scored[0].task })
		if n < 0 {
			n = len(scored)
		}
		out.Groups = append(out.Groups, groupOf(scored[:n]))
		scored = scored[n:]
	}
	out.sum(all)
	return out, nil
}

// sum fills in what is told of all rollouts together.
func (a *aggregates) sum(all []rolled) {
	scored := slices.DeleteFunc(slices.Clone(all), func(r rolled) bool { return r.masked })
	covered := coverage(all, scored)
	if len(scored) > 0 {
		a.Agent = describe(scored)
		a.Agent["num_repeats"] = distinct(all, func(r rolled) int64 { return r.repeat })
		for k, v := range a.Agent {
			if strings.HasPrefix(k, "mean/") {
				a.Key[k] = v
			}
		}
	}
	maps.Copy(a.Agent, covered)
	maps.Copy(a.Key, covered)
}

// coverage is how much was judged, if anything was not.
func coverage(all, scored []rolled) map[string]any {
	if len(all) == len(scored) {
		return nil
	}
	task := func(r rolled) int64 { return r.task }
	return map[string]any{"coverage/measured_rollouts": len(scored), "coverage/masked_rollouts": len(all) - len(scored),
		"coverage/measured_tasks": distinct(scored, task), "coverage/fully_masked_tasks": distinct(all, task) - distinct(scored, task)}
}

func distinct(list []rolled, of func(rolled) int64) int {
	seen := map[int64]bool{}
	for _, r := range list {
		seen[of(r)] = true
	}
	return len(seen)
}

// groupOf is what is told of one task's rollouts.
func groupOf(list []rolled) map[string]any {
	g := describe(list)
	infos := make([]map[string]any, len(list))
	for n, r := range list {
		infos[n] = map[string]any{"rollout_id": fmt.Sprintf("%d:%d", r.task, r.repeat), "_ng_task_index": r.task, "_ng_rollout_index": r.repeat}
		for k, v := range r.numbers {
			infos[n][k] = v
		}
	}
	g["_ng_task_index"], g["rollout_infos"], g["sample"] = list[0].task, infos, map[string]any{"agent_ref": map[string]string{"name": "agent"}}
	g["num_rollouts"], g["expected_num_rollouts"], g["missing_num_rollouts"], g["reward_profile_completion_pct"] = len(list), len(list), 0, 100.0
	return g
}

// describe has five statistics of each number. The deviation is that of a sample; where no
// number has two values it is 0, elsewhere one of a single value is left out (as pandas has
// it, and the base class mends it).
func describe(list []rolled) map[string]any {
	columns := map[string][]float64{}
	for _, r := range list {
		for k, v := range r.numbers {
			columns[k] = append(columns[k], v)
		}
	}
	single := true
	for _, values := range columns {
		single = single && len(values) < 2
	}
	out := map[string]any{}
	for name, values := range columns {
		slices.Sort(values)
		n := len(values)
		stats := map[string]float64{"mean": mean(values), "min": values[0], "max": values[n-1], "median": values[(n-1)/2]/2 + values[n/2]/2}
		if n > 1 {
			stats["std"] = deviation(values)
		} else if single && len(list) == 1 {
			stats["std"] = 0
		}
		for stat, v := range stats {
			if !math.IsInf(v, 0) && !math.IsNaN(v) { // no JSON for a sum that ran over
				out[stat+"/"+name] = v
			}
		}
	}
	return out
}

func mean(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}

func deviation(values []float64) float64 {
	m, sum := mean(values), 0.0
	for _, v := range values {
		sum += (v - m) * (v - m)
	}
	return math.Sqrt(sum / float64(len(values)-1))
}

// rolled reads a verify's answer: numbers are what has no underscore before it, and the
// response's usage.
func (w row) rolled() (rolled, error) {
	r := rolled{numbers: map[string]float64{}}
	if err := member(w, "_ng_task_index", &r.task); err != nil {
		return r, err
	}
	if err := member(w, "_ng_rollout_index", &r.repeat); err != nil {
		return r, err
	}
	if err := member(w, "mask_sample", &r.masked); err != nil {
		return r, err
	}
	for name, raw := range w {
		if !strings.HasPrefix(name, "_") && name != "mask_sample" {
			r.number(name, raw)
		}
	}
	var played struct {
		Usage row `json:"usage"`
	}
	if json.Unmarshal(w["response"], &played) == nil {
		for name, raw := range played.Usage {
			r.number(name, raw)
		}
	}
	return r, nil
}

func (r *rolled) number(name string, raw json.RawMessage) {
	switch text := string(raw); text {
	case "true":
		r.numbers[name] = 1
	case "false":
		r.numbers[name] = 0
	default:
		var v *float64
		if json.Unmarshal(raw, &v) == nil && v != nil {
			r.numbers[name] = *v
		}
	}
}
