package httpapi_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"

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

func (h *house) overHTTP(b *testing.B) error {
	ctx, c := b.Context(), h.client
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
	_, err = c.Submit(ctx, o.Episode, astra.Submitted{Answer: &answer})
	return err
}

// BenchmarkDoor is what the door itself costs a request: the guards, the route, JSON.
func BenchmarkDoor(b *testing.B) {
	h := newHouse(b)
	o, err := h.Open(b.Context(), gateway.OpenRequest{Arena: "shop", Task: "count"})
	must(b, err)
	r := httptest.NewRequest(http.MethodGet, "http://localhost/", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	r.URL.Path = "/v1/episodes/" + string(o.Episode) + "/task"
	b.ReportAllocs()
	for b.Loop() {
		w := httptest.NewRecorder()
		if h.handler.ServeHTTP(w, r); w.Code != http.StatusOK {
			b.Fatal(w.Code)
		}
	}
}
