package nemogym

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/astra-arenas/astra"
)

// seeded is a client with an open session.
func (h *house) seeded(task string) *client {
	h.t.Helper()
	c := h.client()
	var s seeded
	c.expect("/seed_session", h.row(task), &s)
	return c
}

func (h *house) steps(c *client) int {
	h.t.Helper()
	return h.stepsOf(h.face.sessions, c)
}

func (h *house) stepsOf(of sessions, c *client) int {
	h.t.Helper()
	ep, err := of.Find(h.t.Context(), sessionIn(c))
	must(h.t, err)
	rec, err := h.Episode(h.t.Context(), ep)
	must(h.t, err)
	return len(rec.Steps)
}

var errGone = errors.New("the client went away")

// A deaf client's connection breaks when the answer is written, or before.
type deaf struct{ http.ResponseWriter }

func (deaf) Write([]byte) (int, error) { return 0, errGone }

// unheard makes a call whose answer nobody takes.
func (h *house) unheard(c *client, tool, args string) {
	h.t.Helper()
	r, err := http.NewRequestWithContext(h.t.Context(), "POST", "/inventory/"+tool, strings.NewReader(args))
	must(h.t, err)
	r.Header.Set("Cookie", c.cookie)
	h.face.Handler().ServeHTTP(deaf{newRecorder()}, r)
}

const hinge, bolt = `{"query":"hinge"}`, `{"query":"M8 bolt"}`

// A call that comes again because its answer was lost is one step; one that a model makes
// again is another.
func TestDelivery(t *testing.T) {
	h := newHouse(t, "", nil)
	c := h.seeded("level-out")
	call := func(args string, want int) {
		t.Helper()
		if status, text := c.do("POST", "/find_items", args); status != 200 {
			t.Fatalf("%d %s", status, text)
		}
		if n := h.steps(c); n != want {
			t.Fatalf("%d steps, want %d", n, want)
		}
	}
	call(hinge, 1)
	call(hinge, 2) // a model asks again
	h.unheard(c, "find_items", hinge)
	call(` {"query": "hinge"} `, 3) // the answer was lost
	call(hinge, 4)
	h.unheard(c, "find_items", hinge)
	call(bolt, 6)  // the harness went on
	call(hinge, 7) // and this is the model's
}

// After a restart nobody knows whether the last answer was taken: it is told once more.
func TestDeliveryAfterRestart(t *testing.T) {
	h := newHouse(t, "", nil)
	c := h.seeded("level-out")
	var before string
	for range 2 {
		_, before = c.do("POST", "/find_items", hinge)
	}
	h.restart()
	c.base = h.client().base
	for _, want := range []int{2, 3} {
		status, text := c.do("POST", "/find_items", hinge)
		if status != 200 || text != before || h.steps(c) != want {
			t.Errorf("%d %s after %s; %d steps, want %d", status, text, before, h.steps(c), want)
		}
	}
	h.restart()
	c.base = h.client().base
	c.do("POST", "/find_items", bolt)
	c.do("POST", "/find_items", hinge)
	if n := h.steps(c); n != 5 {
		t.Errorf("%d steps, want 5: another call came first", n)
	}
}

// A call in flight is joined by a repeat if its client is gone, and by nobody else.
func TestDeliveryInFlight(t *testing.T) {
	v := &visit{began: true}
	alone, leave := context.WithCancel(t.Context())
	one, first := v.enter(alone, "tool", "{}")
	two, second := v.enter(t.Context(), "tool", "{}")
	if !first || !second || one == two {
		t.Fatal("a model's two calls at once are one")
	}
	leave()
	if three, again := v.enter(t.Context(), "tool", "{}"); again || three != one {
		t.Error("a repeat does not join the call that its client left")
	}
	if four, again := v.enter(t.Context(), "tool", "{}"); !again || four == one {
		t.Error("a third call joins one that somebody waits for")
	}
	v.leave(one, false)
	if len(v.owed) != 0 {
		t.Error("owed, though somebody waits for it")
	}
	v.leave(one, true)
	if len(v.owed) != 0 {
		t.Error("owed, though it was taken")
	}
}

// Calls side by side, each of which is lost once and sent again, are a step each.
func TestDeliveryHammer(t *testing.T) {
	v := &visit{began: true}
	anchor, _ := v.enter(t.Context(), "slow", "{}") // they are sent beside another
	var all sync.WaitGroup
	for g := range maxOwed {
		all.Go(func() {
			for n := range 1000 {
				args := fmt.Sprintf(`{"g":%d,"n":%d}`, g, n)
				c, first := v.enter(t.Context(), "tool", args)
				close(c.done)
				v.leave(c, false)
				again, second := v.enter(t.Context(), "tool", args)
				if !first || second || again != c {
					t.Errorf("%s: first %v, then %v", args, first, second)
				}
				v.leave(again, true)
			}
		})
	}
	all.Wait()
	v.leave(anchor, true)
	if len(v.flying) != 0 || len(v.owed) != 0 {
		t.Errorf("%d fly, %d are owed", len(v.flying), len(v.owed))
	}
}

func TestVisitsAreBounded(t *testing.T) {
	vs := newVisits()
	kept := vs.of("kept")
	for n := range maxVisits + 10 {
		vs.of(strconv.Itoa(n))
		if n%1000 == 0 {
			vs.of("kept")
		}
	}
	if vs.order.Len() != maxVisits || len(vs.byID) != maxVisits || vs.of("kept") != kept {
		t.Errorf("%d visits, %d by id", vs.order.Len(), len(vs.byID))
	}
}

// Answers that nobody took are kept for as long as their session goes on.
func TestAnswersOwedToNobody(t *testing.T) {
	h := newHouse(t, "", nil)
	c := h.seeded("hinge-price")
	h.unheard(c, "find_items", hinge)
	v := h.face.sessions.visits.of(sessionIn(c))
	if len(v.owed) != 1 {
		t.Fatalf("%d answers are owed, want 1", len(v.owed))
	}
	late, first := v.enter(t.Context(), "find_items", bolt)
	var got judged
	c.expect("/verify", with(h.row("hinge-price"), responded(nil)), &got)
	if v.leave(late, false); !first || len(v.owed) != 0 {
		t.Errorf("%d answers are kept after the end", len(v.owed))
	}
}

// A spent budget is told to the model, and is no step.
func TestBudget(t *testing.T) {
	h := newHouse(t, "", nil)
	c := h.seeded("hinge-price")
	most := h.task("hinge-price").Calls()
	for range most {
		c.do("POST", "/find_items", hinge)
	}
	status, text := c.do("POST", "/find_items", hinge)
	var told struct {
		Error string `json:"error"`
	}
	if json.Unmarshal([]byte(text), &told) != nil || status != 422 || !strings.Contains(told.Error, astra.ErrBudget.Error()) || h.steps(c) != most {
		t.Errorf("%d %s", status, text)
	}
}
