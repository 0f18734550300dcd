package mcp

import (
	"context"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// Notifications that a handler sends just before it returns must be on the wire before
// the response; the library loses nine of ten.
func TestNotificationsAreNotLost(t *testing.T) {
	s, err := New(nil, nil)
	must(t, err)
	web := httptest.NewServer(newFixtures(t, s))
	defer web.Close()
	const calls = 100
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
	t.Run("with a GET stream", func(t *testing.T) { // which takes some of them
		w := dial(t, web.URL, "", legacy)
		ctx, cancel := context.WithCancel(t.Context())
		var stream sync.WaitGroup
		defer stream.Wait()
		defer cancel()
		heard, open := make(chan int, 3*calls), make(chan bool)
		stream.Go(func() {
			w.events(ctx, "GET", "", func(event string) bool {
				if event == "open" {
					close(open)
				} else {
					heard <- strings.Count(event, "notifications/progress")
				}
				return false
			})
		})
		<-open
		for range calls {
			n := strings.Count(w.ask("tools/call", progress).body, "notifications/progress")
			for ; n < 3; n++ {
				<-heard
			}
		}
	})
}

// What is not written is given up, and leaves nothing.
func TestDrainGivesUp(t *testing.T) {
	d := newDrain()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	e := event{scope: "s", data: "x"}
	if err := d.wait(ctx, e, d.expect(e)); err == nil {
		t.Error("a notification that nobody wrote is no error")
	}
	if len(d.sent) != 0 || d.waiting.Load() != 0 {
		t.Errorf("%v is left", d.sent)
	}
}
