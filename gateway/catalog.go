package gateway

import (
	"context"
	"strings"

	"github.com/astra-arenas/astra"
)

// An Entry is a task of an arena, and what of it decides which protocols can serve it.
// Only Task and Tools are for whoever plays it.
type Entry struct {
	Task  astra.PublicTask
	Split astra.Split
	Turns int                // messages that it hands out at most
	Own   int                // of these, those of its own; what comes after a simulated user says
	Grows bool               // a turn adds tools
	Tools []astra.PublicTool // that an episode begins with: the arena's own, then distractors that are served; shared between tasks
}

// Catalog lists the tasks of an arena in the author's order.
func (g *Gateway) Catalog(_ context.Context, ref string) ([]Entry, error) {
	l, err := g.arenas.find(ref)
	if err != nil {
		return nil, err
	}
	entries := make([]Entry, len(l.Arena.Tasks))
	views := map[string][]astra.PublicTool{} // most tasks share one with others
	for i := range l.Arena.Tasks {
		entries[i] = g.entry(l, &l.Arena.Tasks[i], views)
	}
	return entries, nil
}

func (g *Gateway) entry(l *loaded, t *astra.Task, views map[string][]astra.PublicTool) Entry {
	e := Entry{Task: t.Public(l.Arena), Split: t.Split, Turns: t.MaxTurns(), Own: len(t.Turns)}
	for _, turn := range t.Turns {
		e.Grows = e.Grows || len(turn.ToolsAdded) > 0
	}
	key := strings.Join(e.Task.Tools, " ") + "\n" + strings.Join(t.Distractors, " ")
	if _, known := views[key]; !known {
		views[key] = g.firstView(l, e.Task.Tools, t.Distractors)
	}
	e.Tools = views[key]
	return e
}

func (g *Gateway) firstView(l *loaded, own, distractors []string) (tools []astra.PublicTool) {
	for _, name := range own {
		tools = append(tools, l.Tool(name).Public())
	}
	for _, ref := range distractors {
		arena, name, _ := strings.Cut(ref, "/")
		if from, err := g.arenas.find(arena); err == nil && from.Tool(name) != nil {
			tools = append(tools, from.Tool(name).Public())
		}
	}
	return tools
}
