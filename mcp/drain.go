package mcp

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	protocol "github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

// drainLimit is how long a notification is waited for. It is reached only if the stream
// that took the notification broke before it was written.
const drainLimit = time.Second

// A drain tells who sent a notification when it has been written. The library takes
// notifications off a channel in another goroutine, and the response may close the stream
// while one is in that goroutine's hands (mark3labs/mcp-go#969): it is then lost. So
// notify returns only when the bytes of its notification have passed the response writer.
type drain struct {
	waiting atomic.Int64 // spares every other write the lock

	mu   sync.Mutex
	sent map[event][]chan struct{}
}

// An event is a notification on its way. Its scope is the legacy session, whose streams
// share one channel, or the one request.
type event struct {
	scope any
	data  string
}

func newDrain() *drain { return &drain{sent: map[event][]chan struct{}{}} }

var (
	eventHead = []byte("event: message\ndata: ")
	eventTail = []byte("\n\n")
)

// expect announces an event; the channel is closed when it is written.
func (d *drain) expect(e event) chan struct{} {
	done := make(chan struct{})
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sent[e] = append(d.sent[e], done)
	d.waiting.Add(1)
	return done
}

// wrote looks at what passes a response writer: the library writes an event at once.
func (d *drain) wrote(q *request, b []byte) {
	if d.waiting.Load() == 0 {
		return
	}
	data, ok := bytes.CutPrefix(b, eventHead)
	if !ok {
		return
	}
	d.settle(event{scope(q), string(bytes.TrimSuffix(data, eventTail))}, true)
}

// settle takes one expectation off the list: its event was written, or given up.
func (d *drain) settle(e event, written bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	list := d.sent[e]
	if len(list) == 0 {
		return
	}
	if written {
		close(list[0])
	}
	d.waiting.Add(-1)
	if d.sent[e] = list[1:]; len(list) == 1 {
		delete(d.sent, e)
	}
}

func scope(q *request) any {
	if id := q.header.Get(server.HeaderKeySessionID); id != "" {
		return id
	}
	return q
}

// notify sends a notification to the client of the request being handled, and returns when
// it has been written.
func notify(ctx context.Context, method string, params map[string]any) error {
	q, to := requestFrom(ctx), server.ClientSessionFromContext(ctx)
	if q == nil || to == nil {
		return fmt.Errorf("%s: no client to send it to", method)
	}
	n := protocol.JSONRPCNotification{JSONRPC: protocol.JSONRPC_VERSION,
		Notification: protocol.Notification{Method: method, Params: protocol.NotificationParams{AdditionalFields: params}}}
	if q.process != nil { // written before the response, in order
		return send(to, n)
	}
	data, err := json.Marshal(n)
	if err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	e := event{scope(q), string(data)}
	done := q.door.drain.expect(e)
	if err := send(to, n); err != nil {
		q.door.drain.settle(e, false)
		return err
	}
	return q.door.drain.wait(ctx, e, done)
}

func (d *drain) wait(ctx context.Context, e event, done chan struct{}) error {
	timer := time.NewTimer(drainLimit)
	defer timer.Stop()
	select {
	case <-done:
		return nil
	case <-timer.C:
	case <-ctx.Done():
	}
	d.settle(e, false)
	return fmt.Errorf("the client's stream broke")
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
