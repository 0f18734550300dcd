package sandbox

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// wasmOf assembles a module with one function type ()->(), one memory, one global, the
// import env.nothing, and the function body, exported as "f".
func wasmOf(body ...byte) []byte {
	b := []byte(wasmHeader)
	add := func(id byte, content ...byte) { b = appendBlock(append(b, id), content) }
	add(1, 1, 0x60, 0, 0)
	add(2, append([]byte{1, 3, 'e', 'n', 'v', 7}, "nothing\x00\x00"...)...)
	add(3, 1, 0)
	add(5, 1, 0, 1)
	add(6, 1, 0x7f, 1, 0x41, 0, 0x0b)
	add(7, append([]byte{1, 1, 'f'}, 0, 1)...)
	code := append([]byte{0}, body...)
	add(10, append([]byte{1}, appendBlock(nil, append(code, 0x0b))...)...)
	return b
}

// run executes f of a metered module with fuel units and returns what is left, and how
// often the host was called.
func runMetered(t *testing.T, module []byte, fuel int64) (left int64, visits int) {
	t.Helper()
	metered, _, err := meter(module, true)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	rt := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter())
	defer rt.Close(ctx)
	visit := func(context.Context) {
		if visits++; visits == 3 {
			panic("enough")
		}
	}
	for name, f := range map[[2]string]func(context.Context){{"env", "nothing"}: func(context.Context) {}, {hostModuleName, interruptName}: visit} {
		if _, err = rt.NewHostModuleBuilder(name[0]).NewFunctionBuilder().WithFunc(f).Export(name[1]).Instantiate(ctx); err != nil {
			t.Fatal(err)
		}
	}
	mod, err := rt.Instantiate(ctx, metered)
	if err != nil {
		t.Fatal(err)
	}
	g := mod.ExportedGlobal(fuelGlobal).(api.MutableGlobal)
	g.Set(uint64(fuel))
	mod.ExportedFunction("f").Call(ctx)
	return int64(g.Get()), visits
}

func TestMeter(t *testing.T) {
	for _, c := range []struct {
		name   string
		body   []byte
		fuel   int64
		left   int64
		visits int
	}{
		{"entry", nil, 10, 9, 0},
		// loop: global 0 += 1; br_if while < 5
		{"five passes", []byte{3, 0x40, 0x23, 0, 0x41, 1, 0x6a, 0x24, 0, 0x23, 0, 0x41, 5, 0x48, 0x0d, 0, 0x0b}, 10, 4, 0},
		{"endless", []byte{3, 0x40, 0x0c, 0, 0x0b}, 10, -3, 3},
		{"recursion", []byte{0x10, 1}, 10, -3, 3},
		{"an import", []byte{0x10, 0}, 10, 9, 0},
		{"copy of 2560 bytes", []byte{0x41, 0, 0x41, 0, 0x41, 0x80, 0x14, 0xfc, 10, 0, 0}, 100, 89, 0},
		{"fill of 2560 bytes", []byte{0x41, 0, 0x41, 0, 0x41, 0x80, 0x14, 0xfc, 11, 0}, 100, 89, 0},
		{"block and if", []byte{2, 0x40, 0x41, 1, 4, 0x40, 0x0b, 0x0b}, 1, 0, 0},
	} {
		left, visits := runMetered(t, wasmOf(c.body...), c.fuel)
		if left != c.left || visits != c.visits {
			t.Errorf("%s: left %d after %d visits, want %d after %d", c.name, left, visits, c.left, c.visits)
		}
	}
}

// TestUnmetered leaves counting out, says so in the digest, and gives equal results.
func TestUnmetered(t *testing.T) {
	rt, counting := newTestRuntime(t, Options{Unmetered: true}), newTestRuntime(t, Options{})
	if rt.Digest() == counting.Digest() {
		t.Error("the digests are equal")
	}
	a := testArena(t, shop, shopTools...)
	p := load(t, rt, a)
	p.limits.Fuel = 1
	if got, want := call(t, start(t, p, 1), "spin", `{"n":100000}`), call(t, start(t, load(t, counting, a), 1), "spin", `{"n":100000}`); got != want {
		t.Errorf("unmetered it is %s, metered %s", got, want)
	}
}

// TestRenumbering holds that every way of naming a function still names the same one:
// exports, calls, tables in all their forms, and the start function.
func TestRenumbering(t *testing.T) {
	for kind, segment := range map[byte][]byte{
		0: {0x41, 0, 0x0b, 1, 1},
		2: {0, 0x41, 0, 0x0b, 0, 1, 1},
		4: {0x41, 0, 0x0b, 1, opRefFunc, 1, 0x0b},
		6: {0, 0x41, 0, 0x0b, 0x70, 1, opRefFunc, 1, 0x0b},
	} {
		b := []byte(wasmHeader)
		add := func(id byte, content ...byte) { b = appendBlock(append(b, id), content) }
		add(1, 1, 0x60, 0, 0)
		add(2, append([]byte{1, 3, 'e', 'n', 'v', 7}, "nothing\x00\x00"...)...)
		add(3, 2, 0, 0)
		add(4, 1, 0x70, 0, 1)
		add(5, 1, 0, 1)
		add(7, append([]byte{1, 1, 'f'}, 0, 2)...)
		add(8, 1)
		add(9, append([]byte{1, kind}, segment...)...)
		// 1 loops for ever; f calls it through the table.
		add(10, 2, 7, 0, 3, 0x40, 0x0c, 0, 0x0b, 0x0b, 7, 0, 0x41, 0, 0x11, 0, 0, 0x0b)
		if left, visits := runMetered(t, b, 10); visits != 3 || left != -3 {
			t.Errorf("segment of kind %d: left %d after %d visits", kind, left, visits)
		}
		metered, _, err := meter(b, true)
		if err != nil || !bytes.Contains(metered, append([]byte(startExport), 0, 2)) {
			t.Errorf("segment of kind %d: the start function is not exported as 2: %v", kind, err)
		}
	}
}

// withSection is a good module with a section more, or another one.
func withSection(id byte, content ...byte) []byte {
	return appendBlock(append(wasmOf(), id), content)
}

// functions assembles a module of n functions without locals. All are of one type, with
// parameters and results of i32.
func functions(params, results, n int, body ...byte) []byte {
	values := func(n int) []byte { return append(appendULEB(nil, uint64(n)), bytes.Repeat([]byte{0x7f}, n)...) }
	return assembled(append(append([]byte{1, 0x60}, values(params)...), values(results)...), n, append([]byte{0}, body...))
}

// functionsWith is functions with locals, but neither parameters nor results.
func functionsWith(n int, locals []byte, body ...byte) []byte {
	return assembled([]byte{1, 0x60, 0, 0}, n, append(locals, body...))
}

func assembled(types []byte, n int, body []byte) []byte {
	b := []byte(wasmHeader)
	add := func(id byte, content ...byte) { b = appendBlock(append(b, id), content) }
	add(1, types...)
	add(3, append(appendULEB(nil, uint64(n)), make([]byte, n)...)...)
	add(7, 1, 1, 'f', 0, 0)
	add(10, append(appendULEB(nil, uint64(n)), bytes.Repeat(appendBlock(nil, body), n)...)...)
	return b
}

func TestMeterRefuses(t *testing.T) {
	good := wasmOf()
	for _, c := range []struct {
		name   string
		module []byte
		want   string
	}{
		{"nothing", nil, "not a WebAssembly 1.0 module"},
		{"text", []byte("(module)"), "not a WebAssembly 1.0 module"},
		{"component", []byte("\x00asm\x0d\x00\x01\x00"), "not a WebAssembly 1.0 module"},
		{"empty", []byte(wasmHeader), "lacks types, exports or code"},
		{"cut", good[:len(good)-3], "bytes announced"},
		{"table.set", wasmOf(0x41, 0, 0xd0, 0x70, 0x26, 0), "writes its table"},
		{"table.grow", wasmOf(0xfc, 15, 0), "changes its tables"},
		{"data.drop", wasmOf(0xfc, 9, 0), "changes its tables or segments"},
		{"vector", wasmOf(0xfd, 12), "instruction 0xfd is not supported"},
		{"atomics", wasmOf(0xfe, 0), "instruction 0xfe is not supported"},
		{"exceptions", wasmOf(0x06, 0x40), "instruction 0x6 is not supported"},
		{"second memory", wasmOf(0x41, 0, 0x28, 0x40, 1, 0, 0x1a), "more than one memory"},
		{"endless number", wasmOf(bytes.Repeat([]byte{0x41, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, 2)...), "number too long"},
		{"its own fuel", bytes.Replace(good, []byte{7, 5, 1, 1, 'f'}, append([]byte{7, 14, 1, 10}, fuelGlobal...), 1), "exports astra_fuel itself"},
		{"repeated section", append(bytes.Clone(good), 10, 1, 0), "unknown or repeated"},
		{"data announced", withSection(11, 0xc8, 0xc8, 0xfa, 0xfa, 1, 0), "526296136 entries; there may be"},
		{"data cut", withSection(11, 1, 0, 0x41, 0, opEnd, 5, 1), "bytes announced"},
		{"data of another kind", withSection(11, 1, 3), "segment of kind 3"},
		{"table", withSection(4, 1, 0x70, 0, 0x81, 0x80, 0x20), "more than 524288 table entries"},
		{"tables", withSection(4, 2, 0x70, 1, 0x81, 0x80, 0x10, 0xff, 0xff, 0x7f, 0x6f, 0, 0x80, 0x80, 0x10), "more than 524288 table entries"},
		{"table that begins with a value", withSection(4, 1, 0x40, 0, 0x70, 0, 1, opRefFunc, 1, opEnd), "a table of type 0x40"},
		{"table's limits", withSection(4, 1, 0x70, 3, 1, 1), "limits of kind 3"},
		{"segments announced", withSection(9, 0xff, 0xff, 0xff, 0xff, 0xf), "entries; there may be"},
		{"segment announced", withSection(9, 1, 1, 0, 0xff, 0xff, 0xff, 0xff, 0xf), "entries; there may be"},
		{"segments", withSection(9, append([]byte{3}, bytes.Repeat(append([]byte{1, 0, 0x80, 0x80, 0x10}, make([]byte, maxEntries)...), 3)...)...), "more than 524288 table entries"},
		{"parameters", functions(1001, 0, 1, opEnd), "1001 parameters or results; there may be 1000"},
		{"types", assembled(append([]byte{0xd8, 4}, bytes.Repeat(append(append([]byte{0x60, 0xe8, 7}, bytes.Repeat([]byte{0x7f}, 1000)...), append([]byte{0xe8, 7}, bytes.Repeat([]byte{0x7f}, 1000)...)...), 600)...), 1, []byte{0, opEnd}), "more than 1048576 values"},
		{"results of calls", functions(0, 1000, 1, append(bytes.Repeat([]byte{opCall, 0}, 1100), opEnd)...), "more than 1048576 values"},
		{"results of calls through a table", functions(0, 1000, 1, append(bytes.Repeat([]byte{0x11, 0, 0}, 1100), opEnd)...), "more than 1048576 values"},
		{"parameters of blocks", functions(1000, 0, 1, append(bytes.Repeat([]byte{opBlock, 0}, 1100), opEnd)...), "more than 1048576 values"},
		{"unknown type of a block", wasmOf(opBlock, 1, opEnd), "type 1 of 1"},
		{"unknown function", wasmOf(opCall, 2), "function 2 of 2"},
		{"locals", functionsWith(90, []byte{1, 0xc0, 0x84, 3, 0x7f}, opEnd), "more than 4194304 locals"},
		{"a long body", wasmOf(bytes.Repeat([]byte{1}, maxBody)...), "function 1 has 7654323 bytes; there may be 7654321"},
		{"blocks", wasmOf(bytes.Repeat([]byte{opBlock, blockVoid}, 30_000)...), "30000 blocks, 0 targets of br_table and 0 locals are too many together"},
		{"ifs", wasmOf(bytes.Repeat([]byte{0x41, 0, opIf, blockVoid}, 12_000)...), "24000 blocks"},
		{"loops", wasmOf(bytes.Repeat([]byte{opLoop, blockVoid}, 7500)...), "30000 blocks"},
		{"targets", wasmOf(append([]byte{0x41, 0, opBrTable, 0x80, 0x80, 0x10}, make([]byte, maxEntries+1)...)...), "262144 targets of br_table"},
		{"blocks and locals", functionsWith(1, []byte{1, 0xc0, 0x84, 3, 0x7f}, bytes.Repeat([]byte{opBlock, blockVoid}, 200)...), "200 blocks, 0 targets of br_table and 49728 locals"},
		{"work of all functions", functions(0, 0, 20, append(bytes.Repeat([]byte{opBlock, blockVoid}, 20_000), opEnd)...), "function 10: at byte 40002: the functions are too large and too many"},
	} {
		if _, _, err := meter(c.module, true); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: meter = %v, want %s", c.name, err, c.want)
		}
	}
}

// What is read of tables and data goes on as it is.
func TestMeterKeeps(t *testing.T) {
	for name, c := range map[string]struct {
		id      byte
		content []byte
	}{
		"a table with a maximum":   {4, []byte{2, 0x70, 1, 1, 5, 0x6f, 0, 2}},
		"data of all three kinds":  {11, []byte{3, 0, 0x41, 1, opEnd, 1, 'a', 1, 2, 'b', 'c', 2, 0, 0x41, 0, opEnd, 0}},
		"segments without a table": {9, []byte{1, 1, 0, 1, 0}},
	} {
		metered, _, err := meter(withSection(c.id, c.content...), true)
		if err != nil || !bytes.Contains(metered, appendBlock([]byte{c.id}, c.content)) {
			t.Errorf("%s: %v, %x", name, err, metered)
		}
	}
}

// FuzzRewrite holds that whatever compiles still does when it is metered, and that
// nothing makes the rewriter panic.
func FuzzRewrite(f *testing.F) {
	f.Add(wasmOf())
	f.Add(wasmOf(3, 0x40, 0x0c, 0, 0x0b))
	f.Add(wasmOf(0x41, 0, 0x41, 0, 0x41, 0x80, 0x14, 0xfc, 11, 0))
	f.Add(wasmOf(0x41, 0, 0x0e, 0, 0, 0x44, 0, 0, 0, 0, 0, 0, 0, 0, 0x1a))
	f.Add(wasmOf()[:40])
	f.Add([]byte(wasmHeader + "\x01\xff\xff\xff\xff\x0f"))
	f.Add(withSection(11, 0xc8, 0xc8, 0xfa, 0xfa, 1, 0))
	f.Add(withSection(4, 1, 0x70, 0, 1))
	ctx := context.Background()
	rt := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter().WithMemoryLimitPages(16))
	f.Cleanup(func() { rt.Close(ctx) })
	f.Fuzz(func(t *testing.T, b []byte) {
		metered, _, err := meter(b, true)
		if err != nil {
			return
		}
		if len(metered) > 100*len(b)+1000 {
			t.Fatalf("%d bytes became %d", len(b), len(metered))
		}
		before, err := rt.CompileModule(ctx, plain(b))
		if err != nil {
			return
		}
		before.Close(ctx)
		after, err := rt.CompileModule(ctx, metered)
		if err != nil {
			t.Fatalf("a module that compiles does not when it is metered: %v", err)
		}
		after.Close(ctx)
	})
}

// plain is a module without custom sections, of which we let wazero read none.
func plain(b []byte) []byte {
	m, _ := parseModule(b)
	out := []byte(wasmHeader)
	for _, id := range sectionOrder {
		if m.sections[id] != nil {
			out = appendBlock(append(out, id), m.sections[id])
		}
	}
	return out
}

// FuzzCall holds that no arguments end in an error, or harm the world.
func FuzzCall(f *testing.F) {
	for _, s := range []string{`{}`, `{"id":"u1"}`, `{"a":{"b":[1,2,{"c":"\ud800"}]}}`, `{`, `[1,`, ``, `{"a":1e999}`, `{"__proto__":{"x":1}}`, "\x00", `{"code":"\u0000"}`, strings.Repeat(`[`, 100)} {
		f.Add([]byte(s))
	}
	p := load(f, newTestRuntime(f, Options{}), testArena(f, shop+"export const echo = (a) => a;", "echo", "create_order"))
	f.Fuzz(func(t *testing.T, args []byte) {
		i := start(t, p, 1)
		defer i.Close()
		r, err := i.Call(t.Context(), "echo", args)
		if err != nil || r.OK() == (r.Fault != "") {
			t.Fatalf("echo(%q) = %s, %v", args, show(r), err)
		}
		if r.Breach {
			return
		}
		if got := call(t, i, "create_order", `{"user":"u1"}`); got != `{"id":"o0","user":"u1"}` {
			t.Fatalf("after echo(%q) an order is %s", args, got)
		}
	})
}
