package mcp

import (
	"context"
	"sync"

	"github.com/astra-arenas/astra"
)

// maxKnown bounds the episodes about which something is remembered.
const maxKnown = 65536

// known is what was learnt of episodes and cannot become untrue: their arena, who opened
// them, and tools that have come into view. It spares each call a look at the log.
type known struct {
	mu sync.Mutex
	of map[astra.EpisodeID]*facts
}

type facts struct {
	arena string          // name@digest
	owner string          // of practice; "" if that is not known
	view  map[string]bool // at least these are in view: a view only grows
}

func newKnown() *known { return &known{of: map[astra.EpisodeID]*facts{}} }

// recall shows do what is known of an episode, if anything is.
func (k *known) recall(id astra.EpisodeID, do func(*facts)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if f := k.of[id]; f != nil {
		do(f)
	}
}

// learn has do change the facts of an episode, which is one that there is: anybody may ask
// for others, under ids of any length.
func (k *known) learn(id astra.EpisodeID, do func(*facts)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	f := k.of[id]
	if f == nil {
		if len(k.of) >= maxKnown {
			clear(k.of) // it is only a cache
		}
		f = new(facts)
		k.of[id] = f
	}
	do(f)
}

// arenaOf is the reference of exactly the arena that an episode plays in.
func (s *Server) arenaOf(ctx context.Context, id astra.EpisodeID) (ref string, err error) {
	s.known.recall(id, func(f *facts) { ref = f.arena })
	if ref != "" {
		return ref, nil
	}
	ep, err := s.episodes.Episode(ctx, id)
	if err != nil {
		return "", err
	}
	ref = ep.Arena + "@" + string(ep.Digest)
	s.known.learn(id, func(f *facts) { f.arena = ref })
	return ref, nil
}

// inView reports whether an episode's agent may call a tool.
func (s *Server) inView(ctx context.Context, id astra.EpisodeID, tool string) (in bool, err error) {
	s.known.recall(id, func(f *facts) { in = f.view[tool] })
	if in {
		return true, nil
	}
	tools, err := s.episodes.Tools(ctx, id)
	if err != nil {
		return false, err
	}
	view := make(map[string]bool, len(tools))
	for _, t := range tools {
		view[t.Name] = true
	}
	s.known.learn(id, func(f *facts) { f.view = view })
	return view[tool], nil
}

// isOwn reports whether an episode is practice that a principal opened.
func (s *Server) isOwn(ctx context.Context, id astra.EpisodeID, principal string) error {
	var owner string
	s.known.recall(id, func(f *facts) { owner = f.owner })
	if owner == "" {
		ep, err := s.episodes.Episode(ctx, id)
		if err != nil {
			return err
		}
		if ep.Mode == astra.Practice {
			owner = ep.Principal
			s.known.learn(id, func(f *facts) { f.owner = owner })
		}
	}
	if owner != principal {
		return astra.ErrNotFound
	}
	return nil
}
