package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
	"github.com/astra-arenas/astra/httpapi/client"
)

// era is the protocol version that both sides of the comparison speak: the newest with sessions.
const era = "2025-11-25"

// An mcp is a session over MCP's Streamable HTTP.
type mcp struct {
	meter      *meter
	addr, path string
	first      []act
	over       func(ctx context.Context) error // besides the end of the protocol's session; nil: nothing
	link       *link
	header     http.Header
	asked      int // calls, which their ids count
}

func newMCP(m *meter, addr string) *mcp {
	return &mcp{meter: m, addr: addr, header: http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json, text/event-stream"}}}
}

// fastMCPs makes sessions at addr, whose world a tool makes: the protocol knows no reset.
func fastMCPs(m *meter, addr string) func(i int) session {
	return func(i int) session {
		s := newMCP(m, addr)
		s.path = "/mcp"
		s.first = []act{{connecting, s.connect}, {resetting, func(ctx context.Context) error {
			_, err := s.tool(ctx, "reset", object{"seed": seedOf(i)})
			return err
		}}}
		return s
	}
}

// episodes makes sessions at the agents' door of astra. A harness opens each episode first,
// on the control side, and ends it there.
func episodes(m *meter, addr string, control *client.Client) func(i int) session {
	return func(i int) session {
		s := newMCP(m, addr)
		var episode astra.EpisodeID
		open := func(ctx context.Context) error {
			o, err := control.Open(ctx, gateway.OpenRequest{Arena: arenaName, Task: taskOf(seedOf(i)), Mode: astra.Train})
			if err == nil {
				episode, s.path = o.Episode, "/episodes/"+string(o.Key)+"/mcp"
			}
			return err
		}
		s.first = []act{{resetting, open}, {connecting, s.connect}}
		s.over = func(ctx context.Context) error { return control.Abort(ctx, episode, "bench") }
		return s
	}
}

func (s *mcp) opening() []act { return s.first }

func (s *mcp) connect(ctx context.Context) (err error) {
	if s.link, err = dialLink(ctx, s.meter, s.addr); err != nil {
		return err
	}
	header, _, err := s.post(ctx, object{"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": object{
		"protocolVersion": era, "capabilities": object{}, "clientInfo": object{"name": "bench-sessions", "version": "1"}}})
	if err != nil {
		return err
	}
	s.header.Set("MCP-Protocol-Version", era)
	if id := header.Get("Mcp-Session-Id"); id != "" {
		s.header.Set("Mcp-Session-Id", id)
	}
	_, _, err = s.post(ctx, object{"jsonrpc": "2.0", "method": "notifications/initialized"})
	return err
}

func (s *mcp) call(ctx context.Context, query string) (*finding, error) {
	b, err := s.tool(ctx, "find_items", object{"query": query})
	if err != nil {
		return nil, err
	}
	var reply struct {
		Result struct{ StructuredContent *finding }
	}
	if err := json.Unmarshal(b, &reply); err != nil || reply.Result.StructuredContent == nil {
		return nil, fmt.Errorf("a result without structured content")
	}
	return reply.Result.StructuredContent, nil
}

func (s *mcp) tool(ctx context.Context, name string, args object) ([]byte, error) {
	s.asked++
	_, b, err := s.post(ctx, object{"jsonrpc": "2.0", "id": s.asked, "method": "tools/call", "params": object{"name": name, "arguments": args}})
	if err == nil && (!bytes.Contains(b, []byte(`"result"`)) || bytes.Contains(b, []byte(`"isError":true`))) {
		err = fmt.Errorf("%s failed: %.100s", name, b)
	}
	return b, err
}

func (s *mcp) post(ctx context.Context, message object) (http.Header, []byte, error) {
	return s.link.do(ctx, http.MethodPost, s.path, s.header, marshal(message))
}

func (s *mcp) end(ctx context.Context) error {
	if s.header.Get("Mcp-Session-Id") != "" {
		if _, _, err := s.link.do(ctx, http.MethodDelete, s.path, s.header, nil); err != nil {
			return err
		}
	}
	if s.over == nil {
		return nil
	}
	return s.over(ctx)
}

func (s *mcp) hangUp() { s.link.close() }
