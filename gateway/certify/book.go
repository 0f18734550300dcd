package certify

import (
	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/agent"
)

// A book has the answers that an arena asks for, of tasks and of sub-tasks, in the order of
// tasks: what one answer is confused with. Of each kind it has as many as a bag holds.
type book struct {
	all      bag
	byKind   map[string]*bag
	expected map[string]int // what gold submits -> how many tasks expect it
}

func newBook(a *astra.Arena) *book {
	b := &book{byKind: map[string]*bag{}, expected: map[string]int{}}
	for i := range a.Tasks {
		t := &a.Tasks[i]
		if text := agent.GoldAnswer(t); text != "" {
			b.expected[text]++
		}
		for _, v := range answersIn(t) {
			b.all.add(v)
			bagOf(b.byKind, kindOf(v)).add(v)
		}
	}
	return b
}

// answersIn are the answers of a task and of its sub-tasks.
func answersIn(t *astra.Task) []any {
	var list []any
	if t.Answer != nil && t.Answer.Expected != nil {
		list = append(list, decode(t.Answer.Expected))
	}
	for i := range t.Subtasks {
		if s := &t.Subtasks[i]; s.Answer != nil {
			list = append(list, decode(s.Answer))
		}
	}
	return list
}

// others are answers that are none of a task's own.
func (b *book) others(t *astra.Task) []any {
	own := map[string]bool{}
	for _, v := range answersIn(t) {
		own[string(encode(v))] = true
	}
	var list []any
	for _, v := range b.all.values {
		if !own[string(encode(v))] {
			list = append(list, v)
		}
	}
	return list
}

// common is what most tasks expect besides t; the first of several in the order of their
// text, "" if there is none.
func (b *book) common(t *astra.Task) string {
	own, best, most := agent.GoldAnswer(t), "", 0
	for text, n := range b.expected {
		if text == own {
			n--
		}
		if n > most || n == most && n > 0 && text < best {
			best, most = text, n
		}
	}
	return best
}
