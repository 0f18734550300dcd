package gateway_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
)

func TestCapacity(t *testing.T) {
	used := int64(0)
	h := newHouse(t, &gateway.Options{MaxOpen: 2, Memory: func() (int64, int64) { return used, 1 << 20 }})
	if c := h.Capacity(); c.Free != 2 || c.MaxMemory != 1<<20 || c.RetryAfter != 0 {
		t.Errorf("at the start: %+v", c)
	}
	open := func() error {
		_, err := h.Open(t.Context(), gateway.OpenRequest{Arena: "bank", Task: "read", Mode: astra.Eval, TTL: 10 * time.Second})
		return err
	}
	if err := errors.Join(open(), open()); err != nil {
		t.Fatal(err)
	}
	if err := open(); !errors.Is(err, astra.ErrFull) {
		t.Errorf("a third of two: %v", err)
	}
	if c := h.Capacity(); c.Free != 0 || c.Open != 2 || c.RetryAfter != 10 {
		t.Errorf("full: %+v", c)
	}
	h.clock.Pass(11 * time.Second)
	if err := h.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	used = 1 << 20
	if c := h.Capacity(); c.Free != 1 {
		t.Errorf("no memory, and nothing open: %+v", c)
	}
	if err := open(); err != nil {
		t.Errorf("nothing is open: %v", err)
	}
	if c := h.Capacity(); c.Free != 0 || c.RetryAfter != 10 {
		t.Errorf("no memory: %+v", c)
	}
	if err := open(); !errors.Is(err, astra.ErrFull) {
		t.Errorf("without memory: %v", err)
	}
	used = 0
	if err := open(); err != nil {
		t.Errorf("with memory again: %v", err)
	}
}

// A key of the opener's makes opening the same thing to do twice.
func TestOpenWithAKey(t *testing.T) {
	h := newHouse(t, nil)
	req := gateway.OpenRequest{Arena: "bank", Task: "read", Mode: astra.Eval, Key: "0123456789abcdef0123456789abcdef"}
	first, err := h.Open(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	h.restart()
	again, err := h.Open(t.Context(), req)
	if err != nil || again.Episode != first.Episode || again.Message != first.Message || again.Key != req.Key {
		t.Errorf("opened again: %+v, %v; want %+v", again, err, first)
	}
	other := req
	seed := int64(4)
	other.Seed = &seed
	if _, err := h.Open(t.Context(), other); !errors.Is(err, astra.ErrConflict) {
		t.Errorf("with another seed: %v", err)
	}
	if err := h.Abort(t.Context(), first.Episode, "done"); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Open(t.Context(), req); !errors.Is(err, astra.ErrEnded) {
		t.Errorf("after its end: %v", err)
	}
}

func TestOpenWithAKeyAtOnce(t *testing.T) {
	h := newHouse(t, nil)
	var wg sync.WaitGroup
	var mu sync.Mutex
	ids := map[astra.EpisodeID]bool{}
	for range 16 {
		wg.Go(func() {
			o, err := h.Open(t.Context(), gateway.OpenRequest{Arena: "bank", Task: "read", Mode: astra.Eval, Key: "0123456789abcdef0123456789abcdef"})
			if errors.Is(err, astra.ErrBusy) {
				return // it is being opened
			}
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			ids[o.Episode] = true
		})
	}
	wg.Wait()
	if len(ids) != 1 || h.Stats().Opened != 1 {
		t.Errorf("opened %v, counted %d", ids, h.Stats().Opened)
	}
}

func TestCatalog(t *testing.T) {
	h := newHouse(t, nil)
	list, err := h.Catalog(t.Context(), "bank")
	if err != nil {
		t.Fatal(err)
	}
	tasks, err := h.Tasks(t.Context(), "bank", "")
	if err != nil || len(tasks) != len(list) {
		t.Fatalf("%d entries of %d tasks, %v", len(list), len(tasks), err)
	}
	for i, e := range list {
		if e.Task.ID != tasks[i].ID || len(e.Task.Turns) != 0 || e.Turns == 0 || len(e.Tools) < len(e.Task.Tools) {
			t.Errorf("entry %d: %+v", i, e)
		}
	}
	if _, err := h.Catalog(t.Context(), "nobody"); !errors.Is(err, astra.ErrNotFound) {
		t.Errorf("catalog of no arena: %v", err)
	}
}
