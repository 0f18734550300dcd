package ors

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/httpapi/harness"
)

// A toolCall is a request to call a tool. The task_id is one that was given out before: the
// client lost the answer, and asks for it again.
type toolCall struct {
	Name   *string         `json:"name"`
	Input  json.RawMessage `json:"input"`
	TaskID string          `json:"task_id"`
}

// maxTaskID bounds a task_id, in bytes: it is part of an idempotency key.
const maxTaskID = 200

func (c *toolCall) check() error {
	switch {
	case c.Name == nil:
		return harness.Refuse(http.StatusUnprocessableEntity, "body.name: field required")
	case len(c.Input) == 0 || c.Input[0] != '{':
		return harness.Refuse(http.StatusUnprocessableEntity, "body.input: must be an object")
	case len(c.TaskID) > maxTaskID:
		return harness.Refuse(http.StatusUnprocessableEntity, "body.task_id: at most %d bytes", maxTaskID)
	}
	return nil
}

// call runs a tool. The task_id leaves before the call begins, so that a client that loses the
// connection knows by which to ask; the call goes on without it.
func (s *Server) call(w http.ResponseWriter, r *http.Request, in session) error {
	var c toolCall
	if err := read(r, &c, "name", "input", "task_id"); err != nil {
		return err
	}
	if err := c.check(); err != nil {
		return err
	}
	again := c.TaskID != ""
	if !again {
		c.TaskID = rand.Text()
	}
	st := newStream(w)
	st.event("task_id", c.TaskID)
	st.flush()
	ctx := context.WithoutCancel(r.Context())
	running := s.calls.DoChan(in.id+"\x00"+c.TaskID, func() (_ any, err error) {
		defer recovered(&err) // net/http does so in its goroutines alone
		return s.run(ctx, in, &c, again)
	})
	s.finish(ctx, st, s.await(st, running))
	return nil
}

// recovered makes an error of a panic.
func recovered(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
	}
}

// await waits for a call, bounded by what limits tools, and keeps the connection alive.
func (s *Server) await(st *stream, running <-chan singleflight.Result) singleflight.Result {
	tick := time.NewTicker(s.opts.Ping)
	defer tick.Stop()
	for {
		select {
		case done := <-running:
			return done
		case <-tick.C:
			st.ping()
			st.flush()
		}
	}
}

// finish sends the reply. The event error ends the session at its client, so it is for what
// leaves no session, or is unknown.
func (s *Server) finish(ctx context.Context, st *stream, done singleflight.Result) {
	err := done.Err
	var b []byte
	if err == nil {
		b, err = json.Marshal(done.Val)
	}
	switch refusal, ok := errors.AsType[*harness.Refusal](err); {
	case err == nil:
		st.send(string(b))
		return
	case ok:
		st.event("error", refusal.Text)
	default:
		s.log.ErrorContext(ctx, "call failed", "reason", err)
		st.event("error", internal)
	}
	st.flush()
}

func (s *Server) run(ctx context.Context, in session, c *toolCall, again bool) (reply *reply, err error) {
	switch *c.Name {
	case submitTool:
		reply, err = s.submit(ctx, in, c.Input, again)
	case turnTool:
		reply, err = s.turn(ctx, in, c.Input, again)
	default:
		reply, err = s.step(ctx, in, c)
	}
	if err != nil {
		return s.refused(ctx, in, err)
	}
	return reply, nil
}

func (s *Server) step(ctx context.Context, in session, c *toolCall) (*reply, error) {
	call, err := s.meant(ctx, in, c)
	if err != nil {
		return nil, err
	}
	step, err := s.house.Call(ctx, in.episode, call)
	if err != nil {
		return nil, err
	}
	if step.Result.Fault != astra.FaultAgent {
		return said(step.Result.Text()), nil
	}
	tool, err := s.inView(ctx, in, call.Tool)
	if err != nil {
		return nil, err
	}
	why := badInput
	if tool == nil {
		why = notFound
	}
	return wrong(why, step.Result.Text()), nil
}

// meant is the call that a client means: what it says by aliases and null is told by the tool,
// which is looked up where there may be such.
func (s *Server) meant(ctx context.Context, in session, c *toolCall) (astra.Call, error) {
	call := astra.Call{Tool: *c.Name, Args: c.Input, Key: "ors/" + c.TaskID}
	of, is := isAlias(call.Tool)
	if !is && !mayBeMeant(c.Input) {
		return call, nil
	}
	tool, err := s.inView(ctx, in, call.Tool)
	if tool == nil && is && err == nil {
		call.Tool = of
		tool, err = s.inView(ctx, in, of)
	}
	if tool != nil {
		call.Args = meant(c.Input, tool.Input)
	}
	return call, err
}

// inView is a tool of the arena that the agent may call, nil if it is none.
func (s *Server) inView(ctx context.Context, in session, name string) (*astra.PublicTool, error) {
	tools, err := s.house.Tools(ctx, in.episode)
	for i := range tools {
		if tools[i].Name == name {
			return &tools[i], err
		}
	}
	return nil, err
}

// submit scores the episode. Only who submits is told the reward, and whoever sends that call
// again: another episode_submit is a call after the end.
func (s *Server) submit(ctx context.Context, in session, input json.RawMessage, again bool) (*reply, error) {
	var args struct {
		Answer *string `json:"answer"`
	}
	if err := parse(input, &args, []string{"answer"}); err != nil {
		return wrong(badInput, err.Error()), nil
	}
	if !again {
		rec, err := s.house.Episode(ctx, in.episode)
		if err != nil {
			return nil, err
		}
		if rec.Over() {
			return nil, astra.ErrEnded
		}
	}
	if args.Answer != nil {
		*args.Answer = harness.Clip(*args.Answer)
	}
	score, err := s.house.Submit(ctx, in.episode, astra.Submitted{Answer: args.Answer})
	if err != nil {
		return nil, err
	}
	s.sessions.Forget(in.id)
	return over(&score.Reward), nil
}

// turn hands out the next message.
func (s *Server) turn(ctx context.Context, in session, input json.RawMessage, again bool) (*reply, error) {
	var args struct {
		Reply string `json:"reply"`
	}
	if err := parse(input, &args, []string{"reply"}); err != nil {
		return wrong(badInput, err.Error()), nil
	}
	args.Reply = harness.Clip(args.Reply)
	if again {
		if reply, err := s.turned(ctx, in, args.Reply); reply != nil || err != nil {
			return reply, err
		}
	}
	next, err := s.house.Turn(ctx, in.episode, args.Reply)
	switch {
	case err != nil:
		return nil, err
	case next.Done:
		return said(noMore), nil
	}
	return said(next.Message), nil
}

const noMore = "There are no more messages. Call " + submitTool + " with your final answer."

// turned is what the turn was answered with that was closed last, if that was with this reply
// and nothing was called since: the log has no keys of turns. Nil if it was not.
func (s *Server) turned(ctx context.Context, in session, text string) (*reply, error) {
	rec, err := s.house.Episode(ctx, in.episode)
	if err != nil || rec.Over() {
		return nil, err
	}
	now := rec.Turns[len(rec.Turns)-1]
	if now.Reply != nil && *now.Reply == text {
		return said(noMore), nil
	}
	called := len(rec.Steps) > 0 && rec.Steps[len(rec.Steps)-1].Turn == now.Index
	if now.Index == 1 || now.Reply != nil || called {
		return nil, nil
	}
	if before := rec.Turns[now.Index-2].Reply; before == nil || *before != text {
		return nil, nil
	}
	return said(now.Prompt), nil
}

// refused is the reply to a call that could not be made; an error is for what the client
// cannot go on after.
func (s *Server) refused(ctx context.Context, in session, err error) (*reply, error) {
	switch {
	case errors.Is(err, astra.ErrEnded), errors.Is(err, astra.ErrInvalid):
		return s.ended(ctx, in)
	case errors.Is(err, astra.ErrRefused):
		return said(err.Error()), nil
	}
	for _, known := range []error{astra.ErrBudget, astra.ErrBusy, astra.ErrConflict} {
		if errors.Is(err, known) {
			return said(known.Error()), nil
		}
	}
	return nil, fmt.Errorf("episode %s: %w", in.episode, err)
}

// ended is the reply to a call of an episode that is over.
func (s *Server) ended(ctx context.Context, in session) (*reply, error) {
	s.sessions.Forget(in.id)
	rec, err := s.house.Episode(ctx, in.episode)
	if err != nil {
		return nil, err
	}
	switch end := rec.Ended; {
	case end == nil:
		return over(nil), nil
	case end.As == astra.StatusInvalid:
		return nil, harness.Refuse(http.StatusGone, "the episode is invalid by a fault of the %s, which is not the agent's doing: it has no score, so do not train on it", end.Fault)
	case end.As == astra.StatusAborted, end.As == astra.StatusExpired:
		return nil, errDeleted
	}
	return over(nil), nil
}
