package certify

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/astra-arenas/astra"
)

// A mutant is a wrong answer made of a right one.
type mutant struct {
	how   string // for a finding: "ten times as much"
	value any
}

// mutants of an answer of any kind. others are answers and entities of the arena that it
// could be confused with. What is the same as the answer, all tolerance aside, is none.
func mutants(want any, c *astra.Compare, others []any) []mutant {
	var list []mutant
	switch v := want.(type) {
	case json.Number:
		list = numberMutants(v, c)
	case string:
		list = textMutants(v)
	case bool:
		list = []mutant{{"the opposite", !v}}
	case []any:
		list = listMutants(v, c, others)
	case map[string]any:
		list = objectMutants(v, c)
	}
	list = append(list, mutant{"empty", ""})
	for _, other := range others {
		if kindOf(other) == kindOf(want) {
			list = append(list, mutant{"another entity", other})
		}
	}
	return distinct(want, c, list)
}

// distinct leaves out what is the answer after all, and repeats. Of the comparison only what
// makes a list a set is kept: a tolerance that lets a mutant pass is what is looked for.
func distinct(want any, c *astra.Compare, list []mutant) []mutant {
	var plainly astra.Compare
	if c != nil {
		plainly.As = c.As
	}
	seen := map[string]bool{}
	return slices.DeleteFunc(list, func(m mutant) bool {
		text := encode(m.value)
		again := seen[string(text)]
		seen[string(text)] = true
		return again || astra.Same(encode(want), text, &plainly)
	})
}

// numberMutants nudges a number by twice its tolerance, one unit or one per cent, whichever
// is most, and writes it in other units. Half as much again is never meant by a tolerance.
func numberMutants(n json.Number, c *astra.Compare) []mutant {
	x, _ := isNumber(n)
	nudge := math.Abs(x) / 100
	if x == math.Trunc(x) {
		nudge = 1
	}
	nudge = max(nudge, 2*margin(x, c), 2e-6)
	list := []mutant{{"a little more", number(x + nudge)}, {"a little less", number(x - nudge)}}
	if x == 0 {
		return append(list, mutant{"a thousand", number(1000)})
	}
	for _, unit := range []struct {
		how string
		by  float64
	}{{"half as much again", 1.5}, {"ten times as much", 10}, {"a thousand times as much", 1000}, {"sixty times as much", 60},
		{"a tenth", 0.1}, {"a thousandth", 0.001}, {"of the other sign", -1}} {
		list = append(list, mutant{unit.how, number(x * unit.by)})
	}
	return list
}

// margin is what a comparison lets a number be off by.
func margin(x float64, c *astra.Compare) float64 {
	switch {
	case c == nil || c.Tolerance == 0:
		return 1e-6 * max(1, math.Abs(x))
	case c.Relative:
		return c.Tolerance * math.Abs(x)
	}
	return c.Tolerance
}

func textMutants(s string) []mutant {
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if at, err := time.Parse(layout, s); err == nil {
			return []mutant{{"a day later", at.AddDate(0, 0, 1).Format(layout)}, {"a year earlier", at.AddDate(-1, 0, 0).Format(layout)}}
		}
	}
	words := strings.Fields(s)
	if len(words) > 1 {
		slices.Reverse(words)
		return []mutant{{"reordered", strings.Join(words, " ")}}
	}
	if runes := []rune(s); len(runes) > 1 && slices.ContainsFunc(runes, func(r rune) bool { return unicode.Is(unicode.Han, r) }) {
		slices.Reverse(runes)
		return []mutant{{"reordered", string(runes)}}
	}
	return nil
}

func listMutants(v []any, c *astra.Compare, others []any) []mutant {
	list := []mutant{{"an empty list", []any{}}}
	if len(v) > 1 {
		back := slices.Clone(v)
		slices.Reverse(back)
		list = append(list, mutant{"reordered", back}, mutant{"without its last", v[:len(v)-1]})
	}
	for _, other := range others {
		if len(v) > 0 && kindOf(other) == kindOf(v[0]) {
			swapped := slices.Clone(v)
			swapped[0] = other
			list = append(list, mutant{"with another entity besides", append(slices.Clip(v), other)}, mutant{"with an entity swapped", swapped})
		}
	}
	if len(v) > 0 {
		for _, m := range mutants(v[0], c, nil) {
			swapped := slices.Clone(v)
			swapped[0] = m.value
			list = append(list, mutant{"its first " + m.how, swapped})
		}
	}
	return list
}

func objectMutants(v map[string]any, c *astra.Compare) []mutant {
	var list []mutant
	for _, key := range sortedKeys(v) {
		list = append(list, mutant{"without " + key, without(v, key)})
		for _, m := range spread(mutants(v[key], c, nil), 3) {
			list = append(list, mutant{key + " " + m.how, with(v, key, m.value)})
		}
	}
	return spread(list, 24)
}
