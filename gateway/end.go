package gateway

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/astra-arenas/astra"
)

// Abort ends an episode without a score. Aborting an ended one is no error.
func (g *Gateway) Abort(ctx context.Context, id astra.EpisodeID, reason string) error {
	return g.hold(ctx, id, maxQueue, func(e *episode) error {
		if e.rec.Over() {
			return nil
		}
		return g.append(ctx, e, Synced, endedAs(astra.StatusAborted, "", clip(reason, 2000)))
	})
}

// Sweep ends the episodes whose time is up and forgets keys that ended long enough ago.
// An episode that is being worked on is left to its next call, or to the next sweep.
// Sweep runs by itself every second; tests call it with a clock of their own.
func (g *Gateway) Sweep(ctx context.Context) error {
	now := g.opts.Now()
	g.open.forgetEnded(now.Add(-g.opts.KeyGrace))
	var errs []error
	for _, id := range g.open.due(now) {
		err := g.hold(ctx, id, ifFree, func(e *episode) error { return g.mustBeOpen(ctx, e) })
		switch {
		case errors.Is(err, astra.ErrEnded), errors.Is(err, astra.ErrInvalid), errors.Is(err, astra.ErrBusy):
		case err != nil:
			errs = append(errs, fmt.Errorf("episode %s: %w", id, err))
		}
	}
	return errors.Join(errs...)
}

func (g *Gateway) sweepLoop(ctx context.Context) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := g.Sweep(ctx); err != nil && ctx.Err() == nil {
				g.opts.Logger.ErrorContext(ctx, "sweep failed", "reason", err)
			}
		}
	}
}

// recover takes up the episodes that a former process left open. One that was waiting for
// an impure tool cannot know what became of the call, and is invalid.
func (g *Gateway) recover(ctx context.Context) error {
	for id, err := range g.store.Open(ctx) {
		if err != nil {
			return err
		}
		if err := g.takeUp(ctx, id); err != nil {
			g.opts.Logger.WarnContext(ctx, "episode not taken up", "episode", id, "reason", err)
		}
	}
	return nil
}

func (g *Gateway) takeUp(ctx context.Context, id astra.EpisodeID) error {
	return g.hold(ctx, id, maxQueue, func(e *episode) error {
		if e.rec.Over() {
			return nil
		}
		g.open.add(id, e.rec.KeyHash, e.rec.Expires)
		return ignoreInvalid(g.mustBeAnswered(ctx, e))
	})
}

func ignoreInvalid(err error) error {
	if errors.Is(err, astra.ErrInvalid) {
		return nil
	}
	return err
}

// Resolve finds the episode of a key. Unknown, expired and long-ended keys are all
// astra.ErrNotFound.
func (g *Gateway) Resolve(ctx context.Context, key astra.Key) (astra.EpisodeID, error) {
	hash := key.Hash()
	if id, ok := g.open.byKey(hash); ok {
		return id, nil
	}
	id, err := g.store.ByKey(ctx, hash)
	if err != nil {
		return "", err
	}
	rec, err := g.record(ctx, id)
	if err != nil {
		return "", err
	}
	if !rec.Over() || g.opts.Now().Sub(rec.EndedAt) < g.opts.KeyGrace {
		return id, nil
	}
	return "", fmt.Errorf("key: %w", astra.ErrNotFound)
}

// An openSet knows which episodes are open, when they expire, and the keys of these and
// of those that ended a short while ago.
type openSet struct {
	mu    sync.Mutex
	items map[astra.EpisodeID]*openItem
	keys  map[string]astra.EpisodeID
	times expiryHeap
	ended []endedItem // in order of ending
}

type openItem struct {
	id      astra.EpisodeID
	expires time.Time
	place   int
}

type endedItem struct {
	keyHash string
	at      time.Time
}

func newOpenSet() *openSet {
	return &openSet{items: map[astra.EpisodeID]*openItem{}, keys: map[string]astra.EpisodeID{}}
}

// reserve adds an episode unless there are max, or its key is another's, which can only be
// one that is being opened.
func (o *openSet) reserve(max int, id astra.EpisodeID, keyHash string, expires time.Time) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.items) >= max {
		return fmt.Errorf("%w: %d are open, which is as many as may be", astra.ErrFull, max)
	}
	if _, taken := o.keys[keyHash]; taken {
		return fmt.Errorf("%w: it is being opened", astra.ErrBusy)
	}
	o.put(id, keyHash, expires)
	return nil
}

// next is when the next episode's time is up.
func (o *openSet) next() (time.Time, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.times) == 0 {
		return time.Time{}, false
	}
	return o.times[0].expires, true
}

func (o *openSet) add(id astra.EpisodeID, keyHash string, expires time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.put(id, keyHash, expires)
}

func (o *openSet) put(id astra.EpisodeID, keyHash string, expires time.Time) {
	it := &openItem{id: id, expires: expires}
	o.items[id], o.keys[keyHash] = it, id
	heap.Push(&o.times, it)
}

func (o *openSet) byKey(hash string) (astra.EpisodeID, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	id, ok := o.keys[hash]
	return id, ok
}

// end keeps the key, so that its agent is told that the episode is over.
func (o *openSet) end(id astra.EpisodeID, keyHash string, now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if it := o.items[id]; it != nil {
		heap.Remove(&o.times, it.place)
		delete(o.items, id)
		o.ended = append(o.ended, endedItem{keyHash, now})
	}
}

// forget takes back a reservation.
func (o *openSet) forget(id astra.EpisodeID, keyHash string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if it := o.items[id]; it != nil {
		heap.Remove(&o.times, it.place)
		delete(o.items, id)
	}
	delete(o.keys, keyHash)
}

func (o *openSet) forgetEnded(before time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := 0
	for n < len(o.ended) && o.ended[n].at.Before(before) {
		delete(o.keys, o.ended[n].keyHash)
		n++
	}
	o.ended = slices.Delete(o.ended, 0, n) // in place: there may be hundreds of thousands
}

// due lists the episodes whose time is up.
func (o *openSet) due(now time.Time) []astra.EpisodeID {
	o.mu.Lock()
	defer o.mu.Unlock()
	var ids []astra.EpisodeID
	for len(o.times) > 0 && now.After(o.times[0].expires) {
		it := heap.Pop(&o.times).(*openItem)
		it.place = -1
		ids = append(ids, it.id)
	}
	for _, id := range ids { // back in, in case ending them fails
		heap.Push(&o.times, o.items[id])
	}
	return ids
}

func (o *openSet) len() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.items)
}

type expiryHeap []*openItem

func (h expiryHeap) Len() int           { return len(h) }
func (h expiryHeap) Less(i, j int) bool { return h[i].expires.Before(h[j].expires) }
func (h expiryHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = i, j
}
func (h *expiryHeap) Push(x any) {
	it := x.(*openItem)
	it.place = len(*h)
	*h = append(*h, it)
}
func (h *expiryHeap) Pop() any {
	old := *h
	it := old[len(old)-1]
	*h = old[:len(old)-1]
	return it
}
