package astra

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
)

// CassetteFile is where a bundle keeps what impure tools answered.
const CassetteFile = "cassette.jsonl"

// What a cassette may hold.
const (
	MaxCassetteEntries = 100_000
	MaxCassetteLine    = 2 << 20 // bytes: a call's arguments and its result
)

// A Match says what must be equal for a recorded answer to be the answer of a call.
type Match string

// By default all calls of the episode up to and including this one must be equal, so that
// a server with state replays right; MatchCall compares tool and arguments alone, which
// is the author's word that the tools only read.
const (
	MatchEpisode Match = "episode"
	MatchCall    Match = "call"
)

// A CassetteKey names an entry: the hex SHA-256 of what must be equal.
type CassetteKey string

// CassetteStart is the key before the first call of a world that begins with a scenario
// (nil: none). It is no entry's.
func CassetteStart(scenario json.RawMessage) CassetteKey {
	return cassetteKey("start", "", scenario)
}

// Next is the key of a call that comes after the calls behind k. Arguments are compact JSON.
func (m Match) Next(k CassetteKey, tool string, args json.RawMessage) CassetteKey {
	if m == MatchCall {
		k = "call"
	}
	return cassetteKey(string(k), tool, args)
}

func cassetteKey(before, tool string, args []byte) CassetteKey {
	h := sha256.New()
	fmt.Fprintf(h, "astra-cassette 1\n%s\n%s\n%s\n", before, tool, args)
	return CassetteKey(hex.EncodeToString(h.Sum(nil)))
}

// A Recording is one entry of a cassette: a call and what came back.
type Recording struct {
	Key    CassetteKey     `json:"key"`
	Tool   string          `json:"tool"` // for people; Key decides
	Args   json.RawMessage `json:"args"` // compact JSON
	Result Result          `json:"result"`
}

// A Cassette answers for impure tools. The zero value is empty; it is not for concurrent
// use while it is added to.
type Cassette struct {
	entries []Recording
	byKey   map[CassetteKey]int
}

// ReadCassette reads a bundle's cassette, one entry a line; a bundle without one has an
// empty one. An error names file and line.
func ReadCassette(b *Bundle) (*Cassette, error) {
	c := new(Cassette)
	text, _ := b.File(CassetteFile)
	n := 0
	for line := range bytes.Lines(text) {
		n++
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		if err := c.read(line); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", CassetteFile, n, err)
		}
	}
	return c, nil
}

func (c *Cassette) read(line []byte) error {
	if len(line) > MaxCassetteLine || len(c.entries) == MaxCassetteEntries {
		return fmt.Errorf("a cassette has at most %d lines of %d bytes: record less", MaxCassetteEntries, MaxCassetteLine)
	}
	var r Recording
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return fmt.Errorf("%s: record it again with `astra record`", shorten(err.Error()))
	}
	if (r.Result.Value == nil) == (r.Result.Error == "") {
		return errors.New("the result is neither a value nor an error: record it again with `astra record`")
	}
	if r.Result.OK() != (r.Result.Fault == "") {
		return errors.New("an error has a fault, and a value has none: record it again with `astra record`")
	}
	if _, ok := c.Find(r.Key); ok {
		return fmt.Errorf("the key %s comes twice: keep one", clip(string(r.Key)))
	}
	c.Add(r)
	return nil
}

// Find returns the recorded answer of a call.
func (c *Cassette) Find(k CassetteKey) (Result, bool) {
	i, ok := c.byKey[k]
	if !ok {
		return Result{}, false
	}
	return c.entries[i].Result, true
}

// Add records an answer; one that has the key already is replaced.
func (c *Cassette) Add(r Recording) {
	if c.byKey == nil {
		c.byKey = map[CassetteKey]int{}
	}
	if i, ok := c.byKey[r.Key]; ok {
		c.entries[i] = r
		return
	}
	c.byKey[r.Key] = len(c.entries)
	c.entries = append(c.entries, r)
}

// Len is how many answers are recorded.
func (c *Cassette) Len() int { return len(c.entries) }

// All yields the entries in the order of recording.
func (c *Cassette) All() iter.Seq[Recording] { return slices.Values(c.entries) }

// Bytes is the cassette as a file, in the order of recording. Answers keep their bytes.
func (c *Cassette) Bytes() ([]byte, error) {
	var b bytes.Buffer
	for _, r := range c.entries {
		line, err := plainJSON(r)
		if err != nil {
			return nil, err
		}
		b.Write(append(line, '\n'))
	}
	return b.Bytes(), nil
}
