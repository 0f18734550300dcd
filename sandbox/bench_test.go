package sandbox

import (
	"encoding/json"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/astra-arenas/astra/gateway"
)

func benchProgram(b *testing.B, code string) *program {
	a := testArena(b, code, shopTools...)
	a.Limits.Fuel = 100_000_000
	return load(b, newTestRuntime(b, Options{}), a)
}

// withoutSetup is the shop with its users in the image.
func withoutSetup() string {
	return strings.Replace(shop, "export function setup", "function fill", 1) + "fill({users: 500});"
}

var benchUser, benchOrder = json.RawMessage(`{"id":"u42"}`), json.RawMessage(`{"user":"u1","total":5}`)

func mustCall(b *testing.B, i gateway.Instance, tool string, args json.RawMessage) {
	r, err := i.Call(b.Context(), tool, args)
	if err != nil || !r.OK() {
		b.Fatalf("%s: %s %v", tool, show(r), err)
	}
}

func BenchmarkCall(b *testing.B) {
	i := start(b, benchProgram(b, withoutSetup()), 1)
	for name, c := range map[string]struct {
		tool string
		args json.RawMessage
	}{
		"read": {"get_user", benchUser}, "nothing": {"nothing", json.RawMessage(`{}`)}, "async": {"get_later", benchUser},
		"throw": {"get_user", json.RawMessage(`{"id":"x"}`)}, "random": {"rand", json.RawMessage(`{}`)},
		"loop100k": {"spin", json.RawMessage(`{"n":100000}`)},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := i.Call(b.Context(), c.tool, c.args); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkCallParallel(b *testing.B) {
	p := benchProgram(b, withoutSetup())
	b.RunParallel(func(pb *testing.PB) {
		i, _ := p.Start(b.Context(), gateway.World{Seed: 1, Now: testNow})
		defer i.Close()
		for pb.Next() {
			mustCall(b, i, "get_user", benchUser)
		}
	})
}

// BenchmarkStart starts and closes, in slots that are recycled.
func BenchmarkStart(b *testing.B) {
	p := benchProgram(b, withoutSetup())
	for b.Loop() {
		i, err := p.Start(b.Context(), gateway.World{Seed: 1, Now: testNow})
		if err != nil {
			b.Fatal(err)
		}
		i.Close()
	}
}

func BenchmarkStartCallClose(b *testing.B) {
	p := benchProgram(b, withoutSetup())
	var seed atomic.Int64
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			i, err := p.Start(b.Context(), gateway.World{Seed: seed.Add(1), Now: testNow})
			if err != nil {
				b.Fatal(err)
			}
			mustCall(b, i, "create_order", benchOrder)
			i.Close()
		}
	})
}

// BenchmarkStartSetup is a world whose setup makes 500 users.
func BenchmarkStartSetup(b *testing.B) {
	p := benchProgram(b, shop)
	for b.Loop() {
		i, err := p.Start(b.Context(), gateway.World{Seed: 1, Now: testNow, Scenario: json.RawMessage(`{"users":500}`)})
		if err != nil {
			b.Fatal(err)
		}
		i.Close()
	}
}

func BenchmarkFork(b *testing.B) {
	i := start(b, benchProgram(b, withoutSetup()), 1)
	for range 5 {
		mustCall(b, i, "create_order", benchOrder)
	}
	for b.Loop() {
		f, err := i.Fork(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		f.Close()
	}
}

func BenchmarkState(b *testing.B) {
	i := start(b, benchProgram(b, withoutSetup()), 1)
	mustCall(b, i, "create_order", benchOrder)
	for b.Loop() {
		if _, err := i.State(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkLive keeps 2,000 episodes alive, two calls each, and reports what one takes.
func BenchmarkLive(b *testing.B) {
	const n = 2000
	rt := newTestRuntime(b, Options{})
	for b.Loop() {
		p, err := rt.Load(b.Context(), testArena(b, withoutSetup(), shopTools...)) // anew, for slots that were never written
		if err != nil {
			b.Fatal(err)
		}
		live := make([]gateway.Instance, 0, n)
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		dirty := privateDirty(b)
		for k := range n {
			i, err := p.Start(b.Context(), gateway.World{Seed: int64(k), Now: testNow})
			if err != nil {
				b.Fatal(err)
			}
			mustCall(b, i, "create_order", benchOrder)
			mustCall(b, i, "get_user", benchUser)
			live = append(live, i)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(privateDirty(b)-dirty)/n/1024, "dirtyKiB/episode")
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/n/1024, "heapKiB/episode")
		for _, i := range live {
			i.Close()
		}
		p.Close()
	}
}

// privateDirty is the process's private memory in bytes, as Linux counts it.
func privateDirty(b *testing.B) int64 {
	text, err := os.ReadFile("/proc/self/smaps_rollup")
	if err != nil {
		b.Skip("only Linux counts private memory: ", err)
	}
	n, err := strconv.ParseInt(string(regexp.MustCompile(`Private_Dirty: *(\d+) kB`).FindSubmatch(text)[1]), 10, 64)
	if err != nil {
		b.Fatal(err)
	}
	return n << 10
}
