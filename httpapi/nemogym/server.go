package nemogym

import (
	"context"
	"net/http"
	"regexp"
	"time"

	"github.com/astra-arenas/astra/httpapi/harness"
)

// DefaultIdle is when a session that nobody uses ends: a model may think for long, and a
// harness that was killed closes nothing.
const DefaultIdle = 30 * time.Minute

// Options adjusts a Server. A zero field, or a nil *Options, means the default.
type Options struct {
	Idle time.Duration // default DefaultIdle
}

// A Server is the endpoints. It is safe for concurrent use.
type Server struct {
	house    *harness.House
	sessions sessions // of seed_session
	games    sessions // of reset, which verify, tools and close_session do not know
}

// sessions are those of one kind, and what this process knows of them.
type sessions struct {
	*harness.Sessions
	visits *visits
}

func newSessions(house *harness.House, face string, idle time.Duration) sessions {
	s := sessions{house.Sessions(face, idle), newVisits()}
	s.WhenOver(s.visits.over)
	return s
}

// New returns a server over the episodes of a house.
func New(house *harness.House, opts *Options) *Server {
	idle := DefaultIdle
	if opts != nil && opts.Idle > 0 {
		idle = opts.Idle
	}
	return &Server{house: house, sessions: newSessions(house, "nemo-gym", idle), games: newSessions(house, "nemo-gym gymnasium", idle)}
}

// A reply is what an endpoint answers with if all is well; it becomes JSON.
type reply any

// Handler serves the endpoints, with and without the arena's name before them.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	for _, at := range []string{"", "/{arena}"} {
		mux.Handle("GET "+at+"/{$}", s.answer(s.alive))
		mux.Handle("GET "+at+"/reverify_mode", s.answer(s.reverifyMode))
		mux.Handle("POST "+at+"/seed_session", s.answer(s.seed))
		mux.Handle("POST "+at+"/verify", s.answer(s.verify))
		mux.Handle("POST "+at+"/close_session", s.answer(s.closeSession))
		mux.Handle("POST "+at+"/aggregate_metrics", s.answer(s.aggregate))
		mux.Handle("POST "+at+"/reset", s.answer(s.reset))
		mux.Handle("POST "+at+"/step", s.answer(s.step))
		mux.Handle("POST "+at+"/close", s.answer(s.closeGame))
		for _, method := range []string{"GET", "POST", "DELETE"} {
			mux.HandleFunc(method+" "+at+"/mcp", s.mcp)
		}
		mux.Handle("POST "+at+"/{tool}", s.guarded(s.tool))
	}
	mux.Handle("GET /{arena}", s.answer(s.alive))
	mux.Handle("/", s.guarded(func(http.ResponseWriter, *http.Request) error {
		return harness.Refuse(http.StatusNotFound, "there is no such path; a resources server's URL is that of the faces, or /nemo-gym/ARENA there")
	}))
	return uncorrelated(mux)
}

// rollout is what NeMo Gym puts before a path to tell rollouts apart in its own servers.
var rollout = regexp.MustCompile(`^(/[^/]+)?/ng-rollout/[A-Za-z0-9][A-Za-z0-9._-]*(/.*)$`)

// uncorrelated takes that away again.
func uncorrelated(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if m := rollout.FindStringSubmatch(r.URL.Path); m != nil {
			r = r.Clone(r.Context())
			r.URL.Path, r.URL.RawPath = m[1]+m[2], ""
		}
		next.ServeHTTP(w, r)
	})
}

// guarded lets a request in, keeps its session's cookie alive and tells errors.
func (s *Server) guarded(serve func(http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if id := sessionOf(r); id != "" {
			setSession(w, id)
		}
		err := s.house.Admit(r)
		if err == nil {
			err = serve(w, r)
		}
		if err != nil {
			s.fail(w, r, err)
		}
	})
}

// answer is guarded for endpoints that answer with JSON.
func (s *Server) answer(do func(http.ResponseWriter, *http.Request) (reply, error)) http.Handler {
	return s.guarded(func(w http.ResponseWriter, r *http.Request) error {
		v, err := do(w, r)
		if err != nil {
			return err
		}
		return writeJSON(w, http.StatusOK, v)
	})
}

func (s *Server) alive(_ http.ResponseWriter, r *http.Request) (reply, error) {
	if ref := r.PathValue("arena"); ref != "" {
		if _, err := s.house.PublicArena(r.Context(), ref); err != nil {
			return nil, err
		}
	}
	return map[string]string{"status": "ok"}, nil
}

// mcp is the agents' door, which knows the token by itself: an agent need not have the key of
// the faces, with which it could verify.
func (s *Server) mcp(w http.ResponseWriter, r *http.Request) {
	token := r.Header.Get(tokenHeader)
	err := s.house.Admit(r)
	if f, ok := err.(*harness.Refusal); ok && f.Status == http.StatusUnauthorized && token != "" {
		err = nil
	}
	if err == nil && token == "" {
		err = harness.Refuse(http.StatusUnauthorized, "send the header %s that seed_session told", tokenHeader)
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.house.ServeMCP(w, r, keyOf(token))
}

// detached is a context for what must not stop when a client leaves: it will ask again.
func detached(r *http.Request) context.Context { return context.WithoutCancel(r.Context()) }
