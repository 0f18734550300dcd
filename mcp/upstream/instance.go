package upstream

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
)

var _ gateway.Holder = (*instance)(nil)

// A program is an arena with its cassette.
type program struct {
	rt       *Runtime
	arena    *astra.Arena
	cassette *astra.Cassette
	closing  sync.WaitGroup // sessions that are being closed
}

// Start makes the world of one episode, which knows what was called before. Nobody is asked.
func (p *program) Start(_ context.Context, w gateway.World) (gateway.Instance, error) {
	i := &instance{p: p, key: astra.CassetteStart(w.Scenario), sent: map[string]bool{}, sessions: map[string]*session{}}
	for _, s := range w.Past {
		i.recall(s)
	}
	return i, nil
}

// HasState is false: what a server keeps is its own.
func (p *program) HasState() bool { return false }

// Close waits for the sessions of the instances, which are closed already, to end.
func (p *program) Close() error {
	p.closing.Wait()
	return nil
}

// recorded is what the cassette answers a call, if it may.
func (p *program) recorded(tool *astra.Tool, key astra.CassetteKey) (astra.Result, bool) {
	if t := p.rt.targets[tool.Upstream]; t != nil && t.Policy == Live {
		return astra.Result{}, false
	}
	return p.cassette.Find(key)
}

// An instance is the world of one episode. It implements gateway.Instance.
type instance struct {
	p        *program
	key      astra.CassetteKey // of the last call
	past     []astra.Step      // the calls behind key
	sent     map[string]bool   // aliases whose server was sent calls in a session that is gone
	sessions map[string]*session
	closed   bool
}

// recall takes in a call of the past. One that the cassette does not know was sent.
func (i *instance) recall(s astra.Step) {
	tool := i.p.arena.Tool(s.Tool)
	if tool == nil || s.Result.Error == astra.UnknownCall {
		return
	}
	key := i.p.arena.Match.Next(i.key, s.Tool, s.Args)
	if _, known := i.p.recorded(tool, key); !known {
		i.sent[tool.Upstream] = true
	}
	i.pass(key, s)
}

// pass moves the world past a call.
func (i *instance) pass(key astra.CassetteKey, s astra.Step) {
	i.key = key
	if i.p.arena.Match == astra.MatchEpisode { // else nothing is ever sent again
		i.past = append(i.past, s)
	}
}

// Call answers from the cassette, else asks the server. A result beyond a limit is a
// failed one without Breach: what the tool did cannot be undone, so the world goes on.
func (i *instance) Call(ctx context.Context, name string, args json.RawMessage) (astra.Result, error) {
	tool := i.p.arena.Tool(name)
	if i.closed || tool == nil {
		return astra.Result{}, fmt.Errorf("a call of %s in a world that is closed or does not have it", name)
	}
	key := i.p.arena.Match.Next(i.key, name, args)
	res, known := i.p.recorded(tool, key)
	if !known {
		t := i.p.rt.targets[tool.Upstream]
		if t == nil || t.Policy == CassetteOnly {
			return astra.Failed(astra.FaultTool, astra.UnknownCall), nil
		}
		var err error
		if res, err = i.ask(ctx, t, tool, args); err != nil {
			return astra.Result{}, err
		}
	}
	i.pass(key, astra.Step{Tool: name, Args: slices.Clone(args), Result: res})
	return res, nil
}

// ask passes a call on. After an error nobody knows what the server has done.
func (i *instance) ask(ctx context.Context, t *target, tool *astra.Tool, args json.RawMessage) (astra.Result, error) {
	s, err := i.session(ctx, t)
	if err != nil {
		return astra.Result{}, err
	}
	res, err := s.call(ctx, tool, args)
	if err != nil {
		i.leave(t.alias)
	}
	return res, err
}

// session returns the world's session with a server, or opens one and makes it what it
// must be.
func (i *instance) session(ctx context.Context, t *target) (*session, error) {
	if s := i.sessions[t.alias]; s != nil {
		return s, nil
	}
	if i.p.arena.Match == astra.MatchEpisode && i.sent[t.alias] && !t.Resend {
		return nil, fmt.Errorf("upstream %s: the session that knew the calls before is gone; `resend: true` in astra.yaml would send them again", t.alias)
	}
	s, err := t.open(ctx, i.p.arena)
	if err != nil {
		return nil, err
	}
	i.sessions[t.alias] = s
	if err := i.tell(ctx, s); err != nil {
		i.leave(t.alias)
		return nil, err
	}
	return s, nil
}

// tell sends a new session the calls that its server has to know of.
func (i *instance) tell(ctx context.Context, s *session) error {
	for n, step := range i.past {
		tool := i.p.arena.Tool(step.Tool)
		if tool.Upstream != s.alias {
			continue
		}
		res, err := s.call(ctx, tool, step.Args)
		if err != nil {
			return err
		}
		if was := step.Result; res.Error != was.Error || !bytes.Equal(res.Value, was.Value) {
			return fmt.Errorf("upstream %s: call %d, %s, gave another answer than before; record it again with `astra record`", s.alias, n+1, step.Tool)
		}
	}
	return nil
}

// leave closes a session. Ending it may take seconds, in which nobody should have to wait.
func (i *instance) leave(alias string) {
	s := i.sessions[alias]
	delete(i.sessions, alias)
	i.sent[alias] = true
	i.p.closing.Go(s.close)
}

// State is none.
func (i *instance) State(context.Context) (astra.Result, error) {
	return astra.Result{}, errors.New("an upstream has no state() to ask")
}

// Fork returns a world with the same past. It has no sessions, so where it must ask a
// server that has state, that server is told everything again.
func (i *instance) Fork(context.Context) (gateway.Instance, error) {
	if i.closed {
		return nil, errors.New("a fork of a world that is closed")
	}
	fork := &instance{p: i.p, key: i.key, past: slices.Clone(i.past), sent: maps.Clone(i.sent), sessions: map[string]*session{}}
	for alias := range i.sessions {
		fork.sent[alias] = true
	}
	return fork, nil
}

// Holds reports whether a session would be lost that cannot be made again.
func (i *instance) Holds() bool {
	if i.p.arena.Match != astra.MatchEpisode {
		return false
	}
	for _, s := range i.sessions {
		if !s.Resend {
			return true
		}
	}
	return false
}

// Close ends the sessions. It does not wait for them; the program does.
func (i *instance) Close() error {
	i.closed = true
	for alias := range i.sessions {
		i.leave(alias)
	}
	return nil
}
