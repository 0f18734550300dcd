package sandbox

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/astra-arenas/astra/gateway"
)

// keptWorlds is how many worlds an arena keeps as setup left them, most of them some
// hundred KiB, besides those that episodes are begun in now. The episodes of a group and the
// gold play begin as the same one.
const keptWorlds = 64

// A worldKey is all that setup can see; equal keys make equal memories.
type worldKey struct {
	seed     int64
	now      float64
	scenario string
}

// A keptWorld is a memory after setup. Only clones of it are ever called.
type keptWorld struct {
	key   worldKey
	from  memories
	turn  chan struct{} // held while its setup runs
	asked atomic.Int64  // how often
	users atomic.Int64  // who begin an episode in it now; it grows under the worlds' mu alone

	mu   sync.RWMutex // held for reading while it is cloned
	mem  *memory      // nil until its key was asked for twice, and setup ran
	gone bool
}

// worlds are an arena's kept worlds, the last used first.
type worlds struct {
	from memories

	crowded atomic.Bool // more are kept than keptWorlds; changed under mu

	mu     sync.Mutex
	kept   []*keptWorld
	closed bool
}

// find returns the entry of a key. It stays until leave is called: with more groups under way
// than worlds are kept, none would find what its first episode left.
func (ws *worlds) find(key worldKey) *keptWorld {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	var w *keptWorld
	if i := slices.IndexFunc(ws.kept, func(w *keptWorld) bool { return w.key == key }); i >= 0 {
		w = ws.kept[i]
		copy(ws.kept[1:i+1], ws.kept[:i])
		ws.kept[0] = w
	} else {
		w = &keptWorld{key: key, from: ws.from, turn: make(chan struct{}, 1), gone: ws.closed}
		if !ws.closed {
			ws.kept = slices.Insert(ws.kept, 0, w)
			ws.crowded.Store(len(ws.kept) > keptWorlds)
		}
	}
	w.users.Add(1)
	w.asked.Add(1)
	return w
}

// leave gives an entry back, and lets go what is kept beyond keptWorlds and not in use.
func (ws *worlds) leave(w *keptWorld) {
	w.users.Add(-1)
	if !ws.crowded.Load() {
		return // most often: an opening takes the lock once
	}
	for _, w := range ws.surplus() {
		w.release()
	}
}

func (ws *worlds) surplus() (evicted []*keptWorld) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for i := len(ws.kept) - 1; i >= 0 && len(ws.kept) > keptWorlds; i-- {
		if w := ws.kept[i]; w.users.Load() == 0 {
			evicted = append(evicted, w)
			ws.kept = slices.Delete(ws.kept, i, i+1)
		}
	}
	ws.crowded.Store(len(ws.kept) > keptWorlds)
	return evicted
}

func (ws *worlds) close() {
	ws.mu.Lock()
	kept := ws.kept
	ws.kept, ws.closed = nil, true
	ws.mu.Unlock()
	for _, w := range kept {
		w.release()
	}
}

func (w *keptWorld) release() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.gone = true
	if w.mem != nil {
		w.from.release(w.mem)
		w.mem = nil
	}
}

// clone returns a copy of the kept memory, or nil if there is none.
func (w *keptWorld) clone() (*memory, error) {
	w.mu.RLock()
	defer w.mu.RUnlock()
	if w.mem == nil {
		return nil, nil
	}
	return w.from.clone(w.mem)
}

// keep stores a copy of m. That there is no room for one is no error.
func (w *keptWorld) keep(m *memory) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.mem == nil && !w.gone {
		w.mem, _ = w.from.clone(m)
	}
}

// afterSetup returns a memory as setup leaves it: a copy of the one that an equal world
// left, or the image after setup ran in it. A group's episodes are opened together, so they take
// turns: the first to be done leaves its world to those that wait.
func (p *program) afterSetup(ctx context.Context, w gateway.World) (*memory, error) {
	kept := p.worlds.find(worldKey{w.Seed, milliseconds(w.Now), string(w.Scenario)})
	defer p.worlds.leave(kept)
	if m, err := kept.clone(); m != nil || err != nil {
		return m, err
	}
	select {
	case kept.turn <- struct{}{}:
		defer func() { <-kept.turn }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if m, err := kept.clone(); m != nil || err != nil {
		return m, err
	}
	m, err := p.setUp(ctx, w)
	if err == nil && kept.asked.Load() > 1 {
		kept.keep(m)
	}
	return m, err
}

// setUp runs setup in the image.
func (p *program) setUp(ctx context.Context, w gateway.World) (*memory, error) {
	m, err := p.beforeSetup(w)
	if err != nil {
		return nil, err
	}
	if err := p.runSetup(ctx, m, w.Scenario); err != nil {
		p.release(m)
		return nil, err
	}
	return m, nil
}
