package certify

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/astra-arenas/astra"
)

// dependencies holds every depends_on to what gold does.
//
//   - Where the child's call refers to what the call returned that solved the parent, other
//     values are put in its place: the child must not be solved (up to coincidence).
//   - Where it refers to it by way of other calls, those would not be what they are: taken as real.
//   - Where it does not refer to it, the parent's call is left out: the child's must then
//     fail or return another result. Where both write, it is enough that the child's call made
//     first returns another result or leads to another state.
//
// A sub-task that does not count only documents, and so do dependencies on it.
func dependencies(ctx context.Context, t *trial, out *tally) error {
	if !hasDependencies(t.task) || !t.playable(out) {
		return nil
	}
	byID := map[string]*astra.Subtask{}
	for i := range t.task.Subtasks {
		byID[t.task.Subtasks[i].ID] = &t.task.Subtasks[i]
	}
	for i := range t.task.Subtasks {
		child := &t.task.Subtasks[i]
		for _, id := range child.DependsOn {
			if err := dependency(ctx, t, byID[id], child, out); err != nil {
				return err
			}
		}
	}
	return nil
}

func hasDependencies(t *astra.Task) bool {
	for i := range t.Subtasks {
		if len(t.Subtasks[i].DependsOn) > 0 {
			return true
		}
	}
	return false
}

func dependency(ctx context.Context, t *trial, parent, child *astra.Subtask, out *tally) error {
	out.add("dependencies", 1)
	from, ok := t.solved[parent.ID]
	to, solved := t.solved[child.ID]
	if !parent.Counts() || !child.Counts() {
		out.add("documented", 1)
		return nil
	}
	if !ok || !solved {
		out.unknown++ // gold does not solve them: told by its own check
		return nil
	}
	switch {
	case refersTo(t.refs[to], from):
		out.add("by_value", 1)
		return byValue(ctx, t, parent, child, from, to, out)
	case reaches(t.refs, to, from):
		out.add("through", 1)
		return nil
	}
	out.add("by_order", 1)
	return byOrder(ctx, t, parent, child, from, to, out)
}

func refersTo(refs []astra.GoldRef, call int) bool {
	for _, r := range refs {
		if r.Call-1 == call {
			return true
		}
	}
	return false
}

// reaches reports whether a call refers to another by way of others.
func reaches(refs [][]astra.GoldRef, from, to int) bool {
	for _, r := range refs[from] {
		if r.Call-1 == to || reaches(refs, r.Call-1, to) {
			return true
		}
	}
	return false
}

// byValue makes the child's call with other values where it refers to the parent's.
func byValue(ctx context.Context, t *trial, parent, child *astra.Subtask, from, to int, out *tally) error {
	return t.walk(ctx, func(p *play, k int) error {
		if k != to {
			return nil
		}
		answered, same, tried := 0, 0, 0
		for _, args := range replaced(t, p, from, to) {
			solved, step, err := p.solves(ctx, to, args)
			if err != nil {
				return err
			}
			if tried++; step.Result.OK() {
				answered++
			}
			if solved[child.ID] {
				same++
			}
		}
		out.add("replaced", float64(tried))
		if tried == 0 {
			out.unknown++
		}
		if tooMany(same, answered, child.Answer) {
			f := t.at(to, "%s depends on %s, but is solved in %d of %d calls with another value in place of what call %d returned; let its rule look at what comes of that value", child.ID, parent.ID, same, answered, from+1)
			f.Subtask = child.ID
			out.find(f)
		}
		return nil
	})
}

// replaced are the arguments of a call with each of its references to another in turn put
// in place by something else of its kind.
func replaced(t *trial, p *play, from, to int) []json.RawMessage {
	raw, err := p.args(to)
	if err != nil {
		return nil
	}
	gold, seen := canonical(raw), map[string]bool{}
	seen[gold] = true
	var list []json.RawMessage
	for _, ref := range t.refs[to] {
		if ref.Call-1 != from {
			continue
		}
		for _, v := range instead(t, p.values[from], ref, to) {
			if args := p.supposing(to, from, v); args != nil && !seen[canonical(args)] {
				seen[canonical(args)] = true
				list = append(list, args)
			}
		}
	}
	return list
}

// instead are values of the parent's call, with something else where a reference points.
func instead(t *trial, value json.RawMessage, ref astra.GoldRef, to int) []json.RawMessage {
	whole := decode(value)
	was, ok := find(whole, ref.Path)
	if !ok {
		return nil
	}
	facts := t.in.tools[t.calls[to].Tool]
	others := append(t.in.pool.others(facts, ref.Param, was, maxOthers), mutated(was)...)
	if len(ref.Path) > 0 {
		others = append(others, spread(t.in.pool.byKey[ref.Path[len(ref.Path)-1]].all(), maxOthers)...)
	}
	var list []json.RawMessage
	for _, other := range others {
		if kindOf(other) != kindOf(was) {
			continue
		}
		if v, ok := put(whole, ref.Path, other); ok {
			list = append(list, encode(v))
		}
	}
	return list
}

// supposing are the arguments of a call if another had returned value; nil if there are none.
func (p *play) supposing(k, call int, value json.RawMessage) json.RawMessage {
	was := p.values[call]
	defer func() { p.values[call] = was }()
	p.values[call] = value
	args, err := p.args(k)
	if err != nil {
		return nil
	}
	return args
}

// byOrder leaves the parent's call out. What refers to it is left out with it.
func byOrder(ctx context.Context, t *trial, parent, child *astra.Subtask, from, to int, out *tally) error {
	p, err := t.open(ctx, nil)
	if err != nil {
		return err
	}
	defer p.Close()
	var step astra.Step
	for k := 0; k <= to; k++ {
		if k == from {
			continue
		}
		if step, err = p.call(ctx, k); err != nil && !errors.Is(err, errNoValue) {
			return err
		}
		if k == to && err != nil {
			return nil // it needs a call that needs the parent's
		}
	}
	if !sameResult(step.Result, t.gold.steps[to].Result) {
		return nil
	}
	if t.writes(from) && t.writes(to) {
		real, err := inTheWay(ctx, t, from, to)
		if err != nil || real {
			return err
		}
	}
	f := t.at(to, "%s depends on %s, but its call returns the same without gold call %d; %s", child.ID, parent.ID, from+1, advice(t, from, to))
	f.Subtask = child.ID
	out.find(f)
	return nil
}

// inTheWay reports whether it shows that of two writes one came first.
func inTheWay(ctx context.Context, t *trial, from, to int) (bool, error) {
	order := t.inOrder()
	copy(order[from+1:to+1], order[from:to])
	order[from] = to
	end, err := t.playOrder(ctx, order)
	if err != nil {
		return false, err
	}
	return !sameResult(end.steps[from].Result, t.gold.steps[to].Result) || !sameState(end.state, t.gold.state), nil
}

// advice tells how a dependency can be made real.
func advice(t *trial, from, to int) string {
	args, _ := decode(t.gold.steps[to].Args).(map[string]any)
	returned := map[string]bool{}
	leaves(decode(t.gold.steps[from].Result.Value), "", func(_ string, leaf any) { returned[string(encode(leaf))] = true })
	for _, name := range sortedKeys(args) {
		if returned[string(encode(args[name]))] {
			return "write " + name + " as $" + plain(number(float64(from+1))) + ".value and its path: that is where it comes from"
		}
	}
	return "refer to what that call returned, or leave depends_on out"
}
