package gateway_test

import (
	"context"
	"encoding/json"
	"errors"
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
	impure  bool
}

func newGated() *gated { return &gated{gate: make(chan struct{})} }

func (g *gated) Pure() bool { return !g.impure }

func (g *gated) Load(ctx context.Context, a *astra.Arena) (gateway.Program, error) {
	p, err := g.Runtime.Load(ctx, a)
	return gatedProgram{p, g}, err
}

type gatedProgram struct {
	gateway.Program
	g *gated
}

func (p gatedProgram) Start(ctx context.Context, w gateway.World) (gateway.Instance, error) {
	inst, err := p.Program.Start(ctx, w)
	return gatedInstance{inst, p.g}, err
}

type gatedInstance struct {
	gateway.Instance
	g *gated
}

func (i gatedInstance) Call(ctx context.Context, tool string, args json.RawMessage) (astra.Result, error) {
	<-i.g.gate
	if i.g.trouble.Add(-1) >= 0 {
		return astra.Result{}, errors.New("the machine stumbled")
	}
	res, err := i.Instance.Call(ctx, tool, args)
	if i.g.lie.Load() {
		res.Value = json.RawMessage(`"lie"`)
	}
	return res, err
}

// failing is the real store, which can be told to take no more events.
type failing struct {
	gateway.Store
	fail atomic.Bool
}

func (f *failing) Append(ctx context.Context, id astra.EpisodeID, sync gateway.Sync, events ...astra.Event) error {
	if f.fail.Load() {
		return errors.New("the disk is gone")
	}
	return f.Store.Append(ctx, id, sync, events...)
}
