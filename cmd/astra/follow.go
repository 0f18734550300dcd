package main

import (
	"context"
	"crypto/rand"
	"errors"
	"net/url"
	"sync"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
)

// A follower is mcp.Episodes for a process that outlives the store's owner: when the
// owner is gone it connects again, becoming the owner itself if nobody else has, and
// repeats what got no answer. The episodes are in the store, so it finds them again.
type follower struct {
	app    *app
	arenas []*astra.Bundle // that the owner must have

	mu   sync.Mutex
	link *link
}

// follow connects, and brings arenas along.
func (a *app) follow(ctx context.Context, arenas []*astra.Bundle) (*follower, error) {
	f := &follower{app: a, arenas: arenas}
	_, err := f.connect(ctx, nil)
	return f, err
}

// connect returns the link, or a new one if stale is the one there is.
func (f *follower) connect(ctx context.Context, stale *link) (*link, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.link != stale {
		return f.link, nil
	}
	l, err := f.app.connect(ctx)
	if err != nil {
		return nil, err
	}
	if err := l.bring(ctx, f.arenas...); err != nil {
		return nil, errors.Join(err, l.close())
	}
	f.link = l
	return l, nil
}

func (f *follower) close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.link == nil {
		return nil
	}
	return f.link.close()
}

// lost reports whether a request got no answer. An answer that says no is one.
func lost(err error) bool {
	var failed *url.Error
	return errors.As(err, &failed)
}

// ask does do, and once more with a new link if the owner was lost.
func ask[T any](ctx context.Context, f *follower, do func(*link) (T, error)) (T, error) {
	var none T
	l, err := f.connect(ctx, nil)
	if err != nil {
		return none, err
	}
	v, err := do(l)
	if !lost(err) || ctx.Err() != nil {
		return v, err
	}
	if l, err = f.connect(ctx, l); err != nil {
		return none, err
	}
	return do(l)
}

func (f *follower) PublicArenas(ctx context.Context) ([]astra.PublicArena, error) {
	return ask(ctx, f, func(l *link) ([]astra.PublicArena, error) { return l.PublicArenas(ctx) })
}

func (f *follower) PublicArena(ctx context.Context, ref string) (astra.PublicArena, error) {
	return ask(ctx, f, func(l *link) (astra.PublicArena, error) { return l.PublicArena(ctx, ref) })
}

func (f *follower) Tasks(ctx context.Context, ref string, split astra.Split) ([]astra.PublicTask, error) {
	return ask(ctx, f, func(l *link) ([]astra.PublicTask, error) { return l.Tasks(ctx, ref, split) })
}

// Open may leave an episode behind that nobody hears of; it expires.
func (f *follower) Open(ctx context.Context, req gateway.OpenRequest) (*gateway.Opening, error) {
	return ask(ctx, f, func(l *link) (*gateway.Opening, error) { return l.Open(ctx, req) })
}

func (f *follower) Resolve(ctx context.Context, key astra.Key) (astra.EpisodeID, error) {
	return ask(ctx, f, func(l *link) (astra.EpisodeID, error) { return l.Resolve(ctx, key) })
}

func (f *follower) Tools(ctx context.Context, id astra.EpisodeID) ([]astra.PublicTool, error) {
	return ask(ctx, f, func(l *link) ([]astra.PublicTool, error) { return l.Tools(ctx, id) })
}

// Call gives every call a key, so that one whose answer was lost does not step twice.
func (f *follower) Call(ctx context.Context, id astra.EpisodeID, c astra.Call) (astra.Step, error) {
	if c.Key == "" {
		c.Key = rand.Text()
	}
	return ask(ctx, f, func(l *link) (astra.Step, error) { return l.Call(ctx, id, c) })
}

// Turn has no key. Whether a turn whose answer was lost was closed is read from the record.
func (f *follower) Turn(ctx context.Context, id astra.EpisodeID, reply string) (*gateway.NextTurn, error) {
	before, err := f.Episode(ctx, id)
	if err != nil {
		return nil, err
	}
	first := true
	return ask(ctx, f, func(l *link) (*gateway.NextTurn, error) {
		if first {
			first = false
			return l.Turn(ctx, id, reply)
		}
		now, err := l.Episode(ctx, id)
		if err != nil {
			return nil, err
		}
		if next := closed(before, now); next != nil {
			return next, nil
		}
		return l.Turn(ctx, id, reply)
	})
}

// closed is what closing a turn answered, if it was closed between two records.
func closed(before, now *astra.Episode) *gateway.NextTurn {
	last := now.Turns[len(now.Turns)-1]
	switch {
	case now.Turn() > before.Turn():
		return &gateway.NextTurn{Turn: last.Index, Message: last.Prompt, ToolsAdded: added(now.View, last.Index)}
	case last.Reply != nil && before.Turns[len(before.Turns)-1].Reply == nil:
		return &gateway.NextTurn{Turn: last.Index, Done: true}
	}
	return nil
}

func added(v astra.View, turn int) []string {
	if turn > len(v.Added) {
		return nil
	}
	return v.Added[turn-1]
}

// Submit may be repeated: the same answer gets the recorded score.
func (f *follower) Submit(ctx context.Context, id astra.EpisodeID, s astra.Submitted) (*astra.Score, error) {
	return ask(ctx, f, func(l *link) (*astra.Score, error) { return l.Submit(ctx, id, s) })
}

func (f *follower) Episode(ctx context.Context, id astra.EpisodeID) (*astra.Episode, error) {
	return ask(ctx, f, func(l *link) (*astra.Episode, error) { return l.Episode(ctx, id) })
}

func (f *follower) Public(ctx context.Context, id astra.EpisodeID) (astra.PublicTask, error) {
	return ask(ctx, f, func(l *link) (astra.PublicTask, error) { return l.Public(ctx, id) })
}
