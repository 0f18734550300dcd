package store

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
)

func benchStore(b *testing.B) *Store {
	s, err := Open(b.TempDir(), nil)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	return s
}

// BenchmarkAppend measures steps a second that many episodes append at once.
func BenchmarkAppend(b *testing.B) {
	for _, sync := range []gateway.Sync{gateway.Handed, gateway.Synced} {
		for _, workers := range []int{1, 64} {
			name := map[gateway.Sync]string{gateway.Handed: "handed", gateway.Synced: "synced"}[sync]
			b.Run(fmt.Sprintf("%s/%d", name, workers), func(b *testing.B) { benchAppend(b, sync, workers) })
		}
	}
}

func benchAppend(b *testing.B, mode gateway.Sync, workers int) {
	s := benchStore(b)
	ev := called(1)
	for w := range workers {
		mustAppend(b, s, id(w), gateway.Handed, opened(id(w), w))
	}
	var left atomic.Int64
	left.Store(int64(b.N))
	b.ReportAllocs()
	b.ResetTimer()
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				if err := s.Append(b.Context(), id(w), mode, ev); err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "appends/s")
}

// BenchmarkEpisode is a whole episode as the gateway writes it: opened, five calls,
// submitted and scored, the first and the last two synced.
func BenchmarkEpisode(b *testing.B) {
	for _, workers := range []int{64, 256} {
		b.Run(fmt.Sprint(workers), func(b *testing.B) {
			s := benchStore(b)
			b.ReportAllocs()
			b.ResetTimer()
			playEpisodes(b, s, b.N, workers)
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "episodes/s")
		})
	}
}

func playEpisodes(t testing.TB, s *Store, n, workers int) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for i := next.Add(1); i <= int64(n); i = next.Add(1) {
				playEpisode(t, s, astra.NewEpisodeID())
			}
		})
	}
	wg.Wait()
}

func playEpisode(t testing.TB, s *Store, id astra.EpisodeID) {
	err := s.Append(t.Context(), id, gateway.Synced, opened(id, 0))
	for i := range 5 {
		if err == nil {
			err = s.Append(t.Context(), id, gateway.Handed, called(i+1))
		}
	}
	if err == nil {
		err = s.Append(t.Context(), id, gateway.Synced, submitted)
	}
	if err == nil {
		err = s.Append(t.Context(), id, gateway.Synced, scored)
	}
	if err != nil {
		t.Error(err)
	}
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
