package openenv

import (
	"encoding/json"
	"math"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
)

// An action is what a step does: list the tools, or call one. A model may have named it "".
type action struct {
	calls bool
	tool  string
	args  json.RawMessage
}

const maxText = 255 // of names that clients choose, as OpenEnv has it

// readAction reads {"type": "list_tools"} or {"type": "call_tool", "tool_name", "arguments"}.
func readAction(raw json.RawMessage, at ...any) (action, error) {
	f := object(raw, at...)
	kind := f.text("type", maxText)
	f.dictionary("metadata")
	var a action
	switch kind {
	case "list_tools":
	case "call_tool", "": // the default there
		named := string(f.of["tool_name"]) == `""`
		if a.tool = f.text("tool_name", math.MaxInt); a.tool == "" && !named && len(f.flaws) == 0 {
			f.required("tool_name")
		}
		a.calls = true
		a.args = f.dictionary("arguments")
	default:
		f.flaw("literal_error", "Input should be 'call_tool' or 'list_tools'", "type")
	}
	f.nothingElse()
	return a, f.err()
}

// A choice is what reset plays.
type choice struct {
	task, split string
	index, seed *uint64
	episode     string // what the client calls it
}

func readChoice(raw json.RawMessage, at ...any) (choice, error) {
	f := object(raw, at...)
	c := choice{task: f.text("task", maxText), split: f.text("split", maxText), index: f.count("index"), seed: f.count("seed"), episode: f.text("episode_id", maxText)}
	return c, f.err()
}

// splits are in the order in which they are looked at, and listed.
var splits = []astra.Split{astra.SplitTrain, astra.SplitValidation, astra.SplitTest}

// of returns the tasks of a split, in the author's order. They stay in the list: a session
// keeps the one that it plays, and a copy would keep all.
func of(split astra.Split, list []gateway.Entry) []*gateway.Entry {
	var some []*gateway.Entry
	for i := range list {
		if list[i].Split == split {
			some = append(some, &list[i])
		}
	}
	return some
}

// pick finds what is chosen among the tasks of an arena.
func (c *choice) pick(list []gateway.Entry) (*gateway.Entry, error) {
	if c.task != "" {
		for i := range list {
			if list[i].Task.ID == c.task {
				return &list[i], nil
			}
		}
		return nil, invalid{{"value_error", []any{"task"}, "there is no such task"}}
	}
	some := c.some(list)
	if len(some) == 0 {
		return nil, invalid{{"value_error", []any{"split"}, "there is no task of this split"}}
	}
	n := uint64(0)
	switch {
	case c.index != nil && *c.index >= uint64(len(some)):
		return nil, invalid{{"value_error", []any{"index"}, "Invalid task index"}}
	case c.index != nil:
		n = *c.index
	case c.seed != nil:
		n = *c.seed % uint64(len(some))
	}
	return some[n], nil
}

// some are the tasks of the split that is chosen, or of the first that has any.
func (c *choice) some(list []gateway.Entry) []*gateway.Entry {
	if c.split != "" {
		return of(astra.Split(c.split), list)
	}
	for _, split := range splits {
		if some := of(split, list); len(some) > 0 {
			return some
		}
	}
	return nil
}
