package sandbox

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
)

// rules is the version of what this package adds to the engines' behaviour: how calls
// are made, results read and limits counted. Whoever changes a result changes it.
const rules = 2

// A JavaScript runs JavaScript arenas: it implements gateway.Runtime. It is safe for
// concurrent use.
type JavaScript struct {
	*machine
	digest string
	layout layout
	base   *image // after boot, before any arena's code
	own    *Pool  // nil if it was given one
}

// NewJavaScript compiles the engine and tries it. ctx bounds that alone.
func NewJavaScript(ctx context.Context, opts *Options) (*JavaScript, error) {
	rt, err := newJavaScript(ctx, opts.withDefaults())
	if err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	return rt, nil
}

func newJavaScript(ctx context.Context, o Options) (*JavaScript, error) {
	engine, err := readEngine()
	if err != nil {
		return nil, err
	}
	rt := &JavaScript{digest: digestOf(&o, astra.JavaScript, engine, []byte(bootScript)), own: o.own}
	if rt.machine, err = newMachine(ctx, engine, &o, exportNames[:], scriptModules...); err != nil {
		return nil, fmt.Errorf("the JavaScript engine: %w", err)
	}
	if err := rt.makeBase(ctx); err != nil {
		rt.Close()
		return nil, err
	}
	return rt, nil
}

// digestOf names what decides results besides the arena.
func digestOf(o *Options, kind astra.RuntimeKind, parts ...[]byte) string {
	h := sha256.New()
	fmt.Fprintf(h, "astra-%s %d\n", kind, rules)
	if o.Unmetered {
		fmt.Fprintln(h, "unmetered")
	}
	for _, p := range parts {
		fmt.Fprintf(h, "%x\n", sha256.Sum256(p))
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil))
}

// makeBase boots the engine once; every arena's image begins as a copy of the result.
func (rt *JavaScript) makeBase(ctx context.Context) (err error) {
	rt.prepare = func(x *executor) error { x.js = &rt.layout; return nil }
	rt.base, err = rt.boot(ctx, bootLimits, nil, func(x *executor) (err error) {
		rt.layout, err = x.boot()
		return err
	})
	if err != nil {
		return fmt.Errorf("the JavaScript engine does not boot: %w", err)
	}
	return rt.selfTest(ctx)
}

// selfTest makes sure that compiled code sees the memory that was bound last. That a
// grown memory may be another one, and smaller, is how wazero 1.12 behaves, and not what
// it promises.
func (rt *JavaScript) selfTest(ctx context.Context) error {
	x, err := rt.acquire(ctx)
	if err != nil {
		return err
	}
	defer rt.giveBack(x)
	var two [2]*memory
	for i := range two {
		if two[i], err = rt.begin(rt.base); err != nil {
			return err
		}
		defer rt.release(two[i])
	}
	if err := rt.grow(two[1], len(rt.base.bytes)+wasmPage); err != nil {
		return err
	}
	at := rt.layout.cell + cellInput
	copy(two[0].buf[at:], "one\x00")
	copy(two[1].buf[at:], "three\x00")
	for _, i := range []int{0, 1, 0, 1} {
		x.begin(ctx, two[i], bootLimits, nil)
		n := x.do(strlen, at)
		size := int(x.linear.Size())
		if err := x.end(); err != nil || n != uint64(3+2*i) || size != len(two[i].buf) {
			return fmt.Errorf("this version of wazero does not let memory be swapped (length %d, size %d, %v): build with wazero v1.12.0", n, size, err)
		}
	}
	return nil
}

// Kind is astra.JavaScript.
func (rt *JavaScript) Kind() astra.RuntimeKind { return astra.JavaScript }

// Digest is "sha256:" and hex digits over the engine, boot.js and rules.
func (rt *JavaScript) Digest() string { return rt.digest }

// Pure is true: tools see nothing but their world and their arguments.
func (rt *JavaScript) Pure() bool { return true }

// Close waits for running calls and frees everything; a call that waits or comes later
// fails. Instances must still be closed, and may be closed after it.
func (rt *JavaScript) Close() error {
	if rt.base != nil {
		rt.drop(rt.base)
	}
	if rt.own != nil {
		rt.own.Close()
	}
	return rt.machine.Close()
}

// Load runs an arena's module code, once, and keeps the memory that it leaves. Tools are
// the exported functions of the arena's entry, an ES module; it imports nothing.
func (rt *JavaScript) Load(ctx context.Context, a *astra.Arena) (gateway.Program, error) {
	p, source, err := newProgram(astra.JavaScript, a)
	if err != nil {
		return nil, err
	}
	s := &script{rt: rt, entry: p.entry, tools: map[string]jsValue{}}
	p.run(rt.machine, s)
	err = p.load(ctx, rt.base, func(x *executor) error { return s.evaluate(x, string(source), a.Tools) })
	if err != nil {
		return nil, err
	}
	return p, nil
}

var _ gateway.Runtime = (*JavaScript)(nil)
