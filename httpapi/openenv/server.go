package openenv

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/astra-arenas/astra/httpapi/harness"
)

// face is the name by which the house and the log know this door.
const face = "openenv"

// What a zero Options means.
const (
	DefaultMaxSessions = 16_384 // the most that OpenEnv's authors have published a figure for
	DefaultIdle        = 30 * time.Minute
)

// Options adjusts a Server. A zero field, or a nil *Options, means the default.
type Options struct {
	MaxSessions int           // at a time; default DefaultMaxSessions
	Idle        time.Duration // a session that nobody uses for so long ends; default DefaultIdle
}

// A Server is the endpoints. It is safe for concurrent use.
type Server struct {
	house *harness.House
	keys  *harness.Sessions // a session's episodes, each under an id of its own
	opts  Options
	table table
}

// New returns a server over a house, to be closed before it.
func New(house *harness.House, opts *Options) *Server {
	s := &Server{house: house}
	if opts != nil {
		s.opts = *opts
	}
	s.opts.MaxSessions = cmp.Or(s.opts.MaxSessions, DefaultMaxSessions)
	s.opts.Idle = cmp.Or(s.opts.Idle, DefaultIdle)
	s.keys = house.Sessions(face, 0) // sessions end here, and take their episode with them
	s.table = table{max: s.opts.MaxSessions, of: map[string]*session{}}
	return s
}

// Close ends all sessions and begins no more. WebSockets are told, and close by themselves.
func (s *Server) Close() { s.table.close() }

// Handler serves the endpoints; paths begin with an arena.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{arena}/health", s.answered(s.health))
	mux.HandleFunc("GET /{arena}/metadata", s.answered(s.metadata))
	mux.HandleFunc("GET /{arena}/schema", s.answered(s.schema))
	mux.HandleFunc("GET /{arena}/state", s.answered(s.noState))
	mux.HandleFunc("POST /{arena}/reset", s.answered(s.resetOnce))
	mux.HandleFunc("POST /{arena}/step", s.answered(s.stepOnce))
	mux.HandleFunc("GET /{arena}/ws", s.playSocket)
	mux.HandleFunc("/{arena}/mcp", s.mcp)
	s.taskRoutes(mux)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.fail(w, r, harness.Refuse(http.StatusNotFound, "there is no such path; an environment's URL is that of the faces with /openenv/ARENA"))
	})
	return s.house.Guard(mux, s.fail)
}

// answered is a handler of what answers with JSON.
func (s *Server) answered(do func(*http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		reply, err := do(r)
		if err != nil {
			s.fail(w, r, err)
			return
		}
		write(w, http.StatusOK, reply)
	}
}

// fail answers as FastAPI does: {"detail": …}, a list where a body is not as it should be.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	p := s.problemOf(r.Context(), err)
	detail := any(p.Message)
	if p.Errors != nil {
		detail = p.Errors
	}
	if p.retryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(p.retryAfter))
	}
	write(w, p.status, map[string]any{"detail": detail})
}

func write(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // texts, numbers, and JSON that was parsed
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(b) // the client is gone if this fails
}

// maxMessage bounds a body and a message over a WebSocket: arguments are 256 KiB at most.
const maxMessage = 1 << 20

// read returns a request's body; nothing is an empty object.
func read(r *http.Request) ([]byte, error) {
	b, err := harness.ReadBody(r, maxMessage)
	if err != nil {
		return nil, err
	}
	if len(b) == 0 {
		return []byte("{}"), nil
	}
	if !json.Valid(b) {
		return nil, invalid{{"json_invalid", []any{"body"}, "JSON decode error"}}
	}
	return b, nil
}

// once plays in a session that lasts as long as a request.
func (s *Server) once(r *http.Request, do func(context.Context, *session) (*result, error)) (any, error) {
	in, err := s.begin(r.Context(), r.PathValue("arena"))
	if err != nil {
		return nil, err
	}
	defer in.end("OpenEnv's HTTP requests have no session: each is an environment of its own")
	var reply *result
	err = in.use(func() (err error) {
		reply, err = do(r.Context(), in)
		return err
	})
	return reply, err
}

func (s *Server) resetOnce(r *http.Request) (any, error) {
	body, err := read(r)
	if err != nil {
		return nil, err
	}
	c, err := readChoice(body, "body")
	if err != nil {
		return nil, err
	}
	return s.once(r, func(ctx context.Context, in *session) (*result, error) { return in.reset(ctx, c) })
}

// stepOnce takes what reset does beside the action, since there is no session that was reset.
// timeout_s and request_id are checked, and nothing else: a call has its arena's limits.
func (s *Server) stepOnce(r *http.Request) (any, error) {
	body, err := read(r)
	if err != nil {
		return nil, err
	}
	f := object(body, "body")
	raw := f.dictionary("action")
	if raw == nil {
		f.required("action")
	}
	var seconds float64
	if f.into("timeout_s", &seconds, "float_type", "number") && !(seconds > 0) {
		f.flaw("greater_than", "Input should be greater than 0", "timeout_s")
	}
	f.text("request_id", maxText)
	if err := f.err(); err != nil {
		return nil, err
	}
	c, err := readChoice(body, "body")
	if err != nil {
		return nil, err
	}
	a, err := readAction(raw, "body", "action")
	if err != nil {
		return nil, err
	}
	return s.once(r, func(ctx context.Context, in *session) (*result, error) {
		if a.calls {
			if _, err := in.open(ctx, c); err != nil {
				return nil, err
			}
		}
		return in.step(ctx, a)
	})
}

// clip shows foreign text, and no more of it than people read.
func clip(s string) string {
	const most = 80
	if len(s) > most {
		s = s[:most] + "…"
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}
