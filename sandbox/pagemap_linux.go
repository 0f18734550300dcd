package sandbox

import (
	"encoding/binary"
	"errors"
	"os"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// pagemap is the process's own /proc/self/pagemap, opened once and never closed: it
// tells which pages of a private mapping have been written. Such a page is present or
// swapped out, and no longer the file's.
var pagemap = sync.OnceValues(func() (*os.File, error) { return os.Open("/proc/self/pagemap") })

// findScanner returns the best way this kernel has of finding private pages, after
// trying it.
func findScanner() (func([]byte, []run) ([]run, bool), error) {
	f, err := pagemap()
	if err != nil {
		return nil, err
	}
	for _, scan := range []func([]byte, []run) ([]run, bool){
		func(b []byte, runs []run) ([]run, bool) { return scanPages(f, b, runs) },
		func(b []byte, runs []run) ([]run, bool) { return readPages(f, b, runs) },
	} {
		if scannerWorks(scan) {
			return scan, nil
		}
	}
	return nil, errors.New("the kernel does not tell which pages are private")
}

// scannerWorks writes one page of four and looks whether just that one is found.
func scannerWorks(scan func([]byte, []run) ([]run, bool)) bool {
	fd, err := unix.MemfdCreate("astra-probe", unix.MFD_CLOEXEC)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	if unix.Ftruncate(fd, 4*osPage) != nil {
		return false
	}
	if _, err := unix.Pwrite(fd, make([]byte, 2*osPage), 0); err != nil {
		return false
	}
	b, err := unix.Mmap(fd, 0, 4*osPage, readWrite, unix.MAP_PRIVATE)
	if err != nil {
		return false
	}
	defer unix.Munmap(b)
	sum := b[0] + b[3*osPage] // read: present, but the file's
	b[osPage] = sum + 1
	runs, ok := scan(b, make([]run, 0, 4))
	return ok && len(runs) == 1 && runs[0] == run{osPage, 2 * osPage}
}

// pageRegion and scanArguments are the kernel's struct page_region and pm_scan_arg.
type pageRegion struct{ start, end, _ uint64 } // the last: its categories

type scanArguments struct {
	size, flags, start, end, walkEnd, vec, vecLen, maxPages, inverted, mask, anyOf, ret uint64
}

const (
	pagemapScan = 3<<30 | 96<<16 | 'f'<<8 | 16 // PAGEMAP_SCAN, since Linux 6.7
	pageFile    = 1 << 2
	pagePresent = 1 << 3
	pageSwapped = 1 << 4
	pageZero    = 1 << 5
)

// regions are what the kernel writes to. They come from the heap, for a stack may move
// while only a number says where they are.
var regions = sync.Pool{New: func() any { return new([1024]pageRegion) }}

// scanPages finds private pages with one ioctl. It gives up on more runs than found has
// room for: so fragmented a slot is cheaper to drop.
func scanPages(f *os.File, b []byte, found []run) ([]run, bool) {
	vec := regions.Get().(*[1024]pageRegion)
	defer regions.Put(vec)
	start := uint64(uintptr(unsafe.Pointer(unsafe.SliceData(b))))
	a := scanArguments{
		size: 96, start: start, end: start + uint64(len(b)),
		vec: uint64(uintptr(unsafe.Pointer(vec))), vecLen: uint64(min(cap(found), len(vec))),
		inverted: pageFile | pageZero, mask: pageFile | pageZero, anyOf: pagePresent | pageSwapped, ret: pagePresent,
	}
	n, _, e := unix.Syscall(unix.SYS_IOCTL, f.Fd(), pagemapScan, uintptr(unsafe.Pointer(&a)))
	if e != 0 || a.walkEnd != 0 && a.walkEnd < a.end {
		return nil, false
	}
	for _, r := range vec[:n] {
		found = append(found, run{int(r.start - start), int(r.end - start)})
	}
	return found, true
}

// readPages does the same on older kernels, reading eight bytes a page.
func readPages(f *os.File, b []byte, found []run) ([]run, bool) {
	words := make([]byte, len(b)/osPage*8)
	start := int64(uintptr(unsafe.Pointer(unsafe.SliceData(b))))
	if n, err := f.ReadAt(words, start/osPage*8); err != nil || n != len(words) {
		return nil, false
	}
	const fileOrShared, swappedOrPresent = 1 << 61, 3 << 62
	for at := 0; at < len(b); at += osPage {
		w := binary.NativeEndian.Uint64(words[at/osPage*8:])
		if w&swappedOrPresent == 0 || w&fileOrShared != 0 {
			continue
		}
		if n := len(found); n > 0 && found[n-1].end == at {
			found[n-1].end += osPage
		} else if n == cap(found) {
			return nil, false
		} else {
			found = append(found, run{at, at + osPage})
		}
	}
	return found, true
}
