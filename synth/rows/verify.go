package rows

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"github.com/astra-arenas/astra"
)

// A Player plays tasks by the rules of episodes; a gateway's rehearsals are such.
type Player interface {
	// Begin starts to play a task of the arena in a bundle.
	Begin(ctx context.Context, b *astra.Bundle, task string) (Play, error)
}

// A Play is one attempt at one task. It has one user at a time, and is closed by who began it.
type Play interface {
	Call(context.Context, astra.Call) (astra.Step, error)
	// Score judges what was played; nil is no answer.
	Score(ctx context.Context, answer *string) (*astra.Score, error)
	Close()
}

// An UnsolvedError says that a row, as it is shipped, is not solved by what solves its task.
type UnsolvedError struct{ Why string }

func (e *UnsolvedError) Error() string {
	return "the row is not solved by the task's gold calls: " + e.Why
}

// Verify holds a row to the task that it was made of: it is written and read again, as whoever
// gets it will, an arena is made of what was read, and the task's gold calls, with the values
// that they come to in the task's own arena, must score 1 there; an attempt that does nothing
// must score 0. An *UnsolvedError says why they do not; other errors are trouble.
func Verify(ctx context.Context, p Player, a *astra.Arena, t *astra.Task, r *RLRow) error {
	calls, err := goldOf(ctx, p, a, t)
	if err != nil {
		return err
	}
	b, err := shipped(r)
	if err != nil {
		return err
	}
	again, err := b.Load()
	if err != nil {
		return err
	}
	task := again.Tasks[0].ID
	s, _, err := attempt(ctx, p, b, task, nil)
	if err == nil && s.Reward != 0 {
		err = &UnsolvedError{fmt.Sprintf("doing nothing scores %.4g", s.Reward)}
	}
	if err != nil {
		return err
	}
	s, failed, err := attempt(ctx, p, b, task, calls)
	switch {
	case err != nil:
		return err
	case failed != "":
		return &UnsolvedError{failed}
	case s.Reward != 1:
		return &UnsolvedError{fmt.Sprintf("they score %.4g: %s", s.Reward, missing(&again.Tasks[0], s))}
	}
	return nil
}

// missing says what keeps a play from scoring 1.
func missing(t *astra.Task, s *astra.Score) string {
	for i := range s.Subtasks {
		if sub := &s.Subtasks[i]; !sub.Solved {
			return fmt.Sprintf("of what %s returned nothing satisfies %s", t.Subtasks[i].Tool, t.Subtasks[i].Solved)
		}
	}
	return fmt.Sprintf("only %.4g of the calls bring an answer that no earlier one brought", s.Precision)
}

// shipped is the arena of the row as it is written.
func shipped(r *RLRow) (*astra.Bundle, error) {
	var b bytes.Buffer
	if err := WriteRL(&b, r); err != nil {
		return nil, err
	}
	for again, err := range ReadRL("row", &b) {
		if err != nil {
			return nil, &UnsolvedError{err.Error()}
		}
		arena, err := again.Arena()
		if err != nil {
			return nil, &UnsolvedError{err.Error()}
		}
		return arena, nil
	}
	return nil, &UnsolvedError{"it is empty"}
}

// goldOf plays a task's gold calls where they belong, and returns them with what their
// references came to.
func goldOf(ctx context.Context, p Player, a *astra.Arena, t *astra.Task) ([]astra.Call, error) {
	gold, _ := t.GoldCalls()
	if len(gold) == 0 {
		return nil, &UnsolvedError{"it has none, so nobody knows whether the tools can solve it"}
	}
	play, err := p.Begin(ctx, a.Bundle, t.ID)
	if err != nil {
		return nil, err
	}
	defer play.Close()
	var values []json.RawMessage
	var calls []astra.Call
	for i, g := range gold {
		args, err := astra.Interpolate(g.Args, values)
		if err != nil {
			return nil, &UnsolvedError{fmt.Sprintf("call %d: %v", i+1, err)}
		}
		c := astra.Call{Tool: g.Tool, Args: args}
		step, err := play.Call(ctx, c)
		if err != nil {
			return nil, err
		}
		if !step.Result.OK() {
			return nil, &UnsolvedError{fmt.Sprintf("call %d fails in its own arena: %s", i+1, step.Result.Error)}
		}
		values, calls = append(values, step.Result.Value), append(calls, c)
	}
	return calls, nil
}

// attempt plays calls; failed says which did not succeed.
func attempt(ctx context.Context, p Player, b *astra.Bundle, task string, calls []astra.Call) (s *astra.Score, failed string, err error) {
	play, err := p.Begin(ctx, b, task)
	if err != nil {
		return nil, "", err
	}
	defer play.Close()
	for i, c := range calls {
		step, err := play.Call(ctx, c)
		if err != nil {
			return nil, "", err
		}
		if !step.Result.OK() {
			return nil, fmt.Sprintf("call %d, %s, fails: %s", i+1, c.Tool, step.Result.Error), nil
		}
	}
	s, err = play.Score(ctx, nil)
	return s, "", err
}
