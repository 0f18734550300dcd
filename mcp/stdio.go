package mcp

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"runtime/debug"
	"sync/atomic"

	protocol "github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

// stdioQueue is how many requests may wait; then the input is read no further.
const stdioQueue = 64

// stdioPrincipal owns the episodes that are opened over stdio. It is the same in every
// process, so that an id in a chat still works after the host was restarted.
const stdioPrincipal = "stdio"

// ServeStdio serves practice to the process at the other end of in and out, in one arena
// or, with the reference "", in the lobby. Requests are answered in the order in which they
// came, which the library's own stdio server does not promise. It returns when in ends or
// ctx does; in the latter case a read from in may still be waiting.
func (s *Server) ServeStdio(ctx context.Context, arenaRef string, in io.Reader, out io.Writer) error {
	d, err := s.explorerDoorOf(ctx, arenaRef)
	if err != nil {
		return err
	}
	return s.servePipe(ctx, d, in, out)
}

func (s *Server) servePipe(ctx context.Context, d *door, in io.Reader, out io.Writer) error {
	p := &pipe{server: s, door: d, id: rand.Text(), out: out, process: &session{owner: stdioPrincipal},
		queue: make(chan []byte, stdioQueue), notifications: make(chan protocol.JSONRPCNotification, 100)}
	return p.run(ctx, in)
}

// A pipe is the stdio transport, and its one session.
type pipe struct {
	server        *Server
	door          *door
	id            string // keeps requests of two pipes apart when one is cancelled
	process       *session
	queue         chan []byte
	notifications chan protocol.JSONRPCNotification
	initialized   atomic.Bool
	out           io.Writer
}

func (p *pipe) SessionID() string                                        { return p.id }
func (p *pipe) NotificationChannel() chan<- protocol.JSONRPCNotification { return p.notifications }
func (p *pipe) Initialize()                                              { p.initialized.Store(true) }
func (p *pipe) Initialized() bool                                        { return p.initialized.Load() }

// run answers what is read until in ends.
func (p *pipe) run(ctx context.Context, in io.Reader) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	read := make(chan error, 1)
	go func() { // not waited for if ctx ends: a read cannot be interrupted
		defer close(p.queue)
		read <- p.read(ctx, in)
	}()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case message, more := <-p.queue:
			if !more {
				return <-read
			}
			if err := p.answer(ctx, message); err != nil {
				return err
			}
		}
	}
}

// read queues requests. A notification does not wait behind them: it may cancel one.
func (p *pipe) read(ctx context.Context, in io.Reader) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 0, 64<<10), maxBody)
	for lines.Scan() {
		message := append([]byte(nil), lines.Bytes()...)
		if len(message) == 0 {
			continue
		}
		if isNotification(message) {
			p.handle(ctx, message)
			continue
		}
		select {
		case p.queue <- message:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("stdio: a message has at most 4 MiB and ends with a line break: %w", err)
	}
	return nil
}

func isNotification(message []byte) bool {
	var m struct {
		ID     json.RawMessage `json:"id"`
		Method string          `json:"method"`
	}
	return json.Unmarshal(message, &m) == nil && m.Method != "" && m.ID == nil
}

// answer handles a request and writes what it caused: notifications, then the response.
func (p *pipe) answer(ctx context.Context, message []byte) error {
	response := p.handle(ctx, message)
	for {
		select {
		case n := <-p.notifications:
			if err := p.write(n); err != nil {
				return err
			}
			continue
		default:
		}
		break
	}
	if response == nil {
		return nil
	}
	return p.write(response)
}

func (p *pipe) handle(ctx context.Context, message []byte) (response any) {
	q := &request{party: party{principal: stdioPrincipal}, door: p.door, process: p.process, body: message}
	defer func() {
		if v := recover(); v != nil {
			p.server.log.ErrorContext(ctx, "panic in handler", "panic", v, "stack", string(debug.Stack()))
			response = json.RawMessage(internalError().body(q.id()))
		}
	}()
	answer := p.door.mcp.HandleMessage(withRequest(p.door.mcp.WithContext(ctx, p), q), message)
	switch {
	case answer == nil:
		return nil
	case q.instead != nil:
		return json.RawMessage(q.instead.body(q.id()))
	}
	return answer
}

func (p *pipe) write(message any) error {
	b, err := json.Marshal(message)
	if err != nil {
		return err
	}
	_, err = p.out.Write(append(b, '\n'))
	return err
}

var _ server.ClientSession = (*pipe)(nil)
