package nemogym

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/httpapi/harness"
)

// maxArguments is more than the gateway takes of a call's arguments, so that it says so.
const maxArguments = 1 << 20

// tool makes a call. What goes wrong is told in the body, which the model reads.
func (s *Server) tool(w http.ResponseWriter, r *http.Request) error {
	id := sessionOf(r)
	ep, done, err := s.sessions.use(r.Context(), id)
	if err != nil {
		return err
	}
	defer done()
	raw, err := harness.ReadBody(r, maxArguments)
	if err != nil {
		return err
	}
	v := s.sessions.visits.of(id)
	if err := s.recall(r.Context(), v, ep); err != nil {
		return err
	}
	name, err := s.toolName(r.Context(), ep, r.PathValue("tool"))
	if err != nil {
		return err
	}
	c, first := v.enter(r.Context(), name, compact(raw))
	taken := false
	defer func() { v.leave(c, taken) }()
	if first {
		s.make(detached(r), ep, c, raw)
	}
	select {
	case <-c.done:
	case <-r.Context().Done():
		return nil // nobody is there to be told
	}
	taken = write(w, c.answer.status, c.answer.kind, []byte(c.answer.text)) == nil && r.Context().Err() == nil
	return nil
}

// use finds the episode of a session, for as long as a request takes.
func (s sessions) use(ctx context.Context, id string) (astra.EpisodeID, func(), error) {
	ep, done, err := s.Use(ctx, id)
	if errors.Is(err, astra.ErrNotFound) {
		return "", nil, errLost
	}
	return ep, done, err
}

// recall looks at the log of a session that this process did not seed.
func (s *Server) recall(ctx context.Context, v *visit, ep astra.EpisodeID) error {
	if !v.isNew() {
		return nil
	}
	rec, err := s.house.Episode(ctx, ep)
	if err != nil {
		return err
	}
	v.remember(s.lastCall(ctx, rec))
	return nil
}

func (s *Server) lastCall(ctx context.Context, rec *astra.Episode) *call {
	if len(rec.Steps) == 0 {
		return nil
	}
	last := rec.Steps[len(rec.Steps)-1]
	c := &call{tool: last.Tool, args: string(last.Args), done: make(chan struct{}), answer: s.told(ctx, rec.Episode, last)}
	close(c.done)
	return c
}

// compact is how equal arguments are told: as the gateway keeps them.
func compact(raw []byte) string {
	var b bytes.Buffer
	if len(bytes.TrimSpace(raw)) == 0 {
		return "{}"
	}
	if json.Compact(&b, raw) != nil {
		return string(raw)
	}
	return b.String()
}

// toolName takes away what agents that speak MCP put before a tool's name: mcp__SERVER__.
func (s *Server) toolName(ctx context.Context, ep astra.EpisodeID, name string) (string, error) {
	rest, namespaced := strings.CutPrefix(name, "mcp__")
	_, bare, ok := strings.Cut(rest, "__")
	if !namespaced || !ok {
		return name, nil
	}
	seen, err := s.inView(ctx, ep, name)
	if err != nil || seen {
		return name, err
	}
	return bare, nil
}

func (s *Server) inView(ctx context.Context, ep astra.EpisodeID, name string) (bool, error) {
	tools, err := s.house.Tools(ctx, ep)
	return slices.ContainsFunc(tools, func(t astra.PublicTool) bool { return t.Name == name }), err
}

// make makes a call whether or not its client is still there: it will ask again.
func (s *Server) make(ctx context.Context, ep astra.EpisodeID, c *call, args json.RawMessage) {
	defer close(c.done)
	c.answer = plain(http.StatusInternalServerError, "the call was broken off") // a panic
	step, err := s.house.Call(ctx, ep, astra.Call{Tool: c.tool, Args: args})
	if err != nil {
		c.answer = s.trouble(ctx, err)
		return
	}
	c.answer = s.told(ctx, ep, step)
}

// told is a step as a model reads it at any door: a string as it is, anything else as compact
// JSON; a failure's message. That there is no such tool is told as an object, so that nobody
// takes it for a missing page.
func (s *Server) told(ctx context.Context, ep astra.EpisodeID, step astra.Step) answer {
	res := step.Result
	switch {
	case res.OK():
		return valued(res.Value)
	case res.Fault == astra.FaultAgent:
		if seen, err := s.inView(ctx, ep, step.Tool); err == nil && !seen {
			return failed(http.StatusNotFound, res.Error)
		}
	}
	return plain(http.StatusUnprocessableEntity, res.Error)
}

func valued(value json.RawMessage) answer {
	var text string
	if len(value) > 0 && value[0] == '"' && json.Unmarshal(value, &text) == nil {
		return plain(http.StatusOK, text)
	}
	return answer{http.StatusOK, "application/json", string(value)}
}

func plain(status int, text string) answer {
	return answer{status, "text/plain; charset=utf-8", text}
}

func failed(status int, text string) answer {
	b, err := json.Marshal(map[string]string{"error": text})
	if err != nil {
		return plain(status, text)
	}
	return answer{status, "application/json", string(b)}
}

// trouble is what a model reads of a call that made no step.
func (s *Server) trouble(ctx context.Context, err error) answer {
	p := s.problem(ctx, err)
	return failed(p.status, p.Detail)
}
