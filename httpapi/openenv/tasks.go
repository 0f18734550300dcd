package openenv

import (
	"net/http"
	"strings"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
	"github.com/astra-arenas/astra/httpapi/harness"
)

// A spec is a task as the task API lists it. As the arguments of reset it is that task.
type spec struct {
	ID         string      `json:"id"`
	Split      astra.Split `json:"split"`
	Index      int         `json:"index"`
	Title      string      `json:"title,omitempty"`
	Difficulty float64     `json:"difficulty,omitempty"`
}

func specs(list []*gateway.Entry) []spec {
	all := make([]spec, len(list))
	for i, e := range list {
		all[i] = spec{e.Task.ID, e.Split, i, e.Task.Title, e.Task.Difficulty}
	}
	return all
}

// taskRoutes has OpenEnv's task API, which knows each environment by the arena's name.
func (s *Server) taskRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /{arena}/list_environments", s.answered(s.environments))
	mux.HandleFunc("GET /{arena}/{env}/splits", s.answered(s.splits))
	for path, do := range map[string]func(a *astra.PublicArena, list []spec, f *fields) any{
		"tasks": func(a *astra.PublicArena, list []spec, _ *fields) any {
			return map[string]any{"tasks": list, "env_name": a.Name}
		},
		"num_tasks":  func(_ *astra.PublicArena, list []spec, _ *fields) any { return map[string]int{"num_tasks": len(list)} },
		"task":       oneTask,
		"task_range": someTasks,
	} {
		mux.HandleFunc("POST /{arena}/{env}/"+path, s.answered(s.ofSplit(do)))
	}
}

func (s *Server) environments(r *http.Request) (any, error) {
	a, err := s.house.PublicArena(r.Context(), r.PathValue("arena"))
	return []string{a.Name}, err
}

// tasks are those of the arena, if that is the environment that is asked for.
func (s *Server) tasks(r *http.Request) (astra.PublicArena, []gateway.Entry, error) {
	a, list, err := s.house.Tasks(r.Context(), r.PathValue("arena"))
	if err == nil && !strings.EqualFold(r.PathValue("env"), a.Name) {
		err = harness.Refuse(http.StatusNotFound, "unknown environment %q: it is %s", clip(r.PathValue("env")), a.Name)
	}
	return a, list, err
}

func (s *Server) splits(r *http.Request) (any, error) {
	_, list, err := s.tasks(r)
	found := []map[string]astra.Split{}
	for _, split := range splits {
		if len(of(split, list)) > 0 {
			found = append(found, map[string]astra.Split{"name": split, "type": split})
		}
	}
	return found, err
}

// ofSplit is a handler of what is asked of one split.
func (s *Server) ofSplit(do func(*astra.PublicArena, []spec, *fields) any) func(*http.Request) (any, error) {
	return func(r *http.Request) (any, error) {
		a, list, err := s.tasks(r)
		if err != nil {
			return nil, err
		}
		body, err := read(r)
		if err != nil {
			return nil, err
		}
		f := object(body, "body")
		split := f.text("split", maxText)
		if split == "" {
			f.required("split")
		}
		some := of(astra.Split(split), list)
		reply := do(&a, specs(some), f)
		f.nothingElse()
		switch {
		case f.err() != nil:
			return nil, f.err()
		case len(some) == 0:
			return nil, harness.Refuse(http.StatusBadRequest, "there is no task of split %q", clip(split))
		case reply == nil:
			return nil, harness.Refuse(http.StatusBadRequest, "Invalid task index")
		}
		return reply, nil
	}
}

// oneTask is nil where the index leads nowhere.
func oneTask(_ *astra.PublicArena, list []spec, f *fields) any {
	var i int
	if _, there := f.of["index"]; !there {
		f.required("index")
	}
	f.into("index", &i, "int_type", "integer")
	if i < 0 || i >= len(list) {
		return nil
	}
	return map[string]spec{"task": list[i]}
}

// someTasks takes bounds as Python's slices do: from the end where they are below 0, and what
// is beyond is cut off.
func someTasks(_ *astra.PublicArena, list []spec, f *fields) any {
	start, stop := 0, len(list)
	f.into("start", &start, "int_type", "integer")
	f.into("stop", &stop, "int_type", "integer")
	bound := func(i int) int {
		if i < 0 {
			i += len(list)
		}
		return min(max(i, 0), len(list))
	}
	from, to := bound(start), bound(stop)
	return map[string][]spec{"tasks": list[from:max(from, to)]}
}
