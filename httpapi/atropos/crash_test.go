package atropos

import (
	"context"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/astra-arenas/astra/httpapi/harness"
	"github.com/astra-arenas/astra/trainer/batches"
)

// A shelf keeps notes, and every state that it was in: where a process may have been killed.
type shelf struct {
	mu    sync.Mutex
	notes map[string][]byte
	past  []map[string][]byte
}

func (s *shelf) Note(_ context.Context, key string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.notes[key], nil
}

func (s *shelf) PutNote(_ context.Context, key string, value []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.notes = maps.Clone(s.notes)
	if s.notes == nil {
		s.notes = map[string][]byte{}
	}
	s.notes[key] = value
	s.past = append(s.past, s.notes)
	return nil
}

// writes is how many there were.
func (s *shelf) writes() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.past)
}

// over is a process over a shelf, at a time.
func over(t *testing.T, s *shelf, at time.Time) caller {
	t.Helper()
	q, err := batches.Open(t.Context(), s, "train", &batches.Options{Size: 2, Now: func() time.Time { return at }})
	must(t, err)
	server, err := New(t.Context(), s, q, recorded{}, harness.NewGate("", nil), nil)
	must(t, err)
	web := httptest.NewServer(server.Handler())
	t.Cleanup(web.Close)
	return caller{t, web.URL}
}

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// Killed after any write, what an environment was told is received is handed out, unless
// the trainer had gone on to the next.
func TestKilledAnywhere(t *testing.T) {
	s := &shelf{}
	c := over(t, s, noon)
	c.expect("POST", "/register", registration)
	c.batch()
	c.expect("POST", "/register-env", environment)
	const all = 4
	received, passed := [all]int{}, [all]int{} // writes by then
	for n := range all {
		c.expect("POST", "/scored_data", scored(n))
		received[n] = s.writes()
	}
	for n := range all {
		if b := c.batch(); len(b) != 1 {
			t.Fatalf("batch %d: %+v", n, b)
		}
		passed[n] = s.writes()
	}
	c.batch()
	for k := received[0]; k <= s.writes(); k++ {
		seen := drain(t, &shelf{notes: s.past[k-1]})
		for n := range int32(all) {
			if k >= received[n] && k <= passed[n] && seen[n] != 1 {
				t.Errorf("killed after write %d: group %d was handed out %d times", k, n, seen[n])
			}
		}
	}
}

// A line is what a process writes an answer to; it may be killed before, or after.
type line struct {
	*httptest.ResponseRecorder
	before bool
}

func (l line) Write(b []byte) (int, error) {
	if l.before {
		panic(http.ErrAbortHandler)
	}
	return l.ResponseRecorder.Write(b)
}

// A trainer that only asks again, as Atropos's do, is given the batch whose answer never came,
// and not the one that it was given.
func TestKilledOverAnAnswer(t *testing.T) {
	for _, before := range []bool{true, false} {
		h := newHouse(t, 2)
		h.caller().expect("POST", "/register", registration)
		for n := range 2 {
			h.caller().expect("POST", "/scored_data", scored(n))
		}
		func() {
			defer func() { _ = recover() }()
			h.Handler().ServeHTTP(line{httptest.NewRecorder(), before}, httptest.NewRequest("GET", "/batch", nil))
		}()
		h.restart()
		want := int32(1)
		if before {
			want = 0
		}
		if b := h.caller().batch(); len(b) != 1 || b[0].Tokens[0][0] != want {
			t.Errorf("killed before the answer: %v; then batch %+v, want the group %d", before, b, want)
		}
	}
}

// drain begins a trainer anew, when leases that nobody knows of have run out, and takes all
// there is.
func drain(t *testing.T, s *shelf) map[int32]int {
	t.Helper()
	c := over(t, s, noon.Add(time.Hour))
	c.expect("POST", "/register", registration)
	seen := map[int32]int{}
	for {
		b := c.batch()
		if b == nil {
			return seen
		}
		for _, item := range b {
			seen[item.Tokens[0][0]]++
		}
	}
}
