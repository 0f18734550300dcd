package sandbox

import (
	"bytes"
	"encoding/json"
	"hash/crc32"
	"testing"

	"github.com/klauspost/compress/s2"

	"github.com/astra-arenas/astra/gateway"
)

// TestRest puts worlds away at every step of a history and wakes them in another process's
// stead: a program of its own, loaded from the same arena.
func TestRest(t *testing.T) {
	for way, o := range ways {
		t.Run(way, func(t *testing.T) {
			a := testArena(t, shop, shopTools...)
			p, q := load(t, newTestRuntime(t, o), a), load(t, newTestRuntime(t, o), a)
			parent := start(t, p, 3)
			for step := range 6 {
				snapshot, err := parent.(gateway.Rester).Rest()
				if err != nil || len(snapshot) > 64<<10 && step < 5 {
					t.Fatalf("step %d: %d bytes, %v", step, len(snapshot), err)
				}
				woken, err := q.Resume(t.Context(), snapshot)
				if err != nil {
					t.Fatal(err)
				}
				again, err := woken.(gateway.Rester).Rest()
				if err != nil || !bytes.Equal(again, snapshot) {
					t.Errorf("step %d: put away again it is %d bytes, and was %d (%v)", step, len(again), len(snapshot), err)
				}
				twin, err := parent.Fork(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if got, want := history(t, woken, 5), history(t, twin, 5); got != want {
					t.Errorf("step %d: woken it says %s, want %s", step, got, want)
				}
				woken.Close()
				twin.Close()
				call(t, parent, "create_order", `{"user":"u1","total":1}`)
				call(t, parent, "rand", `{}`)
				if step == 4 { // the next is one that grew
					call(t, parent, "run", `{"code":"globalThis.big = new Uint8Array(5 << 20).fill(7); 1"}`)
				}
			}
		})
	}
}

// TestRestRefuses has snapshots of other arenas, and damaged ones.
func TestRestRefuses(t *testing.T) {
	rt := newTestRuntime(t, Options{})
	p, q := load(t, rt, testArena(t, shop, shopTools...)), load(t, rt, testArena(t, shop+"let more = 1;", shopTools...))
	i := start(t, p, 1)
	snapshot, err := i.(gateway.Rester).Rest()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := q.Resume(t.Context(), snapshot); err == nil {
		t.Error("a world of another arena was taken")
	}
	for at := range snapshot {
		bad := bytes.Clone(snapshot)
		bad[at] ^= 0x10
		if _, err := p.Resume(t.Context(), bad); err == nil {
			t.Fatalf("byte %d was changed, and nobody noticed", at)
		}
		if _, err := p.Resume(t.Context(), snapshot[:at]); err == nil {
			t.Fatalf("the first %d bytes were taken for all", at)
		}
	}
	i.Close()
	if _, err := i.(gateway.Rester).Rest(); err == nil {
		t.Error("a closed world was put away")
	}
}

// FuzzSnapshot gives snapshots a right checksum and anything else: they make a world of
// their own or none.
func FuzzSnapshot(f *testing.F) {
	p := load(f, newTestRuntime(f, Options{}), testArena(f, shop, shopTools...))
	i := start(f, p, 1)
	snapshot, err := i.(gateway.Rester).Rest()
	if err != nil {
		f.Fatal(err)
	}
	lines, err := s2.Decode(nil, snapshot[8:len(snapshot)-4])
	if err != nil {
		f.Fatal(err)
	}
	f.Add(lines, true)
	f.Add([]byte{0x80, 0x80, 0x80, 0x20}, true)
	f.Add([]byte{0x80, 0x80, 0x5c, 0xff, 0xff, 3, 1, 0}, true)
	f.Add(snapshot[8:len(snapshot)-4], false)
	sum := p.image.sum()
	f.Fuzz(func(t *testing.T, body []byte, pack bool) {
		if pack {
			body = s2.Encode(nil, body)
		}
		b := append(sum[:len(sum):len(sum)], body...)
		crc := crc32.ChecksumIEEE(b)
		b = append(b, byte(crc), byte(crc>>8), byte(crc>>16), byte(crc>>24))
		woken, err := p.Resume(t.Context(), b)
		if err == nil {
			if _, err := woken.Call(t.Context(), "nothing", json.RawMessage(`{}`)); err != nil {
				t.Log(err)
			}
			woken.Close()
		}
		if got := call(t, start(t, p, 1), "create_order", `{"user":"u1"}`); got != `{"id":"o0","user":"u1"}` {
			t.Fatalf("a fresh world answers %s", got)
		}
	})
}

func BenchmarkRest(b *testing.B) {
	p := benchProgram(b, shop)
	i := start(b, p, 1)
	for range 5 {
		mustCall(b, i, "create_order", json.RawMessage(`{"user":"u1","total":1}`))
	}
	snapshot, err := i.(gateway.Rester).Rest()
	if err != nil {
		b.Fatal(err)
	}
	b.Run("rest", func(b *testing.B) {
		for b.Loop() {
			if _, err := i.(gateway.Rester).Rest(); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(len(snapshot)), "bytes")
	})
	b.Run("wake, close", func(b *testing.B) {
		for b.Loop() {
			w, err := p.Resume(b.Context(), snapshot)
			if err != nil {
				b.Fatal(err)
			}
			w.Close()
		}
	})
}
