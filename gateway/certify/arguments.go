package certify

import (
	"context"
	"encoding/json"
	"time"

	"github.com/astra-arenas/astra"
)

// How many variants of a gold call are tried, at most.
const (
	maxOthers   = 6  // values of other entities, for each argument
	maxVariants = 60 // of a call in all
)

// coincidence is the share of other values that may give the same answer: of five
// countries three may pay in euros, but where more than half of all values do, the
// answer can be had without the right one.
const coincidence = 0.5

// fewOthers: an answer of few possible values (a boolean, a count below 100) comes out by
// chance too often to be judged by fewer tries than this.
const fewOthers = 4

// A variant is a gold call's arguments, changed.
type variant struct {
	what string // for a finding: "without region"
	args map[string]any
}

// arguments tries each gold call that solves something with arguments that are not the
// right ones, in the world and after the calls in which gold makes it.
//
//   - Missing and default arguments (each left out; all optional ones; each at its default;
//     each text empty) must not solve what the call solves, ever.
//   - Others (each argument with other values that the arena knows for it, and mutated) may
//     do so by coincidence, in at most half of the calls that the tool answers.
func arguments(ctx context.Context, t *trial, out *tally) error {
	if !t.playable(out) {
		return nil
	}
	return t.walk(ctx, func(p *play, k int) error {
		solved := t.solvedBy(k)
		if len(solved) == 0 {
			return nil
		}
		out.add("calls", 1)
		raw, err := p.args(k)
		if err != nil {
			return err
		}
		gold, _ := decode(raw).(map[string]any)
		x := &examination{t: t, k: k, solved: solved, gold: gold, seen: map[string]bool{string(encode(gold)): true}, out: out}
		if err := x.missing(ctx, p); err != nil {
			return err
		}
		return x.others(ctx, p)
	})
}

// An examination is one gold call being varied.
type examination struct {
	t      *trial
	k      int
	solved []*astra.Subtask // by the call itself
	gold   map[string]any
	seen   map[string]bool // arguments tried, as canonical JSON; gold's among them
	out    *tally
}

// fresh reports whether arguments were not tried yet, and may be.
func (x *examination) fresh(args map[string]any) bool {
	text := string(encode(args))
	if x.seen[text] || len(x.seen) > maxVariants {
		return false
	}
	x.seen[text] = true
	return true
}

// try makes the call and returns which of its sub-tasks it solves all the same, and whether the tool answered.
func (x *examination) try(ctx context.Context, p *play, args map[string]any) (map[string]bool, bool, error) {
	solved, step, err := p.solves(ctx, x.k, encode(args))
	if err != nil {
		return nil, false, err
	}
	if !step.Result.OK() {
		x.out.add("refused", 1)
	}
	return solved, step.Result.OK(), nil
}

func (x *examination) missing(ctx context.Context, p *play) error {
	for _, v := range x.withoutSome() {
		if !x.fresh(v.args) {
			continue
		}
		x.out.add("missing", 1)
		solved, _, err := x.try(ctx, p, v.args)
		if err != nil {
			return err
		}
		for _, s := range x.solved {
			if solved[s.ID] {
				x.find(s, "called %s it solves the sub-task just as well; leave out of gold what it does not need, or let at or solved say which answer was asked for", v.what)
				break
			}
		}
	}
	return nil
}

func (x *examination) find(s *astra.Subtask, format string, args ...any) {
	f := x.t.at(x.k, format, args...)
	f.Subtask = s.ID
	x.out.find(f)
}

// withoutSome are the calls that somebody makes who does not know what to ask for.
func (x *examination) withoutSome() []variant {
	var list []variant
	facts := x.t.in.tools[x.t.calls[x.k].Tool]
	var optional []string
	for _, name := range sortedKeys(x.gold) {
		list = append(list, variant{what: "without " + name, args: without(x.gold, name)})
		if _, ok := x.gold[name].(string); ok {
			list = append(list, variant{what: "with " + name + ` = ""`, args: with(x.gold, name, "")})
		}
		known := facts.param(name)
		if known == nil || !known.Required {
			optional = append(optional, name)
		}
		if known != nil && known.Default != nil {
			list = append(list, variant{what: "with the default of " + name, args: with(x.gold, name, known.Default)})
		}
	}
	if len(optional) > 1 {
		list = append(list, variant{what: "with what is required alone", args: without(x.gold, optional...)})
	}
	return list
}

func (x *examination) others(ctx context.Context, p *play) error {
	for _, name := range sortedKeys(x.gold) {
		if err := x.other(ctx, p, name); err != nil {
			return err
		}
	}
	return nil
}

// other gives one argument other values and counts how often the answer comes out.
func (x *examination) other(ctx context.Context, p *play, name string) error {
	facts := x.t.in.tools[x.t.calls[x.k].Tool]
	values := append(mutated(x.gold[name]), x.t.in.pool.others(facts, name, x.gold[name], maxOthers)...)
	answered, same, last := 0, map[string]int{}, map[string]any{}
	for _, v := range values {
		args := with(x.gold, name, v)
		if !x.fresh(args) {
			continue
		}
		x.out.add("others", 1)
		solved, ok, err := x.try(ctx, p, args)
		if err != nil {
			return err
		}
		if ok {
			answered++
		}
		for id := range solved {
			same[id]++
			last[id] = v
		}
	}
	if answered == 0 {
		x.out.add("unconfirmed", 1) // whatever else was asked was refused: nothing shows that others give other answers
	}
	for _, s := range x.solved {
		x.out.add("same", float64(same[s.ID]))
		if tooMany(same[s.ID], answered, s.Answer) {
			x.find(s, "in %d of %d calls with other values of %s it solves the sub-task just as well, with %s for one; make the tool heed %s, or let at or solved say which answer was asked for",
				same[s.ID], answered, name, quote(encode(last[s.ID])), name)
		}
	}
	return nil
}

// tooMany reports whether an answer came out more often than by coincidence.
func tooMany(same, answered int, answer json.RawMessage) bool {
	if answered < fewOthers && fewValued(answer) {
		return false
	}
	return float64(same) > coincidence*float64(answered)
}

// fewValued reports whether an answer is one of few that are possible.
func fewValued(answer json.RawMessage) bool {
	if len(answer) == 0 {
		return false
	}
	switch v := decode(answer).(type) {
	case nil:
		return string(answer) == "null"
	case bool:
		return true
	case json.Number:
		x, err := v.Int64()
		return err == nil && -100 < x && x < 100
	}
	return false
}

// mutated are values near one, of its kind.
func mutated(v any) []any {
	switch v := v.(type) {
	case string:
		if day, err := time.Parse(time.DateOnly, v); err == nil {
			return []any{day.AddDate(0, 0, 1).Format(time.DateOnly), day.AddDate(-1, 0, 0).Format(time.DateOnly)}
		}
		return []any{v + "-zz", "zz"}
	case json.Number:
		x, _ := isNumber(v)
		if x == float64(int64(x)) {
			return []any{number(x + 1), number(x - 1), number(10 * x), number(0)}
		}
		return []any{number(1.1 * x), number(10 * x), number(0)}
	case bool:
		return []any{!v}
	case []any:
		if len(v) > 0 {
			return []any{v[1:], []any{}}
		}
	case map[string]any:
		return []any{map[string]any{}}
	}
	return nil
}
