package tables

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

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
