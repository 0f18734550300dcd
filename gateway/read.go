package gateway

import (
	"context"

	"github.com/astra-arenas/astra"
)

// record folds an episode's log as it is in the store: everything acknowledged is there,
// so readers never wait for a running call.
func (g *Gateway) record(ctx context.Context, id astra.EpisodeID) (*astra.Episode, error) {
	log, err := g.store.Log(ctx, id)
	if err != nil {
		return nil, err
	}
	return astra.Replay(log)
}

// Episode returns the record of an episode, as it is now; the caller owns it. What no
// door may show is left out: the key's hash, a seed that is the task's own, and what
// turns that were not handed out will add.
func (g *Gateway) Episode(ctx context.Context, id astra.EpisodeID) (*astra.Episode, error) {
	rec, err := g.record(ctx, id)
	if err != nil {
		return nil, err
	}
	rec.KeyHash = ""
	rec.View.Added = rec.View.Added[:min(len(rec.View.Added), rec.Turn())]
	if g.seedIsHidden(rec.Digest, rec.Task) {
		rec.Seed = 0
	}
	return rec, nil
}

func (g *Gateway) seedIsHidden(d astra.Digest, task string) bool {
	l, err := g.arenas.exact(d)
	if err != nil {
		return task != ""
	}
	t := l.Arena.Task(task)
	return t != nil && t.Seed != nil
}

// List returns a page of episodes, newest first.
func (g *Gateway) List(ctx context.Context, q astra.Query) (astra.Page, error) {
	page, err := g.store.List(ctx, q)
	for i, s := range page.Episodes {
		if g.seedIsHidden(s.Digest, s.Task) {
			page.Episodes[i].Seed = 0
		}
	}
	return page, err
}

// Public returns the public view of an episode's task, with the turns handed out so far.
func (g *Gateway) Public(ctx context.Context, id astra.EpisodeID) (astra.PublicTask, error) {
	e, err := g.peek(ctx, id)
	if err != nil {
		return astra.PublicTask{}, err
	}
	return publicTask(e), nil
}

// peek reads an episode without taking its place in memory.
func (g *Gateway) peek(ctx context.Context, id astra.EpisodeID) (*episode, error) {
	e := &episode{id: id}
	if err := g.read(ctx, e); err != nil {
		return e, err
	}
	return e, g.bind(e)
}

func publicTask(e *episode) astra.PublicTask {
	p := astra.PublicTask{Tools: e.rec.View.At(e.rec.Turn()), Turns: append([]astra.Turn(nil), e.rec.Turns...)}
	if e.task != nil {
		p.ID, p.Title, p.Difficulty = e.task.ID, e.task.Title, e.task.Difficulty
	}
	return p
}

// Tools returns the tools in view now: the arena's own, then distractors.
func (g *Gateway) Tools(ctx context.Context, id astra.EpisodeID) ([]astra.PublicTool, error) {
	e, err := g.peek(ctx, id)
	if err != nil {
		return nil, err
	}
	return g.toolsNow(e)
}

func (g *Gateway) toolsNow(e *episode) ([]astra.PublicTool, error) {
	tools := []astra.PublicTool{}
	for _, name := range e.rec.View.At(e.rec.Turn()) {
		tool, _, err := g.inView(e, name, e.rec.Turn())
		if err != nil {
			return nil, err
		}
		if tool != nil {
			tools = append(tools, tool.Public())
		}
	}
	return tools, nil
}
