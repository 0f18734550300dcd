package certify

import (
	"context"
	"slices"
	"strings"

	"github.com/astra-arenas/astra"
)

// Of the arena's other answers, and of all that gold's results hold.
const (
	maxConfused   = 8      // that one answer is confused with
	maxCandidates = maxBag // in the answer that lists them all
)

// confused are other answers of the arena, of a kind with v or with its items, spread over
// all that there are, and what results have under a key.
func (in *inspection) confused(v any, key string) []any {
	kind := kindOf(v)
	if list, ok := v.([]any); ok && len(list) > 0 {
		kind = kindOf(list[0])
	}
	var near bag
	for _, other := range in.pool.byKey[key].all() {
		if kindOf(other) == kind {
			near.add(other)
		}
	}
	return append(slices.Clip(spread(in.book.byKind[kind].all(), maxConfused)), spread(near.values, maxConfused)...)
}

// answers submits mutants of the expected answer after a gold play, and supposes that tools
// returned mutants of sub-tasks' answers: each must be refused.
func answers(ctx context.Context, t *trial, out *tally) error {
	if t.task.Answer == nil && !hasAnswers(t.task) {
		return nil
	}
	if !t.playable(out) {
		return nil
	}
	p, err := t.play(ctx, nil)
	if err != nil {
		return err
	}
	defer p.Close()
	if err := finalAnswer(ctx, p, out); err != nil {
		return err
	}
	for i := range t.task.Subtasks {
		s := &t.task.Subtasks[i]
		if k, ok := t.solved[s.ID]; ok && s.Answer != nil {
			if err := subtaskAnswer(ctx, p, s, k, out); err != nil {
				return err
			}
		}
	}
	return nil
}

func hasAnswers(t *astra.Task) bool {
	for i := range t.Subtasks {
		if t.Subtasks[i].Answer != nil && t.Subtasks[i].Counts() {
			return true
		}
	}
	return false
}

func (t *tally) mutant(refused bool) {
	t.add("made", 1)
	t.mutation.Made++
	if refused {
		t.add("refused", 1)
		t.mutation.Refused++
	}
}

func finalAnswer(ctx context.Context, p *play, out *tally) error {
	a := p.t.task.Answer
	if a == nil {
		return nil
	}
	out.add("answers", 1)
	for _, m := range p.t.wrongAnswers(p) {
		text := clip(plain(m.value), 60<<10)
		score, err := p.Score(ctx, &text)
		if err != nil {
			return err
		}
		refused := partOf(score, "answer") < 1
		out.mutant(refused)
		if !refused {
			out.find(p.t.finding("its answer is right with %q too (%s); let the answer be compared as a whole, with a tolerance that the question allows", clip(text, 120), m.how))
		}
	}
	return nil
}

// wrongAnswers are mutants of what is expected, if that is known, and answers that dodge the question.
func (t *trial) wrongAnswers(p *play) []mutant {
	var list []mutant
	var want any
	if a := t.task.Answer; a.Expected != nil {
		want = decode(a.Expected)
		list = mutants(want, a.Compare, t.in.confused(want, ""))
	} else {
		for _, other := range spread(t.in.book.others(t.task), maxConfused) {
			list = append(list, mutant{"the answer of another task", other})
		}
		list = append(list, mutant{"empty", ""})
	}
	var asked []string
	for _, turn := range t.task.Turns {
		asked = append(asked, turn.Prompt)
	}
	dodges := []mutant{{"the question echoed", strings.Join(asked, "\n")}}
	candidates := t.candidates(p)
	dodges = append(dodges, mutant{"a list of every candidate", string(encode(candidates))}, mutant{"every candidate in a row", inARow(candidates)})
	return append(list, distinct(want, nil, dodges)...)
}

// candidates are all leaves of what gold's calls returned, and all answers of the arena.
func (t *trial) candidates(p *play) []any {
	var all bag
	for _, s := range p.Steps() {
		leaves(decode(s.Result.Value), "", func(_ string, leaf any) { all.add(leaf) })
	}
	for _, v := range answersIn(t.task) {
		all.add(v)
	}
	for _, v := range t.in.book.all.values {
		all.add(v)
	}
	return all.values[:min(len(all.values), maxCandidates)]
}

func inARow(list []any) string {
	words := make([]string, len(list))
	for i, v := range list {
		words[i] = plain(v)
	}
	return strings.Join(words, ", ")
}

func partOf(s *astra.Score, name string) float64 {
	for _, p := range s.Parts {
		if p.Name == name {
			return p.Value
		}
	}
	return 0
}

func subtaskAnswer(ctx context.Context, p *play, s *astra.Subtask, k int, out *tally) error {
	want, path := decode(s.Answer), tokens(s.At)
	key := ""
	if len(path) > 0 {
		key = path[len(path)-1]
	}
	value := decode(p.Steps()[k].Result.Value)
	counted := false
	for _, m := range mutants(want, s.Compare, p.t.in.confused(want, key)) {
		mutated, ok := putAnswer(value, s, path, m.value)
		if !ok {
			break // the rule looks at something else
		}
		if !counted {
			out.add("answers", 1)
			counted = true
		}
		score, err := p.Supposing(ctx, k+1, encode(mutated), p.t.right())
		if err != nil {
			return err
		}
		refused := !solvedAt(score, s.ID, k+1)
		out.mutant(refused)
		if !refused {
			f := p.t.at(k, "its sub-task would be solved with %s in place of %s too (%s); let answer, compare or solved ask for the right one alone", quote(encode(m.value)), quote(s.Answer), m.how)
			f.Subtask = s.ID
			out.find(f)
		}
	}
	return nil
}

// putAnswer is a result with another answer where the right one stands: at its place, or in
// every leaf that is the same.
func putAnswer(value any, s *astra.Subtask, path []string, by any) (any, bool) {
	if len(path) > 0 {
		return put(value, path, by)
	}
	found := false
	is := func(v any) bool {
		same := astra.Same(s.Answer, encode(v), s.Compare)
		found = found || same
		return same
	}
	return replace(value, is, by), found
}

func solvedAt(s *astra.Score, id string, step int) bool {
	for _, sub := range s.Subtasks {
		if sub.ID == id {
			return sub.Solved && sub.Step == step
		}
	}
	return false
}
