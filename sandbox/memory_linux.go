package sandbox

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	osPage = 4096
	// chunkSlots is how many slots one reservation holds (16 GiB of address space).
	chunkSlots = 256
	// keepPages is how many private pages of a released slot are put right by copying.
	// Beyond it the kernel's way, dropping them, costs less than the copies save.
	keepPages = 96
	// keepIdle is how many released slots all images together keep ready: some 100 KiB
	// of private pages each.
	keepIdle = 1024
	// spareMaps is left of vm.max_map_count to Go, wazero and the rest of the process.
	spareMaps = 4096
)

// A mapped is the fast way: an image is a file in memory, and a memory is a slot of
// address space that maps all of it privately, so that starting copies nothing.
//
// A slot is one mapping, whatever the episode does; only memory.grow adds a second one,
// for the tail. There are no guard pages: the compiled code checks bounds. A released
// slot is given the image's bytes back by copying them over its private pages, and the
// next memory of that image takes it without a page fault.
type mapped struct {
	private func([]byte, []run) ([]run, bool) // finds private pages; nil if the kernel cannot tell
	most    int                               // slots

	idle   atomic.Int64  // slots that images keep ready
	begins atomic.Uint64 // memories begun so far: a clock

	imagesMu sync.Mutex
	images   []*image // those that are not dropped

	mu     sync.Mutex
	chunks [][]byte
	free   []int // slots that map nothing
	out    int   // slots in use or idle
	closed bool
}

// newMapped returns the fast way, or why this machine does not have it.
func newMapped(most int) (memories, error) {
	if os.Getpagesize() != osPage {
		return nil, fmt.Errorf("pages of %d bytes", os.Getpagesize())
	}
	if most == 0 {
		most = max(maxMaps()-spareMaps, chunkSlots)
	}
	p := &mapped{most: most}
	fd, err := unix.MemfdCreate("astra-probe", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("no files in memory: %w", err)
	}
	unix.Close(fd)
	p.private, err = findScanner()
	if err != nil {
		p.private = nil // slower, as right: released slots are dropped, forks compare
	}
	return p, nil
}

// maxMaps is how many mappings the kernel allows a process.
func maxMaps() int {
	b, _ := os.ReadFile("/proc/sys/vm/max_map_count")
	n, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return 65530 // the kernel's default
	}
	return n
}

func (p *mapped) String() string { return "mapped" }

const readWrite = unix.PROT_READ | unix.PROT_WRITE

// mapOver maps fd, or nothing (-1), privately over b.
func mapOver(b []byte, prot, fd int) error {
	flags := unix.MAP_PRIVATE | unix.MAP_FIXED | unix.MAP_NORESERVE
	if fd < 0 {
		flags |= unix.MAP_ANON
	}
	_, err := unix.MmapPtr(fd, 0, unsafe.Pointer(unsafe.SliceData(b)), uintptr(len(b)), prot, flags)
	return err
}

// reserve adds a chunk of slots. The caller holds mu.
func (p *mapped) reserve() error {
	have := len(p.chunks) * chunkSlots
	n := min(chunkSlots, p.most-have)
	if n <= 0 {
		return errNoSlot(have, unix.ENOMEM)
	}
	addr, err := unix.MmapPtr(-1, 0, nil, uintptr(n)*slotSize, unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	if err != nil {
		return errNoSlot(have, err)
	}
	p.chunks = append(p.chunks, unsafe.Slice((*byte)(addr), n*slotSize))
	for i := n - 1; i >= 0; i-- {
		p.free = append(p.free, have+i)
	}
	return nil
}

// take maps fd, or zeros (-1), over a free slot and returns the first n bytes of it.
func (p *mapped) take(fd, n int) (*memory, error) {
	slot, b, err := p.takeSlot()
	if err != nil {
		return nil, err
	}
	if err := mapOver(b[:slotSize], readWrite, fd); err != nil {
		p.giveSlot(slot)
		return nil, errNoSlot(p.inUse(), err)
	}
	return &memory{buf: b[:n:slotSize], slot: slot}, nil
}

func (p *mapped) inUse() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out
}

func (p *mapped) takeSlot() (int, []byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return 0, nil, errClosed
	}
	if len(p.free) == 0 {
		if err := p.reserve(); err != nil {
			return 0, nil, err
		}
	}
	slot := p.free[len(p.free)-1]
	p.free = p.free[:len(p.free)-1]
	p.out++
	chunk, at := p.chunks[slot/chunkSlots], slot%chunkSlots*slotSize
	return slot, chunk[at : at+slotSize : at+slotSize], nil
}

// giveSlot takes back a slot that maps nothing, and with the last one of a closed pool
// the whole reservation.
func (p *mapped) giveSlot(slot int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free = append(p.free, slot)
	p.out--
	p.unmapIfDone()
}

func (p *mapped) unmapIfDone() {
	if !p.closed || p.out > 0 {
		return
	}
	for _, c := range p.chunks {
		unix.MunmapPtr(unsafe.Pointer(unsafe.SliceData(c)), uintptr(len(c)))
	}
	p.chunks, p.free = nil, nil
}

func (p *mapped) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.unmapIfDone()
}

func (p *mapped) blank(n int) (*memory, error) { return p.take(-1, n) }

// freeze writes the pages that are not zero to a file in memory; the rest stay holes.
func (p *mapped) freeze(m *memory) (*image, error) {
	fd, err := unix.MemfdCreate("astra-image", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("image: %w", err)
	}
	img := &image{fd: fd}
	if err := img.write(m.buf); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("image: %w", err)
	}
	p.imagesMu.Lock()
	defer p.imagesMu.Unlock()
	p.images = append(p.images, img)
	return img, nil
}

func (img *image) write(mem []byte) error {
	if err := unix.Ftruncate(img.fd, slotSize); err != nil {
		return err
	}
	var zero [osPage]byte
	for at := 0; at < len(mem); at += osPage {
		page := mem[at : at+osPage]
		if string(page) == string(zero[:]) {
			continue
		}
		if n, err := unix.Pwrite(img.fd, page, int64(at)); err != nil || n != osPage {
			return fmt.Errorf("%d bytes of a page written: %w", n, err)
		}
	}
	var err error
	img.bytes, err = unix.Mmap(img.fd, 0, len(mem), unix.PROT_READ, unix.MAP_SHARED)
	return err
}

func (p *mapped) begin(img *image) (*memory, error) {
	img.used.Store(p.begins.Add(1))
	img.mu.Lock()
	img.out++
	if n := len(img.idle); n > 0 {
		m := img.idle[n-1]
		img.idle = img.idle[:n-1]
		img.ready.Add(-1)
		img.mu.Unlock()
		p.idle.Add(-1)
		return m, nil
	}
	img.mu.Unlock()
	m, err := p.take(img.fd, len(img.bytes))
	if err != nil {
		p.makeRoom(img)
		m, err = p.take(img.fd, len(img.bytes))
	}
	if err != nil {
		img.left()
		return nil, err
	}
	m.img = img
	return m, nil
}

// left counts a memory out, and frees a dropped image with its last one.
func (img *image) left() {
	img.mu.Lock()
	defer img.mu.Unlock()
	img.out--
	img.freeIfDone()
}

func (img *image) freeIfDone() {
	if img.dropped && img.out == 0 && img.bytes != nil {
		unix.Munmap(img.bytes)
		unix.Close(img.fd)
		img.bytes = nil
	}
}

func (p *mapped) drop(img *image) {
	p.imagesMu.Lock()
	p.images = slices.DeleteFunc(p.images, func(i *image) bool { return i == img })
	p.imagesMu.Unlock()
	img.mu.Lock()
	idle := img.idle
	img.idle, img.dropped = nil, true
	img.ready.Store(0)
	img.freeIfDone()
	img.mu.Unlock()
	p.idle.Add(-int64(len(idle)))
	for _, m := range idle {
		p.unmap(m)
	}
}

// giveWay is how many ready slots one image loses at once to another.
const giveWay = 64

// makeRoom takes ready slots from the image that was used longest ago, if that is longer
// ago than img: what is ready should be so for those who come.
func (p *mapped) makeRoom(img *image) {
	p.imagesMu.Lock()
	victim := img
	for _, i := range p.images {
		if i.ready.Load() > 0 && i.used.Load() < victim.used.Load() {
			victim = i
		}
	}
	p.imagesMu.Unlock()
	if victim == img {
		return
	}
	victim.mu.Lock()
	keep := max(len(victim.idle)-giveWay, 0)
	taken := slices.Clone(victim.idle[keep:])
	victim.idle = victim.idle[:keep]
	victim.ready.Store(int64(keep))
	victim.mu.Unlock()
	p.idle.Add(-int64(len(taken)))
	for _, m := range taken {
		p.unmap(m)
	}
}

// unmap makes a slot map nothing and gives it back. A slot that the kernel will not
// unmap is not used again.
func (p *mapped) unmap(m *memory) {
	slot := m.buf[:slotSize]
	m.buf = nil
	if mapOver(slot, unix.PROT_NONE, -1) == nil {
		p.giveSlot(m.slot)
	}
}

// grow covers the tail of the slot, where the image's file has holes, with memory of
// its own.
func (p *mapped) grow(m *memory, n int) error {
	if m.img != nil && !m.grown {
		if err := mapOver(m.buf[len(m.img.bytes):slotSize], readWrite, -1); err != nil {
			return errNoSlot(p.inUse(), err)
		}
		m.grown = true
	}
	m.buf = m.buf[:n]
	return nil
}

func (p *mapped) release(m *memory) {
	img := m.img
	if img == nil {
		p.unmap(m)
		return
	}
	fresh := p.restore(m)
	if p.idle.Load() >= keepIdle {
		p.makeRoom(img)
	}
	img.mu.Lock()
	if fresh && !img.dropped && p.idle.Load() < keepIdle {
		p.idle.Add(1)
		img.ready.Add(1)
		// Another struct: the old one may still be in the hands of who released it.
		img.idle = append(img.idle, &memory{buf: m.buf, img: img, slot: m.slot})
		m.buf = nil
	}
	img.mu.Unlock()
	if m.buf != nil {
		p.unmap(m)
	}
	img.left()
}

// runBuffers are what a scan writes its runs into: on the stack they would not stay.
var runBuffers = sync.Pool{New: func() any {
	b := make([]run, 0, 1024)
	return &b
}}

// restore gives a slot the bytes of its image again, and reports whether it could.
func (p *mapped) restore(m *memory) bool {
	size := len(m.img.bytes)
	if m.grown {
		m.buf, m.grown = m.buf[:size], false
		return mapOver(m.buf[:slotSize], readWrite, m.img.fd) == nil
	}
	found := runBuffers.Get().(*[]run)
	defer runBuffers.Put(found)
	runs, ok := p.scan(m.buf, (*found)[:0:keepPages+1])
	pages := 0
	for _, r := range runs {
		pages += (r.end - r.start) / osPage
	}
	if !ok || pages > keepPages {
		return unix.Madvise(m.buf, unix.MADV_DONTNEED) == nil
	}
	for _, r := range runs {
		copy(m.buf[r.start:r.end], m.img.bytes[r.start:r.end])
	}
	return true
}

func (p *mapped) scan(b []byte, found []run) ([]run, bool) {
	if p.private == nil {
		return nil, false
	}
	return p.private(b, found)
}

// clone copies the private pages of a memory over a fresh one.
func (p *mapped) clone(m *memory) (*memory, error) {
	c, err := p.begin(m.img)
	if err != nil {
		return nil, err
	}
	if len(m.buf) > len(c.buf) {
		if err := p.grow(c, len(m.buf)); err != nil {
			p.release(c)
			return nil, err
		}
	}
	found := runBuffers.Get().(*[]run)
	defer runBuffers.Put(found)
	for _, r := range p.dirty(m, *found) {
		copy(c.buf[r.start:r.end], m.buf[r.start:r.end])
	}
	return c, nil
}

func (p *mapped) rest(m *memory) []byte {
	found := runBuffers.Get().(*[]run)
	defer runBuffers.Put(found)
	return rest(m, p.dirty(m, *found))
}

// dirty finds the pages that a memory no longer shares with its image.
func (p *mapped) dirty(m *memory, found []run) []run {
	runs, ok := p.scan(m.buf, found)
	if !ok {
		runs = m.differing(found)
	}
	return runs
}

// room is what the kernel's bound on mappings allows: each memory is one.
func (p *mapped) room() (int, string) {
	return p.most, "each takes a mapping: raise the sysctl vm.max_map_count"
}

// differing compares a memory with its image, page by page: slow, but needs no help.
func (m *memory) differing(runs []run) []run {
	var zero [osPage]byte
	for at := 0; at < len(m.buf); at += osPage {
		was := zero[:]
		if at < len(m.img.bytes) {
			was = m.img.bytes[at : at+osPage]
		}
		if string(m.buf[at:at+osPage]) != string(was) {
			runs = append(runs, run{at, at + osPage})
		}
	}
	return runs
}
