package tables

import (
	"math/rand/v2"
	"reflect"
	"strings"
)

// What is tried of a call before it is believed.
const (
	otherEntities = 12
	mostAlike     = 0.34 // of them may have the same answer: counts are small numbers
)

// accident says why a plan's answers could come out without understanding it, "" if they
// could not: leaving out an argument must change the answer, and so must another entity.
func (p *plan) accident(rng *rand.Rand) string {
	if p.twins() {
		return "two calls with one answer"
	}
	for _, n := range p.nodes {
		if n.tool.writes || n.tool.table == nil {
			continue
		}
		if n.superfluous() {
			return "an argument that changes nothing"
		}
		if n.indifferent(rng) {
			return "other entities with the same answer"
		}
	}
	return ""
}

// twins reports whether the first of two calls would solve the second's sub-question too.
func (p *plan) twins() bool {
	for i, n := range p.nodes {
		for _, other := range p.nodes[:i] {
			if n.tool == other.tool && n.at == other.at && n.solved == other.solved && reflect.DeepEqual(n.answer, other.answer) {
				return true
			}
		}
	}
	return false
}

// superfluous reports whether the answer comes out without one of the optional arguments.
func (n *node) superfluous() bool {
	for _, p := range n.tool.params {
		args := argsOf(n)
		if _, given := args[p.name]; !given || p.required {
			continue
		}
		if delete(args, p.name); n.gives(args) {
			return true
		}
	}
	return false
}

// gives reports whether the call would find the same with these arguments. A filter that
// says nothing is refused by the tools.
func (n *node) gives(args object) bool {
	if n.tool.filters != nil {
		given := 0
		for _, f := range n.tool.filters {
			if _, ok := args[f.param]; ok {
				given++
			}
		}
		if given == 0 {
			return false
		}
	}
	result, err := n.tool.eval(args)
	if err != nil {
		return false
	}
	answer, ok := pointTo(result, n.at)
	return ok && reflect.DeepEqual(answer, n.answer)
}

// indifferent reports whether too many others, in the place of a row that an argument
// names, would have the same answer.
func (n *node) indifferent(rng *rand.Rand) bool {
	for _, a := range n.args {
		values := n.others(a.name)
		if len(values) < 2 {
			continue
		}
		tried, alike := 0, 0
		for range otherEntities {
			v := values[rng.IntN(len(values))]
			if list, ok := v.([]string); ok {
				v = pick(rng, list)
			}
			if v == nil || asText(v) == asText(a.value) {
				continue
			}
			args := argsOf(n)
			args[a.name] = v
			if tried++; n.gives(args) {
				alike++
			}
		}
		if tried > 0 && float64(alike) > mostAlike*float64(tried) {
			return true
		}
	}
	return false
}

// others are the values that an argument could have had, if it names a row or a category.
func (n *node) others(param string) []any {
	t := n.tool.table
	switch {
	case n.tool.op == opFind && param == "name":
		return column(t, t.Title)
	case n.tool.op == opFindBy:
		return column(t, n.tool.col)
	case n.tool.op == opGet && param == t.Columns[t.Key].Name:
		return column(t, t.Key)
	}
	for _, f := range n.tool.filters {
		if f.param != param {
			continue
		}
		if f.how == "word" {
			return wordsOf(t, f.col)
		}
		if ref := t.Columns[f.col].Ref; ref != nil {
			return column(ref.Table, ref.Table.Key)
		}
		return column(t, f.col)
	}
	return nil
}

// wordsOf are the first words of a column's texts.
func wordsOf(t *Table, col int) []any {
	var words []any
	for _, v := range column(t, col) {
		if w, _, _ := strings.Cut(asText(v), " "); len(w) >= 4 {
			words = append(words, w)
		}
	}
	return words
}

func column(t *Table, i int) []any {
	values := make([]any, len(t.Rows))
	for r, row := range t.Rows {
		values[r] = row[i]
	}
	return values
}
