package mcp

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	protocol "github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

// Notifications that a handler sends just before it returns must be on the wire before
// the response; the library loses
// nine of ten.
func TestNotificationsAreNotLost(t *testing.T) {
	s, err := New(nil, nil)
	must(t, err)
	web := httptest.NewServer(newFixtures(t, s))
	defer web.Close()
	const calls = 50
	progress := `{"name":"test_tool_with_progress","arguments":{},"_meta":{"progressToken":"p"}}`
	bothEras(t, func(t *testing.T, e era) {
		w := dial(t, web.URL, "", e)
		for range calls {
			body := w.ask("tools/call", progress).body
			if n := strings.Count(body, "notifications/progress"); n != 3 || strings.LastIndex(body, "notifications/progress") > strings.Index(body, "progress reported") {
				t.Fatalf("%d of 3 notifications before the response: %s", n, body)
			}
		}
	})
	t.Run("with a GET stream", func(t *testing.T) { // which must take none of them
		w := dial(t, web.URL, "", legacy)
		ctx, cancel := context.WithCancel(t.Context())
		var stream sync.WaitGroup
		defer stream.Wait()
		defer cancel()
		open := make(chan bool)
		stream.Go(func() {
			w.events(ctx, "GET", "", func(event string) bool {
				if event == "open" {
					close(open)
				}
				return false
			})
		})
		<-open
		for range calls {
			body := w.ask("tools/call", progress).body
			if n := strings.Count(body, "notifications/progress"); n != 3 {
				t.Fatalf("%d of 3 notifications: %s", n, body)
			}
		}
	})
}

// An error that a handler sets is answered on a stream too.
func TestErrorAfterNotification(t *testing.T) {
	s, err := New(nil, nil)
	must(t, err)
	m := server.NewMCPServer("x", "1", server.WithToolCapabilities(false))
	m.AddTool(protocol.NewTool("x"), func(ctx context.Context, _ protocol.CallToolRequest) (*protocol.CallToolResult, error) {
		if err := notify(ctx, "notifications/progress", map[string]any{"progressToken": "p", "progress": 1}); err != nil {
			return nil, err
		}
		fail := missingCapability("roots")
		requestFrom(ctx).instead = fail
		return nil, fail
	})
	d := s.newDoor(m)
	web := httptest.NewServer(s.chain(func(*http.Request) (*door, party, error) { return d, party{principal: "p"}, nil }))
	defer web.Close()
	bothEras(t, func(t *testing.T, e era) {
		r := dial(t, web.URL, "", e).ask("tools/call", `{"name":"x","arguments":{},"_meta":{"progressToken":"p"}}`)
		if v := r.read(t); v.Error == nil || v.Error.Code != -32021 || strings.Count(r.body, "data: ") != 2 || !strings.HasSuffix(r.body, "\n\n") {
			t.Errorf("%d %s", r.status, r.body)
		}
	})
}
