package openenv

import (
	"strings"
	"testing"
)

// A whole episode over a WebSocket of its own: connect, reset, two calls, submit, close.
func BenchmarkEpisode(b *testing.B) {
	p := newPlace(b, nil, nil)
	b.SetParallelism(64)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			l := p.dial("shop/ws")
			l.ask(`{"type":"reset","data":{"task":"count"}}`)
			l.ask(call("stock", `{"item":"nut"}`))
			l.ask(call("stock", `{"item":"bolt"}`))
			if got := l.ask(call(submitTool, `{"answer":"7"}`)); !strings.Contains(got, `"reward":0.6`) {
				b.Errorf("submit: %s", got)
			}
			_ = l.conn.Close(1000, "")
		}
	})
}
