package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/astra-arenas/astra"
)

// A State is the world of an episode as its arena's state() tells it. It is made of what
// the scenario holds, so it is for the control side and never for an agent.
type State struct {
	Episode astra.EpisodeID `json:"episode"`
	At      int             `json:"at"`              // after this step; 0 is before the first
	State   json.RawMessage `json:"state,omitempty"` // nil if state() failed
	Error   string          `json:"error,omitempty"` // why
}

// StateAt is the state of the world after a step of any episode, finished ones too; a nil
// at is after the last. The world is made again for it: the live one is not touched, and
// nobody waits. An arena without state() is astra.ErrUnsupported.
func (g *Gateway) StateAt(ctx context.Context, id astra.EpisodeID, at *int) (*State, error) {
	e, err := g.peek(ctx, id)
	if err != nil {
		return nil, err
	}
	n, err := stepOf(e, at)
	if err != nil {
		return nil, err
	}
	if err := mustHaveState(ctx, e.arena); err != nil {
		return nil, err
	}
	inst, err := g.rebuildAt(ctx, e, n)
	if err != nil {
		return nil, err
	}
	defer inst.Close()
	res, err := inst.State(ctx)
	if err != nil {
		return nil, err
	}
	return &State{Episode: id, At: n, State: res.Value, Error: res.Error}, nil
}

// A RewindRequest asks for an episode to be taken up again after one of its steps.
type RewindRequest struct {
	Step      int           `json:"step"` // 0 is before the first
	Principal string        `json:"-"`
	Key       astra.Key     `json:"-"` // as those of a ForkRequest
	TTL       time.Duration `json:"-"`
}

// Rewind takes an episode up again after a step, finished ones too. A log only grows, so
// that is one fork made there; the episode itself stays as it is.
func (g *Gateway) Rewind(ctx context.Context, id astra.EpisodeID, req RewindRequest) (*Opening, error) {
	fork := ForkRequest{At: &req.Step, Principal: req.Principal, TTL: req.TTL}
	if req.Key != "" {
		fork.Keys = []astra.Key{req.Key}
	}
	forks, err := g.Fork(ctx, id, fork)
	if err != nil {
		return nil, err
	}
	return forks[0], nil
}

func mustHaveState(ctx context.Context, l *loaded) error {
	p, err := l.load(ctx)
	if err != nil {
		return err
	}
	if !p.HasState() {
		return fmt.Errorf("%w: arena %s has no state()", astra.ErrUnsupported, l.Name)
	}
	return nil
}
