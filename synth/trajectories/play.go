package trajectories

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/agent"
	"github.com/astra-arenas/astra/gateway"
	"github.com/astra-arenas/astra/llm"
	"github.com/astra-arenas/astra/synth"
	"github.com/astra-arenas/astra/synth/ask"
	"github.com/astra-arenas/astra/synth/tasks"
)

// An attempt is a task to be played.
type attempt struct {
	task    tasks.Task
	sample  int
	bundles []*astra.Bundle // of its servers: its own first
}

func (at attempt) id() string {
	if at.sample == 0 {
		return at.task.ID
	}
	return fmt.Sprint(at.task.ID, "-", at.sample+1)
}

// key tells an attempt from one in an arena that has changed.
func (at attempt) key() string {
	key := at.id()
	for _, b := range at.bundles {
		key += " " + string(b.Digest())
	}
	return key
}

// errTime ends a conversation that took too long.
var errTime = errors.New("the conversation took too long")

// play makes one episode. An error is trouble of which no conversation is to blame.
func (p *Player) play(ctx context.Context, at attempt) (synth.Result[Conversation], error) {
	c := Conversation{ID: at.id(), Task: at.task}
	c.Task.Spent = ask.Spent{}
	within, cancel := context.WithTimeoutCause(ctx, p.opts.Time, errTime)
	defer cancel()
	counted := &counter{Model: p.emulator, spent: &c.Spent}
	err := p.open(within, at.bundles, counted, func(h House) error {
		return (&scene{p, h, &c, at}).run(within)
	})
	var broken *brokenOff
	switch {
	case ctx.Err() != nil:
		return synth.Result[Conversation]{}, context.Cause(ctx)
	case err != nil && within.Err() != nil: // one that was done in time may close its house later
		c.Stopped = "time"
		return c.settled("time", fmt.Sprintf("more than %s", p.opts.Time)), nil
	case counted.trouble != nil: // the episode is invalid for it, and others would be
		return synth.Result[Conversation]{}, fmt.Errorf("%s: %w", c.ID, counted.trouble)
	case errors.As(err, &broken):
		return c.settled(broken.reason, broken.Error()), nil
	case err != nil:
		return synth.Result[Conversation]{}, fmt.Errorf("%s: %w", c.ID, err)
	case c.Stopped != "":
		return c.settled(c.Stopped, "the agent was stopped before it came to an end: "+c.Stopped), nil
	}
	return c.settled("", ""), nil
}

// A brokenOff is a conversation that could not be played to its end, and why. An errored
// run is no trajectory.
type brokenOff struct {
	reason string
	err    error
}

func (e *brokenOff) Error() string { return e.err.Error() }
func (e *brokenOff) Unwrap() error { return e.err }

// A counter counts what the model is asked that stands in for tools, and keeps what kept it
// from answering at all, which an episode tells nobody.
type counter struct {
	llm.Model
	spent   *ask.Spent // of one conversation, whose calls come one after the other
	trouble error
}

func (c *counter) Complete(ctx context.Context, r llm.Request) (llm.Reply, error) {
	c.spent.Calls++
	reply, err := c.Model.Complete(ctx, r)
	c.spent.Usage.Add(reply.Usage)
	if err != nil && ctx.Err() == nil && !errors.Is(err, llm.ErrRequest) {
		c.trouble = err
	}
	return reply, err
}

// A scene is one conversation being played.
type scene struct {
	*Player
	house House
	conv  *Conversation
	at    attempt
}

func (s *scene) run(ctx context.Context) error {
	player, err := s.player()
	if err != nil {
		return err
	}
	own, err := s.at.bundles[0].Load()
	if err != nil {
		return err
	}
	seed := synth.Rand(s.opts.Seed, "world", s.at.task.ID, s.at.sample).Int64N(1 << 31)
	o, err := s.house.Gateway.Open(ctx, gateway.OpenRequest{Arena: own.Ref(), Task: s.at.task.ID, Seed: &seed, Mode: astra.Train, Policy: s.policy.Model})
	if err != nil {
		return &brokenOff{"not opened", err} // an upstream that does not start, a setup that throws
	}
	door, err := agent.Dial(ctx, s.house.Door, o.Key, nil)
	if err != nil {
		return err
	}
	defer door.Close()
	answer, err := s.turns(ctx, o, door, player)
	spent := player.Spent()
	s.conv.Spent.Add(ask.Spent{Calls: spent.Calls, Usage: llm.Usage{Input: spent.Input, Output: spent.Output}})
	if err != nil {
		return s.blame(ctx, o.Episode, err)
	}
	return s.submit(ctx, o.Episode, answer, player)
}

func (s *scene) player() (*agent.LLM, error) {
	system, err := s.system(s.at.task.Language)
	if err != nil {
		return nil, err
	}
	seed := synth.Rand(s.opts.Seed, "agent", s.at.task.ID, s.at.sample).Int64N(1 << 31)
	return agent.NewLLM(agent.LLMOptions{BaseURL: s.policy.BaseURL, Model: s.policy.Model, APIKey: s.policy.APIKey, System: system, Rounds: s.opts.Rounds,
		MaxTokens: s.opts.MaxTokens, TotalTokens: s.opts.Tokens, Temperature: s.opts.Temperature, Seed: &seed, Timeout: s.opts.Time, HTTPClient: s.policy.Client})
}

// turns plays until nobody has more to say, or a limit is reached; the last reply is the
// answer.
func (s *scene) turns(ctx context.Context, o *gateway.Opening, door agent.Session, player *agent.LLM) (string, error) {
	talk := talk{{"user", o.Message}}
	for message := o.Message; ; {
		reply, err := player.Play(ctx, door, message)
		if err != nil {
			return "", err
		}
		if s.conv.Stopped = string(player.Stopped()); s.conv.Stopped != "" {
			return reply, nil
		}
		if strings.TrimSpace(reply) == "" { // one low score of seven would not keep it out
			return "", &brokenOff{"no answer", errorString("the agent ended a turn and said nothing")}
		}
		talk = append(talk, line{"assistant", reply})
		next, err := s.next(ctx, o.Episode, reply, talk)
		if err != nil || next == "" {
			return reply, err
		}
		message = next
		talk = append(talk, line{"user", next})
	}
}

// next closes a turn; "" is the end of the conversation.
func (s *scene) next(ctx context.Context, id astra.EpisodeID, reply string, t talk) (string, error) {
	if u := s.at.task.User; u != nil && t.users() < u.Turns {
		message, err := s.says(ctx, t)
		if err != nil {
			return "", err
		}
		if message != "" {
			_, err := s.house.Gateway.Say(ctx, id, reply, message)
			return message, err
		}
	}
	_, err := s.house.Gateway.Turn(ctx, id, reply)
	return "", err
}

// blame tells what broke one conversation from what would break others, too.
func (s *scene) blame(ctx context.Context, id astra.EpisodeID, err error) error {
	var broken *brokenOff
	if errors.As(err, &broken) || ctx.Err() != nil {
		return err
	}
	if ep, gone := s.house.Gateway.Episode(ctx, id); gone == nil && ep.Ended != nil {
		return &brokenOff{"invalid: " + string(ep.Ended.Fault), errors.New(ep.Ended.Reason)}
	}
	switch {
	case errors.Is(err, agent.ErrRequest):
		return &brokenOff{"refused by the server", err}
	case errors.Is(err, astra.ErrRefused): // a reply that is too long for the log
		return &brokenOff{"refused by the gateway", err}
	}
	return err
}

// submit ends the episode. Messages that the log does not bear out are no trajectory.
func (s *scene) submit(ctx context.Context, id astra.EpisodeID, answer string, player *agent.LLM) error {
	gw := s.house.Gateway
	if _, err := gw.Submit(ctx, id, astra.Submitted{Answer: &answer, Messages: player.Messages()}); err != nil {
		if errors.Is(err, astra.ErrDisagrees) || errors.Is(err, astra.ErrRefused) {
			return &brokenOff{"transcript", err}
		}
		return s.blame(ctx, id, err)
	}
	ep, err := gw.Episode(ctx, id)
	if err != nil {
		return err
	}
	tools, err := gw.Tools(ctx, id)
	if err != nil {
		return err
	}
	return s.conv.record(ep, tools, s.at.task.Servers()[1:])
}
