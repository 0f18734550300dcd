package scores

import (
	"context"
	"embed"
	"errors"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/llm"
	"github.com/astra-arenas/astra/synth"
	"github.com/astra-arenas/astra/synth/ask"
)

//go:embed prompts
var prompts embed.FS

//go:embed schemas
var schemas embed.FS

// Options adjusts a Judge. A zero field, or a nil *Options, means the default.
type Options struct {
	Seed        int64    // of the whole run
	MaxTokens   int64    // of one reply; default 8192
	Temperature *float64 // default the server's
}

// A Judge gives scores. It is safe for concurrent use.
type Judge struct {
	asker ask.Asker
}

// New returns a judge that asks model where no rule decides.
func New(model llm.Model, opts *Options) *Judge {
	var o Options
	if opts != nil {
		o = *opts
	}
	if o.MaxTokens <= 0 {
		o.MaxTokens = 8192
	}
	return &Judge{ask.Asker{Model: model, Prompts: prompts, Schemas: schemas, Seed: o.Seed, MaxTokens: o.MaxTokens, Temperature: o.Temperature}}
}

// Settings are what decides a judge's scores beside the conversation: for synth.RunID.
func (j *Judge) Settings() []any {
	return []any{"scores", rules, j.asker.Model.Name(), j.asker.Seed, j.asker.MaxTokens, j.asker.Temperature}
}

// rules is the version of prompts and rules. Whoever changes a result changes it.
const rules = 2

// An Input is a conversation to be judged.
type Input struct {
	ID       string // its place in the seed tree
	Language synth.Language
	Chat     []astra.ChatMessage
	Tools    []astra.ChatTool
	Steps    []Step   // of each call in order, where the log is known; nil: the model says what succeeded
	Expected Expected // what is special about the request
}

// A Step is what the log says of a call.
type Step struct {
	OK       bool        `json:"ok"`
	Injected bool        `json:"injected,omitempty"` // it was planned to fail
	Fault    astra.Fault `json:"fault,omitempty"`
}

// Expected is what a request was made for, where doing it at once is not the right answer.
type Expected string

// The kinds of request that are special.
const (
	ToDecline Expected = "decline" // it cannot or must not be served
	ToClarify Expected = "clarify" // something is missing that only the user knows
)

// errSteps is a log that is not that of the chat.
var errSteps = errors.New("scores: the log and the chat have different numbers of calls")

// Score judges a conversation. An error is trouble: the model could not be asked.
func (j *Judge) Score(ctx context.Context, in Input) (Scores, ask.Spent, error) {
	v := newView(&in)
	if in.Steps != nil && len(in.Steps) != len(v.calls) {
		return Scores{}, ask.Spent{}, errSteps
	}
	b := &bench{Judge: j, view: v}
	for _, part := range []func(context.Context) error{b.query, b.rounds, b.each, b.answer} {
		if err := part(ctx); err != nil {
			return Scores{}, b.spent, err
		}
	}
	b.scores.settle()
	return b.scores, b.spent, nil
}

// A bench is one conversation under judgement.
type bench struct {
	*Judge
	*view
	scores Scores
	spent  ask.Spent
}

// A grade is a word of the scale, and why.
type grade struct {
	Grade  string `json:"grade"`
	Reason string `json:"reason"`
}

func (g *grade) check(what string) error {
	if g == nil {
		return ask.Misread(ask.NoVerdict, "give %q", what)
	}
	if _, ok := values[g.Grade]; !ok && g.Grade != "unsure" {
		return ask.Misread(ask.NoVerdict, "%.40q is no grade: say full, half, none or unsure", g.Grade)
	}
	return nil
}

var values = map[string]float64{"full": 1, "half": 0.5, "none": 0}

// note is what a grade says of one thing.
func (g *grade) note(of int) Note {
	v, ok := values[g.Grade]
	n := Note{Of: of, Why: ask.Clip(g.Reason, 500)}
	if ok {
		n.Value = &v
	}
	return n
}

type two struct {
	Analysis      string `json:"analysis"`
	Understanding *grade `json:"understanding"`
	Plan          *grade `json:"plan"`
}

func (t *two) check() error {
	if err := t.Understanding.check("understanding"); err != nil {
		return err
	}
	return t.Plan.check("plan")
}

type one struct {
	Analysis string `json:"analysis"`
	grade
}

func (o *one) check() error { return o.grade.check("grade") }

// asked asks, and says why if there is no reply that can be taken.
func asked[T any](ctx context.Context, b *bench, step, schema string, place any, document any, check func(*T) error) (*T, string, error) {
	reply, missed, err := ask.Ask(ctx, &b.asker, &b.spent, ask.Question{Step: step, Schema: schema, Language: b.in.Language, Place: []any{b.in.ID, place}, Document: document}, check)
	if err != nil || missed == nil {
		return reply, "", err
	}
	return nil, missed.Reason + ": " + ask.Clip(missed.Detail, 300), nil
}
