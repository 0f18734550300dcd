package ors

import (
	"cmp"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/httpapi/harness"
)

// What a zero Options means: as in the protocol's own server.
const (
	DefaultIdle = 15 * time.Minute
	DefaultPing = 10 * time.Second
)

// Options adjusts a Server. A zero field, or a nil *Options, means the default.
type Options struct {
	Idle time.Duration // a session that nobody asks about for so long is ended; default DefaultIdle
	Ping time.Duration // between comments while a call runs; default DefaultPing
}

// A Server is the endpoints. It is safe for concurrent use.
type Server struct {
	house    *harness.House
	sessions *harness.Sessions
	opts     Options
	log      *slog.Logger
	calls    singleflight.Group // by session and task_id: who sends a call again joins the one that runs

	mu     sync.Mutex
	envs   map[astra.Digest][]*environment
	served int // of the house, when envs were made
}

// New returns a server of the house's arenas.
func New(house *harness.House, opts *Options) *Server {
	s := &Server{house: house, log: house.Logger(), envs: map[astra.Digest][]*environment{}}
	if opts != nil {
		s.opts = *opts
	}
	s.opts.Idle = cmp.Or(s.opts.Idle, DefaultIdle)
	s.opts.Ping = cmp.Or(s.opts.Ping, DefaultPing)
	s.sessions = house.Sessions("ors", s.opts.Idle)
	return s
}

// What is asked for at a host's root, and about an environment, whose name may stand before it.
var (
	atRoot        = []string{"health", "list_environments", "create_session", "create", "ping", "delete", "delete_session"}
	ofEnvironment = []string{"tools", "splits", "tasks", "num_tasks", "task", "task_range", "prompt", "task_tools", "call"}
)

// Knows reports whether a path is one of the protocol's: its clients know no other place than
// the root of a host, where other protocols may have to be as well.
func Knows(path string) bool {
	path = strings.TrimPrefix(path, "/")
	if _, last, named := strings.Cut(path, "/"); named {
		return slices.Contains(ofEnvironment, last)
	}
	return slices.Contains(atRoot, path) || slices.Contains(ofEnvironment, path)
}

// Handler serves the endpoints.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern string, serve func(http.ResponseWriter, *http.Request) error) {
		mux.Handle(pattern, s.answer(serve))
	}
	handle("GET /health", s.health)
	handle("GET /list_environments", s.list)
	handle("POST /create_session", s.createSession)
	handle("POST /create", s.create)
	handle("POST /ping", s.ping)
	handle("POST /delete", s.delete)
	handle("POST /delete_session", s.deleteSession)
	for _, env := range []string{"", "/{env}"} {
		handle("GET "+env+"/tools", s.inEnvironment(tools))
		handle("GET "+env+"/splits", s.inEnvironment(splits))
		handle("POST "+env+"/tasks", s.inEnvironment(tasks))
		handle("POST "+env+"/num_tasks", s.inEnvironment(numTasks))
		handle("POST "+env+"/task", s.inEnvironment(task))
		handle("POST "+env+"/task_range", s.inEnvironment(taskRange))
		handle("GET "+env+"/prompt", s.inSession(s.prompt))
		handle("GET "+env+"/task_tools", s.inSession(s.taskTools))
		handle("POST "+env+"/call", s.inSession(s.call))
	}
	handle("/", func(http.ResponseWriter, *http.Request) error {
		return harness.Refuse(http.StatusNotFound, "Not Found")
	})
	return s.house.Guard(mux, s.fail)
}

func (s *Server) answer(serve func(http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := serve(w, r); err != nil {
			s.fail(w, r, err)
		}
	})
}

func (s *Server) health(w http.ResponseWriter, _ *http.Request) error {
	return write(w, http.StatusOK, map[string]string{"status": "ok"})
}

// fail answers as FastAPI does: {"detail": …}. Who finds no room is told that the backend is
// starting, for which clients wait and ask again, ten minutes long; after 429 they ask twice.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	f, ok := errors.AsType[*harness.Refusal](err)
	switch {
	case ok:
	case errors.Is(err, astra.ErrFull), errors.Is(err, astra.ErrBusy):
		w.Header().Set("Retry-After", strconv.Itoa(max(s.house.Capacity().RetryAfter, 1)))
		w.Header().Set("X-Backend-State", "starting")
		f = &harness.Refusal{Status: http.StatusServiceUnavailable, Text: "no more episodes can be opened now"}
	case errors.Is(err, astra.ErrRefused):
		f = &harness.Refusal{Status: http.StatusBadRequest, Text: err.Error()}
	default:
		if r.Context().Err() == nil { // else the client is gone
			s.log.ErrorContext(r.Context(), "request failed", "path", r.URL.Path, "reason", err)
		}
		f = &harness.Refusal{Status: http.StatusInternalServerError, Text: internal}
	}
	_ = write(w, f.Status, map[string]string{"detail": f.Text}) // the client is gone if this fails
}

const internal = "astra could not do this; its log says why"

func write(w http.ResponseWriter, status int, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	w.WriteHeader(status)
	_, _ = w.Write(b) // the client is gone if this fails
	return nil
}
