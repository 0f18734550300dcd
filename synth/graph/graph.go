package graph

import "github.com/astra-arenas/astra/synth/servers"

// A Node is a tool of a server.
type Node struct{ Server, Tool string }

// String is server/tool.
func (n Node) String() string { return n.Server + "/" + n.Tool }

// An Edge says that To can follow From.
type Edge struct {
	From, To int      // indices of Graph.Nodes
	Weight   int      // Proposed + Typed
	Proposed int      // how often chains had the pair
	Typed    int      // how many fields fit
	Why      []string // the fits, in words
}

// Options adjusts a Graph. A zero field, or a nil *Options, means the default.
type Options struct {
	Across bool // edges between servers too; default only inside one
}

// A Graph is what is known of which tool can follow which. Its nodes are fixed.
type Graph struct{}

// New returns a graph without edges.
func New(all []servers.Server, opts *Options) *Graph { return &Graph{} }

// Nodes are the tools, by server and tool in the order of the servers.
func (g *Graph) Nodes() []Node { return nil }

// Edges are sorted by From and To.
func (g *Graph) Edges() []Edge { return nil }

// AddTypes adds the edges that follow from types.
func (g *Graph) AddTypes() {}

// AddChain counts each consecutive pair of a proposed chain. An unknown tool breaks the
// chain, and is returned; a tool that follows itself is no edge.
func (g *Graph) AddChain(tools []Node) (broken []string) { return nil }
