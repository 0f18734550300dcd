package upstream

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
	"github.com/astra-arenas/astra/gateway/gatewaytest"
)

// A house is a gateway over a store, with upstreams.
type house struct {
	*gateway.Gateway
	t    *testing.T
	dir  string
	opts *Options
	down func()
}

func newHouse(t *testing.T, opts *Options) *house {
	h := &house{t: t, dir: t.TempDir(), opts: opts}
	h.up()
	return h
}

func (h *house) up() {
	h.t.Helper()
	rt, err := New(h.opts)
	must(h.t, err)
	st := gatewaytest.Store(h.t, h.dir)
	h.Gateway = gatewaytest.Open(h.t, st, &gateway.Options{MaxLive: 1, MaxBytes: 1}, rt)
	h.down = func() {
		must(h.t, h.Gateway.Close())
		must(h.t, st.Close())
	}
}

func (h *house) restart() {
	h.down()
	h.up()
}

func (h *house) open(a *astra.Arena) astra.EpisodeID {
	h.t.Helper()
	_, err := h.AddArena(h.t.Context(), a.Bundle)
	must(h.t, err)
	o, err := h.Open(h.t.Context(), gateway.OpenRequest{Arena: a.Ref()})
	must(h.t, err)
	return o.Episode
}

func (h *house) call(id astra.EpisodeID, tool, args string) (astra.Result, error) {
	step, err := h.Call(h.t.Context(), id, astra.Call{Tool: tool, Args: json.RawMessage(args)})
	return step.Result, err
}

func (h *house) want(id astra.EpisodeID, tool, args, want string) {
	h.t.Helper()
	if res, err := h.call(id, tool, args); err != nil || string(res.Value)+res.Error != want {
		h.t.Errorf("%s %s = %s%s, %v; want %s", tool, args, res.Value, res.Error, err, want)
	}
}

// invalid wants a call to end the episode as nobody's fault.
func (h *house) invalid(id astra.EpisodeID, tool, args, reason string) {
	h.t.Helper()
	res, err := h.call(id, tool, args)
	se, ok := errors.AsType[*astra.StepError](err)
	if !errors.Is(err, astra.ErrInvalid) || !ok || se.Fault != astra.FaultUpstream || !strings.Contains(err.Error(), reason) {
		h.t.Errorf("%s = %+v, %v; want an end by the upstream: %s", tool, res, err, reason)
	}
	ep, err := h.Episode(h.t.Context(), id)
	if err != nil || ep.Status != astra.StatusInvalid || ep.Ended.Fault != astra.FaultUpstream {
		h.t.Errorf("the episode is %s, %+v, %v", ep.Status, ep.Ended, err)
	}
}

// A session that could not be made again stays, however many others there are.
func TestSessionsAreHeld(t *testing.T) {
	h := newHouse(t, targets("counter", Target{URL: newCounter().web(t, counterTools)}))
	a := counterArena(t, "")
	ids := []astra.EpisodeID{h.open(a), h.open(a), h.open(a)}
	for round := range 3 {
		for _, id := range ids {
			h.want(id, "add", `{"n":1}`, fmt.Sprint(round+1))
		}
	}
}

// An episode outlives its process where its server may be told everything again, and is
// forked at any step.
func TestEpisodeSentAgain(t *testing.T) {
	h := newHouse(t, targets("counter", Target{URL: newCounter().web(t, counterTools), Resend: true}))
	id := h.open(counterArena(t, ""))
	h.want(id, "add", `{"n":1}`, "1")
	h.want(id, "fail", `{"message":"no"}`, "no")
	h.want(id, "big", `{"bytes":70000}`, tooLarge(astra.Limits{Result: 64 << 10}).Error)
	h.want(id, "add", `{"n":1}`, "3")
	h.restart()
	h.want(id, "add", `{"n":1}`, "4")
	one := 1
	forks, err := h.Fork(t.Context(), id, gateway.ForkRequest{At: &one, N: 2})
	must(t, err)
	for _, f := range forks {
		h.want(f.Episode, "total", `{}`, "1")
	}
	now, err := h.Fork(t.Context(), id, gateway.ForkRequest{})
	must(t, err)
	h.want(now[0].Episode, "total", `{}`, "4")
	h.want(id, "total", `{}`, "4")
	if r, err := h.Replay(t.Context(), id); err != nil || !r.Same {
		t.Errorf("Replay = %+v, %v", r, err)
	}
}

// Where it may not, the episode ends, and the server hears nothing.
func TestEpisodeNotSentAgain(t *testing.T) {
	c := newCounter()
	h := newHouse(t, targets("counter", Target{URL: c.web(t, counterTools)}))
	id := h.open(counterArena(t, ""))
	h.want(id, "add", `{"n":1}`, "1")
	h.restart()
	h.invalid(id, "add", `{"n":1}`, "`resend: true` in astra.yaml would send them again")
	if n := c.calls.Load(); n != 1 {
		t.Errorf("the server was called %d times, want once", n)
	}
}

// An episode that only the cassette answered wakes and forks without a server.
func TestEpisodeOffline(t *testing.T) {
	h := newHouse(t, nil)
	id := h.open(counterArena(t, "", recorded(astra.MatchEpisode, step("1", "1"), step("2", "3"))...))
	h.want(id, "add", `{"n":1}`, "1")
	h.want(id, "add", `{"n":1}`, astra.UnknownCall)
	h.restart()
	forks, err := h.Fork(t.Context(), id, gateway.ForkRequest{})
	must(t, err)
	for _, id := range []astra.EpisodeID{id, forks[0].Episode} {
		h.want(id, "add", `{"n":2}`, "3")
	}
}

// A server that lies, dies or becomes another ends the episode as nobody's fault.
func TestEpisodeOfCrook(t *testing.T) {
	h := newHouse(t, targets("crook", Target{Command: self(t, "crooked"), Env: map[string]string{"TOKEN": token}}))
	a := crookedArena(t)
	for tool, reason := range map[string]string{
		"schema": "schema answered against its schema",
		"die":    "upstream crook: its process ended",
		"empty":  "upstream crook: its answer has no content",
	} {
		id := h.open(a)
		h.want(id, "fine", `{}`, `{"fine":true}`)
		h.invalid(id, tool, `{}`, reason)
	}
	id := h.open(a)
	h.want(id, "change", `{}`, `1`)
	h.invalid(id, "fine", `{}`, "takes other arguments than those mirrored")
}
