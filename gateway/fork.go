package gateway

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/astra-arenas/astra"
)

// A ForkRequest asks for n copies of an episode as it was after step At.
type ForkRequest struct {
	At        *int   `json:"at,omitempty"`    // nil: as it is now
	N         int    `json:"n,omitempty"`     // default 1, at most 64
	Group     string `json:"group,omitempty"` // forks do not inherit their parent's
	Principal string `json:"-"`
	// Keys, if set, are the forks', one each and as hard to guess as any. Then a request can
	// be repeated: a key that an open fork of this episode, step and group has is answered
	// with that, one of any other episode with astra.ErrConflict, of an ended fork with astra.ErrEnded.
	Keys []astra.Key   `json:"-"`
	TTL  time.Duration `json:"-"`
}

// check says what is wrong with the request, and how many forks it asks for.
func (r *ForkRequest) check() (n int, err error) {
	n = orDefault(r.N, max(len(r.Keys), 1))
	distinct := map[astra.Key]bool{}
	for _, k := range r.Keys {
		distinct[k] = true
	}
	switch {
	case n < 1 || n > maxForks:
		return 0, refuse("1 to %d forks can be made at once", maxForks)
	case len(r.Keys) > 0 && (len(r.Keys) != n || len(distinct) != n):
		return 0, refuse("%d forks need %d different keys, or none", n, n)
	}
	return n, nil
}

const maxForks = 64

// Fork makes independent episodes that share the history up to a step of any episode,
// finished ones too. If one cannot be opened, those already made are aborted, unless they have
// keys of the caller's, who may repeat the request. The world at that step is made once and
// copied for each.
func (g *Gateway) Fork(ctx context.Context, id astra.EpisodeID, req ForkRequest) ([]*Opening, error) {
	n, err := req.check()
	if err != nil {
		return nil, err
	}
	var forks []*Opening
	err = g.use(ctx, id, func(e *episode) error {
		history, at, err := g.history(ctx, e, req.At)
		if err != nil {
			return err
		}
		world, done, err := g.worldAt(ctx, e, at)
		if err != nil {
			return err
		}
		defer done()
		for err == nil && len(forks) < n {
			var o *Opening
			if o, err = g.forkOne(ctx, e, &req, len(forks), history, at, world); err == nil {
				forks = append(forks, o)
			}
		}
		return err
	})
	if err != nil {
		if len(req.Keys) > 0 {
			return nil, err
		}
		for _, o := range forks {
			err = errors.Join(err, g.Abort(context.WithoutCancel(ctx), o.Episode, "its siblings could not be opened"))
		}
		return nil, err
	}
	return forks, nil
}

// history is the part of the log that a fork inherits: calls and turns up to step at.
func (g *Gateway) history(ctx context.Context, e *episode, want *int) ([]astra.Event, int, error) {
	at, err := stepOf(e, want)
	if err != nil {
		return nil, 0, err
	}
	log, err := g.store.Log(ctx, e.id)
	if err != nil {
		return nil, 0, err
	}
	var history []astra.Event
	steps := 0
	for _, ev := range log {
		if want != nil && steps == at {
			break
		}
		if ev.Called != nil || ev.Turned != nil {
			history = append(history, ev)
		}
		if ev.Called != nil {
			steps++
		}
	}
	return history, at, nil
}

// stepOf is a step of an episode that a caller named, or its last.
func stepOf(e *episode, want *int) (int, error) {
	last := len(e.rec.Steps)
	if want == nil {
		return last, nil
	}
	if *want < 0 || *want > last {
		return 0, refuse("step %d: say 0 (before the first) to %d (the last)", *want, last)
	}
	return *want, nil
}

// worldAt is the episode's own world as it was after a step, to be copied: where it stands
// if it is live and was not called since, else rebuilt. It is nil for a runtime that is not
// pure, whose worlds are not copied but told, each when it is first called.
func (g *Gateway) worldAt(ctx context.Context, e *episode, at int) (inst Instance, done func(), err error) {
	if inst := e.insts[e.rec.Digest]; inst != nil && at == len(e.rec.Steps) {
		return inst, func() {}, nil
	}
	if !e.arena.runtime.Pure() {
		return nil, func() {}, nil
	}
	if inst, err = g.rebuildAt(ctx, e, at); err != nil {
		return nil, nil, err
	}
	return inst, func() { inst.Close() }, nil
}

// rebuildAt is a world of its own, as the episode's was after a step. An error says at
// which, and ends nothing: the episode may go on without it.
func (g *Gateway) rebuildAt(ctx context.Context, e *episode, at int) (Instance, error) {
	inst, err := g.rebuild(ctx, e, e.arena, e.rec.Steps[:at])
	if err != nil && mayPass(err, e.arena) {
		inst, err = g.rebuild(ctx, e, e.arena, e.rec.Steps[:at])
	}
	if _, differs := errors.AsType[*replayError](err); differs {
		return nil, fmt.Errorf("%w: the world after step %d cannot be made again: %w", astra.ErrRefused, at, err)
	}
	return inst, err
}

// forked answers who forks with a key of its own: nil if the key has no episode yet.
func (g *Gateway) forked(ctx context.Context, key astra.Key, parent astra.EpisodeID, req *ForkRequest) (*Opening, error) {
	e, err := g.keyed(ctx, key)
	if e == nil || err != nil {
		return nil, err
	}
	switch is := e.rec; {
	case is.Parent != parent || is.Group != req.Group || req.At != nil && is.At != *req.At:
		return nil, astra.ErrConflict
	case is.Over():
		return nil, astra.ErrEnded
	}
	return openingOf(e, key), nil
}

// forkOne opens the i-th copy, with a copy of the world if there is one.
func (g *Gateway) forkOne(ctx context.Context, e *episode, req *ForkRequest, i int, history []astra.Event, at int, from Instance) (*Opening, error) {
	key := astra.NewKey()
	if len(req.Keys) > 0 {
		key = req.Keys[i]
		if was, err := g.forked(ctx, key, e.id, req); was != nil || err != nil {
			return was, err
		}
	}
	o := e.rec.Opened
	o.Parent, o.At, o.Group, o.Principal, o.Expires = e.id, at, req.Group, req.Principal, g.expiry(req.TTL)
	var world Instance
	if from != nil {
		var err error
		if world, err = from.Fork(ctx); err != nil {
			return nil, err
		}
	}
	opening, err := g.begin(ctx, o, key, history, world)
	if err != nil && world != nil {
		world.Close()
	}
	return opening, err
}

// A Replay says what came of playing an episode's log again.
type Replay struct {
	Episode astra.EpisodeID `json:"episode"`
	Steps   int             `json:"steps"`
	Same    bool            `json:"same"` // byte for byte: every result, and the reward
	// First difference, if any.
	Step     int    `json:"step,omitempty"`
	Recorded string `json:"recorded,omitempty"`
	Replayed string `json:"replayed,omitempty"`
}

// Replay plays an episode's log in a fresh world and compares every result byte for byte,
// and the score if there is one.
func (g *Gateway) Replay(ctx context.Context, id astra.EpisodeID) (*Replay, error) {
	e, err := g.peek(ctx, id)
	if err != nil {
		return nil, err
	}
	e.insts = map[astra.Digest]Instance{}
	defer e.drop()
	r := &Replay{Episode: id, Steps: len(e.rec.Steps)}
	err = g.replaySteps(ctx, e)
	if err == nil && e.rec.Score != nil {
		err = g.replayScore(ctx, e)
	}
	if re, ok := errors.AsType[*replayError](err); ok {
		r.Step, r.Recorded, r.Replayed = re.step, re.recorded, re.replayed
		return r, nil
	}
	r.Same = err == nil
	return r, err
}

// replaySteps grows a copy of the record step by step, so that a world which must be
// rebuilt after a breach sees only the past.
func (g *Gateway) replaySteps(ctx context.Context, e *episode) error {
	steps := e.rec.Steps
	for i, s := range steps {
		e.rec.Steps = steps[:i]
		res, err := g.replayStep(ctx, e, s)
		if err != nil {
			return err
		}
		if err := sameResult(s, res); err != nil {
			return err
		}
	}
	e.rec.Steps = steps
	return nil
}

func (g *Gateway) replayStep(ctx context.Context, e *episode, s astra.Step) (astra.Result, error) {
	_, from, err := g.inView(e, s.Tool, s.Turn)
	if err != nil || string(s.Args) == string(notKept) {
		return s.Result, err
	}
	if from != nil && !from.runtime.Pure() {
		return replayImpure(e, from, s), nil
	}
	res, trouble := g.execute(ctx, e, s)
	if trouble != nil {
		return res, trouble
	}
	return res, nil
}

// replayImpure asks nobody again: what an impure runtime answered is in the log. Only what
// was planned is decided once more.
func replayImpure(e *episode, from *loaded, s astra.Step) astra.Result {
	if s.Result.Fault == astra.FaultAgent {
		return s.Result
	}
	if res, hit := e.rec.PlannedFailure(s.Index, s.Tool, from.Limits.Wall); hit || s.Result.Injected {
		return res
	}
	return s.Result
}

func (g *Gateway) replayScore(ctx context.Context, e *episode) error {
	score, err := g.score(ctx, e, e.rec.Submission)
	if err != nil {
		return err
	}
	if score.Reward == e.rec.Score.Reward {
		return nil
	}
	return &replayError{difference{step: len(e.rec.Steps), recorded: rewardText(e.rec.Score), replayed: rewardText(score)}}
}
