package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/dgraph-io/badger/v4"

	"github.com/astra-arenas/astra"
)

// A head is what is known of a log without reading it. It decides which events count.
type head struct {
	Schema  int           `json:"schema"`
	Events  int           `json:"events"`
	Summary astra.Summary `json:"summary"`
}

const headSchema = 1

func (h *head) over() bool {
	return h.Summary.Status != astra.StatusOpen && h.Summary.Status != astra.StatusSubmitted
}

// accepts refuses what cannot follow. Whether a log makes sense in every detail is for
// Episode.Fold to say; here only what later reads rely on is held.
func (h *head) accepts(id astra.EpisodeID, ev astra.Event) error {
	switch {
	case ev.Schema != astra.EventSchema:
		return fmt.Errorf("%w: event of schema %d, want %d", astra.ErrRefused, ev.Schema, astra.EventSchema)
	case (ev.Opened != nil) != (h.Events == 0):
		return fmt.Errorf("%w: a log begins with opened, once", astra.ErrRefused)
	case ev.Opened != nil && ev.Opened.Episode != id:
		return fmt.Errorf("%w: opened names episode %q", astra.ErrRefused, ev.Opened.Episode)
	case ev.Opened != nil && ev.Opened.KeyHash != "" && !validID(ev.Opened.KeyHash):
		return fmt.Errorf("%w: opened has a key hash that is none", astra.ErrRefused)
	case h.Events >= maxEvents:
		return fmt.Errorf("%w: the log is full", astra.ErrRefused)
	case h.over() && h.Events > 0 && ev.Scored == nil && ev.Refused == nil:
		return astra.ErrEnded
	}
	return nil
}

// add counts an event in; it is Episode.Fold and Episode.Summary in small.
func (h *head) add(ev astra.Event) {
	h.Events++
	s := &h.Summary
	switch {
	case ev.Opened != nil:
		e := astra.Episode{Opened: *ev.Opened, Status: astra.StatusOpen, OpenedAt: ev.Time}
		*s = e.Summary()
	case ev.Called != nil:
		s.Steps++
	case ev.Submitted != nil:
		s.Status = astra.StatusSubmitted
	case ev.Scored != nil && s.Reward == nil:
		reward := ev.Scored.Reward
		s.Status, s.Reward = astra.StatusScored, &reward
	case ev.Ended != nil:
		s.Status, s.Fault, s.Reason = ev.Ended.As, ev.Ended.Fault, ev.Ended.Reason
	}
}

const (
	// headEvery is how often a head is written that only lone events have moved; so many
	// at most are read to catch up.
	headEvery = 32
	// loneMark is badger's user byte of a record that counts without a head: an append of
	// one event is whole as soon as it is there. Records of longer appends do not have
	// it, so what a broken one left never counts.
	loneMark = 1
)

// isLone reports whether an append changes nothing of a head but its counts, so that the
// head may follow later: a step is written once, not with a head as long again.
func isLone(events []astra.Event) bool {
	ev := &events[0]
	return len(events) == 1 && (ev.Called != nil || ev.Calling != nil || ev.Turned != nil || ev.Refused != nil)
}

// readHead reads a head and counts in the lone events that came after it was written.
func readHead(txn *badger.Txn, id astra.EpisodeID) (*head, error) {
	h, err := storedHead(txn, id)
	if err != nil {
		return nil, err
	}
	for range headEvery {
		key := eventKey(id, h.Events+1)
		item, err := txn.Get([]byte(key))
		if errors.Is(err, badger.ErrKeyNotFound) || err == nil && item.UserMeta() != loneMark {
			break
		}
		if err != nil {
			return nil, readError(key, err)
		}
		var ev astra.Event
		if err := item.Value(func(b []byte) error { return json.Unmarshal(b, &ev) }); err != nil {
			return nil, readError(key, err)
		}
		h.add(ev)
	}
	return h, nil
}

func storedHead(txn *badger.Txn, id astra.EpisodeID) (*head, error) {
	h := new(head)
	if err := getJSON(txn, headKey(id), h); err != nil {
		return nil, err
	}
	if h.Schema != headSchema {
		return nil, fmt.Errorf("%w: head of schema %d, this astra reads %d", ErrNewer, h.Schema, headSchema)
	}
	return h, nil
}

// getJSON reads a record; astra.ErrNotFound if there is none.
func getJSON(txn *badger.Txn, key string, v any) error {
	item, err := txn.Get([]byte(key))
	if err != nil {
		return readError(key, err)
	}
	return readError(key, item.Value(func(b []byte) error { return json.Unmarshal(b, v) }))
}

// encode writes JSON without escaping <, > and &: a result must come back byte for byte,
// and json.Marshal would rewrite it even inside a RawMessage.
func encode(v any) ([]byte, error) {
	e := encoders.Get().(*encoder)
	defer e.put()
	e.buf.Reset()
	if err := e.json.Encode(v); err != nil {
		return nil, err
	}
	return bytes.Clone(bytes.TrimSuffix(e.buf.Bytes(), []byte("\n"))), nil
}

// An encoder is kept for its buffer: a record is encoded at every call of a tool.
type encoder struct {
	buf  bytes.Buffer
	json *json.Encoder
}

// put gives the encoder back, unless an uncommonly large record made it so.
func (e *encoder) put() {
	if e.buf.Cap() <= 1<<20 {
		encoders.Put(e)
	}
}

var encoders = sync.Pool{New: func() any {
	e := new(encoder)
	e.json = json.NewEncoder(&e.buf)
	e.json.SetEscapeHTML(false)
	return e
}}

// headCache keeps the heads of episodes that were appended to lately, so that an append
// need not read. It forgets the older half when the younger is full; it belongs to the
// committer alone.
type headCache struct{ young, old map[astra.EpisodeID]*head }

// maxYoung bounds the cache at twice as many heads, some 500 bytes each: what
// is not here is read at the episode's next step.
const maxYoung = 64 << 10

func (c *headCache) get(id astra.EpisodeID) *head {
	if h := c.young[id]; h != nil {
		return h
	}
	return c.old[id]
}

func (c *headCache) put(id astra.EpisodeID, h *head) {
	delete(c.old, id)
	if h.over() {
		delete(c.young, id)
		return
	}
	if len(c.young) >= maxYoung || c.young == nil {
		c.old, c.young = c.young, make(map[astra.EpisodeID]*head)
	}
	c.young[id] = h
}
