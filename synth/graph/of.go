package graph

import (
	"slices"

	"github.com/astra-arenas/astra/synth/servers"
)

// Of is the part of the graph that is one server's: its tools, and the edges between them.
func (g *Graph) Of(server string) *Graph {
	own := slices.DeleteFunc(slices.Clone(g.servers), func(s servers.Server) bool { return s.Name != server })
	of := New(own, &Options{Across: g.across})
	for _, e := range g.edges {
		from, known := of.index[g.nodes[e.From]]
		to, too := of.index[g.nodes[e.To]]
		if known && too {
			inner := *e
			inner.From, inner.To = from, to
			of.edges[pair{from, to}] = &inner
		}
	}
	return of
}
