package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
	"github.com/astra-arenas/astra/httpapi/client"
)

// TestFollowerRepeatsSafely loses the answer to each request once: it reaches the owner,
// and nobody hears what came of it.
func TestFollowerRepeatsSafely(t *testing.T) {
	a := newApp(nil, io.Discard, io.Discard, func(string) (string, bool) { return "", false })
	a.config = defaults()
	a.config.Dir = t.TempDir()
	arena, err := loadArena(filepath.Join("testdata", "arenas", "ledger"))
	if err != nil {
		t.Fatal(err)
	}
	h, err := a.own(t.Context(), a.config.Dir, anywhere, arena)
	if err != nil {
		t.Fatal(err)
	}
	defer h.close()

	open := follow(t, a, h, "")
	o, err := open.Open(t.Context(), gateway.OpenRequest{Arena: "ledger", Task: "pay-out", Mode: astra.Train})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := follow(t, a, h, "/calls").Call(t.Context(), o.Episode, astra.Call{Tool: "balance"}); err != nil {
		t.Fatalf("Call: %v", err)
	}
	next, err := follow(t, a, h, "/turns").Turn(t.Context(), o.Episode, "730")
	if err != nil || next.Turn != 2 || next.Done || !strings.HasPrefix(next.Message, "Take all") || len(next.ToolsAdded) != 1 {
		t.Fatalf("Turn = %+v, %v; want turn 2", next, err)
	}
	if next, err = follow(t, a, h, "/turns").Turn(t.Context(), o.Episode, "nothing"); err != nil || !next.Done {
		t.Fatalf("Turn = %+v, %v; want that there are no more", next, err)
	}
	answer := "730"
	score, err := follow(t, a, h, "/submit").Submit(t.Context(), o.Episode, astra.Submitted{Answer: &answer})
	if err != nil || score == nil {
		t.Fatalf("Submit = %v, %v", score, err)
	}
	ep, err := open.Episode(t.Context(), o.Episode)
	if err != nil {
		t.Fatal(err)
	}
	if len(ep.Steps) != 1 || len(ep.Turns) != 2 || *ep.Turns[0].Reply != "730" || *ep.Turns[1].Reply != "nothing" {
		t.Errorf("the record has %d steps and turns %+v; want 1 step, each turn closed once", len(ep.Steps), ep.Turns)
	}
}

// follow returns a follower of h whose first answer to a path with this ending is lost.
func follow(t *testing.T, a *app, h *house, ending string) *follower {
	t.Helper()
	to, err := url.Parse(h.Control)
	if err != nil {
		t.Fatal(err)
	}
	var left atomic.Int64
	left.Store(1)
	proxy := httputil.NewSingleHostReverseProxy(to)
	lossy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Host = to.Host
		if ending != "" && strings.HasSuffix(r.URL.Path, ending) && left.Add(-1) == 0 {
			proxy.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(lossy.Close)
	c, err := client.New(lossy.URL, h.token, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if ending != "" && left.Load() > 0 {
			t.Errorf("no answer to %s was lost", ending)
		}
	})
	return &follower{app: a, link: &link{Client: c, agents: h.Agents}}
}
