package graph

import (
	"cmp"
	"maps"
	"slices"

	"github.com/astra-arenas/astra/synth/servers"
)

// A Node is a tool of a server.
type Node struct {
	Server string `json:"server"`
	Tool   string `json:"tool"`
}

// String is server/tool.
func (n Node) String() string { return n.Server + "/" + n.Tool }

// An Edge says that To can follow From.
type Edge struct {
	From     int      `json:"from"`          // index of Graph.Nodes
	To       int      `json:"to"`            // index of Graph.Nodes
	Weight   int      `json:"weight"`        // Proposed + Typed
	Proposed int      `json:"proposed"`      // how often chains had the pair
	Typed    int      `json:"typed"`         // how many fields fit
	Why      []string `json:"why,omitempty"` // the fits, in words
}

// Options adjusts a Graph. A zero field, or a nil *Options, means the default.
type Options struct {
	Across bool // edges between servers too; default only inside one
}

// A Graph is what is known of which tool can follow which. Its nodes are fixed. It is not
// safe for concurrent use while edges are added.
type Graph struct {
	servers []servers.Server
	nodes   []Node
	tools   []*servers.Tool // of nodes
	across  bool
	index   map[Node]int
	edges   map[pair]*Edge
}

type pair struct{ from, to int }

// New returns a graph without edges. The servers' names must differ.
func New(all []servers.Server, opts *Options) *Graph {
	g := &Graph{servers: all, index: map[Node]int{}, edges: map[pair]*Edge{}}
	if opts != nil {
		g.across = opts.Across
	}
	for i := range all {
		for j := range all[i].Tools {
			n := Node{all[i].Name, all[i].Tools[j].Name}
			g.index[n] = len(g.nodes)
			g.nodes, g.tools = append(g.nodes, n), append(g.tools, &all[i].Tools[j])
		}
	}
	return g
}

// Nodes are the tools, in the order of the servers and of their tools.
func (g *Graph) Nodes() []Node { return slices.Clone(g.nodes) }

// Edges are sorted by From and To.
func (g *Graph) Edges() []Edge {
	all := make([]Edge, 0, len(g.edges))
	for _, p := range slices.SortedFunc(maps.Keys(g.edges), pair.compare) {
		all = append(all, *g.edges[p])
	}
	return all
}

func (p pair) compare(q pair) int { return cmp.Or(p.from-q.from, p.to-q.to) }

// edge is the edge of a pair, made if there is none.
func (g *Graph) edge(from, to int) *Edge {
	p := pair{from, to}
	if g.edges[p] == nil {
		g.edges[p] = &Edge{From: from, To: to}
	}
	return g.edges[p]
}

// AddDocumented adds the chains that documents brought with them, and returns what broke
// them, as AddChain does.
func (g *Graph) AddDocumented() (broken []string) {
	for _, s := range g.servers {
		for _, names := range s.Chains {
			var chain []Node
			for _, name := range names {
				chain = append(chain, Node{s.Name, name})
			}
			broken = append(broken, g.AddChain(chain)...)
		}
	}
	return broken
}

// AddChain counts each consecutive pair of a proposed chain. An unknown tool breaks the
// chain, as does a step to another server where edges stay inside one: what is before it is
// not joined to what is after. Both are returned, as server/tool. A tool that follows itself
// is no edge.
func (g *Graph) AddChain(tools []Node) (broken []string) {
	before := -1
	for _, n := range tools {
		at, known := g.index[n]
		switch {
		case !known:
			broken, before = append(broken, n.String()), -1
			continue
		case before < 0 || before == at:
		case !g.across && g.nodes[before].Server != n.Server:
			broken = append(broken, n.String())
		default:
			e := g.edge(before, at)
			e.Proposed++
			e.Weight++
		}
		before = at
	}
	return broken
}
