package tasks

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"github.com/astra-arenas/astra/synth"
	"github.com/astra-arenas/astra/synth/ask"
	"github.com/astra-arenas/astra/synth/neardup"
)

// A Quality is what a task is worth (ASTRA §2.1.3). Each is in [0, 1]: grades from 1 to 5,
// spread evenly.
type Quality struct {
	Question  float64 `json:"question_quality"`
	Realism   float64 `json:"scenario_realism"`
	Necessity float64 `json:"tool_necessity"`
}

// Thresholds are the least that is taken of each: the paper's θ, which it does not publish.
type Thresholds Quality

// A Published is the four grades of the released code, from 1 to 5.
type Published struct {
	Difficulty float64 `json:"tool_selection_difficulty"`
	Uniqueness float64 `json:"tool_selection_uniqueness"`
	Question   float64 `json:"question_quality"`
	Realism    float64 `json:"scenario_realism"`
}

// graded gives tasks their grades, and yields those that are good enough.
func (a *Author) graded(ctx context.Context, run *synth.Run, b *book, written func(*synth.Run, *ask.Tally) iter.Seq2[Task, error]) iter.Seq2[Task, error] {
	qualities := a.qualities(ctx, run, &a.tally, b, written(run, &a.tally))
	if a.opts.Percentile == 0 {
		return a.above(ctx, run, a.opts.Thresholds, qualities)
	}
	return func(yield func(Task, error) bool) {
		cut, err := percentiles(qualities, a.opts.Percentile)
		if err != nil {
			yield(Task{}, err)
			return
		}
		again, spent := run.Again(), new(ask.Tally)
		a.above(ctx, run, cut, a.qualities(ctx, again, spent, b, written(again, spent)))(yield)
	}
}

func (a *Author) above(ctx context.Context, run *synth.Run, cut Thresholds, qualities iter.Seq2[Task, error]) iter.Seq2[Task, error] {
	key := func(t Task) string { return fmt.Sprint(t.ID, " ", cut) } // another cut is another question
	return ask.Stage(ctx, run, &a.tally, "thresholds", qualities, key, func(_ context.Context, t Task) (synth.Result[Task], error) { return good(t, cut), nil })
}

func (a *Author) qualities(ctx context.Context, run *synth.Run, t *ask.Tally, b *book, tasks iter.Seq2[Task, error]) iter.Seq2[Task, error] {
	distinct := ask.Stage(ctx, run, t, "distinct", a.numbered(tasks), func(o occurrence) string { return fmt.Sprint(o.ID, " ", o.like, " ", o.number) }, func(_ context.Context, o occurrence) (synth.Result[Task], error) {
		if o.Task.Spent = (ask.Spent{}); o.like != "" {
			return spoiled(o.Task, "nearly the same", "like %s (%.2f)", o.like, o.similarity), nil
		}
		return synth.Passed(o.Task), nil
	})
	return ask.Stage(ctx, run, t, "quality", distinct, func(t Task) string { return t.ID }, func(ctx context.Context, t Task) (synth.Result[Task], error) { return a.grade(ctx, b, t) })
}

// An occurrence is a task, and an earlier one that it is like.
type occurrence struct {
	Task
	like       string
	similarity float64
	number     int // of tasks like that one
}

func (a *Author) numbered(tasks iter.Seq2[Task, error]) iter.Seq2[occurrence, error] {
	return func(yield func(occurrence, error) bool) {
		index, likes := neardup.New(a.opts.Similarity), map[string]int{}
		for t, err := range tasks {
			if err != nil {
				yield(occurrence{}, err)
				return
			}
			like, similarity := index.Add(t.ID, t.words())
			if !yield(occurrence{t, like, similarity, likes[like]}, nil) {
				return
			}
			likes[like]++
		}
	}
}

// words are what a task says, for comparison. A dialogue may begin like its task.
func (t *Task) words() string {
	text := t.Question
	if t.User != nil {
		text += " " + t.User.Goal
		for _, next := range t.User.Next {
			text += " " + next
		}
	}
	return text
}

type qualityDocument struct {
	Step     string      `json:"step"`
	Server   shownServer `json:"server"`
	Tools    []shownTool `json:"tools"`
	Kind     Kind        `json:"kind"`
	Question string      `json:"question"`
	HeldBack []string    `json:"held_back,omitempty"`
}

// grades are the reply on a task.
type grades struct {
	Analysis  string `json:"analysis"`
	Question  *grade `json:"question_quality"`
	Realism   *grade `json:"scenario_realism"`
	Necessity *grade `json:"tool_necessity"`
}

type grade struct {
	Grade  *int   `json:"grade"`
	Reason string `json:"reason"`
}

func (g *grade) check(name string) error {
	if g == nil || g.Grade == nil || *g.Grade < 0 || *g.Grade > 5 {
		return ask.Misread(ask.NoVerdict, "give %q a whole number from 1 to 5, or 0 if there is none to give", name)
	}
	return nil
}

// grade asks for the three grades; of an imported task, for those that it did not bring.
func (a *Author) grade(ctx context.Context, b *book, t Task) (synth.Result[Task], error) {
	t.Spent = ask.Spent{}
	doc := qualityDocument{Step: "quality", Server: show(b.byName[t.Server]), Tools: showTools(b.byName[t.Server], false), Kind: t.Kind, Question: t.Question}
	if t.User != nil {
		for name := range t.User.Facts {
			doc.HeldBack = append(doc.HeldBack, name)
		}
		slices.Sort(doc.HeldBack)
	}
	reply, missed, err := ask.Ask(ctx, &a.asker, &t.Spent, ask.Question{Step: "quality", Language: t.Language, Place: []any{t.ID}, Document: doc}, func(g *grades) error {
		for _, part := range []struct {
			name string
			at   *grade
		}{{"question_quality", g.Question}, {"scenario_realism", g.Realism}, {"tool_necessity", g.Necessity}} {
			if err := part.at.check(part.name); err != nil {
				return err
			}
		}
		return nil
	})
	if missed != nil || err != nil {
		return settle(t, missed, err)
	}
	for _, g := range []*grade{reply.Question, reply.Realism, reply.Necessity} {
		if *g.Grade == 0 {
			return settle(t, ask.Unsure("quality: unsure", g.Reason), nil)
		}
	}
	t.Quality = &Quality{spread(*reply.Question.Grade), spread(*reply.Realism.Grade), spread(*reply.Necessity.Grade)}
	if p := t.Published; p != nil {
		t.Quality.Question, t.Quality.Realism = (p.Question-1)/4, (p.Realism-1)/4
	}
	return synth.Passed(t), nil
}

func spread(grade int) float64 { return float64(grade-1) / 4 }

// percentiles are the cuts that a share of the tasks is not above, by nearest rank.
func percentiles(tasks iter.Seq2[Task, error], share float64) (Thresholds, error) {
	var question, realism, necessity []float64
	for t, err := range tasks {
		if err != nil {
			return Thresholds{}, err
		}
		question, realism, necessity = append(question, t.Quality.Question), append(realism, t.Quality.Realism), append(necessity, t.Quality.Necessity)
	}
	return Thresholds{synth.Percentile(question, share), synth.Percentile(realism, share), synth.Percentile(necessity, share)}, nil
}

// good holds a task to the thresholds: all three, as the paper has it.
func good(t Task, cut Thresholds) synth.Result[Task] {
	t.Spent = ask.Spent{}
	for _, part := range []struct {
		name       string
		has, least float64
	}{{"question quality", t.Quality.Question, cut.Question}, {"scenario realism", t.Quality.Realism, cut.Realism}, {"tool necessity", t.Quality.Necessity, cut.Necessity}} {
		if part.has < part.least {
			return spoiled(t, "below: "+part.name, "%.2f, threshold %.2f", part.has, part.least)
		}
	}
	return synth.Passed(t)
}
