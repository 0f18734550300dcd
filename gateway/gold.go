package gateway

import (
	"container/list"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/astra-arenas/astra"
)

// maxGold is how many gold plays are kept; a group of episodes shares one.
const maxGold = 512

type goldKey struct {
	arena astra.Digest
	task  string
	seed  int64
}

type goldPlay struct {
	key  goldKey
	once sync.Once
	play astra.Play
	err  error
}

// A goldCache plays a task's gold calls in a world of their own, once per arena, task and
// seed.
type goldCache struct {
	g     *Gateway
	mu    sync.Mutex
	byKey map[goldKey]*list.Element // of *goldPlay
	used  *list.List                // most recently used first
}

func newGoldCache(g *Gateway) *goldCache {
	return &goldCache{g: g, byKey: map[goldKey]*list.Element{}, used: list.New()}
}

func (c *goldCache) play(ctx context.Context, l *loaded, t *astra.Task, seed int64) (astra.Play, error) {
	p := c.entry(goldKey{l.Digest, t.ID, seed})
	p.once.Do(func() {
		p.err = errors.New("the gold play broke off") // stays if it panics
		ctx := context.WithoutCancel(ctx)             // others wait for it, too
		p.play, p.err = c.g.playGold(ctx, l, t, seed)
		if goldFault(p.err) != astra.FaultVerifier && mayPass(p.err, l) {
			p.play, p.err = c.g.playGold(ctx, l, t, seed)
		}
	})
	if p.err != nil {
		c.forget(p) // trouble may pass: the next one tries again
	}
	return p.play, p.err
}

// goldTrouble is what kept the gold calls from being played, and is not their author's doing.
func goldTrouble(l *loaded, err error) error {
	return &astra.ScoreError{Fault: faultOf(l.runtime), Err: err}
}

// goldFault says whose doing it is that gold does not play: its author's, unless there was trouble.
func goldFault(err error) astra.Fault {
	if se, ok := errors.AsType[*astra.ScoreError](err); ok {
		return se.Fault
	}
	return astra.FaultVerifier
}

func (c *goldCache) forget(p *goldPlay) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if el := c.byKey[p.key]; el != nil && el.Value == p {
		c.used.Remove(el)
		delete(c.byKey, p.key)
	}
}

func (c *goldCache) entry(k goldKey) *goldPlay {
	c.mu.Lock()
	defer c.mu.Unlock()
	if el := c.byKey[k]; el != nil {
		c.used.MoveToFront(el)
		return el.Value.(*goldPlay)
	}
	p := &goldPlay{key: k}
	c.byKey[k] = c.used.PushFront(p)
	if c.used.Len() > maxGold {
		delete(c.byKey, c.used.Remove(c.used.Back()).(*goldPlay).key)
	}
	return p
}

// playGold plays the gold calls from the beginning. Every one of them must succeed.
func (g *Gateway) playGold(ctx context.Context, l *loaded, t *astra.Task, seed int64) (astra.Play, error) {
	w := World{Seed: seed, Now: l.Now, Scenario: t.Scenario}
	if t.Now != nil {
		w.Now = *t.Now
	}
	inst, err := g.start(ctx, l, w)
	if err != nil {
		return astra.Play{}, goldTrouble(l, &hiddenError{"the world of the gold play does not start", err})
	}
	defer inst.Close()
	var play astra.Play
	var values []json.RawMessage
	calls, turns := t.GoldCalls()
	for i, c := range calls {
		step, err := goldStep(ctx, l, inst, c, values)
		if err != nil {
			return play, &hiddenError{fmt.Sprintf("gold call %d does not play", i+1), err}
		}
		step.Index, step.Turn = i+1, turns[i]
		play.Steps, values = append(play.Steps, step), append(values, step.Result.Value)
	}
	return withState(ctx, l, inst, play)
}

func goldStep(ctx context.Context, l *loaded, inst Instance, c astra.GoldCall, values []json.RawMessage) (astra.Step, error) {
	args, err := astra.Interpolate(c.Args, values)
	if err != nil {
		return astra.Step{}, err
	}
	tool := l.Tool(c.Tool)
	if tool == nil {
		return astra.Step{}, fmt.Errorf("there is no tool %q", c.Tool)
	}
	args, bad := compactArgs(args)
	if bad != "" {
		return astra.Step{}, fmt.Errorf("%s: %s", c.Tool, bad)
	}
	if err := tool.CheckArgs(args); err != nil {
		return astra.Step{}, fmt.Errorf("%s: %w", c.Tool, err)
	}
	res, err := l.run(ctx, inst, tool, args)
	switch {
	case err != nil:
		err = goldTrouble(l, fmt.Errorf("%s: %w", c.Tool, err))
	case !res.OK():
		err = fmt.Errorf("%s: %s", c.Tool, res.Error)
	}
	return astra.Step{Tool: c.Tool, Args: args, Result: res}, err
}

func withState(ctx context.Context, l *loaded, inst Instance, play astra.Play) (astra.Play, error) {
	if !l.program.HasState() {
		return play, nil
	}
	res, err := inst.State(ctx)
	switch {
	case err != nil:
		err = goldTrouble(l, &hiddenError{"the gold play has no state", err})
	case !res.OK():
		err = &hiddenError{"the gold play has no state", errors.New(res.Error)}
	}
	play.State = res.Value
	return play, err
}
