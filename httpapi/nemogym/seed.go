package nemogym

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
	"github.com/astra-arenas/astra/httpapi/harness"
)

// A toolAccess tells agents that speak MCP where their tools are.
type toolAccess struct {
	Server    string            `json:"server_name"`
	Path      string            `json:"url_path"` // after the resources server's URL
	Transport string            `json:"transport"`
	Headers   map[string]string `json:"headers"`
}

func (s *Server) access(id, arena string) *toolAccess {
	name, _, _ := strings.Cut(arena, "@")
	return &toolAccess{Server: name, Path: "/mcp", Transport: "http", Headers: map[string]string{tokenHeader: string(s.sessions.Key(id))}}
}

// seeded answers a row.
type seeded struct {
	MCP *toolAccess `json:"mcp"`
}

// seededUnder answers a harness that chose the id.
type seededUnder struct {
	ID      string      `json:"resources_session_id"`
	Tools   *toolAccess `json:"resources_tools"`
	Sandbox *struct{}   `json:"sandbox_access"` // null: no shell
}

// seed opens a session. A row begins a new one each time: a repeat whose answer was lost
// leaves one behind that ends when it was idle for long enough. Under an id of the harness's
// own a repeat finds the session that is there.
func (s *Server) seed(w http.ResponseWriter, r *http.Request) (reply, error) {
	var body row
	if err := readBody(r, maxBody, &body); err != nil {
		return nil, err
	}
	id, chosen, data, err := identify(body)
	if err != nil {
		return nil, err
	}
	if !chosen {
		id = s.sessions.NewID()
	}
	p, err := data.place()
	if err != nil {
		return nil, err
	}
	o, err := s.open(w, r, s.sessions, id, p, oneMessage)
	if err != nil {
		return nil, err
	}
	tools := s.access(id, o.Arena)
	if chosen {
		return seededUnder{ID: id, Tools: tools}, nil
	}
	return seeded{MCP: tools}, nil
}

// identify tells the two generations of seed_session apart: in the later one the row is
// task_data, and what identifies the task stands beside it.
func identify(body row) (id string, chosen bool, data row, err error) {
	name, err := text(body, "resources_session_id")
	if err != nil || name == nil {
		return "", false, body, err
	}
	if *name == "" || len(*name) > harness.MaxID {
		return "", true, nil, harness.Refuse(http.StatusUnprocessableEntity, "a resources_session_id has 1 to %d bytes", harness.MaxID)
	}
	data = row{}
	if err = member(body, "task_data", &data); err != nil {
		return "", true, nil, err
	}
	return *name, true, data.named(body["task_id"]), nil
}

// open opens a session at a place, if the task is one that the endpoint can serve.
func (s *Server) open(w http.ResponseWriter, r *http.Request, of sessions, id string, p place, fits func(gateway.Entry) error) (*gateway.Opening, error) {
	p, err := p.at(r.PathValue("arena"))
	if err != nil {
		return nil, err
	}
	entry, err := s.entry(r.Context(), p)
	if err != nil {
		return nil, err
	}
	if err := fits(entry); err != nil {
		return nil, err
	}
	v := of.visits.of(id)
	if v.closed() {
		return nil, errClosed
	}
	o, err := of.Open(r.Context(), id, harness.Choice{Arena: p.ref(), Task: p.Task})
	if errors.Is(err, astra.ErrConflict) {
		return nil, harness.Refuse(http.StatusConflict, "this session plays another task")
	}
	if err != nil {
		return nil, err
	}
	if v.closed() { // meanwhile: who closed it may have found nothing to end
		return nil, errors.Join(errClosed, of.end(detached(r), id))
	}
	v.begin()
	setSession(w, id)
	return o, nil
}

var errClosed = harness.Refuse(http.StatusConflict, "this session was closed before it was seeded; seed another")

// entry finds a task, and says which of arena, version and task is not there.
func (s *Server) entry(ctx context.Context, p place) (gateway.Entry, error) {
	a, list, err := s.house.Tasks(ctx, p.ref())
	if errors.Is(err, astra.ErrNotFound) {
		return gateway.Entry{}, s.missing(ctx, p)
	}
	if err != nil {
		return gateway.Entry{}, err
	}
	i := slices.IndexFunc(list, func(e gateway.Entry) bool { return e.Task.ID == p.Task })
	if i < 0 {
		return gateway.Entry{}, harness.Refuse(http.StatusNotFound, "arena %s has no task %.80q", a.Name, p.Task)
	}
	return list[i], nil
}

func (s *Server) missing(ctx context.Context, p place) error {
	if served, err := s.house.PublicArena(ctx, p.Arena); err == nil {
		return harness.Refuse(http.StatusUnprocessableEntity, "the row was written for arena %s as %.80s; served is %s, another version: add that one, or export the rows again", served.Name, p.Digest, served.Digest)
	}
	return harness.Refuse(http.StatusNotFound, "there is no arena %.80q here", p.Arena)
}

func oneMessage(e gateway.Entry) error {
	if e.Turns == 1 {
		return nil
	}
	return harness.Refuse(http.StatusUnprocessableEntity,
		"task %s has %d messages, and seed_session serves tasks of one: have NeMo Gym's gymnasium_agent play it, with rows of `astra export nemo-gym --gymnasium`", e.Task.ID, e.Turns)
}

// closeSession ends a session that was not verified. It may be repeated, and may come before
// the seed that it is to keep from opening anything. The body names the session: a cookie is
// also there when a model calls a tool of that name.
func (s *Server) closeSession(w http.ResponseWriter, r *http.Request) (reply, error) {
	body := row{}
	if err := readBody(r, maxBody, &body); err != nil {
		return nil, err
	}
	id, chosen, _, err := identify(body)
	if err != nil {
		return nil, err
	}
	if !chosen {
		return nil, harness.Refuse(http.StatusUnprocessableEntity, "the body names no session: it needs the resources_session_id that it was seeded under")
	}
	if err := s.sessions.end(detached(r), id); err != nil {
		return nil, err
	}
	return map[string]string{"resources_session_id": id}, nil
}

// end aborts what was not verified. A session is known as closed before that: whoever is
// opening it looks again when it is open.
func (s sessions) end(ctx context.Context, id string) error {
	s.visits.of(id).close()
	return s.Abort(ctx, id, "the harness closed the session")
}
