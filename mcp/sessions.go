package mcp

import (
	"crypto/rand"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/astra-arenas/astra"
	"github.com/mark3labs/mcp-go/server"
)

const (
	// maxSessions is how many legacy sessions a door keeps; the library needs 11 KB for
	// each. Beyond it no session is made, and the client's next request is a 404.
	maxSessions = 65536
	// maxSessionsOfOne is how many of them one principal may have. Some hosts open one for
	// every tool call, so the oldest makes room for the newest.
	maxSessionsOfOne = 256
)

// sessions are the legacy sessions of one door. A session belongs to its principal: to
// anybody else it does not exist. Those that end leave nothing behind.
type sessions struct {
	drop func(id, owner string) // makes the library forget one; called without the lock

	mu      sync.Mutex
	byID    map[string]*session
	ofOwner map[string][]string // ids, oldest first
}

// A session is what a legacy session, or the stdio process, remembers.
type session struct {
	owner   string
	opening sync.Mutex // held while free play is opened for want of an episode

	mu     sync.Mutex
	last   astra.EpisodeID // the episode opened last, in whose stead no id need be given
	passed time.Time       // when the library last saw a request of it
}

func (s *session) pass(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.passed = now
}

func (s *session) passedSince(t time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.passed.After(t)
}

func (s *session) lastOpened() astra.EpisodeID {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}

func (s *session) setLast(id astra.EpisodeID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = id
}

func newSessions(drop func(id, owner string)) *sessions {
	return &sessions{drop: drop, byID: map[string]*session{}, ofOwner: map[string][]string{}}
}

// find returns a session of its owner, or nil.
func (s *sessions) find(id, owner string) *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	if x := s.byID[id]; x != nil && x.owner == owner {
		return x
	}
	return nil
}

// open makes a session; "" if there is no room.
func (s *sessions) open(owner string) string {
	id, crowded := rand.Text(), ""
	s.mu.Lock()
	if ids := s.ofOwner[owner]; len(ids) >= maxSessionsOfOne {
		crowded = ids[0]
		s.remove(crowded) // now: the library may take its time
	} else if len(s.byID) >= maxSessions {
		s.mu.Unlock()
		return ""
	}
	s.byID[id] = &session{owner: owner, passed: time.Now()}
	s.ofOwner[owner] = append(s.ofOwner[owner], id)
	s.mu.Unlock()
	if crowded != "" {
		s.drop(crowded, owner)
	}
	return id
}

func (s *sessions) end(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remove(id)
}

// remove is called with the lock.
func (s *sessions) remove(id string) {
	x := s.byID[id]
	if x == nil {
		return
	}
	delete(s.byID, id)
	s.ofOwner[x.owner] = slices.DeleteFunc(s.ofOwner[x.owner], func(other string) bool { return other == id })
	if len(s.ofOwner[x.owner]) == 0 {
		delete(s.ofOwner, x.owner)
	}
}

func (s *sessions) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.byID)
}

// ResolveSessionIdManager gives the library the sessions of whoever sends a request. The
// sweeper, which has none, may only end sessions.
func (s *sessions) ResolveSessionIdManager(r *http.Request) server.SessionIdManager {
	if r == nil {
		return sessionsOf{sessions: s, sweeper: true}
	}
	return sessionsOf{sessions: s, owner: requestFrom(r.Context()).principal}
}

// sessionsOf is the library's view of one principal's sessions.
type sessionsOf struct {
	sessions *sessions
	owner    string
	sweeper  bool
}

var errNoSession = errors.New("no such session")

func (m sessionsOf) Generate() string { return m.sessions.open(m.owner) }

func (m sessionsOf) Validate(id string) (terminated bool, err error) {
	if m.sessions.find(id, m.owner) == nil {
		return false, errNoSession
	}
	return false, nil
}

func (m sessionsOf) Terminate(id string) (notAllowed bool, err error) {
	if m.sweeper || m.sessions.find(id, m.owner) != nil {
		m.sessions.end(id)
	}
	return false, nil
}
