package tasks

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/synth"
	"github.com/astra-arenas/astra/synth/ask"
	"github.com/astra-arenas/astra/synth/graph"
	"github.com/astra-arenas/astra/synth/servers"
)

// A Task is a request that tools serve.
type Task struct {
	ID        string         `json:"id"`
	Kind      Kind           `json:"kind"`
	Server    string         `json:"server"` // of its first tool
	Language  synth.Language `json:"language"`
	Domain    string         `json:"domain,omitempty"`
	Question  string         `json:"question"`          // the first message
	Targets   []graph.Node   `json:"targets,omitempty"` // the tools that serve it, in order; none where it is to be declined
	User      *astra.User    `json:"user,omitempty"`    // of a dialogue
	Mode      Mode           `json:"mode,omitempty"`    // of augmentation
	Origin    string         `json:"origin,omitempty"`  // the task that it is a version of
	Chain     string         `json:"chain,omitempty"`   // the chain that it was written for
	Quality   *Quality       `json:"quality,omitempty"`
	Published *Published     `json:"published,omitempty"` // grades that came with an imported task
	Spent     ask.Spent      `json:"spent"`               // by the stage that made this
}

// Cost is what the stage that made it took.
func (t Task) Cost() ask.Spent { return t.Spent }

// identified gives a task the name of its content.
func (t Task) identified() Task {
	parts := []string{string(t.Kind), t.Server, t.Question}
	for _, n := range t.Targets {
		parts = append(parts, n.Server+"/"+n.Tool)
	}
	if t.User != nil {
		parts = append(parts, t.User.Goal, strings.Join(t.User.Next, "\n"))
	}
	t.ID = "t" + brief(strings.Join(parts, "\x00"))
	return t
}

// Servers are those of its tools, each once: its own first.
func (t *Task) Servers() []string {
	names := []string{t.Server}
	for _, n := range t.Targets {
		if !slices.Contains(names, n.Server) {
			names = append(names, n.Server)
		}
	}
	return names
}

// Tasks are the tasks that are good enough: written for chains, and for servers alone, in
// their order. A percentile needs every grade before the first task is taken, so all is
// gone through twice then.
func (a *Author) Tasks(ctx context.Context, run *synth.Run, all []servers.Server, chains []Chain) iter.Seq2[Task, error] {
	b := newBook(all)
	return a.graded(ctx, run, b, func(run *synth.Run, t *ask.Tally) iter.Seq2[Task, error] {
		return a.versions(ctx, run, t, b, a.questions(ctx, run, t, b, chains))
	})
}

// An order asks for one request.
type order struct {
	server *servers.Server
	chain  *Chain // nil: written for the server alone
	sample int
}

func (o order) key() string {
	if o.chain != nil {
		return fmt.Sprint(o.chain.ID, " ", o.sample)
	}
	return fmt.Sprint(o.server.Name, " ", o.sample)
}

// questions are the requests as they were first written.
func (a *Author) questions(ctx context.Context, run *synth.Run, t *ask.Tally, b *book, chains []Chain) iter.Seq2[Task, error] {
	orders := func(yield func(order, error) bool) {
		for i := range chains {
			for n := range a.opts.PerChain {
				if !yield(order{b.byName[chains[i].Server], &chains[i], n}, nil) {
					return
				}
			}
		}
		for i := range b.all {
			for n := range a.opts.PerServer {
				if !yield(order{&b.all[i], nil, n}, nil) {
					return
				}
			}
		}
	}
	return ask.Stage(ctx, run, t, "questions", orders, order.key, func(ctx context.Context, o order) (synth.Result[Task], error) {
		if o.chain != nil {
			return a.forChain(ctx, b, o)
		}
		return a.forServer(ctx, b, o)
	})
}

// A writing is the reply with a request.
type writing struct {
	Analysis string `json:"analysis"`
	Question string `json:"question"`
}

func (a *Author) forChain(ctx context.Context, b *book, o order) (synth.Result[Task], error) {
	c := o.chain
	t := Task{Kind: FromChain, Server: c.Server, Language: c.Language, Domain: o.server.Domain, Targets: c.Tools, Chain: c.ID}
	doc := a.about(b, c, "question", o.sample)
	doc.Query = c.Purpose
	for i, n := range c.Tools {
		if at := slices.IndexFunc(doc.Tools, func(s shownTool) bool { return s.Name == n.Tool }); at >= 0 && slices.Index(doc.Chain, n.Tool) == i {
			doc.Tools[at] = showTool(b.tool(n), true) // what is called is shown whole
		}
	}
	reply, missed, err := ask.Ask(ctx, &a.asker, &t.Spent, ask.Question{Step: "question", Language: c.Language, Place: []any{c.ID, o.sample}, Document: doc},
		func(w *writing) error { return checkText(b, c.servers(), c.Language, "question", w.Question) })
	if missed != nil || err != nil {
		return settle(t, missed, err)
	}
	t.Question = strings.TrimSpace(reply.Question)
	return synth.Passed(t.identified()), nil
}

// A choice is the reply with a request and the tools for it.
type choice struct {
	Analysis string   `json:"analysis"`
	Tools    []string `json:"tools"`
	Question string   `json:"question"`
}

// mostChosen is how many tools a request without a chain is written for: 2 or 3.
const mostChosen = 3

func (a *Author) forServer(ctx context.Context, b *book, o order) (synth.Result[Task], error) {
	s := o.server
	count := min(2+synth.Rand(a.opts.Seed, "count", s.Name, o.sample).IntN(mostChosen-1), len(s.Tools))
	t := Task{Kind: FromServer, Server: s.Name, Language: s.Language, Domain: s.Domain}
	doc := serverDocument{Step: "server_question", Server: show(s), Tools: showTools(s, true), Count: count, Sample: o.sample + 1}
	reply, missed, err := ask.Ask(ctx, &a.asker, &t.Spent, ask.Question{Step: "server_question", Language: s.Language, Place: []any{s.Name, o.sample}, Document: doc}, func(c *choice) error {
		if len(c.Tools) != count {
			return ask.Misread("tools", "%d tools were chosen: choose %d", len(c.Tools), count)
		}
		for i, name := range c.Tools {
			if s.Tool(name) == nil || slices.Contains(c.Tools[:i], name) {
				return ask.Misread("tools", "%.64q is no tool of the server, or is chosen twice", name)
			}
		}
		return checkText(b, []string{s.Name}, s.Language, "question", c.Question)
	})
	if missed != nil || err != nil {
		return settle(t, missed, err)
	}
	t.Question, t.Targets = strings.TrimSpace(reply.Question), nodes(s.Name, reply.Tools)
	return synth.Passed(t.identified()), nil
}
