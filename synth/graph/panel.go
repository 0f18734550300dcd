package graph

import (
	"cmp"
	"fmt"
	"slices"
	"unicode/utf8"
)

// What is drawn at most. Beyond it a drawing shows nothing any more; what is left out is told.
const (
	maxDrawn = 400  // tools with edges
	maxLines = 2000 // the heaviest
	maxAlone = 120  // tools without edges, in one panel
	maxLabel = 30   // characters
)

// Measures of the drawing, in pixels. The font is monospaced, so that widths are known
// without one.
const (
	advance    = 7.3 // of a character of 12 px
	nodeHeight = 24.0
	margin     = 24.0
	heading    = 44.0
	pageWidth  = 1500.0
)

// A panel is one part of the drawing: a server, or all where edges lead across.
type panel struct {
	title string
	note  string
	nodes []int // those with edges: the first cells of the sheet
	sheet *sheet
	edges []Edge // of the sheet's links, by nodes of the graph
	alone []box  // tools without edges
	x, y  float64
	w, h  float64
}

// A box is a label with a place of its own.
type box struct {
	node    int // -1: only text
	text    string
	x, y, w float64
}

// panels lays out the graph.
func (g *Graph) panels() []panel {
	byNode, drawn := g.drawn()
	var all []panel
	for _, scope := range g.scopes() {
		all = append(all, g.panel(scope, byNode, drawn))
	}
	shelve(all)
	return all
}

// drawn are the edges that are drawn, the heaviest first where there are too many, and the
// nodes at their ends.
func (g *Graph) drawn() (ends map[int]bool, edges []Edge) {
	all := g.Edges()
	slices.SortStableFunc(all, func(a, b Edge) int { return cmp.Compare(b.Weight, a.Weight) })
	ends = map[int]bool{}
	for _, e := range all {
		fresh := 0
		for _, n := range []int{e.From, e.To} {
			if !ends[n] {
				fresh++
			}
		}
		if len(edges) < maxLines && len(ends)+fresh <= maxDrawn {
			ends[e.From], ends[e.To] = true, true
			edges = append(edges, e)
		}
	}
	slices.SortFunc(edges, func(a, b Edge) int { return cmp.Or(a.From-b.From, a.To-b.To) })
	return ends, edges
}

func (g *Graph) panel(scope []int, ends map[int]bool, edges []Edge) panel {
	p := panel{title: g.title(scope[0])}
	if g.across {
		p.title = "All tools"
	}
	local := map[int]int{}
	var alone []int
	var widths []float64
	for _, n := range scope {
		if !ends[n] {
			alone = append(alone, n)
			continue
		}
		local[n], p.nodes = len(p.nodes), append(p.nodes, n)
		widths = append(widths, width(clipped(g.nodes[n].Tool)))
	}
	var inner []Edge
	for _, e := range edges {
		from, ok := local[e.From]
		if !ok {
			continue
		}
		p.edges = append(p.edges, e)
		e.From, e.To = from, local[e.To]
		inner = append(inner, e)
	}
	p.sheet = newSheet(widths, nodeHeight, inner)
	p.note = fmt.Sprintf("%d tools, %d edges", len(scope), g.count(scope))
	if left := g.count(scope) - len(p.edges); left > 0 {
		p.note += fmt.Sprintf(", the %d heaviest drawn", len(p.edges))
	}
	p.lone(g, alone)
	return p
}

// count is how many edges a scope has.
func (g *Graph) count(scope []int) (n int) {
	for pair := range g.edges {
		if pair.from >= scope[0] && pair.from <= scope[len(scope)-1] {
			n++
		}
	}
	return n
}

// lone puts tools without edges below, in lines.
func (p *panel) lone(g *Graph, alone []int) {
	p.w = max(p.sheet.width, min(pageWidth-2*margin, 700), width(p.title+p.note)+60)
	x, y := 0.0, heading+p.sheet.height
	if len(alone) > 0 && p.sheet.height > 0 {
		y += 18
	}
	put := func(node int, text string) {
		w := width(text)
		if x > 0 && x+w > p.w {
			x, y = 0, y+nodeHeight+8
		}
		p.alone = append(p.alone, box{node, text, x, y + nodeHeight/2, w})
		x += w + 8
	}
	for _, n := range alone[:min(len(alone), maxAlone)] {
		put(n, clipped(g.nodes[n].Tool))
	}
	if more := len(alone) - maxAlone; more > 0 {
		put(-1, fmt.Sprintf("and %d more without edges", more))
	}
	p.h = y
	if len(alone) > 0 {
		p.h += nodeHeight
	}
}

// shelve sets panels beside each other as far as the page is wide, else below.
func shelve(all []panel) {
	x, y, high := margin, margin, 0.0
	for i := range all {
		p := &all[i]
		if x > margin && x+p.w > pageWidth {
			x, y, high = margin, y+high+2*margin, 0
		}
		p.x, p.y = x, y
		x, high = x+p.w+2*margin, max(high, p.h)
	}
}

func clipped(s string) string {
	if utf8.RuneCountInString(s) <= maxLabel {
		return s
	}
	return string([]rune(s)[:maxLabel-1]) + "…"
}

// width is how much room a label takes; the wide characters of other scripts take two.
func width(label string) float64 {
	n := 0.0
	for _, r := range label {
		if n++; r >= 0x1100 {
			n++
		}
	}
	return n*advance + 22
}
