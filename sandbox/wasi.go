package sandbox

import (
	"encoding/binary"
	"errors"
	"time"
)

// A world's block is where a guest that speaks WASI keeps what it is told of its world and
// what the host must remember of it: seed, clock, the random generator, open files and
// globals. It lies in guest memory, so that a fork, an image and a snapshot have it, and
// nothing of an episode lies elsewhere. A guest that writes over it changes its own world.
const (
	blockSeed    = 0  // i64
	blockNow     = 8  // i64, ns since 1970
	blockRandom  = 16 // four words
	blockGlobals = 32 // maxGlobals of eight bytes
	blockFiles   = blockGlobals + 8*maxGlobals
	blockSize    = blockFiles + maxFiles*16

	maxFiles  = 64 // open at once
	firstFile = 4  // its number; before it the standard streams, and data/
	dataFile  = 3
)

// WASI's error numbers. (wasi_snapshot_preview1, errno)
const (
	success     = 0
	badFile     = 8
	invalid     = 28
	isDir       = 31
	tooMany     = 33
	notFound    = 44
	noSystem    = 52
	notDir      = 54
	readOnly    = 69
	fileTypeDir = 3
	fileTypeReg = 4
	fileTypeTTY = 2
)

// block is the world's block in the bound memory.
func (x *executor) block() []byte {
	if x.world != 0 {
		if b := x.bytes(x.world, blockSize); x.err == nil {
			return b
		}
	}
	return x.scratch[:]
}

// seedBlock makes a world of a block.
func seedBlock(b []byte, seed int64, now time.Time) {
	binary.LittleEndian.PutUint64(b[blockSeed:], uint64(seed))
	binary.LittleEndian.PutUint64(b[blockNow:], uint64(now.UnixNano()))
	for i, w := range generator(seed) {
		binary.LittleEndian.PutUint32(b[blockRandom+4*i:], w)
	}
}

// random fills b from the world's generator.
func (x *executor) random(b []byte) {
	state := x.block()[blockRandom:]
	var s [4]uint32
	for i := range s {
		s[i] = binary.LittleEndian.Uint32(state[4*i:])
	}
	var word [4]byte
	for len(b) > 0 {
		binary.LittleEndian.PutUint32(word[:], step(&s))
		b = b[copy(b, word[:]):]
	}
	for i, w := range s {
		binary.LittleEndian.PutUint32(state[4*i:], w)
	}
}

// errExit says that a guest ended itself.
var errExit = errors.New("the tool ended its process")

// wasiModule is WASI preview 1 for a guest that has a clock that stands still, seeded
// randomness, a log, and data/ to read. Whatever else there is answers that it is not.
var wasiModule = hostModule{"wasi_snapshot_preview1", []hostFunction{
	{"args_get", types{i32, i32}, types{i32}, wasi((*wasiCall).argsGet)},
	{"args_sizes_get", types{i32, i32}, types{i32}, wasi((*wasiCall).argsSizes)},
	{"environ_get", types{i32, i32}, types{i32}, wasi((*wasiCall).environGet)},
	{"environ_sizes_get", types{i32, i32}, types{i32}, wasi((*wasiCall).environSizes)},
	{"clock_res_get", types{i32, i32}, types{i32}, wasi(func(c *wasiCall) uint64 { c.putU64(c.arg(1), 1); return success })},
	{"clock_time_get", types{i32, i64, i32}, types{i32}, wasi((*wasiCall).clock)},
	{"fd_advise", types{i32, i64, i64, i32}, types{i32}, answer(success)},
	{"fd_allocate", types{i32, i64, i64}, types{i32}, answer(readOnly)},
	{"fd_close", types{i32}, types{i32}, wasi((*wasiCall).close)},
	{"fd_datasync", types{i32}, types{i32}, answer(success)},
	{"fd_fdstat_get", types{i32, i32}, types{i32}, wasi((*wasiCall).fdStat)},
	{"fd_fdstat_set_flags", types{i32, i32}, types{i32}, answer(success)},
	{"fd_fdstat_set_rights", types{i32, i64, i64}, types{i32}, answer(success)},
	{"fd_filestat_get", types{i32, i32}, types{i32}, wasi((*wasiCall).fdFileStat)},
	{"fd_filestat_set_size", types{i32, i64}, types{i32}, answer(readOnly)},
	{"fd_filestat_set_times", types{i32, i64, i64, i32}, types{i32}, answer(readOnly)},
	{"fd_pread", types{i32, i32, i32, i64, i32}, types{i32}, wasi((*wasiCall).pread)},
	{"fd_prestat_get", types{i32, i32}, types{i32}, wasi((*wasiCall).prestat)},
	{"fd_prestat_dir_name", types{i32, i32, i32}, types{i32}, wasi((*wasiCall).prestatName)},
	{"fd_pwrite", types{i32, i32, i32, i64, i32}, types{i32}, answer(readOnly)},
	{"fd_read", types{i32, i32, i32, i32}, types{i32}, wasi((*wasiCall).read)},
	{"fd_readdir", types{i32, i32, i32, i64, i32}, types{i32}, wasi((*wasiCall).readDir)},
	{"fd_renumber", types{i32, i32}, types{i32}, answer(noSystem)},
	{"fd_seek", types{i32, i64, i32, i32}, types{i32}, wasi((*wasiCall).seek)},
	{"fd_sync", types{i32}, types{i32}, answer(success)},
	{"fd_tell", types{i32, i32}, types{i32}, wasi((*wasiCall).tell)},
	{"fd_write", types{i32, i32, i32, i32}, types{i32}, wasi((*wasiCall).write)},
	{"path_create_directory", types{i32, i32, i32}, types{i32}, answer(readOnly)},
	{"path_filestat_get", types{i32, i32, i32, i32, i32}, types{i32}, wasi((*wasiCall).pathFileStat)},
	{"path_filestat_set_times", types{i32, i32, i32, i32, i64, i64, i32}, types{i32}, answer(readOnly)},
	{"path_link", types{i32, i32, i32, i32, i32, i32, i32}, types{i32}, answer(readOnly)},
	{"path_open", types{i32, i32, i32, i32, i32, i64, i64, i32, i32}, types{i32}, wasi((*wasiCall).open)},
	{"path_readlink", types{i32, i32, i32, i32, i32, i32}, types{i32}, answer(invalid)},
	{"path_remove_directory", types{i32, i32, i32}, types{i32}, answer(readOnly)},
	{"path_rename", types{i32, i32, i32, i32, i32, i32}, types{i32}, answer(readOnly)},
	{"path_symlink", types{i32, i32, i32, i32, i32}, types{i32}, answer(readOnly)},
	{"path_unlink_file", types{i32, i32, i32}, types{i32}, answer(readOnly)},
	{"poll_oneoff", types{i32, i32, i32, i32}, types{i32}, wasi((*wasiCall).poll)},
	{"proc_exit", types{i32}, nil, func(x *executor, _ []uint64) { x.fail(errExit); panic(x.err) }},
	{"proc_raise", types{i32}, types{i32}, answer(noSystem)},
	{"random_get", types{i32, i32}, types{i32}, wasi(func(c *wasiCall) uint64 { c.random(c.bytes(c.arg(0), c.arg(1))); return success })},
	{"sched_yield", nil, types{i32}, answer(success)},
	{"sock_accept", types{i32, i32, i32}, types{i32}, answer(noSystem)},
	{"sock_recv", types{i32, i32, i32, i32, i32, i32}, types{i32}, answer(noSystem)},
	{"sock_send", types{i32, i32, i32, i32, i32}, types{i32}, answer(noSystem)},
	{"sock_shutdown", types{i32, i32}, types{i32}, answer(noSystem)},
}}

// A wasiCall is one call of a WASI function: the executor, and the arguments.
type wasiCall struct {
	*executor
	stack []uint64
}

// wasi makes a host function of one that returns an error number. A pointer that leads
// out of memory ends the run.
func wasi(f func(*wasiCall) uint64) func(*executor, []uint64) {
	return func(x *executor, stack []uint64) {
		errno := f(&wasiCall{x, stack})
		if x.err != nil {
			panic(x.err)
		}
		stack[0] = errno
	}
}

func (c *wasiCall) arg(i int) uint64    { return uint64(uint32(c.stack[i])) }
func (x *executor) putU32(at, v uint64) { binary.LittleEndian.PutUint32(x.bytes(at, 4), uint32(v)) }

// Guests get one argument, their name, and this environment.
var (
	guestArgs    = []string{"astra"}
	guestEnviron = []string{"PYTHONHASHSEED=0", "PYTHONDONTWRITEBYTECODE=1", "PYTHONNOUSERSITE=1", "PYTHONUTF8=1", "HOME=/", "TZ=UTC"}
)

func (c *wasiCall) strings(list []string) uint64 {
	at, text := c.arg(0), c.arg(1)
	for i, s := range list {
		c.putU32(at+4*uint64(i), text)
		copy(c.bytes(text, uint64(len(s)+1)), s+"\x00")
		text += uint64(len(s) + 1)
	}
	return success
}

func (c *wasiCall) sizes(list []string) uint64 {
	n := 0
	for _, s := range list {
		n += len(s) + 1
	}
	c.putU32(c.arg(0), uint64(len(list)))
	c.putU32(c.arg(1), uint64(n))
	return success
}

func (c *wasiCall) argsGet() uint64      { return c.strings(c.argv()) }
func (c *wasiCall) argsSizes() uint64    { return c.sizes(c.argv()) }
func (c *wasiCall) environGet() uint64   { return c.strings(guestEnviron) }
func (c *wasiCall) environSizes() uint64 { return c.sizes(guestEnviron) }

func (c *wasiCall) argv() []string {
	if c.args != nil {
		return c.args
	}
	return guestArgs
}

// clock answers the world's clock, whichever clock is asked: time stands still.
func (c *wasiCall) clock() uint64 {
	if c.parking && len(c.log) > 0 {
		c.park()
	}
	c.putU64(c.arg(2), binary.LittleEndian.Uint64(c.block()[blockNow:]))
	return success
}

// poll says that everything waited for has happened. Sleeping takes no time here.
// (subscription: 48 bytes, its token first; event: 32 bytes, token, error, kind)
func (c *wasiCall) poll() uint64 {
	in, out, n := c.arg(0), c.arg(1), c.arg(2)
	if n > 1<<10 {
		return invalid
	}
	for i := range n {
		sub := c.bytes(in+48*i, 48)
		event := c.bytes(out+32*i, 32)
		clear(event)
		copy(event, sub[:8])
		event[10] = sub[8]
	}
	c.putU32(c.arg(3), n)
	return success
}

// An open file is a node and a position in it, in the block: {node+1 u32, _, at u64}.
func (c *wasiCall) file(fd uint64) []byte {
	if fd < firstFile || fd >= firstFile+maxFiles {
		return nil
	}
	f := c.block()[blockFiles+16*(fd-firstFile):][:16]
	if n := binary.LittleEndian.Uint32(f); n == 0 || c.files == nil || uint64(n) > uint64(len(c.files.nodes)) {
		return nil
	}
	return f
}

// node finds what a file number stands for.
func (c *wasiCall) node(fd uint64) (int, bool) {
	if fd == dataFile && c.files != nil {
		return 0, true
	}
	f := c.file(fd)
	if f == nil {
		return 0, false
	}
	return int(binary.LittleEndian.Uint32(f)) - 1, true
}

// open opens a file or directory of data/ for reading.
// (dir, lookup flags, path, its length, open flags, rights, inherited rights, flags, result)
func (c *wasiCall) open() uint64 {
	const create, directory, exclusive, truncate = 1, 2, 4, 8
	i, errno := c.lookUp(c.arg(0), c.arg(2), c.arg(3))
	flags := c.arg(4)
	switch {
	case flags&(create|exclusive|truncate) != 0 || c.stack[5]&(1<<6) != 0 && errno == success && !c.files.nodes[i].dir: // fd_write
		return readOnly
	case errno != success:
		return errno
	case flags&directory != 0 && !c.files.nodes[i].dir:
		return notDir
	}
	table := c.block()[blockFiles:]
	for fd := range uint64(maxFiles) {
		f := table[16*fd:][:16]
		if binary.LittleEndian.Uint32(f) == 0 {
			clear(f)
			binary.LittleEndian.PutUint32(f, uint32(i)+1)
			c.putU32(c.arg(8), fd+firstFile)
			return success
		}
	}
	return tooMany
}

func (c *wasiCall) lookUp(dir, path, n uint64) (int, uint64) {
	from, ok := c.node(dir)
	if !ok {
		return 0, badFile
	}
	if !c.files.nodes[from].dir {
		return 0, notDir
	}
	if n > 4096 {
		return 0, notFound
	}
	i, ok := c.files.find(from, string(c.bytes(path, n)))
	if !ok {
		return 0, notFound
	}
	return i, success
}

func (c *wasiCall) close() uint64 {
	fd := c.arg(0)
	if fd <= dataFile {
		return success
	}
	f := c.file(fd)
	if f == nil {
		return badFile
	}
	clear(f)
	return success
}

// spread hands out the pieces of a list of buffers.
func (c *wasiCall) spread(list, n uint64, f func(b []byte) bool) {
	if n > 1<<10 {
		n = 1 << 10 // what is left is a short read or write
	}
	for i := range n {
		at := list + 8*i
		if !f(c.bytes(c.u32(at), c.u32(at+4))) || c.err != nil {
			return
		}
	}
}

// readAt fills a list of buffers from a node.
func (c *wasiCall) readAt(node int, at, list, n uint64) (read uint64) {
	data := c.files.nodes[node].data
	c.spread(list, n, func(b []byte) bool {
		if at >= uint64(len(data)) {
			return false
		}
		k := copy(b, data[at:])
		at, read = at+uint64(k), read+uint64(k)
		return k == len(b)
	})
	return read
}

func (c *wasiCall) read() uint64 {
	fd := c.arg(0)
	if fd == 0 { // standard input has nothing
		c.putU32(c.arg(3), 0)
		return success
	}
	f := c.file(fd)
	if f == nil {
		return badFile
	}
	node := int(binary.LittleEndian.Uint32(f)) - 1
	if c.files.nodes[node].dir {
		return isDir
	}
	at := binary.LittleEndian.Uint64(f[8:])
	n := c.readAt(node, at, c.arg(1), c.arg(2))
	binary.LittleEndian.PutUint64(f[8:], at+n)
	c.putU32(c.arg(3), n)
	return success
}

func (c *wasiCall) pread() uint64 {
	node, ok := c.node(c.arg(0))
	if !ok {
		return badFile
	}
	c.putU32(c.arg(4), c.readAt(node, c.stack[3], c.arg(1), c.arg(2)))
	return success
}

// write takes what is written to the standard streams for the log.
func (c *wasiCall) write() uint64 {
	fd := c.arg(0)
	if fd != 1 && fd != 2 {
		return badFile
	}
	var n uint64
	c.spread(c.arg(1), c.arg(2), func(b []byte) bool {
		c.logLine(b, false)
		n += uint64(len(b))
		return true
	})
	c.putU32(c.arg(3), n)
	return success
}

func (c *wasiCall) seek() uint64 {
	f := c.file(c.arg(0))
	if f == nil {
		return badFile
	}
	base := int64(0)
	switch whence := c.arg(2); whence {
	case 0:
	case 1:
		base = int64(binary.LittleEndian.Uint64(f[8:]))
	case 2:
		base = int64(len(c.files.nodes[binary.LittleEndian.Uint32(f)-1].data))
	default:
		return invalid
	}
	at := base + int64(c.stack[1])
	if at < 0 || at > 1<<40 {
		return invalid
	}
	binary.LittleEndian.PutUint64(f[8:], uint64(at))
	c.putU64(c.arg(3), uint64(at))
	return success
}

func (c *wasiCall) tell() uint64 {
	f := c.file(c.arg(0))
	if f == nil {
		return badFile
	}
	c.putU64(c.arg(1), binary.LittleEndian.Uint64(f[8:]))
	return success
}

// prestat tells of the one directory there is.
func (c *wasiCall) prestat() uint64 {
	if c.arg(0) != dataFile || c.files == nil {
		return badFile
	}
	c.putU32(c.arg(1), 0)
	c.putU32(c.arg(1)+4, uint64(len(dataDir)))
	return success
}

const dataDir = "/data"

func (c *wasiCall) prestatName() uint64 {
	if c.arg(0) != dataFile || c.files == nil {
		return badFile
	}
	copy(c.bytes(c.arg(1), min(c.arg(2), uint64(len(dataDir)))), dataDir)
	return success
}

// fdStat: {type u8, _, flags u16, _, rights u64, inherited rights u64}.
func (c *wasiCall) fdStat() uint64 {
	kind, ok := byte(fileTypeTTY), c.arg(0) < dataFile
	if node, open := c.node(c.arg(0)); open {
		kind, ok = c.fileType(node), true
	}
	if !ok {
		return badFile
	}
	b := c.bytes(c.arg(1), 24)
	clear(b)
	b[0] = kind
	for i := 8; i < len(b); i++ {
		b[i] = 0xff
	}
	return success
}

func (c *wasiCall) fileType(node int) byte {
	if c.files.nodes[node].dir {
		return fileTypeDir
	}
	return fileTypeReg
}

func (c *wasiCall) fdFileStat() uint64 {
	if c.arg(0) < dataFile {
		clear(c.bytes(c.arg(1), 64))
		c.bytes(c.arg(1), 64)[16] = fileTypeTTY
		return success
	}
	node, ok := c.node(c.arg(0))
	if !ok {
		return badFile
	}
	return c.stat(node, c.arg(1))
}

func (c *wasiCall) pathFileStat() uint64 {
	node, errno := c.lookUp(c.arg(0), c.arg(2), c.arg(3))
	if errno != success {
		return errno
	}
	return c.stat(node, c.arg(4))
}

// stat: {device, inode, type u8, links, size, three times}, eight bytes each.
func (c *wasiCall) stat(node int, at uint64) uint64 {
	b := c.bytes(at, 64)
	if c.err != nil {
		return invalid
	}
	clear(b)
	b[16], b[24] = c.fileType(node), 1
	binary.LittleEndian.PutUint64(b[8:], uint64(node)+1)
	binary.LittleEndian.PutUint64(b[32:], uint64(len(c.files.nodes[node].data)))
	return success
}

// readDir writes entries {next u64, inode u64, name length u32, type u32, name} from a
// cookie on, the last one cut where the buffer ends.
func (c *wasiCall) readDir() uint64 {
	node, ok := c.node(c.arg(0))
	if !ok {
		return badFile
	}
	if !c.files.nodes[node].dir {
		return notDir
	}
	buf := c.bytes(c.arg(1), c.arg(2))
	used := 0
	children := c.files.nodes[node].children
	for i := c.stack[3]; i < uint64(len(children)) && used < len(buf); i++ {
		child := &c.files.nodes[children[i]]
		entry := make([]byte, 24, 24+len(child.name()))
		binary.LittleEndian.PutUint64(entry, i+1)
		binary.LittleEndian.PutUint64(entry[8:], uint64(children[i])+1)
		binary.LittleEndian.PutUint32(entry[16:], uint32(len(child.name())))
		entry[20] = c.fileType(children[i])
		used += copy(buf[used:], append(entry, child.name()...))
	}
	c.putU32(c.arg(4), uint64(used))
	return success
}
