// Package gateway opens, steps, forks, submits, scores, expires and recovers episodes.
//
// An episode is its log. What is in memory, the folded record and the live instances, is
// a cache over it: least recently used out first, rebuilt by playing the log. One
// goroutine at a time works on an episode; the others queue in order of arrival.
//
// The package says in ports.go what it needs of runtimes, of a store and of a judge, and
// imports none of them.
package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/astra-arenas/astra"
)

// What a zero Options means.
const (
	DefaultTTL      = time.Hour
	DefaultKeyGrace = 10 * time.Minute
	DefaultMaxOpen  = 100_000
	DefaultMaxLive  = 4_096
	DefaultMaxBytes = 1 << 30
	sweepEvery      = time.Second
)

// Options adjusts a Gateway. A zero field, or a nil *Options, means the default.
type Options struct {
	TTL      time.Duration    // of an open episode; default DefaultTTL
	KeyGrace time.Duration    // how long an ended episode's key still answers "over"; default DefaultKeyGrace
	MaxOpen  int              // open episodes; default DefaultMaxOpen
	MaxLive  int              // worlds of idle episodes; those beyond are put away; default DefaultMaxLive
	MaxBytes int64            // of idle episodes' records and worlds put away; default DefaultMaxBytes
	Memory   Memory           // past its most, no episode is opened; default nobody looks
	Now      func() time.Time // default time.Now
	// Certifier, if set, makes the gateway require certificates: train and eval episodes
	// are opened only of arenas that pass.
	Certifier Certifier
	Logger    *slog.Logger // default discards
}

func (o *Options) withDefaults() Options {
	var c Options
	if o != nil {
		c = *o
	}
	c.TTL = orDefault(c.TTL, DefaultTTL)
	c.KeyGrace = orDefault(c.KeyGrace, DefaultKeyGrace)
	c.MaxOpen = orDefault(c.MaxOpen, DefaultMaxOpen)
	c.MaxLive = orDefault(c.MaxLive, DefaultMaxLive)
	c.MaxBytes = orDefault(c.MaxBytes, DefaultMaxBytes)
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

func orDefault[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}

// A Gateway runs episodes. It is safe for concurrent use.
type Gateway struct {
	opts   Options
	store  Store
	judge  Judge
	arenas *arenas
	gold   *goldCache
	live   *liveSet
	open   *openSet
	count  counters

	onToolsAdded func(astra.EpisodeID)

	stop    context.CancelFunc
	sweeper sync.WaitGroup
	closing atomic.Bool
}

// New returns a gateway that keeps its episodes in st, scores them with judge and runs
// tools on rts, whose kinds must differ. It loads the arenas in the store and takes up the
// open episodes found there.
func New(ctx context.Context, st Store, judge Judge, rts []Runtime, opts *Options) (*Gateway, error) {
	g := &Gateway{opts: opts.withDefaults(), store: st, judge: judge, open: newOpenSet()}
	var err error
	if g.arenas, err = newArenas(judge, rts); err != nil {
		return nil, err
	}
	g.gold = newGoldCache(g)
	g.live = newLiveSet(g.opts.MaxLive, g.opts.MaxBytes, g.forget)
	if err := g.loadStored(ctx); err != nil {
		return nil, err
	}
	if err := g.recover(ctx); err != nil {
		return nil, err
	}
	if err := g.Sweep(ctx); err != nil { // time went on while nobody was here
		g.opts.Logger.WarnContext(ctx, "sweep failed", "reason", err)
	}
	bg, stop := context.WithCancel(context.WithoutCancel(ctx))
	g.stop = stop
	g.sweeper.Go(func() { g.sweepLoop(bg) })
	return g, nil
}

// OnToolsAdded registers a function that is called, without locks held, after a turn added
// tools to an episode's view. It must be registered before the gateway is used.
func (g *Gateway) OnToolsAdded(f func(astra.EpisodeID)) { g.onToolsAdded = f }

// Close waits for running calls and releases every instance; open episodes stay open in
// the store.
func (g *Gateway) Close() error {
	if g.closing.Swap(true) {
		return nil
	}
	g.stop()
	g.sweeper.Wait()
	g.live.close()
	return g.arenas.close()
}

// Stats is what the metrics show.
type Stats struct {
	Arenas, Open                           int
	Live                                   int    // worlds of idle episodes that are not put away
	Known                                  int    // episodes in memory
	Opened, Calls, Failed, Scored, Invalid uint64 // since the start
	Resumed, Replayed                      uint64 // worlds made again: from a snapshot, from the log alone
}

type counters struct{ opened, calls, failed, scored, invalid, resumed, replayed atomic.Uint64 }

// Stats returns counters.
func (g *Gateway) Stats() Stats {
	live, known := g.live.counts()
	return Stats{Arenas: g.arenas.len(), Open: g.open.len(), Live: live, Known: known,
		Resumed: g.count.resumed.Load(), Replayed: g.count.replayed.Load(),
		Opened: g.count.opened.Load(), Calls: g.count.calls.Load(), Failed: g.count.failed.Load(),
		Scored: g.count.scored.Load(), Invalid: g.count.invalid.Load()}
}

// event stamps a record of the log.
func (g *Gateway) event(ev astra.Event) astra.Event {
	ev.Schema, ev.Time = astra.EventSchema, g.opts.Now().UTC()
	return ev
}

// refuse is an error that says what to do instead; doors answer it as a bad request.
func refuse(format string, args ...any) error {
	return fmt.Errorf("%w: %s", astra.ErrRefused, fmt.Sprintf(format, args...))
}

var errClosing = errors.New("astra is shutting down")
