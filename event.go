package astra

import (
	"encoding/json"
	"fmt"
	"time"
)

// EventSchema is the version of the records of an episode's log.
const EventSchema = 1

// An Event is one record of an episode's log; exactly one of its pointers is set.
// Time is kept beside and never compared.
type Event struct {
	Schema    int        `json:"schema"`
	Time      time.Time  `json:"time"`
	Opened    *Opened    `json:"opened,omitempty"`
	Calling   *Calling   `json:"calling,omitempty"`
	Called    *Step      `json:"called,omitempty"`
	Turned    *Turned    `json:"turned,omitempty"`
	Refused   *Refused   `json:"refused,omitempty"`
	Submitted *Submitted `json:"submitted,omitempty"`
	Scored    *Score     `json:"scored,omitempty"`
	Ended     *Ended     `json:"ended,omitempty"`
}

// Opened is the first event: everything that decides the world of the episode.
type Opened struct {
	Episode    EpisodeID    `json:"episode"`
	Parent     EpisodeID    `json:"parent,omitempty"` // of a fork
	At         int          `json:"at,omitempty"`     // steps inherited from the parent
	Arena      string       `json:"arena"`            // its name
	Digest     Digest       `json:"digest"`
	Runtime    string       `json:"runtime"`        // digest of the runtime
	Task       string       `json:"task"`           // "" is free play
	Seed       int64        `json:"seed,omitempty"` // doors leave the task's own out
	Now        time.Time    `json:"now"`
	Mode       Mode         `json:"mode"`
	Group      string       `json:"group,omitempty"`
	Policy     string       `json:"policy,omitempty"` // policy version
	View       View         `json:"view"`
	Failures   *FailurePlan `json:"failures,omitempty"` // as DecideFailures made it; nil: none
	Principal  string       `json:"principal,omitempty"`
	KeyHash    string       `json:"key_hash,omitempty"`
	Expires    time.Time    `json:"expires"`
	FirstInput string       `json:"first_input,omitempty"` // prompt of turn 1
}

// Calling is written before a call of an impure runtime is sent.
type Calling struct {
	N    int             `json:"n"`
	Tool string          `json:"tool"`
	Args json.RawMessage `json:"args"`
}

// Turned closes a turn with the agent's reply, and hands out the next message if there is one.
type Turned struct {
	Turn  int     `json:"turn"` // the turn that was closed
	Reply string  `json:"reply"`
	Next  *string `json:"next,omitempty"` // nil: there was none
}

// Refused is a call that was no step: beyond the budget.
type Refused struct {
	Tool   string `json:"tool"`
	Reason string `json:"reason"`
}

// Submitted ends the agent's part.
type Submitted struct {
	Answer   *string         `json:"answer,omitempty"`   // nil: none was given
	Messages json.RawMessage `json:"messages,omitempty"` // the harness's own transcript, agreed with the log
}

// Ended closes an episode without a score.
type Ended struct {
	As     Status `json:"as"`
	Fault  Fault  `json:"fault,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// Fold applies one event of the log. A log that does not make sense is refused.
func (e *Episode) Fold(ev Event) error {
	if ev.Schema > EventSchema || ev.Schema < 1 {
		return fmt.Errorf("log record of schema %d: this astra reads up to %d", ev.Schema, EventSchema)
	}
	if (ev.Opened == nil) == (e.Episode == "") {
		return fmt.Errorf("a log begins with opened, once")
	}
	switch {
	case ev.Opened != nil:
		e.Opened, e.Status, e.OpenedAt = *ev.Opened, StatusOpen, ev.Time
		e.Turns = []Turn{{Index: 1, Prompt: ev.Opened.FirstInput}}
	case ev.Calling != nil:
		e.Pending = ev.Calling
	case ev.Called != nil:
		if ev.Called.Index != len(e.Steps)+1 {
			return fmt.Errorf("step %d follows %d steps", ev.Called.Index, len(e.Steps))
		}
		e.Steps, e.Pending = append(e.Steps, *ev.Called), nil
	case ev.Turned != nil:
		e.turn(ev.Turned)
	case ev.Refused != nil:
		e.Refused++
	case ev.Submitted != nil:
		e.Submission, e.Status = ev.Submitted, StatusSubmitted
	case ev.Scored != nil:
		e.score(ev)
	case ev.Ended != nil:
		e.Ended, e.Status, e.EndedAt = ev.Ended, ev.Ended.As, ev.Time
	default:
		return fmt.Errorf("empty log record")
	}
	e.ActiveAt = ev.Time
	return nil
}

func (e *Episode) turn(t *Turned) {
	e.Turns[len(e.Turns)-1].Reply = &t.Reply
	if t.Next != nil {
		e.Turns = append(e.Turns, Turn{Index: len(e.Turns) + 1, Prompt: *t.Next})
	}
}

// score keeps the first score for ever; later ones are re-scores.
func (e *Episode) score(ev Event) {
	if e.Score != nil {
		e.Rescored = append(e.Rescored, *ev.Scored)
		return
	}
	e.Score, e.Status, e.EndedAt = ev.Scored, StatusScored, ev.Time
}

// Replay folds a whole log into an episode.
func Replay(log []Event) (*Episode, error) {
	e := new(Episode)
	for i, ev := range log {
		if err := e.Fold(ev); err != nil {
			return nil, fmt.Errorf("log record %d: %w", i+1, err)
		}
	}
	return e, nil
}
