package sandbox

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/tetratelabs/wazero"

	"github.com/astra-arenas/astra"
)

// rules is the version of what this package adds to the engine's behaviour: how calls
// are made, results read and limits counted. Whoever changes a result changes it.
const rules = 1

var errClosed = errors.New("the sandbox is closed")

// Options adjusts a Runtime. A zero field, or a nil *Options, means the default.
type Options struct {
	// CacheDir keeps compiled machine code; default astra/wazero in the user's cache
	// directory. A directory that cannot be written costs 0.3 s a start, nothing else.
	CacheDir string
	// Executors is how many calls run at once; default twice GOMAXPROCS.
	Executors int
	// Slots is how many episodes may be live at once; default what vm.max_map_count
	// allows, less a reserve.
	Slots int
	// Copy chooses the portable way of keeping memory where there is a faster one.
	Copy bool
}

// A Runtime runs JavaScript arenas: it implements gateway.Runtime. It is safe for
// concurrent use.
type Runtime struct {
	wasm      wazero.Runtime
	cache     wazero.CompilationCache
	compiled  wazero.CompiledModule
	minMemory int
	digest    string
	memories  memories
	layout    layout
	base      *image // after boot, before any arena's code
	now       func() time.Time

	// executors holds as many as may run; nil stands for one not made yet. Who takes one
	// puts one back. Close takes them all.
	executors chan *executor
	closed    chan struct{}
	close     func() error // once
}

// New compiles the engine and tries it. ctx bounds that alone.
func New(ctx context.Context, opts *Options) (*Runtime, error) {
	var o Options
	if opts != nil {
		o = *opts
	}
	rt, err := newRuntime(ctx, o, time.Now)
	if err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	return rt, nil
}

func newRuntime(ctx context.Context, o Options, now func() time.Time) (*Runtime, error) {
	engine, err := readEngine()
	if err != nil {
		return nil, err
	}
	metered, err := meter(engine, interruptImport)
	if err != nil {
		return nil, fmt.Errorf("the engine: %w", err)
	}
	rt := &Runtime{now: now, digest: digest(engine, metered), closed: make(chan struct{})}
	rt.close = sync.OnceValue(rt.shut)
	if rt.memories, err = chooseMemories(o); err != nil {
		return nil, err
	}
	if err := rt.compile(ctx, o.CacheDir, metered); err != nil {
		return nil, err
	}
	n := o.Executors
	if n <= 0 {
		n = 2 * runtime.GOMAXPROCS(0)
	}
	rt.executors = make(chan *executor, n)
	for range n {
		rt.executors <- nil
	}
	if err := rt.makeBase(ctx); err != nil {
		rt.Close()
		return nil, err
	}
	return rt, nil
}

func chooseMemories(o Options) (memories, error) {
	if o.Copy {
		return copied{}, nil
	}
	m, err := newMapped(o.Slots)
	if err != nil {
		return copied{}, nil // slower, as right
	}
	return m, nil
}

func digest(engine, metered []byte) string {
	h := sha256.New()
	fmt.Fprintf(h, "astra-javascript %d\n%x\n%x\n%x\n", rules, sha256.Sum256(engine), sha256.Sum256(metered), sha256.Sum256([]byte(bootScript)))
	return "sha256:" + hex.EncodeToString(h.Sum(nil))
}

func (rt *Runtime) compile(ctx context.Context, dir string, module []byte) error {
	rt.cache = openCache(dir)
	config := wazero.NewRuntimeConfig().WithCompilationCache(rt.cache)
	rt.wasm = wazero.NewRuntimeWithConfig(ctx, config)
	if err := hostModules(ctx, rt.wasm); err != nil {
		return err
	}
	var err error
	if rt.compiled, err = rt.wasm.CompileModule(ctx, module); err != nil {
		return fmt.Errorf("the engine does not compile: %w", err)
	}
	mem := rt.compiled.ExportedMemories()["memory"]
	if mem == nil {
		return errors.New("the engine exports no memory")
	}
	rt.minMemory = int(mem.Min()) * wasmPage
	return nil
}

// openCache falls back to memory: the cache is a convenience.
func openCache(dir string) wazero.CompilationCache {
	if dir == "" {
		if user, err := os.UserCacheDir(); err == nil {
			dir = filepath.Join(user, "astra", "wazero")
		}
	}
	if dir != "" && writable(dir) {
		if c, err := wazero.NewCompilationCacheWithDir(dir); err == nil {
			return c
		}
	}
	return wazero.NewCompilationCache()
}

// writable makes dir, for the user alone: what lies in it is executed.
func writable(dir string) bool {
	if os.MkdirAll(dir, 0o700) != nil {
		return false
	}
	f, err := os.CreateTemp(dir, ".probe-*")
	if err != nil {
		return false
	}
	f.Close()
	return os.Remove(f.Name()) == nil
}

// makeBase boots the engine once; every arena's image begins as a copy of the result.
func (rt *Runtime) makeBase(ctx context.Context) error {
	m, err := rt.memories.blank(rt.minMemory)
	if err != nil {
		return err
	}
	defer rt.memories.release(m)
	x, err := rt.newExecutor(ctx, m)
	if err != nil {
		return err
	}
	defer x.close(context.WithoutCancel(ctx))
	x.begin(ctx, m, bootLimits, nil)
	rt.layout, err = x.boot()
	if stop := x.end(); stop != nil {
		err = stop
	}
	if err != nil {
		return fmt.Errorf("the engine does not boot: %w", err)
	}
	if rt.base, err = rt.memories.freeze(m); err != nil {
		return err
	}
	return rt.selfTest(ctx)
}

// bootLimits are far beyond what boot takes.
var bootLimits = astra.Limits{Memory: slotSize, Fuel: 1 << 30, Wall: time.Minute, Result: 1 << 16, Log: 1 << 10, Depth: 64}

// selfTest makes sure that compiled code sees the memory that was bound last. That a
// grown memory may be another one, and smaller, is how wazero 1.12 behaves, and not what
// it promises.
func (rt *Runtime) selfTest(ctx context.Context) error {
	x, err := rt.acquire(ctx)
	if err != nil {
		return err
	}
	defer rt.release(x)
	var two [2]*memory
	for i := range two {
		if two[i], err = rt.memories.begin(rt.base); err != nil {
			return err
		}
		defer rt.memories.release(two[i])
	}
	if err := rt.memories.grow(two[1], len(rt.base.bytes)+wasmPage); err != nil {
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
func (rt *Runtime) Kind() astra.RuntimeKind { return astra.JavaScript }

// Digest is "sha256:" and hex digits over the engine, its metered form, boot.js and rules.
func (rt *Runtime) Digest() string { return rt.digest }

// Pure is true: tools see nothing but their world and their arguments.
func (rt *Runtime) Pure() bool { return true }

// acquire waits for an executor.
func (rt *Runtime) acquire(ctx context.Context) (*executor, error) {
	var x *executor
	select {
	case x = <-rt.executors:
	default:
		select {
		case x = <-rt.executors:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-rt.closed:
			return nil, errClosed
		}
	}
	if x != nil {
		return x, nil
	}
	x, err := rt.newExecutor(context.WithoutCancel(ctx), nil)
	if err != nil {
		rt.executors <- nil
	}
	return x, err
}

// release puts an executor back.
func (rt *Runtime) release(x *executor) { rt.executors <- x }

// discard puts a fresh place back instead of an executor that may have grown: wazero
// keeps its native stack, megabytes after deep recursion.
func (rt *Runtime) discard(x *executor) {
	x.close(context.Background())
	rt.executors <- nil
}

// Close waits for running calls and frees everything; a call that waits or comes later
// fails. Instances must still be closed, and may be closed after it.
func (rt *Runtime) Close() error { return rt.close() }

func (rt *Runtime) shut() error {
	close(rt.closed)
	for range cap(rt.executors) {
		<-rt.executors
	}
	if rt.base != nil {
		rt.memories.drop(rt.base)
	}
	rt.memories.close()
	ctx := context.Background()
	return errors.Join(rt.wasm.Close(ctx), rt.cache.Close(ctx))
}
