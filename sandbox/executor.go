package sandbox

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/astra-arenas/astra"
)

// fuelSlice is how many units guest code runs between visits to the host: 1 to 5 ms.
// Go's garbage collector, cancellation and the wall clock wait no longer than that.
const fuelSlice = 1 << 18

// An export numbers a function of the module that the host calls.
type export int

// An executor is a wazero instance that keeps nothing between calls: its stack pointer
// is back where it was, its table is never written, and its memory is whichever
// episode's is bound. It serves one call at a time.
//
// It is the context that guest code runs under, so that host functions find it without
// an allocation: the caller's context is embedded for the length of a run.
type executor struct {
	context.Context
	m       *machine
	mod     api.Module
	linear  api.Memory
	fuel    api.MutableGlobal
	globals []api.MutableGlobal // the others that can change
	rest    []uint64            // what they are between calls
	fn      []api.Function      // by export; nil where the module has none
	narrow  []bool              // the result is an i32
	stack   [8]uint64           // parameters are read on entry and results written at the end, so nested calls share it

	js      *layout         // of a JavaScript engine
	world   uint64          // where in memory the world's block is; 0: nowhere yet
	scratch [blockSize]byte // stands for it then
	args    []string        // of the guest's command line, while it boots
	parking bool            // the guest is to be left where it next asks for the time

	mem      *memory // bound
	swapping bool

	// Of the run in progress.
	limits   astra.Limits
	files    *files
	left     int64 // fuel beyond what the guest's global holds
	deadline time.Time
	refused  bool  // memory beyond the limit was asked for
	err      error // the first that went wrong; nothing runs after it
	log      []byte
	logCut   bool
}

// Value hides what the caller's context carries: none of it is for wazero.
func (x *executor) Value(any) any { return nil }

// newExecutor makes an instance; the module's data segments are written to mem, or nowhere
// that matters if mem is nil.
func (m *machine) newExecutor(ctx context.Context, mem *memory) (*executor, error) {
	if mem == nil {
		mem = &memory{buf: make([]byte, m.minMemory)}
	}
	x := &executor{Context: ctx, m: m, mem: mem, swapping: true}
	mod, err := m.wasm.InstantiateModule(experimental.WithMemoryAllocator(ctx, x), m.compiled, wazero.NewModuleConfig().WithName("").WithStartFunctions())
	if err != nil {
		return nil, fmt.Errorf("a new executor: %w", err)
	}
	x.swapping = false
	x.mod, x.linear = mod, mod.Memory()
	for _, name := range m.functions {
		x.add(mod.ExportedFunction(name))
	}
	for _, name := range m.globals {
		g, ok := mod.ExportedGlobal(name).(api.MutableGlobal)
		if !ok {
			return nil, fmt.Errorf("the module does not export its global %s", name)
		}
		x.globals, x.rest = append(x.globals, g), append(x.rest, g.Get())
	}
	x.fuel, _ = mod.ExportedGlobal(fuelGlobal).(api.MutableGlobal)
	if x.fuel == nil || x.linear == nil {
		return nil, errors.New("the module lacks its memory or fuel")
	}
	return x, nil
}

// add makes a function callable by the next number.
func (x *executor) add(f api.Function) export {
	narrow := false
	if f != nil {
		results := f.Definition().ResultTypes()
		narrow = len(results) == 1 && results[0] == api.ValueTypeI32
	}
	x.fn, x.narrow = append(x.fn, f), append(x.narrow, narrow)
	return export(len(x.fn) - 1)
}

// errParked is how a guest is left in the middle of its main function, to be called there.
var errParked = errors.New("parked")

// park leaves a guest that is waiting to be called: its frames stay in its memory, and
// what its globals are now they are at every call.
func (x *executor) park() {
	x.parking = false
	for i, g := range x.globals {
		x.rest[i] = g.Get()
	}
	panic(errParked)
}

// settleGlobals puts the globals back to what they are between calls.
func (x *executor) settleGlobals() {
	for i, g := range x.globals {
		g.Set(x.rest[i])
	}
}

// Allocate makes the executor the source of its instance's memory.
func (x *executor) Allocate(_, _ uint64) experimental.LinearMemory { return x }

// Free is called when the instance closes; memories are not its own.
func (x *executor) Free() {}

// Reallocate answers memory.grow. Binding another memory comes in by the same door:
// wazero takes whatever slice it returns as the whole memory.
func (x *executor) Reallocate(n uint64) []byte {
	m := x.mem
	if !x.swapping && n > uint64(len(m.buf)) {
		if n > uint64(x.limits.Memory) {
			x.refused = true
			return nil
		}
		if err := x.m.grow(m, int(n)); err != nil {
			x.fail(err)
			return nil
		}
	}
	return m.buf[:len(m.buf):len(m.buf)]
}

// bind swaps the memory. The size is compared too: the memory may have grown under
// another executor, or another memory have taken its place.
func (x *executor) bind(m *memory) {
	if x.mem == m && int(x.linear.Size()) == len(m.buf) {
		return
	}
	x.mem, x.swapping = m, true
	if _, ok := x.linear.Grow(1); !ok {
		x.fail(errors.New("the engine's memory cannot be swapped"))
	}
	x.swapping = false
}

// begin binds a memory and sets the limits of the run that follows.
func (x *executor) begin(ctx context.Context, m *memory, l astra.Limits, f *files) {
	x.Context, x.limits, x.files = ctx, l, f
	x.refused, x.err, x.log, x.logCut = false, nil, x.log[:0], false
	x.deadline = x.m.now().Add(l.Wall)
	x.left = l.Fuel
	x.fuel.Set(0)
	x.refill()
	x.bind(m)
}

// end returns why the run was stopped, or nil: a *breach, or what is nobody's breach.
func (x *executor) end() error {
	err := x.err
	if x.refused && (err == nil || isTrap(err)) {
		err = &breach{"memory", x.limits.Memory, "bytes"}
	}
	x.Context, x.files = context.Background(), nil
	return err
}

// spent is how many units the run has used so far.
func (x *executor) spent() int64 { return x.limits.Fuel - x.left - int64(x.fuel.Get()) }

// refill moves a slice of what is left into the guest's global.
func (x *executor) refill() {
	n := min(x.left, fuelSlice)
	x.left -= n
	x.fuel.Set(uint64(int64(x.fuel.Get()) + n))
}

// interrupt is the guest's visit when its slice is used up. Fuel is looked at first, so
// that no clock decides what is a breach.
func (x *executor) interrupt() {
	switch {
	case x.left <= 0:
		x.fail(&breach{"fuel", x.limits.Fuel, "units"})
	case x.Context.Err() != nil:
		x.fail(context.Cause(x.Context))
	case x.m.now().After(x.deadline):
		x.fail(fmt.Errorf("%w: a call may take %v", astra.ErrToolTimeout, x.limits.Wall))
	}
	if x.err != nil {
		panic(x.err) // wazero unwinds the guest and returns it as an error
	}
	x.refill()
}

func (x *executor) fail(err error) {
	if x.err == nil {
		x.err = err
	}
}

// A trap is how the engine itself ended a run: it was led to do what WebAssembly forbids.
type trap struct{ err error }

func (t *trap) Error() string { return "the engine trapped: " + t.err.Error() }

func isTrap(err error) bool { _, ok := err.(*trap); return ok }

// do calls an export. After an error it does nothing and returns 0.
func (x *executor) do(f export, args ...uint64) uint64 {
	if x.err != nil {
		return 0
	}
	copy(x.stack[:], args)
	if err := x.fn[f].CallWithStack(x, x.stack[:]); err != nil {
		x.fail(&trap{err})
		x.settleGlobals()
		return 0
	}
	if x.narrow[f] {
		return uint64(uint32(x.stack[0])) // wazero leaves the upper half as it was
	}
	return x.stack[0]
}

// bytes returns n bytes of guest memory, which the guest may have led us astray to.
func (x *executor) bytes(at, n uint64) []byte {
	b := x.mem.buf
	if x.err == nil && (at > uint64(len(b)) || n > uint64(len(b))-at) {
		x.fail(&trap{fmt.Errorf("%d bytes at %#x are not in memory", n, at)})
	}
	if x.err != nil {
		return make([]byte, min(n, 64))
	}
	return b[at : at+n]
}

func (x *executor) u32(at uint64) uint64 { return uint64(binary.LittleEndian.Uint32(x.bytes(at, 4))) }
func (x *executor) u64(at uint64) uint64 { return binary.LittleEndian.Uint64(x.bytes(at, 8)) }
func (x *executor) putU64(at, v uint64)  { binary.LittleEndian.PutUint64(x.bytes(at, 8), v) }

// put copies text, and a NUL after it, to QuickJS's heap.
func (x *executor) put(text []byte) uint64 {
	n := uint64(len(text))
	p := x.do(malloc, n+1)
	if p == 0 {
		if x.err == nil {
			x.refused = true
			x.fail(&breach{"memory", x.limits.Memory, "bytes"})
		}
		return 0
	}
	b := x.bytes(p, n+1)
	if x.err == nil {
		b[copy(b, text)] = 0
	}
	return p
}

// close gives the instance up.
func (x *executor) close(ctx context.Context) { x.mod.Close(ctx) }

// logLine appends to the log of this run, up to its limit.
func (x *executor) logLine(line []byte, cut bool) {
	room := max(x.limits.Log-int64(len(x.log)), 0)
	if int64(len(line)) > room {
		line, cut = line[:room], true
	}
	x.log = append(x.log, line...)
	x.logCut = x.logCut || cut
}
