package httpapi_test

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
)

// BenchmarkEpisodes opens, calls five times, submits and gets scored, durably, over HTTP
// with 64 clients on the same cores. The budget is 1,000 episodes/s.
func BenchmarkEpisodes(b *testing.B) {
	h := newHouse(b)
	b.SetParallelism(max(1, 64/runtime.GOMAXPROCS(0)))
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := h.overHTTP(b); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "episodes/s")
}

// TestManyAtOnce is for the race detector: trainers play side by side.
func TestManyAtOnce(t *testing.T) {
	h := newHouse(t)
	var g errgroup.Group
	for range 8 {
		g.Go(func() error {
			for range 5 {
				if err := h.overHTTP(t); err != nil {
					return err
				}
			}
			return nil
		})
	}
	must(t, g.Wait())
	if s := h.Stats(); s.Scored != 40 || s.Calls != 200 || s.Open != 0 {
		t.Errorf("stats = %+v, want 40 scored episodes of 5 calls", s)
	}
}

// overHTTP plays one whole episode; its reward is 1/3 because four calls are wasted.
func (h *house) overHTTP(t testing.TB) error {
	ctx, c := t.Context(), h.client
	o, err := c.Open(ctx, gateway.OpenRequest{Arena: "shop", Task: "count", Mode: astra.Train})
	if err != nil {
		return err
	}
	for range 5 {
		if _, err := c.Call(ctx, o.Episode, astra.Call{Tool: "stock", Args: json.RawMessage(`{"item":"nut"}`)}); err != nil {
			return err
		}
	}
	answer := "7"
	score, err := c.Submit(ctx, o.Episode, astra.Submitted{Answer: &answer})
	if err == nil && math.Abs(score.Reward-1.0/3) > 1e-9 {
		return fmt.Errorf("reward %v, want 1/3", score.Reward)
	}
	return err
}

// BenchmarkDoor is what the door itself costs a request: the guards, the route, JSON.
func BenchmarkDoor(b *testing.B) {
	h := newHouse(b)
	r := httptest.NewRequest(http.MethodGet, "http://localhost/v1/stats", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	b.ReportAllocs()
	for b.Loop() {
		w := httptest.NewRecorder()
		if h.handler.ServeHTTP(w, r); w.Code != http.StatusOK {
			b.Fatal(w.Code)
		}
	}
}
