package astra

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"encoding/json"
	"time"
)

// An EpisodeID is an episode's public name: REST, logs, exports.
type EpisodeID string

// A Key is the secret that binds an agent to its episode: 128 random bits, shown once,
// kept as its hash, never logged.
type Key string

var base32Lower = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// NewEpisodeID returns a fresh public id.
func NewEpisodeID() EpisodeID {
	var b [10]byte
	rand.Read(b[:])
	return EpisodeID("ep-" + base32Lower.EncodeToString(b[:]))
}

// NewKey returns a fresh secret.
func NewKey() Key {
	var b [16]byte
	rand.Read(b[:])
	return Key(hex.EncodeToString(b[:]))
}

// Hash is the form in which a key is kept.
func (k Key) Hash() string {
	h := sha256.Sum256([]byte(k))
	return hex.EncodeToString(h[:])
}

// A Mode says who opened an episode and what it may be used for.
type Mode string

// Train plays the train split only; eval never feeds batches or SFT; practice never
// reaches a trainer, an export or a statistic.
const (
	Practice Mode = "practice"
	Train    Mode = "train"
	Eval     Mode = "eval"
)

// A Status is where an episode is in its life.
type Status string

// Open episodes take calls and turns; submitted ones wait for their score; the rest are over.
const (
	StatusOpen      Status = "open"
	StatusSubmitted Status = "submitted"
	StatusScored    Status = "scored"
	StatusExpired   Status = "expired"
	StatusAborted   Status = "aborted"
	StatusInvalid   Status = "invalid"
)

// A Call is what an agent asks for.
type Call struct {
	Tool string
	Args json.RawMessage // an object; as the agent sent it
	Key  string          // idempotency key, or ""
}

// A Result is what came back from a call: a value, or a failure that the agent may read.
type Result struct {
	Value    json.RawMessage `json:"value,omitempty"` // compact JSON; nil when failed
	Error    string          `json:"error,omitempty"` // "" when ok; no host paths, no stack
	Fault    Fault           `json:"fault,omitempty"` // FaultAgent or FaultTool when failed
	Breach   bool            `json:"breach,omitempty"`
	Injected bool            `json:"injected,omitempty"` // a planned failure: not counted
	Log      string          `json:"log,omitempty"`      // what the tool logged; never shown to agents
}

// OK reports whether the tool returned a value.
func (r Result) OK() bool { return r.Error == "" }

// Failed makes a failed result.
func Failed(fault Fault, message string) Result {
	if message == "" {
		message = "failed"
	}
	return Result{Error: message, Fault: fault}
}

// A Step is one tool call and what came back; a tool that fails still yields one.
type Step struct {
	Index  int             `json:"index"` // from 1
	Turn   int             `json:"turn"`  // from 1
	Tool   string          `json:"tool"`
	Args   json.RawMessage `json:"args"` // compact JSON object
	Key    string          `json:"key,omitempty"`
	Result Result          `json:"result"`
}

// A Turn is one user message that was handed out, and the agent's reply once it closed.
type Turn struct {
	Index  int     `json:"index"` // from 1
	Prompt string  `json:"prompt"`
	Reply  *string `json:"reply,omitempty"` // nil while the turn is open
}

// A View is the tools an agent sees: the task's own at each turn, and distractors.
type View struct {
	Tools       []string     `json:"tools"`           // the arena's own, from the first turn
	Added       [][]string   `json:"added,omitempty"` // by turn, from the first: what each adds
	Distractors []Distractor `json:"distractors,omitempty"`
}

// A Distractor is a tool of another arena, which the task does not need.
type Distractor struct {
	Arena  string `json:"arena"`
	Tool   string `json:"tool"`
	Digest Digest `json:"digest"`
}

// At returns the names in view at a turn, own tools first.
func (v View) At(turn int) []string {
	names := append([]string(nil), v.Tools...)
	for i, added := range v.Added {
		if i < turn {
			names = append(names, added...)
		}
	}
	for _, d := range v.Distractors {
		names = append(names, d.Tool)
	}
	return names
}

// An Episode is the record of one attempt at one task: what its log says, folded.
type Episode struct {
	Opened
	Status     Status     `json:"status"`
	Steps      []Step     `json:"steps"`
	Turns      []Turn     `json:"turns"`
	Refused    int        `json:"refused,omitempty"` // calls beyond the budget or after the end
	Submission *Submitted `json:"submission,omitempty"`
	Score      *Score     `json:"score,omitempty"`
	Rescored   []Score    `json:"rescored,omitempty"`
	Ended      *Ended     `json:"ended,omitempty"`
	Pending    *Calling   `json:"-"` // a call of an impure runtime without its result
	ActiveAt   time.Time  `json:"-"` // when something was last added to its log
	OpenedAt   time.Time  `json:"opened_at"`
	EndedAt    time.Time  `json:"ended_at,omitzero"`
}

// Turn is the number of the turn being played.
func (e *Episode) Turn() int { return len(e.Turns) }

// Over reports whether no more calls are taken.
func (e *Episode) Over() bool { return e.Status != StatusOpen }

// ByKey returns the recorded step of an idempotency key, or nil.
func (e *Episode) ByKey(key string) *Step {
	if key == "" {
		return nil
	}
	for i := range e.Steps {
		if e.Steps[i].Key == key {
			return &e.Steps[i]
		}
	}
	return nil
}

// AnswerText is the answer as verifiers see it: "" if none.
func (e *Episode) AnswerText() string {
	if e.Submission == nil || e.Submission.Answer == nil {
		return ""
	}
	return *e.Submission.Answer
}
