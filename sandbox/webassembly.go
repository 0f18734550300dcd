package sandbox

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
)

// A WASM runs arenas whose tools are a WebAssembly module: it implements gateway.Runtime.
// It is safe for concurrent use.
//
// The module exports
//
//	memory
//	astra_alloc(size i32) i32                             room that the host keeps
//	astra_free(address i32)                               optional: room that it gives back
//	astra_call(tool, its length, args, their length) i64  args are JSON
//	astra_setup(scenario, its length) i64                 optional: once per episode
//	astra_state() i64                                     optional: what the world is
//	_initialize()                                         optional: called once, before anything else
//
// and what it returns as i64 is an address, shifted left by 32, and a length: JSON text
// {"value": …} or {"error": "…"}, the module's own until its next call; 0 is the value null.
// It may import
//
//	astra.log(text, its length)                           a line for the author, kept with the step
//	astra.seed() i64                                      the world's seed
//	astra.now() i64                                       its clock in ms since 1970; it stands still
//	astra.random() i64                                    64 bits of its generator
//	astra.data(path, its length, buffer, its size) i32    a file under data/: its length, and as much of it as fits; -1
//
// and WASI preview 1, where the clock stands still, randomness is the world's, the
// standard streams are the log and /data can be read. Before the first call of an episode
// the seed is 0 and the clock the arena's.
type WASM struct {
	opts   Options
	digest string
}

// NewWASM returns a runtime for WebAssembly arenas.
func NewWASM(opts *Options) *WASM {
	o := opts.withDefaults()
	return &WASM{opts: o, digest: digestOf(&o, astra.WASM)}
}

// Kind is astra.WASM.
func (rt *WASM) Kind() astra.RuntimeKind { return astra.WASM }

// Digest is "sha256:" and hex digits over rules: the module is the arena's.
func (rt *WASM) Digest() string { return rt.digest }

// Pure is true: tools see nothing but their world and their arguments.
func (rt *WASM) Pure() bool { return true }

// Close gives up the pool; each program closes its own machine.
func (rt *WASM) Close() error {
	if rt.opts.own != nil {
		rt.opts.own.Close()
	}
	return nil
}

// What the host calls of a module.
const (
	abiAlloc export = iota
	abiFree
	abiCall
	abiSetup
	abiState
	abiInitialize
	abiStart
	abiReallyStart // of a WASI command, which cannot be served
)

var abiNames = []string{abiAlloc: "astra_alloc", abiFree: "astra_free", abiCall: "astra_call", abiSetup: "astra_setup", abiState: "astra_state",
	abiInitialize: "_initialize", abiStart: startExport, abiReallyStart: "_start"}

// abiModule is what a module may import besides WASI.
var abiModule = hostModule{"astra", []hostFunction{
	{"log", types{i32, i32}, nil, func(x *executor, s []uint64) {
		x.logLine(x.guestBytes(s[0], s[1]), false)
		x.logLine([]byte("\n"), false)
	}},
	{"seed", nil, types{i64}, func(x *executor, s []uint64) { s[0] = binary.LittleEndian.Uint64(x.block()[blockSeed:]) }},
	{"now", nil, types{i64}, func(x *executor, s []uint64) {
		s[0] = uint64(int64(binary.LittleEndian.Uint64(x.block()[blockNow:])) / 1_000_000)
	}},
	{"random", nil, types{i64}, func(x *executor, s []uint64) {
		var b [8]byte
		x.random(b[:])
		s[0] = binary.LittleEndian.Uint64(b[:])
	}},
	{"data", types{i32, i32, i32, i32}, types{i32}, (*executor).readData},
}}

// guestBytes is memory that a guest's call names; where there is none the run ends.
func (x *executor) guestBytes(at, n uint64) []byte {
	b := x.bytes(uint64(uint32(at)), uint64(uint32(n)))
	if x.err != nil {
		panic(x.err)
	}
	return b
}

func (x *executor) readData(s []uint64) {
	path, into := x.guestBytes(s[0], min(uint64(uint32(s[1])), 4096)), x.guestBytes(s[2], s[3])
	b, ok := x.files.file(string(path))
	s[0] = uint64(uint32(0xffffffff))
	if ok {
		copy(into, b)
		s[0] = uint64(len(b))
	}
}

// Load compiles an arena's module, starts it once, and keeps the memory that it leaves.
func (rt *WASM) Load(ctx context.Context, a *astra.Arena) (gateway.Program, error) {
	p, code, err := newProgram(astra.WASM, a)
	if err != nil {
		return nil, err
	}
	if err := checkModule(code); err != nil {
		return nil, fmt.Errorf("%s: %w", a.Entry, err)
	}
	m, err := newMachine(ctx, code, &rt.opts, abiNames, wasiModule, abiModule)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", a.Entry, err)
	}
	g := &module32{tools: map[string][]byte{}}
	for _, t := range a.Tools {
		g.tools[t.Name] = []byte(t.Name)
	}
	p.run(m, g)
	p.own = true
	p.image, err = p.boot(ctx, a.Limits, p.files, func(x *executor) error { return g.start(x, a) })
	if err != nil {
		if b, ok := errors.AsType[*breach](err); ok {
			err = p.stopped("starting the module", b)
		}
		return nil, errors.Join(fmt.Errorf("%s: %w", a.Entry, err), p.machine.Close())
	}
	p.prepare = func(x *executor) error { x.world = g.block; return nil }
	return p, nil
}

// checkModule says what a module lacks, and what it asks for that is not there.
func checkModule(code []byte) error {
	m, err := parseModule(code)
	if err != nil {
		return err
	}
	for _, name := range []string{"memory", abiNames[abiAlloc], abiNames[abiCall]} {
		if !m.exports[name] {
			return fmt.Errorf("the module does not export %s: see the package documentation of sandbox for what it must", name)
		}
	}
	if m.exports[abiNames[abiReallyStart]] {
		return errors.New("the module is a program that runs once and ends (it exports _start): build a library, with _initialize instead (Go: -buildmode=c-shared)")
	}
	var unknown []string
	for _, name := range m.imports {
		if !wasiModule.has(name) && !abiModule.has(name) {
			unknown = append(unknown, name)
		}
	}
	if len(unknown) > 0 {
		return fmt.Errorf("the module imports what is not here: %.300s", strings.Join(unknown, ", "))
	}
	return nil
}

// abiRoom is how much input needs no room of its own: it lies behind the world's block.
const abiRoom = 64 << 10

// A module32 is a WebAssembly module in its image. It implements guest.
type module32 struct {
	tools    map[string][]byte
	block    uint64 // the world's, and the room for input
	setsUp   bool
	hasWorld bool // it exports astra_state
}

func (g *module32) has(tool string) bool { return g.tools[tool] != nil }
func (g *module32) hasSetup() bool       { return g.setsUp }
func (g *module32) hasState() bool       { return g.hasWorld }

// begin keeps the globals, which lie in the block too.
func (g *module32) begin(mem []byte, w gateway.World) {
	seedBlock(mem[g.block:][:blockSize], w.Seed, w.Now)
}

// start makes the image.
func (g *module32) start(x *executor, a *astra.Arena) error {
	if err := x.checkTypes(); err != nil {
		return err
	}
	seedBlock(x.scratch[:], 0, a.Now)
	for _, f := range []export{abiStart, abiInitialize} {
		if x.fn[f] != nil {
			x.do(f)
		}
	}
	block := x.do(abiAlloc, blockSize+abiRoom)
	if b := x.bytes(block, blockSize+abiRoom); x.err == nil {
		copy(b, x.scratch[:])
	}
	g.block, g.setsUp, g.hasWorld = block, x.fn[abiSetup] != nil, x.fn[abiState] != nil
	x.world = block
	g.leave(x)
	return x.err
}

// checkTypes refuses exports of the right name and the wrong type.
func (x *executor) checkTypes() error {
	for f, want := range map[export][2]types{
		abiAlloc: {{i32}, {i32}}, abiFree: {{i32}, nil}, abiCall: {{i32, i32, i32, i32}, {i64}}, abiSetup: {{i32, i32}, {i64}},
		abiState: {nil, {i64}}, abiInitialize: {nil, nil},
	} {
		if x.fn[f] == nil {
			continue
		}
		d := x.fn[f].Definition()
		if !slices.Equal(d.ParamTypes(), want[0]) || !slices.Equal(d.ResultTypes(), want[1]) {
			return fmt.Errorf("the module's %s has another type than the one that is called", abiNames[f])
		}
	}
	return nil
}

// enter takes the globals out of the world's block, leave puts them there.
func (g *module32) enter(x *executor) {
	kept := x.block()[blockGlobals:]
	for i := range x.globals {
		x.rest[i] = binary.LittleEndian.Uint64(kept[8*i:])
	}
	x.settleGlobals()
}

func (g *module32) leave(x *executor) {
	kept := x.block()[blockGlobals:]
	for i, global := range x.globals {
		binary.LittleEndian.PutUint64(kept[8*i:], global.Get())
	}
}

func (g *module32) setup(x *executor, scenario []byte) error {
	g.enter(x)
	at := g.lend(x, scenario)
	done := x.do(abiSetup, at, uint64(len(scenario)))
	g.takeBack(x, at)
	_, err := g.returned(x, done)
	return err
}

func (g *module32) call(x *executor, tool string, args []byte) ([]byte, error) {
	if !json.Valid(args) {
		return nil, errBadArgs
	}
	g.enter(x)
	name := g.tools[tool]
	at := g.lend(x, name, args)
	done := x.do(abiCall, at, uint64(len(name)), at+uint64(len(name)), uint64(len(args)))
	g.takeBack(x, at)
	return g.returned(x, done)
}

func (g *module32) state(x *executor) ([]byte, error) {
	g.enter(x)
	return g.returned(x, x.do(abiState))
}

// lend writes texts one after another where the guest has room for them.
func (g *module32) lend(x *executor, texts ...[]byte) uint64 {
	n := 0
	for _, t := range texts {
		n += len(t)
	}
	at := g.block + blockSize
	if n > abiRoom {
		at = x.do(abiAlloc, uint64(n))
	}
	b := x.bytes(at, uint64(n))
	for _, t := range texts {
		b = b[copy(b, t):]
	}
	return at
}

func (g *module32) takeBack(x *executor, at uint64) {
	if at != g.block+blockSize && x.fn[abiFree] != nil {
		x.do(abiFree, at)
	}
}

// returned reads what a function returned.
func (g *module32) returned(x *executor, packed uint64) ([]byte, error) {
	if x.err != nil {
		return nil, nil
	}
	g.leave(x)
	at, n := packed>>32, packed&0xffffffff
	if packed == 0 {
		return []byte("null"), nil
	}
	const envelope = len(`{"value":}`)
	if int64(n) > x.limits.Result+int64(envelope) {
		return nil, &breach{"result size", x.limits.Result, "bytes"}
	}
	b := bytes.Clone(x.bytes(at, n))
	if x.err != nil {
		return nil, nil
	}
	return openEnvelope(b)
}

var errEnvelope = &thrown{message: `the module returned neither {"value": …} nor {"error": "…"}`}

// openEnvelope reads {"value": …} or {"error": "…"}.
func openEnvelope(b []byte) ([]byte, error) {
	var r struct {
		Value json.RawMessage `json:"value"`
		Error *string         `json:"error"`
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil || !utf8.Valid(b) || d.More() || (r.Value == nil) == (r.Error == nil) {
		return nil, errEnvelope
	}
	if r.Error != nil {
		return nil, &thrown{message: clip(*r.Error, maxMessage)}
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, r.Value); err != nil {
		return nil, errEnvelope
	}
	return compact.Bytes(), nil
}

var _ gateway.Runtime = (*WASM)(nil)
