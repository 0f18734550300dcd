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
	Grows bool               // a turn adds tools
	Tools []astra.PublicTool // that an episode begins with: the arena's own, then distractors that are served
}

// Catalog lists the tasks of an arena in the author's order.
func (g *Gateway) Catalog(_ context.Context, ref string) ([]Entry, error) {
	l, err := g.arenas.find(ref)
	if err != nil {
		return nil, err
	}
	entries := make([]Entry, len(l.Arena.Tasks))
	for i := range l.Arena.Tasks {
		entries[i] = g.entry(l, &l.Arena.Tasks[i])
	}
	return entries, nil
}

func (g *Gateway) entry(l *loaded, t *astra.Task) Entry {
	e := Entry{Task: t.Public(l.Arena), Split: t.Split, Turns: t.MaxTurns()}
	for _, turn := range t.Turns {
		e.Grows = e.Grows || len(turn.ToolsAdded) > 0
	}
	for _, name := range e.Task.Tools {
		e.Tools = append(e.Tools, l.Tool(name).Public())
	}
	for _, ref := range t.Distractors {
		arena, name, _ := strings.Cut(ref, "/")
		if from, err := g.arenas.find(arena); err == nil && from.Tool(name) != nil {
			e.Tools = append(e.Tools, from.Tool(name).Public())
		}
	}
	return e
}
