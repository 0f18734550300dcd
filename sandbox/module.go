package sandbox

import (
	"errors"
	"fmt"
)

// A reader walks WebAssembly's binary format. Its first error sticks, and every read
// after it yields zero, so that callers check once: the bytes may be anybody's.
type reader struct {
	b   []byte
	at  int
	err error
}

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("at byte %d: "+format, append([]any{r.at}, args...)...)
	}
	r.at = len(r.b)
}

// more reports whether there is something left to read.
func (r *reader) more() bool { return r.err == nil && r.at < len(r.b) }

func (r *reader) byte() byte {
	if r.at >= len(r.b) {
		r.fail("the module ends too early")
		return 0
	}
	r.at++
	return r.b[r.at-1]
}

func (r *reader) bytes(n uint32) []byte {
	if uint64(n) > uint64(len(r.b)-r.at) {
		r.fail("%d bytes announced, %d left", n, len(r.b)-r.at)
		return nil
	}
	r.at += int(n)
	return r.b[r.at-int(n) : r.at]
}

// u32 reads an unsigned LEB128 number.
func (r *reader) u32() uint32 {
	var v uint64
	for shift := 0; shift < 35; shift += 7 {
		c := r.byte()
		v |= uint64(c&0x7f) << shift
		if c&0x80 == 0 {
			if v > 1<<32-1 {
				r.fail("number out of range")
			}
			return uint32(v)
		}
	}
	r.fail("number too long")
	return 0
}

// skip passes over n LEB128 numbers of any width.
func (r *reader) skip(n uint32) {
	for ; n > 0 && r.err == nil; n-- {
		width := 1
		for r.byte()&0x80 != 0 {
			if width++; width > 10 {
				r.fail("number too long")
			}
		}
	}
}

// each calls f for every entry of a vector.
func (r *reader) each(f func()) {
	for n := r.count(); n > 0 && r.err == nil; n-- {
		f()
	}
}

func (r *reader) name() string { return string(r.bytes(r.u32())) }

// Sections of a module that the rewriter knows by number.
const (
	customSection  = 0
	typeSection    = 1
	importSection  = 2
	funcSection    = 3
	tableSection   = 4
	globalSection  = 6
	exportSection  = 7
	startSection   = 8
	elementSection = 9
	codeSection    = 10
	dataSection    = 11
	lastSection    = 12
)

// sectionOrder is how sections follow each other; 12 counts data segments.
var sectionOrder = []byte{typeSection, importSection, funcSection, tableSection, 5, globalSection, exportSection, startSection, elementSection, 12, codeSection, dataSection}

// A funcType says how many parameters and results a function has.
type funcType struct{ params, results int }

func (t funcType) values() uint64 { return uint64(t.params + t.results) }

// A module is what the rewriter must know of one.
type module struct {
	sections [lastSection + 1][]byte
	types    []funcType
	imports  []string // functions, as "module.name"; nothing else may be imported
	funcs    []uint32 // the types of these, then of its own functions
	globals  []bool   // whether each can change
	exports  map[string]bool
	counts   bool // it is to count
	bounds
}

const wasmHeader = "\x00asm\x01\x00\x00\x00"

// parseModule reads a module's outline.
func parseModule(b []byte) (*module, error) {
	if len(b) < len(wasmHeader) || string(b[:len(wasmHeader)]) != wasmHeader {
		return nil, errors.New("not a WebAssembly 1.0 module")
	}
	m := &module{exports: map[string]bool{}}
	r := &reader{b: b, at: len(wasmHeader)}
	var seen [lastSection + 1]bool
	for r.more() {
		id := r.byte()
		body := r.bytes(r.u32())
		if id > lastSection || id != customSection && seen[id] {
			r.fail("section %d is unknown or repeated", id)
			break
		}
		seen[id], m.sections[id] = true, body
	}
	for id := range m.sections {
		if r.err == nil && seen[id] {
			r.err = m.read(byte(id))
		}
	}
	return m, r.err
}

func (m *module) read(id byte) error {
	r := &reader{b: m.sections[id]}
	switch id {
	case typeSection:
		r.each(func() { m.types = append(m.types, m.readFuncType(r)) })
	case importSection:
		r.each(func() { m.readImport(r) })
	case funcSection:
		r.each(func() { m.funcs = append(m.funcs, m.readTypeIndex(r)) })
	case globalSection:
		r.each(func() {
			r.byte()
			m.globals = append(m.globals, r.byte() == 1)
			m.expression(r, nil)
		})
	case exportSection:
		r.each(func() {
			m.exports[r.name()] = true
			r.byte()
			r.u32()
		})
	case tableSection:
		r.each(func() { m.readTable(r) })
	case dataSection:
		r.each(func() { m.readData(r) })
	}
	if r.err != nil {
		return fmt.Errorf("section %d: %w", id, r.err)
	}
	return nil
}

// expression copies a constant expression to o, with functions renumbered.
func (m *module) expression(r *reader, o []byte) []byte {
	for r.err == nil {
		start := r.at
		op := r.byte()
		switch op {
		case 0x41, opI64Const, opGlobalGet, 0xd0:
			r.skip(1)
		case 0x43:
			r.bytes(4)
		case 0x44:
			r.bytes(8)
		case opRefFunc:
			o = m.reference(r, append(o, op))
			continue
		case opEnd:
		default:
			r.fail("instruction %#x in a constant is not supported", op)
			return o
		}
		o = append(o, r.b[start:r.at]...)
		if op == opEnd {
			break
		}
	}
	return o
}

// reference copies the number of a function: one import more comes before our own.
func (m *module) reference(r *reader, o []byte) []byte { return m.appendReference(o, r.u32()) }

func (m *module) appendReference(o []byte, i uint32) []byte {
	if int64(i) >= int64(len(m.imports)) {
		i++
	}
	return appendULEB(o, uint64(i))
}

func (m *module) readFuncType(r *reader) funcType {
	if form := r.byte(); form != 0x60 {
		r.fail("type form %#x is not supported", form)
	}
	t := funcType{params: readValueTypes(r), results: readValueTypes(r)}
	r.add(&m.values, t.values(), maxValues, "values")
	return t
}

func readValueTypes(r *reader) int {
	types := r.bytes(r.u32())
	if len(types) > maxArity {
		r.fail("%d parameters or results; there may be %d", len(types), maxArity)
	}
	for _, t := range types {
		if !isValueType(t) {
			r.fail("value type %#x is not supported", t)
		}
	}
	return len(types)
}

func isValueType(t byte) bool { return t >= 0x7b && t <= 0x7f || t == 0x70 || t == 0x6f }

func (m *module) readTypeIndex(r *reader) uint32 {
	i := r.u32()
	if int64(i) >= int64(len(m.types)) {
		r.fail("type %d of %d", i, len(m.types))
	}
	return i
}

func (m *module) readImport(r *reader) {
	name := r.name() + "." + r.name()
	if kind := r.byte(); kind != 0 {
		r.fail("import %q is not a function", name)
		return
	}
	m.imports = append(m.imports, name)
	m.funcs = append(m.funcs, m.readTypeIndex(r))
}

// readTable reads a table's type and limits. (WebAssembly 2.0, 5.5.7)
func (m *module) readTable(r *reader) {
	if t := r.byte(); t != 0x70 && t != 0x6f {
		r.fail("a table of type %#x is not supported", t)
	}
	limited := r.byte()
	if limited > 1 {
		r.fail("limits of kind %d are not supported", limited)
	}
	r.add(&m.slots, uint64(r.u32()), maxSlots, "table entries")
	if limited == 1 {
		r.u32()
	}
}

// readData reads a data segment. (WebAssembly 2.0, 5.5.14)
func (m *module) readData(r *reader) {
	kind := r.u32()
	if kind > 2 {
		r.fail("segment of kind %d", kind)
	}
	if kind == 2 {
		r.u32()
	}
	if kind != 1 {
		m.expression(r, nil)
	}
	r.bytes(r.u32())
}

func appendULEB(o []byte, v uint64) []byte {
	for ; v > 0x7f; v >>= 7 {
		o = append(o, byte(v)|0x80)
	}
	return append(o, byte(v))
}

func appendBlock(o, block []byte) []byte {
	return append(appendULEB(o, uint64(len(block))), block...)
}
