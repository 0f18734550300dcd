package openenv

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/astra-arenas/astra/httpapi/harness"
)

// A frame is a message to a client over /ws.
type frame struct {
	Type string `json:"type"`
	Data any    `json:"data"`
}

func (s *Server) errorFrame(ctx context.Context, err error) frame {
	return frame{"error", s.problemOf(ctx, err)}
}

// A request is a message of a client over /ws.
type request struct {
	kind string
	data json.RawMessage
}

// readRequest reads {"type", "data"}; which of them may have data is OpenEnv's choice.
func readRequest(raw []byte) (request, error) {
	if raw = harness.FromPython(raw); !json.Valid(raw) {
		return request{}, &frameError{invalidJSON, "Invalid JSON"}
	}
	f := object(raw)
	q := request{kind: f.text("type", maxText)}
	if err := f.err(); err != nil {
		return q, err
	}
	switch q.kind {
	case "reset", "step", "mcp":
		if q.data = f.dictionary("data"); q.data == nil && len(f.flaws) == 0 && q.kind != "reset" {
			f.required("data")
		}
	case "state", "close":
	default:
		return q, &frameError{unknownType, fmt.Sprintf("Unknown message type: %q", clip(q.kind))}
	}
	f.nothingElse()
	if q.data == nil {
		q.data = json.RawMessage("{}")
	}
	return q, f.err()
}

// play is the talk of /ws.
func (s *Server) play(ctx context.Context, in *session, message []byte) any {
	q, err := readRequest(message)
	switch {
	case err != nil:
	case q.kind == "close":
		return nil
	case q.kind == "mcp":
		return frame{"mcp", s.rpc(ctx, in.arena, in, q.data)}
	default:
		var reply frame
		if reply, err = in.answer(ctx, q); err == nil {
			return reply
		}
	}
	return s.errorFrame(ctx, err)
}

// answer does what a message asks of its session.
func (s *session) answer(ctx context.Context, q request) (reply frame, err error) {
	reply.Type = "observation"
	switch q.kind {
	case "reset":
		var c choice
		if c, err = readChoice(q.data); err != nil {
			return reply, err
		}
		err = s.use(func() error { reply.Data, err = s.reset(ctx, c); return err })
	case "step":
		var a action
		if a, err = readAction(q.data); err != nil {
			return reply, err
		}
		err = s.use(func() error { reply.Data, err = s.step(ctx, a); return err })
	case "state":
		reply.Type = "state"
		err = s.use(func() error { reply.Data, err = s.state(ctx); return err })
	}
	return reply, err
}
