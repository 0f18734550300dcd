package graph

import (
	"bytes"
	"fmt"
	"html"
	"math"
	"strings"
)

// SVG is a drawing of the graph: a panel for each server, or one where edges lead across,
// with its tools in columns so that most lines lead to the right. It needs no script; on a
// page, pointing at a tool leaves only its own lines, and colours follow the reader's scheme.
// Of large graphs the heaviest edges are drawn, and it says so.
func (g *Graph) SVG() []byte {
	d := &drawing{g: g, colours: map[string]int{}}
	for i := range g.servers {
		d.colours[g.servers[i].Name] = i
	}
	panels := g.panels()
	for i := range panels {
		d.panel(&panels[i])
	}
	if g.across && len(g.servers) > 1 {
		d.legend(panels)
	}
	return d.page(panels)
}

// A drawing is an SVG in the making. Lines lie under nodes, so they are written first.
type drawing struct {
	g       *Graph
	colours map[string]int // by server
	lines   bytes.Buffer
	nodes   bytes.Buffer
	foot    float64 // height of the legend
	hovers  []int
}

const explained = "A line leads from a tool to one that can follow it: the thicker, the more was said for it. Dashed: it leads back."

func (d *drawing) page(panels []panel) []byte {
	w, h := 900.0, 2*margin
	for _, p := range panels {
		w, h = max(w, p.x+p.w+margin), max(h, p.y+p.h+margin)
	}
	h += d.foot + 30
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" width="%.0f" height="%.0f" role="img" font-family="ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace" font-size="12">`+"\n", w, h, w, h)
	fmt.Fprintf(&b, "<title>Tools, and which can follow which</title>\n<style>\n%s", style)
	for _, n := range d.hovers {
		fmt.Fprintf(&b, "svg:has(#n%d:hover) .e:not(.n%d){opacity:.05}\n", n, n)
	}
	fmt.Fprintf(&b, "</style>\n<rect class=\"page\" width=\"%.0f\" height=\"%.0f\" fill=\"#ffffff\"/>\n", w, h)
	b.Write(d.lines.Bytes())
	b.Write(d.nodes.Bytes())
	fmt.Fprintf(&b, "<text class=\"soft\" x=\"%.0f\" y=\"%.0f\" fill=\"#666666\">%s</text>\n</svg>\n", margin, h-16, explained)
	return b.Bytes()
}

// style is for those who read styles; without it the attributes give the light scheme.
const style = `.t:hover rect{stroke-width:2.5}
@media (prefers-color-scheme:dark){
.page{fill:#16181d}
.node{fill:#23272f}
.head{fill:#f0f0f0}
.name{fill:#e6e6e6}
.soft{fill:#9aa0aa}
.rule{stroke:#3a3f48}
}
`

func (d *drawing) panel(p *panel) {
	fmt.Fprintf(&d.nodes, "<text class=\"head\" x=\"%.1f\" y=\"%.1f\" fill=\"#111111\" font-weight=\"bold\" font-size=\"14\">%s<tspan class=\"soft\" fill=\"#666666\" font-weight=\"normal\" font-size=\"12\" dx=\"10\">%s</tspan></text>\n",
		p.x, p.y+12, escape(p.title), escape(p.note))
	fmt.Fprintf(&d.nodes, "<line class=\"rule\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"#dddddd\"/>\n", p.x, p.y+22, p.x+p.w, p.y+22)
	for i := range p.sheet.links {
		d.line(p, i)
	}
	for i, n := range p.nodes {
		c := p.sheet.cells[i]
		d.node(n, clipped(d.g.nodes[n].Tool), p.x+c.x, p.y+heading+c.y, c.w)
		d.hovers = append(d.hovers, n)
	}
	for _, b := range p.alone {
		d.node(b.node, b.text, p.x+b.x, p.y+b.y, b.w)
	}
}

func (d *drawing) node(n int, label string, x, y, w float64) {
	if n < 0 {
		fmt.Fprintf(&d.nodes, "<text class=\"soft\" x=\"%.1f\" y=\"%.1f\" fill=\"#666666\">%s</text>\n", x, y+4, escape(label))
		return
	}
	node, tool := d.g.nodes[n], d.g.tools[n]
	fmt.Fprintf(&d.nodes, "<g class=\"t\" id=\"n%d\"><title>%s\n%s</title>", n, escape(node.String()), escape(tool.Description))
	fmt.Fprintf(&d.nodes, "<rect class=\"node\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.0f\" rx=\"5\" fill=\"#fafafa\" stroke=\"%s\"/>", x, y-nodeHeight/2, w, nodeHeight, d.colour(node.Server))
	fmt.Fprintf(&d.nodes, "<text class=\"name\" x=\"%.1f\" y=\"%.1f\" fill=\"#111111\">%s</text></g>\n", x+11, y+4, escape(label))
}

// line draws a link from the middle of one side to the middle of another, or, inside a
// column, as an arc beside it.
func (d *drawing) line(p *panel, i int) {
	l, e := p.sheet.links[i], p.edges[i]
	left, right := l.ends()
	a, b := p.sheet.cells[left], p.sheet.cells[right]
	shift := 0.0 // there and back are two lines
	if l.back {
		shift = 5
	}
	x, y := p.x+a.x+a.w, p.y+heading+a.y+shift
	endX, endY := p.x+b.x, p.y+heading+b.y+shift
	var path strings.Builder
	fmt.Fprintf(&path, "M%.1f %.1f", x, y)
	if a.column == b.column {
		endX = p.x + b.x + b.w
		bulge := min(18+math.Abs(endY-y)/8, arcRoom)
		fmt.Fprintf(&path, "C%.1f %.1f %.1f %.1f %.1f %.1f", x+bulge, y, endX+bulge, endY, endX, endY)
	} else {
		for _, v := range l.via {
			c := p.sheet.cells[v]
			cx, cy := p.x+c.x, p.y+heading+c.y+shift
			curve(&path, x, y, cx, cy)
			fmt.Fprintf(&path, "H%.1f", cx+c.w)
			x, y = cx+c.w, cy
		}
		curve(&path, x, y, endX, endY)
	}
	dash := ""
	if l.back {
		dash = ` stroke-dasharray="6 4"`
	}
	colour := d.colour(d.g.nodes[e.From].Server)
	fmt.Fprintf(&d.lines, "<g class=\"e n%d n%d\" opacity=\"0.6\"><title>%s</title><path d=\"%s\" fill=\"none\" stroke=\"%s\" stroke-width=\"%.1f\"%s/>", e.From, e.To, escape(d.g.reason(e)), path.String(), colour, thickness(e.Weight), dash)
	switch {
	case a.column == b.column:
		d.arrow(endX, endY, 1, colour)
	case l.back:
		d.arrow(p.x+a.x+a.w, p.y+heading+a.y+shift, 1, colour)
	default:
		d.arrow(endX, endY, -1, colour)
	}
	d.lines.WriteString("</g>\n")
}

func curve(path *strings.Builder, x, y, toX, toY float64) {
	mid := (x + toX) / 2
	fmt.Fprintf(path, "C%.1f %.1f %.1f %.1f %.1f %.1f", mid, y, mid, toY, toX, toY)
}

// arrow is the head of a line that ends at a point, coming from that side.
func (d *drawing) arrow(x, y, side float64, colour string) {
	fmt.Fprintf(&d.lines, "<path d=\"M%.1f %.1fl%.1f -4v8z\" fill=\"%s\"/>", x, y, 8*side, colour)
}

// thickness is a line's, in pixels.
func thickness(weight int) float64 {
	return min(1.2+1.1*math.Log2(float64(max(weight, 1))), 7)
}

// legend says which colour is which server's.
func (d *drawing) legend(panels []panel) {
	const most = 40
	bottom := 0.0
	for _, p := range panels {
		bottom = max(bottom, p.y+p.h)
	}
	x, y := margin, bottom+30
	for i := range d.g.servers {
		text := clipped(d.g.servers[i].Name)
		if i == most {
			text = fmt.Sprintf("and %d more servers", len(d.g.servers)-most)
		}
		if w := width(text) + 16; x+w > pageWidth {
			x, y = margin, y+20
		}
		fmt.Fprintf(&d.nodes, "<rect x=\"%.1f\" y=\"%.1f\" width=\"12\" height=\"12\" rx=\"2\" fill=\"%s\"/><text class=\"name\" x=\"%.1f\" y=\"%.1f\" fill=\"#111111\">%s</text>\n", x, y-10, d.colour(d.g.servers[i].Name), x+17, y, escape(text))
		if x += width(text) + 16; i == most {
			break
		}
	}
	d.foot = y - bottom
}

// palette has colours that are told apart on light and on dark, by those too who see few.
var palette = []string{"#2f7ed8", "#d9660a", "#1a9a6c", "#c43c8e", "#8a63d2", "#a8821a", "#0f9fb5", "#d1493f", "#5f8f2a", "#7c7f86"}

// colour is a server's. Beyond the palette hues go round by the golden angle.
func (d *drawing) colour(server string) string {
	i := d.colours[server]
	if i < len(palette) {
		return palette[i]
	}
	return fmt.Sprintf("hsl(%d,55%%,48%%)", int(float64(i)*137.508)%360)
}

// escape makes text safe in XML, which does not allow most control characters at all.
func escape(s string) string {
	return html.EscapeString(strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r == 0xFFFE || r == 0xFFFF {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD")))
}
