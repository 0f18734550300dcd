// Package gateway opens, steps, forks, submits, scores, expires and recovers episodes.
package gateway

import (
	"context"
	"log/slog"
	"time"

	"github.com/astra-arenas/astra"
)

// Options adjusts a Gateway. A zero field, or a nil *Options, means the default.
type Options struct {
	TTL      time.Duration    // of an open episode; default 1 h
	KeyGrace time.Duration    // how long an ended episode's key still answers "over"; default 10 min
	MaxOpen  int              // open episodes; default 100,000
	Now      func() time.Time // default time.Now
	Logger   *slog.Logger     // default discards
}

// A Gateway runs episodes. It is safe for concurrent use.
type Gateway struct{}

// New returns a gateway that keeps its episodes in st, scores them with judge and runs
// tools on rts, whose kinds must differ. It loads the arenas in the store and takes up the
// open episodes found there.
func New(ctx context.Context, st Store, judge Judge, rts []Runtime, opts *Options) (*Gateway, error) {
	panic("todo")
}

// AddArena loads a bundle, checks it, keeps it in the store and serves it. Adding equal content twice is no error.
func (g *Gateway) AddArena(ctx context.Context, b *astra.Bundle) (*astra.Arena, error) { panic("todo") }

// Arenas lists the newest version of each arena, by name.
func (g *Gateway) Arenas() []*astra.Arena { panic("todo") }

// Arena finds an arena by name (its newest version) or name@digest; astra.ErrNotFound.
func (g *Gateway) Arena(ref string) (*astra.Arena, error) { panic("todo") }

// PublicArenas lists what any door may show of the newest version of each arena, by name.
func (g *Gateway) PublicArenas(ctx context.Context) ([]astra.PublicArena, error) { panic("todo") }

// PublicArena is what any door may show of an arena.
func (g *Gateway) PublicArena(ctx context.Context, ref string) (astra.PublicArena, error) {
	panic("todo")
}

// Tasks lists the public views of an arena's tasks, in the author's order; split "" is all.
func (g *Gateway) Tasks(ctx context.Context, ref string, split astra.Split) ([]astra.PublicTask, error) {
	panic("todo")
}

// An OpenRequest asks for an episode.
type OpenRequest struct {
	Arena     string        `json:"arena"`          // reference
	Task      string        `json:"task,omitempty"` // "" is free play: no task, no score; practice only
	Seed      *int64        `json:"seed,omitempty"` // refused if the task has another
	Mode      astra.Mode    `json:"mode,omitempty"` // default practice
	Group     string        `json:"group,omitempty"`
	Policy    string        `json:"policy,omitempty"`
	Principal string        `json:"-"` // who opens; the door says
	TTL       time.Duration `json:"-"` // default Options.TTL
}

// An Opening is what the opener learns; the key is shown nowhere else.
type Opening struct {
	Episode astra.EpisodeID  `json:"episode"`
	Key     astra.Key        `json:"key"`
	Arena   string           `json:"arena"` // name@digest
	Task    astra.PublicTask `json:"task"`
	Seed    int64            `json:"seed"`
	Message string           `json:"message"` // the first user message; "" in free play
	Expires time.Time        `json:"expires"`
}

// Open starts an episode.
func (g *Gateway) Open(ctx context.Context, req OpenRequest) (*Opening, error) { panic("todo") }

// Resolve finds the episode of a key. Unknown, expired and long-ended keys are all astra.ErrNotFound.
func (g *Gateway) Resolve(ctx context.Context, key astra.Key) (astra.EpisodeID, error) { panic("todo") }

// Tools returns the tools in view now: the arena's own, then distractors.
func (g *Gateway) Tools(ctx context.Context, id astra.EpisodeID) ([]astra.PublicTool, error) {
	panic("todo")
}

// Call runs one tool. Calls of one episode queue; at most 64 wait, more are
// astra.ErrBusy. A failing tool, a tool not in view and bad arguments are steps, not
// errors. Errors: ErrNotFound, ErrEnded, ErrBudget, ErrConflict, ErrInvalid (the
// episode was ended by a *astra.StepError, which is wrapped).
func (g *Gateway) Call(ctx context.Context, id astra.EpisodeID, c astra.Call) (astra.Step, error) {
	panic("todo")
}

// A NextTurn is the answer to a reply.
type NextTurn struct {
	Turn       int      `json:"turn"`    // its number
	Message    string   `json:"message"` // "" when done
	ToolsAdded []string `json:"tools_added,omitempty"`
	Done       bool     `json:"done"` // there are no more turns: submit
}

// Turn closes the turn being played with the agent's reply and hands out the next message.
func (g *Gateway) Turn(ctx context.Context, id astra.EpisodeID, reply string) (*NextTurn, error) {
	panic("todo")
}

// Submit ends the agent's part and scores the episode; it waits for queued calls. A
// repeat with the same answer returns the recorded score. An episode that cannot be judged
// ends invalid: the error is ErrInvalid and wraps the *astra.ScoreError. Free play
// ends without a score: nil, nil.
func (g *Gateway) Submit(ctx context.Context, id astra.EpisodeID, s astra.Submitted) (*astra.Score, error) {
	panic("todo")
}

// A ForkRequest asks for n copies of an episode as it was after step At.
type ForkRequest struct {
	At        *int          `json:"at,omitempty"`    // nil: after its last step
	N         int           `json:"n,omitempty"`     // default 1, at most 64
	Group     string        `json:"group,omitempty"` // forks do not inherit their parent's
	Principal string        `json:"-"`
	TTL       time.Duration `json:"-"`
}

// Fork makes independent episodes that share the history up to a step of any episode, finished ones too.
func (g *Gateway) Fork(ctx context.Context, id astra.EpisodeID, req ForkRequest) ([]*Opening, error) {
	panic("todo")
}

// Abort ends an episode without a score. Aborting an ended one is no error.
func (g *Gateway) Abort(ctx context.Context, id astra.EpisodeID, reason string) error { panic("todo") }

// Episode returns the record of an episode, as it is now; the caller owns it.
func (g *Gateway) Episode(ctx context.Context, id astra.EpisodeID) (*astra.Episode, error) {
	panic("todo")
}

// Public returns the public view of an episode's task, with the turns handed out so far.
func (g *Gateway) Public(ctx context.Context, id astra.EpisodeID) (astra.PublicTask, error) {
	panic("todo")
}

// List returns a page of episodes, newest first.
func (g *Gateway) List(ctx context.Context, q astra.Query) (astra.Page, error) { panic("todo") }

// A Replay says what came of playing an episode's log again.
type Replay struct {
	Episode astra.EpisodeID `json:"episode"`
	Steps   int             `json:"steps"`
	Same    bool            `json:"same"` // byte for byte: every result, and the reward
	// First difference, if any.
	Step     int    `json:"step,omitempty"`
	Recorded string `json:"recorded,omitempty"`
	Replayed string `json:"replayed,omitempty"`
}

// Replay plays an episode's log in a fresh world and compares every result byte for byte.
func (g *Gateway) Replay(ctx context.Context, id astra.EpisodeID) (*Replay, error) { panic("todo") }

// Rescore judges a scored episode again and appends the result as a new record.
func (g *Gateway) Rescore(ctx context.Context, id astra.EpisodeID) (*astra.Score, error) {
	panic("todo")
}

// OnToolsAdded registers a function that is called, without locks held, after a turn added tools to an
// episode's view. It must be registered before the gateway is used.
func (g *Gateway) OnToolsAdded(f func(astra.EpisodeID)) { panic("todo") }

// Stats is what the metrics show.
type Stats struct {
	Arenas, Open, Live                     int
	Opened, Calls, Failed, Scored, Invalid uint64 // since the start
}

// Stats returns counters.
func (g *Gateway) Stats() Stats { panic("todo") }

// Close waits for running calls and releases every instance; open episodes stay open in the store.
func (g *Gateway) Close() error { panic("todo") }
