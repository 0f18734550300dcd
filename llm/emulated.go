package llm

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
)

// EmulatorOptions adjusts an Emulated. A zero field, or a nil *EmulatorOptions, means the default.
type EmulatorOptions struct {
	MaxTokens int64        // of one answer; default 8192
	Logger    *slog.Logger // is told what agents must not be; default discards
}

// An Emulated runs arenas whose tools are documented and not written. It implements
// gateway.Runtime and is safe for concurrent use.
type Emulated struct {
	model Model // nil: cassettes alone
	opts  EmulatorOptions
}

// NewEmulated returns a runtime that asks model for what no cassette knows; a nil one is
// never asked.
func NewEmulated(model Model, opts *EmulatorOptions) *Emulated {
	var o EmulatorOptions
	if opts != nil {
		o = *opts
	}
	if o.MaxTokens <= 0 {
		o.MaxTokens = 8192
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Emulated{model, o}
}

// Kind is emulated.
func (rt *Emulated) Kind() astra.RuntimeKind { return astra.Emulated }

// Digest covers the rules and the instructions. The model is not in it: which one answered
// is in the log of each step, and in the cassette, so an arena that is served from its
// cassette is the same wherever it is served.
func (rt *Emulated) Digest() string {
	h := sha256.New()
	fmt.Fprintf(h, "astra-emulated %d\n%x\n", rules, sha256.Sum256([]byte(instructions)))
	return "sha256:" + hex.EncodeToString(h.Sum(nil))
}

// Pure is false: a model may answer the same call in two ways.
func (rt *Emulated) Pure() bool { return false }

// Load reads the cassette. No model is asked.
func (rt *Emulated) Load(_ context.Context, a *astra.Arena) (gateway.Program, error) {
	c, err := astra.ReadCassette(a.Bundle)
	if err != nil {
		return nil, err
	}
	for r := range c.All() {
		if _, err := readLine(r.Result.Log); err != nil {
			return nil, fmt.Errorf("%s: the answer of %.64q: %w: record it again with `astra record`", astra.CassetteFile, r.Tool, err)
		}
	}
	return &program{rt: rt, arena: a, cassette: c}, nil
}

// A program is a loaded arena. It implements gateway.Program.
type program struct {
	rt       *Emulated
	arena    *astra.Arena
	cassette *astra.Cassette // only read
	closed   atomic.Bool
}

// match says which calls have the same recorded answer: the author's choice.
func (p *program) match() astra.Match { return p.arena.Match }

// HasState is true: state() is what the memory holds.
func (p *program) HasState() bool { return true }

// Close makes every world useless.
func (p *program) Close() error {
	p.closed.Store(true)
	return nil
}

// Start makes a world, as the past left it.
func (p *program) Start(_ context.Context, w gateway.World) (gateway.Instance, error) {
	if p.closed.Load() {
		return nil, errClosed
	}
	known, err := begin(w.Scenario)
	if err != nil {
		return nil, err
	}
	i := &instance{prog: p, world: w, known: known, key: astra.CassetteStart(w.Scenario)}
	i.world.Past = nil
	for _, s := range w.Past {
		if err := i.pass(s.Tool, s.Args, s.Result); err != nil {
			return nil, fmt.Errorf("llm: step %d of the log: %w", s.Index, err)
		}
	}
	return i, nil
}

// begin is the memory that a scenario starts with: its entities.
func begin(scenario json.RawMessage) (memory, error) {
	var s struct {
		Entities json.RawMessage `json:"entities"`
	}
	p := patch{}
	if json.Unmarshal(scenario, &s) == nil && s.Entities != nil { // a scenario may be of any kind
		var err error
		if p, err = readPatch(s.Entities); err != nil {
			return memory{}, fmt.Errorf("the scenario's entities: %w", err)
		}
	}
	return newMemory(merge(nil, p).(map[string]any))
}

var (
	errClosed = errors.New("llm: the world is closed")
	errUnfit  = errors.New("the model that stands for the tool gave no answer that fits, twice")

	// errReadOnly is for the model to read.
	errReadOnly = errors.New("memory: the tool only reads: add what was not known yet, and change nothing that was")
)

var (
	_ gateway.Runtime  = (*Emulated)(nil)
	_ gateway.Program  = (*program)(nil)
	_ gateway.Instance = (*instance)(nil)
)
