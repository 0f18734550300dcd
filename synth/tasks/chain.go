package tasks

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/astra-arenas/astra/synth"
	"github.com/astra-arenas/astra/synth/ask"
	"github.com/astra-arenas/astra/synth/graph"
	"github.com/astra-arenas/astra/synth/servers"
)

// A Chain is tools that are called one after another for one purpose.
type Chain struct {
	ID       string         `json:"id"`
	Server   string         `json:"server"` // of its first tool
	Language synth.Language `json:"language"`
	Tools    []graph.Node   `json:"tools"`
	Purpose  string         `json:"purpose,omitempty"` // by the first judge who found one
	Query    string         `json:"query,omitempty"`   // how that judge would ask for it
	Plan     []string       `json:"plan,omitempty"`    // what each call is for
	Votes    *Votes         `json:"votes,omitempty"`
	Spent    ask.Spent      `json:"spent"` // by the stage that made this
}

// Cost is what the stage that made it took.
func (c Chain) Cost() ask.Spent { return c.Spent }

// Votes are judgements on a chain.
type Votes struct {
	Yes    int `json:"yes"`
	No     int `json:"no"`
	Unsure int `json:"unsure"` // replies that could not be read, too
}

// A proposal is what the model was asked for one list of chains.
type proposal struct {
	Server string     `json:"server"`
	Chains [][]string `json:"chains"`
	Spent  ask.Spent  `json:"spent"`
}

// Cost is what the list took.
func (p proposal) Cost() ask.Spent { return p.Spent }

// A book finds servers and their tools by name.
type book struct {
	all    []servers.Server
	byName map[string]*servers.Server
}

func newBook(all []servers.Server) *book {
	b := &book{all: all, byName: map[string]*servers.Server{}}
	for i := range all {
		b.byName[all[i].Name] = &all[i]
	}
	return b
}

// tool is nil if there is none.
func (b *book) tool(n graph.Node) *servers.Tool {
	s := b.byName[n.Server]
	if s == nil {
		return nil
	}
	return s.Tool(n.Tool)
}

// Graph is the tool-call graph of servers: what the model proposes of each, what their
// documents brought, and what types allow (ASTRA §2.1.2).
func (a *Author) Graph(ctx context.Context, run *synth.Run, all []servers.Server) (*graph.Graph, error) {
	g := graph.New(all, &graph.Options{Across: a.opts.Across})
	g.AddDocumented()
	for p, err := range ask.Stage(ctx, run, &a.tally, "proposals", a.listings(all), func(l listing) string { return fmt.Sprint(l.server.Name, " ", l.sample) }, a.propose) {
		if err != nil {
			return nil, err
		}
		for _, chain := range p.Chains {
			g.AddChain(nodes(p.Server, chain))
		}
	}
	g.AddTypes()
	return g, nil
}

func nodes(server string, tools []string) []graph.Node {
	list := make([]graph.Node, len(tools))
	for i, t := range tools {
		list[i] = graph.Node{Server: server, Tool: t}
	}
	return list
}

// A listing asks for one list of chains.
type listing struct {
	server *servers.Server
	sample int
}

func (a *Author) listings(all []servers.Server) iter.Seq2[listing, error] {
	return func(yield func(listing, error) bool) {
		for i := range all {
			for n := range a.opts.Proposals {
				if !yield(listing{&all[i], n}, nil) {
					return
				}
			}
		}
	}
}

// A serverDocument is what the model is shown of a server.
type serverDocument struct {
	Step   string      `json:"step"`
	Server shownServer `json:"server"`
	Tools  []shownTool `json:"tools"`
	Chain  []string    `json:"chain,omitempty"`
	Query  string      `json:"query,omitempty"`
	Count  int         `json:"count,omitempty"`
	Sample int         `json:"sample,omitempty"` // from 1
}

type shownServer struct {
	Title       string `json:"title"`
	Description string `json:"description"`
	Domain      string `json:"domain,omitempty"`
}

func show(s *servers.Server) shownServer {
	return shownServer{ask.Clip(s.Title, 200), ask.Clip(s.Description, mostOfText), s.Domain}
}

// A listed is the reply with chains.
type listed struct {
	Analysis string `json:"analysis"`
	Chains   []struct {
		Task  string   `json:"task"`
		Tools []string `json:"tools"`
	} `json:"chains"`
}

// mostListed bounds what is asked for, and taken, in one list.
const mostListed = 12

// propose has the model list chains of a server. Names that are no tools stay in the list:
// they break a chain where it is added to the graph.
func (a *Author) propose(ctx context.Context, r listing) (synth.Result[proposal], error) {
	s := r.server
	p := proposal{Server: s.Name}
	q := ask.Question{Step: "chains", Language: s.Language, Place: []any{s.Name, r.sample}, Document: serverDocument{
		Step: "chains", Server: show(s), Tools: showTools(s, true), Count: min(max(len(s.Tools)/2, 3), mostListed), Sample: r.sample + 1}}
	reply, missed, err := ask.Ask(ctx, &a.asker, &p.Spent, q, func(l *listed) error {
		if l.Chains == nil {
			return ask.Misread(ask.NoVerdict, `give "chains", empty if there are none`)
		}
		return nil
	})
	if missed != nil || err != nil {
		return settle(p, missed, err)
	}
	for _, c := range reply.Chains[:min(len(reply.Chains), 2*mostListed)] {
		if len(c.Tools) <= 2*a.opts.MaxTools {
			p.Chains = append(p.Chains, c.Tools)
		}
	}
	if len(p.Chains) == 0 {
		return spoiled(p, "no chains", "%s", ask.Clip(reply.Analysis, 300)), nil
	}
	return synth.Passed(p), nil
}

// settle makes a result of what asking came to.
func settle[T any](v T, missed *ask.Miss, err error) (synth.Result[T], error) {
	if err != nil {
		return synth.Result[T]{}, err
	}
	if missed == nil {
		return synth.Passed(v), nil
	}
	return synth.Result[T]{Verdict: missed.Verdict(), Reason: missed.Reason, Detail: ask.Clip(missed.Detail, 2000), Value: v}, nil
}

// spoiled is a failed result that still tells what it cost.
func spoiled[T any](v T, reason, format string, args ...any) synth.Result[T] {
	r := synth.Rejected[T](reason, "%s", ask.Clip(fmt.Sprintf(format, args...), 2000))
	r.Value = v
	return r
}

// Chains are the verified chains of a graph, in the order of the servers.
func (a *Author) Chains(ctx context.Context, run *synth.Run, all []servers.Server, g *graph.Graph) iter.Seq2[Chain, error] {
	b, id := newBook(all), func(c Chain) string { return c.ID }
	given := ask.Stage(ctx, run, &a.tally, "arguments", a.walks(b, g), id, func(ctx context.Context, c Chain) (synth.Result[Chain], error) { return a.arguments(ctx, b, c) })
	coherent := ask.Stage(ctx, run, &a.tally, "coherence", given, id, func(ctx context.Context, c Chain) (synth.Result[Chain], error) { return a.vote(ctx, b, c) })
	return ask.Stage(ctx, run, &a.tally, "back-translation", coherent, id, func(ctx context.Context, c Chain) (synth.Result[Chain], error) { return a.back(ctx, b, c) })
}

// walks are the candidates: of each server's own graph, or of the whole.
func (a *Author) walks(b *book, g *graph.Graph) iter.Seq2[Chain, error] {
	return func(yield func(Chain, error) bool) {
		for _, chain := range a.drawn(g, b.all) {
			s := b.byName[chain[0].Server]
			if !yield(Chain{ID: chainID(chain), Server: s.Name, Language: s.Language, Tools: chain}, nil) {
				return
			}
		}
	}
}

// drawn are as many walks a server as are asked for.
func (a *Author) drawn(g *graph.Graph, all []servers.Server) (chains [][]graph.Node) {
	walk := func(g *graph.Graph, place string, servers int) {
		found, _ := g.Walk(graph.Walks{Seed: synth.Rand(a.opts.Seed, "walks", place).Int64(), Min: a.opts.MinTools, Max: a.opts.MaxTools,
			Count: a.opts.Chains * servers, Acyclic: a.opts.Acyclic, Budget: a.opts.Steps * servers})
		chains = append(chains, found...)
	}
	if a.opts.Chains == 0 {
		return nil
	}
	if a.opts.Across {
		walk(g, "", len(all))
		return chains
	}
	for i := range all {
		walk(g.Of(all[i].Name), all[i].Name, 1)
	}
	return chains
}

// chainID names a chain by its tools.
func chainID(chain []graph.Node) string {
	names := make([]string, len(chain))
	for i, n := range chain {
		names[i] = n.Server + "/" + n.Tool
	}
	return "c" + brief(strings.Join(names, " "))
}

// servers of a chain, each once, in order.
func (c *Chain) servers() (names []string) {
	for _, n := range c.Tools {
		if !slices.Contains(names, n.Server) {
			names = append(names, n.Server)
		}
	}
	return names
}
