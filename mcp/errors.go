package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/astra-arenas/astra"
	protocol "github.com/mark3labs/mcp-go/mcp"
)

// advice is what a caller can do about an error of ours, which says itself what happened.
var advice = []struct {
	is   error
	text string
}{
	{astra.ErrInvalid, "It was ended by a fault that was not yours; nothing more can be done in it."},
	{astra.ErrEnded, "No more calls are taken; give your final answer, or open another episode if you may."},
	{astra.ErrBudget, "Answer with what you have found so far."},
	{astra.ErrBusy, "Wait for the calls that are running, then try again."},
	{astra.ErrConflict, "Use a new key for a new call."},
	{astra.ErrFull, "Try again later."},
	{astra.ErrNotFound, "Check the name or id; episode_open starts a new episode."},
	{astra.ErrRefused, ""},
	{astra.ErrUnsupported, ""},
}

// toolError turns an error of the gateway into what the caller reads. Errors that have
// no row are ours: their text may name what is hidden, so it is logged and not shown.
func (s *Server) toolError(err error) *protocol.CallToolResult {
	for _, a := range advice {
		if errors.Is(err, a.is) {
			return failed(sentence(shown(err, a.is), a.text))
		}
	}
	if !errors.Is(err, context.Canceled) { // the client hung up
		s.log.Error("tool call failed", "error", err)
	}
	return failed("astra could not do this; it was not your doing. Try again.")
}

// shown is the text of an error without what it wraps, if that may tell of hidden things:
// only a refusal and a missing name speak of what the caller itself sent.
func shown(err, is error) string {
	if is == astra.ErrRefused || is == astra.ErrNotFound || is == astra.ErrUnsupported {
		return err.Error()
	}
	return is.Error()
}

func sentence(what, advice string) string {
	if advice == "" {
		return what + "."
	}
	return what + ". " + advice
}

// readError is toolError for prompts, resources and completions, which have no result
// that could carry it.
func (s *Server) readError(err error) error {
	for _, a := range advice {
		if errors.Is(err, a.is) {
			return errors.New(shown(err, a.is))
		}
	}
	if !errors.Is(err, context.Canceled) {
		s.log.Error("read failed", "error", err)
	}
	return errors.New("astra could not do this")
}

// A substitute replaces whatever the library would answer.
type substitute interface {
	body(id json.RawMessage) []byte // the whole JSON-RPC message; a nil id is null
	write(w http.ResponseWriter, id json.RawMessage)
}

// A rpcError is a substitute that is a JSON-RPC error.
type rpcError struct {
	status  int             // of HTTP
	Code    int             `json:"code"`
	Message string          `json:"message"`
	Data    json.RawMessage `json:"data,omitempty"`
}

func (e *rpcError) Error() string { return e.Message }

// missingCapability is the error of a request that needs what the client did not declare.
// The library answers a handler's error with -32603, whatever it is.
func missingCapability(name string) *rpcError {
	return &rpcError{
		status:  http.StatusBadRequest,
		Code:    protocol.MISSING_REQUIRED_CLIENT_CAPABILITY,
		Message: "missing required client capability: " + name,
		Data:    json.RawMessage(fmt.Sprintf(`{"requiredCapabilities":{%q:{}}}`, name)),
	}
}

func (e *rpcError) body(id json.RawMessage) []byte {
	b, err := json.Marshal(struct {
		JSONRPC string          `json:"jsonrpc"`
		ID      json.RawMessage `json:"id"`
		Error   *rpcError       `json:"error"`
	}{protocol.JSONRPC_VERSION, id, e})
	if err != nil {
		panic(err) // an id that was parsed from JSON, and strings
	}
	return append(b, '\n')
}

func (e *rpcError) write(w http.ResponseWriter, id json.RawMessage) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(e.status)
	_, _ = w.Write(e.body(id)) // the client is gone if this fails
}
