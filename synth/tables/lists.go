package tables

import (
	"slices"
)

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
