package llm

import (
	"context"
	"errors"
	"math"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestMeter(t *testing.T) {
	cheap := 0.5
	meter := NewMeter(Prices{Input: 2, Output: 10, Cached: &cheap})
	fake := newFake(t, script(t, "HTTP 429", "five", "six", "HTTP 401"))
	m, err := NewOpenAI(Options{BaseURL: fake.URL + "/v1", Model: "m", APIKey: testAPIKey, Meter: meter})
	if err != nil {
		t.Fatal(err)
	}
	for _, purpose := range []string{"count", "count", "ask"} {
		r := fullRequest()
		r.Purpose = purpose
		if _, err := m.Complete(t.Context(), r); (err != nil) != (purpose == "ask") {
			t.Errorf("%s: %v", purpose, err)
		}
	}
	bills := meter.Bills()
	if len(bills) != 2 || bills[0] != (Bill{Purpose: "ask", Calls: 1, Failures: 1}) {
		t.Errorf("bills = %+v", bills)
	}
	if want := (Bill{Purpose: "count", Calls: 2, Retries: 1, Usage: Usage{Input: 120, Output: 80}, Cost: (120*2 + 80*10) / 1e6}); bills[1] != want {
		t.Errorf("bill = %+v, want %+v", bills[1], want)
	}
	if total := meter.Total(); total.Calls != 3 || total.Failures != 1 || total.Cost != bills[1].Cost {
		t.Errorf("total = %+v", total)
	}
	if got := meter.prices.Cost(Usage{Input: 1e6, Output: 1e5, Cached: 4e5}); math.Abs(got-(0.6*2+0.4*0.5+0.1*10)) > 1e-9 {
		t.Errorf("cost = %v", got)
	}
}

// quick answers at once, and reports how many attempts there are at a time.
func limited(l Limits, most *atomic.Int64) *caller {
	opts, _ := Options{Model: "m", Limiter: NewLimiter(l)}.ready("http://localhost")
	var now atomic.Int64
	return &caller{opts: opts, once: func(ctx context.Context, _ Request) (Reply, error) {
		most.Store(max(most.Load(), now.Add(1)))
		defer now.Add(-1)
		return Reply{Text: "ok", Usage: Usage{Input: 100, Output: 500}}, pause(ctx, time.Second)
	}}
}

func TestLimiter(t *testing.T) {
	for name, c := range map[string]struct {
		limits   Limits
		most     int64
		from, to time.Duration // that 40 attempts of a second take
	}{
		"none":       {Limits{}, 40, time.Second, 2 * time.Second},
		"concurrent": {Limits{Concurrent: 4}, 4, 10 * time.Second, 11 * time.Second},
		"requests":   {Limits{Requests: 60}, 40, 34 * time.Second, 37 * time.Second},                 // 6 at once, then one a second
		"tokens":     {Limits{Tokens: 6000, Concurrent: 1}, 1, 220 * time.Second, 245 * time.Second}, // 600 each, 100 a second
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var most atomic.Int64
				m := limited(c.limits, &most)
				began := time.Now()
				var all sync.WaitGroup
				for range 40 {
					all.Go(func() {
						if _, err := m.Complete(t.Context(), Request{Messages: []Message{{User, "Go."}}}); err != nil {
							t.Error(err)
						}
					})
				}
				all.Wait()
				if took := time.Since(began); took < c.from || took > c.to {
					t.Errorf("40 attempts took %s, want %s to %s", took, c.from, c.to)
				}
				if c.limits.Requests == 0 && most.Load() != c.most {
					t.Errorf("%d at a time, want %d", most.Load(), c.most)
				}
			})
		})
	}
}

// TestRetriesEnd: by number, and by time.
func TestRetriesEnd(t *testing.T) {
	for name, c := range map[string]struct {
		retries int
		after   time.Duration // what the server asks for
		asked   int
		most    time.Duration
	}{
		"number":       {5, -1, 6, 40 * time.Second},
		"time":         {1000, -1, 5, time.Minute},
		"the server's": {1000, 20 * time.Second, 3, time.Minute},
		"too far away": {1000, time.Hour, 2, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				opts, _ := Options{Model: "m", Retries: c.retries, Patience: time.Minute}.ready("http://localhost")
				asked := 0
				m := &caller{opts: opts, once: func(context.Context, Request) (Reply, error) {
					asked++
					return Reply{}, &statusError{http.StatusServiceUnavailable, "busy", c.after}
				}}
				began := time.Now()
				if _, err := m.Complete(t.Context(), fullRequest()); !errors.Is(err, ErrModel) || errors.Is(err, ErrRequest) {
					t.Errorf("error = %v", err)
				}
				if took := time.Since(began); took > c.most || asked < c.asked {
					t.Errorf("%d attempts in %s, want %d at least within %s", asked, took, c.asked, c.most)
				}
			})
		})
	}
}
