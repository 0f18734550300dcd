package sandbox

// What a module may have, as wazero makes room for all that is announced before it reads it.
// CPython, the largest module that we know, has a tenth of any at most. Limits of one function
// are those that WebAssembly engines share (JavaScript API, implementation-defined limits).
//
// maxWork keeps out what is plainly too much for the compiler, whose time grows with the
// square of a function's blocks and, for each block, with its locals. It is no bound of its
// time and memory against an author who knows it (ROUGH_EDGES).
const (
	maxEntries   = 1 << 18 // of a section, or of a vector in it
	maxSlots     = 1 << 19 // of all tables, with the entries of the segments that fill them
	maxBody      = 7_654_321
	maxLocals    = 50_000 // of one function
	maxAllLocals = 1 << 22
	maxArity     = 1000    // parameters of a function, or results
	maxValues    = 1 << 20 // of all types, and of all blocks, and calls with several results
	maxWork      = 1 << 29 // of one function, as work has it
	maxAllWork   = 1 << 32
)

// bounds is what a module has of what is bounded as a whole.
type bounds struct{ slots, locals, values, work uint64 }

// add counts n more of something.
func (r *reader) add(to *uint64, n, most uint64, what string) {
	if *to += n; *to > most {
		r.fail("the module has more than %d %s", most, what)
	}
}

// count reads the length of a vector.
func (r *reader) count() uint32 {
	n := r.u32()
	if n > maxEntries {
		r.fail("%d entries; there may be %d", n, maxEntries)
		return 0
	}
	return n
}

// blockWeights are the blocks that the compiler makes of one instruction; a loop has its tick's.
var blockWeights = [opIf + 1]uint64{opBlock: 1, opIf: 2, opLoop: 4}

// work is what a function's blocks cost the compiler. The factors are measured: a block that
// keeps all locals apart costs 64 for each, and a target of br_table a quarter of a block.
func (f *function) work() uint64 {
	blocks := f.blocks + f.targets/4
	return blocks * (blocks + 64*f.left)
}

// bound counts a function that was read, and refuses it if its blocks are too much work.
func (f *function) bound() {
	work := f.work()
	if work > maxWork {
		f.r.fail("%d blocks, %d targets of br_table and %d locals are too many together: split the function", f.blocks, f.targets, f.left)
	}
	if f.m.work += work; f.m.work > maxAllWork {
		f.r.fail("the functions are too large and too many: split the module, or compile it for size")
	}
}
