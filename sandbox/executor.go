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

// An export is a function of the engine that the host calls.
type export int

const (
	initialize export = iota
	qjsInit
	setMaxStackSize
	setGCThreshold
	runGC
	getContext
	malloc
	free
	eval
	executeJob
	newHostFunction
	newString
	getUndefined
	strlen
	jsParseJSON
	jsCall
	jsStringify
	jsToCString
	jsFreeCString
	jsFreeValue
	jsGetException
	jsThrow
	jsPromiseState
	jsPromiseResult
	jsGetProperty
	jsGetPropertyIndex
	jsGetArrayBuffer
	jsNewArrayBuffer
	exports
)

var exportNames = [exports]string{
	initialize: "_initialize", qjsInit: "qjs_init", setMaxStackSize: "qjs_set_max_stack_size",
	setGCThreshold: "qjs_set_gc_threshold", runGC: "qjs_run_gc", getContext: "qjs_get_context_ptr",
	malloc: "wasm_malloc", free: "wasm_free", eval: "qjs_eval", executeJob: "qjs_execute_pending_job",
	newHostFunction: "qjs_new_host_function", newString: "qjs_new_string", getUndefined: "qjs_get_undefined",
	strlen: "strlen", jsParseJSON: "JS_ParseJSON", jsCall: "JS_Call", jsStringify: "JS_JSONStringify",
	jsToCString: "JS_ToCStringLen2", jsFreeCString: "JS_FreeCString", jsFreeValue: "JS_FreeValue",
	jsGetException: "JS_GetException", jsThrow: "JS_Throw", jsPromiseState: "JS_PromiseState",
	jsPromiseResult: "JS_PromiseResult", jsGetProperty: "JS_GetPropertyStr", jsGetPropertyIndex: "JS_GetPropertyUint32",
	jsGetArrayBuffer: "JS_GetArrayBuffer", jsNewArrayBuffer: "JS_NewArrayBufferCopy",
}

// An executor is a wazero instance that keeps nothing between calls: its stack pointer
// is back where it was, its table is never written, and its memory is whichever
// episode's is bound. It serves one call at a time.
//
// It is the context that guest code runs under, so that host functions find it without
// an allocation: the caller's context is embedded for the length of a run.
type executor struct {
	context.Context
	rt       *Runtime
	mod      api.Module
	linear   api.Memory
	sp, fuel api.MutableGlobal
	restSP   uint64
	fn       [exports]api.Function
	narrow   [exports]bool // the result is an i32
	stack    [8]uint64     // parameters are read on entry and results written at the end, so nested calls share it

	mem      *memory // bound
	swapping bool

	// Of the run in progress.
	limits   astra.Limits
	data     func(path string) ([]byte, bool)
	left     int64 // fuel beyond what the guest's global holds
	deadline time.Time
	refused  bool  // memory beyond the limit was asked for
	err      error // the first that went wrong; nothing runs after it
	log      []byte
	logCut   bool
}

// Value hides what the caller's context carries: none of it is for wazero.
func (x *executor) Value(any) any { return nil }

// newExecutor makes an instance; the module's data segments are written to m, or nowhere
// that matters if m is nil.
func (rt *Runtime) newExecutor(ctx context.Context, m *memory) (*executor, error) {
	if m == nil {
		m = &memory{buf: make([]byte, rt.minMemory)}
	}
	x := &executor{Context: ctx, rt: rt, mem: m, swapping: true}
	mod, err := rt.wasm.InstantiateModule(experimental.WithMemoryAllocator(ctx, x), rt.compiled, wazero.NewModuleConfig().WithName("").WithStartFunctions())
	if err != nil {
		return nil, fmt.Errorf("sandbox: a new executor: %w", err)
	}
	x.swapping = false
	x.mod, x.linear = mod, mod.Memory()
	for i, name := range exportNames {
		f := mod.ExportedFunction(name)
		if f == nil {
			return nil, fmt.Errorf("sandbox: the engine lacks %s", name)
		}
		results := f.Definition().ResultTypes()
		x.fn[i], x.narrow[i] = f, len(results) == 1 && results[0] == api.ValueTypeI32
	}
	x.sp, _ = mod.ExportedGlobal("__stack_pointer").(api.MutableGlobal)
	x.fuel, _ = mod.ExportedGlobal(fuelGlobal).(api.MutableGlobal)
	if x.sp == nil || x.fuel == nil || x.linear == nil {
		return nil, errors.New("sandbox: the engine lacks its memory, stack pointer or fuel")
	}
	x.restSP = x.sp.Get()
	return x, nil
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
		if err := x.rt.memories.grow(m, int(n)); err != nil {
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
func (x *executor) begin(ctx context.Context, m *memory, l astra.Limits, data func(string) ([]byte, bool)) {
	x.Context, x.limits, x.data = ctx, l, data
	x.refused, x.err, x.log, x.logCut = false, nil, x.log[:0], false
	x.deadline = x.rt.now().Add(l.Wall)
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
	x.Context, x.data = context.Background(), nil
	return err
}

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
	case x.rt.now().After(x.deadline):
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
		x.sp.Set(x.restSP)
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

// put copies text, and a NUL after it, to the guest's heap.
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
