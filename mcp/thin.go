package mcp

import (
	"bytes"
	"encoding/json"
	"net/http"

	protocol "github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

// A plain request is one that can only be answered by one JSON message, so that it needs
// none of the library's transport: no stream, no session, no goroutine. In the era without
// sessions that is every tools/call that asks for neither progress nor log messages: the
// server may send nothing else. It is the hot path, and twice as fast this way.
//
// Whatever is unusual about a request, errors included, is left to the library.
type plain struct {
	ID     json.RawMessage `json:"id"`
	Method string          `json:"method"`
	Params struct {
		Name string `json:"name"`
		Meta struct {
			Version  string          `json:"io.modelcontextprotocol/protocolVersion"`
			LogLevel json.RawMessage `json:"io.modelcontextprotocol/logLevel"`
			Progress json.RawMessage `json:"progressToken"`
		} `json:"_meta"`
	} `json:"params"`
}

// servePlain answers a plain request and reports whether it was one.
func (d *door) servePlain(w http.ResponseWriter, r *http.Request, q *request) bool {
	if !modernCall(r.Header) {
		return false
	}
	var p plain
	if json.Unmarshal(q.body, &p) != nil || !p.matches(r.Header) || d.readsHeaders(p.Params.Name) {
		return false
	}
	ctx := d.mcp.WithContext(withRequest(r.Context(), q), quiet{})
	message := d.mcp.HandleMessage(ctx, q.body)
	if q.fail != nil {
		q.fail.write(w, p.ID)
		return true
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(statusOf(message))
	_ = json.NewEncoder(w).Encode(message) // the client is gone if this fails
	return true
}

// modernCall reports whether the headers are those of a tools/call of the era without
// sessions.
func modernCall(h http.Header) bool {
	return h.Get(protocol.HeaderProtocolVersion) == protocol.ProtocolVersion20260728 &&
		h.Get(protocol.HeaderMethod) == string(protocol.MethodToolsCall) &&
		h.Get("Content-Type") == "application/json" && h.Get(protocol.HeaderLastEventID) == ""
}

// matches holds the message to its headers, and to what makes it plain.
func (p *plain) matches(h http.Header) bool {
	return len(p.ID) > 0 && p.ID[0] != 'n' && p.Method == string(protocol.MethodToolsCall) &&
		p.Params.Name != "" && p.Params.Name == h.Get(protocol.HeaderName) &&
		p.Params.Meta.Version == protocol.ProtocolVersion20260728 &&
		p.Params.Meta.LogLevel == nil && p.Params.Meta.Progress == nil
}

// readsHeaders reports whether a tool's arguments must agree with headers. The library
// checks that on its own transport only.
func (d *door) readsHeaders(tool string) bool {
	t := d.mcp.GetTool(tool)
	return t != nil && (t.Tool.RawInputSchema == nil || bytes.Contains(t.Tool.RawInputSchema, paramHeader))
}

var paramHeader = []byte("x-mcp-header")

// statusOf is the HTTP status that the era without sessions gives an answer.
func statusOf(message protocol.JSONRPCMessage) int {
	failed, ok := message.(protocol.JSONRPCError)
	if !ok {
		return http.StatusOK
	}
	switch failed.Error.Code {
	case protocol.METHOD_NOT_FOUND:
		return http.StatusNotFound
	case protocol.INVALID_REQUEST, protocol.INVALID_PARAMS, protocol.PARSE_ERROR, protocol.HEADER_MISMATCH,
		protocol.UNSUPPORTED_PROTOCOL_VERSION, protocol.MISSING_REQUIRED_CLIENT_CAPABILITY:
		return http.StatusBadRequest
	}
	return http.StatusOK
}

// quiet is the session of a plain request: nobody listens.
type quiet struct{}

func (quiet) Initialize()                                              {}
func (quiet) Initialized() bool                                        { return true }
func (quiet) NotificationChannel() chan<- protocol.JSONRPCNotification { return nil }
func (quiet) SessionID() string                                        { return "" }

var _ server.ClientSession = quiet{}

// cancelsOthers reports whether a message would cancel a request by its id. Without
// sessions the library knows requests of all clients by id alone, so that one could cancel
// another's; there, closing the connection is what cancels.
func cancelsOthers(q *request) bool {
	if !protocol.IsModernProtocol(q.header.Get(protocol.HeaderProtocolVersion)) {
		return false
	}
	var m struct {
		Method string `json:"method"`
	}
	return json.Unmarshal(q.body, &m) == nil && m.Method == string(protocol.MethodNotificationCancelled)
}
