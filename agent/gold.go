package agent

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/astra-arenas/astra"
)

// Gold plays a task's reference solution. What no door shows, the gold calls and the
// expected answer, it has from the task; what it passes on from one call to the next it
// reads from the answers at the door.
type Gold struct {
	task   *astra.Task
	opts   GoldOptions
	turn   int
	values []json.RawMessage // by gold call, from $1
}

// GoldOptions adjusts a Gold. A zero field, or a nil *GoldOptions, means the default.
type GoldOptions struct {
	// Repeats is how often a gold call that failed is made again, for episodes in which
	// failures are planned; default 0. A planned failure never reached the tool, so even
	// a call that writes may be repeated.
	Repeats int
}

// NewGold returns a player of t's gold calls.
func NewGold(t *astra.Task, opts *GoldOptions) *Gold {
	g := &Gold{task: t}
	if opts != nil {
		g.opts = *opts
	}
	return g
}

// Play makes the gold calls of the next turn. A gold call that fails in spite of all
// repeats is an error: the task is broken.
func (g *Gold) Play(ctx context.Context, s Session, _ string) (string, error) {
	g.turn++
	if g.turn <= len(g.task.Gold) {
		for _, c := range g.task.Gold[g.turn-1] {
			if err := g.call(ctx, s, c); err != nil {
				return "", fmt.Errorf("gold call %d, %s: %w", len(g.values)+1, c.Tool, err)
			}
		}
	}
	if answer := GoldAnswer(g.task); g.turn >= len(g.task.Turns) && answer != "" {
		return answer, nil
	}
	return "Done.", nil // nobody answers a request with nothing
}

func (g *Gold) call(ctx context.Context, s Session, c astra.GoldCall) error {
	args := c.Args
	if len(args) == 0 {
		args = json.RawMessage("{}")
	}
	args, err := astra.Interpolate(args, g.values)
	if err != nil {
		return err
	}
	out, err := s.Call(ctx, c.Tool, args)
	for n := 0; err == nil && out.Failed && n < g.opts.Repeats; n++ {
		out, err = s.Call(ctx, c.Tool, args)
	}
	if err != nil {
		return err
	}
	if out.Failed {
		return fmt.Errorf("failed: %s", out.Text)
	}
	g.values = append(g.values, out.Value)
	return nil
}

// GoldAnswer is the answer that a task expects, as text: a string as it is, anything else
// as JSON, "" where the task expects none.
func GoldAnswer(t *astra.Task) string {
	if t.Answer == nil || len(t.Answer.Expected) == 0 {
		return ""
	}
	var s string
	if json.Unmarshal(t.Answer.Expected, &s) == nil {
		return s
	}
	return string(t.Answer.Expected)
}
