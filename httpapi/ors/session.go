package ors

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
	"github.com/astra-arenas/astra/httpapi/harness"
)

// A session is one that a request is about.
type session struct {
	id      string
	episode astra.EpisodeID
}

// sessionID is the id that a request must have.
func sessionID(r *http.Request) (string, error) {
	id := strings.TrimSpace(r.Header.Get("X-Session-ID"))
	if id == "" || len(id) > harness.MaxID {
		return "", harness.Refuse(http.StatusBadRequest, "X-Session-ID header is required, of at most %d bytes", harness.MaxID)
	}
	return id, nil
}

var errDeleted = harness.Refuse(http.StatusGone, "Session deleted")

// inSession is a handler of a request about a session: while it runs, this is not idle.
func (s *Server) inSession(serve func(http.ResponseWriter, *http.Request, session) error) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		id, err := sessionID(r)
		if err != nil {
			return err
		}
		known := s.sessions.Knows(id)
		episode, done, err := s.sessions.Use(r.Context(), id)
		if errors.Is(err, astra.ErrNotFound) {
			return s.notFound(r)
		}
		if err != nil {
			return err
		}
		defer done()
		if !known {
			if err := s.mustBeThere(r.Context(), id, episode); err != nil {
				return err
			}
		}
		return serve(w, r, session{id, episode})
	}
}

// notFound says which is not there, the environment in the path or the session. Of a session
// that is, the path does not matter: its environment may have another name by now.
func (s *Server) notFound(r *http.Request) error {
	if name := r.PathValue("env"); name != "" {
		if env, err := s.find(r.Context(), name); err != nil {
			return err
		} else if env == nil {
			return s.unknown(r.Context(), name)
		}
	}
	return harness.Refuse(http.StatusNotFound, "Active environment not found")
}

// mustBeThere refuses a session that was deleted, by its client or as it was idle. One that was
// scored, or could not be, still answers.
func (s *Server) mustBeThere(ctx context.Context, id string, episode astra.EpisodeID) error {
	rec, err := s.house.Episode(ctx, episode)
	if err != nil || !rec.Over() {
		return err
	}
	s.sessions.Forget(id)
	if as := rec.Ended; as != nil && (as.As == astra.StatusAborted || as.As == astra.StatusExpired) {
		return errDeleted
	}
	return nil
}

func (s *Server) createSession(w http.ResponseWriter, _ *http.Request) error {
	st := newStream(w)
	st.event("task_id", s.sessions.NewID())
	st.event("end", "")
	st.flush()
	return nil
}

// A creation says which task a session plays.
type creation struct {
	Env     *string         `json:"env_name"`
	Spec    json.RawMessage `json:"task_spec"`
	Secrets json.RawMessage `json:"secrets"` // of older clients; not looked at
	Toolset *string         `json:"toolset_name"`
	selection
}

// create opens the episode. It is idempotent where the protocol's own server is not: a client
// whose answer was lost sends the same again.
func (s *Server) create(w http.ResponseWriter, r *http.Request) error {
	id, err := sessionID(r)
	if err != nil {
		return err
	}
	var c creation
	if err := read(r, &c, "env_name", "task_spec", "split", "index", "secrets", "toolset_name"); err != nil {
		return err
	}
	spec, err := s.chosen(r, &c)
	if err != nil {
		return err
	}
	_, err = s.sessions.Open(r.Context(), id, harness.Choice{Arena: spec.Arena, Task: spec.Task})
	switch {
	case errors.Is(err, astra.ErrConflict):
		return harness.Refuse(http.StatusBadRequest, "Session already exists")
	case errors.Is(err, astra.ErrEnded):
		return errDeleted
	case err != nil:
		return err
	}
	return write(w, http.StatusOK, map[string]string{"sid": id})
}

// chosen is the task that is asked for: by its specification, or by its place in a split.
func (s *Server) chosen(r *http.Request, c *creation) (taskSpec, error) {
	bySpec := len(c.Spec) > 0 && string(c.Spec) != "null"
	switch {
	case c.Toolset != nil:
		return taskSpec{}, harness.Refuse(http.StatusBadRequest, "unknown toolset %.100q; there are none", *c.Toolset)
	case bySpec == (c.Split != nil && c.Index != nil), (c.Split == nil) != (c.Index == nil):
		return taskSpec{}, harness.Refuse(http.StatusUnprocessableEntity, "Provide either task_spec or both split and index, not both/neither")
	}
	env, err := s.createdIn(r, c.Env)
	if err != nil {
		return taskSpec{}, err
	}
	if !bySpec {
		return c.at(env)
	}
	var spec taskSpec
	if err := parse(c.Spec, &spec, []string{"arena", "task", "split"}); err != nil {
		return taskSpec{}, err
	}
	for _, known := range env.tasks[spec.Split] {
		if known == spec {
			return spec, nil
		}
	}
	return taskSpec{}, harness.Refuse(http.StatusBadRequest, "environment %s has no such task: %.200s", env.name, c.Spec)
}

// createdIn is the environment of a session that is created: the one named, else that of the
// deployment, else the only one.
func (s *Server) createdIn(r *http.Request, name *string) (*environment, error) {
	if name != nil {
		env, err := s.find(r.Context(), *name)
		if err == nil && env == nil {
			err = s.unknown(r.Context(), *name)
		}
		return env, err
	}
	env, err := s.find(r.Context(), deployment(r))
	if env != nil || err != nil {
		return env, err
	}
	names, err := s.names(r.Context())
	if err != nil {
		return nil, err
	}
	if len(names) != 1 {
		return nil, s.unknown(r.Context(), deployment(r))
	}
	return s.find(r.Context(), names[0])
}

func (s *Server) ping(w http.ResponseWriter, r *http.Request) error {
	return s.inSession(func(w http.ResponseWriter, _ *http.Request, _ session) error {
		return write(w, http.StatusOK, map[string]string{"status": "ok"})
	})(w, r)
}

// delete ends the episode, if it is not over: it is unscored then.
func (s *Server) delete(w http.ResponseWriter, r *http.Request) error {
	id, err := sessionID(r)
	if err != nil {
		return err
	}
	if err := s.sessions.Abort(r.Context(), id, "the client deleted the session"); err != nil {
		return err
	}
	return write(w, http.StatusOK, map[string]string{"sid": id})
}

// deleteSession forgets an id, of which nothing is known here. Clients send it after delete,
// and of ids that they created nothing with.
func (s *Server) deleteSession(w http.ResponseWriter, r *http.Request) error {
	id, err := sessionID(r)
	if err != nil {
		return err
	}
	return write(w, http.StatusOK, map[string]string{"sid": id})
}

// prompt is the first message.
func (s *Server) prompt(w http.ResponseWriter, r *http.Request, in session) error {
	task, err := s.house.Public(r.Context(), in.episode)
	if err != nil {
		return err
	}
	return write(w, http.StatusOK, texts(task.Turns[0].Prompt))
}

func (s *Server) taskTools(w http.ResponseWriter, r *http.Request, in session) error {
	entry, err := s.entry(r.Context(), in.episode)
	if err != nil {
		return err
	}
	return write(w, http.StatusOK, listed(specsOf(entry)))
}

// entry is the task of an episode, with the tools that this has in view.
func (s *Server) entry(ctx context.Context, id astra.EpisodeID) (*gateway.Entry, error) {
	rec, err := s.house.Episode(ctx, id)
	if err != nil {
		return nil, err
	}
	_, entries, err := s.house.Tasks(ctx, rec.Arena+"@"+string(rec.Digest))
	if err != nil {
		return nil, err
	}
	for i := range entries {
		if entries[i].Task.ID == rec.Task {
			e := entries[i]
			e.Tools, err = s.house.Tools(ctx, id)
			return &e, err
		}
	}
	return nil, astra.ErrNotFound
}
