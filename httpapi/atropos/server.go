package atropos

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/httpapi/harness"
	"github.com/astra-arenas/astra/trainer/batches"
	"github.com/astra-arenas/astra/trainer/groups"
	"github.com/astra-arenas/astra/trainer/samples"
)

// Notes keep values by key: a store does.
type Notes interface {
	// Note returns what is kept under a key, nil if nothing is.
	Note(ctx context.Context, key string) ([]byte, error)
	// PutNote keeps a value, which survives kill -9 when it returns.
	PutNote(ctx context.Context, key string, value []byte) error
}

// Queue is what is asked of a queue of batches, whose methods say what they promise.
type Queue interface {
	Add(ctx context.Context, g groups.Group) (kept bool, err error)
	Lease(ctx context.Context) (*batches.Batch, error)
	Ack(ctx context.Context, lease string) error
	Nack(ctx context.Context, lease string) error
	Status() batches.Status
}

// Samples makes of a group what a trainer takes.
type Samples interface {
	Samples(ctx context.Context, g groups.Group) ([]samples.Sample, error)
}

// Options adjusts a Server. A zero field, or a nil *Options, means the default.
type Options struct {
	BatchSize int             // of the queue, in samples; a trainer that registers another is refused; default any is taken
	Baseline  groups.Baseline // of advantages in Samples of groups that were handed in; default groups.Mean
	Logger    *slog.Logger    // default discards
}

// A Server is the endpoints. It is safe for concurrent use.
type Server struct {
	notes   Notes
	queue   Queue
	samples Samples
	opts    Options
	gate    *harness.Gate

	mu    sync.Mutex // held while a request is answered but for reading and writing it
	state state
	lease string // that this process handed out last
}

// state is what is kept of trainer and environments.
type state struct {
	Schema  int           `json:"schema"`
	Trainer *Registration `json:"trainer,omitempty"`
	Started bool          `json:"started,omitempty"` // a batch was asked for
	Step    int           `json:"step"`              // the trainer's first, and one for each batch that was handed out
	Lease   string        `json:"lease,omitempty"`   // of the batch that the trainer has, or was about to be given
	Sent    bool          `json:"sent,omitempty"`    // that batch was written to it
	Envs    []env         `json:"envs,omitempty"`
	Latest  string        `json:"latest,omitempty"` // group that was handed in last
}

const (
	schema   = 1
	stateKey = "atropos/state"
)

// New takes up a server where it was, or begins one. samples are those of the groups that
// were not handed in here. The gate says who may come in; Atropos's own clients send no token.
func New(ctx context.Context, notes Notes, queue Queue, samples Samples, gate *harness.Gate, opts *Options) (*Server, error) {
	s := &Server{gate: gate, notes: notes, queue: queue, samples: samples, state: state{Schema: schema}}
	if opts != nil {
		s.opts = *opts
	}
	if s.opts.Logger == nil {
		s.opts.Logger = slog.New(slog.DiscardHandler)
	}
	if s.opts.Baseline == "" {
		s.opts.Baseline = groups.Mean
	}
	kept, err := notes.Note(ctx, stateKey)
	if err != nil || kept == nil {
		return s, err
	}
	if err := json.Unmarshal(kept, &s.state); err != nil || s.state.Schema != schema {
		return nil, fmt.Errorf("atropos: %w: the state has schema %d, this astra reads %d", astra.ErrStoreCorrupt, s.state.Schema, schema)
	}
	return s, nil
}

// keep makes a change of the state that is kept, or none.
func (s *Server) keep(ctx context.Context, next state) error {
	b, err := json.Marshal(next)
	if err != nil {
		return err
	}
	if err := s.notes.PutNote(ctx, stateKey, b); err != nil {
		return err
	}
	s.state = next
	return nil
}

// Handler serves the endpoints.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", answer(s, func(context.Context, struct{}) (any, error) { return message{"AtroposLib API"}, nil }))
	mux.Handle("POST /register", answer(s, s.register))
	mux.Handle("GET /info", answer(s, s.info))
	mux.Handle("GET /wandb_info", answer(s, s.wandb))
	mux.Handle("GET /batch", s.guarded(s.batch))
	mux.Handle("GET /status", answer(s, s.status))
	mux.Handle("GET /reset_data", s.guarded(s.reset))
	mux.Handle("POST /register-env", answer(s, s.registerEnv))
	mux.Handle("POST /disconnect-env", answer(s, s.disconnectEnv))
	mux.Handle("GET /status-env", answer(s, s.statusEnv))
	mux.Handle("POST /scored_data", answer(s, s.scored))
	mux.Handle("POST /scored_data_list", answer(s, s.scoredList))
	mux.Handle("GET /latest_example", answer(s, s.latest))
	return mux
}

type message struct {
	Message string `json:"message"`
}

func refuse(format string, args ...any) error {
	return harness.Refuse(http.StatusUnprocessableEntity, format, args...)
}

// guarded refuses whom the gate does: Atropos lets any origin in, and changes things on GET.
func (s *Server) guarded(serve func(http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := s.gate.Admit(r)
		if err == nil {
			err = serve(w, r)
		}
		if err != nil {
			s.fail(w, r, err)
		}
	})
}

// fail answers as FastAPI does: {"detail": …}.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	f, ok := errors.AsType[*harness.Refusal](err)
	if errors.Is(err, batches.ErrBacklog) || errors.Is(err, astra.ErrFull) {
		f, ok = &harness.Refusal{Status: http.StatusServiceUnavailable, Text: err.Error()}, true
	}
	if !ok {
		if r.Context().Err() == nil { // else the client is gone
			s.opts.Logger.ErrorContext(r.Context(), "request failed", "path", r.URL.Path, "reason", err)
		}
		f = &harness.Refusal{Status: http.StatusInternalServerError, Text: "astra could not do this; its log says why"}
	}
	_ = write(w, f.Status, map[string]string{"detail": f.Text}) // the client is gone if this fails
}

func write(w http.ResponseWriter, status int, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	w.WriteHeader(status)
	_, err = w.Write(b)
	return err
}

// answer is a handler of a request that has a body, or has none: B is a struct without fields.
func answer[B any](s *Server, do func(context.Context, B) (any, error)) http.Handler {
	return s.guarded(func(w http.ResponseWriter, r *http.Request) error {
		var body B
		if err := read(r, &body); err != nil {
			return err
		}
		s.mu.Lock()
		reply, err := do(r.Context(), body)
		s.mu.Unlock()
		if err != nil {
			return err
		}
		_ = write(w, http.StatusOK, reply) // the client is gone if this fails
		return nil
	})
}

// maxBody bounds a body, and what it is when it is unpacked.
const maxBody = 64 << 20

func read(r *http.Request, body any) error {
	b, err := harness.ReadBody(r, maxBody)
	if err == nil && strings.Contains(strings.ToLower(r.Header.Get("Content-Encoding")), "gzip") {
		b, err = unpack(r, b)
	}
	if err != nil {
		return err
	}
	if _, none := body.(*struct{}); none {
		return nil
	}
	if err := json.Unmarshal(b, body); err != nil {
		return refuse("the body is not as it should be: %.200s", err)
	}
	return nil
}

func unpack(r *http.Request, packed []byte) ([]byte, error) {
	in, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, harness.Refuse(http.StatusBadRequest, "Invalid gzip payload")
	}
	b, err := io.ReadAll(io.LimitReader(harness.Unpacked(r, in), maxBody+1))
	switch {
	case errors.Is(err, astra.ErrFull):
		return nil, err
	case err != nil:
		return nil, harness.Refuse(http.StatusBadRequest, "the body cannot be read")
	case len(b) > maxBody:
		return nil, harness.Refuse(http.StatusRequestEntityTooLarge, "the body has more than %d bytes", maxBody)
	}
	return b, nil
}
