package tables

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"strings"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/synth"
)

// maxRounds is how often an arena is examined: what is left after tasks were taken out must
// pass as it is.
const maxRounds = 12

// examine has an arena certified, without the tasks that were at fault, until what is left
// passes. The findings are of all that is not left, under "" one for every task.
func (au *Author) examine(ctx context.Context, run *synth.Run, certify Certifier, a *arena, all []drawn, provenance map[string]any) (Examination, error) {
	items := func(yield func(synth.Keyed[[]drawn]) bool) { yield(synth.Keyed[[]drawn]{Key: a.name, Item: all}) }
	for r, err := range synth.Stage(ctx, run, "examine", items, func(ctx context.Context, all []drawn) (synth.Result[Examination], error) {
		found, err := a.examine(ctx, certify, all, provenance)
		if err != nil {
			return synth.Result[Examination]{}, err
		}
		r := synth.Passed(found)
		if why, whole := found.Findings[""]; whole {
			r.Verdict, r.Reason, r.Detail = synth.Fail, checkOf(why), why
		}
		return r, nil
	}) {
		return r.Value, err
	}
	return Examination{}, context.Cause(ctx)
}

func (a *arena) examine(ctx context.Context, certify Certifier, all []drawn, provenance map[string]any) (Examination, error) {
	out := map[string]string{}
	for range maxRounds {
		var left []*astra.Task
		for _, d := range all {
			if out[d.Task.ID] == "" {
				left = append(left, d.Task)
			}
		}
		if len(left) == 0 {
			return Examination{Findings: out}, nil
		}
		arena, err := a.load(left, provenance)
		if err != nil {
			return Examination{Findings: map[string]string{"": "load: " + err.Error()}}, nil
		}
		found, err := certify.Certify(ctx, arena)
		if err != nil {
			return found, err
		}
		if len(found.Findings) == 0 {
			found.Findings = out
			return found, nil
		}
		maps.Copy(out, found.Findings)
		if out[""] != "" {
			return Examination{Findings: out}, nil
		}
	}
	out[""] = fmt.Sprintf("rounds: after %d rounds some task is still at fault", maxRounds)
	return Examination{Findings: out}, nil
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

func judged(a *arena, all []drawn, found map[string]string) iter.Seq[synth.Keyed[verdict]] {
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
