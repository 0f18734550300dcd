package mcp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"

	protocol "github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

// A reply is the response to one request. It answers with the substitute that a handler set, if
// it did, and turns into a stream of events when a handler sends a notification.
//
// The library would send notifications from another goroutine, by a channel that all
// streams of a session share. They are lost if the response comes first
// (mark3labs/mcp-go#969), or arrive after it on another connection. So notify writes them
// here, at once, and the response follows on the same stream.
type reply struct {
	request *request
	flusher http.Flusher // nil if nothing can be streamed

	mu      sync.Mutex
	out     http.ResponseWriter
	started bool
	stream  bool // events, begun by us
	done    bool // the response is written; the library's own is dropped
}

func newReply(w http.ResponseWriter, q *request) *reply {
	flusher, _ := w.(http.Flusher)
	return &reply{request: q, flusher: flusher, out: w}
}

// Header is that of the response.
func (w *reply) Header() http.Header { return w.out.Header() }

// WriteHeader begins the library's response.
func (w *reply) WriteHeader(status int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.start(status)
}

// start is called with the lock.
func (w *reply) start(status int) {
	if w.started {
		return
	}
	w.started = true
	if w.out.Header().Get("Content-Type") == eventStream {
		w.out.Header().Set("X-Accel-Buffering", "no") // or a proxy holds events back
	} else if a := w.request.instead; a != nil {
		w.done = true
		a.write(w.out, w.request.id())
		return
	}
	w.out.WriteHeader(status)
}

const eventStream = "text/event-stream"

// Write writes what the library answers: an event, or a whole JSON message, which on a
// stream that we began becomes the last event.
func (w *reply) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.start(http.StatusOK)
	if w.done {
		return len(b), nil
	}
	message, isEvent := bytes.CutPrefix(b, eventHead)
	if isEvent && !isResponse(message) || !isEvent && !w.stream {
		return w.out.Write(b)
	}
	w.done = true
	if a := w.request.instead; a != nil {
		message = a.body(w.request.id())
	}
	return len(b), w.event(message)
}

var eventHead = []byte("event: message\ndata: ")

// isResponse tells the event that ends a stream from those before it. Those may be written
// by another goroutine, so they must not look at what the handler sets.
func isResponse(message []byte) bool {
	var m struct {
		Method string `json:"method"`
	}
	return json.Unmarshal(message, &m) == nil && m.Method == ""
}

// event is called with the lock.
func (w *reply) event(message []byte) error {
	if _, err := fmt.Fprintf(w.out, "event: message\ndata: %s\n\n", bytes.TrimSpace(message)); err != nil {
		return err
	}
	w.flusher.Flush()
	return nil
}

// Flush sends what was written so far.
func (w *reply) Flush() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.flusher != nil {
		w.flusher.Flush()
	}
}

// CanStream reports whether events reach the client as they are written.
func (w *reply) CanStream() bool { return w.flusher != nil }

var errNoStream = errors.New("no stream to send a notification on")

// notify writes a notification ahead of the response.
func (w *reply) notify(n protocol.JSONRPCNotification) error {
	b, err := json.Marshal(n)
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.flusher == nil || w.done {
		return errNoStream
	}
	if !w.started {
		w.out.Header().Set("Content-Type", eventStream)
		w.out.Header().Set("Cache-Control", "no-cache")
		w.stream = true
		w.start(http.StatusOK)
	}
	return w.event(b)
}

// notify sends a notification to the client of the request being handled, ahead of the
// response to it.
func notify(ctx context.Context, method string, params map[string]any) error {
	n := protocol.JSONRPCNotification{JSONRPC: protocol.JSONRPC_VERSION,
		Notification: protocol.Notification{Method: method, Params: protocol.NotificationParams{AdditionalFields: params}}}
	q := requestFrom(ctx)
	switch {
	case q == nil:
		return errNoStream
	case q.reply != nil:
		return q.reply.notify(n)
	case q.process != nil: // stdio writes it before the response
		return send(server.ClientSessionFromContext(ctx), n)
	}
	return errNoStream
}

// send hands a notification to a client's stream, and never waits for it.
func send(to server.ClientSession, n protocol.JSONRPCNotification) error {
	select {
	case to.NotificationChannel() <- n:
		return nil
	default:
		return server.ErrNotificationChannelBlocked
	}
}
