package certify

import (
	"bytes"
	"context"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
)

// seeds are those that a task without a seed of its own is played with: its opener may choose any.
var seeds = []int64{0, 1, 2}

// gold plays a task's solution twice for each seed.
func gold(ctx context.Context, t *trial, out *tally) error {
	if len(t.calls) == 0 {
		out.unknown++
		out.find(t.finding("it has no gold calls, so nobody knows whether the tools can solve it; write the calls that do"))
		return nil
	}
	if t.trouble != nil {
		out.find(t.finding("gold does not play: %s", gateway.Causes(t.trouble)))
		return nil
	}
	out.add("calls", float64(len(t.calls)))
	for _, seed := range t.seeds() {
		if err := goldTwice(ctx, t, seed, out); err != nil {
			return err
		}
	}
	goldSolves(t, out)
	return nil
}

func (t *trial) seeds() []int64 {
	if t.task.Seed != nil {
		return []int64{*t.task.Seed}
	}
	return seeds
}

func goldTwice(ctx context.Context, t *trial, seed int64, out *tally) error {
	first, err := t.perform(ctx, &seed)
	if err != nil {
		out.find(t.finding("gold does not play with seed %d: %s; give the task a seed, or make it hold for every seed", seed, gateway.Causes(err)))
		return context.Cause(ctx)
	}
	again, err := t.perform(ctx, &seed)
	if err != nil {
		out.find(t.finding("gold plays with seed %d, and played again it does not: %s", seed, gateway.Causes(err)))
		return context.Cause(ctx)
	}
	out.add("plays", 2)
	goldScores(t, first.score, seed, out)
	goldCompare(t, first, again, out)
	return nil
}

// goldCompare compares bytes.
func goldCompare(t *trial, first, again *performance, out *tally) {
	for k, s := range again.steps {
		if was := first.steps[k].Result; !sameResult(s.Result, was) {
			out.find(t.at(k, "played twice it returned %s and then %s; take randomness from the seed and time from now, and keep nothing from call to call outside the world", quote(text(was)), quote(text(s.Result))))
			return
		}
	}
	switch {
	case !again.state.OK():
		out.find(t.finding("state() fails after gold: %s", quote(again.state.Error)))
	case !sameResult(again.state, first.state):
		out.find(t.finding("played twice, gold ended in the states %s and %s", quote(first.state.Value), quote(again.state.Value)))
	}
}

func sameResult(a, b astra.Result) bool {
	return bytes.Equal(a.Value, b.Value) && a.Error == b.Error && a.Fault == b.Fault && a.Log == b.Log
}

// text is what an agent reads of a result.
func text(r astra.Result) string {
	if r.OK() {
		return string(r.Value)
	}
	return r.Error
}

// goldScores asks for 1, and that no part is short of it: an answer without a weight is
// reported, so gold's must be right, too. An answer that only a verifier knows cannot be submitted.
func goldScores(t *trial, s *astra.Score, seed int64, out *tally) {
	if s.Reward != 1 {
		out.find(t.finding("gold scores %.3f with seed %d: %s", s.Reward, seed, whyNot1(s)))
		return
	}
	for _, p := range s.Parts {
		unknown := p.Name == "answer" && t.task.Answer.Expected == nil
		if p.Value != 1 && !unknown {
			out.find(t.finding("gold scores 1 with seed %d, but its part %s is %.3f: %s", seed, p.Name, p.Value, whyNot1(s)))
			return
		}
	}
}

// whyNot1 names the first thing that kept a score from being 1.
func whyNot1(s *astra.Score) string {
	for _, sub := range s.Subtasks {
		if !sub.Solved && sub.Reason != nil {
			return "sub-task " + sub.ID + " is not solved, " + quote(sub.Reason.Text)
		}
	}
	for _, p := range s.Parts {
		if p.Value != 1 && len(p.Reasons) > 0 {
			return p.Name + ": " + quote(p.Reasons[0].Text)
		}
	}
	return "its parts are weighted so"
}

// goldSolves asks of every call that it solves a sub-task, and of one that writes that the
// sub-task says with `solved` what must have been done.
func goldSolves(t *trial, out *tally) {
	if !t.counts() {
		return
	}
	for k := range t.calls {
		solved := t.solvedBy(k)
		if len(solved) == 0 {
			out.find(t.at(k, "it solves no sub-task; leave it out, or add the sub-task it is for"))
			continue
		}
		if !t.writes(k) {
			continue
		}
		written := false
		for _, s := range solved {
			written = written || s.Solved != ""
		}
		if !written {
			f := t.at(k, "it writes, and its sub-task only looks for a value; say with solved what must have been done (or mark the tool read_only)")
			f.Subtask = solved[0].ID
			out.find(f)
		}
	}
}
