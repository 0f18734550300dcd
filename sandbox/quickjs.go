package sandbox

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
)

// What the host calls of the engine.
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

// A jsValue is QuickJS's own: tag << 32 | payload.
type jsValue = uint64

const (
	jsUndefined  jsValue = 3 << 32
	tagUndefined         = 3
	tagException         = 6
)

func isException(v jsValue) bool { return v>>32 == tagException }

// The cell is a block of guest memory through which host and guest hand each other
// things: two arguments, the length of a result, the world, a file name, and the input.
// One block, so that a call writes one page of it; boot.js sees it as an ArrayBuffer.
const (
	cellArgs   = 0
	cellLength = 16
	cellSeed   = 24 // a float64
	cellNow    = 32 // a float64, ms since 1970
	cellRandom = 40 // four words
	cellLive   = 56 // not 0: there is an episode
	cellName   = 64
	cellInput  = 80
	inputRoom  = 64 << 10 // longer input is put on the guest's heap
	cellSize   = cellInput + inputRoom + 1
	argsName   = "<args>"
)

// A layout says where things are in every image: all begin as the one that boot leaves.
type layout struct {
	ctx, cell                uint64
	host, explain, functions jsValue
}

// jsStack is QuickJS's stack limit. At 256 KiB recursion ends after some thousand frames,
// and an executor that was driven there keeps about 8 MB.
const jsStack = 256 << 10

// gcThreshold is when QuickJS collects cycles. A collection writes every heap page of an
// episode, so it should be rare.
const gcThreshold = 8 << 20

// boot starts the engine in a blank memory and runs boot.js.
func (x *executor) boot() (layout, error) {
	var l layout
	x.do(initialize)
	if x.do(qjsInit) != 0 {
		x.fail(errors.New("the engine does not start"))
	}
	x.do(setMaxStackSize, jsStack)
	l.ctx = x.do(getContext)
	blank := x.put(make([]byte, cellSize))
	block := x.do(jsNewArrayBuffer, l.ctx, blank, cellSize)
	name := x.put([]byte("host"))
	if l.cell = x.do(jsGetArrayBuffer, l.ctx, name, block); x.err == nil && l.cell == 0 {
		x.fail(errors.New("the cell has no address"))
	}
	copy(x.bytes(l.cell+cellName, uint64(len(argsName))), argsName)
	send := x.unbox(x.do(newHostFunction, name, 4, 0))
	boot := x.eval(&l, "boot.js", bootScript, evalScript)
	x.putU64(l.cell+cellArgs, send)
	x.putU64(l.cell+cellArgs+8, block)
	made := x.do(jsCall, l.ctx, boot, jsUndefined, 2, l.cell)
	if x.err == nil && isException(made) {
		message, stack := x.exception(&l)
		return l, fmt.Errorf("boot.js: %s %s", message, stack)
	}
	l.host = x.do(jsGetPropertyIndex, l.ctx, made, 0)
	l.explain = x.do(jsGetPropertyIndex, l.ctx, made, 1)
	l.functions = x.do(jsGetPropertyIndex, l.ctx, made, 2)
	x.do(free, blank)
	x.do(free, name)
	return l, x.err
}

const (
	evalScript = 0
	evalModule = 1
)

// eval runs source text; of a module the value is a promise.
func (x *executor) eval(l *layout, file, source string, kind uint64) jsValue {
	code, name := x.put([]byte(source)), x.put([]byte(file))
	v := x.unbox(x.do(eval, code, uint64(len(source)), name, kind))
	x.do(free, code)
	x.do(free, name)
	return v
}

// unbox takes a value out of the box that qjs_* functions return it in.
func (x *executor) unbox(box uint64) jsValue {
	v := x.u64(box)
	x.do(free, box)
	return v
}

// property returns an own property, which the caller keeps.
func (x *executor) property(l *layout, object jsValue, name string) jsValue {
	p := x.put([]byte(name))
	v := x.do(jsGetProperty, l.ctx, object, p)
	x.do(free, p)
	return v
}

// text returns a copy of at most most bytes of a JS string as UTF-8, and its whole
// length. ok is false if the guest had no memory left to make it: an exception is pending.
func (x *executor) text(l *layout, v jsValue, most int64) (text []byte, length uint64, ok bool) {
	p := x.do(jsToCString, l.ctx, l.cell+cellLength, v, 0)
	if p == 0 {
		return nil, 0, false
	}
	length = x.u32(l.cell + cellLength)
	text = bytes.Clone(x.bytes(p, min(length, uint64(most))))
	x.do(jsFreeCString, l.ctx, p)
	return text, length, true
}

// jobs runs promise jobs until none is left. It reports false if one ended in an
// exception, which is then pending: QuickJS itself could not go on.
func (x *executor) jobs() bool {
	for {
		switch n := int32(x.do(executeJob)); {
		case n == 0:
			return true
		case n < 0:
			return false
		}
	}
}

var errPending = errors.New("the promise it returned never settles: nothing is left that could settle it (there are no timers and no input here)")

// settle runs jobs and turns a promise into what it was fulfilled with. It consumes v.
// An exception is pending where it returns one.
func (x *executor) settle(l *layout, v jsValue) (jsValue, error) {
	if !x.jobs() {
		x.do(jsFreeValue, l.ctx, v)
		return tagException << 32, nil
	}
	const notPromise, pending, rejected = -1, 0, 2
	state := int32(x.do(jsPromiseState, l.ctx, v))
	if state == notPromise || x.err != nil {
		return v, nil
	}
	if state == pending {
		x.do(jsFreeValue, l.ctx, v)
		return jsUndefined, errPending
	}
	inner := x.do(jsPromiseResult, l.ctx, v)
	x.do(jsFreeValue, l.ctx, v)
	if state == rejected {
		return x.do(jsThrow, l.ctx, inner), nil
	}
	return inner, nil
}

// A thrown is an exception of the guest's code.
type thrown struct {
	message string // for who called
	stack   string // for the author: "at f (tools.js:3:5)" lines
}

func (t *thrown) Error() string { return t.message }

// Bounds of what an exception may say, in bytes.
const maxMessage, maxStack = 2000, 4000

// exception takes the pending exception. Reading it may run the tool's code.
func (x *executor) exception(l *layout) (message, stack string) {
	v := x.do(jsGetException, l.ctx)
	x.putU64(l.cell+cellArgs, v)
	told := x.do(jsCall, l.ctx, l.explain, jsUndefined, 1, l.cell)
	x.do(jsFreeValue, l.ctx, v)
	if isException(told) {
		x.do(jsFreeValue, l.ctx, x.do(jsGetException, l.ctx))
		return "an exception that cannot be read", ""
	}
	b, _, _ := x.text(l, told, 64<<10) // boot.js cuts each part at 4,000 characters
	x.do(jsFreeValue, l.ctx, told)
	m, s, _ := strings.Cut(string(b), "\x00")
	return clip(m, maxMessage), clip(s, maxStack)
}

// clip makes s valid UTF-8 of at most n bytes, and a mark if it had more.
func clip(s string, n int) string {
	if len(s) > n {
		return strings.ToValidUTF8(s[:n], "?") + "…"
	}
	return strings.ToValidUTF8(s, "?")
}

func (x *executor) thrown(l *layout) error {
	message, stack := x.exception(l)
	return &thrown{message, stack}
}

var errBadArgs = errors.New("the arguments are not JSON")

// invoke calls fn(args, host), runs promise jobs to the end, and returns what came of it
// as JSON, "null" if nothing. Errors: *thrown, errPending, errBadArgs, a breach of the
// result's size; after each of them the world is sound. If x.err is set, nothing else holds.
func (x *executor) invoke(l *layout, fn jsValue, args []byte) ([]byte, error) {
	v, err := x.apply(l, fn, args)
	if err != nil {
		return nil, err
	}
	return x.json(l, v)
}

// command is invoke without a result.
func (x *executor) command(l *layout, fn jsValue, args []byte) error {
	v, err := x.apply(l, fn, args)
	if err == nil {
		x.do(jsFreeValue, l.ctx, v)
	}
	return err
}

// apply calls fn(args, host) and runs promise jobs to the end.
func (x *executor) apply(l *layout, fn jsValue, args []byte) (jsValue, error) {
	in, err := x.arguments(l, args)
	if err != nil {
		return 0, err
	}
	x.putU64(l.cell+cellArgs, in)
	x.putU64(l.cell+cellArgs+8, l.host)
	v := x.do(jsCall, l.ctx, fn, jsUndefined, 2, l.cell)
	x.do(jsFreeValue, l.ctx, in)
	if isException(v) {
		err := x.thrown(l)
		x.jobs() // what the tool had begun still runs within its call
		return 0, err
	}
	if v, err = x.settle(l, v); err != nil {
		return 0, err
	}
	if isException(v) {
		return 0, x.thrown(l)
	}
	return v, nil
}

// arguments parses JSON text into a value, undefined if there is none.
func (x *executor) arguments(l *layout, args []byte) (jsValue, error) {
	at := l.cell + cellInput
	n := uint64(len(args))
	if n > inputRoom {
		at = x.put(args)
	} else {
		b := x.bytes(at, n+1)
		if x.err == nil {
			b[copy(b, args)] = 0
		}
	}
	v := x.do(jsParseJSON, l.ctx, at, n, l.cell+cellName)
	if n > inputRoom {
		x.do(free, at)
	}
	if isException(v) {
		x.exception(l)
		return 0, errBadArgs
	}
	return v, nil
}

// json consumes v and returns it as JSON.
func (x *executor) json(l *layout, v jsValue) ([]byte, error) {
	s := x.do(jsStringify, l.ctx, v, jsUndefined, jsUndefined)
	x.do(jsFreeValue, l.ctx, v)
	if isException(s) {
		return nil, x.thrown(l)
	}
	ok := x.jobs() // toJSON may have begun some
	if !ok {
		return nil, x.thrown(l)
	}
	if s>>32 == tagUndefined {
		return []byte("null"), nil
	}
	b, n, ok := x.text(l, s, x.limits.Result)
	x.do(jsFreeValue, l.ctx, s)
	switch {
	case !ok && x.err == nil:
		return nil, x.thrown(l)
	case int64(n) > x.limits.Result:
		return nil, &breach{"result size", x.limits.Result, "bytes"}
	}
	return b, nil
}
