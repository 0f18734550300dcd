package sandbox

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/astra-arenas/astra"
)

const (
	wasmPage = 64 << 10
	// slotSize is the address space of one episode, and so the ceiling of Limits.Memory.
	slotSize = 64 << 20
)

// A run is a range of bytes of a memory, whole pages long.
type run struct{ start, end int }

// A memory is the linear memory of one episode. It has one user at a time.
type memory struct {
	buf []byte // what the guest may address; its length is the memory's size
	img *image // what it began as; nil if it began blank

	slot  int  // mapped only
	grown bool // mapped only: its tail is no longer the image's
}

// An image is a linear memory that no longer changes, from which memories begin.
type image struct {
	bytes []byte // read only

	fd int // mapped only: the file that slots map

	summed sync.Once
	digest [8]byte // see sum

	used  atomic.Uint64 // mapped only: when a memory began here last, by the pool's count
	ready atomic.Int64  // mapped only: len(idle)

	mu      sync.Mutex
	idle    []*memory // mapped only: slots that hold the image's bytes
	out     int       // memories that began here and are in use
	dropped bool
}

// memories is where linear memories come from. It is safe for concurrent use.
type memories interface {
	// blank returns a memory of n zero bytes.
	blank(n int) (*memory, error)
	// freeze makes an image of what a memory holds.
	freeze(*memory) (*image, error)
	// begin returns a memory that holds an image's bytes.
	begin(*image) (*memory, error)
	// clone returns a copy of a memory that began as an image. Clones of one memory
	// may be made at once.
	clone(*memory) (*memory, error)
	// rest writes down what a memory that began as an image has changed of it.
	rest(*memory) []byte
	// grow makes a memory n bytes long.
	grow(m *memory, n int) error
	// release takes a memory back.
	release(*memory)
	// drop gives an image up; memories that began as it may be in use still.
	drop(*image)
	// close gives everything up as soon as the last memory is released.
	close()
	// String names the way, for people.
	String() string
}

// A copied is the portable way: memories are Go slices, and every start copies the image.
type copied struct{}

func (copied) blank(n int) (*memory, error) { return &memory{buf: make([]byte, n)}, nil }

func (copied) freeze(m *memory) (*image, error) {
	return &image{bytes: append([]byte(nil), m.buf...)}, nil
}

func (copied) begin(img *image) (*memory, error) {
	return &memory{buf: append([]byte(nil), img.bytes...), img: img}, nil
}

func (copied) clone(m *memory) (*memory, error) {
	return &memory{buf: append([]byte(nil), m.buf...), img: m.img}, nil
}

func (copied) grow(m *memory, n int) error {
	m.buf = append(make([]byte, 0, n), m.buf...)[:n]
	return nil
}

func (copied) rest(m *memory) []byte { return rest(m, []run{{0, len(m.buf)}}) }

func (copied) release(m *memory) { m.buf = nil }
func (copied) drop(*image)       {}
func (copied) close()            {}
func (copied) String() string    { return "copied" }

// errNoSlot says that no more episodes fit, and what to change.
func errNoSlot(slots int, err error) error {
	return fmt.Errorf("%w: no memory for another episode beside %d (%w): each takes one mapping of 64 MiB address space; raise the sysctl vm.max_map_count or the limit on address space", astra.ErrFull, slots, err)
}
