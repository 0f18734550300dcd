package sandbox

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"sync"

	"github.com/klauspost/compress/s2"

	"github.com/astra-arenas/astra/gateway"
)

// restLine is the unit in which a world is compared with its image. A page of QuickJS's
// heap that was written differs in one or two of its 64 lines; smaller units save bytes
// and cost as many in the numbers that say where they are.
const restLine = 64

// errSnapshot says that a snapshot is not one of this program's worlds.
var errSnapshot = errors.New("sandbox: the snapshot is not of this arena and engine, or it is damaged")

// sum is what a snapshot knows its image by. Equal arenas on equal engines have equal
// images, in whichever process.
func (img *image) sum() [8]byte {
	img.summed.Do(func() {
		h := sha256.Sum256(img.bytes)
		copy(img.digest[:], h[:])
	})
	return img.digest
}

// restBuffers are what rest writes into before it packs: some ten KiB.
var restBuffers = sync.Pool{New: func() any { return new([]byte) }}

// rest writes down what a memory has changed of its image: the image's sum, then packed by
// S2 the memory's size and runs of lines {how many are as before, how many follow, their
// bytes}, then a CRC-32. Packing halves it for some microseconds.
func rest(m *memory, dirty []run) []byte {
	lines, packed := restBuffers.Get().(*[]byte), restBuffers.Get().(*[]byte)
	defer restBuffers.Put(lines)
	defer restBuffers.Put(packed)
	*lines = appendLines((*lines)[:0], m, dirty)
	*packed = s2.Encode((*packed)[:cap(*packed)], *lines)
	sum := m.img.sum()
	out := make([]byte, 0, len(sum)+len(*packed)+4)
	out = append(append(out, sum[:]...), *packed...)
	return binary.LittleEndian.AppendUint32(out, crc32.ChecksumIEEE(out))
}

func appendLines(b []byte, m *memory, dirty []run) []byte {
	b = binary.AppendUvarint(b, uint64(len(m.buf)))
	last := 0 // line after the last run
	for _, r := range dirty {
		for line, end := r.start/restLine, r.end/restLine; line < end; line++ {
			from := line
			for line < end && m.changed(line) {
				line++
			}
			if line > from {
				b = binary.AppendUvarint(b, uint64(from-last))
				b = binary.AppendUvarint(b, uint64(line-from))
				b = append(b, m.buf[from*restLine:line*restLine]...)
				last = line
			}
		}
	}
	return b
}

var zeroLine [restLine]byte

// changed compares a line with the image's, beyond which there were zeros.
func (m *memory) changed(line int) bool {
	at := line * restLine
	was := &zeroLine
	if at < len(m.img.bytes) {
		was = (*[restLine]byte)(m.img.bytes[at:])
	}
	return *(*[restLine]byte)(m.buf[at:]) != *was
}

// wake makes a memory of an image and what rest wrote down.
func wake(from memories, img *image, b []byte) (*memory, error) {
	sum := img.sum()
	body := len(b) - 4
	if body < len(sum) || string(b[:len(sum)]) != string(sum[:]) || crc32.ChecksumIEEE(b[:body]) != binary.LittleEndian.Uint32(b[body:]) {
		return nil, errSnapshot
	}
	packed := b[len(sum):body]
	if n, err := s2.DecodedLen(packed); err != nil || n > 2*slotSize {
		return nil, errSnapshot
	}
	buffer := restBuffers.Get().(*[]byte)
	defer restBuffers.Put(buffer)
	lines, err := s2.Decode((*buffer)[:cap(*buffer)], packed)
	if err != nil {
		return nil, errSnapshot
	}
	*buffer = lines
	r := &restReader{b: lines}
	size := r.number(slotSize)
	if size < len(img.bytes) || size%wasmPage != 0 {
		return nil, errSnapshot
	}
	m, err := from.begin(img)
	if err != nil {
		return nil, err
	}
	if size > len(m.buf) {
		err = from.grow(m, size)
	}
	if err == nil {
		err = r.fill(m)
	}
	if err != nil {
		from.release(m)
		return nil, err
	}
	return m, nil
}

// A restReader walks a snapshot. After its first error everything is zero.
type restReader struct {
	b   []byte
	bad bool
}

func (r *restReader) number(most int) int {
	v, n := binary.Uvarint(r.b)
	if n <= 0 || v > uint64(most) {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return int(v)
}

// fill copies the lines that were changed.
func (r *restReader) fill(m *memory) error {
	lines, line := len(m.buf)/restLine, 0
	for len(r.b) > 0 && !r.bad {
		line += r.number(lines)
		n := r.number(lines)
		if r.bad || n == 0 || line+n > lines || n*restLine > len(r.b) {
			return errSnapshot
		}
		copy(m.buf[line*restLine:], r.b[:n*restLine])
		line, r.b = line+n, r.b[n*restLine:]
	}
	if r.bad {
		return errSnapshot
	}
	return nil
}

// Rest returns what the world has changed of its arena's image, most often a few KiB. The
// world stays as it is.
func (i *instance) Rest() ([]byte, error) {
	if err := i.usable(); err != nil {
		return nil, err
	}
	return i.prog.rest(i.mem), nil
}

// Resume makes a world again as it was when Rest was called on it, in this or another
// process.
func (p *program) Resume(ctx context.Context, snapshot []byte) (gateway.Instance, error) {
	if p.closed.Load() {
		return nil, errClosed
	}
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	m, err := wake(p.memories, p.image, snapshot)
	if err != nil {
		return nil, fmt.Errorf("resume: %w", err)
	}
	return &instance{prog: p, mem: m}, nil
}

var (
	_ gateway.Rester  = (*instance)(nil)
	_ gateway.Resumer = (*program)(nil)
)
