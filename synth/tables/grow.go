package tables

import (
	"math/rand/v2"
	"slices"
	"time"

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
