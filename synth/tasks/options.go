package tasks

import (
	"cmp"
	"embed"
	"fmt"

	"github.com/astra-arenas/astra/llm"
	"github.com/astra-arenas/astra/synth/ask"
)

//go:embed prompts
var prompts embed.FS

//go:embed schemas
var schemas embed.FS

// Options adjusts an Author. A zero field, or a nil *Options, means the default; a negative
// number is none.
type Options struct {
	Seed        int64    // of the whole run
	MaxTokens   int64    // of one reply; default 8192
	Temperature *float64 // default the server's

	Proposals int  // lists of chains a server; default 2
	Chains    int  // walks kept of a server's graph; default 8
	MinTools  int  // of a chain; default 2
	MaxTools  int  // default 5
	Acyclic   bool // no tool twice in a chain
	Steps     int  // that the walks over one graph may take; default 20,000
	Across    bool // chains may go from one server to another
	Votes     int  // on whether a chain makes sense; default 3
	Backs     int  // plans made of the request that a chain was thought to serve; default 1

	PerChain  int       // requests written for a chain; default 1
	PerServer int       // requests written for a server without a chain; default 2
	Variants  int       // of each request and mode of augmentation; default 1
	Modes     []Mode    // of augmentation; default all
	Dialogues float64   // share of requests of which a dialogue is made, too; default 0.5
	Kinds     []Kind    // of dialogues; default all
	Personas  []Persona // default a short list of our own

	Similarity float64    // above which a request is nearly the same as another; default 0.8
	Thresholds Thresholds // default 0.5 each: a grade of 3
	Percentile float64    // above 0: thresholds are what this share of the run's grades is not above
}

// A Mode is a way of augmentation (ASTRA §2.1.3).
type Mode string

// The modes.
const (
	Diversity  Mode = "diversity"
	Complexity Mode = "complexity"
	InPersona  Mode = "persona"
)

// A Kind is what a task is made to be.
type Kind string

// The kinds. Those after FromServer are dialogues.
const (
	FromChain  Kind = "chain"     // written for a chain
	FromServer Kind = "server"    // written for a server, which tools serve it was the model's choice
	FollowUp   Kind = "follow-up" // the user asks for more
	Clarify    Kind = "clarify"   // something is missing, and told when asked for
	Change     Kind = "change"    // the user's mind changes
	Decline    Kind = "decline"   // what is asked for cannot or must not be done
)

var (
	allModes = []Mode{Diversity, Complexity, InPersona}
	allKinds = []Kind{FollowUp, Clarify, Change, Decline}
)

const mostVotes = 15

func (o *Options) ready() (Options, error) {
	var r Options
	if o != nil {
		r = *o
	}
	r.MaxTokens = cmp.Or(r.MaxTokens, 8192)
	r.Proposals, r.Chains, r.Steps = orNone(r.Proposals, 2), orNone(r.Chains, 8), orNone(r.Steps, 20_000)
	r.MinTools = cmp.Or(r.MinTools, 2)
	r.MaxTools = cmp.Or(r.MaxTools, max(5, r.MinTools))
	r.Votes, r.Backs = orNone(r.Votes, 3), orNone(r.Backs, 1)
	r.PerChain, r.PerServer, r.Variants = orNone(r.PerChain, 1), orNone(r.PerServer, 2), orNone(r.Variants, 1)
	if r.Modes == nil {
		r.Modes = allModes
	}
	if r.Kinds == nil {
		r.Kinds = allKinds
	}
	if len(r.Personas) == 0 {
		r.Personas = somePersonas()
	}
	r.Dialogues = max(cmp.Or(r.Dialogues, 0.5), 0)
	r.Similarity = cmp.Or(r.Similarity, 0.8)
	if r.Thresholds == (Thresholds{}) {
		r.Thresholds = Thresholds{0.5, 0.5, 0.5}
	}
	return r, r.refusal()
}

func orNone(n, otherwise int) int { return max(cmp.Or(n, otherwise), 0) }

func (o *Options) refusal() error {
	switch {
	case o.MinTools < 1 || o.MaxTools < o.MinTools || o.MaxTools > 12:
		return fmt.Errorf("tasks: chains of %d to %d tools: want a range within 1 to 12", o.MinTools, o.MaxTools)
	case o.Votes < 1 || o.Votes > mostVotes || o.Backs > mostVotes:
		return fmt.Errorf("tasks: %d votes and %d plans: want 1 to %d votes, and at most as many plans", o.Votes, o.Backs, mostVotes)
	case !(o.Dialogues <= 1):
		return fmt.Errorf("tasks: dialogues of a share of %g: want 0 to 1", o.Dialogues)
	case !(o.Similarity > 0 && o.Similarity <= 1):
		return fmt.Errorf("tasks: a similarity of %g: want a share above 0", o.Similarity)
	case !(o.Percentile >= 0 && o.Percentile < 1):
		return fmt.Errorf("tasks: a percentile of %g: want a share below 1", o.Percentile)
	}
	for _, least := range []float64{o.Thresholds.Question, o.Thresholds.Realism, o.Thresholds.Necessity} {
		if !(least <= 1) { // nothing is below NaN
			return fmt.Errorf("tasks: a threshold of %g: want a number from 0 to 1", least)
		}
	}
	return nil
}

// An Author writes tasks with a model. It is safe for concurrent use.
type Author struct {
	asker ask.Asker
	opts  Options
	tally ask.Tally
}

// New returns an author that asks model. One that is asked through an [llm.Cache] over the
// run's ledger is asked nothing twice when a run goes on that broke off.
func New(model llm.Model, opts *Options) (*Author, error) {
	o, err := opts.ready()
	if err != nil {
		return nil, err
	}
	return &Author{asker: ask.Asker{Model: model, Prompts: prompts, Schemas: schemas, Seed: o.Seed, MaxTokens: o.MaxTokens, Temperature: o.Temperature}, opts: o}, nil
}

// Settings are what decides the author's results beside its input: for synth.RunID.
// Thresholds are no part of it: results are kept by them.
func (a *Author) Settings() []any {
	o := a.opts
	o.Thresholds, o.Percentile = Thresholds{}, 0
	return []any{"tasks", rules, a.asker.Model.Name(), o}
}

// rules is the version of prompts and rules. Whoever changes a result changes it.
const rules = 2

// Spent is what each stage has spent so far, rejected items included, and including what
// earlier processes of the run did.
func (a *Author) Spent() []ask.Spent { return a.tally.Stages() }
