package mcp

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
)

// Episodes is what the doors ask of the gateway, or of the owner of a store over REST.
// Each method is the gateway's of that name.
type Episodes interface {
	PublicArenas(ctx context.Context) ([]astra.PublicArena, error)
	PublicArena(ctx context.Context, ref string) (astra.PublicArena, error)
	Tasks(ctx context.Context, ref string, split astra.Split) ([]astra.PublicTask, error)
	Open(ctx context.Context, req gateway.OpenRequest) (*gateway.Opening, error)
	Resolve(ctx context.Context, key astra.Key) (astra.EpisodeID, error)
	Tools(ctx context.Context, id astra.EpisodeID) ([]astra.PublicTool, error)
	Call(ctx context.Context, id astra.EpisodeID, c astra.Call) (astra.Step, error)
	Turn(ctx context.Context, id astra.EpisodeID, reply string) (*gateway.NextTurn, error)
	Submit(ctx context.Context, id astra.EpisodeID, s astra.Submitted) (*astra.Score, error)
	Episode(ctx context.Context, id astra.EpisodeID) (*astra.Episode, error)
	Public(ctx context.Context, id astra.EpisodeID) (astra.PublicTask, error)
}

// Options adjusts a Server. A zero field, or a nil *Options, means the default.
type Options struct {
	Practice   bool          // serve explorers over HTTP; needs Token
	Token      string        // the explorers' bearer token
	Origins    []string      // allowed besides those on loopback, as a browser sends them
	Hosts      []string      // allowed on a loopback listener besides loopback names, without port
	SessionTTL time.Duration // of an idle legacy session; default 10 min
	Version    string        // of astra, as clients see it; default "dev"
	Logger     *slog.Logger  // default discards
}

// A Server is the doors of agents and explorers. It is safe for concurrent use.
type Server struct {
	episodes     Episodes
	opts         Options
	log          *slog.Logger
	transportLog *slog.Logger
	tokenHash    [sha256.Size]byte

	doors     *doors
	listeners *listeners
	recent    *recent
	known     *known
}

// New returns the doors to eps.
func New(eps Episodes, opts *Options) (*Server, error) {
	var o Options
	if opts != nil {
		o = *opts
	}
	if o.Practice && o.Token == "" {
		return nil, errors.New("practice over HTTP needs a token for explorers")
	}
	o.SessionTTL = cmp.Or(o.SessionTTL, 10*time.Minute)
	o.Version = cmp.Or(o.Version, "dev")
	o.Logger = cmp.Or(o.Logger, slog.New(slog.DiscardHandler))
	return &Server{
		episodes:  eps,
		opts:      o,
		log:       o.Logger,
		tokenHash: sha256.Sum256([]byte(o.Token)),
		// The transport logs every client that went away as an error.
		transportLog: slog.New(slog.DiscardHandler),
		doors:        newDoors(maxDoors),
		listeners:    newListeners(),
		recent:       newRecent(),
		known:        newKnown(),
	}, nil
}

// Close ends every session and stream. The handlers answer no more.
func (s *Server) Close(ctx context.Context) error { return s.doors.close(ctx) }

// AgentHandler serves the doors of the agents' listener: those of episodes, and those of
// explorers where practice is on.
func (s *Server) AgentHandler() http.Handler {
	mux := http.NewServeMux()
	agents := s.chain(s.bindAgent)
	mux.Handle("/episodes/{key}/mcp", agents)
	mux.Handle("/episode/mcp", agents)
	if s.opts.Practice {
		explorers := s.chain(s.bindExplorer)
		mux.Handle("/arenas/{arena}/mcp", explorers)
		mux.Handle("/mcp", explorers)
	}
	return mux
}

// maxKey is more than any key or token has; longer ones are not worth hashing.
const maxKey = 256

func (s *Server) bindAgent(r *http.Request) (*door, party, error) {
	key := r.PathValue("key")
	if key == "" {
		key = bearer(r)
	}
	if key == "" || len(key) > maxKey {
		return nil, party{}, errNoDoor
	}
	id, err := s.episodes.Resolve(r.Context(), astra.Key(key))
	if errors.Is(err, astra.ErrNotFound) {
		return nil, party{}, errNoDoor
	}
	if err != nil {
		return nil, party{}, err
	}
	d, err := s.agentDoorOf(r.Context(), id)
	return d, party{principal: "agent:" + string(id), episode: id}, err
}

func (s *Server) agentDoorOf(ctx context.Context, id astra.EpisodeID) (*door, error) {
	ref, err := s.arenaOf(ctx, id)
	if err != nil {
		return nil, err
	}
	return s.doors.get(doorKey{"agent", ref}, func() (*door, error) {
		a, err := s.episodes.PublicArena(context.WithoutCancel(ctx), ref)
		if err != nil {
			return nil, err
		}
		return s.newAgentDoor(a)
	})
}

// explorer is the principal of everybody who has the token.
const explorer = "explorer"

func (s *Server) bindExplorer(r *http.Request) (*door, party, error) {
	got := sha256.Sum256([]byte(bearer(r)))
	if subtle.ConstantTimeCompare(got[:], s.tokenHash[:]) != 1 {
		return nil, party{}, errNoToken
	}
	d, err := s.explorerDoorOf(r.Context(), r.PathValue("arena"))
	if errors.Is(err, astra.ErrNotFound) {
		err = errNoDoor
	}
	return d, party{principal: explorer}, err
}

// explorerDoorOf finds the door of an arena, or the lobby's if ref is "".
func (s *Server) explorerDoorOf(ctx context.Context, ref string) (*door, error) {
	if ref == "" {
		return s.doors.get(doorKey{kind: "lobby"}, s.newLobby)
	}
	a, err := s.episodes.PublicArena(ctx, ref)
	if err != nil {
		return nil, err
	}
	exact := a.Name + "@" + string(a.Digest)
	return s.doors.get(doorKey{"explorer", exact}, func() (*door, error) { return s.newExplorerDoor(a, exact) })
}

func bearer(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// maxDoors bounds the MCP servers that are kept: some 14 KB each, and their sessions.
const maxDoors = 256

// doors are the MCP servers built so far. The one that was used longest ago makes room
// for the newest; its sessions end with it.
type doors struct {
	max int

	mu     sync.Mutex
	closed bool
	tick   uint64
	byID   map[doorKey]*slot
}

type doorKey struct{ kind, ref string }

type slot struct {
	used uint64
	once sync.Once
	door *door
	err  error
}

func newDoors(limit int) *doors { return &doors{max: limit, byID: map[doorKey]*slot{}} }

// get returns the door of a key, built once however many ask at the same time.
func (c *doors) get(k doorKey, build func() (*door, error)) (*door, error) {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil, errNoDoor
	}
	c.tick++
	x := c.byID[k]
	if x == nil {
		x = new(slot)
		c.makeRoom()
		c.byID[k] = x
	}
	x.used = c.tick
	c.mu.Unlock()

	x.once.Do(func() { x.door, x.err = build() })
	if x.err != nil {
		c.forget(k, x)
		return nil, fmt.Errorf("door of %s: %w", cmp.Or(k.ref, k.kind), x.err)
	}
	return x.door, nil
}

// makeRoom is called with the lock.
func (c *doors) makeRoom() {
	if len(c.byID) < c.max {
		return
	}
	var oldest doorKey
	least := c.tick + 1
	for k, x := range c.byID {
		if x.used < least {
			oldest, least = k, x.used
		}
	}
	gone := c.byID[oldest]
	delete(c.byID, oldest)
	go gone.close(context.Background()) // ends streams; nobody waits for them
}

func (c *doors) forget(k doorKey, x *slot) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byID[k] == x {
		delete(c.byID, k)
	}
}

func (c *doors) close(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	var errs []error
	for k, x := range c.byID {
		errs = append(errs, x.close(ctx))
		delete(c.byID, k)
	}
	return errors.Join(errs...)
}

func (x *slot) close(ctx context.Context) error {
	x.once.Do(func() { x.err = errNoDoor })
	if x.door == nil {
		return nil
	}
	return x.door.close(ctx)
}
