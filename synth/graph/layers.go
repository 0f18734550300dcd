package graph

import (
	"cmp"
	"math"
	"slices"
)

// What a sheet looks like.
const (
	maxColumns = 12 // before columns are pressed together: a circle of 200 tools is no line
	arcRoom    = 50 // pixels that the arcs inside a column need beside it
	maxRows    = 26 // of tools in a column, before it becomes two
	maxBends   = 8  // for each node: of more, lines are a field, and the nodes are lost in it
)

// A sheet draws a directed graph in columns, so that most lines lead to the right (Sugiyama's
// way): circles are cut where it costs least, each node stands to the right of what leads to
// it, long lines bend around the columns between, and columns are ordered and moved until
// lines cross little and run flat. Equal graphs are drawn alike.
type sheet struct {
	cells   []cell // nodes, then bends
	links   []link // in the order of the edges
	columns [][]int
	width   float64
	height  float64
}

// A cell is a node, or a bend of a long line.
type cell struct {
	column        int
	x, y          float64 // left, middle
	w, h          float64
	before, after []int // cells that lines lead to, left and right
}

// A link is the line of an edge. One that is back leads to the left.
type link struct {
	from, to int
	back     bool
	via      []int // bends, from left to right
}

// newSheet lays out nodes of these widths. All have the same height.
func newSheet(widths []float64, height float64, edges []Edge) *sheet {
	s := &sheet{}
	for _, w := range widths {
		s.cells = append(s.cells, cell{w: w, h: height})
	}
	at := cutCircles(len(widths), edges)
	for _, e := range edges {
		s.links = append(s.links, link{from: e.From, to: e.To, back: at[e.From] > at[e.To]})
	}
	s.layer(at)
	s.fold()
	s.bend()
	s.order()
	s.place()
	return s
}

// ends are the cells of a link, left and right.
func (l *link) ends() (left, right int) {
	if l.back {
		return l.to, l.from
	}
	return l.from, l.to
}

// cutCircles gives each node its place in a row in which little weight leads back (Eades, Lin
// and Smyth): ends go to the end, beginnings to the beginning, and of the rest what gives
// more than it takes goes first.
func cutCircles(n int, edges []Edge) []int {
	surplus, in, out := make([]int, n), make([]int, n), make([]int, n)
	count := func(e Edge, by int) {
		surplus[e.From] += by * e.Weight
		surplus[e.To] -= by * e.Weight
		out[e.From] += by
		in[e.To] += by
	}
	at, touching := make([]int, n), make([][]Edge, n)
	for _, e := range edges {
		count(e, 1)
		touching[e.From], touching[e.To] = append(touching[e.From], e), append(touching[e.To], e)
	}
	left := make([]int, n)
	for i := range left {
		left[i] = i
	}
	first, last := 0, n-1
	gone := make([]bool, n)
	for len(left) > 0 {
		i := slices.IndexFunc(left, func(v int) bool { return out[v] == 0 })
		end := i >= 0
		if !end {
			i = slices.IndexFunc(left, func(v int) bool { return in[v] == 0 })
		}
		if i < 0 {
			best := slices.MaxFunc(left, func(a, b int) int { return surplus[a] - surplus[b] })
			i = slices.Index(left, best)
		}
		v := left[i]
		left, gone[v] = slices.Delete(left, i, i+1), true
		for _, e := range touching[v] {
			if other := e.From + e.To - v; !gone[other] {
				count(e, -1)
			}
		}
		if end {
			at[v], last = last, last-1
		} else {
			at[v], first = first, first+1
		}
	}
	return at
}

// layer puts each node right of all that leads to it, and what nothing leads to close to
// what it leads to.
func (s *sheet) layer(at []int) {
	row := make([]int, len(at))
	for v, i := range at {
		row[i] = v
	}
	right := make([][]int, len(at)) // by left end
	for _, l := range s.links {
		a, b := l.ends()
		right[a] = append(right[a], b)
	}
	entered := make([]bool, len(at))
	deepest := 0
	for _, v := range row {
		for _, next := range right[v] {
			s.cells[next].column = max(s.cells[next].column, s.cells[v].column+1)
			deepest, entered[next] = max(deepest, s.cells[next].column), true
		}
	}
	for v := range at {
		if !entered[v] && len(right[v]) > 0 {
			nearest := slices.MinFunc(right[v], func(a, b int) int { return s.cells[a].column - s.cells[b].column })
			s.cells[v].column = s.cells[nearest].column - 1
		}
	}
	if deepest >= maxColumns {
		for v := range s.cells {
			s.cells[v].column = s.cells[v].column * maxColumns / (deepest + 1)
		}
	}
}

// fold makes several columns of one that is too high.
func (s *sheet) fold() {
	byColumn := map[int][]int{}
	last := -1
	for v := range s.cells {
		c := s.cells[v].column
		byColumn[c], last = append(byColumn[c], v), max(last, c)
	}
	for c := range last + 1 {
		all := byColumn[c]
		if len(all) == 0 {
			continue
		}
		parts := (len(all) + maxRows - 1) / maxRows
		each := (len(all) + parts - 1) / parts
		for part := range slices.Chunk(all, each) {
			for _, v := range part {
				s.cells[v].column = len(s.columns)
			}
			s.columns = append(s.columns, part)
		}
	}
	for i := range s.links { // columns that were pressed together may have changed sides
		l := &s.links[i]
		l.back = s.cells[l.from].column > s.cells[l.to].column
	}
}

// bend puts a cell into each column that a line passes, unless there would be too many: then
// lines run behind the nodes.
func (s *sheet) bend() {
	total := 0
	for i := range s.links {
		a, b := s.links[i].ends()
		total += max(0, s.cells[b].column-s.cells[a].column-1)
	}
	bends := total <= maxBends*len(s.cells)
	for i := range s.links {
		l := &s.links[i]
		a, b := l.ends()
		before := a
		for c := s.cells[a].column + 1; bends && c < s.cells[b].column; c++ {
			v := len(s.cells)
			s.cells = append(s.cells, cell{column: c, h: 4})
			s.columns[c] = append(s.columns[c], v)
			s.join(before, v)
			l.via, before = append(l.via, v), v
		}
		s.join(before, b)
	}
}

func (s *sheet) join(a, b int) {
	if s.cells[a].column != s.cells[b].column { // what stands in one column has an arc beside it
		s.cells[a].after, s.cells[b].before = append(s.cells[a].after, b), append(s.cells[b].before, a)
	}
}

// order sorts each column by where the lines of its cells come from and lead to, back and
// forth until it has settled.
func (s *sheet) order() {
	rank := make([]float64, len(s.cells))
	number := func(column []int) {
		for i, v := range column {
			rank[v] = (float64(i) + 0.5) / float64(len(column))
		}
	}
	for _, column := range s.columns {
		number(column)
	}
	sweep := func(column []int, beside func(*cell) []int) {
		want := make(map[int]float64, len(column))
		for _, v := range column {
			want[v] = mean(beside(&s.cells[v]), rank, rank[v])
		}
		slices.SortStableFunc(column, func(a, b int) int { return cmp.Compare(want[a], want[b]) })
		number(column)
	}
	for range 12 {
		for _, column := range s.columns {
			sweep(column, func(c *cell) []int { return c.before })
		}
		for _, column := range slices.Backward(s.columns) {
			sweep(column, func(c *cell) []int { return c.after })
		}
	}
}

func mean(cells []int, of []float64, otherwise float64) float64 {
	if len(cells) == 0 {
		return otherwise
	}
	sum := 0.0
	for _, v := range cells {
		sum += of[v]
	}
	return sum / float64(len(cells))
}

// place gives cells their coordinates. Columns keep their order, and their cells stand as near
// to the middle of what they are joined to as that allows.
func (s *sheet) place() {
	const gap = 8
	y := make([]float64, len(s.cells))
	settle := func(column []int, want func(int) float64) {
		offsets, wanted := make([]float64, len(column)), make([]float64, len(column))
		for i, v := range column {
			if i > 0 {
				offsets[i] = offsets[i-1] + (s.cells[column[i-1]].h+s.cells[v].h)/2 + gap
			}
			wanted[i] = want(v) - offsets[i]
		}
		for i, z := range rising(wanted) {
			y[column[i]] = z + offsets[i]
		}
	}
	for _, column := range s.columns {
		settle(column, func(int) float64 { return 0 })
	}
	for range 10 {
		for _, column := range s.columns {
			settle(column, func(v int) float64 { return mean(s.cells[v].before, y, y[v]) })
		}
		for _, column := range slices.Backward(s.columns) {
			settle(column, func(v int) float64 { return mean(s.cells[v].after, y, y[v]) })
		}
		for _, column := range s.columns {
			settle(column, func(v int) float64 {
				return mean(slices.Concat(s.cells[v].before, s.cells[v].after), y, y[v])
			})
		}
	}
	s.measure(y)
}

// rising is the nearest row of numbers, in squares, that never falls: neighbours that would
// pass each other share their mean (pool adjacent violators).
func rising(wanted []float64) []float64 {
	type pool struct {
		mean float64
		n    int
	}
	var pools []pool
	for _, w := range wanted {
		pools = append(pools, pool{w, 1})
		for k := len(pools) - 1; k > 0 && pools[k-1].mean > pools[k].mean; k-- {
			a, b := pools[k-1], pools[k]
			pools = append(pools[:k-1], pool{(a.mean*float64(a.n) + b.mean*float64(b.n)) / float64(a.n+b.n), a.n + b.n})
		}
	}
	var all []float64
	for _, p := range pools {
		for range p.n {
			all = append(all, p.mean)
		}
	}
	return all
}

// measure moves the whole to the corner, and leaves more room between columns where there are
// more lines.
func (s *sheet) measure(y []float64) {
	top, bottom := math.Inf(1), math.Inf(-1)
	for v := range s.cells {
		top, bottom = min(top, y[v]-s.cells[v].h/2), max(bottom, y[v]+s.cells[v].h/2)
	}
	for v := range s.cells {
		s.cells[v].y = y[v] - top
	}
	s.height = max(0, bottom-top)
	x := 0.0
	for _, column := range s.columns {
		widest, lines := 0.0, 0
		for _, v := range column {
			widest, lines = max(widest, s.cells[v].w), lines+len(s.cells[v].after)
		}
		for _, v := range column {
			s.cells[v].x, s.cells[v].w = x, widest
		}
		s.width = x + widest
		x += widest + 45 + min(100, 2.5*float64(lines))
	}
	if slices.ContainsFunc(s.links, func(l link) bool { return s.cells[l.from].column == s.cells[l.to].column }) {
		s.width += arcRoom
	}
}
