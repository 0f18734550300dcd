package gateway

import (
	"container/list"
	"context"
	"math"
	"sync"

	"golang.org/x/sync/semaphore"

	"github.com/astra-arenas/astra"
)

// How many may wait for one episode. Calls leave room for everything else, so that an
// agent that fills the queue cannot keep its harness from submitting.
const (
	maxWaiting = 64             // when a call comes
	maxQueue   = 4 * maxWaiting // when anything else does
	ifFree     = 0              // when it is work that comes again
)

// An episode is what is in memory of one: a cache over its log. Its fields below busy are
// guarded by busy; refs and place by the liveSet.
type episode struct {
	id    astra.EpisodeID
	refs  int
	place *list.Element // in liveSet.idle, when refs is 0

	busy  *semaphore.Weighted       // one worker; the others wait in order
	rec   *astra.Episode            // nil until read from the log
	arena *loaded                   // nil until bound
	task  *astra.Task               // nil in free play
	insts map[astra.Digest]Instance // its own arena's, and distractors' once called

	rested    map[astra.Digest]snapshot // of worlds that were put away
	marks     []snapshot                // of the own arena's world, by step; see mark
	awake     *list.Element             // in liveSet.awake, when idle with instances
	size      int64                     // bytes of the record, rested and marks, about
	stored    int                       // the step of the snapshot in the store, 0: none
	rehearsed bool                      // its log is in memory alone, and it counts nowhere
	looked    *astra.Result             // the state of a rehearsal since its last call, once it was asked for
	breached  bool                      // a call went beyond a limit, so the next may, too
}

// drop releases the instances; the next use rebuilds them from the log, or from where they
// were put away.
func (e *episode) drop() {
	for d, inst := range e.insts {
		inst.Close()
		delete(e.insts, d)
	}
}

func (e *episode) dropOne(d astra.Digest) {
	if inst := e.insts[d]; inst != nil {
		inst.Close()
		delete(e.insts, d)
	}
}

// A liveSet holds the episodes in memory. Of the idle ones, least recently used first,
// those beyond max instances are put away, and those beyond maxBytes forgotten: records and
// worlds at rest, which agents make as large as limits and budget let them.
type liveSet struct {
	max      int
	maxBytes int64
	forgets  func(*episode) // is called for each, alone, before it leaves memory
	tooMany  chan struct{}  // of capacity 1: wakes the one who puts away
	resting  sync.WaitGroup

	mu     sync.Mutex
	byID   map[astra.EpisodeID]*episode
	idle   *list.List // of *episode, least recently used first; but those that hold something
	awake  *list.List // those of them with instances
	insts  int        // instances of the awake ones
	bytes  int64      // of the idle ones
	closed bool
}

func newLiveSet(max int, maxBytes int64, forgets func(*episode)) *liveSet {
	s := &liveSet{max: max, maxBytes: maxBytes, forgets: forgets, tooMany: make(chan struct{}, 1),
		byID: map[astra.EpisodeID]*episode{}, idle: list.New(), awake: list.New()}
	s.resting.Go(func() {
		for range s.tooMany {
			s.shrink(s.max, math.MaxInt)
		}
	})
	return s
}

// acquire returns the episode for the caller alone; it must be released. If more than
// waiting wait already, it is astra.ErrBusy.
func (s *liveSet) acquire(ctx context.Context, id astra.EpisodeID, waiting int) (*episode, error) {
	e, err := s.ref(id, waiting)
	if err != nil {
		return nil, err
	}
	if err := e.busy.Acquire(ctx, 1); err != nil {
		s.unref(e, false)
		return nil, context.Cause(ctx)
	}
	if s.isClosed() {
		s.release(e, true)
		return nil, errClosing
	}
	return e, nil
}

func (s *liveSet) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

func (s *liveSet) ref(id astra.EpisodeID, waiting int) (*episode, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errClosing
	}
	e := s.byID[id]
	if e == nil {
		e = &episode{id: id, busy: semaphore.NewWeighted(1), insts: map[astra.Digest]Instance{}}
		s.byID[id] = e
	}
	if e.refs > waiting {
		return nil, astra.ErrBusy
	}
	e.refs++
	s.wake(e)
	return e, nil
}

// wake takes an episode out of the idle ones, if it is among them.
func (s *liveSet) wake(e *episode) {
	if e.place != nil {
		s.idle.Remove(e.place)
		e.place = nil
		s.bytes -= e.size
	}
	if e.awake != nil {
		s.awake.Remove(e.awake)
		e.awake = nil
		s.insts -= len(e.insts)
	}
}

// settle makes an episode that nobody works on an idle one.
func (s *liveSet) settle(e *episode) {
	if e.holds() {
		return
	}
	e.place = s.idle.PushBack(e)
	s.bytes += e.size
	if len(e.insts) > 0 {
		e.awake = s.awake.PushBack(e)
		s.insts += len(e.insts)
	}
}

// release gives the episode back; forget takes it out of memory once nobody waits.
func (s *liveSet) release(e *episode, forget bool) {
	e.busy.Release(1)
	s.unref(e, forget)
}

func (s *liveSet) unref(e *episode, forget bool) {
	s.mu.Lock()
	e.refs--
	switch {
	case e.refs > 0:
	case forget || s.closed:
		s.remove(e)
	default:
		s.settle(e)
	}
	many := s.insts > s.max || s.bytes > s.maxBytes
	if many && !s.closed {
		select { // so that no caller waits for what others left
		case s.tooMany <- struct{}{}:
		default:
		}
	}
	s.mu.Unlock()
	s.shrink(s.max+s.max/8, math.MaxInt) // unless it cannot keep up
}

// shrink puts away and forgets what is too much, at most so many episodes. One that it works
// on is held like any other, so that neither the set nor other episodes wait.
func (s *liveSet) shrink(max, most int) {
	for range most {
		e, forget := s.tooMuch(max)
		if e == nil {
			return
		}
		if forget {
			s.forgets(e)
		} else {
			e.rest()
		}
		e.busy.Release(1)
		s.mu.Lock()
		e.refs--
		switch {
		case e.refs > 0: // somebody wants it after all
		case forget || s.closed:
			s.remove(e)
		default:
			s.settle(e)
		}
		s.mu.Unlock()
	}
}

// tooMuch takes hold of an idle episode that is to be put away or forgotten, if any is.
func (s *liveSet) tooMuch(max int) (e *episode, forget bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.bytes > s.maxBytes && s.idle.Len() > 0:
		e, forget = s.idle.Front().Value.(*episode), true
	case s.insts > max:
		e = s.awake.Front().Value.(*episode)
	default:
		return nil, false
	}
	s.wake(e)
	e.refs++
	e.busy.TryAcquire(1) // nobody held it
	return e, forget
}

// remove is called for an episode that nobody holds, so its fields are ours.
func (s *liveSet) remove(e *episode) {
	delete(s.byID, e.id)
	e.drop()
}

// rest puts away all episodes that are idle now.
func (s *liveSet) rest() {
	s.mu.Lock()
	n := s.awake.Len()
	s.mu.Unlock()
	s.shrink(0, n)
}

// counts tells how many worlds of idle episodes are not put away, and how many episodes are in memory.
func (s *liveSet) counts() (live, episodes int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.insts, len(s.byID)
}

// close lets nobody in, waits for those who work, and releases every instance.
func (s *liveSet) close() {
	s.mu.Lock()
	s.closed = true
	close(s.tooMany)
	var all []*episode
	for _, e := range s.byID {
		e.refs++
		s.wake(e)
		all = append(all, e)
	}
	s.mu.Unlock()
	s.resting.Wait()
	for _, e := range all {
		if e.busy.Acquire(context.Background(), 1) == nil {
			s.forgets(e)
			s.release(e, true)
		}
	}
}

// use works on an episode alone, with its record read and its arena bound. When f
// returns, an episode that is over leaves memory.
func (g *Gateway) use(ctx context.Context, id astra.EpisodeID, f func(*episode) error) error {
	return g.hold(ctx, id, maxQueue, g.bound(f))
}

// hold is use for what needs no arena: an episode ends even if its arena is not served.
func (g *Gateway) hold(ctx context.Context, id astra.EpisodeID, waiting int, f func(*episode) error) error {
	e, err := g.live.acquire(ctx, id, waiting)
	if err != nil {
		return err
	}
	defer func() { g.live.release(e, e.rec == nil || e.rec.Over()) }()
	returned := false
	defer func() {
		if !returned { // a panic: nobody knows what it left
			e.rec = nil
			e.drop()
		}
	}()
	known := e.rec != nil
	if err = g.read(ctx, e); err == nil {
		if !known {
			g.recall(ctx, e)
		}
		err = f(e)
	}
	returned = true
	return err
}

// read folds the log into the record. It may tell of an end whose append was thought to
// have failed.
func (g *Gateway) read(ctx context.Context, e *episode) (err error) {
	if e.rec != nil {
		return nil
	}
	if e.rec, err = g.record(ctx, e.id); err != nil {
		return err
	}
	e.size = 0
	for _, s := range e.rested {
		e.size += int64(len(s.world))
	}
	for _, s := range e.marks {
		e.size += int64(len(s.world))
	}
	for _, s := range e.rec.Steps {
		e.size += stepSize(&s)
	}
	if e.rec.Over() {
		g.over(e)
	}
	return nil
}

// stepSize is what a step takes in memory, about.
func stepSize(s *astra.Step) int64 {
	return int64(512 + len(s.Args) + len(s.Result.Value) + len(s.Result.Error) + len(s.Result.Log))
}

func (g *Gateway) bound(f func(*episode) error) func(*episode) error {
	return func(e *episode) error {
		if err := g.bind(e); err != nil {
			return err
		}
		return f(e)
	}
}

// bind finds the arena and the task that the record names.
func (g *Gateway) bind(e *episode) (err error) {
	if e.arena != nil {
		return nil
	}
	if e.arena, err = g.arenas.exact(e.rec.Digest); err == nil {
		e.task = e.arena.Arena.Task(e.rec.Task)
	}
	return err
}

// append writes events to the log and folds them into the record. An event that is not
// in the log has not happened, so what the instances did since is dropped.
func (g *Gateway) append(ctx context.Context, e *episode, sync Sync, events ...astra.Event) error {
	for i := range events {
		events[i] = g.event(events[i])
	}
	if err := g.write(ctx, e, sync, events); err != nil {
		e.drop()
		e.rec = nil
		return err
	}
	for _, ev := range events {
		if err := e.rec.Fold(ev); err != nil {
			return err
		}
		if ev.Called != nil {
			e.size += stepSize(ev.Called)
		}
	}
	if e.rec.Over() {
		g.over(e)
	}
	return nil
}

// write hands events to the store; a rehearsal's are its record alone.
func (g *Gateway) write(ctx context.Context, e *episode, sync Sync, events []astra.Event) error {
	if e.rehearsed {
		return nil
	}
	return g.store.Append(context.WithoutCancel(ctx), e.id, sync, events...)
}

// over lets go of what only an open episode needs.
func (g *Gateway) over(e *episode) {
	e.drop()
	e.rested, e.marks = nil, nil
	if !e.rehearsed {
		g.open.end(e.id, e.rec.KeyHash, g.opts.Now())
	}
}
