package verifiers

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"

	"github.com/astra-arenas/astra"
)

// A hearing is one score in progress: the evidence as CEL variables, made when first
// read, and the work done so far. It has one user.
type hearing struct {
	ev    *astra.Evidence
	limit int64 // bytes of a step's value or arguments
	vars  map[string]ref.Val
	spent float64 // of RunCost, by the verifier being run

	ctx   context.Context // while a program runs; CEL has no other way to hand it to what it calls
	step  ref.Val         // the step that a `solved` judges
	local string          // a variable of an each's predicate, and its value
	value ref.Val
}

func newHearing(ev *astra.Evidence) *hearing {
	return &hearing{ev: ev, limit: resultLimit(ev.Arena), vars: make(map[string]ref.Val, 4)}
}

// ResolveName gives CEL the value of a variable.
func (h *hearing) ResolveName(name string) (any, bool) {
	switch {
	case name == meterName:
		return h, true
	case name == h.local:
		return h.value, true
	case name == "step":
		return h.step, true
	}
	v, ok := h.vars[name]
	if !ok {
		if v = h.variable(name); v == nil {
			return nil, false
		}
		h.vars[name] = v
	}
	return v, true
}

// Parent is nil: there are no variables but these.
func (h *hearing) Parent() cel.Activation { return nil }

func (h *hearing) variable(name string) ref.Val {
	switch name {
	case "steps":
		return stepList(h.ev.Steps, h.limit)
	case "answer":
		return types.String(h.ev.Answer)
	case "state":
		return decode(h.ev.State.Value, MaxState)
	case "turns":
		return turnList(h.ev.Turns)
	case "gold":
		return newGold(&h.ev.Gold, h.limit)
	case "task":
		return newTask(h.ev.Task)
	case "seed":
		return types.Int(h.ev.Seed)
	}
	return nil
}

// A broken verifier fails whatever the agent does.
type broken struct {
	at  [2]int
	why string
}

func (b *broken) Error() string {
	return fmt.Sprintf("bytes %d to %d: %s, whatever the agent does; mend the verifier, or what it reads of gold and task", b.at[0], b.at[1], b.why)
}

// A failure is the agent's: why a clause could not be evaluated.
type failure string

func (f failure) Error() string { return string(f) }

const tooMuchWork = failure("takes more work than a score may")

// run evaluates one program. An error is a failure, or the context's.
func (h *hearing) run(ctx context.Context, p cel.Program) (ref.Val, error) {
	if h.spent > RunCost {
		return nil, tooMuchWork
	}
	h.ctx = ctx
	out, _, err := p.Eval(h)
	switch {
	case err == nil:
		return out, nil
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case h.spent > RunCost:
		return nil, tooMuchWork
	}
	return nil, classify(err)
}

// classify says what went wrong without CEL's own words: they quote keys, which are part of the
// verifier, and values, which may be gold.
func classify(err error) failure {
	text := err.Error()
	for _, c := range [...]struct{ prefix, meaning string }{
		{"no such key", "no such key"},
		{"no such attribute", "no such key"},
		{"no such field", "no such key"},
		{"index out of", "index out of range"},
		{"invalid_argument", "index out of range"},
		{"division by zero", "division by zero"},
		{"modulus by zero", "division by zero"},
		{"no such overload", "a value of the wrong type"},
		{"unsupported index", "a value of the wrong type"},
		{"got '", "a value of the wrong type"},
		{"unsupported comprehension range", "a value of the wrong type"},
		{"not JSON", "text that is not JSON"},
		{"too large", "a value that is too large"},
		{"type conversion error", "a value that does not convert"},
		{"strconv.", "a value that does not convert"},
		{"error parsing regexp", "a pattern that is no regular expression"},
		{"integer overflow", "a number beyond all bounds"},
		{"unsigned integer overflow", "a number beyond all bounds"},
		{"a number beyond", "a number beyond all bounds"},
	} {
		if strings.HasPrefix(text, c.prefix) {
			return failure(c.meaning)
		}
	}
	return "a value it cannot work with"
}

// verdict reads a verifier's result: a boolean, or a number from 0 to 1.
func verdict(v ref.Val) (float64, bool) {
	var f float64
	switch v := v.(type) {
	case types.Bool:
		if v {
			return 1, true
		}
		return 0, true
	case types.Int:
		f = float64(v)
	case types.Uint:
		f = float64(v)
	case types.Double:
		f = float64(v)
	default:
		return 0, false
	}
	return f, !math.IsNaN(f) && f >= 0 && f <= 1
}

// A finding is what a verifier came to.
type finding struct {
	value   float64
	reasons []astra.Reason // why it is not 1: one for each clause that is false or fails
}

// maxReasons bounds what one verifier says.
const maxReasons = 16

// sound tries the parts of x that no agent can influence. An error is *broken, or the
// context's. See Failures in the package comment.
func (h *hearing) sound(ctx context.Context, x *expression) error {
	h.spent = 0 // what an agent made other verifiers spend must not count here
	defer func() { h.spent = 0 }()
	var first error
	for i := range x.clauses {
		c := &x.clauses[i]
		if !c.closed {
			continue
		}
		value, why, err := h.clause(ctx, x, c)
		if err != nil {
			return err
		}
		if why == "" && value == 0 && len(x.clauses) > 1 {
			return nil // false for everyone: the rest does not matter
		}
		if why != "" && first == nil {
			first = &broken{c.at, why}
		}
	}
	if first != nil {
		return first
	}
	for _, p := range x.probes {
		_, err := h.run(ctx, p.program)
		if f, ok := errors.AsType[failure](err); ok {
			return &broken{p.at, string(f)}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// weigh evaluates every clause of x; x must be sound. An error is the context's.
func (h *hearing) weigh(ctx context.Context, x *expression) (finding, error) {
	if why := h.unreadable(x); why != "" {
		return finding{reasons: []astra.Reason{{Text: why}}}, nil
	}
	f := finding{value: 1}
	for i := range x.clauses {
		c := &x.clauses[i]
		value, why, err := h.clause(ctx, x, c)
		if err != nil {
			return finding{}, err
		}
		f.value = min(f.value, value)
		if value < 1 && len(f.reasons) < maxReasons {
			r, err := h.explain(ctx, x, i, value, why)
			if err != nil {
				return finding{}, err
			}
			f.reasons = append(f.reasons, r)
		}
	}
	return f, nil
}

// clause evaluates one clause: its value, or why it has none. An error is the context's.
func (h *hearing) clause(ctx context.Context, x *expression, c *clause) (value float64, why string, err error) {
	out, err := h.run(ctx, c.program)
	if f, ok := errors.AsType[failure](err); ok {
		return 0, string(f), nil
	}
	if err != nil {
		return 0, "", err
	}
	_, isBool := out.(types.Bool)
	value, ok := verdict(out)
	switch {
	case ok && (isBool || len(x.clauses) == 1 && x.scope == inTask):
		return value, "", nil
	case ok:
		return 0, "a value of the wrong type", nil
	case x.scope == inTask && isNumber(out):
		return 0, "a value that is not from 0 to 1", nil
	}
	return 0, "a value of the wrong type", nil
}

func isNumber(v ref.Val) bool {
	return v.Type() == types.IntType || v.Type() == types.UintType || v.Type() == types.DoubleType
}

// unreadable says why what x reads cannot be read at all, or "".
func (h *hearing) unreadable(x *expression) string {
	switch {
	case x.answer && len(h.ev.Answer) > MaxAnswer:
		return fmt.Sprintf("the answer is longer than %d bytes", MaxAnswer)
	case !x.state:
		return ""
	case !h.ev.State.OK():
		return "the state could not be read: state() failed"
	case len(h.ev.State.Value) > MaxState:
		return fmt.Sprintf("the state is larger than %d bytes", MaxState)
	}
	return ""
}

// explain says what clause i came to, and for steps.all(…) on which step.
func (h *hearing) explain(ctx context.Context, x *expression, i int, value float64, why string) (astra.Reason, error) {
	c := &x.clauses[i]
	r := astra.Reason{Clause: &[2]int{c.at[0], c.at[1]}}
	name := "it"
	if len(x.clauses) > 1 {
		name = fmt.Sprintf("clause %d of %d", i+1, len(x.clauses))
	}
	switch {
	case why != "":
		r.Text = fmt.Sprintf("%s fails: %s", name, why)
	case value == 0:
		r.Text = name + " is false"
	default:
		r.Text = fmt.Sprintf("%s yields %.4g", name, value)
	}
	if h.step != nil {
		return r, nil // the sub-task says which step it was
	}
	step, err := h.culprit(ctx, c)
	r.Step = step
	return r, err
}

// culprit is the first step for which the predicate of steps.all(…) does not hold, or 0.
func (h *hearing) culprit(ctx context.Context, c *clause) (int, error) {
	if c.each == nil {
		return 0, nil
	}
	defer func(name string) { h.local = name }(h.local)
	h.local = c.each.variable
	for i := range h.ev.Steps {
		h.value = newStep(&h.ev.Steps[i], h.limit)
		out, err := h.run(ctx, c.each.program)
		if err != nil && ctx.Err() != nil {
			return 0, err
		}
		if err == tooMuchWork {
			return 0, nil
		}
		if err != nil || out != types.True {
			return h.ev.Steps[i].Index, nil
		}
	}
	return 0, nil
}
