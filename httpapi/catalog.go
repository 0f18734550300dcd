package httpapi

import (
	"encoding/json"

	"github.com/labstack/echo/v4"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
)

// CatalogReply lists tasks in the author's order, and each tool set once: tasks of an arena
// share few, and harnesses make one environment of each.
type CatalogReply struct {
	Arena    string               `json:"arena"` // name@digest
	Tasks    []CatalogTask        `json:"tasks"`
	ToolSets [][]astra.PublicTool `json:"tool_sets"` // in the order in which tasks come to them
}

// CatalogTask is a task as a harness plans with it.
type CatalogTask struct {
	ID         string      `json:"id"`
	Title      string      `json:"title,omitempty"`
	Difficulty float64     `json:"difficulty,omitempty"`
	Split      astra.Split `json:"split"`
	Turns      int         `json:"turns"`    // messages that it hands out at most
	Own        int         `json:"own"`      // of these, those of its own; what comes after a simulated user says
	Grows      bool        `json:"grows"`    // a turn adds tools
	ToolSet    int         `json:"tool_set"` // that an episode begins with, by its index in ToolSets
}

func (a *api) catalog(c echo.Context) error {
	split, err := oneOf(c, "split", splits...)
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	arena, err := a.eps.PublicArena(ctx, path(c, "arena"))
	if err != nil {
		return err
	}
	ref := arena.Name + "@" + string(arena.Digest)
	entries, err := a.eps.Catalog(ctx, ref)
	if err != nil {
		return err
	}
	reply, err := newCatalog(entries, split)
	if err != nil {
		return err
	}
	reply.Arena = ref
	return a.ok(c, reply)
}

// newCatalog has the tasks of a split; "" is all.
func newCatalog(entries []gateway.Entry, split astra.Split) (*CatalogReply, error) {
	r := &CatalogReply{Tasks: []CatalogTask{}, ToolSets: [][]astra.PublicTool{}}
	sets := map[string]int{}
	for _, e := range entries {
		if split != "" && e.Split != split {
			continue
		}
		text, err := json.Marshal(e.Tools)
		if err != nil {
			return nil, err
		}
		set, known := sets[string(text)]
		if !known {
			set = len(r.ToolSets)
			sets[string(text)] = set
			r.ToolSets = append(r.ToolSets, e.Tools)
		}
		r.Tasks = append(r.Tasks, CatalogTask{ID: e.Task.ID, Title: e.Task.Title, Difficulty: e.Task.Difficulty,
			Split: e.Split, Turns: e.Turns, Own: e.Own, Grows: e.Grows, ToolSet: set})
	}
	return r, nil
}
