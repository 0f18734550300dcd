package sandbox

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/astra-arenas/astra"
)

var errClosed = errors.New("the sandbox is closed")

// Options adjusts a runtime. A zero field, or a nil *Options, means the default.
type Options struct {
	// Pool is where the memories of episodes come from. Runtimes of one process share
	// one, since the kernel counts mappings by process; default one of its own.
	Pool *Pool
	// CacheDir keeps compiled machine code; default astra/wazero in the user's cache
	// directory. A directory that cannot be written costs 0.3 s a start (Python: 3 s),
	// nothing else.
	CacheDir string
	// Executors is how many calls run at once; default twice GOMAXPROCS.
	Executors int
	// Slots and Copy are the Pool's, where none is given.
	Slots int
	Copy  bool
	// Python is the file of the Python engine; it is read when the first Python arena is
	// loaded. Default python.wasm beside the executable.
	Python string

	// Unmetered leaves the counting of fuel out, to measure what it costs. Then nothing stops
	// a loop, nor even a call that should be cancelled: never for a stranger's code.
	Unmetered bool

	now func() time.Time
	own *Pool // to be closed with the runtime
}

func (o *Options) withDefaults() Options {
	var c Options
	if o != nil {
		c = *o
	}
	if c.Pool == nil {
		c.Pool = NewPool(&PoolOptions{Slots: c.Slots, Copy: c.Copy})
		c.own = c.Pool
	}
	if c.Executors <= 0 {
		c.Executors = 2 * runtime.GOMAXPROCS(0)
	}
	if c.now == nil {
		c.now = time.Now
	}
	return c
}

// PoolOptions adjusts a Pool.
type PoolOptions struct {
	// Slots is how many episodes may be live at once; default what vm.max_map_count
	// allows, less a reserve.
	Slots int
	// Copy chooses the portable way of keeping memory where there is a faster one.
	Copy bool
}

// A Pool is where linear memories come from.
type Pool struct{ memories }

// Room is how many worlds there is room for at once, and what to do where that is less than
// memory allows.
func (p *Pool) Room() (worlds int, why string) {
	if m, ok := p.memories.(roomy); ok {
		return m.room()
	}
	return math.MaxInt, "" // memory is the only bound
}

// roomy are memories with a bound of their own.
type roomy interface {
	room() (worlds int, why string)
}

// Close gives up what the pool reserved, as soon as the last memory is released.
func (p *Pool) Close() { p.memories.close() }

// NewPool returns a pool of the fastest kind that this machine has.
func NewPool(o *PoolOptions) *Pool {
	var c PoolOptions
	if o != nil {
		c = *o
	}
	if !c.Copy {
		if m, err := newMapped(c.Slots); err == nil {
			return &Pool{m}
		}
	}
	return &Pool{copied{}} // slower, as right
}

// A machine is a compiled module and the executors that run it.
type machine struct {
	memories
	wasm      wazero.Runtime
	cache     wazero.CompilationCache
	compiled  wazero.CompiledModule
	minMemory int
	functions []string // exports that the host calls, by number
	globals   []string // exports that are put back before a call
	now       func() time.Time

	// executors holds as many as may run; nil stands for one not made yet. Who takes one
	// puts one back. Close takes them all.
	executors chan *executor
	prepare   func(*executor) error // a new one, if not nil
	closed    chan struct{}
	close     func() error // once
}

// newMachine meters and compiles a module. functions are the exports that the host calls;
// hosts gives the module its imports.
func newMachine(ctx context.Context, module []byte, o *Options, functions []string, hosts ...hostModule) (*machine, error) {
	metered, globals, err := meter(module, !o.Unmetered)
	if err != nil {
		return nil, err
	}
	m := &machine{memories: o.Pool.memories, functions: functions, globals: globals, now: o.now, closed: make(chan struct{}),
		executors: make(chan *executor, o.Executors)}
	for range o.Executors {
		m.executors <- nil
	}
	m.close = sync.OnceValue(m.shut)
	m.cache = openCache(o.CacheDir)
	m.wasm = wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().WithCompilationCache(m.cache))
	if err := m.compile(ctx, metered, hosts); err != nil {
		return nil, errors.Join(err, m.close())
	}
	return m, nil
}

func (m *machine) compile(ctx context.Context, module []byte, hosts []hostModule) (err error) {
	for _, h := range append(hosts, meterModule) {
		if err := h.instantiate(ctx, m.wasm); err != nil {
			return err
		}
	}
	if m.compiled, err = m.wasm.CompileModule(ctx, module); err != nil {
		return fmt.Errorf("it does not compile: %w", err)
	}
	mem := m.compiled.ExportedMemories()["memory"]
	if mem == nil {
		return errors.New("it exports no memory")
	}
	m.minMemory = int(mem.Min()) * wasmPage
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

// bootLimits are far beyond what an engine takes to boot.
var bootLimits = astra.Limits{Memory: slotSize, Fuel: 1 << 34, Wall: time.Minute, Result: 1 << 16, Log: 64 << 10, Depth: 64}

// boot runs f on a blank memory, with the module's data in it, and keeps what is left as
// an image.
func (m *machine) boot(ctx context.Context, l astra.Limits, files *files, f func(x *executor) error) (*image, error) {
	if int64(m.minMemory) > l.Memory {
		return nil, fmt.Errorf("it begins with %d bytes of memory, and %d are allowed", m.minMemory, l.Memory)
	}
	mem, err := m.blank(m.minMemory)
	if err != nil {
		return nil, err
	}
	defer m.release(mem)
	x, err := m.newExecutor(ctx, mem)
	if err != nil {
		return nil, err
	}
	defer x.close(context.WithoutCancel(ctx))
	x.begin(ctx, mem, l, files)
	err = f(x)
	if stop := x.end(); stop != nil {
		err = stop
	}
	if err != nil {
		return nil, err
	}
	return m.freeze(mem)
}

// acquire waits for an executor.
func (m *machine) acquire(ctx context.Context) (*executor, error) {
	var x *executor
	select {
	case x = <-m.executors:
	default:
		select {
		case x = <-m.executors:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-m.closed:
			return nil, errClosed
		}
	}
	if x != nil {
		return x, nil
	}
	x, err := m.newExecutor(context.WithoutCancel(ctx), nil)
	if err == nil && m.prepare != nil {
		err = m.prepare(x)
	}
	if err != nil {
		m.executors <- nil
		return nil, err
	}
	return x, nil
}

// giveBack puts an executor back.
func (m *machine) giveBack(x *executor) { m.executors <- x }

// discard puts a fresh place back instead of an executor that may have grown: wazero
// keeps its native stack, megabytes after deep recursion.
func (m *machine) discard(x *executor) {
	x.close(context.Background())
	m.executors <- nil
}

// Close waits for running calls and frees everything; a call that waits or comes later
// fails. Instances must still be closed, and may be closed after it.
func (m *machine) Close() error { return m.close() }

func (m *machine) shut() error {
	close(m.closed)
	for range cap(m.executors) {
		<-m.executors
	}
	ctx := context.Background()
	return errors.Join(m.wasm.Close(ctx), m.cache.Close(ctx))
}

// A hostModule is a set of functions that guests import.
type hostModule struct {
	name      string
	functions []hostFunction
}

// A hostFunction is called on the executor that runs the guest; parameters and results
// share the stack.
type hostFunction struct {
	name            string
	params, results []api.ValueType
	run             func(x *executor, stack []uint64)
}

func (h hostModule) instantiate(ctx context.Context, wasm wazero.Runtime) error {
	b := wasm.NewHostModuleBuilder(h.name)
	for _, f := range h.functions {
		run := api.GoFunc(func(ctx context.Context, stack []uint64) { f.run(ctx.(*executor), stack) })
		b.NewFunctionBuilder().WithGoFunction(run, f.params, f.results).Export(f.name)
	}
	_, err := b.Instantiate(ctx)
	return err
}

func (h hostModule) has(function string) bool {
	return slices.ContainsFunc(h.functions, func(f hostFunction) bool { return h.name+"."+f.name == function })
}

// meterModule is what metered code imports.
var meterModule = hostModule{hostModuleName, []hostFunction{{name: interruptName, run: func(x *executor, _ []uint64) { x.interrupt() }}}}
