package sandbox

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
)

// scanners are the ways of finding private pages, nil for none.
func scanners(t *testing.T) map[string]func([]byte, []run) ([]run, bool) {
	f, err := pagemap()
	if err != nil {
		t.Skip("this machine does not let a process read its page map: ", err)
	}
	return map[string]func([]byte, []run) ([]run, bool){
		"scan": func(b []byte, r []run) ([]run, bool) { return scanPages(f, b, r) },
		"read": func(b []byte, r []run) ([]run, bool) { return readPages(f, b, r) },
		"none": nil,
	}
}

// testImage is 64 pages, some of them holes.
func testImage(t *testing.T, p *mapped) *image {
	m, err := p.blank(64 * osPage)
	if err != nil {
		t.Fatal(err)
	}
	for at := range m.buf {
		if at/osPage%3 != 0 {
			m.buf[at] = byte(at * 7)
		}
	}
	img, err := p.freeze(m)
	if err != nil {
		t.Fatal(err)
	}
	p.release(m)
	return img
}

// TestRecycling writes at random, grows, clones and releases, and compares every memory
// that begins with its image.
func TestRecycling(t *testing.T) {
	for name, scan := range scanners(t) {
		t.Run(name, func(t *testing.T) {
			if scan != nil && !scannerWorks(scan) {
				t.Skip("this kernel does not have it")
			}
			ms, err := newMapped(0)
			if err != nil {
				t.Fatal(err)
			}
			p := ms.(*mapped)
			p.private = scan
			defer p.close()
			img := testImage(t, p)
			defer p.drop(img)
			r := rand.New(rand.NewPCG(1, 2))
			for range 300 {
				recycle(t, p, img, r)
			}
			if len(p.chunks) != 1 || img.out != 0 {
				t.Errorf("%d chunks of slots, %d memories out", len(p.chunks), img.out)
			}
		})
	}
}

func recycle(t *testing.T, p *mapped, img *image, r *rand.Rand) {
	m, err := p.begin(img)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(m.buf, img.bytes) {
		t.Fatal("a memory does not begin as its image")
	}
	if r.IntN(4) == 0 {
		if err := p.grow(m, (64+r.IntN(200))*osPage); err != nil {
			t.Fatal(err)
		}
	}
	for range r.IntN(40) {
		m.buf[r.IntN(len(m.buf))]++
	}
	c, err := p.clone(m)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(c.buf, m.buf) {
		t.Fatal("a clone differs")
	}
	p.release(m)
	p.release(c)
}

// TestReadySlotsGiveWay fills what may be kept ready with slots of one image: another that
// is used later gets its share, and room where there is none.
func TestReadySlotsGiveWay(t *testing.T) {
	ms, err := newMapped(keepIdle)
	if err != nil {
		t.Fatal(err)
	}
	p := ms.(*mapped)
	defer p.close()
	first, second := testImage(t, p), testImage(t, p)
	defer p.drop(first)
	defer p.drop(second)
	hold := func(img *image, n int) {
		var live []*memory
		for range n {
			m, err := p.begin(img)
			if err != nil {
				t.Fatal(err)
			}
			live = append(live, m)
		}
		for _, m := range live {
			p.release(m)
		}
	}
	hold(first, keepIdle)
	if first.ready.Load() != keepIdle {
		t.Fatalf("%d slots are ready", first.ready.Load())
	}
	hold(second, 100)
	hold(second, 100)
	if n := second.ready.Load(); n != 100 || first.ready.Load() >= keepIdle || p.idle.Load() > keepIdle {
		t.Errorf("%d slots of the second image are ready, %d of the first, %d in all", n, first.ready.Load(), p.idle.Load())
	}
}

func TestSlotsRunOut(t *testing.T) {
	rt := newTestRuntime(t, Options{Slots: 4})
	p := load(t, rt, testArena(t, shop, shopTools...))
	var live []gateway.Instance
	for {
		i, err := p.Start(t.Context(), gateway.World{})
		if err != nil {
			if !errors.Is(err, astra.ErrFull) || !strings.Contains(err.Error(), "vm.max_map_count") {
				t.Errorf("Start = %v, want ErrFull and what to do", err)
			}
			break
		}
		live = append(live, i)
	}
	if len(live) == 0 || len(live) > 4 {
		t.Fatalf("%d worlds in 4 slots", len(live))
	}
	live[0].Close()
	i, err := p.Start(t.Context(), gateway.World{})
	if err != nil {
		t.Fatalf("Start after a Close: %v", err)
	}
	i.Close()
	for _, i := range live {
		i.Close()
	}
}

// TestNothingIsKept counts mappings and files after arenas were loaded and dropped.
func TestNothingIsKept(t *testing.T) {
	rt := newTestRuntime(t, Options{})
	round := func() {
		p := load(t, rt, testArena(t, shop, shopTools...))
		i, j := start(t, p, 1), start(t, p, 2)
		call(t, i, "run", `{"code":"new Uint8Array(8 << 20).fill(1).length"}`)
		i.Close()
		p.Close()
		j.Close()
	}
	round()
	maps, files := count(t)
	for range 20 {
		round()
	}
	if m, f := count(t); m > maps+10 || f > files+2 {
		t.Errorf("%d mappings and %d files, from %d and %d", m, f, maps, files)
	}
}

func count(t *testing.T) (maps, files int) {
	b, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Count(b, []byte("\n")), len(entries)
}

func TestFallsBackToCopies(t *testing.T) {
	ctx := context.Background()
	rt, err := NewJavaScript(ctx, &Options{Copy: true, Executors: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer rt.Close()
	if rt.memories.String() != "copied" {
		t.Errorf("memory is %s", rt.memories)
	}
}
