package astra

import (
	"encoding/json"
	"time"
)

// A Split says what a task may be used for.
type Split string

// The splits; a task that names none is for training.
const (
	SplitTrain      Split = "train"
	SplitValidation Split = "validation"
	SplitTest       Split = "test"
)

// DefaultBudget is how many calls an episode of a task without a budget may make.
const DefaultBudget = 64

// A Task is one problem in an arena, as data. Only what Public returns of it may be
// shown through any door.
type Task struct {
	ID          string             `json:"id"`
	Title       string             `json:"title,omitempty"`
	Split       Split              `json:"split,omitempty"`
	Seed        *int64             `json:"seed,omitempty"` // the world's; nil leaves it to the opener
	Now         *time.Time         `json:"now,omitempty"`
	Difficulty  float64            `json:"difficulty,omitempty"`
	Turns       []TaskTurn         `json:"turns"`
	User        *User              `json:"user,omitempty"`        // nil: the user says what the turns have, and no more
	Tools       []string           `json:"tools,omitempty"`       // nil: all that no turn adds
	Distractors []string           `json:"distractors,omitempty"` // "arena/tool"
	Scenario    json.RawMessage    `json:"scenario,omitempty"`
	Subtasks    []Subtask          `json:"subtasks,omitempty"`
	Gold        [][]GoldCall       `json:"gold,omitempty"` // one list per turn
	Answer      *Answer            `json:"answer,omitempty"`
	Verify      map[string]string  `json:"verify,omitempty"` // name -> CEL
	Weights     map[string]float64 `json:"weights,omitempty"`
	Budget      *Budget            `json:"budget,omitempty"`
	Failures    *FailurePlan       `json:"failures,omitempty"` // nil: the arena's

	Line int `json:"-"` // in tasks.jsonl, from 1
}

// A TaskTurn is one user message of a task and the tools that appear with it.
type TaskTurn struct {
	Prompt     string   `json:"prompt"`
	ToolsAdded []string `json:"tools_added,omitempty"`
}

// A User is a simulated one: what it says after the task's turns is its harness's to bring,
// a model's words or a person's, by this brief. No door shows any of it.
type User struct {
	Turns   int               `json:"turns"` // messages at most, those of the task's turns included
	Persona string            `json:"persona,omitempty"`
	Goal    string            `json:"goal"`            // what it wants in the end
	Facts   map[string]string `json:"facts,omitempty"` // what it knows, and tells when asked for it
	Next    []string          `json:"next,omitempty"`  // what it asks or changes once it was served, in order
}

// A Subtask is one node of the task's decomposition, solved or not by a step: the
// paper's sub-question. It counts if it has a Tool or Solved; others only document.
type Subtask struct {
	ID        string          `json:"id"`
	Question  string          `json:"question,omitempty"`
	Tool      string          `json:"tool,omitempty"`
	Answer    json.RawMessage `json:"answer,omitempty"`
	At        string          `json:"at,omitempty"` // JSON Pointer into step.value
	Compare   *Compare        `json:"compare,omitempty"`
	Solved    string          `json:"solved,omitempty"` // CEL, with step in scope
	DependsOn []string        `json:"depends_on,omitempty"`
}

// Counts reports whether the sub-task is part of recall.
func (s *Subtask) Counts() bool { return s.Tool != "" || s.Solved != "" }

// A GoldCall is one call of the reference solution. An argument string that is exactly
// "$N.value" and a dotted path stands for that value of the Nth gold call.
type GoldCall struct {
	Tool string          `json:"tool"`
	Args json.RawMessage `json:"args,omitempty"`
}

// An Answer says what the submitted answer must be.
type Answer struct {
	Expected json.RawMessage `json:"expected,omitempty"`
	Compare  *Compare        `json:"compare,omitempty"`
	Verify   string          `json:"verify,omitempty"` // CEL; replaces the comparison
}

// Compare changes what "the same" means; see Same.
type Compare struct {
	Tolerance float64 `json:"tolerance,omitempty"`
	Relative  bool    `json:"relative,omitempty"` // tolerance is a share of |expected|
	As        string  `json:"as,omitempty"`       // "set": lists without order and repeats
	Case      bool    `json:"case,omitempty"`     // text keeps its case
}

// A Budget bounds an episode.
type Budget struct {
	Calls int `json:"calls"`
}

// Calls is the number of calls the task's episodes may make.
func (t *Task) Calls() int {
	if t == nil || t.Budget == nil || t.Budget.Calls == 0 {
		return DefaultBudget
	}
	return t.Budget.Calls
}

// MaxTurns is the number of user messages that the task's episodes may have.
func (t *Task) MaxTurns() int {
	if t.User == nil {
		return len(t.Turns)
	}
	return max(len(t.Turns), t.User.Turns)
}

// GoldCalls returns the gold calls of all turns in order, each with its turn.
func (t *Task) GoldCalls() (calls []GoldCall, turns []int) {
	for i, turn := range t.Gold {
		for _, c := range turn {
			calls, turns = append(calls, c), append(turns, i+1)
		}
	}
	return calls, turns
}

// InitialTools returns the names of the arena's own tools that an episode of t begins
// with, in the arena's order. A nil task (free play) has all of them.
func (a *Arena) InitialTools(t *Task) []string {
	in := func(string) bool { return true }
	switch {
	case t == nil:
	case t.Tools != nil:
		in = setOf(t.Tools)
	default:
		var later []string
		for _, turn := range t.Turns {
			later = append(later, turn.ToolsAdded...)
		}
		added := setOf(later)
		in = func(name string) bool { return !added(name) }
	}
	names := []string{} // JSON of a view with none is [], not null
	for i := range a.Tools {
		if in(a.Tools[i].Name) {
			names = append(names, a.Tools[i].Name)
		}
	}
	return names
}

func setOf(names []string) func(string) bool {
	set := make(map[string]bool, len(names))
	for _, n := range names {
		set[n] = true
	}
	return func(n string) bool { return set[n] }
}
