package questions

import (
	"cmp"
	"context"
	"fmt"
	"sync"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
	"github.com/astra-arenas/astra/llm"
	"github.com/astra-arenas/astra/synth/ask"
)

// A Certifier says whether an arena may be used, and if not, why.
type Certifier func(ctx context.Context, b *astra.Bundle) (passed bool, reasons []string, err error)

// Options adjusts an Author. A zero field, or a nil *Options, means the default.
type Options struct {
	Seed        int64    // of the whole run
	Samples     int      // instances a source; default 1
	MinHops     int      // sub-questions an instance; default 3
	MaxHops     int      // default 5
	MaxTokens   int64    // of one reply; default 16384
	Temperature *float64 // default the server's

	Threshold  float64 // lowest QS that is taken; used if above 0
	Percentile float64 // else: the QS that this share of the run's instances is not above; default 0.9, the paper's P90

	CodeTries  int // of code for one call; default 5
	CallTries  int // of documents and calls, each with its own code; default 3
	MergeTries int // to put one member into a shared tool; default 3
	Calls      int // of the model for one instance's environments, all together; default 150
	Entities   int // other arguments with other answers that each tool must know; default 3

	NoMerging bool // each sub-question keeps its own tool
	PerArena  int  // instances of one domain and language in one arena; default 1

	Name    string // what arenas' names begin with; default questions
	License string // of the arenas; default none
}

// What is held at once for an arena of several instances.
const mostTogether = 64

const mostHops = 20 // the paper's longest; also what one reply can hold

func (o *Options) ready() (Options, error) {
	var r Options
	if o != nil {
		r = *o
	}
	r.Samples = cmp.Or(r.Samples, 1)
	r.MinHops = cmp.Or(r.MinHops, 3)
	r.MaxHops = cmp.Or(r.MaxHops, max(5, r.MinHops))
	r.MaxTokens = cmp.Or(r.MaxTokens, 16384)
	r.Percentile = cmp.Or(r.Percentile, 0.9)
	r.CodeTries, r.CallTries, r.MergeTries = cmp.Or(r.CodeTries, 5), cmp.Or(r.CallTries, 3), cmp.Or(r.MergeTries, 3)
	r.Calls, r.Entities = cmp.Or(r.Calls, 150), cmp.Or(r.Entities, 3)
	r.PerArena = cmp.Or(r.PerArena, 1)
	r.Name = cmp.Or(r.Name, "questions")
	return r, r.refusal()
}

func (o *Options) refusal() error {
	switch {
	case o.MinHops < 1 || o.MaxHops < o.MinHops || o.MaxHops > mostHops:
		return fmt.Errorf("questions: %d to %d hops: want a range within 1 to %d", o.MinHops, o.MaxHops, mostHops)
	case !(o.Threshold >= 0 && o.Threshold <= 1):
		return fmt.Errorf("questions: a threshold of %g: want 0 to 1", o.Threshold)
	case !(o.Percentile > 0 && o.Percentile <= 1):
		return fmt.Errorf("questions: a percentile of %g: want a share above 0, such as 0.9", o.Percentile)
	case min(o.Samples, o.CodeTries, o.CallTries, o.MergeTries, o.Calls, o.Entities, o.PerArena) < 0:
		return fmt.Errorf("questions: a negative number of tries, samples or instances")
	case o.PerArena > mostTogether:
		return fmt.Errorf("questions: %d instances an arena: want %d at most", o.PerArena, mostTogether)
	}
	return nil
}

// An Author writes arenas with a model. It is safe for concurrent use.
type Author struct {
	asker   ask.Asker
	runtime gateway.Runtime
	certify Certifier
	opts    Options
	tally   ask.Tally

	arenasKnown sync.Map // those of sources, by digest
}

// New returns an author that asks model, and tries code on rt, which runs JavaScript or
// Python: its arenas are of that kind. A model that is asked through an [llm.Cache] over
// the run's ledger is asked nothing twice when a run goes on that broke off.
func New(model llm.Model, rt gateway.Runtime, certify Certifier, opts *Options) (*Author, error) {
	o, err := opts.ready()
	if err != nil {
		return nil, err
	}
	if k := rt.Kind(); k != astra.JavaScript && k != astra.Python {
		return nil, fmt.Errorf("questions: code is written in javascript or python, not for the runtime %s", k)
	}
	return &Author{asker: ask.Asker{Model: model, Prompts: prompts, Schemas: schemas, Seed: o.Seed, MaxTokens: o.MaxTokens, Temperature: o.Temperature}, runtime: rt, certify: certify, opts: o}, nil
}

// Settings are what decides the author's results beside its input: for synth.RunID.
func (a *Author) Settings() []any {
	return []any{"questions", rules, a.asker.Model.Name(), a.runtime.Kind(), a.runtime.Digest(), a.opts}
}

// rules is the version of prompts and rules. Whoever changes a result changes it.
const rules = 1

// Spent is what each stage has spent so far, rejected items included, and including what
// earlier processes of the run did.
func (a *Author) Spent() []ask.Spent { return a.tally.Stages() }
