package mcp

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"unicode/utf8"

	protocol "github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

// A plain request is a tools/call that can only be answered by one JSON message: it asks
// for neither progress nor log messages, so the server may send nothing else. It is the hot
// path, and needs none of the library's transport: no stream, no goroutine.
//
// Whatever is unusual about a request, errors included, is left to the library.
type plain struct {
	JSONRPC string          `json:"jsonrpc"`
	ID      once            `json:"id"`
	Method  string          `json:"method"`
	Result  json.RawMessage `json:"result"` // of a response
	Params  once            `json:"params"`

	params plainParams
	meta   plainMeta
}

type plainParams struct {
	Name      string          `json:"name"`
	Arguments once            `json:"arguments"`
	Task      json.RawMessage `json:"task"`
	Inputs    json.RawMessage `json:"inputResponses"`
	State     json.RawMessage `json:"requestState"`
	Meta      once            `json:"_meta"`
}

// A plainMeta is read as the library reads it: the case of names matters, unlike elsewhere.
type plainMeta map[string]json.RawMessage

// once is a value that may not be given again: the library makes this and that of members
// that are there twice.
type once []byte

var errTwice = errors.New("given twice")

// UnmarshalJSON keeps the bytes.
func (o *once) UnmarshalJSON(b []byte) error {
	if *o != nil {
		return errTwice
	}
	*o = bytes.Clone(b)
	return nil
}

// read reads a message and reports whether it is a plain request.
func (p *plain) read(body []byte) bool {
	if json.Unmarshal(body, p) != nil || !plainID(p.ID) || p.Method != string(protocol.MethodToolsCall) || p.Result != nil ||
		json.Unmarshal(p.Params, &p.params) != nil || p.params.Name == "" {
		return false
	}
	if p.params.Meta != nil && json.Unmarshal(p.params.Meta, &p.meta) != nil {
		return false
	}
	return p.meta[protocol.MetaKeyLogLevel] == nil && p.meta["progressToken"] == nil
}

// plainID reports whether an id is written as the library would write it.
func plainID(id []byte) bool {
	if len(id) == 0 {
		return false
	}
	text := id[0] == '"'
	for _, c := range id {
		if text && (c == '\\' || c >= utf8.RuneSelf) || !text && (c < '0' || c > '9') {
			return false
		}
	}
	return text || len(id) <= maxDigits
}

// maxDigits is how long a number surely survives the library's float64.
const maxDigits = 15

// servePlain answers a plain request and reports whether it was one.
func (d *door) servePlain(w http.ResponseWriter, r *http.Request, q *request) bool {
	h := r.Header
	if h.Get("Content-Type") != "application/json" || h.Get(protocol.HeaderLastEventID) != "" {
		return false
	}
	q.modern = h.Get(protocol.HeaderProtocolVersion) == protocol.ProtocolVersion20260728
	if q.modern && h.Get(protocol.HeaderMethod) != string(protocol.MethodToolsCall) {
		return false
	}
	var p plain
	if !p.read(q.body) {
		return false
	}
	if !q.modern {
		return d.mayShortcut(q) && d.serveDirect(w, r, q, &p)
	}
	if !p.matches(h) || d.readsHeaders(p.params.Name) {
		return false
	}
	return d.serveDirect(w, r, q, &p) || d.serveThin(w, r, q, &p)
}

// matches holds a message of the era without sessions to its headers.
func (p *plain) matches(h http.Header) bool {
	return p.params.Name == h.Get(protocol.HeaderName) && string(p.meta[protocol.MetaKeyProtocolVersion]) == `"`+protocol.ProtocolVersion20260728+`"`
}

// serveThin has the library handle the message without its transport.
func (d *door) serveThin(w http.ResponseWriter, r *http.Request, q *request, p *plain) bool {
	ctx := d.mcp.WithContext(withRequest(r.Context(), q), quiet{})
	message := d.mcp.HandleMessage(ctx, q.body)
	if q.instead != nil {
		q.instead.write(w, json.RawMessage(p.ID))
		return true
	}
	writeMessage(w, statusOf(message), message)
	return true
}

func writeMessage(w http.ResponseWriter, status int, message any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(message) // the client is gone if this fails
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
