package httpapi

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
	"github.com/astra-arenas/astra/trainer/groups"
)

// Episodes is what the control side asks of the gateway, whose methods say what they
// promise. It is safe for concurrent use.
type Episodes interface {
	AddArena(ctx context.Context, b *astra.Bundle) (*astra.Arena, error)
	PublicArenas(ctx context.Context) ([]astra.PublicArena, error)
	PublicArena(ctx context.Context, ref string) (astra.PublicArena, error)
	Tasks(ctx context.Context, ref string, split astra.Split) ([]astra.PublicTask, error)
	Catalog(ctx context.Context, ref string) ([]gateway.Entry, error)
	Certificate(ctx context.Context, ref string) (*astra.Certificate, error)

	Open(ctx context.Context, req gateway.OpenRequest) (*gateway.Opening, error)
	Resolve(ctx context.Context, key astra.Key) (astra.EpisodeID, error)
	Tools(ctx context.Context, id astra.EpisodeID) ([]astra.PublicTool, error)
	Call(ctx context.Context, id astra.EpisodeID, c astra.Call) (astra.Step, error)
	Turn(ctx context.Context, id astra.EpisodeID, reply string) (*gateway.NextTurn, error)
	Say(ctx context.Context, id astra.EpisodeID, reply, message string) (*gateway.NextTurn, error)
	Submit(ctx context.Context, id astra.EpisodeID, s astra.Submitted) (*astra.Score, error)
	Fork(ctx context.Context, id astra.EpisodeID, req gateway.ForkRequest) ([]*gateway.Opening, error)
	Rewind(ctx context.Context, id astra.EpisodeID, req gateway.RewindRequest) (*gateway.Opening, error)
	Abort(ctx context.Context, id astra.EpisodeID, reason string) error

	Episode(ctx context.Context, id astra.EpisodeID) (*astra.Episode, error)
	Public(ctx context.Context, id astra.EpisodeID) (astra.PublicTask, error)
	List(ctx context.Context, q astra.Query) (astra.Page, error)
	StateAt(ctx context.Context, id astra.EpisodeID, at *int) (*gateway.State, error)
	Replay(ctx context.Context, id astra.EpisodeID) (*gateway.Replay, error)
	Rescore(ctx context.Context, id astra.EpisodeID) (*astra.Score, error)
	Stats() gateway.Stats
	Capacity() gateway.Capacity
}

// An ExportFunc writes the episodes that q and the least reward select, one JSON row a
// line, oldest first. The room for trainers has one; the control side only carries it.
type ExportFunc func(ctx context.Context, w io.Writer, q astra.Query, minReward float64) error

// A SamplesFunc writes the samples of the groups that q selects, with advantages above a
// baseline, as JSON lines.
type SamplesFunc func(ctx context.Context, w io.Writer, q astra.Query, b groups.Baseline) error

// Options adjusts the control side. A zero field means the default; Token has none.
type Options struct {
	Token   string        // what every request but /healthz must bear; at least MinToken bytes
	Hosts   []string      // Host names taken besides the loopback's, without port
	Origins []string      // Origins taken besides the request's own host, as scheme://host:port
	SFT     ExportFunc    // answers GET /v1/export/sft; without it that is not supported
	RL      SamplesFunc   // answers GET /v1/export/rl; without it that is not supported
	Batches Batches       // answers /v1/batches, with Samples; without both that is not supported
	Samples Samples       // of the groups of batches
	Timeout time.Duration // of a request, except uploads, replays and exports; default DefaultTimeout
	Version string        // shown by the OpenAPI document; default "dev"
	Logger  *slog.Logger  // default discards
}

// MinToken is the least length of a token, in bytes: a guess must be hopeless.
const MinToken = 16

// DefaultTimeout is well past the wall clock of any tool call (10 s) and a queue of them.
const DefaultTimeout = 2 * time.Minute

// maxUploads is how many bundles may be in memory at once; each has up to maxArena bytes.
const maxUploads = 2

type api struct {
	eps     Episodes
	opts    Options
	token   [sha256.Size]byte
	metrics *metrics
	openapi []byte
	uploads chan struct{}
	buffers sync.Pool // of *bytes.Buffer
}

// New returns the handler of the control side. The token is required.
func New(eps Episodes, opts *Options) (http.Handler, error) {
	a, err := newAPI(eps, opts)
	if err != nil {
		return nil, err
	}
	e := echo.New()
	e.HTTPErrorHandler = a.fail
	e.Use(a.measure, a.catch, a.guard)
	for _, r := range routes() {
		e.Add(r.method, echoPath(r.path), a.handle(r))
	}
	return e, nil
}

func newAPI(eps Episodes, opts *Options) (*api, error) {
	if opts == nil || len(opts.Token) < MinToken {
		return nil, errors.New("the control side needs a token of at least 16 bytes (Options.Token)")
	}
	a := &api{eps: eps, opts: *opts, token: sha256.Sum256([]byte(opts.Token)), uploads: make(chan struct{}, maxUploads)}
	a.opts.Token = "" // only its hash is kept, so that nothing can print it
	a.opts.Hosts, a.opts.Origins = slices.Clone(opts.Hosts), slices.Clone(opts.Origins)
	if a.opts.Timeout == 0 {
		a.opts.Timeout = DefaultTimeout
	}
	if a.opts.Version == "" {
		a.opts.Version = "dev"
	}
	if a.opts.Logger == nil {
		a.opts.Logger = slog.New(slog.DiscardHandler)
	}
	a.buffers.New = func() any { return new(bytes.Buffer) }
	a.metrics = newMetrics(eps)
	var err error
	a.openapi, err = document(a.opts.Version)
	return a, err
}

// echoPath turns /a/{b} into /a/:b.
func echoPath(path string) string {
	return strings.ReplaceAll(strings.ReplaceAll(path, "{", ":"), "}", "")
}

// NewServer returns a server for the handler that slow or silent peers cannot hold on to.
// Uploads and exports move the deadlines themselves.
func NewServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       time.Minute,
		WriteTimeout:      DefaultTimeout + 30*time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
	}
}
