package openenv

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"
)

// A table holds the sessions there are.
type table struct {
	max int

	mu     sync.Mutex
	of     map[string]*session
	closed bool
}

// add refuses a session for which there is no room.
func (t *table) add(s *session) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.closed:
		return &sessionError{closing}
	case len(t.of) >= t.max:
		return &fullError{limits: limits{len(t.of), t.max}}
	}
	t.of[s.id] = s
	return nil
}

// find returns a session of an arena, named name or name@digest.
func (t *table) find(arena, id string) (*session, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s := t.of[id]; s != nil && (arena == s.name || arena == s.arena) {
		return s, nil
	}
	return nil, &sessionError{"Unknown session_id: " + clip(id)}
}

func (t *table) remove(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.of, id)
}

const closing = "this server is closing"

// close ends all sessions, and takes no more.
func (t *table) close() {
	t.mu.Lock()
	t.closed = true
	all := slices.Collect(maps.Values(t.of))
	t.mu.Unlock()
	var ends sync.WaitGroup
	for part := range slices.Chunk(all, max(1, len(all)/closers+1)) { // each waits for the disk
		ends.Go(func() {
			for _, s := range part {
				s.end(closing)
			}
		})
	}
	ends.Wait()
}

// closers is how many sessions are ended at once.
const closers = 64

// begin makes a session in an arena, named name or name@digest.
func (s *Server) begin(ctx context.Context, arena string) (*session, error) {
	a, err := s.house.PublicArena(ctx, arena)
	if err != nil {
		return nil, err
	}
	in := &session{server: s, id: s.keys.NewID(), arena: a.Name + "@" + string(a.Digest), name: a.Name, gone: make(chan struct{})}
	in.mu.Lock() // whoever ends it, be it the timer, waits until it is made
	defer in.mu.Unlock()
	in.idle = time.AfterFunc(s.opts.Idle, func() { in.end("the session was idle for " + s.opts.Idle.String()) })
	if err := s.table.add(in); err != nil {
		in.idle.Stop()
		return nil, err
	}
	return in, nil
}
