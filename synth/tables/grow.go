package tables

import (
	"math/rand/v2"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/astra-arenas/astra/synth"
)

// A drawer grows one plan. Its functions return an operand of the type that they are named
// for, found in about so many calls, or false: what was drawn does not work out, and the
// whole plan is drawn again.
type drawer struct {
	rng    *rand.Rand
	lang   synth.Language
	say    grammar
	tables []*Table
	tools  []*tool
	now    time.Time
	chain  bool // every call needs at most one other
	plan   plan
	used   map[string]bool // rows and values that the user has named

	preface []string        // sentences before the question
	letters int             // that stand for something already
	those   map[*Table]bool // of which one row is "that …" already
}

// of are the tools of some operators, over a table unless it is nil.
func (d *drawer) of(t *Table, ops ...op) []*tool {
	var some []*tool
	for _, tl := range d.tools {
		if slices.Contains(ops, tl.op) && (t == nil || tl.table == t) {
			some = append(some, tl)
		}
	}
	return some
}

func pick[T any](rng *rand.Rand, list []T) T { return list[rng.IntN(len(list))] }

// call adds a call to the plan; what it finds is an operand.
func (d *drawer) call(t *tool, at, np string, deep int, args ...argument) (operand, bool) {
	i, v, ok := d.plan.add(t, args, at, np)
	if !ok {
		return operand{}, false
	}
	return operand{value: v, from: &from{i, at}, np: np, deep: deep + 1}, true
}

func arg(name string, o operand) argument {
	a := argument{name: name, value: o.value}
	if o.from != nil {
		a.shape = *o.from
	}
	return a
}

func known(name string, value any) argument { return argument{name: name, value: value} }

// entity finds a row of a table: its key.
func (d *drawer) entity(t *Table, hops int) (operand, bool) {
	if t.Key < 0 {
		return operand{}, false
	}
	if hops <= 0 {
		return d.keyOf(t)
	}
	if hops == 1 {
		switch {
		case d.rng.IntN(4) > 0:
			return d.found(t)
		default:
			return d.extreme(t, 0)
		}
	}
	switch d.rng.IntN(5) {
	case 0:
		return d.extreme(t, hops-1)
	case 1:
		if !d.chain && hops >= 3 {
			return d.winner(t, hops)
		}
	}
	return d.referred(t, hops)
}

// keyOf is a row that the user names by its key.
func (d *drawer) keyOf(t *Table) (operand, bool) {
	row := d.rng.IntN(len(t.Rows))
	key := t.Rows[row][t.Key]
	return operand{value: key, np: d.say.which(t, t.Columns[t.Key], asText(key))}, d.mention(key)
}

// brief is an operand whose phrase is short: one that tells of several calls is said in a
// sentence of its own, before the question.
func (d *drawer) brief(t *Table, o operand) operand {
	if o.deep < 3 {
		return o
	}
	if t != nil && d.chain && !d.those[t] {
		d.those[t] = true
		d.preface = append(d.preface, d.say.consider(o.np))
		o.np, o.deep = d.say.that(t), 0
		return o
	}
	return d.lettered(o)
}

// lettered gives what is found a letter for a name.
func (d *drawer) lettered(o operand) operand {
	if o.deep < 2 || d.letters >= len("ABCDEFGH") {
		return o
	}
	letter := "ABCDEFGH"[d.letters : d.letters+1]
	d.letters++
	d.preface = append(d.preface, d.say.let(letter, o.np))
	o.np, o.deep = letter, 0
	return o
}

// mention notes what the user says; it is false if that was said already.
func (d *drawer) mention(v any) bool {
	text := asText(v)
	if d.used[text] {
		return false
	}
	d.used[text] = true
	return true
}

// found is a row that the user names, found by its title or another of its unique values.
func (d *drawer) found(t *Table) (operand, bool) {
	finders := d.of(t, opFind, opFindBy)
	if len(finders) == 0 {
		return operand{}, false
	}
	tl := finders[0] // by title, mostly
	if d.rng.IntN(3) == 0 {
		tl = pick(d.rng, finders)
	}
	row := t.Rows[d.rng.IntN(len(t.Rows))]
	col, param := tl.col, t.Columns[tl.col].Name
	np := ""
	if tl.op == opFind {
		col, param = t.Title, "name"
	}
	if row[col] == nil || !d.mention(row[col]) {
		return operand{}, false
	}
	if np = d.say.which(t, t.Columns[col], asText(row[col])); tl.op == opFind {
		np = d.say.called(t, asText(row[col]))
	}
	return d.call(tl, "/"+t.Columns[t.Key].Name, np, 0, known(param, row[col]))
}

// referred is the row that a row of another table refers to.
func (d *drawer) referred(t *Table, hops int) (operand, bool) {
	var getters []*tool
	for _, tl := range d.of(nil, opGet) {
		if ref := tl.table.Columns[tl.col].Ref; ref != nil && ref.Table == t && tl.table.Columns[tl.col].Kind != List {
			getters = append(getters, tl)
		}
	}
	if len(getters) == 0 {
		return d.extreme(t, hops-1)
	}
	tl := pick(d.rng, getters)
	child, ok := d.entity(tl.table, hops-1)
	if !ok {
		return child, false
	}
	child = d.brief(tl.table, child)
	return d.call(tl, "/"+tl.table.Columns[tl.col].Name, d.say.get(tl.table.Columns[tl.col], child.np), child.deep, arg(tl.table.Columns[tl.table.Key].Name, child))
}

// extreme is the row with the most or the least of something among those that fit; hops
// calls find out what they must fit.
func (d *drawer) extreme(t *Table, hops int) (operand, bool) {
	tools := d.of(t, opHighest, opLowest)
	if len(tools) == 0 {
		return d.found(t)
	}
	tl := pick(d.rng, tools)
	filters, args, deep, ok := d.fitting(tl, hops)
	if !ok {
		return operand{}, false
	}
	rank := 1
	if d.rng.IntN(4) == 0 {
		rank = 2 + d.rng.IntN(2)
		args = append([]argument{known("rank", float64(rank))}, args...)
	}
	if !tl.distinctAt(args, rank) {
		return operand{}, false
	}
	return d.call(tl, "/"+t.Columns[t.Key].Name, d.say.extreme(t, t.Columns[tl.col], tl.op == opHighest, rank, filters), deep, args...)
}

// distinctAt reports whether the rows beside a rank have other values, so that nobody could
// give another answer.
func (t *tool) distinctAt(args []argument, rank int) bool {
	o := object{}
	for _, a := range args {
		o[a.name] = a.value
	}
	var around []any
	for r := max(rank-1, 1); r <= rank+1; r++ {
		o["rank"] = float64(r)
		result, err := t.eval(o)
		if err != nil {
			break
		}
		v := result[t.table.Columns[t.col].Name]
		if slices.ContainsFunc(around, func(x any) bool { return compareCells(x, v) == 0 }) {
			return false
		}
		around = append(around, v)
	}
	return len(around) >= rank-max(rank-1, 1)+2 // the rank itself, and one behind it
}

// winner is whichever of several rows has the most of something: rows, measures, a ranking.
func (d *drawer) winner(t *Table, hops int) (operand, bool) {
	measures := d.measures(t)
	if len(measures) == 0 {
		return operand{}, false
	}
	m := pick(d.rng, measures)
	n := min(max(2, (hops-1)/2), 10)
	var items, shape []any
	var names []string
	for range n {
		row, ok := d.found(t)
		if !ok {
			return row, false
		}
		value, ok := d.measure(m, row)
		if !ok || slices.ContainsFunc(items, func(x any) bool { return x.(object)["value"] == value.value }) {
			return value, false
		}
		items = append(items, object{"label": row.value, "value": value.value})
		shape = append(shape, object{"label": row.shape(), "value": value.shape()})
		names = append(names, row.np)
	}
	np := d.say.winner(t, names, d.measured(m))
	i, _, ok := d.plan.add(d.of(nil, opRank)[0], []argument{{"items", items, shape}}, "/ranking", d.say.ranking(names, d.measured(m)))
	if !ok {
		return operand{}, false
	}
	top := d.plan.nodes[i].answer.([]any)[0].(object)["label"]
	return operand{value: top, from: &from{i, "/ranking/0/label"}, np: np, deep: 3}, true
}

// A measure is a number that every row of a table has: an attribute, or how many rows of
// another table belong to it.
type measure struct {
	tool  *tool
	param string
	at    string
}

func (d *drawer) measures(t *Table) []measure {
	var all []measure
	for _, tl := range d.of(t, opGet) {
		if c := t.Columns[tl.col]; c.measure() {
			all = append(all, measure{tl, t.Columns[t.Key].Name, "/" + c.Name})
		}
	}
	for _, tl := range d.of(nil, opCount, opTotal, opAverage) {
		for _, f := range tl.filters {
			if ref := tl.table.Columns[f.col].Ref; ref != nil && ref.Table == t {
				at := "/value"
				if tl.op == opCount {
					at = "/count"
				}
				all = append(all, measure{tl, f.param, at})
			}
		}
	}
	return all
}

func (d *drawer) measure(m measure, row operand) (operand, bool) {
	o, ok := d.call(m.tool, m.at, d.say.of(d.measured(m), row.np), row.deep, arg(m.param, row))
	return o, ok && o.value != 0.0 // none is what any row that does not exist has
}

// measured is what a measure measures, without whose it is.
func (d *drawer) measured(m measure) string {
	c := m.tool.table.Columns[m.tool.col]
	switch m.tool.op {
	case opCount:
		return d.say.numberOf(m.tool.table, nil)
	case opTotal:
		return d.say.total(m.tool.table, c, nil)
	case opAverage:
		return d.say.average(m.tool.table, c, nil)
	}
	return d.say.label(c)
}

// fitting draws what the rows of a tool must fit: one filter, or two; hops calls find out
// the value of the first.
func (d *drawer) fitting(tl *tool, hops int) (phrases []string, args []argument, deep int, ok bool) {
	filters := slices.Clone(tl.filters)
	d.rng.Shuffle(len(filters), func(i, j int) { filters[i], filters[j] = filters[j], filters[i] })
	if hops > 0 { // only another row takes calls to find
		filters = slices.DeleteFunc(filters, func(f filter) bool {
			c := tl.table.Columns[f.col]
			return c.Ref == nil && !(c.measure() && !d.chain)
		})
	}
	want := 1
	if hops == 0 && d.rng.IntN(3) == 0 {
		want = 2
	}
	given := map[int]bool{}
	for _, f := range filters {
		if len(args) == want || given[f.col] {
			continue
		}
		o, phrase, ok := d.filterValue(tl.table, f, hops)
		if !ok {
			if hops > 0 {
				return nil, nil, 0, false
			}
			continue
		}
		given[f.col], deep, hops = true, max(deep, o.deep), 0
		args, phrases = append(args, arg(f.param, o)), append(phrases, phrase)
	}
	slices.SortFunc(args, func(a, b argument) int { return tl.place(a.name) - tl.place(b.name) })
	return phrases, args, deep, len(args) > 0
}

// place is where a parameter stands among the tool's.
func (t *tool) place(name string) int {
	return slices.IndexFunc(t.params, func(p param) bool { return p.name == name })
}

func (d *drawer) filterValue(t *Table, f filter, hops int) (o operand, phrase string, ok bool) {
	c := t.Columns[f.col]
	if c.Ref != nil {
		if hops == 0 && d.rng.IntN(3) > 0 {
			return o, "", false // people know names, not keys
		}
		if o, ok = d.entity(c.Ref.Table, hops); !ok {
			return o, "", false
		}
		o = d.brief(c.Ref.Table, o)
		return o, d.say.belonging(c, o.np), true
	}
	if hops > 0 && c.measure() {
		if o, ok = d.number(hops); !ok || o.of != c.quantity() || o.value.(float64) < c.Min || o.value.(float64) > c.Max {
			return o, "", false
		}
		o = d.brief(nil, o)
		return o, d.say.bounded(c, f.how, o.np), true
	}
	if hops > 0 {
		return o, "", false
	}
	v := t.Rows[d.rng.IntN(len(t.Rows))][f.col]
	if v == nil {
		return o, "", false
	}
	if f.how == "word" {
		return d.word(t, asText(v))
	}
	switch v := v.(type) {
	case float64:
		o.value = roundly(v)
	case []string:
		o.value = pick(d.rng, v)
	default:
		o.value = v
	}
	o.np = asText(o.value)
	if _, isBool := v.(bool); isBool || f.how != "is" {
		return o, d.say.bounded(c, f.how, d.say.literal(c, o.value)), true
	}
	return o, d.say.having(c, o.np), d.mention(o.value)
}

// word is one of a name's words, which other names have too.
func (d *drawer) word(t *Table, name string) (o operand, phrase string, ok bool) {
	words := strings.FieldsFunc(name, func(r rune) bool { return !unicode.IsLetter(r) })
	words = slices.DeleteFunc(words, func(w string) bool { return utf8.RuneCountInString(w) < 4 })
	if len(words) == 0 {
		return o, "", false
	}
	w := pick(d.rng, words)
	in := 0
	for i := range t.Rows {
		if t.Rows[i][t.Title] != nil && strings.Contains(strings.ToLower(t.title(i)), strings.ToLower(w)) {
			in++
		}
	}
	return operand{value: w}, d.say.containing(w), in > 1 && d.mention(w)
}

// roundly is a number as people would say one of about that size.
func roundly(f float64) float64 {
	step := 1.0
	for step*20 < f {
		step *= 10
	}
	n := float64(int64(f / step))
	return n * step
}

// number finds a number.
func (d *drawer) number(hops int) (operand, bool) {
	if hops >= 3 && !d.chain && d.rng.IntN(2) == 0 {
		return d.combined(hops)
	}
	if hops >= 3 && !d.chain && d.rng.IntN(3) == 0 {
		return d.sum(hops)
	}
	if hops >= 2 && d.rng.IntN(4) == 0 {
		if o, ok := d.converted(hops); ok {
			return o, true
		}
	}
	if hops >= 2 && d.rng.IntN(4) == 0 {
		if o, ok := d.apart(hops); ok {
			return o, true
		}
	}
	if hops >= 2 && d.rng.IntN(5) == 0 {
		return d.against(hops)
	}
	tools := d.of(nil, opCount, opTotal, opAverage)
	for _, tl := range d.of(nil, opGet) {
		if tl.table.Columns[tl.col].measure() {
			tools = append(tools, tl)
		}
	}
	if len(tools) == 0 {
		return operand{}, false
	}
	tl := pick(d.rng, tools)
	c := tl.table.Columns[tl.col]
	if tl.op == opGet {
		row, ok := d.entity(tl.table, hops-1)
		if !ok {
			return row, false
		}
		row = d.brief(tl.table, row)
		o, ok := d.call(tl, "/"+c.Name, d.say.get(c, row.np), row.deep, arg(tl.table.Columns[tl.table.Key].Name, row))
		o.of = c.quantity()
		return o, ok
	}
	phrases, args, deep, ok := d.fitting(tl, hops-1)
	if !ok {
		return operand{}, false
	}
	at, np, of := "/value", "", c.quantity()
	switch tl.op {
	case opTotal:
		np = d.say.total(tl.table, c, phrases)
	case opAverage:
		np = d.say.average(tl.table, c, phrases)
	default:
		at, np, of = "/count", d.say.numberOf(tl.table, phrases), "count"
	}
	o, ok := d.call(tl, at, np, deep, args...)
	o.of = of
	return o, ok && o.value != 0.0
}

// combined is one number minus, over, or as a percentage of another of its kind.
func (d *drawer) combined(hops int) (operand, bool) {
	left := 1 + d.rng.IntN(hops-2)
	a, ok := d.number(left)
	if !ok {
		return a, false
	}
	b, ok := d.number(hops - 1 - left)
	if !ok || a.of == "" || a.of != b.of || a.value == b.value || a.from.node == b.from.node {
		return b, false
	}
	if a.value.(float64) < b.value.(float64) && d.rng.IntN(4) > 0 {
		a, b = b, a
	}
	if a.deep+b.deep > 2 {
		a, b = d.lettered(a), d.lettered(b)
	}
	x, y := a.value.(float64), b.value.(float64)
	o := pick(d.rng, []op{opDifference, opDifference, opRatio, opPercent})
	if x <= 0 || y <= 0 || x/y > 1000 || x/y < 0.001 {
		o = opDifference
	}
	np := map[op]func(string, string) string{opDifference: d.say.difference, opRatio: d.say.ratio, opPercent: d.say.percentage}[o](a.np, b.np)
	found, ok := d.call(d.of(nil, o)[0], "/value", np, a.deep+b.deep, arg("a", a), arg("b", b))
	if o == opDifference {
		found.of = a.of
	}
	return found, ok
}

// against sets a number against one that the user knows.
func (d *drawer) against(hops int) (operand, bool) {
	a, ok := d.number(hops - 1)
	if !ok || a.of == "" || a.value.(float64) <= 0 {
		return a, false
	}
	a = d.brief(nil, a)
	k := roundly(a.value.(float64)*(0.3+1.4*d.rng.Float64())) + 1
	b := operand{value: k, np: asText(k)}
	if d.mention(k); d.rng.IntN(2) == 0 {
		return d.call(d.of(nil, opPercent)[0], "/value", d.say.percentage(a.np, b.np), a.deep, arg("a", a), known("b", k))
	}
	o, ok := d.call(d.of(nil, opDifference)[0], "/value", d.say.difference(a.np, b.np), a.deep, arg("a", a), known("b", k))
	o.of = a.of
	return o, ok && o.value != 0.0
}

// sum adds the same measure of several rows up.
func (d *drawer) sum(hops int) (operand, bool) {
	t := pick(d.rng, d.tables)
	measures := d.measures(t)
	if len(measures) == 0 || t.Title < 0 {
		return operand{}, false
	}
	m := pick(d.rng, measures)
	if m.tool.op == opAverage || m.tool.op != opCount && !m.tool.table.Columns[m.tool.col].adds() {
		return operand{}, false
	}
	var values, shape []any
	var names []string
	for range min(max(2, (hops-1)/2), 10) {
		row, ok := d.found(t)
		if !ok {
			return row, false
		}
		v, ok := d.measure(m, row)
		if !ok {
			return v, false
		}
		values, shape, names = append(values, v.value), append(shape, v.shape()), append(names, row.np)
	}
	i, v, ok := d.plan.add(d.of(nil, opSum)[0], []argument{{"values", values, shape}}, "/value", d.say.together(d.measured(m), names))
	return operand{value: v, from: &from{i, "/value"}, np: d.say.together(d.measured(m), names), deep: 3}, ok
}

// converted is a number in another unit.
func (d *drawer) converted(hops int) (operand, bool) {
	var getters []*tool
	for _, tl := range d.of(nil, opGet) {
		if d.converter(tl.table.Columns[tl.col].Unit) != nil && tl.table.Columns[tl.col].Kind.numeric() {
			getters = append(getters, tl)
		}
	}
	if len(getters) == 0 {
		return operand{}, false
	}
	tl := pick(d.rng, getters)
	c := tl.table.Columns[tl.col]
	row, ok := d.entity(tl.table, hops-2)
	if !ok {
		return row, false
	}
	v, ok := d.call(tl, "/"+c.Name, d.say.get(c, row.np), row.deep, arg(tl.table.Columns[tl.table.Key].Name, row))
	conv := d.converter(c.Unit)
	to := pick(d.rng, sortedKeys(conv.factors))
	if !ok || to == c.Unit {
		return v, false
	}
	return d.call(conv, "/value", d.say.inUnit(v.np, to), v.deep, arg("value", v), known("from", c.Unit), known("to", to))
}

func (d *drawer) converter(unit string) *tool {
	for _, tl := range d.of(nil, opConvert) {
		if tl.factors[unit] != 0 {
			return tl
		}
	}
	return nil
}

// apart is the number of days from one date to another.
func (d *drawer) apart(hops int) (operand, bool) {
	tools := d.of(nil, opDays)
	if len(tools) == 0 {
		return operand{}, false
	}
	left := hops - 1
	if !d.chain && hops >= 3 {
		left = 1 + d.rng.IntN(hops-2)
	}
	a, ok := d.date(left)
	if !ok {
		return a, false
	}
	day := d.now.AddDate(0, 0, d.rng.IntN(200)).Format(time.DateOnly)
	b := operand{value: day, np: day}
	if left < hops-1 {
		if b, ok = d.date(hops - 1 - left); !ok {
			return b, false
		}
	}
	if a.value == b.value {
		return a, false
	}
	return d.call(tools[0], "/days", d.say.days(a.np, b.np), a.deep+b.deep, arg("from", a), arg("to", b))
}

// date finds a date.
func (d *drawer) date(hops int) (operand, bool) {
	if shifters := d.of(nil, opShift); hops >= 2 && len(shifters) > 0 && d.rng.IntN(3) == 0 {
		o, ok := d.date(hops - 1)
		if !ok {
			return o, false
		}
		n := float64(3 + d.rng.IntN(88))
		return d.call(shifters[0], "/date", d.say.later(o.np, int(n)), o.deep, arg("date", o), known("days", n))
	}
	return d.attribute(hops, func(c *Column) bool { return c.Kind == Date })
}

// attribute finds an attribute of some kind of a row.
func (d *drawer) attribute(hops int, is func(*Column) bool) (operand, bool) {
	var getters []*tool
	for _, tl := range d.of(nil, opGet) {
		if c := tl.table.Columns[tl.col]; is(c) && c.Ref == nil {
			getters = append(getters, tl)
		}
	}
	if len(getters) == 0 {
		return operand{}, false
	}
	tl := pick(d.rng, getters)
	row, ok := d.entity(tl.table, hops-1)
	if !ok {
		return row, false
	}
	row = d.brief(tl.table, row)
	c := tl.table.Columns[tl.col]
	return d.call(tl, "/"+c.Name, d.say.get(c, row.np), row.deep, arg(tl.table.Columns[tl.table.Key].Name, row))
}

// maxList is how long a list may be that somebody is asked to answer with.
const maxList = 12

// list finds several rows of a table.
func (d *drawer) list(hops int) (operand, *Table, bool) {
	if hops >= 3 && !d.chain {
		return d.sharedList(hops)
	}
	tools := d.of(nil, opList, opTop)
	if len(tools) == 0 {
		return operand{}, nil, false
	}
	tl := pick(d.rng, tools)
	phrases, args, deep, ok := d.fitting(tl, hops-1)
	if !ok {
		return operand{}, nil, false
	}
	np := d.say.those(tl.table, phrases)
	if tl.op == opTop {
		n := 2 + d.rng.IntN(4)
		if !tl.ordered(args, n) {
			return operand{}, nil, false
		}
		args = append([]argument{known("count", float64(n))}, args...)
		np = d.say.top(tl.table, tl.table.Columns[tl.col], n, phrases)
	}
	o, ok := d.call(tl, "/items", np, deep, args...)
	if !ok || len(o.value.([]any)) < 2 || len(o.value.([]any)) > maxList {
		return o, nil, false
	}
	return o, tl.table, true
}

// ordered reports whether the first n rows, and the next, differ in the column.
func (t *tool) ordered(args []argument, n int) bool {
	o := object{}
	for _, a := range args {
		o[a.name] = a.value
	}
	var last any
	rows := slices.DeleteFunc(t.rows(o), func(i int) bool { return t.table.Rows[i][t.col] == nil })
	slices.SortStableFunc(rows, func(a, b int) int { return compareCells(t.table.Rows[b][t.col], t.table.Rows[a][t.col]) })
	for i := range min(n+1, len(rows)) {
		v := t.table.Rows[rows[i]][t.col]
		if last != nil && compareCells(last, v) == 0 {
			return false
		}
		last = v
	}
	return len(rows) > n
}

// sharedList is what two lists of rows of one table have in common.
func (d *drawer) sharedList(hops int) (operand, *Table, bool) {
	lists := d.of(nil, opList)
	if len(lists) == 0 {
		return operand{}, nil, false
	}
	tl := pick(d.rng, lists)
	left := d.rng.IntN(max(hops-2, 1))
	p1, a1, _, ok1 := d.fitting(tl, left)
	p2, a2, _, ok2 := d.fitting(tl, max(hops-3-left, 0))
	if !ok1 || !ok2 || slices.ContainsFunc(a1, func(a argument) bool {
		return slices.ContainsFunc(a2, func(b argument) bool {
			return a.name == b.name && tl.params[tl.place(a.name)].name != "" && !d.listColumn(tl, a.name)
		})
	}) {
		return operand{}, nil, false
	}
	a, ok1 := d.call(tl, "/items", d.say.those(tl.table, p1), 1, a1...)
	b, ok2 := d.call(tl, "/items", d.say.those(tl.table, p2), 1, a2...)
	if !ok1 || !ok2 || len(a.value.([]any)) > 400 || len(b.value.([]any)) > 400 || a.from.node == b.from.node {
		return operand{}, nil, false
	}
	i, v, ok := d.plan.add(d.of(nil, opCommon)[0], []argument{{"lists", []any{a.value, b.value}, []any{a.shape(), b.shape()}}}, "/items", d.say.both(tl.table, p1, p2))
	if !ok || len(v.([]any)) < 1 || len(v.([]any)) > maxList || len(v.([]any)) == len(a.value.([]any)) || len(v.([]any)) == len(b.value.([]any)) {
		return operand{}, nil, false
	}
	return operand{value: v, from: &from{i, "/items"}, np: d.say.both(tl.table, p1, p2), deep: 3}, tl.table, true
}

// listColumn reports whether an argument filters a column of lists, in which a row may fit
// two values.
func (d *drawer) listColumn(tl *tool, param string) bool {
	for _, f := range tl.filters {
		if f.param == param {
			return tl.table.Columns[f.col].Kind == List
		}
	}
	return false
}
