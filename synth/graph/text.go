package graph

import (
	"bytes"
	"fmt"
	"strings"
)

// DOT is the graph in Graphviz's language, a cluster for each server.
func (g *Graph) DOT() []byte {
	var b bytes.Buffer
	b.WriteString("digraph tools {\n  rankdir=LR;\n  node [shape=box, style=rounded, fontname=\"monospace\"];\n")
	for i, span := range g.byServer() {
		fmt.Fprintf(&b, "  subgraph cluster_%d {\n    label=%s;\n", i, quoteDOT(g.title(span[0])))
		for _, n := range span {
			fmt.Fprintf(&b, "    n%d [label=%s, tooltip=%s];\n", n, quoteDOT(g.nodes[n].Tool), quoteDOT(g.tools[n].Description))
		}
		b.WriteString("  }\n")
	}
	for _, e := range g.Edges() {
		fmt.Fprintf(&b, "  n%d -> n%d [penwidth=%.1f, weight=%d, tooltip=%s];\n", e.From, e.To, thickness(e.Weight), e.Weight, quoteDOT(g.reason(e)))
	}
	b.WriteString("}\n")
	return b.Bytes()
}

// quoteDOT escapes a text; Graphviz knows no other escape in it than these.
func quoteDOT(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\r", "", "\x00", "").Replace(s) + `"`
}

// Mermaid is the graph as a Mermaid flowchart, a subgraph for each server. A number on an
// arrow is its weight, where it is more than one.
func (g *Graph) Mermaid() []byte {
	var b bytes.Buffer
	b.WriteString("flowchart LR\n")
	for i, span := range g.byServer() {
		fmt.Fprintf(&b, "  subgraph s%d[%s]\n", i, quoteMermaid(g.title(span[0])))
		for _, n := range span {
			fmt.Fprintf(&b, "    n%d[%s]\n", n, quoteMermaid(g.nodes[n].Tool))
		}
		b.WriteString("  end\n")
	}
	for _, e := range g.Edges() {
		label := ""
		if e.Weight > 1 {
			label = fmt.Sprintf("|%d|", e.Weight)
		}
		fmt.Fprintf(&b, "  n%d -->%s n%d\n", e.From, label, e.To)
	}
	return b.Bytes()
}

// quoteMermaid writes what Mermaid or a page could take for markup as character codes.
func quoteMermaid(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		if strings.ContainsRune("\"<>&#;`\\[]{}()|\n\r", r) {
			fmt.Fprintf(&b, "#%d;", r)
		} else {
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// byServer are the nodes of each server.
func (g *Graph) byServer() (all [][]int) {
	for i, n := range g.nodes {
		if i == 0 || n.Server != g.nodes[i-1].Server {
			all = append(all, nil)
		}
		all[len(all)-1] = append(all[len(all)-1], i)
	}
	return all
}

// title is what the server of a node is called.
func (g *Graph) title(node int) string {
	name := g.nodes[node].Server
	for i := range g.servers {
		if s := &g.servers[i]; s.Name == name && s.Title != "" && s.Title != name {
			return s.Title + " (" + name + ")"
		}
	}
	return name
}

// reason is an edge in words: what it joins, how often that was said, and why.
func (g *Graph) reason(e Edge) string {
	lines := []string{fmt.Sprintf("%s → %s", g.label(e.From), g.label(e.To))}
	if e.Proposed > 0 {
		lines = append(lines, fmt.Sprintf("in chains: %d", e.Proposed))
	}
	return strings.Join(append(lines, e.Why...), "\n")
}

// label is what a node is called where the graph leads across servers, or does not.
func (g *Graph) label(node int) string {
	if g.across {
		return g.nodes[node].String()
	}
	return g.nodes[node].Tool
}
