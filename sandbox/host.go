package sandbox

import (
	"encoding/binary"
	"math"

	"github.com/tetratelabs/wazero/api"
)

const (
	i32 = api.ValueTypeI32
	i64 = api.ValueTypeI64
	f64 = api.ValueTypeF64
)

type types = []api.ValueType

// answer is a host function that does nothing.
func answer(v uint64) func(*executor, []uint64) {
	return func(_ *executor, s []uint64) { s[0] = v }
}

// scriptModules are the imports that the JavaScript engine needs to be instantiated. Only
// one ever does something: nothing of the machine's is behind the others.
var scriptModules = []hostModule{
	{"env", []hostFunction{
		{"host_interrupt", nil, types{i32}, answer(0)}, // for a handler of its own, which we do not install
		{"host_call", types{i32, i32, i32, i32, i32}, types{i32}, (*executor).hostCall},
		{"host_get_timezone_offset", types{i32, i32}, types{i32}, answer(0)},
		{"host_promise_rejection", types{i32, i32, i32}, nil, func(*executor, []uint64) {}},
		{"host_module_normalize", types{i32, i32}, types{i32}, answer(0)},
		{"host_module_load", types{i32, i32}, types{i32}, answer(0)},
	}},
	{"wasi_snapshot_preview1", []hostFunction{
		{"clock_time_get", types{i32, i64, i32}, types{i32}, func(x *executor, s []uint64) { x.zero(s[2], 8); s[0] = 0 }},
		{"random_get", types{i32, i32}, types{i32}, func(x *executor, s []uint64) { x.zero(s[0], s[1]); s[0] = 0 }},
		{"fd_close", types{i32}, types{i32}, answer(badFile)},
		{"fd_fdstat_get", types{i32, i32}, types{i32}, answer(badFile)},
		{"fd_seek", types{i32, i64, i32, i32}, types{i32}, answer(badFile)},
		{"fd_write", types{i32, i32, i32, i32}, types{i32}, answer(badFile)},
	}},
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
	l := x.js
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
	b, ok := x.files.file(path)
	if !ok {
		return x.do(getUndefined)
	}
	p := x.put(b)
	box := x.do(newString, p, uint64(len(b)))
	x.do(free, p)
	return box
}

// seed makes the world that an episode's tools see, in the cell.
func (l *layout) seed(mem []byte, seed int64, nowMS float64) {
	b := mem[l.cell : l.cell+cellName]
	putFloat(b[cellSeed:], float64(seed))
	putFloat(b[cellNow:], nowMS)
	for i, w := range generator(seed) {
		binary.LittleEndian.PutUint32(b[cellRandom+4*i:], w)
	}
	binary.LittleEndian.PutUint32(b[cellLive:], 1)
}

func putFloat(b []byte, v float64) { binary.LittleEndian.PutUint64(b, math.Float64bits(v)) }
