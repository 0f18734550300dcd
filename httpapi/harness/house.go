package harness

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
)

// Episodes is what faces ask of the gateway, whose methods say what they promise. It is safe
// for concurrent use.
type Episodes interface {
	PublicArenas(ctx context.Context) ([]astra.PublicArena, error)
	PublicArena(ctx context.Context, ref string) (astra.PublicArena, error)
	Catalog(ctx context.Context, ref string) ([]gateway.Entry, error)
	Capacity() gateway.Capacity
	Served() int

	Open(ctx context.Context, req gateway.OpenRequest) (*gateway.Opening, error)
	Resolve(ctx context.Context, key astra.Key) (astra.EpisodeID, error)
	Tools(ctx context.Context, id astra.EpisodeID) ([]astra.PublicTool, error)
	Call(ctx context.Context, id astra.EpisodeID, c astra.Call) (astra.Step, error)
	Turn(ctx context.Context, id astra.EpisodeID, reply string) (*gateway.NextTurn, error)
	Submit(ctx context.Context, id astra.EpisodeID, s astra.Submitted) (*astra.Score, error)
	Abort(ctx context.Context, id astra.EpisodeID, reason string) error
	Episode(ctx context.Context, id astra.EpisodeID) (*astra.Episode, error)
	Public(ctx context.Context, id astra.EpisodeID) (astra.PublicTask, error)
}

// Options adjusts a House. A zero field, or a nil *Options, means the default.
type Options struct {
	Now    func() time.Time // the gateway's clock; default time.Now
	Logger *slog.Logger     // default discards
}

// A House is what the faces of one listener share. It is safe for concurrent use.
type House struct {
	Episodes
	*Gate
	opts   Options
	secret []byte
	agents http.Handler

	mu       sync.Mutex
	faces    []*Sessions
	catalogs map[astra.Digest][]gateway.Entry
	served   int // of Episodes.Served, when catalogs were listed

	stop    context.CancelFunc
	sweeper sync.WaitGroup
}

// MinSecret is the least length of a secret, in bytes: keys are made of it.
const MinSecret = 16

// sweepEvery is how often idle sessions are looked for.
const sweepEvery = 5 * time.Second

// New returns a house over eps, behind a gate. The secret stays the same as long as the store does; agents is
// the door of agents, which knows /episode/mcp with an episode's key as bearer token.
func New(eps Episodes, gate *Gate, secret []byte, agents http.Handler, opts *Options) (*House, error) {
	if len(secret) < MinSecret {
		return nil, errors.New("faces need a secret of at least 16 bytes")
	}
	h := &House{Episodes: eps, Gate: gate, secret: slices.Clone(secret), agents: agents, catalogs: map[astra.Digest][]gateway.Entry{}}
	if opts != nil {
		h.opts = *opts
	}
	if h.opts.Now == nil {
		h.opts.Now = time.Now
	}
	h.opts.Logger = cmp.Or(h.opts.Logger, slog.New(slog.DiscardHandler))
	ctx, stop := context.WithCancel(context.Background())
	h.stop = stop
	h.sweeper.Go(func() { h.sweepLoop(ctx) })
	return h, nil
}

// Close stops looking for idle sessions. Episodes stay as they are.
func (h *House) Close() {
	h.stop()
	h.sweeper.Wait()
}

// Logger is where faces log.
func (h *House) Logger() *slog.Logger { return h.opts.Logger }

func (h *House) sweepLoop(ctx context.Context) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			h.Sweep(ctx)
		}
	}
}

// Sweep ends the sessions that were idle for too long. It runs by itself every five seconds;
// tests call it with a clock of their own.
func (h *House) Sweep(ctx context.Context) {
	h.mu.Lock()
	faces := slices.Clone(h.faces)
	h.mu.Unlock()
	for _, s := range faces {
		s.sweep(ctx)
	}
}

// maxCatalogs bounds the arenas whose tasks are listed without asking the gateway again.
const maxCatalogs = 256

// Tasks lists the tasks of an arena, named name or name@digest, in the author's order, without
// those whose user is simulated: no face can bring one, and without one they are other tasks.
// The list is shared: it must not be changed.
func (h *House) Tasks(ctx context.Context, ref string) (astra.PublicArena, []gateway.Entry, error) {
	a, err := h.PublicArena(ctx, ref)
	if err != nil {
		return a, nil, err
	}
	served := h.Served()
	h.mu.Lock()
	defer h.mu.Unlock()
	if served != h.served {
		clear(h.catalogs)
		h.served = served
	}
	if list, known := h.catalogs[a.Digest]; known {
		return a, list, nil
	}
	list, err := h.Catalog(ctx, a.Name+"@"+string(a.Digest))
	if err != nil {
		return a, nil, err
	}
	all := len(list)
	list = slices.DeleteFunc(list, func(e gateway.Entry) bool { return e.Turns > e.Own })
	if left := all - len(list); left > 0 {
		h.opts.Logger.WarnContext(ctx, "tasks not served to harnesses: their user is simulated, and no protocol of theirs brings one", "arena", a.Name, "tasks", left)
	}
	if len(h.catalogs) == maxCatalogs {
		clear(h.catalogs)
	}
	h.catalogs[a.Digest] = list
	return a, list, nil
}

// ServeMCP lets a request in at the agents' door of an episode: its tools, and nothing that
// tells a reward.
func (h *House) ServeMCP(w http.ResponseWriter, r *http.Request, key astra.Key) {
	r = r.Clone(r.Context())
	r.URL.Path, r.URL.RawPath, r.RequestURI = "/episode/mcp", "", "/episode/mcp"
	r.Header.Set("Authorization", "Bearer "+string(key))
	r.Header.Del("Cookie")
	h.agents.ServeHTTP(w, r)
}
