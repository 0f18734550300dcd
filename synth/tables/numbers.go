package tables

import (
	"time"
)

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
