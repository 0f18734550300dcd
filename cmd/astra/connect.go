package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/httpapi/client"
	"github.com/astra-arenas/astra/store"
)

// A link is how a command reaches the store's owner. Whether that is this process or
// another makes no difference to whoever holds it.
type link struct {
	*client.Client
	agents string // URL of the agents' door
	house  *house // nil if another process owns the store
}

// patience is how long connect waits for an owner that neither answers nor lets go: one
// that is starting compiles its engine and takes up its episodes first. A single answer may
// take a quarter of it; a stopped process takes connections and says nothing.
const patience = 20 * time.Second

const connectPause = 100 * time.Millisecond

// connect becomes the owner of the store, or finds out who is. In between lie moments in
// which neither is possible: an owner that has not announced itself yet, or has died and
// left its record.
func (a *app) connect(ctx context.Context) (*link, error) {
	for end := time.Now().Add(a.patience); ; {
		l, err := a.tryConnect(ctx)
		if err == nil {
			return l, nil
		}
		if _, ok := errors.AsType[notYet](err); !ok {
			return nil, err
		}
		if time.Now().After(end) {
			return nil, failf("Stop that process, or use another directory with --dir.", "store %s: another process owns it and does not answer: %w", a.config.Dir, err)
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(connectPause):
		}
	}
}

// notYet is an error after which trying again may help.
type notYet struct{ error }

func (e notYet) Unwrap() error { return e.error }

func (a *app) tryConnect(ctx context.Context) (*link, error) {
	h, err := a.own(ctx, a.config.Dir, anywhere)
	if err == nil {
		return newLink(h)
	}
	if !errors.Is(err, store.ErrOwned) {
		return nil, err
	}
	owner, err := store.ReadOwner(a.config.Dir)
	if errors.Is(err, astra.ErrNotFound) {
		return nil, notYet{err}
	}
	if err != nil {
		return nil, err
	}
	c, err := client.New(owner.Control, owner.Token, nil)
	if err != nil {
		return nil, err
	}
	asking, cancel := context.WithTimeout(ctx, a.patience/4)
	defer cancel()
	if _, err := c.Stats(asking); err != nil { // needs the token, as everything else will
		return nil, notYet{fmt.Errorf("process %d: %w", owner.PID, err)}
	}
	return &link{Client: c, agents: owner.Agents}, nil
}

func newLink(h *house) (*link, error) {
	c, err := client.New(h.Control, h.token, nil)
	if err != nil {
		return nil, errors.Join(err, h.close())
	}
	return &link{Client: c, agents: h.Agents, house: h}, nil
}

// close gives the store back, if it is ours.
func (l *link) close() error {
	if l.house == nil {
		return nil
	}
	return l.house.close()
}
