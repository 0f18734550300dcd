package ors

import (
	"net/http"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/httpapi/harness"
)

// A listing is the tools of an environment. Tools has all of them: trainers know no terminal
// tool. Harnesses that do take an assistant's last message for the answer.
type listing struct {
	Tools    []toolSpec   `json:"tools"`
	Terminal terminalTool `json:"terminal_tool"`
}

// A terminalTool is called with the message of an agent that calls no other.
type terminalTool struct {
	Name        string `json:"name"`
	Arg         string `json:"arg"`
	Description string `json:"description"`
}

func listed(specs []toolSpec) listing {
	return listing{specs, terminalTool{submitTool, "answer", submitSpec.Description}}
}

func tools(w http.ResponseWriter, _ *http.Request, env *environment) error {
	return write(w, http.StatusOK, listed(env.tools))
}

type split struct {
	Name astra.Split `json:"name"`
	Type astra.Split `json:"type"`
}

func splits(w http.ResponseWriter, _ *http.Request, env *environment) error {
	all := []split{}
	for _, name := range []astra.Split{astra.SplitTrain, astra.SplitValidation, astra.SplitTest} {
		if len(env.tasks[name]) > 0 {
			all = append(all, split{name, name})
		}
	}
	return write(w, http.StatusOK, all)
}

// A selection says which tasks are asked for.
type selection struct {
	Split *astra.Split `json:"split"`
	Index *int         `json:"index"`
	Start *int         `json:"start"`
	Stop  *int         `json:"stop"`
}

// of returns the tasks of the split.
func (sel *selection) of(env *environment) ([]taskSpec, error) {
	if sel.Split == nil {
		return nil, harness.Refuse(http.StatusUnprocessableEntity, "body.split: field required")
	}
	list := env.tasks[*sel.Split]
	if len(list) == 0 {
		return nil, harness.Refuse(http.StatusBadRequest, "Invalid split: environment %s has no tasks in %.100q", env.name, *sel.Split)
	}
	return list, nil
}

// at returns one task of the split; an index below 0 counts from behind, as in Python.
func (sel *selection) at(env *environment) (taskSpec, error) {
	list, err := sel.of(env)
	switch {
	case err != nil:
		return taskSpec{}, err
	case sel.Index == nil:
		return taskSpec{}, harness.Refuse(http.StatusUnprocessableEntity, "body.index: field required")
	case *sel.Index < -len(list) || *sel.Index >= len(list):
		return taskSpec{}, harness.Refuse(http.StatusBadRequest, "Invalid index: %d is not in 0 to %d", *sel.Index, len(list)-1)
	}
	return list[(*sel.Index+len(list))%len(list)], nil
}

type taskList struct {
	Tasks []taskSpec `json:"tasks"`
	Env   string     `json:"env_name"`
}

func tasks(w http.ResponseWriter, r *http.Request, env *environment) error {
	var sel selection
	if err := read(r, &sel, "split"); err != nil {
		return err
	}
	list, err := sel.of(env)
	if err != nil {
		return err
	}
	return write(w, http.StatusOK, taskList{list, env.name})
}

func numTasks(w http.ResponseWriter, r *http.Request, env *environment) error {
	var sel selection
	if err := read(r, &sel, "split"); err != nil {
		return err
	}
	list, err := sel.of(env)
	if err != nil {
		return err
	}
	return write(w, http.StatusOK, map[string]int{"num_tasks": len(list)})
}

func task(w http.ResponseWriter, r *http.Request, env *environment) error {
	var sel selection
	if err := read(r, &sel, "split", "index"); err != nil {
		return err
	}
	spec, err := sel.at(env)
	if err != nil {
		return err
	}
	return write(w, http.StatusOK, struct {
		Task taskSpec `json:"task"`
		Env  string   `json:"env_name"`
	}{spec, env.name})
}

func taskRange(w http.ResponseWriter, r *http.Request, env *environment) error {
	var sel selection
	if err := read(r, &sel, "split", "start", "stop"); err != nil {
		return err
	}
	list, err := sel.of(env)
	if err != nil {
		return err
	}
	start, stop := bound(sel.Start, 0, len(list)), bound(sel.Stop, len(list), len(list))
	return write(w, http.StatusOK, taskList{list[start:max(start, stop)], env.name})
}

// bound is an end of a slice of n as in Python: one below 0 counts from behind.
func bound(i *int, none, n int) int {
	switch {
	case i == nil:
		return none
	case *i < 0:
		return max(n+*i, 0)
	}
	return min(*i, n)
}
