package gateway_test

import (
	"errors"
	"testing"

	"github.com/astra-arenas/astra/gateway"
	"github.com/astra-arenas/astra/gateway/gatewaytest"
	"github.com/astra-arenas/astra/store"
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
	clock   *gatewaytest.Clock
	opts    gateway.Options
}

func newHouse(t testing.TB, opts *gateway.Options) *house { return newHouseOn(t, opts, nil) }

func newHouseOn(t testing.TB, opts *gateway.Options, rt *gated) *house {
	t.Helper()
	h := &house{t: t, gated: rt, dir: t.TempDir(), clock: gatewaytest.NewClock()}
	if opts != nil {
		h.opts = *opts
	}
	h.opts.Now = h.clock.Now
	h.up()
	gatewaytest.Add(t, h.Gateway, "testdata/bank")
	return h
}

func (h *house) up() {
	h.t.Helper()
	js := gatewaytest.JavaScript(h.t)
	var rt gateway.Runtime = js
	if h.gated != nil {
		h.gated.Runtime = js
		rt = h.gated
	}
	h.store = gatewaytest.Store(h.t, h.dir)
	h.failing = &failing{Store: h.store}
	h.Gateway = gatewaytest.Open(h.t, h.failing, &h.opts, rt)
}

func (h *house) down() {
	if err := errors.Join(h.Gateway.Close(), h.store.Close()); err != nil {
		h.t.Errorf("close: %v", err)
	}
}

func (h *house) restart() {
	h.down()
	h.up()
}
