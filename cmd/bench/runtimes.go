package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
	"github.com/astra-arenas/astra/sandbox"
)

//go:embed testdata/tools.py
var pythonCode string

// An engine is a runtime with the bench's tools in its language.
type engine struct {
	name  string
	kind  astra.RuntimeKind
	entry string
	code  func() ([]byte, error)
	make  func(context.Context, *sandbox.Options) (closer, error)
}

type closer interface {
	gateway.Runtime
	io.Closer
}

// engines are all that the sandbox has.
func (l *lab) engines() []engine {
	return []engine{
		{"JavaScript", astra.JavaScript, "tools.js", func() ([]byte, error) { return []byte(code), nil },
			func(ctx context.Context, o *sandbox.Options) (closer, error) { return sandbox.NewJavaScript(ctx, o) }},
		{"Python", astra.Python, "tools.py", func() ([]byte, error) { return []byte(pythonCode), nil },
			func(_ context.Context, o *sandbox.Options) (closer, error) { return sandbox.NewPython(o), nil }},
		{"WASM (Go)", astra.WASM, "tools.wasm", func() ([]byte, error) { return l.build(".", "./cmd/bench/testdata/guest") },
			func(_ context.Context, o *sandbox.Options) (closer, error) { return sandbox.NewWASM(o), nil }},
	}
}

// build compiles a Go guest, of the module in a folder.
func (l *lab) build(dir, pkg string) ([]byte, error) {
	file := filepath.Join(l.dir, "guest.wasm")
	cmd := exec.Command("go", "build", "-C", dir, "-buildmode=c-shared", "-ldflags=-s -w", "-o", file, pkg)
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("the guest does not build: %w, %.300s", err, out)
	}
	return os.ReadFile(file)
}

// A bay is a loaded program of one engine.
type bay struct {
	gateway.Program
	runtime closer
}

func (b *bay) close() error { return errors.Join(b.Close(), b.runtime.Close()) }

func (b *bay) start(ctx context.Context) (gateway.Instance, error) {
	return b.Start(ctx, gateway.World{Seed: 1, Now: astra.DefaultNow})
}

// load makes a runtime and loads the bench's arena in it.
func (e *engine) load(ctx context.Context, unmetered bool) (*bay, error) {
	text, err := e.code()
	if err != nil {
		return nil, err
	}
	yaml := strings.NewReplacer("runtime: javascript", "runtime: "+string(e.kind), "entry: tools.js", "entry: "+e.entry).Replace(manifest)
	b, err := astra.NewBundle([]astra.File{{Path: "arena.yaml", Data: []byte(yaml)}, {Path: e.entry, Data: text}, {Path: "tasks.jsonl", Data: []byte(tasks())}})
	if err != nil {
		return nil, err
	}
	a, err := b.Load()
	if err != nil {
		return nil, err
	}
	rt, err := e.make(ctx, &sandbox.Options{Python: filepath.Join("bin", "python.wasm"), Unmetered: unmetered})
	if err != nil {
		return nil, err
	}
	p, err := rt.Load(ctx, a)
	if err != nil {
		return nil, errors.Join(err, rt.Close())
	}
	return &bay{p, rt}, nil
}

// runtimeRows are what every engine costs. What cannot be measured here is a row too.
func runtimeRows(ctx context.Context, l *lab) ([]row, error) {
	var rows []row
	for _, e := range l.engines() {
		more, err := l.engineRows(ctx, &e)
		if err != nil {
			more = append(more, info(e.name, "not measured: "+err.Error()))
		}
		rows = append(rows, more...)
	}
	return rows, nil
}

func (l *lab) engineRows(ctx context.Context, e *engine) ([]row, error) {
	b, err := e.load(ctx, false)
	if err != nil {
		return nil, err
	}
	defer b.close()
	var open herd
	start, err := measure(l.n(4000), func(int) error { return open.add(b.start(ctx)) }, open.turnOver)
	open.close()
	if err != nil {
		return nil, err
	}
	first, err := b.firstCalls(ctx, l.n(4000))
	if err != nil {
		return nil, err
	}
	forks, err := l.forkTimes(ctx, b.Program)
	if err != nil {
		return nil, err
	}
	each, err := l.liveSize(ctx, b)
	if err != nil {
		return nil, err
	}
	calls, price, err := l.priceOfFuel(ctx, e, b)
	if err != nil {
		return nil, err
	}
	rows := []row{info(e.name+": start an instance", start.String()), info(e.name+": tool call", calls.String()),
		info(e.name+": fork of a running episode, five calls in", forks.String()), info(e.name+": memory per live episode, two calls in", fmt.Sprintf("%.0f KiB", each)),
		info(e.name+": price of fuel on that call", fmt.Sprintf("%+.0f %%", 100*price)), info(e.name+": first call of an episode", first.String())}
	if e.kind == astra.Python {
		rows[0] = judged(rows[0].What, rows[0].Measured, "≤ 5 ms p50", start.at(.5) <= 5000)
		rows[1] = judged(rows[1].What, rows[1].Measured, "≤ 80 µs p50", calls.at(.5) <= 80)
		rows[2] = judged(rows[2].What, rows[2].Measured, "< 2 ms p50", forks.at(.5) < 2000)
		rows[3] = judged(rows[3].What, rows[3].Measured, "≤ 25 MiB", each <= 25<<10)
	}
	return rows, nil
}

// firstCalls times the first call of so many fresh instances.
func (b *bay) firstCalls(ctx context.Context, n int) (times, error) {
	inst, err := b.start(ctx)
	if err != nil {
		return nil, err
	}
	ts, failed := measure(n, func(int) error {
		if err != nil {
			return err
		}
		return good(inst.Call(ctx, "get_user", getUser))
	}, func() {
		inst.Close()
		inst, err = b.start(ctx)
	})
	if err == nil {
		inst.Close()
	}
	return ts, failed
}

// liveSize is the private memory of an episode, two calls in, in KiB.
func (l *lab) liveSize(ctx context.Context, b *bay) (float64, error) {
	heap()
	before, err := privateDirty()
	if err != nil {
		return 0, err
	}
	live := make([]gateway.Instance, 0, 2000)
	defer func() {
		for _, i := range live {
			i.Close()
		}
	}()
	for range l.n(2000) {
		i, err := b.start(ctx)
		if err != nil {
			return 0, err
		}
		live = append(live, i)
		if err := good(i.Call(ctx, "create_order", createOrder)); err != nil {
			return 0, err
		}
		if err := good(i.Call(ctx, "get_user", getUser)); err != nil {
			return 0, err
		}
	}
	heap()
	after, err := privateDirty()
	return (after - before) / float64(len(live)), err
}

// priceOfFuel times the same call metered and unmetered, in turns, and returns the metered
// times and by what share they are longer.
func (l *lab) priceOfFuel(ctx context.Context, e *engine, metered *bay) (times, float64, error) {
	bare, err := e.load(ctx, true)
	if err != nil {
		return nil, 0, err
	}
	defer bare.close()
	var all times
	var shares [3]float64
	for i := range shares {
		with, err := l.callTimes(ctx, metered)
		if err != nil {
			return nil, 0, err
		}
		without, err := l.callTimes(ctx, bare)
		if err != nil {
			return nil, 0, err
		}
		all, shares[i] = with, with.at(.5)/without.at(.5)-1
	}
	return all, median(shares), nil
}

func (l *lab) callTimes(ctx context.Context, b *bay) (times, error) {
	inst, err := b.start(ctx)
	if err != nil {
		return nil, err
	}
	defer inst.Close()
	return measure(l.n(5000), func(int) error { return good(inst.Call(ctx, "get_user", getUser)) })
}
