package openenv

import (
	"context"
	"sync"
	"time"

	"github.com/astra-arenas/astra"
)

// A session is one environment. It is safe for concurrent use; one request at a time is
// worked on.
type session struct {
	server *Server
	id     string
	arena  string // name@digest: an arena that is replaced meanwhile stays the same here
	name   string // of the arena
	gone   chan struct{}

	work sync.Mutex // held by the request that is worked on
	play *play      // under work; nil before the first reset

	mu       sync.Mutex // of what follows
	using    int        // requests, working or waiting
	idle     *time.Timer
	attached bool // a WebSocket plays in it
	closing  bool // it ends when that WebSocket does
	over     string
}

// maxWaiting is how many requests may wait for a session, as the gateway has it.
const maxWaiting = 64

// use does something in the session when its turn comes.
func (s *session) use(do func() error) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	s.work.Lock()
	defer s.work.Unlock()
	if err := s.alive(); err != nil { // it may have ended while this waited
		return err
	}
	return do()
}

func (s *session) enter() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.over != "":
		return &sessionError{s.over}
	case s.using == maxWaiting:
		return astra.ErrBusy
	}
	s.using++
	s.idle.Stop()
	return nil
}

func (s *session) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.using--; s.using == 0 && s.over == "" {
		s.idle.Reset(s.server.opts.Idle)
	}
}

func (s *session) alive() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over != "" {
		return &sessionError{s.over}
	}
	return nil
}

// attach has a WebSocket play in the session; one at a time may.
func (s *session) attach() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.attached {
		return &sessionError{"the session has a WebSocket already"}
	}
	s.attached = true
	return nil
}

// detach ends the session if that was asked for meanwhile.
func (s *session) detach() {
	s.mu.Lock()
	s.attached = false
	closing := s.closing
	s.mu.Unlock()
	if closing {
		s.end("the session was closed")
	}
}

// close ends the session now, or, as in OpenEnv, when its WebSocket does.
func (s *session) close() (now bool) {
	s.mu.Lock()
	s.closing = s.attached
	now = !s.attached
	s.mu.Unlock()
	if now {
		s.end("the session was closed")
	}
	return now
}

// end aborts what is played and frees the session's place, once; it waits for the request
// that is worked on.
func (s *session) end(why string) {
	s.mu.Lock()
	first := s.over == ""
	if first {
		s.over = why
		s.idle.Stop()
		close(s.gone)
	}
	s.mu.Unlock()
	if !first {
		return
	}
	s.work.Lock()
	defer s.work.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), endTimeout)
	defer cancel()
	if err := s.drop(ctx, why); err != nil {
		s.server.house.Logger().WarnContext(ctx, "session not ended", "arena", s.name, "episode", s.play.episode, "reason", err)
	}
	s.server.table.remove(s.id)
}

// endTimeout is how long the end of an episode may take to be written.
const endTimeout = 15 * time.Second
