package batches

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/trainer/groups"
)

// Notes keep small values by key: a store does.
type Notes interface {
	// Note returns what is kept under a key, nil if nothing is.
	Note(ctx context.Context, key string) ([]byte, error)
	// PutNote keeps a value, which survives kill -9 when it returns.
	PutNote(ctx context.Context, key string, value []byte) error
}

// Options adjusts a Queue. A zero field, or a nil *Options, means the default. All but Now
// may be another the next time.
type Options struct {
	Size    int           // samples of a batch; default 256, the paper's
	Delta   float64       // the rewards of a group must spread by more than this; default 0
	Lease   time.Duration // default 10 min
	MaxLag  int64         // policy versions that a batch may be behind; default no bound
	MaxAge  time.Duration // of a batch; default no bound
	MaxOpen int           // batches that are not done; default 10,000, as each change writes a line for each of them
	Now     func() time.Time
}

// ErrLease is a lease that is not, or no longer, of the batch: it ran out, or was never given.
var ErrLease = fmt.Errorf("the batch is not leased to you: %w", astra.ErrRefused)

// ErrBacklog is a group that would fill one batch more than may wait.
var ErrBacklog = fmt.Errorf("as many batches wait as may, and nobody takes them: start a trainer: %w", astra.ErrRefused)

// A Batch is groups that are leased to a trainer together.
type Batch struct {
	ID     string         `json:"id"`
	Groups []groups.Group `json:"groups"`
	Policy int64          `json:"policy"` // least version of its groups
	Made   time.Time      `json:"made"`
	Tries  int            `json:"tries"` // how often it was handed out, this time included
	Lease  string         `json:"lease"` // for Ack, Nack and Extend
	Until  time.Time      `json:"until"` // when the lease runs out; zero: it does not
}

// A Status counts batches.
type Status struct {
	Ready   int    `json:"ready"`
	Leased  int    `json:"leased"`
	Done    int    `json:"done"`            // acknowledged
	Dropped int    `json:"dropped"`         // too old
	Groups  int    `json:"groups"`          // that wait for a batch
	Missing int    `json:"missing"`         // samples until the next
	Policy  int64  `json:"policy"`          // newest version that was told of
	Model   string `json:"model,omitempty"` // as the policy's server names that version; "" if nobody said
}

// A Queue is batches on their way to trainers. It is safe for concurrent use.
type Queue struct {
	notes Notes
	name  string
	opts  Options

	mu    sync.Mutex
	state state
	more  chan struct{} // closed, and made anew, when a batch may have become ready
}

// state is what is kept of a queue besides the groups of its batches.
type state struct {
	Schema  int            `json:"schema"`
	Next    int            `json:"next"`             // number of the next batch
	Open    []entry        `json:"open"`             // oldest first
	Left    []groups.Group `json:"left"`             // that wait for a batch
	Recent  []string       `json:"recent,omitempty"` // names of the groups that were kept last, oldest first
	Acked   []string       `json:"acked,omitempty"`  // leases that were acknowledged last, as in an entry, oldest first
	Done    int            `json:"done"`
	Dropped int            `json:"dropped"`
	Policy  int64          `json:"policy"`
	Model   string         `json:"model,omitempty"`
}

const schema = 1

// recent is how many names of groups are remembered, or as many as a batch has samples, if that
// is more: a loop that was killed adds all groups of its round again.
const recent = 256

// acked is how many acknowledged leases are remembered, for those whose answer was lost.
const acked = 64

// An entry is a batch that is not done.
type entry struct {
	ID     string    `json:"id"`
	Policy int64     `json:"policy"`
	Made   time.Time `json:"made"`
	Tries  int       `json:"tries"`
	Lease  string    `json:"lease,omitempty"` // SHA-256 of it, in hex; "" if it is ready
	Until  time.Time `json:"until,omitzero"`  // zero with a lease that does not run out
}

var queueName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,63}$`)

// Open takes up a queue where it was, or begins one.
func Open(ctx context.Context, notes Notes, name string, opts *Options) (*Queue, error) {
	q := &Queue{notes: notes, name: name, more: make(chan struct{}), state: state{Schema: schema, Open: []entry{}}}
	if opts != nil {
		q.opts = *opts
	}
	if q.opts.Size == 0 {
		q.opts.Size = 256
	}
	if q.opts.Lease == 0 {
		q.opts.Lease = 10 * time.Minute
	}
	if q.opts.MaxOpen == 0 {
		q.opts.MaxOpen = 10_000
	}
	if q.opts.Now == nil {
		q.opts.Now = time.Now
	}
	if !queueName.MatchString(name) || q.opts.Size < 1 || !(q.opts.Delta >= 0) || q.opts.Lease < 0 || q.opts.MaxLag < 0 || q.opts.MaxAge < 0 || q.opts.MaxOpen < 0 {
		return nil, fmt.Errorf("batches %.64q: %w: a name has letters, digits, - and _, and no option is below 0", name, astra.ErrRefused)
	}
	kept, err := notes.Note(ctx, q.key("state"))
	if err != nil || kept == nil {
		return q, err
	}
	if err := json.Unmarshal(kept, &q.state); err != nil || q.state.Schema != schema {
		return nil, fmt.Errorf("batches %s: %w: the state has schema %d, this astra reads %d", name, astra.ErrStoreCorrupt, q.state.Schema, schema)
	}
	return q, nil
}

func (q *Queue) key(what string) string { return "batches/" + q.name + "/" + what }

// change makes a change of the state that is kept, or none.
func (q *Queue) change(ctx context.Context, next state) error {
	b, err := json.Marshal(next)
	if err != nil {
		return err
	}
	if err := q.notes.PutNote(ctx, q.key("state"), b); err != nil {
		return fmt.Errorf("batches %s: %w", q.name, err)
	}
	q.state = next
	close(q.more)
	q.more = make(chan struct{})
	return nil
}

// now is the state as it is after leases ran out.
func (q *Queue) now() state {
	s, now := q.state, q.opts.Now()
	s.Open = slices.Clone(s.Open)
	for i := range s.Open {
		if e := &s.Open[i]; e.Lease != "" && !e.Until.IsZero() && !now.Before(e.Until) {
			e.Lease, e.Until = "", time.Time{}
		}
	}
	return s
}

// Add takes a group, which is kept when it returns, and reports whether its rewards spread
// enough to tell something. As many batches are made as have become full; the error is
// ErrBacklog if too many wait already. Whoever does not
// know whether a group arrived adds it again: of the last 256 names, or Size if that is more,
// none is taken twice.
func (q *Queue) Add(ctx context.Context, g groups.Group) (kept bool, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	next := q.now()
	f, err := groups.NewFilling(q.opts.Size, q.opts.Delta, next.Left)
	if err != nil {
		return false, err
	}
	if kept, err = f.Add(g); err != nil || !kept || slices.Contains(next.Recent, g.Name) {
		return kept, err
	}
	for {
		batch, full := f.Batch()
		if !full {
			break
		}
		if len(next.Open) >= q.opts.MaxOpen {
			return false, fmt.Errorf("batches %s: %w", q.name, ErrBacklog)
		}
		if err := q.put(ctx, &next, batch); err != nil {
			return false, err
		}
	}
	next.Left = f.Left()
	next.Recent = append(slices.Clone(next.Recent[max(0, len(next.Recent)-max(recent, q.opts.Size)+1):]), g.Name)
	return true, q.change(ctx, next)
}

// put writes the groups of a batch down. It counts when the state has it.
func (q *Queue) put(ctx context.Context, next *state, batch []groups.Group) error {
	e := entry{ID: fmt.Sprintf("%08d", next.Next), Made: q.opts.Now().UTC(), Policy: batch[0].Policy}
	for _, g := range batch {
		e.Policy = min(e.Policy, g.Policy)
	}
	b, err := json.Marshal(batch)
	if err != nil {
		return err
	}
	if err := q.notes.PutNote(ctx, q.key(e.ID), b); err != nil {
		return fmt.Errorf("batches %s: %w", q.name, err)
	}
	next.Next++
	next.Open = append(next.Open, e)
	return nil
}

// Publish tells of a policy version, and what the policy's server calls it, "" for what it
// did before: batches that lag too far behind it are not handed out any more. Versions only
// grow, but for Recall.
func (q *Queue) Publish(ctx context.Context, version int64, model string) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	next := q.now()
	if version < next.Policy {
		return fmt.Errorf("version %d comes after %d: %w", version, next.Policy, astra.ErrRefused)
	}
	if version == next.Policy && (model == "" || model == next.Model) {
		return nil
	}
	if next.Policy = version; model != "" {
		next.Model = model
	}
	return q.change(ctx, next)
}

// Changes is Status, and a channel that is closed when it may have become another.
func (q *Queue) Changes() (Status, <-chan struct{}) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.status(), q.more
}

// Status counts.
func (q *Queue) Status() Status {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.status()
}

func (q *Queue) status() Status {
	now := q.now()
	s := Status{Done: now.Done, Dropped: now.Dropped, Groups: len(now.Left), Missing: q.opts.Size, Policy: now.Policy, Model: now.Model}
	for _, e := range now.Open {
		if e.Lease == "" {
			s.Ready++
		} else {
			s.Leased++
		}
	}
	for _, g := range now.Left {
		s.Missing = max(s.Missing-len(g.Members), 0)
	}
	return s
}
