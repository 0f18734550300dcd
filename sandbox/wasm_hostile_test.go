package sandbox

import (
	"encoding/binary"
	"encoding/json"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero/api"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
)

// A hostileGuest is a module to be assembled: the bodies of its functions, without the
// last end. It has four pages of memory, {"value":1} at address 8, and one import.
type hostileGuest struct {
	module, name    string // of the import, function 0; default astra.seed
	params, results []api.ValueType
	alloc, call     []byte // functions 1 and 2
	start           []byte // function 3, the start function, if not nil
	program         bool   // it exports _start
}

const valueOne = `{"value":1}`

// answer1 is an astra_call that returns valueOne.
var answer1 = append([]byte{opI64Const}, sleb(8<<32|int64(len(valueOne)))...)

// allocAt is an astra_alloc that always answers the same.
func allocAt(at int64) []byte { return append([]byte{0x41}, sleb(at)...) }

// sleb is a signed LEB128 number.
func sleb(v int64) []byte {
	var o []byte
	for {
		c := byte(v & 0x7f)
		v >>= 7
		if v == 0 && c&0x40 == 0 || v == -1 && c&0x40 != 0 {
			return append(o, c)
		}
		o = append(o, c|0x80)
	}
}

func (g hostileGuest) assemble() []byte {
	if g.name == "" {
		g.module, g.name, g.results = "astra", "seed", types{i64}
	}
	if g.alloc == nil {
		g.alloc = allocAt(4096)
	}
	if g.call == nil {
		g.call = answer1
	}
	b := []byte(wasmHeader)
	add := func(id byte, content ...byte) { b = appendBlock(append(b, id), content) }
	text := func(s string) []byte { return appendBlock(nil, []byte(s)) }
	list := func(t []api.ValueType) []byte { return appendBlock(nil, t) }
	imported := append(append([]byte{0x60}, list(g.params)...), list(g.results)...)
	add(1, append([]byte{4, 0x60, 1, i32, 1, i32, 0x60, 4, i32, i32, i32, i32, 1, i64, 0x60, 0, 0}, imported...)...)
	add(2, append(append([]byte{1}, append(text(g.module), text(g.name)...)...), 0, 3)...)
	functions, bodies := []byte{0, 1}, [][]byte{g.alloc, g.call}
	if g.start != nil {
		functions, bodies = append(functions, 2), append(bodies, g.start)
	}
	add(3, appendBlock(nil, functions)...)
	add(5, 1, 0, 4)
	exports := append(append(text("memory"), 2, 0), append(text("astra_alloc"), 0, 1)...)
	exports = append(exports, append(text("astra_call"), 0, 2)...)
	n := byte(3)
	if g.program {
		n, exports = 4, append(exports, append(text("_start"), 0, 3)...)
	}
	add(7, append([]byte{n}, exports...)...)
	if g.start != nil && !g.program {
		add(8, 3)
	}
	code := []byte{byte(len(bodies))}
	for _, body := range bodies {
		code = append(code, appendBlock(nil, append(append([]byte{1, 4, i64}, body...), opEnd))...) // four locals
	}
	add(10, code...)
	add(11, append([]byte{1, 0, 0x41, 8, opEnd}, text(valueOne)...)...)
	return b
}

func wasmArena(tb testing.TB, module []byte) *astra.Arena {
	tb.Helper()
	b, err := astra.NewBundle([]astra.File{{Path: "arena.yaml", Data: []byte("name: hostile\n")}, {Path: "tools.wasm", Data: module}, {Path: "data/a.txt", Data: []byte("text")}})
	if err != nil {
		tb.Fatal(err)
	}
	return &astra.Arena{Name: "hostile", Runtime: astra.WASM, Entry: "tools.wasm", Limits: testLimits, Bundle: b, Now: testNow, Tools: []astra.Tool{{Name: "f"}}}
}

func TestWASMHostile(t *testing.T) {
	rt := newTestWASM(t, Options{CacheDir: t.TempDir()})
	packed := func(at, n int64) []byte { return append([]byte{opI64Const}, sleb(at<<32|n)...) }
	for _, c := range []struct {
		name string
		g    hostileGuest
		want string
	}{
		{"sound", hostileGuest{}, "1"},
		{"null", hostileGuest{call: packed(0, 0)}, "null"},
		{"no JSON", hostileGuest{call: packed(16, 3)}, `tool: the module returned neither`},
		{"result beyond memory", hostileGuest{call: packed(4<<16, 8)}, "!tool: the tool broke the engine"},
		{"result at the end of addresses", hostileGuest{call: packed(-1, 1000)}, "!tool: the tool broke the engine"},
		{"endless result", hostileGuest{call: packed(0, 0xffffffff)}, "!tool: the tool used more than its result size"},
		{"room beyond memory", hostileGuest{alloc: []byte{0x20, 0, 0x41, 1, 0x1b}}, "load: "},
		{"no room", hostileGuest{alloc: allocAt(-1)}, "load: tools.wasm: the engine trapped"},
		{"loop", hostileGuest{call: append([]byte{opLoop, blockVoid, 0x0c, 0, opEnd}, answer1...)}, "!tool: the tool used more than its fuel"},
		{"recursion", hostileGuest{call: []byte{0x20, 0, 0x20, 1, 0x20, 2, 0x20, 3, opCall, 2}}, "!tool: the tool "},
		{"unreachable", hostileGuest{call: []byte{0}}, "!tool: the tool broke the engine"},
		{"grow by 2^31 bytes", hostileGuest{call: append([]byte{0x41, 0x80, 0x80, 2, 0x40, 0, opDrop}, answer1...)}, "!tool: the tool used more than its memory"},
		{"load out of bounds", hostileGuest{call: []byte{0x41, 0x7f, 0x29, 0, 0}}, "!tool: the tool broke the engine"},
		{"start function", hostileGuest{start: []byte{0x41, 8, 0x41, 0, 0x3a, 0, 0}}, "tool: the module returned neither"}, // it wrote over the value
		{"start function that loops", hostileGuest{start: []byte{opLoop, blockVoid, 0x0c, 0, opEnd}}, "load: tools.wasm: tools.wasm: starting the module used more than its fuel"},
		{"program", hostileGuest{start: []byte{}, program: true}, "load: tools.wasm: the module is a program that runs once and ends"},
		{"import of what is not there", hostileGuest{module: "env", name: "system"}, "load: tools.wasm: the module imports what is not here: env.system"},
		{"import with another type", hostileGuest{module: "astra", name: "seed"}, "load: "},
		{"log from nowhere", hostileGuest{module: "astra", name: "log", params: types{i32, i32}, call: append([]byte{0x41, 0x7f, 0x41, 100, opCall, 0}, answer1...)}, "!tool: the tool broke the engine"},
		{"data to nowhere", hostileGuest{module: "astra", name: "data", params: types{i32, i32, i32, i32}, results: types{i32},
			call: append([]byte{0x41, 0, 0x41, 1, 0x41, 0x7f, 0x41, 100, opCall, 0, opDrop}, answer1...)}, "!tool: the tool broke the engine"},
		{"exit", hostileGuest{module: "wasi_snapshot_preview1", name: "proc_exit", params: types{i32}, call: append([]byte{0x41, 0, opCall, 0}, answer1...)}, "!tool: the tool ended its process"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := rt.Load(t.Context(), wasmArena(t, c.g.assemble()))
			if err != nil {
				if got := "load: " + err.Error(); !strings.HasPrefix(got, c.want) {
					t.Errorf("Load = %s, want %s", got, c.want)
				}
				return
			}
			defer p.Close()
			i := start(t, p, 1)
			if got := call(t, i, "f", `{}`); !strings.HasPrefix(got, c.want) {
				t.Errorf("f = %s, want %s", got, c.want)
			}
		})
	}
}

func TestEnvelope(t *testing.T) {
	for text, want := range map[string]string{
		`{"value": {"a": [1, "é"]}}`: `{"a":[1,"é"]}`, `{"value":null}`: "null", `{"error":"no such thing"}`: "no such thing",
		`{}`: errEnvelope.message, `{"value":1,"error":"x"}`: errEnvelope.message, `{"value":1} 2`: errEnvelope.message, `{"valve":1}`: errEnvelope.message,
		"{\"value\":\"\xff\"}": errEnvelope.message, `7`: errEnvelope.message, ``: errEnvelope.message,
	} {
		value, err := openEnvelope([]byte(text))
		if got := string(value); err == nil && got != want || err != nil && err.Error() != want {
			t.Errorf("%q is %q, %v, want %s", text, got, err, want)
		}
	}
}

// FuzzABI lets a module return any address, be given room anywhere, and call WASI with
// any arguments: its call ends, and its neighbour's is as before.
func FuzzABI(f *testing.F) {
	for i := range wasiModule.functions {
		f.Add(byte(i), []byte{0, 0, 0, 0, 255, 255, 255, 255, 8, 0, 0, 0, 1, 0, 0, 0}, int64(8<<32|11), int64(4096))
		f.Add(byte(i), []byte{4, 0, 0, 0, 0, 16, 0, 0, 64, 0, 0, 0, 0, 32, 0, 0}, int64(-1), int64(131072))
	}
	rt := newTestWASM(f, Options{CacheDir: f.TempDir()})
	load := func(tb testing.TB, g hostileGuest) gateway.Program {
		p, err := rt.Load(tb.Context(), wasmArena(tb, g.assemble()))
		if err != nil {
			return nil
		}
		tb.Cleanup(func() { p.Close() })
		return p
	}
	neighbour := start(f, load(f, hostileGuest{}), 1)
	f.Fuzz(func(t *testing.T, function byte, args []byte, result, room int64) {
		h := wasiModule.functions[int(function)%len(wasiModule.functions)]
		var code []byte
		for i, p := range h.params {
			var word [8]byte
			copy(word[:], args[min(4*i, len(args)):])
			v := int64(int32(binary.LittleEndian.Uint32(word[:])))
			op := byte(0x41)
			if p == i64 {
				op, v = opI64Const, int64(binary.LittleEndian.Uint64(word[:]))
			}
			code = append(append(code, op), sleb(v)...)
		}
		code = append(code, opCall, 0)
		if len(h.results) > 0 {
			code = append(code, opDrop)
		}
		p := load(t, hostileGuest{module: wasiModule.name, name: h.name, params: h.params, results: h.results, alloc: allocAt(int64(int32(room))),
			call: append(append(code, opI64Const), sleb(result)...)})
		if p == nil {
			return
		}
		i := start(t, p, 1)
		for range 2 {
			r, err := i.Call(t.Context(), "f", json.RawMessage(`{"a":1}`))
			if err != nil || r.OK() == (r.Fault != "") {
				t.Fatalf("%s: %s, %v", h.name, show(r), err)
			}
			if r.Breach {
				break
			}
		}
		if got := call(t, neighbour, "f", `{}`); got != "1" {
			t.Fatalf("after %s the neighbour answers %s", h.name, got)
		}
	})
}
