package questions

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
	"github.com/astra-arenas/astra/synth"
	"github.com/astra-arenas/astra/synth/ask"
)

// documented is a document as an arena's tool.
func documented(d *Document) (*astra.Tool, error) {
	b, err := bundle(&arenaDraft{runtime: astra.JavaScript, name: "trial", title: "trial", environments: []Environment{{Tool: *d, Data: json.RawMessage(`null`)}}})
	if err != nil {
		return nil, err
	}
	arena, err := b.Load()
	if err != nil {
		return nil, firstOf(err)
	}
	return &arena.Tools[0], nil
}

// firstOf is the first thing that is wrong with a bundle, without the place in a file that
// its author never saw.
func firstOf(err error) error {
	if bad, ok := errors.AsType[*astra.BundleError](err); ok {
		return fmt.Errorf("%s: %s", bad.Msg, bad.Fix)
	}
	return err
}

// A lab is tools that can be called. Each call has a world of its own.
type lab struct {
	arena   *astra.Arena
	program gateway.Program
}

// lab loads tools. What is wrong with them is told apart from trouble.
func (a *Author) lab(ctx context.Context, b *astra.Bundle) (*lab, *failed, error) {
	arena, err := b.Load()
	if err != nil {
		return nil, fault("does not load", "%v", firstOf(err)), nil
	}
	program, err := a.runtime.Load(ctx, arena)
	if ctx.Err() != nil {
		return nil, nil, context.Cause(ctx)
	}
	if err != nil {
		return nil, fault("does not load", "the code cannot be loaded: %v", err), nil
	}
	return &lab{arena, program}, nil, nil
}

func (l *lab) close() { l.program.Close() }

// A world is one in which calls come after one another.
type world struct {
	lab  *lab
	live gateway.Instance
}

func (l *lab) begin(ctx context.Context, seed int64) (*world, error) {
	live, err := l.program.Start(ctx, gateway.World{Seed: seed, Now: l.arena.Now})
	if err != nil {
		return nil, err
	}
	return &world{l, live}, nil
}

func (w *world) close() { w.live.Close() }

// call is what an agent would get.
func (w *world) call(ctx context.Context, tool string, args json.RawMessage) (astra.Result, error) {
	t := w.lab.arena.Tool(tool)
	if err := t.CheckArgs(args); err != nil {
		return astra.Failed(astra.FaultAgent, err.Error()), nil
	}
	r, err := w.live.Call(ctx, tool, args)
	if err != nil || !r.OK() {
		return r, err
	}
	if err := t.CheckResult(r.Value); err != nil {
		return astra.Failed(astra.FaultTool, err.Error()), nil
	}
	return r, nil
}

// call is one in a world of its own.
func (l *lab) call(ctx context.Context, seed int64, tool string, args json.RawMessage) (astra.Result, error) {
	w, err := l.begin(ctx, seed)
	if err != nil {
		return astra.Result{}, err
	}
	defer w.close()
	return w.call(ctx, tool, args)
}

// try holds a tool to its question, its other calls, and to telling nothing else.
func (a *Author) try(ctx context.Context, e *Environment, answer json.RawMessage) (*failed, error) {
	if told(e.Code, answer) {
		return fault("answer in the code", "the answer stands in the code: keep what is known in data, with much that is not asked for, and look it up by the arguments"), nil
	}
	b, err := bundle(&arenaDraft{runtime: a.runtime.Kind(), name: "trial", title: "trial", environments: []Environment{*e}})
	if err != nil {
		return fault("does not load", "%v", firstOf(err)), nil
	}
	l, f, err := a.lab(ctx, b)
	if f != nil || err != nil {
		return f, err
	}
	defer l.close()
	t := &trial{a, l, e, answer}
	for _, check := range []func(context.Context) (*failed, error){t.answers, t.steady, t.lean, t.others, t.wrong} {
		if f, err := check(ctx); f != nil || err != nil {
			return f, err
		}
	}
	return nil, nil
}

// A trial is one tool under test.
type trial struct {
	a      *Author
	lab    *lab
	e      *Environment
	answer json.RawMessage
}

// found is what a call tells where the answer should be; nil if it fails.
func (t *trial) found(ctx context.Context, args json.RawMessage) (json.RawMessage, string, error) {
	r, err := t.lab.call(ctx, 0, t.e.Tool.Name, args)
	if err != nil || !r.OK() {
		return nil, r.Error, err
	}
	v, ok := astra.At(r.Value, t.e.At)
	if !ok {
		return nil, fmt.Sprintf("there is nothing at %s in %s", t.e.At, ask.Clip(string(r.Value), 300)), nil
	}
	return v, "", nil
}

func (t *trial) answers(ctx context.Context) (*failed, error) {
	got, why, err := t.found(ctx, t.e.Args)
	switch {
	case err != nil:
		return nil, err
	case got == nil:
		return fault("call fails", "the call %s fails: %s", t.e.Args, ask.Clip(why, 500)), nil
	case !astra.Same(t.answer, got, nil) || typeOf(t.answer) != typeOf(got):
		return fault("wrong answer", "the call %s tells %s at %s, and the answer is %s", t.e.Args, ask.Clip(string(got), 300), t.e.At, ask.Clip(string(t.answer), 300)), nil
	}
	return nil, nil
}

// steady wants the same whatever the world's seed.
func (t *trial) steady(ctx context.Context) (*failed, error) {
	first, err := t.lab.call(ctx, 0, t.e.Tool.Name, t.e.Args)
	if err != nil {
		return nil, err
	}
	for seed := range int64(3) {
		again, err := t.lab.call(ctx, seed, t.e.Tool.Name, t.e.Args)
		if err != nil {
			return nil, err
		}
		if !bytes.Equal(first.Value, again.Value) {
			return fault("random", "the same call returns something else each time: use neither randomness nor the clock"), nil
		}
	}
	return nil, nil
}

// lean takes arguments out of the call that it can do without: an agent need not find them.
func (t *trial) lean(ctx context.Context) (*failed, error) {
	needed := required(t.e.Tool.Input)
	for _, key := range sortedKeys(object(t.e.Args)) {
		if slices.Contains(needed, key) {
			continue
		}
		less, err := t.with(key, nil)
		if err != nil {
			return nil, err
		}
		got, _, err := t.found(ctx, less)
		if err != nil {
			return nil, err
		}
		if got != nil && astra.Same(t.answer, got, nil) {
			t.e.Args = less
		}
	}
	return nil, nil
}

// with is the call's arguments with one replaced, or, if it is nil, left out.
func (t *trial) with(key string, value any) (json.RawMessage, error) {
	args := object(t.e.Args)
	if args[key] = value; value == nil {
		delete(args, key)
	}
	return synth.JSON(args)
}

// others wants the calls that the code's author names to tell other answers.
func (t *trial) others(ctx context.Context) (*failed, error) {
	least := t.a.opts.Entities
	if common(t.answer) {
		least = 1
	}
	if len(t.e.Others) < least {
		return fault("few others", "%d other calls: name %d, with other arguments and other answers", len(t.e.Others), least), nil
	}
	known := []json.RawMessage{t.answer}
	for i, o := range t.e.Others {
		got, why, err := t.found(ctx, o.Args)
		switch {
		case err != nil:
			return nil, err
		case got == nil:
			return fault("other call fails", "the other call %s fails: %s", ask.Clip(string(o.Args), 300), ask.Clip(why, 500)), nil
		case !astra.Same(o.Answer, got, nil):
			return fault("other answer", "the other call %s tells %s, and you say %s", ask.Clip(string(o.Args), 300), ask.Clip(string(got), 300), ask.Clip(string(o.Answer), 300)), nil
		case i < least && slices.ContainsFunc(known, func(k json.RawMessage) bool { return astra.Same(k, got, nil) }):
			return fault("constant answer", "the other call %s tells %s as well: other arguments must give other answers", ask.Clip(string(o.Args), 300), ask.Clip(string(got), 300)), nil
		}
		known = append(known, got)
	}
	return nil, nil
}

// wrong calls must not be told the answer: a text that is another, all numbers that were
// tried, and an argument that is missing.
func (t *trial) wrong(ctx context.Context) (*failed, error) {
	args := object(t.e.Args)
	for _, key := range sortedKeys(args) {
		told, tried := 0, 0
		for _, v := range mutants(args[key]) {
			wrong, err := t.with(key, v)
			if err != nil {
				return nil, err
			}
			got, _, err := t.found(ctx, wrong)
			if err != nil {
				return nil, err
			}
			if tried++; got != nil && astra.Same(t.answer, got, nil) {
				told++
			}
		}
		_, isText := args[key].(string)
		if tried > 0 && (told == tried || isText && told > 0) {
			return fault("argument ignored", "with a wrong %s the tool tells the same answer: it must look at every argument of the call, and fail where there is nothing to tell", key), nil
		}
	}
	return t.everythingWrong(ctx, args)
}

func (t *trial) everythingWrong(ctx context.Context, args map[string]any) (*failed, error) {
	for key, v := range args {
		if m := mutants(v); len(m) > 0 {
			args[key] = m[0]
		}
	}
	wrong, err := synth.JSON(args)
	if err != nil {
		return nil, err
	}
	got, _, err := t.found(ctx, wrong)
	if err != nil || got == nil || !astra.Same(t.answer, got, nil) || common(t.answer) {
		return nil, err
	}
	return fault("constant answer", "with all arguments wrong the tool tells the same answer"), nil
}

// mutants are values that are not the one given. There are none of yes and no: half of
// all questions have the same answer.
func mutants(v any) []any {
	switch v := v.(type) {
	case string:
		return []any{v + "-x", "zzz"}
	case json.Number:
		x, err := v.Float64()
		if err != nil {
			return nil
		}
		return []any{x + 1, 2*x + 7, -x - 3}
	case []any:
		return []any{[]any{}}
	}
	return nil
}
