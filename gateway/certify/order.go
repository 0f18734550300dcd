package certify

import (
	"context"
	"errors"
	"slices"

	"github.com/astra-arenas/astra"
)

// maxSwaps bounds the pairs of a task that are tried the other way round.
const maxSwaps = 8

// order plays gold with reads between its calls, with neighbours that have nothing to do
// with each other swapped, and from the end to the beginning.
func order(ctx context.Context, t *trial, out *tally) error {
	if !t.playable(out) {
		return nil
	}
	for _, try := range []func(context.Context, *trial, *tally) error{readsBetween, swapped, reversed} {
		if err := try(ctx, t, out); err != nil {
			return err
		}
	}
	return nil
}

// readsBetween makes a read of gold's again after each of its calls, as far as the budget goes.
func readsBetween(ctx context.Context, t *trial, out *tally) error {
	reads := t.reads()
	if len(reads) == 0 {
		return nil
	}
	p, err := t.open(ctx, nil)
	if err != nil {
		return err
	}
	defer p.Close()
	for k := range t.calls {
		if err := p.must(ctx, k); err != nil {
			out.find(t.finding("with reads between its calls gold does not play: %v; a tool that is marked read_only must leave the world as it is", err))
			return context.Cause(ctx)
		}
		if err := p.read(ctx, reads[k%len(reads)], out); err != nil {
			return err
		}
	}
	if err := p.finish(ctx); err != nil {
		return err
	}
	end, err := p.outcome(ctx)
	if err != nil {
		return err
	}
	if what := t.differs(end); what != "" {
		out.find(t.finding("with reads between gold's calls %s; reading must change nothing (if a tool does write, do not mark it read_only), and verifiers must not count steps", what))
	}
	return nil
}

// read makes one of gold's calls once more, if its turn has come and gold can still be
// played to its end within the budget.
func (p *play) read(ctx context.Context, k int, out *tally) error {
	spent := len(p.Steps()) - len(p.values)
	if p.t.turns[k] > p.turn || spent >= p.t.task.Calls()-len(p.t.calls) {
		return nil
	}
	out.add("reads", 1)
	step := p.t.gold.steps[k]
	_, err := p.Call(ctx, astra.Call{Tool: step.Tool, Args: step.Args})
	return err
}

// reads are the gold calls whose tools only read, those of the first turn before others.
func (t *trial) reads() []int {
	var list []int
	for k := range t.calls {
		if !t.writes(k) {
			list = append(list, k)
		}
	}
	return list
}

// differs says in what an outcome is not gold's; steps that solve nothing may have come between.
func (t *trial) differs(end *performance) string {
	gold := t.gold.score
	if end.score.Recall != gold.Recall {
		return "not all sub-tasks are solved any more: " + whyNot1(end.score)
	}
	for i, p := range end.score.Parts {
		if p.Name != "f1" && p.Value != gold.Parts[i].Value {
			return p.Name + " is " + plain(number(p.Value)) + " instead of " + plain(number(gold.Parts[i].Value))
		}
	}
	if !sameState(end.state, t.gold.state) {
		return "the state is " + quote(text(end.state)) + " instead of " + quote(text(t.gold.state))
	}
	return ""
}

// sameState compares two states as verifiers do: the order of keys says nothing.
func sameState(a, b astra.Result) bool {
	return a.Error == b.Error && canonical(a.Value) == canonical(b.Value)
}

// swapped plays independent neighbours of one turn the other way round.
func swapped(ctx context.Context, t *trial, out *tally) error {
	var pairs []int
	for k := 0; k+1 < len(t.calls); k++ {
		if t.turns[k] == t.turns[k+1] && t.independent(k, k+1) {
			pairs = append(pairs, k)
		}
	}
	for _, k := range spread(pairs, maxSwaps) {
		out.add("swaps", 1)
		order := t.inOrder()
		order[k], order[k+1] = k+1, k
		end, err := t.playOrder(ctx, order)
		if err != nil {
			return err
		}
		what := t.differs(end)
		if what == "" && end.score.Reward != t.gold.score.Reward {
			what = "the reward is " + plain(number(end.score.Reward))
		}
		if what != "" {
			out.find(t.at(k, "made after call %d, of which nothing says that it must come first, %s; say with depends_on what must come first, or let state() tell what the world is and not how it got there", k+2, what))
		}
	}
	return nil
}

// independent reports whether nothing says which of two calls comes first.
func (t *trial) independent(a, b int) bool {
	if reaches(t.refs, b, a) {
		return false
	}
	after := t.ancestors()
	for _, child := range t.solvedBy(b) {
		for _, parent := range t.solvedBy(a) {
			if after[child.ID][parent.ID] {
				return false
			}
		}
	}
	return true
}

// ancestors are, for each sub-task, all that must come before it.
func (t *trial) ancestors() map[string]map[string]bool {
	parents := map[string][]string{}
	for i := range t.task.Subtasks {
		parents[t.task.Subtasks[i].ID] = t.task.Subtasks[i].DependsOn
	}
	all := map[string]map[string]bool{}
	var visit func(id string) map[string]bool
	visit = func(id string) map[string]bool {
		if all[id] != nil {
			return all[id]
		}
		set := map[string]bool{}
		for _, p := range parents[id] {
			set[p] = true
			for up := range visit(p) {
				set[up] = true
			}
		}
		all[id] = set
		return set
	}
	for id := range parents {
		visit(id)
	}
	return all
}

// reversed makes gold's calls from the last to the first, with the arguments that they had:
// where sub-tasks depend on each other, that must not score 1.
func reversed(ctx context.Context, t *trial, out *tally) error {
	if !t.ordered() {
		return nil
	}
	out.add("reversed", 1)
	order := t.inOrder()
	slices.Reverse(order)
	end, err := t.playOrder(ctx, order)
	if err != nil {
		return err
	}
	if end.score.Reward >= 1 {
		out.find(t.finding("gold's calls score %v from the last to the first, though its sub-tasks depend on each other; give f1 a weight, or leave depends_on out", end.score.Reward))
	}
	return nil
}

// ordered reports whether a sub-task depends on one that an earlier call solved.
func (t *trial) ordered() bool {
	for i := range t.task.Subtasks {
		child := &t.task.Subtasks[i]
		to, ok := t.solved[child.ID]
		for _, id := range child.DependsOn {
			if from, solved := t.solved[id]; ok && solved && from < to {
				return true
			}
		}
	}
	return false
}

func (t *trial) inOrder() []int {
	order := make([]int, len(t.calls))
	for k := range order {
		order[k] = k
	}
	return order
}

// playOrder makes gold's calls in another order. A call that refers to one that was not
// made yet takes the arguments that it had in gold.
func (t *trial) playOrder(ctx context.Context, order []int) (*performance, error) {
	p, err := t.open(ctx, nil)
	if err != nil {
		return nil, err
	}
	defer p.Close()
	for _, k := range order {
		_, err := p.call(ctx, k)
		if errors.Is(err, errNoValue) {
			_, err = p.with(ctx, k, t.gold.steps[k].Args)
		}
		if err != nil {
			return nil, err
		}
	}
	if err := p.finish(ctx); err != nil {
		return nil, err
	}
	return p.outcome(ctx)
}
