package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
)

var (
	errDone     = errors.New("sandbox: the world is closed")
	errBreached = errors.New("sandbox: the world was left in the middle of a call that went beyond a limit: close it and start another")
)

// An instance is the world of one episode. It implements gateway.Instance, and like it
// has one user at a time.
type instance struct {
	prog *program
	mem  *memory
	dead error // why it cannot be called any more
}

func (i *instance) usable() error {
	if i.dead == nil && i.prog.closed.Load() {
		return errClosed
	}
	return i.dead
}

// Call runs one tool.
func (i *instance) Call(ctx context.Context, tool string, args json.RawMessage) (astra.Result, error) {
	if err := i.usable(); err != nil {
		return astra.Result{}, err
	}
	p := i.prog
	if !p.guest.has(tool) {
		return astra.Failed(astra.FaultAgent, fmt.Sprintf("there is no tool %q", tool)), nil
	}
	if len(bytes.TrimSpace(args)) == 0 {
		args = json.RawMessage("{}")
	}
	if d := depth(args); d > p.limits.Depth {
		return astra.Failed(astra.FaultAgent, fmt.Sprintf("the arguments are nested %d deep; %d is allowed", d, p.limits.Depth)), nil
	}
	x, err := p.acquire(ctx)
	if err != nil {
		return astra.Result{}, err // and the world is as it was
	}
	x.begin(ctx, i.mem, p.limits, p.files)
	value, failure := p.guest.call(x, tool, args)
	r, err := p.end(x, value, failure)
	if err != nil {
		i.dead = fmt.Errorf("%w (%w)", errBreached, err)
	} else if r.Breach {
		i.dead = errBreached
	}
	return r, err
}

// end sorts out what came of a run and puts the executor back. After an error or a breach
// the memory is worthless.
func (p *program) end(x *executor, value []byte, failure error) (astra.Result, error) {
	stop := x.end()
	r, err := p.result(value, failure, stop)
	if err == nil {
		r.Log = x.logText(failure)
	}
	if stop != nil || overflowed(failure) {
		p.discard(x)
	} else {
		p.giveBack(x)
	}
	return r, err
}

// result sorts what came of a call into DESIGN.md's table of what goes wrong.
func (p *program) result(value []byte, failure, stop error) (astra.Result, error) {
	if stop == nil {
		stop = failure
	}
	switch err := stop.(type) {
	case nil:
		if d := depth(value); d > p.limits.Depth {
			return p.breached(&breach{"nesting", int64(p.limits.Depth), "levels"}), nil
		}
		return astra.Result{Value: value}, nil
	case *breach:
		return p.breached(err), nil
	case *trap: // the tool's doing all the same, and the same at every replay
		r := astra.Failed(astra.FaultTool, "the tool broke the engine that runs it")
		r.Breach = true
		return r, nil
	case *thrown:
		return astra.Failed(astra.FaultTool, err.message), nil
	}
	switch stop {
	case errExit:
		r := astra.Failed(astra.FaultTool, stop.Error())
		r.Breach = true // its main function is gone
		return r, nil
	case errPending:
		return astra.Failed(astra.FaultTool, stop.Error()), nil
	case errBadArgs:
		return astra.Failed(astra.FaultAgent, stop.Error()), nil
	}
	return astra.Result{}, stop
}

func (p *program) breached(b *breach) astra.Result {
	r := astra.Failed(astra.FaultTool, b.Error())
	r.Breach = true
	return r
}

// maxState is what verifiers may be given of a world, in bytes of JSON.
const maxState = 1 << 20

// State calls state() in a copy of the world, so that whatever it does is undone.
func (i *instance) State(ctx context.Context) (astra.Result, error) {
	if err := i.usable(); err != nil {
		return astra.Result{}, err
	}
	if !i.prog.guest.hasState() {
		return astra.Result{}, nil
	}
	m, err := i.prog.clone(i.mem)
	if err != nil {
		return astra.Result{}, err
	}
	defer i.prog.release(m)
	x, err := i.prog.acquire(ctx)
	if err != nil {
		return astra.Result{}, err
	}
	l := i.prog.limits
	l.Result = max(l.Result, maxState)
	x.begin(ctx, m, l, i.prog.files)
	value, failure := i.prog.guest.state(x)
	return i.prog.end(x, value, failure)
}

// Fork copies what the world has changed of its image.
func (i *instance) Fork(ctx context.Context) (gateway.Instance, error) {
	if err := i.usable(); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	m, err := i.prog.clone(i.mem)
	if err != nil {
		return nil, err
	}
	return &instance{prog: i.prog, mem: m}, nil
}

// Close releases the world's memory.
func (i *instance) Close() error {
	if i.mem != nil {
		i.prog.release(i.mem)
		i.mem, i.dead = nil, errDone
	}
	return nil
}

// logText is what the tool logged, and the stack of the exception that it failed with.
func (x *executor) logText(failure error) string {
	if t, ok := failure.(*thrown); ok && t.stack != "" {
		x.logLine([]byte(t.message+"\n"+t.stack), false)
	}
	if !x.logCut {
		return clip(string(x.log), len(x.log))
	}
	const mark = "\n[the log was cut here]"
	keep := min(len(x.log), max(int(x.limits.Log)-len(mark), 0))
	return clip(string(x.log[:keep]), keep) + mark
}

// overflowed reports whether the call ended for want of stack.
func overflowed(failure error) bool {
	t, ok := failure.(*thrown)
	return ok && t.message == "RangeError: Maximum call stack size exceeded"
}
