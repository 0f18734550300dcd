package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/astra-arenas/astra"
)

// A RehearsalRequest asks for a rehearsal.
type RehearsalRequest struct {
	Arena string // reference
	Task  string // "" is free play: no task, no score
	Seed  *int64 // default 0; refused if the task has another
}

// A Rehearsal is one play of a task by the rules of an episode, in memory alone: no record
// in the store, no time to live, no part in any count. Its calls, turns and scores are made
// by the code that makes an episode's, so what comes of a rehearsal would come of an episode.
//
// In view are the arena's own tools: what a rehearsal shows of an arena must not depend on
// which others are served beside it, so distractors are left out, and failures are not planned.
//
// It has one user at a time, costs what its world costs, and must be closed before its gateway.
type Rehearsal struct {
	g *Gateway
	e *episode
}

// never is beyond any clock.
var never = time.Unix(1<<40, 0)

// Rehearse starts a rehearsal. An error that says that the world does not start is the author's.
func (g *Gateway) Rehearse(ctx context.Context, req RehearsalRequest) (*Rehearsal, error) {
	open := OpenRequest{Arena: req.Arena, Task: req.Task, Seed: req.Seed, Failures: &astra.FailurePlan{}}
	l, task, err := g.admit(&open)
	if err != nil {
		return nil, err
	}
	o, err := g.opened(l, task, &open)
	if err != nil {
		return nil, err
	}
	o.Episode, o.Expires, o.View = "rehearsal", never, l.ownView(task)
	world, err := g.start(ctx, l, worldOf(&o, task))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", astra.ErrRefused, &hiddenError{"the world of arena " + l.Name + " does not start", err})
	}
	r := &Rehearsal{g, &episode{id: o.Episode, rehearsed: true, arena: l, task: task, insts: map[astra.Digest]Instance{l.Digest: world}}}
	r.e.rec = new(astra.Episode)
	return r, g.append(ctx, r.e, Handed, astra.Event{Opened: &o})
}

// Call is Gateway.Call.
func (r *Rehearsal) Call(ctx context.Context, c astra.Call) (astra.Step, error) {
	return r.g.call(ctx, r.e, c)
}

// Turn is Gateway.Turn.
func (r *Rehearsal) Turn(ctx context.Context, reply string) (*NextTurn, error) {
	return r.g.turn(ctx, r.e, reply)
}

// Message is the user's message of the turn that is played; "" in free play.
func (r *Rehearsal) Message() string { return r.e.rec.Turns[len(r.e.rec.Turns)-1].Prompt }

// Tools are the tools in view now.
func (r *Rehearsal) Tools() ([]astra.PublicTool, error) { return r.g.toolsNow(r.e) }

// Steps are the calls so far. They must not be changed.
func (r *Rehearsal) Steps() []astra.Step { return r.e.rec.Steps }

// Score is what Gateway.Submit would answer now; nil is no answer. The rehearsal goes on, so
// other answers may be tried. An error is an *astra.ScoreError or says what the answer lacks.
func (r *Rehearsal) Score(ctx context.Context, answer *string) (*astra.Score, error) {
	if r.e.task == nil {
		return nil, refuse("free play has no score")
	}
	if err := checkAnswer(answer); err != nil {
		return nil, err
	}
	return r.g.score(ctx, r.e, &astra.Submitted{Answer: answer})
}

// Supposing is Score as it would be if the tool of step n, from 1, had returned value.
func (r *Rehearsal) Supposing(ctx context.Context, n int, value json.RawMessage, answer *string) (*astra.Score, error) {
	other, rec := *r.e, *r.e.rec
	rec.Steps = slices.Clone(rec.Steps)
	rec.Steps[n-1].Result.Value = value
	other.rec = &rec
	return (&Rehearsal{r.g, &other}).Score(ctx, answer)
}

// HasState reports whether the arena has a state().
func (r *Rehearsal) HasState(ctx context.Context) (bool, error) {
	p, err := r.e.arena.load(ctx)
	if err != nil {
		return false, err
	}
	return p.HasState(), nil
}

// State is what state() tells of the world now; see Instance.State.
func (r *Rehearsal) State(ctx context.Context) (astra.Result, error) { return r.g.state(ctx, r.e) }

// Fork returns an independent copy of the rehearsal as it is now.
func (r *Rehearsal) Fork(ctx context.Context) (*Rehearsal, error) {
	inst, err := r.g.instance(ctx, r.e, r.e.arena)
	if err != nil {
		return nil, err
	}
	world, err := r.g.making(func() (Instance, error) { return inst.Fork(ctx) })
	if err != nil {
		return nil, err
	}
	rec := *r.e.rec
	rec.Steps, rec.Turns = slices.Clip(rec.Steps), slices.Clone(rec.Turns)
	return &Rehearsal{r.g, &episode{id: r.e.id, rehearsed: true, arena: r.e.arena, task: r.e.task, rec: &rec,
		breached: r.e.breached, looked: r.e.looked, insts: map[astra.Digest]Instance{rec.Digest: world}}}, nil
}

// Close releases the world.
func (r *Rehearsal) Close() { r.e.drop() }
