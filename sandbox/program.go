package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
)

// A guest is an arena's code in an image, and how one engine calls it. Its methods run on
// an executor that is bound to a memory which began as the image. Errors are *thrown,
// errPending, errBadArgs, or a breach of the result's size; after each of them the world
// is sound. If x.err is set, nothing else holds.
type guest interface {
	has(tool string) bool
	hasSetup() bool
	hasState() bool
	// begin gives a memory its seed and clock.
	begin(mem []byte, w gateway.World)
	// setup runs what the arena does once per episode.
	setup(x *executor, scenario []byte) error
	// call runs a tool and returns its result as JSON, "null" if nothing.
	call(x *executor, tool string, args []byte) ([]byte, error)
	state(x *executor) ([]byte, error)
}

// A program is a loaded arena: the image that its module code left, and the guest in it.
// It implements gateway.Program.
type program struct {
	*machine
	limits astra.Limits
	entry  string // file name in messages
	files  *files
	image  *image
	guest  guest
	worlds worlds // if there is a setup
	own    bool   // the machine is this program's alone
	closed atomic.Bool
}

// newProgram checks what holds for every kind of arena, and returns its code too.
func newProgram(kind astra.RuntimeKind, a *astra.Arena) (*program, []byte, error) {
	if a.Runtime != kind {
		return nil, nil, fmt.Errorf("arena %s is for the runtime %s, not %s", a.Name, a.Runtime, kind)
	}
	if err := checkLimits(a.Limits); err != nil {
		return nil, nil, err
	}
	if a.Bundle == nil {
		return nil, nil, fmt.Errorf("arena %s has no files", a.Name)
	}
	code, ok := a.Bundle.File(a.Entry)
	if !ok {
		return nil, nil, fmt.Errorf("%s: no such file in the arena: entry in arena.yaml names the tools' code", a.Entry)
	}
	return &program{limits: a.Limits, entry: a.Entry, files: newFiles(a.Bundle)}, code, nil
}

// run says what the program runs on.
func (p *program) run(m *machine, g guest) {
	p.machine, p.guest = m, g
	p.worlds.from, p.worlds.most = m.memories, putAwayBytes
}

// load runs module code in a memory that begins as base, and keeps what is left.
func (p *program) load(ctx context.Context, base *image, evaluate func(*executor) error) error {
	m, err := p.memories.begin(base)
	if err != nil {
		return err
	}
	defer p.release(m)
	if int64(len(m.buf)) > p.limits.Memory {
		return fmt.Errorf("limits.memory is %d bytes, and the engine alone takes %d: raise it in arena.yaml", p.limits.Memory, len(m.buf))
	}
	x, err := p.acquire(ctx)
	if err != nil {
		return err
	}
	defer p.giveBack(x)
	x.begin(ctx, m, p.limits, p.files)
	err = evaluate(x)
	if stop := x.end(); stop != nil {
		err = p.stopped("module code", stop)
	}
	if err != nil {
		return err
	}
	p.image, err = p.freeze(m)
	return err
}

// stopped words why the author's code was stopped where no agent is concerned.
func (p *program) stopped(what string, stop error) error {
	if b, ok := errors.AsType[*breach](stop); ok {
		return fmt.Errorf("%s: %s used more than its %s (%d %s): do less there, or raise limits in arena.yaml", p.entry, what, b.what, b.limit, b.unit)
	}
	return fmt.Errorf("%s: %s: %w", p.entry, what, stop)
}

// HasState reports whether the arena says what its world is.
func (p *program) HasState() bool { return p.guest.hasState() }

// Start makes a world: the image, with seed and clock, after the arena's setup if it has
// one. Without a scenario setup gets an empty object.
func (p *program) Start(ctx context.Context, w gateway.World) (gateway.Instance, error) {
	if p.closed.Load() {
		return nil, errClosed
	}
	var m *memory
	var err error
	if p.guest.hasSetup() {
		m, err = p.afterSetup(ctx, w)
	} else {
		m, err = p.beforeSetup(w)
	}
	if err != nil {
		return nil, err
	}
	return &instance{prog: p, mem: m}, nil
}

func (p *program) beforeSetup(w gateway.World) (*memory, error) {
	m, err := p.memories.begin(p.image)
	if err == nil {
		p.guest.begin(m.buf, w)
	}
	return m, err
}

func milliseconds(t time.Time) float64 { return float64(t.UnixMicro()) / 1e3 }

func (p *program) runSetup(ctx context.Context, m *memory, scenario json.RawMessage) (spent int64, err error) {
	if len(bytes.TrimSpace(scenario)) == 0 {
		scenario = json.RawMessage("{}")
	}
	x, err := p.acquire(ctx)
	if err != nil {
		return 0, err
	}
	defer p.giveBack(x)
	x.begin(ctx, m, p.limits, p.files)
	err = p.guest.setup(x, scenario)
	spent = x.spent()
	if stop := x.end(); stop != nil {
		return spent, p.stopped("setup", stop)
	}
	if err != nil {
		return spent, fmt.Errorf("setup: %w", err)
	}
	return spent, nil
}

// Close gives the image up. Worlds that are still live keep it until they are closed.
func (p *program) Close() error {
	if p.closed.Swap(true) {
		return nil
	}
	p.worlds.close()
	p.drop(p.image)
	if p.own {
		return p.machine.Close()
	}
	return nil
}
