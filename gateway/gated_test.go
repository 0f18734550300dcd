package gateway_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
)

// gated is the real sandbox behind a gate: it waits, lies, fails or claims to be impure
// when told to. It stands for what a sound sandbox cannot be made to do.
type gated struct {
	gateway.Runtime
	gate    chan struct{} // calls wait until it is closed
	lie     atomic.Bool
	trouble atomic.Int64 // how many of the next calls fail for no fault of the agent
	unready atomic.Int64 // how many of the next loads fail
	noForks atomic.Bool
	room    atomic.Int64 // for so many worlds; 0: for any number
	panics  atomic.Bool  // the next call panics when it is done
	waiting atomic.Int64 // calls that have come to the gate
	worlds  atomic.Int64 // instances that nobody closed
	impure  bool
}

func newGated() *gated { return &gated{gate: make(chan struct{})} }

func (g *gated) Pure() bool { return !g.impure }

func (g *gated) Load(ctx context.Context, a *astra.Arena) (gateway.Program, error) {
	if g.unready.Add(-1) >= 0 {
		return nil, errors.New("no memory just now")
	}
	p, err := g.Runtime.Load(ctx, a)
	return gatedProgram{p, g}, err
}

type gatedProgram struct {
	gateway.Program
	g *gated
}

func (p gatedProgram) Start(ctx context.Context, w gateway.World) (gateway.Instance, error) {
	if room := p.g.room.Load(); room > 0 && p.g.worlds.Load() >= room {
		return nil, fmt.Errorf("%w: no memory for another episode", astra.ErrFull)
	}
	inst, err := p.Program.Start(ctx, w)
	return p.g.watch(inst, err)
}

func (g *gated) watch(inst gateway.Instance, err error) (gateway.Instance, error) {
	if err != nil {
		return nil, err
	}
	g.worlds.Add(1)
	return &gatedInstance{Instance: inst, g: g}, nil
}

type gatedInstance struct {
	gateway.Instance
	g      *gated
	closed bool
}

func (i *gatedInstance) Call(ctx context.Context, tool string, args json.RawMessage) (astra.Result, error) {
	i.g.waiting.Add(1)
	<-i.g.gate
	if ctx.Err() != nil {
		return astra.Result{}, context.Cause(ctx)
	}
	if i.g.trouble.Add(-1) >= 0 {
		return astra.Result{}, errors.New("the machine stumbled")
	}
	res, err := i.Instance.Call(ctx, tool, args)
	if i.g.panics.Swap(false) {
		panic("a bug")
	}
	if i.g.lie.Load() {
		res.Value = json.RawMessage(`"lie"`)
	}
	return res, err
}

func (i *gatedInstance) Fork(ctx context.Context) (gateway.Instance, error) {
	if i.g.noForks.Load() {
		return nil, astra.ErrFull
	}
	return i.g.watch(i.Instance.Fork(ctx))
}

func (i *gatedInstance) Close() error {
	if !i.closed {
		i.closed = true
		i.g.worlds.Add(-1)
	}
	return i.Instance.Close()
}

// failing is the real store, which can be told to take no more events, or to take them
// and not say so.
type failing struct {
	gateway.Store
	fail  atomic.Bool
	later atomic.Int64 // fails from the so-many-th append on; 0: never
	mute  atomic.Bool  // takes the next events, and says that it did not
}

func (f *failing) Append(ctx context.Context, id astra.EpisodeID, sync gateway.Sync, events ...astra.Event) error {
	if f.fail.Load() || f.later.Load() > 0 && f.later.Add(-1) == 0 {
		return errors.New("the disk is gone")
	}
	err := f.Store.Append(ctx, id, sync, events...)
	if f.mute.Swap(false) {
		return errors.New("the disk did not answer")
	}
	return err
}
