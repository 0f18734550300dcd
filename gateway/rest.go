package gateway

import (
	"context"

	"github.com/astra-arenas/astra"
)

// A snapshot is a world that was put away after a step. It is a cache of the log up to
// there: whoever cannot use it plays the log.
type snapshot struct {
	step  int
	world []byte
}

// A StoredSnapshot is what the store keeps of an episode's own world, so that a long log
// need not be played whole after it left memory.
type StoredSnapshot struct {
	Arena   astra.Digest `json:"arena"`
	Runtime string       `json:"runtime"` // digest
	Step    int          `json:"step"`
	World   []byte       `json:"world"`
}

// longLog is how many steps make it worth writing a world down when its episode leaves
// memory. Playing one takes some 7 µs; writing and reading a snapshot takes what some
// sixty do, and disk.
const longLog = 64

// holds reports whether an instance must stay as it is.
func (e *episode) holds() bool {
	for _, inst := range e.insts {
		if h, ok := inst.(Holder); ok && h.Holds() {
			return true
		}
	}
	return false
}

// rest puts the instances away. One that cannot be put away is dropped: its log makes it
// again.
func (e *episode) rest() {
	for d, inst := range e.insts {
		if r, ok := inst.(Rester); ok {
			if world, err := r.Rest(); err == nil {
				e.keep(d, snapshot{len(e.rec.Steps), world})
			}
		}
		e.dropOne(d)
	}
}

func (e *episode) keep(d astra.Digest, s snapshot) {
	if e.rested == nil {
		e.rested = map[astra.Digest]snapshot{}
	}
	e.size += int64(len(s.world) - len(e.rested[d].world))
	e.rested[d] = s
}

// markEvery is how many steps lie between two marks: a fork or a look at an earlier step
// plays fewer. A mark takes some 50 µs and, most often, 3 KiB.
const markEvery = 32

// mark writes down the episode's own world now and then while it goes on.
func (e *episode) mark() {
	n := len(e.rec.Steps)
	r, ok := e.insts[e.rec.Digest].(Rester)
	if !ok || n%markEvery != 0 {
		return
	}
	if world, err := r.Rest(); err == nil {
		e.marks = append(e.marks, snapshot{n, world})
		e.size += int64(len(world))
	}
}

// nearest is the last world of an arena that was written down after at most so many steps.
func (e *episode) nearest(d astra.Digest, steps int) (s snapshot, ok bool) {
	if s, ok = e.rested[d]; ok && s.step > steps {
		s, ok = snapshot{}, false
	}
	if d == e.rec.Digest {
		for _, m := range e.marks {
			if m.step <= steps && m.step >= s.step {
				s, ok = m, true
			}
		}
	}
	return s, ok
}

// resume wakes a world that was written down after at most so many steps, and tells after
// how many; nil if there is none.
func (g *Gateway) resume(ctx context.Context, e *episode, from *loaded, steps int) (Instance, int) {
	s, ok := e.nearest(from.Digest, steps)
	if !ok {
		return nil, 0
	}
	p, err := from.load(ctx)
	if err != nil {
		return nil, 0
	}
	r, ok := p.(Resumer)
	if !ok {
		return nil, 0
	}
	inst, err := g.making(func() (Instance, error) { return r.Resume(ctx, s.world) })
	if err != nil {
		g.opts.Logger.WarnContext(ctx, "world not woken from its snapshot", "episode", e.id, "step", s.step, "reason", err)
		return nil, 0
	}
	g.count.resumed.Add(1)
	return inst, s.step
}

// forget writes down the world of a long episode that leaves memory.
func (g *Gateway) forget(e *episode) {
	if e.rec == nil || e.rec.Over() || len(e.rec.Steps)-e.stored < longLog {
		return
	}
	e.rest()
	s, ok := e.rested[e.rec.Digest]
	if !ok || s.step-e.stored < longLog {
		return
	}
	kept := StoredSnapshot{Arena: e.rec.Digest, Runtime: e.arena.runtime.Digest(), Step: s.step, World: s.world}
	if err := g.store.PutSnapshot(context.Background(), e.id, kept); err != nil {
		g.opts.Logger.Warn("snapshot not kept", "episode", e.id, "step", s.step, "reason", err)
	}
}

// recall reads the world of a long episode that comes into memory.
func (g *Gateway) recall(ctx context.Context, e *episode) {
	if e.rec.Over() || len(e.rec.Steps) < longLog || g.bind(e) != nil || !e.arena.runtime.Pure() {
		return
	}
	s, err := g.store.Snapshot(ctx, e.id)
	switch {
	case err != nil:
		g.opts.Logger.WarnContext(ctx, "snapshot not read", "episode", e.id, "reason", err)
	case s != nil && s.Arena == e.rec.Digest && s.Runtime == e.arena.runtime.Digest() && s.Step <= len(e.rec.Steps):
		e.keep(s.Arena, snapshot{s.Step, s.World})
		e.stored = s.Step
	}
}
