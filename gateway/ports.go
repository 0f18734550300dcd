package gateway

import (
	"context"
	"encoding/json"
	"iter"
	"time"

	"github.com/astra-arenas/astra"
)

// A Runtime runs the tools of arenas of one kind. It is safe for concurrent use.
type Runtime interface {
	// Kind is the arena.yaml runtime it implements.
	Kind() astra.RuntimeKind
	// Digest identifies what decides results besides the arena: the engine's bytes and
	// this implementation's version. It is part of every episode.
	Digest() string
	// Pure reports whether equal calls on equal worlds give equal results, so that an
	// instance can be rebuilt by playing its log.
	Pure() bool
	// Load prepares an arena, running its module code once. An error is the author's
	// fault and says what to do.
	Load(ctx context.Context, a *astra.Arena) (Program, error)
}

// A Program is a loaded arena, from which any number of worlds are started. It is safe
// for concurrent use.
type Program interface {
	// Start makes the world of one episode. An error of *astra.ScoreError or any other
	// kind means that there is no world; the episode is not opened.
	Start(ctx context.Context, w World) (Instance, error)
	// HasState reports whether the arena offers state().
	HasState() bool
	// Close releases what Load took. No instance may be used afterwards.
	Close() error
}

// A Describer is a Program that can say what the bundle leaves to its code: the input
// schemas of tools that are Derived, by name.
type Describer interface {
	Schemas() map[string]json.RawMessage
}

// A World is what an episode's tools may know besides their arguments.
type World struct {
	Seed     int64
	Now      time.Time       // UTC; stands still
	Scenario json.RawMessage // for setup; nil if the task has none
	// Past is what this world's tools were called with and answered before, where the
	// runtime is not pure: an impure world is not rebuilt by playing, it is told. Start
	// may send calls again if its operator says that this does no harm; an answer that is
	// not the recorded one is an error.
	Past []astra.Step
}

// An Instance is one live world. It has one user at a time.
type Instance interface {
	// Call runs one tool. Arguments are a JSON object that fits the tool's input schema;
	// holding the result to the output schema is the gateway's, too. A tool that
	// fails is a failed Result. A breached limit is a failed Result with Breach: the
	// instance may then be in any state, and the caller must Close it. An error is
	// never the agent's or the tool's doing.
	Call(ctx context.Context, tool string, args json.RawMessage) (astra.Result, error)
	// State is what state() returns, or nil if the arena has none. A state() that throws
	// or breaches a limit is a failed Result. The world is as before.
	State(ctx context.Context) (astra.Result, error)
	// Fork returns an independent copy of the world as it is now.
	Fork(ctx context.Context) (Instance, error)
	// Close releases the world. It may be called twice.
	Close() error
}

// A Rester is an Instance that can be put away. Rest returns what its world has changed,
// from which its Program, a Resumer, makes a world that no call can tell from it. The world
// itself stays as it is.
type Rester interface {
	Rest() ([]byte, error)
}

// A Holder is an Instance that may hold what its log cannot bring back, such as a session
// that a server remembers it by. While it does, its episode stays in memory.
type Holder interface {
	Holds() bool
}

// A Resumer is a Program whose worlds are Resters. What Rest did not return, for the same
// arena and runtime, in this process or another, is refused: a snapshot is a cache, and
// whoever cannot use it plays the log.
type Resumer interface {
	Resume(ctx context.Context, snapshot []byte) (Instance, error)
}

// Sync says how durable an append must be before it returns.
type Sync bool

// A step survives kill -9 when Append returns; opened, submitted and scored survive loss
// of power too.
const (
	Handed Sync = false // to the operating system; synced within 100 ms
	Synced Sync = true
)

// A Store keeps arenas and episode logs. It is safe for concurrent use; events of one
// episode are appended by one goroutine at a time.
type Store interface {
	PutArena(ctx context.Context, name string, d astra.Digest, bundle []byte) error
	// Arenas lists what is kept, oldest first.
	Arenas(ctx context.Context) iter.Seq2[StoredArena, error]

	// PutCertificate keeps what this process found out about an arena, in place of what
	// was found before.
	PutCertificate(ctx context.Context, c *astra.Certificate) error
	// Certificate returns what was kept of an arena; nil if nothing was.
	Certificate(ctx context.Context, d astra.Digest) (*astra.Certificate, error)

	// Append adds events to an episode's log, all or none. The first event of an
	// episode is opened, which also makes its key findable.
	Append(ctx context.Context, id astra.EpisodeID, sync Sync, events ...astra.Event) error
	// Log returns an episode's events in order; astra.ErrNotFound if there are none.
	Log(ctx context.Context, id astra.EpisodeID) ([]astra.Event, error)
	// ByKey finds an episode by the hash of its key; astra.ErrNotFound if unknown.
	ByKey(ctx context.Context, keyHash string) (astra.EpisodeID, error)
	// Open lists the episodes that are neither scored nor ended, oldest first.
	Open(ctx context.Context) iter.Seq2[astra.EpisodeID, error]
	// PutSnapshot keeps a world of an open episode instead of an earlier one. It is a
	// cache: a crash may lose it, and the end of the episode deletes it.
	PutSnapshot(ctx context.Context, id astra.EpisodeID, s StoredSnapshot) error
	// Snapshot returns what was kept last; nil if there is none.
	Snapshot(ctx context.Context, id astra.EpisodeID) (*StoredSnapshot, error)
	// List returns a page of episodes, newest first.
	List(ctx context.Context, q astra.Query) (astra.Page, error)
}

// A StoredArena is a bundle as the store keeps it: the .arena form.
type StoredArena struct {
	Name   string
	Digest astra.Digest
	Bundle []byte
}

// A Judge turns episodes into scores. It is safe for concurrent use.
type Judge interface {
	// Check compiles and type-checks every verifier of an arena and bounds its cost.
	// hasState says whether verifiers may read state.
	Check(a *astra.Arena, hasState bool) error
	// Reads says what the verifiers of a task look at, so that nothing else is computed.
	Reads(a *astra.Arena, t *astra.Task) (astra.Reads, error)
	// Score judges an episode. An error is an *astra.ScoreError, or the context's.
	Score(ctx context.Context, ev astra.Evidence) (*astra.Score, error)
}
