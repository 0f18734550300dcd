package ors

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
	"github.com/astra-arenas/astra/httpapi/harness"
)

// An environment is the tasks of an arena that have one set of tools.
type environment struct {
	name  string
	tools []toolSpec
	tasks map[astra.Split][]taskSpec // in the author's order
}

// A taskSpec names a task.
type taskSpec struct {
	Arena string      `json:"arena"`
	Task  string      `json:"task"`
	Split astra.Split `json:"split"`
}

// A toolSpec is a tool as the protocol has it.
type toolSpec struct {
	Name        string          `json:"name"`
	Description string          `json:"description"`
	Input       json.RawMessage `json:"input_schema"`
}

// The tools that every environment has, and those that have tasks of several messages.
const (
	submitTool = "episode_submit"
	turnTool   = "episode_turn"
)

var (
	submitSpec = toolSpec{submitTool, "End the task with your final answer, if it asks for one. It cannot be taken back.",
		json.RawMessage(`{"type":"object","properties":{"answer":{"type":"string","description":"The final answer."}},"additionalProperties":false}`)}
	turnSpec = toolSpec{turnTool, "Answer the user, and read the next message, if there is one.",
		json.RawMessage(`{"type":"object","properties":{"reply":{"type":"string","description":"What you tell the user."}},"additionalProperties":false}`)}
)

// specsOf are the tools with which a task is played.
func specsOf(e *gateway.Entry) []toolSpec {
	var specs []toolSpec
	taken := func(name string) bool {
		return slices.ContainsFunc(e.Tools, func(t astra.PublicTool) bool { return t.Name == name })
	}
	for _, t := range e.Tools {
		specs = append(specs, toolSpec{alias(t.Name, taken), t.Description, aliased(t.Input)})
	}
	if e.Own > 1 {
		specs = append(specs, turnSpec)
	}
	return append(specs, submitSpec)
}

// signature is equal for equal sets of tools.
func signature(specs []toolSpec) string {
	var lines []string
	for _, t := range specs {
		lines = append(lines, strconv.Quote(t.Name)+strconv.Quote(t.Description)+string(t.Input))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// environmentsOf sorts an arena's tasks by their tools. left is how many are in none.
func environmentsOf(arena string, entries []gateway.Entry) (envs []*environment, left int) {
	bySet := map[string]*environment{}
	for i := range entries {
		e := &entries[i]
		if e.Grows {
			left++
			continue
		}
		specs := specsOf(e)
		set := signature(specs)
		env := bySet[set]
		if env == nil {
			env = &environment{tools: specs, tasks: map[astra.Split][]taskSpec{}}
			bySet[set], envs = env, append(envs, env)
		}
		env.tasks[e.Split] = append(env.tasks[e.Split], taskSpec{arena, e.Task.ID, e.Split})
	}
	for i, env := range envs {
		env.name = arena
		if len(envs) > 1 {
			env.name += "." + strconv.Itoa(i+1) // no arena's name has a dot
		}
	}
	return envs, left
}

// maxArenas bounds the arenas whose environments are remembered.
const maxArenas = 256

// environments are those of the newest version of an arena.
func (s *Server) environments(ctx context.Context, arena string) ([]*environment, error) {
	served := s.house.Served()
	a, entries, err := s.house.Tasks(ctx, arena)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if served != s.served {
		clear(s.envs)
		s.served = served
	}
	if envs, known := s.envs[a.Digest]; known {
		return envs, nil
	}
	envs, left := environmentsOf(a.Name, entries)
	if left > 0 {
		s.log.WarnContext(ctx, "tasks not served over ORS: a turn adds tools, and its clients list tools once", "arena", a.Name, "tasks", left)
	}
	if len(s.envs) == maxArenas {
		clear(s.envs)
	}
	s.envs[a.Digest] = envs
	return envs, nil
}

// find returns the environment of a name, nil if there is none.
func (s *Server) find(ctx context.Context, name string) (*environment, error) {
	name = strings.ToLower(name)
	arena, _, _ := strings.Cut(name, ".")
	envs, err := s.environments(ctx, arena)
	if errors.Is(err, astra.ErrNotFound) || errors.Is(err, astra.ErrRefused) {
		return nil, nil
	}
	if i := slices.IndexFunc(envs, func(e *environment) bool { return e.name == name }); i >= 0 {
		return envs[i], nil
	}
	return nil, err
}

// names lists all environments, by arena.
func (s *Server) names(ctx context.Context) ([]string, error) {
	arenas, err := s.house.PublicArenas(ctx)
	if err != nil {
		return nil, err
	}
	names := []string{}
	for _, a := range arenas {
		envs, err := s.environments(ctx, a.Name)
		if err != nil {
			return nil, err
		}
		for _, env := range envs {
			names = append(names, env.name)
		}
	}
	return names, nil
}

func (s *Server) list(w http.ResponseWriter, r *http.Request) error {
	names, err := s.names(r.Context())
	if err != nil {
		return err
	}
	return write(w, http.StatusOK, names)
}

// inEnvironment is a handler of a request that asks about one.
func (s *Server) inEnvironment(serve func(http.ResponseWriter, *http.Request, *environment) error) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		name := r.PathValue("env")
		if name == "" {
			name = deployment(r)
		}
		env, err := s.find(r.Context(), name)
		switch {
		case err != nil:
			return err
		case env != nil:
			return serve(w, r, env)
		case r.PathValue("env") != "":
			return s.unknown(r.Context(), name)
		}
		return s.redirect(w, r, name)
	}
}

// deployment is the environment that a client means that has no path of its own; owners, by
// which the protocol's registry names environments, stand before it.
func deployment(r *http.Request) string {
	name := r.Header.Get("X-Deployment")
	return name[strings.LastIndexByte(name, '/')+1:]
}

// redirect sends a bare path to the only environment there is.
func (s *Server) redirect(w http.ResponseWriter, r *http.Request, name string) error {
	names, err := s.names(r.Context())
	if err != nil {
		return err
	}
	if len(names) != 1 {
		return s.unknown(r.Context(), name)
	}
	to := names[0] + r.URL.Path // relative, as the handler does not know where it is mounted
	if r.URL.RawQuery != "" {
		to += "?" + r.URL.RawQuery
	}
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusPermanentRedirect)
	return nil
}

// maxListed is how many environments a refusal lists.
const maxListed = 20

func (s *Server) unknown(ctx context.Context, name string) error {
	names, err := s.names(ctx)
	if err != nil {
		return err
	}
	list, more := strings.Join(names[:min(len(names), maxListed)], ", "), ""
	if n := len(names) - maxListed; n > 0 {
		more = " and " + strconv.Itoa(n) + " more (GET /list_environments)"
	}
	return harness.Refuse(http.StatusNotFound, "unknown environment %.100q; there are: %s%s", name, list, more)
}
