package graph

// DOT is the graph in Graphviz's language.
func (g *Graph) DOT() []byte { return nil }

// Mermaid is the graph as a Mermaid flowchart.
func (g *Graph) Mermaid() []byte { return nil }

// SVG is a drawing of the graph.
func (g *Graph) SVG() []byte { return nil }
