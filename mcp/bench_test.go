package mcp

import (
	"context"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	protocol "github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

// BenchmarkCall is one tools/call through the handler, without a network: a bare echo of
// the library, and a read in a real episode with its log.
func BenchmarkCall(b *testing.B) {
	m := server.NewMCPServer("bare", "1", server.WithToolCapabilities(false))
	m.AddTool(protocol.NewTool("stock", protocol.WithString("thing")), func(_ context.Context, r protocol.CallToolRequest) (*protocol.CallToolResult, error) {
		return protocol.NewToolResultText(r.GetString("thing", "")), nil
	})
	bare := httptest.NewServer(server.NewStreamableHTTPServer(m, server.WithStateful(true)))
	defer bare.Close()
	h := newHouse(b, nil)
	for _, e := range []era{legacy, modern} {
		b.Run("bare/"+string(e), func(b *testing.B) {
			benchCall(b, e, bare.Config.Handler, func() *wire { return dial(b, bare.URL, "", e) })
		})
		b.Run("ours/"+string(e), func(b *testing.B) {
			benchCall(b, e, h.web.Config.Handler, func() *wire { return dial(b, h.door(h.open("long").Key), "", e) })
		})
	}
}

// benchCall has 64 clients call, each in its own session and episode.
func benchCall(b *testing.B, e era, handler http.Handler, enter func() *wire) {
	body := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"stock","arguments":{"thing":"tea"}}}`
	if e == modern {
		body = strings.Replace(body, `"params":{`, `"params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}},`, 1)
	}
	b.SetParallelism(64 / runtime.GOMAXPROCS(0))
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		var w *wire
		var header http.Header
		for calls := 0; pb.Next(); calls++ {
			if calls%10000 == 0 { // the most that a task may allow
				w = enter()
				header = http.Header{"Content-Type": {"application/json"}, "Mcp-Protocol-Version": {string(e)}, "Mcp-Method": {"tools/call"}, "Mcp-Name": {"stock"}}
				if e == legacy {
					header.Set("Mcp-Session-Id", w.session)
				}
			}
			q := httptest.NewRequestWithContext(b.Context(), "POST", w.url, strings.NewReader(body))
			q.Header = header
			r := httptest.NewRecorder()
			handler.ServeHTTP(r, q)
			if r.Code != http.StatusOK || strings.Contains(r.Body.String(), "rror") {
				b.Error(r.Code, r.Body)
				return
			}
		}
	})
}
