package mcp

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"github.com/astra-arenas/astra"
	protocol "github.com/mark3labs/mcp-go/mcp"
)

// A caller answers the calls of a door's tools, if it can, without the library.
type caller func(ctx context.Context, q *request, c astra.Call) (*protocol.CallToolResult, bool)

// callDirect makes the caller of agents: one of the arena's own tools, known to be in view,
// needs no more of the library than the form of its answer.
func (s *Server) callDirect(own map[string]bool) caller {
	return func(ctx context.Context, q *request, c astra.Call) (*protocol.CallToolResult, bool) {
		if !own[c.Tool] {
			return nil, false
		}
		if in, err := s.inView(ctx, q.episode, c.Tool); err != nil || !in {
			return nil, false
		}
		return s.call(ctx, q.episode, c), true
	}
}

// serveDirect answers a plain call from one reading of the message, where the library
// reads it six to eight times, and reports whether it could.
func (d *door) serveDirect(w http.ResponseWriter, r *http.Request, q *request, p *plain) bool {
	c, ok := p.call(q.modern)
	if !ok || d.direct == nil {
		return false
	}
	q.calling = c.Tool
	result, ok := d.direct(withRequest(r.Context(), q), q, c)
	if !ok {
		q.calling = ""
		return false
	}
	d.directReply(result, q.modern).write(w, json.RawMessage(p.ID))
	return true
}

// call is what a message asks for, unless there is anything unusual about it.
func (p *plain) call(modern bool) (astra.Call, bool) {
	in := &p.params
	c := astra.Call{Tool: in.Name, Args: json.RawMessage(in.Arguments)}
	usual := p.JSONRPC == protocol.JSONRPC_VERSION && (len(in.Arguments) == 0 || in.Arguments[0] == '{') &&
		in.Task == nil && in.Inputs == nil && in.State == nil
	if modern {
		usual = usual && capable(p.meta[protocol.MetaKeyClientCapabilities])
	} else {
		usual = usual && p.meta[protocol.MetaKeyProtocolVersion] == nil
	}
	if key := p.meta[idempotencyKey]; key != nil {
		usual = usual && json.Unmarshal(key, &c.Key) == nil && c.Key != "" && len(c.Key) <= maxKey
	}
	return c, usual
}

// capable reports whether a client's capabilities can be read.
func capable(raw json.RawMessage) bool {
	if string(raw) == "{}" {
		return true
	}
	var all *protocol.ClientCapabilities
	return raw != nil && json.Unmarshal(raw, &all) == nil && all != nil
}

// legacyVersions are those whose clients may take the short cut: they have sessions.
var legacyVersions = protocol.LegacyProtocolVersions()

// mayShortcut reports whether a call of a client with a session needs nothing of the
// library. Now and then it must pass through, which keeps the session from ending as idle
// and brings what waits there to be sent.
func (d *door) mayShortcut(q *request) bool {
	if v := q.header.Get(protocol.HeaderProtocolVersion); v != "" && !slices.Contains(legacyVersions, v) {
		return false
	}
	x := d.sessions.find(q.header.Get("Mcp-Session-Id"), q.principal)
	return x != nil && x.passedSince(time.Now().Add(-d.ttl/10))
}

type directReply struct {
	JSONRPC string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id"`
	Result  directResult    `json:"result"`
}

// A directResult has the library's fields in the library's order, so that an answer has
// the same bytes on either way.
type directResult struct {
	Meta       json.RawMessage `json:"_meta,omitempty"`
	Content    [1]directText   `json:"content"`
	IsError    bool            `json:"isError,omitempty"`
	ResultType string          `json:"resultType,omitempty"`
	Structured json.RawMessage `json:"structuredContent,omitempty"`
}

type directText struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

func (d *door) directReply(r *protocol.CallToolResult, modern bool) *directReply {
	out := directResult{IsError: r.IsError, Structured: r.RawStructuredContent}
	out.Content[0] = directText{"text", textOf(r)}
	if modern {
		out.Meta, out.ResultType = d.meta, "complete"
	}
	return &directReply{JSONRPC: protocol.JSONRPC_VERSION, Result: out}
}

func (a *directReply) body(id json.RawMessage) []byte {
	a.ID = id
	b, err := json.Marshal(a)
	if err != nil {
		panic(err) // an id that was parsed from JSON, strings, and what the gateway made JSON
	}
	return append(b, '\n')
}

func (a *directReply) write(w http.ResponseWriter, id json.RawMessage) {
	a.ID = id
	writeMessage(w, http.StatusOK, a)
}

// serverMeta is the _meta of every result of the era without sessions: who answers.
func serverMeta(name, version, title string) json.RawMessage {
	b, err := json.Marshal(map[string]any{"io.modelcontextprotocol/serverInfo": protocol.Implementation{Name: name, Version: version, Title: title}})
	if err != nil {
		panic(err) // three strings
	}
	return b
}
