package gateway_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
	"github.com/astra-arenas/astra/sandbox"
	"github.com/astra-arenas/astra/store"
	"github.com/astra-arenas/astra/verifiers"
)

// A house is a gateway over real parts, which can be torn down and opened again on the
// same store.
type house struct {
	*gateway.Gateway
	t       testing.TB
	dir     string
	store   *store.Store
	failing *failing // in front of the store
	gated   *gated   // in front of the sandbox, or nil
	clock   *clock
	opts    gateway.Options
}

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// javascript is one runtime for all tests of the package: it holds no episodes.
var javascript = sync.OnceValues(func() (*sandbox.JavaScript, error) {
	return sandbox.NewJavaScript(context.Background(), nil)
})

func newHouse(t testing.TB, opts *gateway.Options) *house { return newHouseOn(t, opts, nil) }

func newHouseOn(t testing.TB, opts *gateway.Options, rt *gated) *house {
	t.Helper()
	h := &house{t: t, gated: rt, dir: t.TempDir(), clock: &clock{now: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)}}
	if opts != nil {
		h.opts = *opts
	}
	h.opts.Now = h.clock.Now
	h.up()
	t.Cleanup(h.down)
	b, err := astra.ReadBundle("testdata/bank")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.AddArena(context.Background(), b); err != nil {
		t.Fatal(err)
	}
	return h
}

func (h *house) up() {
	h.t.Helper()
	js, err := javascript()
	if err != nil {
		h.t.Fatal(err)
	}
	var rt gateway.Runtime = js
	if h.gated != nil {
		h.gated.Runtime = js
		rt = h.gated
	}
	if h.store, err = store.Open(h.dir, nil); err != nil {
		h.t.Fatal(err)
	}
	judge, err := verifiers.New()
	if err != nil {
		h.t.Fatal(err)
	}
	h.failing = &failing{Store: h.store}
	if h.Gateway, err = gateway.New(context.Background(), h.failing, judge, []gateway.Runtime{rt}, &h.opts); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) down() {
	if h.Gateway == nil {
		return
	}
	if err := h.Gateway.Close(); err != nil {
		h.t.Errorf("close gateway: %v", err)
	}
	if err := h.store.Close(); err != nil {
		h.t.Errorf("close store: %v", err)
	}
	h.Gateway = nil
}

func (h *house) restart() {
	h.down()
	h.up()
}
