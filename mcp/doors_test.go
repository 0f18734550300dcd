package mcp

import (
	"bufio"
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
	"github.com/mark3labs/mcp-go/server"
)

// Whatever is not there must look the same, or answers tell what is.
func TestNotFoundIsAlike(t *testing.T) {
	h := newHouse(t, &Options{})
	ended := h.open("short")
	_, err := h.gateway.Submit(t.Context(), ended.Episode, astra.Submitted{})
	must(t, err)
	expired := h.open("short")
	h.clock.Pass(3 * time.Hour)
	must(t, h.gateway.Sweep(t.Context()))
	h.clock.Pass(3 * time.Hour)
	must(t, h.gateway.Sweep(t.Context()))
	live := h.open("short")
	forged := string(live.Key[:len(live.Key)-1]) + "x"

	want := dial(t, h.web.URL+"/nothing", "", modern).post("{}")
	if want.status != http.StatusNotFound {
		t.Fatalf("/nothing: %d", want.status)
	}
	for name, w := range map[string]*wire{
		"random key":   dial(t, h.door(astra.NewKey()), "", modern),
		"forged key":   dial(t, h.door(astra.Key(forged)), "", modern),
		"ended key":    dial(t, h.door(ended.Key), "", modern),
		"expired key":  dial(t, h.door(expired.Key), "", modern),
		"episode id":   dial(t, h.door(astra.Key(live.Episode)), "", modern),
		"long key":     dial(t, h.door(astra.Key(strings.Repeat("k", 3000))), "", modern),
		"no bearer":    dial(t, h.web.URL+"/episode/mcp", "", modern),
		"wrong bearer": dial(t, h.web.URL+"/episode/mcp", string(astra.NewKey()), modern),
		"later issue":  dial(t, h.web.URL+"/episodes/"+string(live.Key)+"/v1/tools", "", modern),
		"practice off": dial(t, h.web.URL+"/arenas/shop/mcp", explorerToken, modern),
		"no lobby":     dial(t, h.web.URL+"/mcp", explorerToken, modern),
	} {
		for _, method := range []string{"POST", "GET", "DELETE", "PUT"} {
			got := w.do(method, "{}")
			got.header.Del("Date")
			want.header.Del("Date")
			if got.status != want.status || got.body != want.body || len(got.header) != len(want.header) {
				t.Errorf("%s %s: %d %q %v, want %d %q %v", method, name, got.status, got.body, got.header, want.status, want.body, want.header)
			}
		}
	}
}

func TestKeyAsBearer(t *testing.T) {
	h := newHouse(t, nil)
	bothEras(t, func(t *testing.T, e era) {
		o := h.open("short")
		if v := dial(t, h.web.URL+"/episode/mcp", string(o.Key), e).call("shelf", `{"thing":"milk"}`); v.text() != "S4" {
			t.Errorf("shelf = %+v", v)
		}
	})
}

func TestGuards(t *testing.T) {
	h := newHouse(t, &Options{Origins: []string{"https://good.example"}, Hosts: []string{"astra.example"}})
	url := h.door(h.open("short").Key)
	body := `{"jsonrpc":"2.0","id":1,"method":"ping"}`
	for _, tt := range []struct {
		name, origin, host, body string
		want                     int
	}{
		{"plain", "", "", body, 404}, // no session yet
		{"good origin", "https://good.example", "", body, 404},
		{"loopback origin", "http://localhost:6274", "", body, 404},
		{"evil origin", "https://evil.example", "", body, 403},
		{"null origin", "null", "", body, 403},
		{"file origin", "file://localhost", "", body, 403},
		{"loopback in the name", "http://localhost.evil.example", "", body, 403},
		{"good host", "", "astra.example:80", body, 404},
		{"rebound host", "", "evil.example", body, 403},
		{"long body", "", "", strings.Repeat(" ", maxBody+1), 413},
		{"body at the limit", "", "", body + strings.Repeat(" ", maxBody-len(body)), 404},
		{"no JSON", "", "", "{", 400},
	} {
		q, err := http.NewRequestWithContext(t.Context(), "POST", url, strings.NewReader(tt.body))
		must(t, err)
		q.Header.Set("Content-Type", "application/json")
		q.Host = tt.host
		if tt.origin != "" {
			q.Header.Set("Origin", tt.origin)
		}
		r, err := http.DefaultClient.Do(q)
		must(t, err)
		_ = r.Body.Close()
		if r.StatusCode != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, r.StatusCode, tt.want)
		}
	}
}

// A body that never comes holds on to a request for a while only, and to no memory for
// what it said it would be.
func TestSilentBody(t *testing.T) {
	r := httptest.NewRequest("POST", "/", silence{})
	r.ContentLength = maxBody
	w := &deadlined{ResponseRecorder: httptest.NewRecorder()}
	body, err := readBody(w, r)
	if err == nil || w.deadline.IsZero() || cap(body) > 1<<20 {
		t.Errorf("%v, %d bytes held, deadline %v", err, cap(body), w.deadline)
	}
}

// silence is a body of which nothing comes.
type silence struct{}

func (silence) Read([]byte) (int, error) { return 0, os.ErrDeadlineExceeded }

type deadlined struct {
	*httptest.ResponseRecorder
	deadline time.Time
}

func (d *deadlined) SetReadDeadline(t time.Time) error {
	d.deadline = t
	return nil
}

func TestExplorerToken(t *testing.T) {
	h := newHouse(t, nil)
	for _, path := range []string{"/mcp", "/arenas/shop/mcp", "/arenas/no-such/mcp"} {
		for _, token := range []string{"", "wrong", explorerToken + "x"} {
			r := dial(t, h.web.URL+path, token, modern).ask("tools/list", "{}")
			if r.status != http.StatusUnauthorized || !strings.HasPrefix(r.header.Get("WWW-Authenticate"), "Bearer") {
				t.Errorf("%s with token %q: %d %v", path, token, r.status, r.header)
			}
		}
	}
	if r := dial(t, h.web.URL+"/arenas/no-such/mcp", explorerToken, modern).ask("tools/list", "{}"); r.status != http.StatusNotFound {
		t.Errorf("no such arena: %d", r.status)
	}
	if _, err := New(h.gateway, &Options{Practice: true}); err == nil {
		t.Error("practice without a token was accepted")
	}
}

// A session belongs to the episode whose key opened it.
func TestForeignSession(t *testing.T) {
	h := newHouse(t, nil)
	alice, bob := dial(t, h.door(h.open("short").Key), "", legacy), dial(t, h.door(h.open("short").Key), "", legacy)
	unknown := *bob
	unknown.session = "FORGED"
	want := unknown.ask("tools/list", "{}")
	if want.status != http.StatusNotFound {
		t.Fatalf("a forged session: %d", want.status)
	}
	bobs := bob.session
	bob.session = alice.session
	for _, method := range []string{"POST", "GET", "DELETE"} {
		if got := bob.do(method, `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`); got.status != http.StatusNotFound || method == "POST" && got.body != want.body {
			t.Errorf("%s with a foreign session: %d %q", method, got.status, got.body)
		}
	}
	bob.session = ""
	if got := bob.do("GET", ""); got.status != http.StatusNotFound {
		t.Errorf("GET without a session: %d", got.status)
	}
	if r := alice.ask("tools/list", "{}"); r.status != http.StatusOK {
		t.Errorf("alice lost her session: %d %s", r.status, r.body)
	}
	bob.session = bobs
	if r := bob.do("DELETE", ""); r.status != http.StatusOK {
		t.Errorf("DELETE: %d", r.status)
	}
	if r := bob.ask("tools/list", "{}"); r.status != http.StatusNotFound {
		t.Errorf("after DELETE: %d", r.status)
	}
}

func TestSessionsLeaveNothing(t *testing.T) {
	h := newHouse(t, nil)
	o := h.open("short")
	for range 3 * maxSessionsOfOne {
		dial(t, h.door(o.Key), "", legacy)
	}
	d, err := h.agentDoorOf(t.Context(), o.Episode)
	must(t, err)
	if n := d.sessions.len(); n != maxSessionsOfOne {
		t.Errorf("%d sessions are kept, want %d", n, maxSessionsOfOne)
	}
	for len(d.sessions.ofOwner) > 0 {
		for owner, ids := range d.sessions.ofOwner {
			d.dropSession(ids[0], owner)
		}
	}
	if n := len(h.listeners.episodeOf); n != 0 || len(h.listeners.byEpisode) != 0 {
		t.Errorf("%d listeners are left", n)
	}
}

func TestSessionsHammer(t *testing.T) {
	var s *sessions
	s = newSessions(func(id, _ string) { s.end(id) })
	var wg sync.WaitGroup
	for worker := range 8 {
		owner := string(rune('a' + worker%2))
		wg.Go(func() {
			for range 2000 {
				id := s.open(owner)
				if s.find(id, "other") != nil {
					t.Error("a session was found by another")
				}
				s.end(id)
			}
		})
	}
	wg.Wait()
	if s.len() != 0 || len(s.ofOwner) != 0 {
		t.Errorf("%d sessions of %d owners are left", s.len(), len(s.ofOwner))
	}
}

// events reads a stream until do says that it has seen enough.
func (w *wire) events(ctx context.Context, method, body string, do func(event string) bool) {
	w.t.Helper()
	q, err := http.NewRequestWithContext(ctx, method, w.url, strings.NewReader(body))
	must(w.t, err)
	q.Header.Set("Content-Type", "application/json")
	q.Header.Set("Accept", "application/json, text/event-stream")
	q.Header.Set("Mcp-Protocol-Version", string(w.era))
	if w.era == modern {
		q.Header.Set("Mcp-Method", "subscriptions/listen")
	} else {
		q.Header.Set("Mcp-Session-Id", w.session)
	}
	r, err := http.DefaultClient.Do(q)
	must(w.t, err)
	defer r.Body.Close()
	if got := r.Header.Get("X-Accel-Buffering"); got != "no" {
		w.t.Errorf("X-Accel-Buffering = %q", got)
	}
	lines := bufio.NewScanner(r.Body)
	do("open")
	for lines.Scan() {
		if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok && do(data) {
			return
		}
	}
}

const listenMessage = `{"jsonrpc":"2.0","id":"L","method":"subscriptions/listen","params":{"notifications":{"toolsListChanged":true},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}`

// list_changed goes to the agent whose turn added tools, and to nobody else.
func TestToolsAdded(t *testing.T) {
	h := newHouse(t, nil)
	bothEras(t, func(t *testing.T, e era) {
		var streams sync.WaitGroup
		defer streams.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		hear := func(key astra.Key) chan string {
			w, heard, ready := dial(t, h.door(key), "", e), make(chan string, 8), make(chan bool)
			method, body := "GET", ""
			if e == modern {
				method, body = "POST", listenMessage
			}
			streams.Go(func() {
				w.events(ctx, method, body, func(event string) bool {
					switch {
					case strings.Contains(event, "list_changed"):
						heard <- event
					case event == "open" && e == legacy, strings.Contains(event, "acknowledged"):
						close(ready)
					}
					return false
				})
				close(heard)
			})
			<-ready
			return heard
		}
		episodes := []*gateway.Opening{h.open("sell-tea"), h.open("sell-tea")}
		streamOf := []chan string{hear(episodes[0].Key), hear(episodes[1].Key)}
		for i, o := range episodes {
			_, err := h.gateway.Turn(t.Context(), o.Episode, "seven")
			must(t, err)
			if got := <-streamOf[i]; e == modern && !strings.Contains(got, `"io.modelcontextprotocol/subscriptionId":"L"`) {
				t.Errorf("%q is not tagged", got)
			}
			for j := range streamOf {
				if n := len(streamOf[j]); n != 0 {
					t.Errorf("after the turn of episode %d, the agent of %d was told %d times more", i, j, n)
				}
			}
		}
	})
}

// Closing the doors ends the streams behind them, or a server would wait for its clients.
func TestCloseEndsStreams(t *testing.T) {
	bothEras(t, func(t *testing.T, e era) {
		h := newHouse(t, nil)
		w, method, body := dial(t, h.door(h.open("sell-tea").Key), "", e), "GET", ""
		if e == modern {
			method, body = "POST", listenMessage
		}
		open, ended := make(chan bool), make(chan error)
		go func() {
			w.events(t.Context(), method, body, func(event string) bool {
				if event == "open" && e == legacy || strings.Contains(event, "acknowledged") {
					close(open)
				}
				return false
			})
			ended <- t.Context().Err()
		}()
		<-open
		must(t, h.Server.Close(t.Context()))
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// A door that is closed opens no more, not even for who was on the way in: nothing would
// end a stream begun behind it.
func TestClosedDoors(t *testing.T) {
	h := newHouse(t, nil)
	w := dial(t, h.door(h.open("sell-tea").Key), "", modern)
	o := h.open("sell-tea")
	d, err := h.agentDoorOf(t.Context(), o.Episode)
	must(t, err)
	p := party{principal: "agent:" + string(o.Episode), episode: o.Episode}
	must(t, h.Server.Close(t.Context()))
	if r := w.ask("tools/list", "{}"); r.status != http.StatusNotFound {
		t.Errorf("after Close: %d %s", r.status, r.body)
	}
	d.sessions.byID["late"] = &session{owner: p.principal}
	q := httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)
	q.Header.Set("Mcp-Session-Id", "late")
	d.serve(httptest.NewRecorder(), q, p) // returns, or the test times out
}

// A panic is answered, logged, and ends one request only.
func TestPanic(t *testing.T) {
	s, err := New(nil, nil)
	must(t, err)
	m := server.NewMCPServer("x", "1", server.WithToolCapabilities(false))
	d := s.newDoor(m)
	web := httptest.NewServer(s.chain(func(r *http.Request) (*door, party, error) {
		if r.URL.Path == "/panic" {
			panic("CANARY")
		}
		return d, party{principal: "p"}, nil
	}))
	defer web.Close()
	r := dial(t, web.URL+"/panic", "", modern).ask("tools/list", "{}")
	if r.status != http.StatusInternalServerError || strings.Contains(r.body, "CANARY") || !strings.Contains(r.body, `"code":-32603`) {
		t.Errorf("%d %s", r.status, r.body)
	}
	if r := dial(t, web.URL, "", modern).ask("tools/list", "{}"); r.status != http.StatusOK {
		t.Errorf("afterwards: %d", r.status)
	}
}

func TestDoorsAreBounded(t *testing.T) {
	c := newDoors(2)
	s, err := New(nil, nil)
	must(t, err)
	built := 0
	build := func() (*door, error) {
		built++
		return s.newDoor(server.NewMCPServer("x", "1")), nil
	}
	for _, ref := range []string{"a", "b", "a", "c", "a", "b"} {
		_, err := c.get(doorKey{"agent", ref}, build)
		must(t, err)
	}
	if built != 4 || len(c.byID) != 2 { // a, b, c pushes b out, b again
		t.Errorf("built %d, kept %d; want 4 and 2", built, len(c.byID))
	}
	if _, err := c.get(doorKey{"agent", "d"}, func() (*door, error) { return nil, errNoDoor }); err == nil {
		t.Error("a door that cannot be built is no error")
	}
	if _, err := c.get(doorKey{"agent", "d"}, build); err != nil {
		t.Errorf("the second try: %v", err)
	}
	must(t, c.close(t.Context()))
}

func TestHosts(t *testing.T) {
	for host, want := range map[string]bool{"localhost": true, "LOCALHOST:1": true, "127.0.0.1:80": true, "[::1]:80": true, "::1": true, "[::ffff:127.0.0.1]:1": true,
		"example.com": false, "127.0.0.1.example.com": false, "": false, "10.0.0.1": false} {
		if got := loopback(hostOf(host)); got != want {
			t.Errorf("%q is loopback: %v", host, got)
		}
	}
}

// FuzzBody sends a message through the whole chain to an episode of a real gateway.
func FuzzBody(f *testing.F) {
	for _, seed := range []string{
		`{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}`,
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"stock","arguments":{"thing":"tea"},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}`,
		`{"jsonrpc":"2.0","id":null,"method":"tools/call","params":{"name":"sell","arguments":[1e999]}}`,
		`{"jsonrpc":"2.0","id":{},"method":"initialize","params":{"protocolVersion":7}}`,
		`{"jsonrpc":"2.0","id":1,"result":{}}`, `[]`, `{`, "null", "\x00\xff", `{"id":1,"method":"completion/complete","params":{"ref":{"type":"x"}}}`,
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"stock","task":{"ttl":1},"arguments":{"thing":"tea"}}}`,
	} {
		f.Add([]byte(seed), true)
		f.Add([]byte(seed), false)
	}
	h := newHouse(f, nil)
	o := h.open("long")
	handler := h.AgentHandler()
	session := dial(f, h.door(o.Key), "", legacy).session
	f.Fuzz(func(t *testing.T, body []byte, isModern bool) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		q := httptest.NewRequestWithContext(ctx, "POST", "/episodes/"+string(o.Key)+"/mcp", bytes.NewReader(body))
		q.Header.Set("Content-Type", "application/json")
		if isModern {
			q.Header.Set("Mcp-Protocol-Version", string(modern))
			q.Header.Set("Mcp-Method", "tools/call")
			q.Header.Set("Mcp-Name", "stock")
		} else {
			q.Header.Set("Mcp-Session-Id", session)
		}
		if bytes.Contains(body, []byte("subscriptions/listen")) {
			t.Skip("waits for the client to hang up")
		}
		r := httptest.NewRecorder()
		handler.ServeHTTP(r, q)
		if r.Code >= 500 || r.Code < 200 {
			t.Errorf("%d %s", r.Code, r.Body)
		}
	})
}
