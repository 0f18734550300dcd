package verifiers

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/astra-arenas/astra"
)

// A solver applies the sub-task rule of DESIGN.md to one episode.
type solver struct {
	*hearing
	subtasks []astra.Subtask
	solved   []*expression // of each sub-task; nil without `solved`
	index    map[string]int
	known    []solution
}

// A solution is what became of a sub-task.
type solution struct {
	state progress
	step  int // the step after which sub-tasks that depend on it may be solved
	score astra.SubtaskScore
}

type progress uint8

const (
	unknown progress = iota
	working          // being looked at: met again, it depends on itself
	unsolved
	solved
)

func newSolver(h *hearing, solved []*expression) *solver {
	s := &solver{hearing: h, subtasks: h.ev.Task.Subtasks, solved: solved}
	s.index = make(map[string]int, len(s.subtasks))
	for i := range s.subtasks {
		s.index[s.subtasks[i].ID] = i
	}
	s.known = make([]solution, len(s.subtasks))
	return s
}

// all returns the scores of the sub-tasks that count, in the task's order, and how many steps solved something.
func (s *solver) all(ctx context.Context) (scores []astra.SubtaskScore, useful int, err error) {
	steps := map[int]bool{}
	for i := range s.subtasks {
		if err := s.solve(ctx, i); err != nil {
			return nil, 0, err
		}
		if !s.subtasks[i].Counts() {
			continue
		}
		score := s.known[i].score
		scores = append(scores, score)
		if score.Solved {
			steps[score.Step] = true
		}
	}
	return scores, len(steps), nil
}

// solve finds out about sub-task i, and first about its parents. A parent that does not
// count is never solved itself: it hands on what its own parents impose.
func (s *solver) solve(ctx context.Context, i int) error {
	if s.known[i].state != unknown {
		return nil
	}
	s.known[i].state = working
	after, possible := 0, true
	for _, id := range s.subtasks[i].DependsOn {
		p, ok := s.index[id]
		if !ok {
			possible = false
			continue
		}
		if err := s.solve(ctx, p); err != nil {
			return err
		}
		possible = possible && s.known[p].state == solved
		after = max(after, s.known[p].step)
	}
	found := solution{state: unsolved, score: astra.SubtaskScore{ID: s.subtasks[i].ID}}
	switch {
	case !possible:
		found.score.Reason = &astra.Reason{Text: "not solved: it depends on what was not solved"}
	case !s.subtasks[i].Counts():
		found.state, found.step = solved, after
	default:
		step, why, err := s.search(ctx, i, after)
		if err != nil {
			return err
		}
		if found.score.Reason = why; why == nil {
			found.state, found.step = solved, step
			found.score.Solved, found.score.Step = true, step
		}
	}
	s.known[i] = found
	return nil
}

// search finds the first step after a given one that solves sub-task i, or says why
// there is none.
func (s *solver) search(ctx context.Context, i, after int) (step int, why *astra.Reason, err error) {
	s.spent = 0
	t := &s.subtasks[i]
	tried, early := 0, false
	var nearest attempt
	for j := range s.ev.Steps {
		st := &s.ev.Steps[j]
		if !st.Result.OK() || st.Result.Injected || t.Tool != "" && st.Tool != t.Tool {
			continue
		}
		if st.Index <= after {
			early = true
			continue
		}
		if ctx.Err() != nil {
			return 0, nil, context.Cause(ctx)
		}
		f, err := s.try(ctx, i, st)
		if err != nil {
			return 0, nil, err
		}
		if f.value == 1 {
			return st.Index, nil, nil
		}
		if tried++; tried == 1 || len(f.reasons) < len(nearest.reasons) {
			nearest = attempt{f, st.Index}
		}
	}
	if tried > 0 {
		return 0, nearest.reason(t, tried), nil
	}
	return 0, &astra.Reason{Text: "not solved: no successful call" + of(t) + missing(early)}, nil
}

// try judges one step by sub-task i.
func (s *solver) try(ctx context.Context, i int, st *astra.Step) (finding, error) {
	if x := s.solved[i]; x != nil {
		s.step = newStep(st, s.limit)
		defer func() { s.step = nil }()
		return s.weigh(ctx, x)
	}
	if returned(&s.subtasks[i], st.Result.Value) {
		return finding{value: 1}, nil
	}
	return finding{}, nil
}

// returned compares a step's value with the answer. A sub-task without an answer is
// refused by Check; here nothing is the same as it.
func returned(t *astra.Subtask, value json.RawMessage) bool {
	if t.Answer == nil {
		return false
	}
	if t.At == "" {
		return astra.AnyLeaf(t.Answer, value, t.Compare)
	}
	at, ok := astra.At(value, t.At)
	return ok && astra.Same(t.Answer, at, t.Compare)
}

// An attempt is a step that did not solve a sub-task.
type attempt struct {
	finding
	step int
}

// reason tells of the attempt that came nearest: the one with the fewest false clauses.
func (a attempt) reason(t *astra.Subtask, tried int) *astra.Reason {
	if len(a.reasons) == 0 {
		return &astra.Reason{Text: fmt.Sprintf("not solved: none of %d successful calls%s returned what was expected", tried, of(t))}
	}
	texts := make([]string, len(a.reasons))
	for i, r := range a.reasons {
		texts[i] = r.Text
	}
	return &astra.Reason{Text: "not solved: " + strings.Join(texts, "; "), Clause: a.reasons[0].Clause, Step: a.step}
}

func of(t *astra.Subtask) string {
	if t.Tool == "" {
		return ""
	}
	return " of " + t.Tool
}

func missing(early bool) string {
	if early {
		return " came after what it depends on"
	}
	return ""
}
