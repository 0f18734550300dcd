package certify

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/agent"
	"github.com/astra-arenas/astra/gateway"
)

// A trial is one task being checked. What is below turns is known once its gold was played,
// and nil where it does not play.
type trial struct {
	in    *inspection
	task  *astra.Task
	calls []astra.GoldCall
	turns []int // by call, from 1

	trouble error // why gold does not play
	gold    *performance
	solved  map[string]int    // sub-task -> the call that solved it, from 0
	refs    [][]astra.GoldRef // by call
}

func newTrial(in *inspection, t *astra.Task) *trial {
	tr := &trial{in: in, task: t, solved: map[string]int{}}
	tr.calls, tr.turns = t.GoldCalls()
	return tr
}

// playable reports whether there is a gold play to vary; where there is none, the check
// that asks does not know.
func (t *trial) playable(out *tally) bool {
	if t.gold == nil {
		out.unknown++
	}
	return t.gold != nil
}

func (t *trial) finding(format string, args ...any) astra.Finding {
	return astra.Finding{Task: t.task.ID, Text: fmt.Sprintf(format, args...)}
}

// at is a finding about a gold call.
func (t *trial) at(k int, format string, args ...any) astra.Finding {
	f := t.finding("gold call %d: "+format, append([]any{k + 1}, args...)...)
	f.Tool = t.calls[k].Tool
	return f
}

// prepare plays gold. That it does not play is the gold check's to tell.
func (t *trial) prepare(ctx context.Context) error {
	for i := range t.calls {
		t.refs = append(t.refs, astra.GoldRefs(t.calls[i].Args))
	}
	if len(t.calls) == 0 {
		return nil
	}
	t.gold, t.trouble = t.perform(ctx, nil)
	if t.trouble != nil {
		return context.Cause(ctx)
	}
	for _, s := range t.gold.score.Subtasks {
		if s.Solved {
			t.solved[s.ID] = s.Step - 1
		}
	}
	return nil
}

// A performance is what came of playing all of gold.
type performance struct {
	steps []astra.Step // by call
	state astra.Result // empty where the arena tells none
	score *astra.Score
}

// perform plays all of gold, submits the right answer, and looks at the world.
func (t *trial) perform(ctx context.Context, seed *int64) (*performance, error) {
	p, err := t.play(ctx, seed)
	if err != nil {
		return nil, err
	}
	defer p.Close()
	return p.outcome(ctx)
}

func (p *play) outcome(ctx context.Context) (*performance, error) {
	score, err := p.Score(ctx, p.t.right())
	if err != nil {
		return nil, err
	}
	state, err := p.end(ctx)
	return &performance{slices.Clone(p.Steps()), state, score}, err
}

// right is the answer that gold submits, as the gold agent would.
func (t *trial) right() *string {
	answer := agent.GoldAnswer(t.task)
	if answer == "" {
		answer = "Done."
	}
	return &answer
}

// goldSteps are the steps of the gold play, if it plays.
func (t *trial) goldSteps() []astra.Step {
	if t.gold == nil {
		return nil
	}
	return t.gold.steps
}

// solvedBy are the sub-tasks that a gold call solved, in the task's order.
func (t *trial) solvedBy(k int) []*astra.Subtask {
	var list []*astra.Subtask
	for i := range t.task.Subtasks {
		s := &t.task.Subtasks[i]
		if at, ok := t.solved[s.ID]; ok && at == k {
			list = append(list, s)
		}
	}
	return list
}

// writes reports whether a gold call may change the world.
func (t *trial) writes(k int) bool { return !t.in.tools[t.calls[k].Tool].ReadOnly }

func (t *trial) counts() bool {
	return slices.ContainsFunc(t.task.Subtasks, func(s astra.Subtask) bool { return s.Counts() })
}

// A play is gold being played.
type play struct {
	*gateway.Rehearsal
	t      *trial
	turn   int
	values map[int]json.RawMessage // what gold calls returned, by call from 0
}

// open starts a play before the first call; a nil seed is the task's, else 0.
func (t *trial) open(ctx context.Context, seed *int64) (*play, error) {
	r, err := t.in.gw.Rehearse(ctx, gateway.RehearsalRequest{Arena: t.in.arena.Ref(), Task: t.task.ID, Seed: seed})
	if err != nil {
		return nil, err
	}
	return &play{Rehearsal: r, t: t, turn: 1, values: map[int]json.RawMessage{}}, nil
}

// play plays all of gold and all turns.
func (t *trial) play(ctx context.Context, seed *int64) (*play, error) {
	p, err := t.open(ctx, seed)
	if err != nil {
		return nil, err
	}
	for k := range t.calls {
		if err := p.must(ctx, k); err != nil {
			p.Close()
			return nil, err
		}
	}
	if err := p.finish(ctx); err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

// walk plays gold and visits each call before it is made; a visit works on forks.
func (t *trial) walk(ctx context.Context, visit func(p *play, k int) error) error {
	p, err := t.open(ctx, nil)
	if err != nil {
		return err
	}
	defer p.Close()
	for k := range t.calls {
		if err := p.reach(ctx, t.turns[k]); err != nil {
			return err
		}
		if err := visit(p, k); err != nil {
			return err
		}
		if err := p.must(ctx, k); err != nil {
			return err
		}
	}
	return nil
}

// reach plays turns without a call until one is open.
func (p *play) reach(ctx context.Context, turn int) error {
	for ; p.turn < turn; p.turn++ {
		if _, err := p.Turn(ctx, "Done."); err != nil {
			return err
		}
	}
	return nil
}

// finish plays the turns that are left and closes the last with the right answer.
func (p *play) finish(ctx context.Context) error {
	if err := p.reach(ctx, len(p.t.task.Turns)); err != nil {
		return err
	}
	_, err := p.Turn(ctx, *p.t.right())
	return err
}

// must makes a gold call that must succeed.
func (p *play) must(ctx context.Context, k int) error {
	step, err := p.call(ctx, k)
	if err == nil && !step.Result.OK() {
		err = fmt.Errorf("it failed: %s", step.Result.Error)
	}
	if err != nil {
		return fmt.Errorf("gold call %d, %s: %w", k+1, p.t.calls[k].Tool, err)
	}
	return nil
}

// call makes a gold call with what the calls before it returned in this play.
func (p *play) call(ctx context.Context, k int) (astra.Step, error) {
	if err := p.reach(ctx, p.t.turns[k]); err != nil {
		return astra.Step{}, err
	}
	args, err := p.args(k)
	if err != nil {
		return astra.Step{}, err
	}
	return p.with(ctx, k, args)
}

// with makes a gold call with other arguments.
func (p *play) with(ctx context.Context, k int, args json.RawMessage) (astra.Step, error) {
	step, err := p.Call(ctx, astra.Call{Tool: p.t.calls[k].Tool, Args: args})
	if err == nil && step.Result.OK() {
		p.values[k] = step.Result.Value
	}
	return step, err
}

// args are a gold call's arguments. A reference to a call that was not made is an error.
func (p *play) args(k int) (json.RawMessage, error) {
	for _, ref := range p.t.refs[k] {
		if p.values[ref.Call-1] == nil {
			return nil, errNoValue
		}
	}
	values := make([]json.RawMessage, len(p.t.calls))
	for i, v := range p.values {
		values[i] = v
	}
	return astra.Interpolate(p.t.calls[k].Args, values)
}

var errNoValue = fmt.Errorf("it refers to a call that has no value")

// end is the state of the world; empty where the arena tells none.
func (p *play) end(ctx context.Context) (astra.Result, error) {
	has, err := p.HasState(ctx)
	if err != nil || !has {
		return astra.Result{}, err
	}
	return p.State(ctx)
}

// fork is a copy of the play; it must be closed.
func (p *play) fork(ctx context.Context) (*play, error) {
	r, err := p.Fork(ctx)
	if err != nil {
		return nil, err
	}
	f := &play{Rehearsal: r, t: p.t, turn: p.turn, values: make(map[int]json.RawMessage, len(p.values))}
	for k, v := range p.values {
		f.values[k] = v
	}
	return f, nil
}

// solves tells which sub-tasks a call instead of gold call k solves.
func (p *play) solves(ctx context.Context, k int, args json.RawMessage) (solved map[string]bool, step astra.Step, err error) {
	f, err := p.fork(ctx)
	if err != nil {
		return nil, step, err
	}
	defer f.Close()
	if step, err = f.with(ctx, k, args); err != nil || !step.Result.OK() {
		return nil, step, err
	}
	score, err := f.Score(ctx, nil)
	if err != nil {
		return nil, step, err
	}
	solved = map[string]bool{}
	for _, s := range score.Subtasks {
		if s.Solved && s.Step == step.Index {
			solved[s.ID] = true
		}
	}
	return solved, step, nil
}
