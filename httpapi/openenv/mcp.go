package openenv

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/astra-arenas/astra/httpapi/harness"
)

// Codes of JSON-RPC.
const (
	parseError     = -32700
	invalidRequest = -32600
	methodNotFound = -32601
	invalidParams  = -32602
	internalError  = -32603
	serverError    = -32000
)

// An rpcError is an error of JSON-RPC.
type rpcError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
	Data    any    `json:"data"`
}

func (e *rpcError) Error() string { return e.Message }

// An rpcReply has a result or an error.
type rpcReply struct {
	JSONRPC string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id"`
	Result  any             `json:"result,omitempty"`
	Error   *rpcError       `json:"error,omitempty"`
}

// An rpcRequest is OpenEnv's JsonRpcRequest.
type rpcRequest struct {
	id      json.RawMessage
	method  string
	params  *fields
	session string // of params
}

func readRPC(raw []byte) (*rpcRequest, error) {
	if !json.Valid(raw) {
		return nil, &rpcError{Code: parseError, Message: "Parse error"}
	}
	f := object(raw)
	q := &rpcRequest{}
	if id, there := f.take("id"); there && (id[0] == '"' || json.Unmarshal(id, new(int64)) == nil) {
		q.id = id
	} else if there {
		f.flaw("int_type", "Input should be a valid string or integer", "id")
	}
	if f.text("jsonrpc", maxText) != "2.0" {
		f.flaw("literal_error", "Input should be '2.0'", "jsonrpc")
	}
	if q.method = f.text("method", maxText); q.method == "" {
		f.required("method")
	}
	params := f.dictionary("params")
	f.nothingElse()
	if err := f.err(); err != nil {
		return q, &rpcError{Code: invalidRequest, Message: err.Error()}
	}
	if params == nil {
		params = json.RawMessage("{}")
	}
	q.params = object(params, "params")
	q.session = q.params.text("session_id", maxText)
	if err := q.params.err(); err != nil {
		return q, &rpcError{Code: invalidParams, Message: err.Error()}
	}
	return q, nil
}

// rpc answers one request of OpenEnv's JSON-RPC at an arena, in the session of a WebSocket or,
// if that is nil, in the one that the request names.
func (s *Server) rpc(ctx context.Context, arena string, in *session, raw []byte) (reply rpcReply) {
	reply.JSONRPC = "2.0"
	q, err := readRPC(raw)
	if q != nil {
		reply.ID = q.id
	}
	if err == nil {
		reply.Result, err = s.do(ctx, arena, in, q)
	}
	if err != nil {
		reply.Result, reply.Error = nil, s.rpcErrorOf(ctx, err)
	}
	return reply
}

// rpcErrorOf puts an error into JSON-RPC's words.
func (s *Server) rpcErrorOf(ctx context.Context, err error) *rpcError {
	if e, ok := errors.AsType[*rpcError](err); ok {
		return e
	}
	p := s.problemOf(ctx, err)
	e := &rpcError{Code: internalError, Message: p.Message}
	switch p.Code {
	case capacityReached:
		e.Code, e.Data = serverError, p.limits
	case factoryFailed:
		e.Code, e.Data = serverError, map[string]string{"factory_name": p.Factory}
	case sessionFailed, validationError:
		e.Code = invalidParams
	}
	return e
}

func (s *Server) do(ctx context.Context, arena string, in *session, q *rpcRequest) (any, error) {
	switch q.method {
	case "openenv/session/create":
		return s.create(ctx, arena, in)
	case "openenv/session/close":
		return s.closeSession(arena, in, q.session)
	case "tools/list", "tools/call":
		return s.inSession(ctx, arena, in, q)
	}
	return nil, &rpcError{Code: methodNotFound, Message: "Method not found: " + clip(q.method) + "; other methods of MCP are answered at /mcp?session_id= with the id of openenv/session/create"}
}

type rpcSession struct {
	ID      string `json:"session_id"`
	Closed  *bool  `json:"closed,omitempty"`
	Closing bool   `json:"closing,omitempty"`
}

func (s *Server) create(ctx context.Context, arena string, in *session) (any, error) {
	if in == nil {
		var err error
		if in, err = s.begin(ctx, arena); err != nil {
			return nil, err
		}
	}
	return rpcSession{ID: in.id}, nil
}

func (s *Server) closeSession(arena string, in *session, id string) (any, error) {
	switch {
	case id == "":
		return nil, &rpcError{Code: invalidParams, Message: "Invalid params - 'session_id' is required"}
	case in != nil && in.id == id:
		return nil, &rpcError{Code: invalidRequest, Message: "Cannot close active WebSocket-managed session via MCP method"}
	}
	found, err := s.table.find(arena, id)
	if err != nil {
		return nil, err
	}
	now := found.close()
	return rpcSession{ID: id, Closed: &now, Closing: !now}, nil
}

// inSession runs a method in the WebSocket's session, in the one that is named, or in one of
// its own.
func (s *Server) inSession(ctx context.Context, arena string, in *session, q *rpcRequest) (reply any, err error) {
	switch {
	case in != nil:
	case q.session != "":
		if in, err = s.table.find(arena, q.session); err != nil {
			return nil, err
		}
	default:
		if in, err = s.begin(ctx, arena); err != nil {
			return nil, err
		}
		defer in.end("the request had no session")
	}
	err = in.use(func() error { reply, err = in.tool(ctx, q); return err })
	return reply, err
}

// tool lists tools or calls one; what it returns has no reward.
func (s *session) tool(ctx context.Context, q *rpcRequest) (any, error) {
	if q.method == "tools/list" {
		list, err := s.tools(ctx)
		return map[string][]rpcTool{"tools": rpcTools(list)}, err
	}
	name := q.params.text("name", len(submitTool)+maxText)
	args := q.params.dictionary("arguments")
	if err := q.params.err(); err != nil {
		return nil, &rpcError{Code: invalidParams, Message: err.Error()}
	}
	if name == "" {
		return nil, &rpcError{Code: invalidParams, Message: "Missing 'name' in params"}
	}
	r, err := s.step(ctx, action{true, name, args})
	if err != nil {
		return nil, err
	}
	c := r.Observation.(called) // what a step that has a name returns
	if c.Error == nil {
		return c.Result, nil
	}
	code := invalidParams
	if c.Error.Type == executionError {
		code = internalError
	}
	return nil, &rpcError{Code: code, Message: c.Error.Message}
}

// An rpcTool is a tool in MCP's spelling.
type rpcTool struct {
	Name        string          `json:"name"`
	Description string          `json:"description"`
	InputSchema json.RawMessage `json:"inputSchema"`
}

func rpcTools(list []tool) []rpcTool {
	all := make([]rpcTool, len(list))
	for i, t := range list {
		all[i] = rpcTool(t)
	}
	return all
}

// mcp is /mcp: a WebSocket, the agents' door of a session in the URL, or OpenEnv's methods.
func (s *Server) mcp(w http.ResponseWriter, r *http.Request) {
	arena, id := r.PathValue("arena"), r.URL.Query().Get("session_id")
	switch {
	case strings.EqualFold(r.Header.Get("Upgrade"), "websocket"):
		s.serveSocket(w, r, func(ctx context.Context, in *session, m []byte) any { return s.rpc(ctx, arena, in, m) },
			func(ctx context.Context, err error) any {
				return rpcReply{JSONRPC: "2.0", Error: s.rpcErrorOf(ctx, err)}
			})
	case id != "":
		s.agentsDoor(w, r, id)
	case r.Method != http.MethodPost:
		w.Header().Set("Allow", http.MethodPost)
		s.fail(w, r, harness.Refuse(http.StatusMethodNotAllowed, "Method Not Allowed: without session_id, POST a request of JSON-RPC"))
	default:
		b, err := harness.ReadBody(r, maxMessage)
		if err != nil {
			s.fail(w, r, err)
			return
		}
		write(w, http.StatusOK, s.rpc(r.Context(), arena, nil, b))
	}
}

// agentsDoor lets a client of real MCP in at the session's episode. It sees the arena's tools
// and none of ours, and no reward.
func (s *Server) agentsDoor(w http.ResponseWriter, r *http.Request, id string) {
	in, err := s.table.find(r.PathValue("arena"), id)
	if err != nil {
		s.fail(w, r, harness.Refuse(http.StatusNotFound, "%s", err.Error()))
		return
	}
	var p *play
	if err := in.use(func() error { p, err = in.opened(r.Context()); return err }); err != nil {
		s.fail(w, r, err)
		return
	}
	s.house.ServeMCP(w, r, s.keys.Key(p.key))
}
