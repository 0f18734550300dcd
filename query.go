package astra

import (
	"encoding/json"
	"time"
)

// A Query selects episodes. Zero fields select everything.
type Query struct {
	Arena  string // name
	Task   string
	Group  string
	Mode   Mode
	Status Status
	Cursor string // from the page before
	Limit  int    // at most 1000; default 50
}

// A Page is part of a listing, newest first.
type Page struct {
	Episodes []Summary `json:"episodes"`
	Next     string    `json:"next,omitempty"` // cursor of the next page; "" at the end
}

// A Summary is an episode in a listing.
type Summary struct {
	Episode  EpisodeID    `json:"episode"`
	Arena    string       `json:"arena"`
	Digest   Digest       `json:"digest"`
	Task     string       `json:"task"`
	Seed     int64        `json:"seed,omitempty"`
	Group    string       `json:"group,omitempty"`
	Mode     Mode         `json:"mode"`
	Policy   string       `json:"policy,omitempty"`
	Status   Status       `json:"status"`
	Steps    int          `json:"steps"`
	Reward   *float64     `json:"reward,omitempty"` // nil unless scored
	Fault    Fault        `json:"fault,omitempty"`
	Reason   string       `json:"reason,omitempty"`
	Failures *FailurePlan `json:"failures,omitempty"`
	OpenedAt time.Time    `json:"opened_at"`
}

// Summary is the episode's line in a listing.
func (e *Episode) Summary() Summary {
	s := Summary{Episode: e.Episode, Arena: e.Arena, Digest: e.Digest, Task: e.Task, Seed: e.Seed, Group: e.Group,
		Mode: e.Mode, Policy: e.Policy, Status: e.Status, Steps: len(e.Steps), Failures: e.Failures, OpenedAt: e.OpenedAt}
	if e.Score != nil {
		s.Reward = &e.Score.Reward
	}
	if e.Ended != nil {
		s.Fault, s.Reason = e.Ended.Fault, e.Ended.Reason
	}
	return s
}

// Evidence is all that a judge may look at.
type Evidence struct {
	Arena  *Arena
	Task   *Task
	Seed   int64
	Steps  []Step
	Turns  []Turn
	Answer string
	State  Result // of state() at the end; a failed one makes what reads it false
	Gold   Play   // the task's gold calls played in a world of their own
}

// A Play is a sequence of calls played out: the gold solution's.
type Play struct {
	Steps []Step
	State json.RawMessage // nil if the arena has no state()
}

// Reads is what judging a task needs besides its steps, turns and answer.
type Reads struct {
	State bool // of the episode's end
	Gold  bool // steps of the gold play, or its state
}
