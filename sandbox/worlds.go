package sandbox

import (
	"container/list"
	"context"
	"sync"
	"sync/atomic"

	"github.com/astra-arenas/astra/gateway"
)

const (
	// keptWorlds is how many worlds an arena keeps ready as setup left them, most of them
	// some hundred KiB, besides those that episodes are begun in now. The episodes of a
	// group and the gold play begin as the same one.
	keptWorlds = 64
	// putAwayBytes bounds what is kept of all others: what setup changed of the image, some
	// KiB, or the key alone. Of thousands of episodes opened together, those of a group
	// come far apart.
	putAwayBytes = 64 << 20
	// dear is the fuel from which on a setup is not run again for a second episode. It takes
	// milliseconds, and writing down what it changed about a sixth of that.
	dear = fuelSlice
	// entryBytes is about what an entry takes besides its scenario and what is put away.
	entryBytes = 512
)

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

	place *list.Element // these three are changed under the worlds' mu
	away  bool          // it is in their list of that name
	bytes int           // that it counts for

	mu   sync.RWMutex // held for reading while it is cloned
	mem  *memory      // nil until its key was asked for twice, and setup ran
	img  *image       // of rest
	rest []byte       // instead of mem: what was put away
	gone bool
}

// worlds are an arena's kept worlds.
type worlds struct {
	from memories
	most int // bytes

	crowded atomic.Bool // more are ready than keptWorlds; changed under mu

	mu     sync.Mutex
	byKey  map[worldKey]*keptWorld
	ready  list.List // of *keptWorld, the last used first; all that are in use are here
	away   list.List // of *keptWorld, the last used first
	bytes  int       // that all of them count for
	closed bool
}

// find returns the entry of a key. It stays until leave is called: with more groups under way
// than worlds are kept, none would find what its first episode left.
func (ws *worlds) find(key worldKey) *keptWorld {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	w := ws.byKey[key]
	if w == nil {
		w = &keptWorld{key: key, from: ws.from, turn: make(chan struct{}, 1), gone: ws.closed}
	}
	if !ws.closed {
		ws.toFront(w)
	}
	w.users.Add(1)
	w.asked.Add(1)
	return w
}

// toFront makes an entry the last used of those that are ready. The caller holds mu.
func (ws *worlds) toFront(w *keptWorld) {
	switch {
	case w.place == nil:
		if ws.byKey == nil {
			ws.byKey = map[worldKey]*keptWorld{}
		}
		ws.byKey[w.key] = w
		ws.count(w, entryBytes+len(w.key.scenario))
	case w.away:
		ws.away.Remove(w.place)
	default:
		ws.ready.MoveToFront(w.place)
		return
	}
	w.place, w.away = ws.ready.PushFront(w), false
	ws.crowded.Store(ws.ready.Len() > keptWorlds)
}

// count adds to what an entry counts for. The caller holds mu.
func (ws *worlds) count(w *keptWorld, bytes int) {
	w.bytes += bytes
	ws.bytes += bytes
}

// leave gives an entry back, and puts away what is ready beyond keptWorlds and not in use.
func (ws *worlds) leave(w *keptWorld) {
	w.users.Add(-1)
	if !ws.crowded.Load() {
		return // most often: an opening takes the lock once
	}
	for _, w := range ws.surplus() {
		ws.store(w, w.putAway())
	}
}

// store counts what was put away of a world, and lets go the oldest for which there is no
// room any more.
func (ws *worlds) store(w *keptWorld, bytes int) {
	for _, old := range ws.fit(w, bytes) {
		old.release()
	}
}

// surplus moves entries from one list to the other.
func (ws *worlds) surplus() (moved []*keptWorld) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for e := ws.ready.Back(); e != nil && ws.ready.Len() > keptWorlds; {
		w := e.Value.(*keptWorld)
		if e = e.Prev(); w.users.Load() > 0 {
			continue
		}
		ws.ready.Remove(w.place)
		w.place, w.away = ws.away.PushFront(w), true
		moved = append(moved, w)
	}
	ws.crowded.Store(ws.ready.Len() > keptWorlds)
	return moved
}

func (ws *worlds) fit(w *keptWorld, bytes int) (evicted []*keptWorld) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.byKey[w.key] == w {
		ws.count(w, bytes)
	}
	for ws.bytes > ws.most && ws.away.Len() > 0 {
		old := ws.away.Remove(ws.away.Back()).(*keptWorld)
		delete(ws.byKey, old.key)
		ws.bytes -= old.bytes
		evicted = append(evicted, old)
	}
	return evicted
}

func (ws *worlds) close() {
	ws.mu.Lock()
	kept := ws.byKey
	ws.byKey, ws.closed = nil, true
	ws.ready.Init()
	ws.away.Init()
	ws.mu.Unlock()
	for _, w := range kept {
		w.release()
	}
}

func (w *keptWorld) release() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.gone = true
	w.drop()
}

// drop gives up what is kept. The caller holds mu.
func (w *keptWorld) drop() {
	if w.mem != nil {
		w.from.release(w.mem)
	}
	w.mem, w.img, w.rest = nil, nil, nil
}

// putAway leaves of the memory what setup changed of its image, and says how many bytes
// that are.
func (w *keptWorld) putAway() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.mem == nil {
		return 0
	}
	img, rest := w.mem.img, w.from.rest(w.mem)
	w.drop()
	w.img, w.rest = img, rest
	return len(rest)
}

// write puts a world away that was never ready.
func (w *keptWorld) write(m *memory) int {
	rest := w.from.rest(m)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.mem != nil || w.rest != nil || w.gone {
		return 0
	}
	w.img, w.rest = m.img, rest
	return len(rest)
}

// clone returns a copy of the kept memory, or nil if there is none.
func (w *keptWorld) clone() (*memory, error) {
	w.mu.RLock()
	defer w.mu.RUnlock()
	switch {
	case w.mem != nil:
		return w.from.clone(w.mem)
	case w.rest != nil:
		return wake(w.from, w.img, w.rest)
	}
	return nil, nil
}

// keep stores a copy of m. That there is no room for one is no error.
func (w *keptWorld) keep(m *memory) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.mem == nil && w.rest == nil && !w.gone {
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
	m, spent, err := p.setUp(ctx, w)
	switch {
	case err != nil:
	case kept.asked.Load() > 1:
		kept.keep(m)
	case spent >= dear:
		p.worlds.store(kept, kept.write(m))
	}
	return m, err
}

// setUp runs setup in the image, and tells the fuel that it spent.
func (p *program) setUp(ctx context.Context, w gateway.World) (m *memory, spent int64, err error) {
	if m, err = p.beforeSetup(w); err != nil {
		return nil, 0, err
	}
	if spent, err = p.runSetup(ctx, m, w.Scenario); err != nil {
		p.release(m)
		return nil, 0, err
	}
	return m, spent, nil
}
