package openenv

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/coder/websocket"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/httpapi/harness"
)

// A talk answers the messages of one WebSocket in their order; nil ends it.
type talk func(ctx context.Context, in *session, message []byte) any

// complaint is what a talk says when its session is not, or no more.
type complaint func(ctx context.Context, err error) any

// playSocket is /ws: a session of its own, or that of session_id.
func (s *Server) playSocket(w http.ResponseWriter, r *http.Request) {
	s.serveSocket(w, r, s.play, func(ctx context.Context, err error) any { return s.errorFrame(ctx, err) })
}

// serveSocket takes a WebSocket. An environment that is not there is an answer of HTTP; that
// there is no room is said over the WebSocket, as the answer to the client's first message.
func (s *Server) serveSocket(w http.ResponseWriter, r *http.Request, speak talk, complain complaint) {
	if _, err := s.house.PublicArena(r.Context(), r.PathValue("arena")); err != nil {
		s.fail(w, r, err)
		return
	}
	conn, err := websocket.Accept(w, r, nil) // it has answered if this fails
	if err != nil {
		return
	}
	defer conn.CloseNow() // does nothing if it is closed
	conn.SetReadLimit(maxMessage)
	ctx := context.WithoutCancel(r.Context()) // of a connection that is not net/http's any more
	in, leave, err := s.join(ctx, r)
	if err != nil {
		turnAway(ctx, conn, complain(ctx, err))
		return
	}
	defer leave()
	converse(ctx, &socket{conn, r}, in, speak, complain)
}

// A socket is a WebSocket, and the request that it was.
type socket struct {
	*websocket.Conn
	was *http.Request
}

// A message came over a socket, and is left when it was answered.
type message struct {
	text  []byte
	leave func()
}

// hearTimeout is how long a message may take to come, from its first byte: as a body may.
const hearTimeout = 2 * time.Minute

// hear reads a message.
func (c *socket) hear(ctx context.Context) (m message, err error) {
	ctx, late := context.WithCancel(ctx)
	defer late()
	_, in, err := c.Reader(ctx)
	if err != nil {
		return m, err
	}
	defer time.AfterFunc(hearTimeout, late).Stop()
	m.text, m.leave, err = harness.ReadMessage(ctx, c.was, in, maxMessage)
	return m, err
}

// refusedFor is how long a client that is turned away may take to send its first message.
const refusedFor = 5 * time.Second

// turnAway says why there is no session, and closes. openenv-core's client, which speaks
// first, reads no answer once a connection is closed; so its first message is waited for.
func turnAway(ctx context.Context, conn *websocket.Conn, why any) {
	if send(ctx, conn, why) != nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, refusedFor)
	defer cancel()
	_, _, _ = conn.Read(ctx) // whatever comes, or nothing
	_ = conn.Close(websocket.StatusTryAgainLater, "")
}

// join finds the session that a WebSocket plays in.
func (s *Server) join(ctx context.Context, r *http.Request) (in *session, leave func(), err error) {
	id := r.URL.Query().Get("session_id")
	if id == "" {
		if in, err = s.begin(ctx, r.PathValue("arena")); err != nil {
			return nil, nil, err
		}
		return in, func() { in.end("the connection was closed") }, in.attach()
	}
	if in, err = s.table.find(r.PathValue("arena"), id); err != nil {
		return nil, nil, err
	}
	return in, in.detach, in.attach()
}

// maxQueued is how many messages of a WebSocket may wait. Clients send one and wait for its
// answer.
const maxQueued = 4

// converse reads and answers until the client or the session ends. Messages are read while one
// is worked on, as pings are answered by whoever reads: a client that gets no answer to its
// pings gives the connection up, Python's after 20 seconds.
func converse(ctx context.Context, conn *socket, in *session, speak talk, complain complaint) {
	ctx, lost := context.WithCancel(ctx)
	messages := make(chan message, maxQueued)
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer lost()
		listen(ctx, conn, messages)
	}()
	defer func() {
		lost()
		<-done
		for len(messages) > 0 {
			(<-messages).leave()
		}
	}()
	for {
		select {
		case <-ctx.Done():
			return
		case <-in.gone:
			_ = send(ctx, conn.Conn, complain(ctx, in.alive())) // it is closed either way
			_ = conn.Close(websocket.StatusGoingAway, "")
			return
		case m := <-messages:
			reply := speak(ctx, in, m.text)
			m.leave()
			if reply == nil {
				_ = conn.Close(websocket.StatusNormalClosure, "") // the client has closed it if this fails
				return
			}
			if send(ctx, conn.Conn, reply) != nil {
				return
			}
		}
	}
}

// listen hands on what it reads, until the connection is lost.
func listen(ctx context.Context, conn *socket, messages chan<- message) {
	for {
		m, err := conn.hear(ctx)
		if errors.Is(err, astra.ErrFull) {
			_ = conn.Close(websocket.StatusTryAgainLater, "too many large messages come at once")
		}
		if err != nil {
			return
		}
		select {
		case messages <- m:
		default:
			m.leave()
			_ = conn.Close(websocket.StatusPolicyViolation, "wait for answers before you send more")
			return
		}
	}
}

// sendTimeout is how long a client may take to receive an answer.
const sendTimeout = 30 * time.Second

func send(ctx context.Context, conn *websocket.Conn, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, sendTimeout, errors.New("the client does not receive"))
	defer cancel()
	return conn.Write(ctx, websocket.MessageText, b)
}
