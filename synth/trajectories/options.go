package trajectories

import (
	"cmp"
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strings"
	"time"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
	"github.com/astra-arenas/astra/llm"
	"github.com/astra-arenas/astra/synth"
	"github.com/astra-arenas/astra/synth/ask"
	"github.com/astra-arenas/astra/synth/scores"
)

//go:embed prompts
var prompts embed.FS

//go:embed schemas
var schemas embed.FS

// A Policy is the chat model that plays, behind a server that speaks OpenAI's protocol.
type Policy struct {
	BaseURL string
	Model   string
	APIKey  string
	Client  *http.Client // such as one over an [llm.Transport]: then nothing is asked twice
}

// A House is a gateway for one conversation, with a door for its agent.
type House struct {
	Gateway *gateway.Gateway
	Door    string // URL of the agents' door, which takes keys as bearer tokens
}

// An Opener opens a house with these arenas, has f use it, and takes it down. Emulated
// tools are answered by the model given.
type Opener func(ctx context.Context, arenas []*astra.Bundle, emulator llm.Model, f func(House) error) error

// Options adjusts a Player. A zero field, or a nil *Options, means the default.
type Options struct {
	Seed        int64             // of the whole run
	Samples     int               // conversations a task; default 1
	Failures    astra.FailurePlan // of the arenas that are made; default none
	Rounds      int               // completions for one user message; default 20, the released code's
	Tokens      int64             // of one conversation's agent; default unlimited
	Time        time.Duration     // of one conversation; default 10 min
	MaxTokens   int64             // of one completion; default the server's
	Temperature *float64          // of the agent; default the server's
	System      string            // system message; default one for the task's language
	License     string            // of the arenas that are made

	Thresholds scores.Thresholds // default a mean of 0.8
	Percentile float64           // above 0: the mean that this share of the run's means is not above
}

func (o *Options) ready() (Options, error) {
	var r Options
	if o != nil {
		r = *o
	}
	r.Samples, r.Rounds = cmp.Or(r.Samples, 1), cmp.Or(r.Rounds, 20)
	r.Time = cmp.Or(r.Time, 10*time.Minute)
	if r.Thresholds.Mean == 0 && r.Thresholds.Min == nil {
		r.Thresholds.Mean = 0.8
	}
	switch {
	case r.Samples < 1 || r.Rounds < 1 || r.Tokens < 0 || r.Time < 0:
		return r, errors.New("trajectories: samples, rounds, tokens and time want numbers above 0")
	case !(r.Percentile >= 0 && r.Percentile < 1):
		return r, fmt.Errorf("trajectories: a percentile of %g: want a share below 1", r.Percentile)
	}
	if err := errors.Join(r.Failures.Check(), r.Thresholds.Check()); err != nil {
		return r, fmt.Errorf("trajectories: %w", err)
	}
	return r, nil
}

// A Player has tasks played and judged. It is safe for concurrent use.
type Player struct {
	policy   Policy
	emulator llm.Model
	user     ask.Asker
	judge    *scores.Judge
	open     Opener
	opts     Options
	tally    *ask.Tally
}

// New returns a player: policy plays, model stands in for users and emulated tools, and
// judge gives the scores.
func New(policy Policy, model llm.Model, judge *scores.Judge, open Opener, opts *Options) (*Player, error) {
	o, err := opts.ready()
	if err != nil {
		return nil, err
	}
	return &Player{policy: policy, emulator: model, judge: judge, open: open, opts: o, tally: new(ask.Tally),
		user: ask.Asker{Model: model, Prompts: prompts, Schemas: schemas, Seed: o.Seed, MaxTokens: 2048}}, nil
}

// Settings are what decides the player's results beside its input: for synth.RunID.
// Thresholds are no part of it: results are kept by them. How long a conversation may take
// decides only whether it is known.
func (p *Player) Settings() []any {
	o := p.opts
	o.Time, o.Thresholds, o.Percentile = 0, scores.Thresholds{}, 0
	return []any{"trajectories", rules, p.policy.Model, p.user.Model.Name(), o, p.judge.Settings()}
}

// rules is the version of prompts and rules. Whoever changes a result changes it.
const rules = 2

// Spent is what each stage has spent so far, rejected items included, and including what
// earlier processes of the run did.
func (p *Player) Spent() []ask.Spent { return p.tally.Stages() }

// system is the system message for a task's language.
func (p *Player) system(l synth.Language) (string, error) {
	if p.opts.System != "" {
		return p.opts.System, nil
	}
	b, err := fs.ReadFile(prompts, "prompts/"+string(l)+"/system.txt")
	return strings.TrimSpace(string(b)), err
}
