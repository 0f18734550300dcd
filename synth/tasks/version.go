package tasks

import (
	"context"
	"fmt"
	"iter"
	"strings"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/synth"
	"github.com/astra-arenas/astra/synth/ask"
)

// A version is a task to be made of another: the task itself, an augmentation, or a
// dialogue.
type version struct {
	of     Task
	mode   Mode
	kind   Kind // of dialogue
	sample int
	repeat int // how often the task came before
}

func (v version) key() string {
	return fmt.Sprint(v.of.ID, " ", v.mode, v.kind, " ", v.sample, " ", v.repeat)
}

// versions are T' = T ∪ A(T) and the dialogues, those of one task together.
func (a *Author) versions(ctx context.Context, run *synth.Run, t *ask.Tally, b *book, base iter.Seq2[Task, error]) iter.Seq2[Task, error] {
	made := ask.Stage(ctx, run, t, "versions", a.planned(base), version.key, func(ctx context.Context, v version) (synth.Result[Task], error) {
		switch {
		case v.mode != "":
			return a.augment(ctx, b, v)
		case v.kind != "":
			return a.converse(ctx, b, v)
		}
		v.of.Spent = ask.Spent{}
		return synth.Passed(v.of), nil
	})
	return ask.Stage(ctx, run, t, "intent", withOrigins(made), func(p pairing) string { return fmt.Sprint(p.task.ID, " ", p.repeat) }, a.intent)
}

// planned says which versions are made of each task.
func (a *Author) planned(base iter.Seq2[Task, error]) iter.Seq2[version, error] {
	return func(yield func(version, error) bool) {
		before := map[string]int{}
		for t, err := range base {
			if err != nil {
				yield(version{}, err)
				return
			}
			for _, v := range a.versionsOf(t) {
				v.repeat = before[t.ID]
				if !yield(v, nil) {
					return
				}
			}
			before[t.ID]++
		}
	}
}

func (a *Author) versionsOf(t Task) []version {
	all := []version{{of: t}}
	for _, mode := range a.opts.Modes {
		for n := range a.opts.Variants {
			all = append(all, version{of: t, mode: mode, sample: n})
		}
	}
	dice := synth.Rand(a.opts.Seed, "dialogue", t.ID)
	if dice.Float64() < a.opts.Dialogues && len(a.opts.Kinds) > 0 {
		all = append(all, version{of: t, kind: a.opts.Kinds[dice.IntN(len(a.opts.Kinds))]})
	}
	return all
}

type variationDocument struct {
	Step     string      `json:"step"`
	Server   shownServer `json:"server"`
	Tools    []string    `json:"tools"`
	Question string      `json:"question"`
	Kind     Kind        `json:"kind,omitempty"`
	Persona  *Persona    `json:"persona,omitempty"`
	Sample   int         `json:"sample"`
}

func (v *version) document(b *book, step string) variationDocument {
	d := variationDocument{Step: step, Server: show(b.byName[v.of.Server]), Question: v.of.Question, Kind: v.kind, Sample: v.sample + 1}
	for _, n := range v.of.Targets {
		d.Tools = append(d.Tools, n.Tool)
	}
	return d
}

// augment writes a task anew in one of the three modes.
func (a *Author) augment(ctx context.Context, b *book, v version) (synth.Result[Task], error) {
	t := v.of
	t.Spent, t.Mode, t.Origin = ask.Spent{}, v.mode, v.of.ID
	doc := v.document(b, string(v.mode))
	if v.mode == InPersona {
		p := a.opts.Personas[synth.Rand(a.opts.Seed, "persona", v.of.ID, v.sample).IntN(len(a.opts.Personas))]
		doc.Persona = &p
	}
	q := ask.Question{Step: string(v.mode), Schema: "question", Language: t.Language, Place: []any{v.of.ID, v.sample}, Document: doc}
	reply, missed, err := ask.Ask(ctx, &a.asker, &t.Spent, q, func(w *writing) error {
		if strings.TrimSpace(w.Question) == v.of.Question {
			return ask.Misread("unchanged", "the request is the same as before")
		}
		return checkText(b, t.Servers(), t.Language, "question", w.Question)
	})
	if missed != nil || err != nil {
		return settle(t, missed, err)
	}
	t.Question = strings.TrimSpace(reply.Question)
	return synth.Passed(t.identified()), nil
}

// A staged is the reply that begins a dialogue.
type staged struct {
	Analysis string `json:"analysis"`
	First    string `json:"first"`
	Goal     string `json:"goal"`
	Facts    []struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	} `json:"facts"`
	Next []string `json:"next"`
}

// converse makes a dialogue of a task.
func (a *Author) converse(ctx context.Context, b *book, v version) (synth.Result[Task], error) {
	t := v.of
	t.Spent, t.Kind, t.Origin = ask.Spent{}, v.kind, v.of.ID
	q := ask.Question{Step: "dialogue", Language: t.Language, Place: []any{v.of.ID, v.kind, v.sample}, Document: v.document(b, "dialogue")}
	reply, missed, err := ask.Ask(ctx, &a.asker, &t.Spent, q, func(s *staged) error { return s.check(b, &t) })
	if missed != nil || err != nil {
		return settle(t, missed, err)
	}
	t.Question = strings.TrimSpace(reply.First)
	if t.User = reply.user(); t.Kind == Decline {
		t.Targets, t.User = nil, &astra.User{Turns: 2, Goal: t.User.Goal}
	}
	return synth.Passed(t.identified()), nil
}

// extraTurns are for what an agent asks that nobody thought of.
const extraTurns = 2

func (s *staged) user() *astra.User {
	u := &astra.User{Turns: 1 + len(s.Next) + len(s.Facts) + extraTurns, Goal: strings.TrimSpace(s.Goal), Next: s.Next}
	for _, f := range s.Facts {
		if u.Facts == nil {
			u.Facts = map[string]string{}
		}
		u.Facts[f.Name] = f.Value
	}
	return u
}

// check holds a dialogue to its kind. A fact that is kept back is not in the first message.
func (s *staged) check(b *book, t *Task) error {
	if err := checkText(b, t.Servers(), t.Language, "first", s.First); err != nil {
		return err
	}
	if garbled(s.Goal) || len(s.Goal) > mostText {
		return ask.Misread(ask.NoVerdict, `"goal" is empty, no text, or too long`)
	}
	for _, next := range s.Next {
		if err := checkText(b, t.Servers(), t.Language, "next", next); err != nil {
			return err
		}
	}
	told := map[string]bool{}
	for _, f := range s.Facts {
		if strings.TrimSpace(f.Name) == "" || strings.TrimSpace(f.Value) == "" || len(f.Name)+len(f.Value) > mostText || ask.Garbled(f.Name+f.Value) {
			return ask.Misread("facts", "a fact has a name and a value")
		}
		if told[f.Name] {
			return ask.Misread("facts", "%.60q comes twice", f.Name)
		}
		told[f.Name] = true
		if wordIn(strings.ToLower(s.First), strings.ToLower(strings.TrimSpace(f.Value))) {
			return ask.Misread("facts", `"first" tells %.100q, which is kept back until it is asked for`, f.Value)
		}
	}
	return s.fits(t.Kind)
}

const (
	mostNext  = 3
	mostFacts = 4
)

func (s *staged) fits(kind Kind) error {
	next, facts := len(s.Next), len(s.Facts)
	switch {
	case next > mostNext || facts > mostFacts:
		return ask.Misread("dialogue", "%d messages and %d facts: at most %d and %d", next, facts, mostNext, mostFacts)
	case (kind == FollowUp || kind == Change) != (next > 0):
		return ask.Misread("dialogue", `%d messages in "next" for the kind %s`, next, kind)
	case (kind == Clarify) != (facts > 0):
		return ask.Misread("dialogue", `%d "facts" for the kind %s`, facts, kind)
	}
	return nil
}

// A pairing is a version and what it was made of.
type pairing struct {
	task   Task
	origin string // its question
	repeat int    // how often the version came before
}

// withOrigins finds the question that each version was made of.
func withOrigins(made iter.Seq2[Task, error]) iter.Seq2[pairing, error] {
	return func(yield func(pairing, error) bool) {
		before := map[string]int{}
		var origin Task // versions follow it
		for t, err := range made {
			if t.Origin == "" {
				origin = t
			}
			if !yield(pairing{t, origin.Question, before[t.ID]}, err) || err != nil {
				return
			}
			before[t.ID]++
		}
	}
}

type intentDocument struct {
	Step      string   `json:"step"`
	Mode      Mode     `json:"mode"`
	Tools     []string `json:"tools"`
	Question  string   `json:"question"`
	Rewritten string   `json:"rewriting"`
}

// An intended is the reply on whether a version wants the same.
type intended struct {
	Analysis string `json:"analysis"`
	Verdict  string `json:"verdict"`
	Reason   string `json:"reason"`
}

// intent asks whether an augmentation wants what its task wanted. Dialogues may not.
func (a *Author) intent(ctx context.Context, p pairing) (synth.Result[Task], error) {
	t := p.task
	t.Spent = ask.Spent{}
	if t.Mode == "" {
		return synth.Passed(t), nil
	}
	doc := intentDocument{Step: "intent", Mode: t.Mode, Question: p.origin, Rewritten: t.Question}
	for _, n := range t.Targets {
		doc.Tools = append(doc.Tools, n.Tool)
	}
	reply, missed, err := ask.Ask(ctx, &a.asker, &t.Spent, ask.Question{Step: "intent", Language: t.Language, Place: []any{t.ID}, Document: doc}, func(i *intended) error {
		if !isVerdict(i.Verdict) {
			return ask.Misread(ask.NoVerdict, "%.40q is no verdict: say yes, no or unsure", i.Verdict)
		}
		return nil
	})
	switch {
	case missed != nil || err != nil:
		return settle(t, missed, err)
	case reply.Verdict == "unsure":
		return settle(t, ask.Unsure("intent: unsure", reply.Reason), nil)
	case reply.Verdict == "no":
		return spoiled(t, "another intent", "%s: %s", t.Mode, reply.Reason), nil
	}
	return synth.Passed(t), nil
}
