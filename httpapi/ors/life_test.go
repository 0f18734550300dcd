package ors_test

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
	"github.com/astra-arenas/astra/httpapi/harness"
	"github.com/astra-arenas/astra/httpapi/ors"
)

// A call is one step however often it is sent, at once or after another process has taken over.
func TestCallIsOneStep(t *testing.T) {
	h := newHouse(t, houseOptions{arenas: []string{terms}})
	g := h.client().begin(clause)
	first := g.call("sign", `{}`)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if r := g.resume("sign", `{}`, first.task); r.raw != first.raw || r.task != first.task {
				t.Errorf("sent again: %s, was %s", r.raw, first.raw)
			}
			if r := g.resume("sign", `{}`, "mine"); r.text() != `{"signed":2}` {
				t.Errorf("under a key of the client's: %s", r.raw)
			}
		})
	}
	all.Wait()
	h.restart()
	g.client = h.client()
	if r := g.resume("sign", `{}`, first.task); r.raw != first.raw {
		t.Errorf("sent again to another process: %s, was %s", r.raw, first.raw)
	}
	if r := g.call("sign", `{}`); r.text() != `{"signed":3}` {
		t.Errorf("another call: %s", r.raw)
	}
	if r := g.resume("sign", `{"x":1}`, first.task); !r.OK || !strings.Contains(r.text(), "other arguments") {
		t.Errorf("with other arguments: %s", r.raw)
	}
}

// A turn is closed once, and the reward told to whoever submitted.
func TestTurnAndSubmitAgain(t *testing.T) {
	h := newHouse(t, houseOptions{arenas: []string{terms}})
	g := h.client().begin(talk)
	next := g.call("episode_turn", `{"reply":"Nothing."}`)
	if next.text() != "Then sign it." {
		t.Fatalf("the next message: %s", next.raw)
	}
	h.restart()
	g.client = h.client()
	if r := g.resume("episode_turn", `{"reply":"Nothing."}`, next.task); r.raw != next.raw {
		t.Errorf("closed again: %s, was %s", r.raw, next.raw)
	}
	g.call("sign", `{}`)
	last := g.call("episode_turn", `{"reply":"Nothing."}`)
	if !strings.Contains(last.text(), "no more messages") {
		t.Errorf("after the last message: %s", last.raw)
	}
	if r := g.resume("episode_turn", `{"reply":"Nothing."}`, last.task); r.raw != last.raw {
		t.Errorf("closed again: %s, was %s", r.raw, last.raw)
	}
	if r := g.call("episode_turn", `{"reply":"More."}`); !r.OK || !strings.Contains(r.text(), "submit") {
		t.Errorf("a turn more: %s", r.raw)
	}
	end := g.call("episode_submit", `{}`)
	if rewardOf(end) != "1" || !end.Output.Finished {
		t.Errorf("submitted: %s", end.raw)
	}
	h.restart()
	g.client = h.client()
	if r := g.resume("episode_submit", `{}`, end.task); r.raw != end.raw {
		t.Errorf("submitted again: %s, was %s", r.raw, end.raw)
	}
}

// Calls after the end change nothing, and say so; clients go on calling.
func TestAfterTheEnd(t *testing.T) {
	g := newHouse(t, houseOptions{arenas: []string{terms}}).client().begin(clause)
	g.call("sign", `{}`)
	end := g.call("episode_submit", `{"answer":"done"}`)
	if rewardOf(end) != "1" || strings.Contains(end.text(), "1") {
		t.Errorf("submitted: %s", end.raw)
	}
	for tool, input := range map[string]string{"sign": `{}`, "ghost": `{}`, "episode_turn": `{}`, "episode_submit": `{"answer":"done"}`} {
		if r := g.call(tool, input); !r.OK || !r.Output.Finished || rewardOf(r) != "null" || r.text() != end.text() {
			t.Errorf("%s after the end: %s", tool, r.raw)
		}
	}
	g.expect("POST", "/ping", "", g.header())
	g.expect("POST", "/delete", "", g.header())
	g.expect("POST", "/delete_session", "", g.header())
}

// A model that says more than is taken must still be scored.
func TestLongAnswer(t *testing.T) {
	h := newHouse(t, houseOptions{arenas: []string{terms}})
	long := strings.Repeat("x", harness.MaxText+1)
	g := h.client().begin(talk)
	next := g.call("episode_turn", `{"reply":"`+long+`"}`)
	if next.text() != "Then sign it." {
		t.Errorf("a long reply: %.200s", next.raw)
	}
	if r := g.resume("episode_turn", `{"reply":"`+long+`"}`, next.task); r.raw != next.raw {
		t.Errorf("a long reply again: %.200s", r.raw)
	}
	if end := g.call("episode_submit", `{"answer":"`+long+`"}`); rewardOf(end) == "null" {
		t.Errorf("a long answer: %.200s", end.raw)
	}
}

// What cannot be scored has no reward: it is not 0.
func TestInvalidIsNoReward(t *testing.T) {
	g := newHouse(t, houseOptions{arenas: []string{terms}}).client().begin(`{"env_name":"terms.1","split":"train","index":1}`)
	for _, tool := range []string{"episode_submit", "sign", "episode_submit"} {
		r := g.call(tool, `{}`)
		if !strings.Contains(r.fatal, "verifier") || r.raw != "" {
			t.Errorf("%s: %+v", tool, r)
		}
	}
}

// A deleted session is gone, and its episode has no score.
func TestDeleted(t *testing.T) {
	h := newHouse(t, houseOptions{arenas: []string{terms}})
	g := h.client().begin(clause)
	g.expect("POST", "/delete", "", g.header())
	g.isGone()
	if res, got := g.do("POST", "/create", clause, g.header()); res.StatusCode != http.StatusGone {
		t.Errorf("created again: %d %s", res.StatusCode, got)
	}
	page, err := h.List(t.Context(), astra.Query{})
	must(t, err)
	if len(page.Episodes) != 1 || page.Episodes[0].Status != astra.StatusAborted {
		t.Errorf("the episode: %+v", page.Episodes)
	}
	none := g.mint()
	none.expect("POST", "/delete", "", none.header())
	if res, _ := none.do("POST", "/ping", "", none.header()); res.StatusCode != 404 {
		t.Errorf("ping of what was never created: %d", res.StatusCode)
	}
}

func (g game) isGone() {
	g.t.Helper()
	for _, q := range [][3]string{{"GET", "/prompt", ""}, {"POST", "/ping", ""}, {"GET", "/task_tools", ""}, {"POST", "/call", `{"name":"sign","input":{}}`}} {
		if res, got := g.do(q[0], q[1], q[2], g.header()); res.StatusCode != http.StatusGone || !strings.Contains(got, "Session deleted") {
			g.t.Errorf("%s: %d %s", q[1], res.StatusCode, got)
		}
	}
}

// A session that nobody asks about ends; pings keep it.
func TestIdle(t *testing.T) {
	var now atomic.Int64
	h := newHouse(t, houseOptions{arenas: []string{terms}, now: func() time.Time { return time.Unix(now.Load(), 0) }})
	idle, kept := h.client().begin(clause), h.client().begin(clause)
	now.Add(600)
	kept.expect("POST", "/ping", "", kept.header())
	now.Add(600)
	h.house.Sweep(t.Context())
	idle.isGone()
	kept.expect("GET", "/prompt", "", kept.header())
}

// Who finds no room is told to wait, as clients understand it.
func TestFull(t *testing.T) {
	c := newHouse(t, houseOptions{arenas: []string{terms}, gateway: gateway.Options{MaxOpen: 1}}).client()
	c.begin(clause)
	g := c.mint()
	res, got := g.do("POST", "/create", clause, g.header())
	if res.StatusCode != 503 || res.Header.Get("X-Backend-State") != "starting" || res.Header.Get("Retry-After") == "" {
		t.Errorf("full: %d %v %s", res.StatusCode, res.Header, got)
	}
}

// held are episodes whose calls and turns wait until they are let go.
type held struct {
	harness.Episodes
	begun, let chan struct{}
	fail       error
}

func (h *held) Turn(ctx context.Context, id astra.EpisodeID, reply string) (*gateway.NextTurn, error) {
	h.begun <- struct{}{}
	<-h.let
	return h.Episodes.Turn(ctx, id, reply)
}

func (h *held) Call(ctx context.Context, id astra.EpisodeID, c astra.Call) (astra.Step, error) {
	h.begun <- struct{}{}
	<-h.let
	if err := cmp.Or(h.fail, ctx.Err()); err != nil {
		return astra.Step{}, err
	}
	return h.Episodes.Call(ctx, id, c)
}

// While a call runs its client reads comments; who sends it again joins it, and it goes on
// when its client has gone away.
func TestJoinsARunningCall(t *testing.T) {
	slow := &held{begun: make(chan struct{}, 9), let: make(chan struct{})}
	h := newHouse(t, houseOptions{arenas: []string{terms}, ors: ors.Options{Ping: time.Millisecond},
		through: func(eps harness.Episodes) harness.Episodes { slow.Episodes = eps; return slow }})
	g := h.client().begin(clause)
	stream := g.open(`{"name":"sign","input":{},"task_id":"one"}`)
	if begin := stream.until(": ping"); !strings.HasPrefix(begin, "event: task_id\ndata: one\n\n") {
		t.Errorf("the stream begins with %s", begin)
	}
	stream.Body.Close()
	<-slow.begun
	joined := make(chan reply)
	go func() { joined <- g.resume("sign", `{}`, "one") }()
	close(slow.let)
	if r := <-joined; r.text() != `{"signed":1}` {
		t.Errorf("joined: %s", r.raw)
	}
	if r := g.call("sign", `{}`); r.text() != `{"signed":2}` {
		t.Errorf("the next: %s", r.raw)
	}
}

// A turn that is sent many times at once is closed once.
func TestJoinsARunningTurn(t *testing.T) {
	slow := &held{begun: make(chan struct{}, 9), let: make(chan struct{})}
	h := newHouse(t, houseOptions{arenas: []string{terms}, through: func(eps harness.Episodes) harness.Episodes { slow.Episodes = eps; return slow }})
	g := h.client().begin(talk)
	var streams []*stream
	for range 8 {
		st := g.open(`{"name":"episode_turn","input":{"reply":"Nothing."},"task_id":"one"}`)
		st.until("data: one\n\n")
		streams = append(streams, st)
	}
	close(slow.let)
	for _, st := range streams {
		if rest := st.until("event: end"); strings.Contains(rest, "error") {
			t.Errorf("joined: %s", rest)
		}
		st.Body.Close()
	}
	if n := len(slow.begun); n != 1 {
		t.Errorf("%d turns were closed", n)
	}
}

// A stream is an answer that is read as it comes.
type stream struct {
	t testing.TB
	*http.Response
}

func (g game) open(call string) *stream {
	g.t.Helper()
	req, err := http.NewRequestWithContext(g.t.Context(), "POST", g.base+"/call", strings.NewReader(call))
	must(g.t, err)
	req.Header.Set("X-Session-ID", g.id)
	res, err := http.DefaultClient.Do(req)
	must(g.t, err)
	return &stream{g.t, res}
}

// until reads as far as a text.
func (st *stream) until(text string) string {
	st.t.Helper()
	var read []byte
	for b := make([]byte, 1); !strings.Contains(string(read), text); {
		n, err := st.Body.Read(b)
		must(st.t, err)
		read = append(read, b[:n]...)
	}
	return string(read)
}

// What is nobody's doing ends the session, in words that tell nothing.
func TestTrouble(t *testing.T) {
	slow := &held{begun: make(chan struct{}, 9), let: make(chan struct{}), fail: errors.New("HIDDEN")}
	close(slow.let)
	h := newHouse(t, houseOptions{arenas: []string{terms}, through: func(eps harness.Episodes) harness.Episodes { slow.Episodes = eps; return slow }})
	if r := h.client().begin(clause).call("sign", `{}`); r.fatal == "" || strings.Contains(r.fatal, "HIDDEN") {
		t.Errorf("trouble: %+v", r)
	}
	slow.fail = astra.ErrBudget
	if r := h.client().begin(clause).call("sign", `{}`); !r.OK || !strings.Contains(r.text(), "budget") {
		t.Errorf("without a budget: %+v", r)
	}
}

// A broken is a gateway with a bug.
type broken struct{ harness.Episodes }

func (broken) Call(context.Context, astra.EpisodeID, astra.Call) (astra.Step, error) {
	panic("HIDDEN")
}

// A bug ends the call and not the server: calls run in goroutines of their own.
func TestPanic(t *testing.T) {
	h := newHouse(t, houseOptions{arenas: []string{terms}, through: func(eps harness.Episodes) harness.Episodes { return broken{eps} }})
	if r := h.client().begin(clause).call("sign", `{}`); r.fatal == "" || strings.Contains(r.fatal, "HIDDEN") {
		t.Errorf("a panic: %+v", r)
	}
}

// What comes while too many large bodies do finds no room, too.
func TestNoRoomForBodies(t *testing.T) {
	h := newHouse(t, houseOptions{arenas: []string{terms}})
	full, w := harness.Bodies(ors.New(h.house, nil).Handler(), 1), httptest.NewRecorder()
	full.ServeHTTP(w, httptest.NewRequest("POST", "/terms.1/tasks", strings.NewReader(strings.Repeat(" ", 1<<20))))
	if w.Code != 503 || w.Header().Get("X-Backend-State") != "starting" || w.Header().Get("Retry-After") == "" {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
}
