package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"

	"github.com/astra-arenas/astra"
)

// RandomOptions adjusts a Random. A zero field, or a nil *RandomOptions, means the default.
type RandomOptions struct {
	Seed  uint64
	Calls int // at most so many for one message; default 8
}

// Random calls random tools with random arguments that fit their schemas: the floor that
// any agent should beat. With the same seed and the same tools in view it does the same.
type Random struct {
	rng   *rand.Rand
	calls int
}

// NewRandom returns a player for one episode.
func NewRandom(opts *RandomOptions) *Random {
	var o RandomOptions
	if opts != nil {
		o = *opts
	}
	if o.Calls <= 0 {
		o.Calls = 8
	}
	return &Random{rng: rand.New(rand.NewPCG(o.Seed, 0)), calls: o.Calls}
}

// Play makes between one and Calls calls. Failed ones are part of the game.
func (r *Random) Play(ctx context.Context, s Session, _ string) (string, error) {
	tools, err := s.Tools(ctx)
	if err != nil || len(tools) == 0 {
		return "There is nothing I could call.", err
	}
	n := 1 + r.rng.IntN(r.calls)
	for i := range n {
		tool, args, err := r.pick(tools)
		if err != nil {
			return "", err
		}
		if _, err := s.Call(ctx, tool, args); err != nil {
			return "", fmt.Errorf("call %d, %s: %w", i+1, tool, err)
		}
	}
	return "Done.", nil
}

// pick draws a tool and arguments for it. Some schemas are beyond the generator; a tool
// that has one is passed over, unless all have.
func (r *Random) pick(tools []astra.PublicTool) (string, json.RawMessage, error) {
	var last error
	for _, i := range r.rng.Perm(len(tools)) {
		args, err := Arguments(r.rng, tools[i].Input)
		if err == nil {
			return tools[i].Name, args, nil
		}
		last = fmt.Errorf("%s: %w", tools[i].Name, err)
	}
	return "", nil, last
}
