package questions

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/synth"
	"github.com/astra-arenas/astra/synth/ask"
)

// finish writes an instance's arena, plays it and has it certified (step f).
func (a *Author) finish(ctx context.Context, run string, d Draft) (synth.Result[Draft], error) {
	d.Spent = ask.Spent{}
	for _, e := range d.Environments {
		if told(d.Instance.Question, json.RawMessage(strconv.Quote(e.Tool.Name))) {
			return spoiled(d, "prompt names a tool", "the main question names %s", e.Tool.Name), nil
		}
	}
	b, f, err := a.arena(ctx, run, []Draft{d})
	if err != nil {
		return synth.Result[Draft]{}, err
	}
	if f != nil {
		return f.result(d), nil
	}
	f, err = a.certified(ctx, b)
	if f != nil && err == nil {
		return f.result(d), nil
	}
	return synth.Passed(d), err
}

// arena writes the arena of some instances of one domain, and plays its gold calls as the
// tasks have them, with what earlier calls returned.
func (a *Author) arena(ctx context.Context, run string, drafts []Draft) (*astra.Bundle, *failed, error) {
	b, f := a.bundleOf(run, drafts)
	if f != nil {
		return nil, f, nil
	}
	l, f, err := a.lab(ctx, b)
	if f != nil || err != nil {
		return nil, f, err
	}
	defer l.close()
	for i := len(l.arena.Tasks) - len(drafts); i < len(l.arena.Tasks); i++ {
		if f, err := l.playGold(ctx, &l.arena.Tasks[i]); f != nil || err != nil {
			return nil, f, err
		}
	}
	return b, nil, nil
}

func (a *Author) bundleOf(run string, drafts []Draft) (*astra.Bundle, *failed) {
	in := &drafts[0].Instance
	ad := &arenaDraft{runtime: a.runtime.Kind(), name: a.opts.Name + "-" + in.ID, title: titleOf(in), domain: in.Domain, license: a.opts.License}
	ids := []string{}
	taken := map[string]bool{}
	for i := range drafts {
		d := &drafts[i]
		environments := slices.Clone(d.Environments)
		if !madeOfCalls(d) {
			renameApart(environments, taken)
		}
		t, err := taskOf(&d.Instance, environments)
		if err != nil {
			return nil, fault("no task", "%v", err)
		}
		if madeOfCalls(d) {
			t.Tools = nil // all that the arena has
		}
		ad.environments = append(ad.environments, environments...)
		ad.tasks = append(ad.tasks, t)
		ids = append(ids, d.Instance.ID)
	}
	if base := a.arenaOf(drafts[0].Arena); base != nil {
		b, err := withTasks(base, ad.tasks)
		if err != nil {
			return nil, fault("does not load", "%v", err)
		}
		return b, nil
	}
	ad.provenance = map[string]any{"author": "astra synth questions", "model": a.asker.Model.Name(), "run": run, "instances": ids}
	b, err := bundle(ad)
	if err != nil {
		return nil, fault("does not load", "%v", err)
	}
	return b, nil
}

func titleOf(in *synth.Instance) string {
	if in.Domain == "" {
		return "Questions"
	}
	return ask.Clip(in.Domain, 150)
}

// taskOf is an instance as a task. Its gold calls are those of its tools, in the order of
// the sub-questions; where an argument is a parent's answer it is taken from the parent's
// call.
func taskOf(in *synth.Instance, environments []Environment) (*astra.Task, error) {
	t := &astra.Task{ID: in.ID, Difficulty: float64(in.Hops()), Turns: []astra.TaskTurn{{Prompt: in.Question}}, Answer: &astra.Answer{Expected: in.Answer}}
	of := map[string]int{} // node -> number of its gold call
	calls := []astra.GoldCall{}
	for i := range environments {
		e := &environments[i]
		args, err := refer(in, environments, of, e)
		if err != nil {
			return nil, err
		}
		call := astra.GoldCall{Tool: e.Tool.Name, Args: args}
		if before := slices.IndexFunc(calls, func(c astra.GoldCall) bool { return c.Tool == call.Tool && string(c.Args) == string(call.Args) }); before >= 0 { // one call answers both
			of[e.Node] = before + 1
			continue
		}
		calls = append(calls, call)
		of[e.Node] = len(calls)
		if !slices.Contains(t.Tools, e.Tool.Name) {
			t.Tools = append(t.Tools, e.Tool.Name)
		}
	}
	for i := range in.Nodes {
		n := &in.Nodes[i]
		s := astra.Subtask{ID: n.ID, Question: n.Question, Answer: n.Answer, DependsOn: n.DependsOn}
		if e := environmentOf(environments, n.ID); e != nil {
			s.Tool, s.At = e.Tool.Name, e.At
		}
		t.Subtasks = append(t.Subtasks, s)
	}
	t.Gold = [][]astra.GoldCall{calls}
	t.Budget = &astra.Budget{Calls: 2*len(calls) + 4}
	return t, nil
}

func environmentOf(environments []Environment, node string) *Environment {
	for i := range environments {
		if environments[i].Node == node {
			return &environments[i]
		}
	}
	return nil
}

// refer replaces parents' answers in a call by references.
func refer(in *synth.Instance, environments []Environment, of map[string]int, e *Environment) (json.RawMessage, error) {
	args, err := decode(e.Args)
	if err != nil {
		return nil, err
	}
	var known []reference
	for _, p := range in.Node(e.Node).DependsOn {
		n := of[p]
		if n == 0 {
			return nil, fmt.Errorf("sub-question %s depends on %s, which no call comes before", e.Node, p)
		}
		answer, err := decode(in.Node(p).Answer)
		if err != nil {
			return nil, err
		}
		known = append(known, references("$"+strconv.Itoa(n)+".value"+strings.ReplaceAll(environmentOf(environments, p).At, "/", "."), answer)...)
	}
	return synth.JSON(replaced(args, known))
}

// A reference is a value of an earlier call, and how gold calls refer to it.
type reference struct {
	text  string
	value any
}

const maxReferences = 64

// references are a value, and its parts, outermost first.
func references(text string, v any) []reference {
	all := []reference{{text, v}}
	switch v := v.(type) {
	case []any:
		for i, x := range v[:min(len(v), maxReferences)] {
			all = append(all, references(text+"."+strconv.Itoa(i), x)...)
		}
	case map[string]any:
		for _, k := range sortedKeys(v) {
			if !strings.Contains(k, ".") && k != "" {
				all = append(all, references(text+"."+k, v[k])...)
			}
		}
	}
	return all
}

// replaced is a value with what is known in it by reference; other text that begins with $
// is quoted.
func replaced(v any, known []reference) any {
	for _, r := range known {
		if sameValue(r.value, v) {
			return r.text
		}
	}
	switch v := v.(type) {
	case string:
		if strings.HasPrefix(v, "$") {
			return "$" + v
		}
	case []any:
		for i := range v {
			v[i] = replaced(v[i], known)
		}
	case map[string]any:
		for _, k := range sortedKeys(v) {
			v[k] = replaced(v[k], known)
		}
	}
	return v
}

// sameValue is astra.Same for values of the same kind.
func sameValue(x, y any) bool {
	if kindOf(x) != kindOf(y) {
		return false
	}
	a, err := synth.JSON(x)
	if err != nil {
		return false
	}
	b, err := synth.JSON(y)
	return err == nil && astra.Same(a, b, nil)
}

// playGold plays a task's gold calls and holds their answers to the sub-tasks.
func (l *lab) playGold(ctx context.Context, t *astra.Task) (*failed, error) {
	w, err := l.begin(ctx, 0)
	if err != nil {
		return nil, err
	}
	defer w.close()
	var values []json.RawMessage
	calls, _ := t.GoldCalls()
	for _, c := range calls {
		args, err := astra.Interpolate(c.Args, values)
		if err != nil {
			return fault("gold does not play", "%v", err), nil
		}
		r, err := w.call(ctx, c.Tool, args)
		if err != nil {
			return nil, err
		}
		if !r.OK() {
			return fault("gold does not play", "the call %s %s fails: %s", c.Tool, ask.Clip(string(args), 300), ask.Clip(r.Error, 500)), nil
		}
		values = append(values, r.Value)
	}
	return solvedBy(t, calls, values), nil
}

// solvedBy holds each sub-task to what the calls of its tool told, and each call to telling
// something: gold is not paid for what it does in vain.
func solvedBy(t *astra.Task, calls []astra.GoldCall, values []json.RawMessage) *failed {
	used := map[int]bool{}
	for i := range t.Subtasks {
		s := &t.Subtasks[i]
		if s.Tool == "" {
			continue
		}
		found := false
		for n, c := range calls {
			got, ok := astra.At(values[n], s.At)
			if ok && c.Tool == s.Tool && astra.Same(s.Answer, got, nil) {
				found, used[n] = true, true
			}
		}
		if !found {
			return fault("gold does not play", "no call tells the answer of sub-question %s", s.ID)
		}
	}
	if len(used) < len(calls) {
		return fault("gold does not play", "%d calls, and %d that tell an answer", len(calls), len(used))
	}
	return nil
}

// certified asks the certifier. Reports count by what it names first.
func (a *Author) certified(ctx context.Context, b *astra.Bundle) (*failed, error) {
	if a.certify == nil {
		return nil, nil
	}
	passed, reasons, err := a.certify(ctx, b)
	if err != nil || passed {
		return nil, err
	}
	check := "no reason"
	if len(reasons) > 0 {
		check, _, _ = strings.Cut(reasons[0], ":")
	}
	return fault("certificate: "+ask.Clip(check, 60), "%s", strings.Join(reasons, "; ")), nil
}
