package gateway

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/astra-arenas/astra"
)

const (
	maxAnswer   = 64 << 10 // bytes; verifiers' cost is estimated against it
	maxReply    = 64 << 10
	maxMessages = 4 << 20
)

// A NextTurn is the answer to a reply.
type NextTurn struct {
	Turn       int      `json:"turn"`    // its number
	Message    string   `json:"message"` // "" when done
	ToolsAdded []string `json:"tools_added,omitempty"`
	Done       bool     `json:"done"` // there are no more turns: submit
}

// Turn closes the turn being played with the agent's reply and hands out the next message.
func (g *Gateway) Turn(ctx context.Context, id astra.EpisodeID, reply string) (*NextTurn, error) {
	var next *NextTurn
	err := g.use(ctx, id, func(e *episode) (err error) {
		next, err = g.turn(ctx, e, reply)
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(next.ToolsAdded) > 0 && g.onToolsAdded != nil {
		g.onToolsAdded(id)
	}
	return next, nil
}

// Say closes the turn being played with the agent's reply, as Turn does, and has the
// task's simulated user say the next message. It is refused where the task has no such
// user, still has turns of its own, or has no more messages.
func (g *Gateway) Say(ctx context.Context, id astra.EpisodeID, reply, message string) (*NextTurn, error) {
	var next *NextTurn
	err := g.use(ctx, id, func(e *episode) (err error) {
		next, err = g.say(ctx, e, reply, message)
		return err
	})
	return next, err
}

func (g *Gateway) say(ctx context.Context, e *episode, reply, message string) (*NextTurn, error) {
	if err := g.mayTurn(ctx, e, reply); err != nil {
		return nil, err
	}
	n := e.rec.Turn()
	switch {
	case e.task == nil || e.task.User == nil:
		return nil, refuse("the task has no simulated user")
	case n < len(e.task.Turns):
		return nil, refuse("the task has a message of its own for this turn")
	case n >= e.task.MaxTurns():
		return nil, refuse("the task's user has said its %d messages; submit the episode", n)
	case strings.TrimSpace(message) == "" || len(message) > maxReply:
		return nil, refuse("a message has 1 to %d bytes", maxReply)
	}
	return &NextTurn{Turn: n + 1, Message: message}, g.append(ctx, e, Handed, astra.Event{Turned: &astra.Turned{Turn: n, Reply: reply, Next: &message}})
}

// mayTurn refuses to close a turn that cannot be closed.
func (g *Gateway) mayTurn(ctx context.Context, e *episode, reply string) error {
	if err := g.mustBeOpen(ctx, e); err != nil {
		return err
	}
	if len(reply) > maxReply {
		return refuse("a reply is at most %d bytes", maxReply)
	}
	if e.rec.Turns[e.rec.Turn()-1].Reply != nil {
		return refuse("the last turn was closed already; submit the episode")
	}
	return nil
}

func (g *Gateway) turn(ctx context.Context, e *episode, reply string) (*NextTurn, error) {
	if err := g.mayTurn(ctx, e, reply); err != nil {
		return nil, err
	}
	n := e.rec.Turn()
	turned := astra.Turned{Turn: n, Reply: reply}
	next := &NextTurn{Turn: n, Done: true}
	if e.task != nil && n < len(e.task.Turns) {
		t := e.task.Turns[n]
		turned.Next = &t.Prompt
		next = &NextTurn{Turn: n + 1, Message: t.Prompt, ToolsAdded: t.ToolsAdded}
	}
	return next, g.append(ctx, e, Handed, astra.Event{Turned: &turned})
}

// Submit ends the agent's part and scores the episode; it waits for queued calls. A
// repeat with the same answer returns what was recorded. An episode that cannot be
// judged ends invalid: the error is ErrInvalid and wraps the *astra.ScoreError. Free play
// ends without a score: nil, nil. Messages must agree with the log: astra.ErrDisagrees.
func (g *Gateway) Submit(ctx context.Context, id astra.EpisodeID, s astra.Submitted) (*astra.Score, error) {
	var score *astra.Score
	err := g.use(ctx, id, func(e *episode) (err error) {
		score, err = g.submit(ctx, e, s)
		return err
	})
	return score, err
}

func (g *Gateway) submit(ctx context.Context, e *episode, s astra.Submitted) (*astra.Score, error) {
	if e.rec.Submission != nil && sameAnswer(e.rec.Submission, &s) {
		return submittedBefore(e.rec)
	}
	if err := g.mustBeOpen(ctx, e); err != nil {
		return nil, err
	}
	if err := checkAnswer(s.Answer); err != nil {
		return nil, err
	}
	if len(s.Messages) > maxMessages {
		return nil, refuse("messages are at most %d bytes", maxMessages)
	}
	if len(s.Messages) > 0 {
		if err := astra.Agree(withRefusals(e.rec), s.Messages); err != nil {
			return nil, err
		}
	}
	if e.task == nil {
		return nil, g.append(ctx, e, Synced, astra.Event{Submitted: &s}, endedAs(astra.StatusAborted, "", "free play has no score"))
	}
	return g.settle(ctx, e, &s)
}

func checkAnswer(answer *string) error {
	if answer != nil && len(*answer) > maxAnswer {
		return refuse("an answer is at most %d bytes", maxAnswer)
	}
	return nil
}

// withRefusals is the record as messages may tell it: of more refused calls than were logged.
func withRefusals(rec *astra.Episode) *astra.Episode {
	if rec.Refused < maxRefusedLogs {
		return rec
	}
	told := *rec
	told.Refused = math.MaxInt
	return &told
}

// submittedBefore is what the first Submit answered.
func submittedBefore(rec *astra.Episode) (*astra.Score, error) {
	if end := rec.Ended; end != nil && end.As == astra.StatusInvalid {
		return nil, fmt.Errorf("%w: %w", astra.ErrInvalid, &astra.ScoreError{Fault: end.Fault, Err: errors.New(end.Reason)})
	}
	return rec.Score, nil // nil in free play
}

// settle judges and writes submission and verdict together: one wait for the disk, and
// no moment at which a crash could lose the one and keep the other.
func (g *Gateway) settle(ctx context.Context, e *episode, s *astra.Submitted) (*astra.Score, error) {
	ctx = context.WithoutCancel(ctx)
	score, err := g.score(ctx, e, s)
	if err != nil {
		return nil, g.unjudged(ctx, e, s, err)
	}
	if err := g.append(ctx, e, Synced, astra.Event{Submitted: s}, astra.Event{Scored: score}); err != nil {
		return nil, err
	}
	g.count.scored.Add(1)
	return score, nil
}

// unjudged ends an episode that cannot be scored: invalid, never 0.
func (g *Gateway) unjudged(ctx context.Context, e *episode, s *astra.Submitted, err error) error {
	se, ok := errors.AsType[*astra.ScoreError](err)
	if !ok {
		se = &astra.ScoreError{Fault: astra.FaultVerifier, Err: err}
	}
	g.count.invalid.Add(1)
	g.opts.Logger.ErrorContext(ctx, "episode invalid", "episode", e.id, "fault", se.Fault, "reason", Causes(err))
	ended := endedAs(astra.StatusInvalid, se.Fault, clip(se.Err.Error(), 2000))
	return errors.Join(fmt.Errorf("%w: %w", astra.ErrInvalid, se), g.append(ctx, e, Synced, astra.Event{Submitted: s}, ended))
}

func endedAs(as astra.Status, fault astra.Fault, reason string) astra.Event {
	return astra.Event{Ended: &astra.Ended{As: as, Fault: fault, Reason: reason}}
}

func sameAnswer(a, b *astra.Submitted) bool {
	if a.Answer == nil || b.Answer == nil {
		return a.Answer == nil && b.Answer == nil
	}
	return *a.Answer == *b.Answer
}

// score gathers what the task's verifiers read and asks the judge.
func (g *Gateway) score(ctx context.Context, e *episode, s *astra.Submitted) (*astra.Score, error) {
	reads, err := g.judge.Reads(e.arena.Arena, e.task)
	if err != nil {
		return nil, &astra.ScoreError{Fault: astra.FaultVerifier, Err: err}
	}
	ev := astra.Evidence{Arena: e.arena.Arena, Task: e.task, Seed: e.rec.Opened.Seed, Steps: e.rec.Steps, Turns: e.rec.Turns}
	if s.Answer != nil {
		ev.Answer = *s.Answer
	}
	if reads.State {
		if ev.State, err = g.state(ctx, e); err != nil {
			return nil, &astra.ScoreError{Fault: faultOf(e.arena.runtime), Err: err}
		}
	}
	if reads.Gold {
		if ev.Gold, err = g.gold.play(ctx, e.arena, e.task, e.rec.Opened.Seed); err != nil {
			return nil, &astra.ScoreError{Fault: goldFault(err), Err: err}
		}
	}
	return g.judge.Score(ctx, ev)
}

// state is the world at the end, once more on a rebuilt instance if the first try broke. A
// rehearsal, which is scored with many answers, remembers it until its next call.
func (g *Gateway) state(ctx context.Context, e *episode) (astra.Result, error) {
	if e.looked != nil {
		return *e.looked, nil
	}
	res, err := g.tryState(ctx, e)
	if err != nil && mayPass(err, e.arena) {
		e.drop()
		res, err = g.tryState(ctx, e)
	}
	if err == nil && e.rehearsed {
		e.looked = &res
	}
	return res, err
}

func (g *Gateway) tryState(ctx context.Context, e *episode) (astra.Result, error) {
	inst, err := g.instance(ctx, e, e.arena)
	if err != nil {
		return astra.Result{}, err
	}
	return inst.State(ctx)
}

// Rescore judges a scored episode again and appends the result as a new record.
func (g *Gateway) Rescore(ctx context.Context, id astra.EpisodeID) (*astra.Score, error) {
	var score *astra.Score
	err := g.use(ctx, id, func(e *episode) (err error) {
		if e.rec.Score == nil {
			return astra.ErrUnscored
		}
		defer e.drop()
		if score, err = g.score(context.WithoutCancel(ctx), e, e.rec.Submission); err != nil {
			return err
		}
		return g.append(ctx, e, Synced, astra.Event{Scored: score})
	})
	return score, err
}

func rewardText(s *astra.Score) string { return fmt.Sprintf("reward %v", s.Reward) }
