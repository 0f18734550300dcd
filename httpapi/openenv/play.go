package openenv

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
	"github.com/astra-arenas/astra/httpapi/harness"
)

// A play is one episode of a session.
type play struct {
	key     string // the id by which the house knows it
	episode astra.EpisodeID
	name    string // what the client calls it, else the episode's own
	prompt  string
	entry   *gateway.Entry
	scored  bool
}

// drop aborts what is played, if it goes on. It is called with work held, as all below.
func (s *session) drop(ctx context.Context, why string) error {
	if s.play == nil || s.play.scored {
		return nil
	}
	return s.server.keys.Abort(ctx, s.play.key, why)
}

// reset begins an episode in place of the one before.
func (s *session) reset(ctx context.Context, c choice) (*result, error) {
	p, err := s.open(ctx, c)
	if err != nil {
		return nil, err
	}
	return &result{Observation: start{p.prompt, p.entry.Task.ID, startMeta{p.prompt, p.entry.Task.ID}}}, nil
}

func (s *session) open(ctx context.Context, c choice) (*play, error) {
	_, list, err := s.server.house.Tasks(ctx, s.arena)
	if err != nil {
		return nil, err
	}
	entry, err := c.pick(list)
	if err != nil {
		return nil, err
	}
	if err := s.drop(ctx, "the session was reset"); err != nil {
		return nil, err
	}
	p := &play{key: s.server.keys.NewID(), entry: entry}
	// A client that is lost meanwhile must not leave an episode that nobody here knows of.
	o, err := s.server.keys.Open(context.WithoutCancel(ctx), p.key, harness.Choice{Arena: s.arena, Task: entry.Task.ID})
	if err != nil {
		return nil, s.openError(err)
	}
	p.episode, p.prompt, p.name = o.Episode, o.Message, c.episode
	if p.name == "" {
		p.name = string(o.Episode)
	}
	s.play = p
	return p, nil
}

// opened is the episode that is played, or one begun as a bare reset would.
func (s *session) opened(ctx context.Context) (*play, error) {
	if s.play != nil {
		return s.play, nil
	}
	return s.open(ctx, choice{})
}

// tools are those in view, or before a reset all that there may be.
func (s *session) tools(ctx context.Context) ([]tool, error) {
	if s.play == nil {
		return s.server.toolsOf(ctx, s.arena)
	}
	list, err := s.server.house.Episodes.Tools(ctx, s.play.episode)
	if err != nil {
		return nil, err
	}
	return withOurs(list, s.play.entry.Own > 1), nil
}

// step does what an action says.
func (s *session) step(ctx context.Context, a action) (*result, error) {
	if !a.calls {
		list, err := s.tools(ctx)
		return &result{Observation: listed{list}, Done: s.play != nil && s.play.scored}, err
	}
	p, err := s.opened(ctx)
	if err != nil {
		return nil, err
	}
	switch {
	case a.tool == submitTool:
		return s.submit(ctx, p, a.args)
	case a.tool == turnTool && p.entry.Own > 1:
		return s.turn(ctx, p, a.args)
	}
	step, err := s.server.house.Call(ctx, p.episode, astra.Call{Tool: a.tool, Args: a.args})
	if err != nil {
		return s.trouble(ctx, p, a.tool, err)
	}
	if step.Result.OK() {
		return &result{Observation: called{ToolName: step.Tool, Result: returns(step.Result.Value)}}, nil
	}
	return failed(step.Tool, s.kindOf(ctx, p, &step), step.Result.Error), nil
}

// kindOf is OpenEnv's word for why a step failed.
func (s *session) kindOf(ctx context.Context, p *play, step *astra.Step) string {
	if step.Result.Fault != astra.FaultAgent {
		return executionError
	}
	if task, err := s.server.house.Public(ctx, p.episode); err == nil && !slices.Contains(task.Tools, step.Tool) {
		return toolNotFound
	}
	return invalidArgs
}

// submit ends the episode: the reward is in what it returns, beside the observation.
func (s *session) submit(ctx context.Context, p *play, args json.RawMessage) (*result, error) {
	answer, err := readOne(args, "answer")
	if err != nil {
		return failed(submitTool, invalidArgs, err.Error()), nil
	}
	score, err := s.server.house.Submit(ctx, p.episode, astra.Submitted{Answer: answer})
	if err != nil {
		return s.trouble(ctx, p, submitTool, err)
	}
	p.scored = true
	s.server.keys.Forget(p.key)
	reward := score.Reward
	return &result{Observation: called{ToolName: submitTool, Result: returns(json.RawMessage(`{"submitted":true}`))}, Reward: &reward, Done: true}, nil
}

func (s *session) turn(ctx context.Context, p *play, args json.RawMessage) (*result, error) {
	reply, err := readOne(args, "reply")
	if err != nil {
		return failed(turnTool, invalidArgs, err.Error()), nil
	}
	var text string
	if reply != nil {
		text = *reply
	}
	next, err := s.server.house.Turn(ctx, p.episode, text)
	if err != nil {
		return s.trouble(ctx, p, turnTool, err)
	}
	var value bytes.Buffer
	e := json.NewEncoder(&value)
	e.SetEscapeHTML(false) // it is text for a model, too
	if err := e.Encode(next); err != nil {
		return nil, err
	}
	return &result{Observation: called{ToolName: turnTool, Result: returns(bytes.TrimSpace(value.Bytes()))}}, nil
}

// readOne reads arguments that are one text at most.
func readOne(args json.RawMessage, name string) (*string, error) {
	if args == nil {
		return nil, nil
	}
	f := object(args)
	var text string
	there := f.into(name, &text, "string_type", "string")
	f.nothingElse()
	if err := f.err(); err != nil || !there {
		return nil, err
	}
	text = harness.Clip(text)
	return &text, nil
}

func failed(tool, kind, message string) *result {
	return &result{Observation: called{ToolName: tool, Error: &toolError{kind, message}}}
}

// trouble tells apart what a model may hear and go on, and what its harness must know.
func (s *session) trouble(ctx context.Context, p *play, tool string, err error) (*result, error) {
	switch {
	case errors.Is(err, astra.ErrBudget):
		return failed(tool, executionError, "the call budget is spent: submit what you have found so far"), nil
	case errors.Is(err, astra.ErrRefused), errors.Is(err, astra.ErrUnsupported):
		return failed(tool, invalidArgs, err.Error()), nil
	case errors.Is(err, astra.ErrEnded):
		return s.after(ctx, p, tool)
	}
	return nil, err
}

// after answers a call after the end, which is harmless where there is a score.
func (s *session) after(ctx context.Context, p *play, tool string) (*result, error) {
	rec, err := s.server.house.Episode(ctx, p.episode)
	if err != nil {
		return nil, err
	}
	if rec.Score == nil {
		return nil, &noScore{rec.Status, rec.Ended}
	}
	r := failed(tool, executionError, "the episode is over: reset begins another")
	r.Done = true
	return r, nil
}

// state tells where the session is.
func (s *session) state(ctx context.Context) (*state, error) {
	if s.play == nil {
		return &state{}, nil
	}
	rec, err := s.server.house.Episode(ctx, s.play.episode)
	if err != nil {
		return nil, err
	}
	return &state{Episode: &s.play.name, Steps: len(rec.Steps), Task: s.play.entry.Task.ID, Status: string(rec.Status)}, nil
}
