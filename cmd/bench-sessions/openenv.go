package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/coder/websocket"
)

// An openEnv is a session over OpenEnv's WebSocket, where the connection is the session.
type openEnv struct {
	client *http.Client
	url    string
	seed   int
	conn   *websocket.Conn
}

// openEnvs makes sessions at url. In OpenEnv a seed is all that reset needs; astra's face takes
// it for the number of the task.
func openEnvs(m *meter, url string) func(i int) session {
	client := &http.Client{Transport: &http.Transport{DialContext: m.dial}}
	return func(i int) session { return &openEnv{client: client, url: url, seed: seedOf(i)} }
}

func (s *openEnv) opening() []act { return []act{{connecting, s.connect}, {resetting, s.reset}} }

func (s *openEnv) connect(ctx context.Context) (err error) {
	s.conn, _, err = websocket.Dial(ctx, s.url, &websocket.DialOptions{HTTPClient: s.client})
	if err == nil {
		s.conn.SetReadLimit(maxReply)
	}
	return err
}

func (s *openEnv) reset(ctx context.Context) error {
	_, err := s.ask(ctx, object{"type": "reset", "data": object{"seed": s.seed}})
	return err
}

func (s *openEnv) call(ctx context.Context, query string) (*finding, error) {
	b, err := s.ask(ctx, object{"type": "step", "data": object{"type": "call_tool", "tool_name": "find_items", "arguments": object{"query": query}}})
	if err != nil {
		return nil, err
	}
	var o struct{ Observation struct{ Result *toolResult } }
	if err := json.Unmarshal(b, &o); err != nil || o.Observation.Result == nil {
		return nil, fmt.Errorf("an observation without a result")
	}
	return o.Observation.Result.bare(), nil
}

// A toolResult is what a tool returned: bare, or as a tool result of MCP's, which has it as data.
type toolResult struct {
	finding
	Data *finding
}

func (r *toolResult) bare() *finding {
	if r.Data != nil {
		return r.Data
	}
	return &r.finding
}

// ask sends a message and returns the data of the observation that answers it.
func (s *openEnv) ask(ctx context.Context, message object) (json.RawMessage, error) {
	if err := s.conn.Write(ctx, websocket.MessageText, marshal(message)); err != nil {
		return nil, err
	}
	_, b, err := s.conn.Read(ctx)
	if err != nil {
		return nil, err
	}
	var reply struct {
		Type string
		Data json.RawMessage
	}
	if err := json.Unmarshal(b, &reply); err != nil {
		return nil, err
	}
	if reply.Type != "observation" {
		return nil, fmt.Errorf("%s: %.100s", reply.Type, reply.Data)
	}
	return reply.Data, nil
}

// end waits for the server to close, which it does once the environment is gone.
func (s *openEnv) end(ctx context.Context) error {
	if err := s.conn.Write(ctx, websocket.MessageText, []byte(`{"type":"close"}`)); err != nil {
		return err
	}
	_, _, err := s.conn.Read(ctx)
	if websocket.CloseStatus(err) == -1 {
		return fmt.Errorf("the server did not close: %w", err)
	}
	return nil
}

func (s *openEnv) hangUp() {
	if s.conn != nil {
		s.conn.CloseNow()
	}
}
