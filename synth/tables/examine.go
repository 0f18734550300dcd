package tables

import (
	"context"
	"fmt"
	"iter"
	"strings"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/synth"
)

// maxRounds is how often an arena is examined: what is left after tasks were taken out must
// pass as it is.
const maxRounds = 4

// findings examines an arena, without the tasks that were at fault, until what is left
// passes. It returns the reasons of all that is not left, under "" one for every task.
func (au *Author) findings(ctx context.Context, run *synth.Run, certify Certifier, a *arena, all []drawn, provenance map[string]any) (Findings, error) {
	items := func(yield func(synth.Keyed[[]drawn]) bool) { yield(synth.Keyed[[]drawn]{Key: a.name, Item: all}) }
	for r, err := range synth.Stage(ctx, run, "examine", items, func(ctx context.Context, all []drawn) (synth.Result[Findings], error) {
		found, err := a.examine(ctx, certify, all, provenance)
		if err != nil {
			return synth.Result[Findings]{}, err
		}
		r := synth.Passed(found)
		if why, whole := found[""]; whole {
			r.Verdict, r.Reason, r.Detail = synth.Fail, checkOf(why), why
		}
		return r, nil
	}) {
		if err != nil {
			return nil, err
		}
		return r.Value, nil
	}
	return nil, context.Cause(ctx)
}

func (a *arena) examine(ctx context.Context, certify Certifier, all []drawn, provenance map[string]any) (Findings, error) {
	out := Findings{}
	for range maxRounds {
		var left []*astra.Task
		for _, d := range all {
			if out[d.Task.ID] == "" {
				left = append(left, d.Task)
			}
		}
		if len(left) == 0 {
			return out, nil
		}
		arena, err := a.load(left, provenance)
		if err != nil {
			return Findings{"": "load: " + err.Error()}, nil
		}
		found, err := certify.Certify(ctx, arena)
		if err != nil || len(found) == 0 {
			return out, err
		}
		for task, why := range found {
			out[task] = why
		}
		if out[""] != "" {
			return out, nil
		}
	}
	out[""] = fmt.Sprintf("rounds: after %d rounds some task is still at fault", maxRounds)
	return out, nil
}

func (a *arena) load(tasks []*astra.Task, provenance map[string]any) (*astra.Arena, error) {
	files, err := a.files(tasks, provenance)
	if err != nil {
		return nil, err
	}
	b, err := astra.NewBundle(files)
	if err != nil {
		return nil, err
	}
	return b.Load()
}

// A verdict is what was found of one task.
type verdict struct{ task, why string }

func judged(a *arena, all []drawn, found Findings) iter.Seq[synth.Keyed[verdict]] {
	return func(yield func(synth.Keyed[verdict]) bool) {
		for _, d := range all {
			why := found[d.Task.ID]
			if why == "" {
				why = found[""]
			}
			if !yield(synth.Keyed[verdict]{Key: a.name + "/" + d.Task.ID, Item: verdict{d.Task.ID, why}}) {
				return
			}
		}
	}
}

// checkOf is the name before a reason's colon.
func checkOf(why string) string {
	name, _, _ := strings.Cut(why, ":")
	return name
}
