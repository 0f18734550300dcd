package astra

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// A Digest names an arena by its content: equal bundles share one. It is "sha256:" and
// 64 hex digits, computed as Bundle.Digest describes.
type Digest string

// A RuntimeKind says what runs an arena's tools.
type RuntimeKind string

// The runtimes of DESIGN.md.
const (
	JavaScript RuntimeKind = "javascript"
	Python     RuntimeKind = "python"
	WASM       RuntimeKind = "wasm"
	Upstream   RuntimeKind = "upstream"
	Emulated   RuntimeKind = "emulated"
)

// An Arena is an environment as a versioned bundle: tools, their implementation, tasks
// and verifiers. It is immutable once loaded and may be shared by goroutines.
type Arena struct {
	Name        string // [a-z][a-z0-9-]*, at most 64 characters
	Version     string
	Title       string
	Description string
	Domain      string // distractors come from other domains
	License     string
	Runtime     RuntimeKind
	Entry       string    // path of the implementation inside the bundle
	Class       string    // Python: the class whose methods are the tools; "" means functions
	Setup       string    // Python: the method of Class that takes the scenario; "" means setup, if there is one
	Match       Match     // which calls share a recorded answer; "" where nothing is recorded
	Upstreams   []string  // Upstream: aliases, which the operator maps to servers
	Now         time.Time // the clock of every episode whose task sets none; UTC
	Limits      Limits
	Failures    *FailurePlan // of episodes whose task and opener say nothing; nil: none
	Tools       []Tool       // in the author's order; names are unique
	Provenance  map[string]any

	Tasks  []Task // in file order; ids are unique
	Digest Digest
	Bundle *Bundle // the files it was loaded from
}

// Limits bound one tool call, and the memory of an episode. Zero never means unlimited:
// loading fills in DefaultLimits.
type Limits struct {
	Memory int64         // bytes of linear memory
	Fuel   int64         // units: function entries and loop passes
	Wall   time.Duration // backstop, at least ten times looser than fuel
	Result int64         // bytes of a result as JSON
	Log    int64         // bytes of host.log output a call
	Depth  int           // nesting of arguments and results
}

// DefaultLimits are those of an arena that sets none; the ceiling of Memory is the size
// of a sandbox slot.
var DefaultLimits = Limits{Memory: 32 << 20, Fuel: 100_000_000, Wall: 10 * time.Second, Result: 256 << 10, Log: 64 << 10, Depth: 64}

// DefaultNow is the clock of an arena that sets none.
var DefaultNow = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// A Tool is a function an agent may call.
type Tool struct {
	Name        string          `json:"name"` // identifier of at most 64 characters
	Title       string          `json:"title"`
	Description string          `json:"description"`
	Input       json.RawMessage `json:"input"`            // JSON Schema 2020-12 of an object; never nil
	Output      json.RawMessage `json:"output,omitempty"` // JSON Schema of the result, or nil
	Annotations Annotations     `json:"annotations"`
	Derived     bool            `json:"-"` // Input is what the code's signature says; a runtime tells
	Upstream    string          `json:"-"` // alias of the server that has it
	Original    string          `json:"-"` // what that server calls it

	in, out *Schema // compiled at load
	depth   int     // the arena's Limits.Depth
}

// Annotations are MCP's four hints; all are always sent.
type Annotations struct {
	ReadOnly    bool `json:"read_only"`
	Destructive bool `json:"destructive"`
	Idempotent  bool `json:"idempotent"`
	OpenWorld   bool `json:"open_world"`
}

// Tool returns the arena's tool of that name, or nil.
func (a *Arena) Tool(name string) *Tool {
	for i := range a.Tools {
		if a.Tools[i].Name == name {
			return &a.Tools[i]
		}
	}
	return nil
}

// Task returns the arena's task of that id, or nil.
func (a *Arena) Task(id string) *Task {
	for i := range a.Tasks {
		if a.Tasks[i].ID == id {
			return &a.Tasks[i]
		}
	}
	return nil
}

// Ref is how people and URLs name exactly this version: name@digest.
func (a *Arena) Ref() string { return a.Name + "@" + string(a.Digest) }

// Derives reports whether a runtime must tell the input schema of a tool: the bundle
// leaves it to the code.
func (a *Arena) Derives() bool {
	return slices.ContainsFunc(a.Tools, func(t Tool) bool { return t.Derived })
}

// WithInputs returns the arena with the input schemas that its runtime derived, by tool.
// The digest is as before: the same bundle on the same runtime has the same ones.
func (a *Arena) WithInputs(inputs map[string]json.RawMessage) (*Arena, error) {
	b := *a
	b.Tools = slices.Clone(a.Tools)
	p := newPatterns()
	for i := range b.Tools {
		t := &b.Tools[i]
		if !t.Derived {
			continue
		}
		schema, ok := inputs[t.Name]
		if !ok {
			return nil, fmt.Errorf("the tool %s has no input schema: write one in arena.yaml", t.Name)
		}
		var err error
		if t.in, err = p.input(schema); err != nil {
			return nil, fmt.Errorf("the input schema derived for the tool %s: %w: write one in arena.yaml", t.Name, err)
		}
		t.Input = schema
	}
	return &b, nil
}
