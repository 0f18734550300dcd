package verifiers

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/astra-arenas/astra"
)

// A bench makes the score of one episode.
type bench struct {
	*hearing
	cache *cache
	score *astra.Score
}

// judge fills in the score: f1, the answer, the named verifiers, and what they make together.
func (b *bench) judge(ctx context.Context) error {
	for _, part := range []func(context.Context) error{b.f1, b.answer, b.named} {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := part(ctx); err != nil {
			return err
		}
	}
	b.weights()
	b.score.Reward = astra.Combine(b.score.Parts)
	return nil
}

// expression compiles a verifier, or finds it compiled, and tries what no agent can
// influence of it: an episode is invalid for that whatever its steps are.
func (b *bench) expression(ctx context.Context, name, source string, s scope) (*expression, error) {
	x, err := b.cache.get(source, s)
	if err == nil {
		err = b.sound(ctx, x)
	}
	if err != nil && ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err != nil {
		return nil, &astra.ScoreError{Fault: astra.FaultVerifier, Err: fmt.Errorf("task %s: %s: %w", b.ev.Task.ID, name, err)}
	}
	return x, nil
}

func (b *bench) f1(ctx context.Context) error {
	t := b.ev.Task
	solved := make([]*expression, len(t.Subtasks))
	for i := range t.Subtasks {
		if s := &t.Subtasks[i]; s.Solved != "" {
			x, err := b.expression(ctx, "subtask "+s.ID+": solved", s.Solved, inSubtask)
			if err != nil {
				return err
			}
			solved[i] = x
		}
	}
	scores, useful, err := newSolver(b.hearing, solved).all(ctx)
	if err != nil || len(scores) == 0 {
		return err
	}
	n, done, steps := len(scores), 0, 0
	for _, s := range scores {
		if s.Solved {
			done++
		}
	}
	for i := range b.ev.Steps {
		if !b.ev.Steps[i].Result.Injected {
			steps++
		}
	}
	f1, recall, precision := astra.F1(n, done, steps, useful)
	b.score.Recall, b.score.Precision, b.score.Subtasks = recall, precision, scores
	b.part("f1", finding{f1, []astra.Reason{{Text: fmt.Sprintf("%d of %d sub-tasks solved, by %d of %d steps", done, n, useful, steps)}}})
	return nil
}

func (b *bench) answer(ctx context.Context) error {
	a := b.ev.Task.Answer
	switch {
	case a == nil:
		return nil
	case a.Verify != "":
		x, err := b.expression(ctx, "answer: verify", a.Verify, inTask)
		if err != nil {
			return err
		}
		f, err := b.weigh(ctx, x)
		b.part("answer", f)
		return err
	case len(b.ev.Answer) > MaxAnswer:
		b.part("answer", finding{reasons: []astra.Reason{{Text: fmt.Sprintf("the answer is longer than %d bytes", MaxAnswer)}}})
	case astra.SameAnswer(a.Expected, b.ev.Answer, a.Compare):
		b.part("answer", finding{value: 1})
	case b.ev.Answer == "":
		b.part("answer", finding{reasons: []astra.Reason{{Text: "no answer was submitted"}}})
	default:
		b.part("answer", finding{reasons: []astra.Reason{{Text: "the answer is not the expected one"}}})
	}
	return nil
}

func (b *bench) named(ctx context.Context) error {
	t := b.ev.Task
	for _, name := range slices.Sorted(maps.Keys(t.Verify)) {
		x, err := b.expression(ctx, "verifier "+name, t.Verify[name], inTask)
		if err != nil {
			return err
		}
		f, err := b.weigh(ctx, x)
		if err != nil {
			return err
		}
		b.part(name, f)
	}
	if len(b.score.Parts) == 0 {
		return &astra.ScoreError{Fault: astra.FaultVerifier,
			Err: errors.New("task " + t.ID + " has nothing to score by; give it sub-tasks, an answer or a verifier")}
	}
	return nil
}

func (b *bench) part(name string, f finding) {
	b.score.Parts = append(b.score.Parts, astra.Part{Name: name, Value: f.value, Reasons: f.reasons})
}

// weights says what each part is worth: what the task's weights say; without them that
// is f1 alone, else the answer alone. Named verifiers without a weight are gates.
func (b *bench) weights() {
	given, parts := b.ev.Task.Weights, b.score.Parts
	if len(given) == 0 && (parts[0].Name == "f1" || parts[0].Name == "answer") {
		given = map[string]float64{parts[0].Name: 1}
	}
	for i := range parts {
		w, weighted := given[parts[i].Name]
		_, named := b.ev.Task.Verify[parts[i].Name]
		parts[i].Weight, parts[i].Gate = w, named && !weighted
	}
}
