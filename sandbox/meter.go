package sandbox

import (
	"errors"
	"fmt"
)

// fuelGlobal is the export under which the host finds a metered module's fuel, an i64.
const fuelGlobal = "astra_fuel"

// bulkShift makes memory.copy, fill and init cost one unit for each 256 bytes, about
// what a loop pass costs.
const bulkShift = 8

// maxLocals is what WebAssembly engines allow in one function.
const maxLocals = 50_000

// meter rewrites a module so that it counts: each function entry and each loop pass
// takes one unit from the exported global fuelGlobal, bulk memory instructions one for
// each 256 bytes. When it falls below zero the imported function named by interrupt is
// called, which refills it or panics.
//
// No function, type or global of the module changes its number. A module that keeps
// anything outside its memory and globals is refused: executors could not be shared by
// episodes. So is what we do not know.
func meter(b []byte, interrupt string) ([]byte, error) {
	m, err := parseModule(b)
	if err != nil {
		return nil, err
	}
	if m.exports[fuelGlobal] {
		return nil, fmt.Errorf("the module exports %s itself", fuelGlobal)
	}
	call, err := m.interruptCall(interrupt)
	if err != nil {
		return nil, err
	}
	return m.rewrite(call)
}

// interruptCall is the code that calls the import.
func (m *module) interruptCall(interrupt string) ([]byte, error) {
	for i, name := range m.imports {
		if name != interrupt {
			continue
		}
		t := m.types[m.importAs[i]]
		if t.params != 0 || t.results > 1 {
			return nil, fmt.Errorf("import %s has %d parameters and %d results", name, t.params, t.results)
		}
		o := appendULEB([]byte{opCall}, uint64(i))
		if t.results == 1 {
			o = append(o, opDrop)
		}
		return o, nil
	}
	return nil, fmt.Errorf("the module does not import %s", interrupt)
}

func (m *module) fuel(o []byte, op byte) []byte { return appendULEB(append(o, op), uint64(m.globals)) }

func (m *module) rewrite(call []byte) ([]byte, error) {
	out := []byte(wasmHeader)
	var met int
	for _, s := range m.sections {
		body := s.body
		var err error
		switch s.id {
		case customSection:
			continue // names and tool chains; nothing at run time
		case globalSection:
			body = appendEntry(body, []byte{0x7e, 1, opI64Const, 0, opEnd})
		case exportSection:
			body = appendEntry(body, appendULEB(append(appendBlock(nil, []byte(fuelGlobal)), 3), uint64(m.globals)))
		case codeSection:
			body, err = m.meterCode(body, call)
		}
		if err != nil {
			return nil, err
		}
		if s.id == globalSection || s.id == exportSection || s.id == codeSection {
			met++
		}
		out = appendBlock(append(out, s.id), body)
	}
	if met != 3 {
		return nil, errors.New("the module lacks globals, exports or code")
	}
	return out, nil
}

// appendEntry adds one entry to a vector section that parseModule has read.
func appendEntry(body, entry []byte) []byte {
	r := &reader{b: body}
	n := r.u32()
	o := appendULEB(nil, uint64(n)+1)
	return append(append(o, body[r.at:]...), entry...)
}

func (m *module) meterCode(body, call []byte) ([]byte, error) {
	r := &reader{b: body}
	n := r.u32()
	if int64(n) != int64(len(m.funcs)) {
		return nil, fmt.Errorf("%d functions, but %d bodies", len(m.funcs), n)
	}
	out := appendULEB(make([]byte, 0, len(body)*2), uint64(n))
	for i, typ := range m.funcs {
		code := r.bytes(r.u32())
		if r.err != nil {
			return nil, r.err
		}
		f := &function{r: reader{b: code}, m: m, call: call}
		f.rewrite(m.types[typ].params)
		if f.r.err != nil {
			return nil, fmt.Errorf("function %d: %w", len(m.imports)+i, f.r.err)
		}
		out = appendBlock(out, f.out)
	}
	if r.more() {
		return nil, errors.New("bytes after the last function")
	}
	return out, nil
}

// A function is one body being rewritten. It gets two locals of ours: an i64 for the
// fuel that is left and, after it, an i32 for the size of a bulk instruction.
type function struct {
	r    reader
	m    *module
	call []byte // of the host
	out  []byte
	left uint64 // the number of our first local
}

func (f *function) rewrite(params int) {
	groups := f.r.u32()
	start := f.r.at
	f.left = uint64(params)
	for n := groups; n > 0 && f.r.err == nil; n-- {
		f.left += uint64(f.r.u32())
		if t := f.r.byte(); !isValueType(t) || f.left > maxLocals-2 {
			f.r.fail("local type %#x is not supported, or too many locals", t)
		}
	}
	if f.r.err != nil {
		return
	}
	f.out = appendULEB(f.out, uint64(groups)+2)
	f.out = append(f.out, f.r.b[start:f.r.at]...)
	f.out = append(f.out, 1, 0x7e, 1, 0x7f)
	f.tick()
	for f.r.more() {
		f.instruction()
	}
}

// tick takes one unit: fuel = left = fuel - 1; if left < 0, the host is called.
func (f *function) tick() {
	o := append(f.m.fuel(f.out, opGlobalGet), opI64Const, 1, opI64Sub)
	o = f.m.fuel(appendULEB(append(o, opLocalTee), f.left), opGlobalSet)
	o = appendULEB(append(o, opLocalGet), f.left)
	o = append(o, opI64Const, 0, opI64LtS, opIf, blockVoid)
	f.out = append(append(o, f.call...), opEnd)
}

// Opcodes that the rewriter writes or treats in a way of their own.
const (
	opBlock       = 0x02
	opLoop        = 0x03
	opIf          = 0x04
	opEnd         = 0x0b
	opBrTable     = 0x0e
	opCall        = 0x10
	opDrop        = 0x1a
	opSelectTyped = 0x1c
	opLocalGet    = 0x20
	opLocalTee    = 0x22
	opGlobalGet   = 0x23
	opGlobalSet   = 0x24
	opI64Const    = 0x42
	opI64LtS      = 0x53
	opI64Sub      = 0x7d
	opI64ShrU     = 0x88
	opI64Extend   = 0xad // i64.extend_i32_u
	opMisc        = 0xfc
	blockVoid     = 0x40
)

// instruction copies one instruction, with what is to be counted around it.
func (f *function) instruction() {
	r := &f.r
	start := r.at
	op := r.byte()
	switch {
	case op == 0x00 || op == 0x01 || op == 0x05 || op == opEnd || op == 0x0f || op == opDrop || op == 0x1b || op >= 0x45 && op <= 0xc4 || op == 0xd1:
	case op == opBlock || op == opLoop || op == opIf:
		r.skip(1)
	case op == 0x0c || op == 0x0d || op == opCall || op >= opLocalGet && op <= 0x25 || op == 0x41 || op == opI64Const || op == 0xd0 || op == 0xd2:
		r.skip(1)
	case op == 0x11: // call_indirect
		r.skip(2)
	case op == opBrTable:
		r.each(func() { r.skip(1) })
		r.skip(1)
	case op == opSelectTyped:
		readValueTypes(r)
	case op >= 0x28 && op <= 0x3e:
		f.memoryArgument()
	case op == 0x3f || op == 0x40: // memory.size, memory.grow
		f.onlyMemory()
	case op == 0x43:
		r.bytes(4)
	case op == 0x44:
		r.bytes(8)
	case op == opMisc:
		f.misc()
	case op == 0x26:
		r.fail("the module writes its table")
	default:
		r.fail("instruction %#x is not supported", op)
	}
	if r.err != nil {
		return
	}
	f.out = append(f.out, r.b[start:r.at]...)
	if op == opLoop {
		f.tick()
	}
}

func (f *function) memoryArgument() {
	if align := f.r.u32(); align >= 64 {
		f.r.fail("more than one memory")
	}
	f.r.skip(1)
}

func (f *function) onlyMemory() {
	if f.r.byte() != 0 {
		f.r.fail("more than one memory")
	}
}

// misc reads what follows the prefix 0xfc.
func (f *function) misc() {
	switch sub := f.r.u32(); sub {
	case 0, 1, 2, 3, 4, 5, 6, 7: // saturating truncations
	case 8: // memory.init
		f.r.skip(1)
		f.onlyMemory()
		f.bulk()
	case 10: // memory.copy
		f.onlyMemory()
		f.onlyMemory()
		f.bulk()
	case 11: // memory.fill
		f.onlyMemory()
		f.bulk()
	case 16: // table.size
		f.r.skip(1)
	case 9, 12, 13, 14, 15, 17:
		f.r.fail("the module changes its tables or segments (0xfc %d)", sub)
	default:
		f.r.fail("instruction 0xfc %d is not supported", sub)
	}
}

// bulk takes size >> bulkShift units before an instruction whose size is on top of the
// stack. A debt is noticed at the next tick, so that one such instruction, at most the
// size of the memory, may overrun.
func (f *function) bulk() {
	size := f.left + 1
	o := appendULEB(append(f.out, opLocalTee), size)
	o = f.m.fuel(o, opGlobalGet)
	o = appendULEB(append(o, opLocalGet), size)
	o = append(o, opI64Extend, opI64Const, bulkShift, opI64ShrU, opI64Sub)
	f.out = f.m.fuel(o, opGlobalSet)
}
