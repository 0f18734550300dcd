package sandbox

import (
	"context"
	"encoding/binary"
	"math"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// interruptImport is the function that metered code calls when its slice is used up.
// QuickJS has it for a handler of its own, which we do not install.
const interruptImport = "env.host_interrupt"

// hostModules gives the engine the imports that it needs to be instantiated. Only three
// ever do something: nothing of the machine's is behind the others.
func hostModules(ctx context.Context, wasm wazero.Runtime) error {
	const i32, i64 = api.ValueTypeI32, api.ValueTypeI64
	type types = []api.ValueType
	type function struct {
		name            string
		params, results types
		run             func(x *executor, stack []uint64)
	}
	answer := func(v uint64) func(*executor, []uint64) {
		return func(_ *executor, s []uint64) { s[0] = v }
	}
	const badFile = 8 // EBADF
	modules := map[string][]function{
		"env": {
			{"host_interrupt", nil, types{i32}, func(x *executor, s []uint64) { x.interrupt(); s[0] = 0 }},
			{"host_call", types{i32, i32, i32, i32, i32}, types{i32}, (*executor).hostCall},
			{"host_get_timezone_offset", types{i32, i32}, types{i32}, answer(0)},
			{"host_promise_rejection", types{i32, i32, i32}, nil, func(*executor, []uint64) {}},
			{"host_module_normalize", types{i32, i32}, types{i32}, answer(0)},
			{"host_module_load", types{i32, i32}, types{i32}, answer(0)},
		},
		"wasi_snapshot_preview1": {
			{"clock_time_get", types{i32, i64, i32}, types{i32}, func(x *executor, s []uint64) { x.zero(s[2], 8); s[0] = 0 }},
			{"random_get", types{i32, i32}, types{i32}, func(x *executor, s []uint64) { x.zero(s[0], s[1]); s[0] = 0 }},
			{"fd_close", types{i32}, types{i32}, answer(badFile)},
			{"fd_fdstat_get", types{i32, i32}, types{i32}, answer(badFile)},
			{"fd_seek", types{i32, i64, i32, i32}, types{i32}, answer(badFile)},
			{"fd_write", types{i32, i32, i32, i32}, types{i32}, answer(badFile)},
		},
	}
	for name, functions := range modules {
		b := wasm.NewHostModuleBuilder(name)
		for _, f := range functions {
			run := api.GoFunc(func(ctx context.Context, stack []uint64) { f.run(ctx.(*executor), stack) })
			b.NewFunctionBuilder().WithGoFunction(run, f.params, f.results).Export(f.name)
		}
		if _, err := b.Instantiate(ctx); err != nil {
			return err
		}
	}
	return nil
}

// zero is all that the engine's own clock and randomness ever read; boot.js has put the
// world's in their place.
func (x *executor) zero(at, n uint64) { clear(x.bytes(uint64(uint32(at)), uint64(uint32(n)))) }

// hostCall is boot.js's send(op, text).
func (x *executor) hostCall(stack []uint64) {
	argc, argv := uint32(stack[3]), uint64(uint32(stack[4]))
	stack[0] = 0
	if argc != 2 {
		return
	}
	op := uint32(x.u64(x.u32(argv)))
	text := x.u64(x.u32(argv + 4))
	l := &x.rt.layout
	switch op {
	case 0:
		b, n, _ := x.text(l, text, x.limits.Log)
		x.logLine(b, int64(n) > int64(len(b)))
		stack[0] = x.do(getUndefined)
	case 1:
		b, _, _ := x.text(l, text, 4096)
		stack[0] = x.file(string(b))
	}
	if x.err != nil {
		panic(x.err)
	}
}

// file returns the box of a data file's text, or of undefined.
func (x *executor) file(path string) uint64 {
	if x.data == nil {
		return x.do(getUndefined)
	}
	b, ok := x.data(path)
	if !ok {
		return x.do(getUndefined)
	}
	p := x.put(b)
	box := x.do(newString, p, uint64(len(b)))
	x.do(free, p)
	return box
}

// logLine appends to the log of this run, up to its limit.
func (x *executor) logLine(line []byte, cut bool) {
	room := max(x.limits.Log-int64(len(x.log)), 0)
	if int64(len(line)) > room {
		line, cut = line[:room], true
	}
	x.log = append(x.log, line...)
	x.logCut = x.logCut || cut
}

// seed makes the world that an episode's tools see, in the cell.
func (l *layout) seed(mem []byte, seed int64, nowMS float64) {
	b := mem[l.cell : l.cell+cellName]
	putFloat(b[cellSeed:], float64(seed))
	putFloat(b[cellNow:], nowMS)
	var s [4]uint32
	a, c := splitmix(uint64(seed)), splitmix(uint64(seed)+golden)
	s[0], s[1], s[2], s[3] = uint32(a), uint32(a>>32), uint32(c), 1
	for range 12 { // sfc32 wants some steps before near seeds part
		t := s[0] + s[1] + s[3]
		s[3]++
		s[0] = s[1] ^ s[1]>>9
		s[1] = s[2] + s[2]<<3
		s[2] = (s[2]<<21 | s[2]>>11) + t
	}
	for i, w := range s {
		binary.LittleEndian.PutUint32(b[cellRandom+4*i:], w)
	}
	binary.LittleEndian.PutUint32(b[cellLive:], 1)
}

func putFloat(b []byte, v float64) { binary.LittleEndian.PutUint64(b, math.Float64bits(v)) }

const golden = 0x9e3779b97f4a7c15

// splitmix spreads a seed over 64 bits.
func splitmix(s uint64) uint64 {
	s += golden
	s = (s ^ s>>30) * 0xbf58476d1ce4e5b9
	s = (s ^ s>>27) * 0x94d049bb133111eb
	return s ^ s>>31
}
