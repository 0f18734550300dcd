package mcp

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mark3labs/mcp-go/server"
)

// However slowly the library forgets, nobody has more sessions than allowed.
func TestSessionsOfOneAreBounded(t *testing.T) {
	s := newSessions(func(string, string) {})
	for range 3 * maxSessionsOfOne {
		s.open("crowd")
	}
	if n := s.len(); n != maxSessionsOfOne || len(s.ofOwner["crowd"]) != n {
		t.Errorf("%d sessions are kept, want %d", n, maxSessionsOfOne)
	}
}

// Asking for episodes that are not there leaves nothing behind.
func TestUnknownEpisodesAreForgotten(t *testing.T) {
	h := newHouse(t, nil)
	w := dial(t, h.web.URL+"/arenas/shop/mcp", explorerToken, modern)
	for i := range 10 {
		id := strings.Repeat("x", 1+i*10000)
		if v := w.call("stock", `{"thing":"tea","episode_id":"`+id+`"}`); !strings.HasPrefix(v.text(), "episode: not found") {
			t.Errorf("an episode of nobody: %+v", v)
		}
	}
	if n := len(h.known.of); n != 0 {
		t.Errorf("%d episodes are remembered", n)
	}
}

// A hasty writer's client ends its session before the library has registered it, which it
// does after the response.
type hasty struct {
	*httptest.ResponseRecorder
	end func(session string)
}

func (w hasty) Write(b []byte) (int, error) {
	w.end(w.Header().Get("Mcp-Session-Id"))
	return w.ResponseRecorder.Write(b)
}

func TestSessionEndedAtOnce(t *testing.T) {
	s, err := New(nil, nil)
	must(t, err)
	registered := 0
	hooks := new(server.Hooks)
	hooks.AddOnRegisterSession(func(context.Context, server.ClientSession) { registered++ })
	hooks.AddOnUnregisterSession(func(context.Context, server.ClientSession) { registered-- })
	d := s.newDoor(server.NewMCPServer("x", "1", server.WithHooks(hooks)))
	defer func() { must(t, d.http.Shutdown(t.Context())) }()
	ask := func(method, session string, w http.ResponseWriter) {
		q := httptest.NewRequestWithContext(t.Context(), method, "/", strings.NewReader(hello))
		q.Header.Set("Content-Type", "application/json")
		q.Header.Set("Mcp-Session-Id", session)
		d.serve(w, q, party{principal: "p"})
	}
	ask("POST", "", hasty{httptest.NewRecorder(), func(session string) { ask("DELETE", session, httptest.NewRecorder()) }})
	if registered != 0 || d.sessions.len() != 0 {
		t.Errorf("the library keeps %d sessions, we keep %d", registered, d.sessions.len())
	}
}

// An idle session ends by itself, and one that is used does not.
func TestSessionTTL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := New(nil, &Options{SessionTTL: time.Minute})
		must(t, err)
		d := s.newDoor(server.NewMCPServer("x", "1"))
		defer func() { must(t, d.http.Shutdown(t.Context())) }()
		post := func(session, body string) *httptest.ResponseRecorder {
			q := httptest.NewRequestWithContext(t.Context(), "POST", "/", strings.NewReader(body))
			q.Header.Set("Content-Type", "application/json")
			q.Header.Set("Mcp-Session-Id", session)
			r := httptest.NewRecorder()
			d.serve(r, q, party{principal: "p"})
			return r
		}
		idle, used := post("", hello).Header().Get("Mcp-Session-Id"), post("", hello).Header().Get("Mcp-Session-Id")
		const ping = `{"jsonrpc":"2.0","id":1,"method":"ping"}`
		for range 10 {
			time.Sleep(20 * time.Second)
			if r := post(used, ping); r.Code != http.StatusOK {
				t.Fatalf("a session in use: %d", r.Code)
			}
		}
		if r := post(idle, ping); r.Code != http.StatusNotFound || d.sessions.len() != 1 {
			t.Errorf("an idle session: %d, %d are left", r.Code, d.sessions.len())
		}
	})
}
