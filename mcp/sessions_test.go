package mcp

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mark3labs/mcp-go/server"
)

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
