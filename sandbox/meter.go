package sandbox

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// fuelGlobal is the export under which the host finds a metered module's fuel, an i64.
const fuelGlobal = "astra_fuel"

// bulkShift makes memory.copy, fill and init cost one unit for each 256 bytes, about
// what a loop pass costs.
const bulkShift = 8

// What the rewriter adds to a module's imports and exports.
const (
	hostModuleName = "astra_meter"
	interruptName  = "interrupt"    // ()->(), called when the fuel is below zero
	startExport    = "astra_start"  // the module's start function, which the host calls itself
	globalExport   = "astra_global" // and a number: each global that can change
)

// maxGlobals bounds what must be kept of an episode besides its memory.
const maxGlobals = 256

// meter rewrites a module so that it counts: each function entry and each loop pass
// takes one unit from the exported global fuelGlobal, bulk memory instructions one for
// each 256 bytes. When it falls below zero the imported function astra_meter.interrupt is
// called, which refills it or panics. Functions are renumbered, since imports come first.
//
// All that a module keeps lies in its memory and in globals, which become exports:
// executors are shared by episodes. One that keeps anything elsewhere is refused, and so
// is what we do not know.
// globals are the names of those exports. Unless it counts, only the rest is done.
func meter(b []byte, counts bool) (metered []byte, globals []string, err error) {
	m, err := parseModule(b)
	if err != nil {
		return nil, nil, err
	}
	m.counts = counts
	metered, err = m.rewrite()
	return metered, m.changing(), err
}

func (m *module) rewrite() ([]byte, error) {
	for name := range m.exports {
		if name == fuelGlobal || name == startExport || strings.HasPrefix(name, globalExport) {
			return nil, fmt.Errorf("the module exports %s itself", name)
		}
	}
	if n := len(m.changing()); n > maxGlobals {
		return nil, fmt.Errorf("the module has %d globals that can change; %d can be kept", n, maxGlobals)
	}
	if len(m.types) == 0 || m.sections[codeSection] == nil || m.sections[exportSection] == nil {
		return nil, errors.New("the module lacks types, exports or code")
	}
	out := []byte(wasmHeader)
	for _, id := range sectionOrder {
		body, err := m.section(id)
		if err != nil {
			return nil, err
		}
		if body != nil {
			out = appendBlock(append(out, id), body)
		}
	}
	return out, nil
}

// section is what becomes of one; nil leaves it out. Custom sections go: names and tool
// chains are nothing at run time, and wazero reads debug information for seconds to
// describe a trap.
func (m *module) section(id byte) ([]byte, error) {
	body := m.sections[id]
	switch id {
	case typeSection:
		return appendEntry(body, []byte{0x60, 0, 0}), nil
	case importSection:
		entry := appendBlock(appendBlock(nil, []byte(hostModuleName)), []byte(interruptName))
		return appendEntry(body, appendULEB(append(entry, 0), uint64(len(m.types)))), nil
	case globalSection:
		return m.meterGlobals(body)
	case exportSection:
		return m.meterExports(body)
	case startSection:
		return nil, nil
	case elementSection:
		return m.meterElements(body)
	case codeSection:
		return m.meterCode(body)
	}
	return body, nil
}

// changing names the exports of globals that can change.
func (m *module) changing() []string {
	var names []string
	for i, changes := range m.globals {
		if changes {
			names = append(names, globalExport+strconv.Itoa(i))
		}
	}
	return names
}

func (m *module) fuel(o []byte, op byte) []byte {
	return appendULEB(append(o, op), uint64(len(m.globals)))
}

// call is the code that visits the host.
func (m *module) call(o []byte) []byte { return appendULEB(append(o, opCall), uint64(len(m.imports))) }

// appendEntry adds one entry to a vector section, which may not be there.
func appendEntry(body, entry []byte) []byte {
	r := &reader{b: body}
	n := uint32(0)
	if len(body) > 0 {
		n = r.u32()
	}
	o := appendULEB(nil, uint64(n)+1)
	return append(append(o, body[r.at:]...), entry...)
}

// meterGlobals copies globals, and adds the fuel.
func (m *module) meterGlobals(body []byte) ([]byte, error) {
	o := appendULEB(nil, uint64(len(m.globals))+1)
	if body != nil {
		r := &reader{b: body}
		r.each(func() { o = m.expression(r, append(o, r.bytes(2)...)) })
		if r.err != nil {
			return nil, fmt.Errorf("globals: %w", r.err)
		}
	}
	return append(o, 0x7e, 1, opI64Const, 0, opEnd), nil
}

// meterExports copies exports, and adds the fuel, the globals that can change, and the
// start function.
func (m *module) meterExports(body []byte) ([]byte, error) {
	r := &reader{b: body}
	n := 0
	var o []byte
	r.each(func() {
		n++
		o = appendBlock(o, r.bytes(r.u32()))
		kind := r.byte()
		if o = append(o, kind); kind == 0 {
			o = m.reference(r, o)
		} else {
			o = appendULEB(o, uint64(r.u32()))
		}
	})
	add := func(name string, kind byte, i uint64) {
		n++
		o = appendULEB(append(appendBlock(o, []byte(name)), kind), i)
	}
	add(fuelGlobal, 3, uint64(len(m.globals)))
	for i, changes := range m.globals {
		if changes {
			add(globalExport+strconv.Itoa(i), 3, uint64(i))
		}
	}
	if start := m.sections[startSection]; start != nil {
		n++
		s := &reader{b: start}
		o = m.reference(s, append(appendBlock(o, []byte(startExport)), 0))
		r.err = errors.Join(r.err, s.err)
	}
	if r.err != nil {
		return nil, fmt.Errorf("exports: %w", r.err)
	}
	return append(appendULEB(nil, uint64(n)), o...), nil
}

// meterElements copies what tables begin with.
func (m *module) meterElements(body []byte) ([]byte, error) {
	if body == nil {
		return nil, nil
	}
	r := &reader{b: body}
	n := r.count()
	o := appendULEB(nil, uint64(n))
	for ; n > 0 && r.err == nil; n-- {
		o = m.element(r, o)
	}
	if r.err != nil {
		return nil, fmt.Errorf("elements: %w", r.err)
	}
	return o, nil
}

// element copies one segment. Its flags: 1 it is no part of a table yet, 2 a table or a
// type is named, 4 it lists expressions, not functions. (WebAssembly 2.0, 5.5.12)
func (m *module) element(r *reader, o []byte) []byte {
	flags := r.u32()
	if flags > 7 {
		r.fail("segment of kind %d", flags)
	}
	o = appendULEB(o, uint64(flags))
	if flags&3 == 2 {
		o = appendULEB(o, uint64(r.u32()))
	}
	if flags&1 == 0 {
		o = m.expression(r, o)
	}
	if flags&3 != 0 {
		o = append(o, r.byte())
	}
	n := r.count()
	r.add(&m.slots, uint64(n), maxSlots, "table entries")
	o = appendULEB(o, uint64(n))
	for ; n > 0 && r.err == nil; n-- {
		if flags&4 != 0 {
			o = m.expression(r, o)
		} else {
			o = m.reference(r, o)
		}
	}
	return o
}

func (m *module) meterCode(body []byte) ([]byte, error) {
	r := &reader{b: body}
	n := r.u32()
	own := m.funcs[len(m.imports):]
	if int64(n) != int64(len(own)) {
		return nil, fmt.Errorf("%d functions, but %d bodies", len(own), n)
	}
	out := appendULEB(make([]byte, 0, len(body)*2), uint64(n))
	for i, typ := range own {
		code := r.bytes(r.u32())
		if len(code) > maxBody {
			r.fail("function %d has %d bytes; there may be %d", len(m.imports)+i, len(code), maxBody)
		}
		if r.err != nil {
			return nil, r.err
		}
		f := &function{r: reader{b: code}, m: m}
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
	out  []byte
	left uint64 // the number of our first local

	blocks  uint64 // as the compiler sees them
	targets uint64 // of br_table
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
	f.r.add(&f.m.locals, f.left, maxAllLocals, "locals")
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
	f.bound()
}

// tick takes one unit: fuel = left = fuel - 1; if left < 0, the host is called.
func (f *function) tick() {
	if !f.m.counts {
		return
	}
	o := append(f.m.fuel(f.out, opGlobalGet), opI64Const, 1, opI64Sub)
	o = f.m.fuel(appendULEB(append(o, opLocalTee), f.left), opGlobalSet)
	o = appendULEB(append(o, opLocalGet), f.left)
	o = append(o, opI64Const, 0, opI64LtS, opIf, blockVoid)
	f.out = append(f.m.call(o), opEnd)
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
	opRefFunc     = 0xd2
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
		f.block(op)
	case op == opCall || op == opRefFunc:
		f.callee(op)
		return
	case op == 0x0c || op == 0x0d || op >= opLocalGet && op <= 0x25 || op == 0x41 || op == opI64Const || op == 0xd0:
		r.skip(1)
	case op == 0x11: // call_indirect
		f.pushes(f.m.readTypeIndex(r))
		r.skip(1)
	case op == opBrTable:
		r.each(func() {
			f.targets++
			r.skip(1)
		})
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

// block reads a block's type. One that is no value type is the number of a function type.
func (f *function) block(op byte) {
	f.blocks += blockWeights[op]
	if f.r.more() && (f.r.b[f.r.at] == blockVoid || isValueType(f.r.b[f.r.at])) {
		f.r.at++
	} else if t := f.m.readTypeIndex(&f.r); f.r.err == nil {
		f.r.add(&f.m.values, f.m.types[t].values(), maxValues, "values")
	}
}

// callee copies a call or a reference, and renumbers it.
func (f *function) callee(op byte) {
	i := f.r.u32()
	if int64(i) >= int64(len(f.m.funcs)) {
		f.r.fail("function %d of %d", i, len(f.m.funcs))
	} else if op == opCall {
		f.pushes(f.m.funcs[i])
	}
	f.out = f.m.appendReference(append(f.out, op), i)
}

// pushes counts what a call leaves if that is several values.
func (f *function) pushes(typ uint32) {
	if f.r.err == nil && f.m.types[typ].results > 1 {
		f.r.add(&f.m.values, uint64(f.m.types[typ].results), maxValues, "values")
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
	if !f.m.counts {
		return
	}
	size := f.left + 1
	o := appendULEB(append(f.out, opLocalTee), size)
	o = f.m.fuel(o, opGlobalGet)
	o = appendULEB(append(o, opLocalGet), size)
	o = append(o, opI64Extend, opI64Const, bulkShift, opI64ShrU, opI64Sub)
	f.out = f.m.fuel(o, opGlobalSet)
}
