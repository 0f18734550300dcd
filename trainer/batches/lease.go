package batches

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/astra-arenas/astra"
)

// Lease hands out the oldest batch that is ready; nil if there is none. Batches that have
// become too old are dropped.
func (q *Queue) Lease(ctx context.Context) (*Batch, error) {
	return q.lease(ctx, q.opts.Now().Add(q.opts.Lease).UTC())
}

// Take is Lease without an end: the batch is the caller's until Ack, Nack or Recall. It is for
// whoever hands out batches to itself alone, whose updates take what they take.
func (q *Queue) Take(ctx context.Context) (*Batch, error) { return q.lease(ctx, time.Time{}) }

func (q *Queue) lease(ctx context.Context, until time.Time) (*Batch, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	next, now := q.now(), q.opts.Now()
	before := len(next.Open)
	next.Open = slices.DeleteFunc(next.Open, func(e entry) bool { return e.Lease == "" && q.stale(&e, next.Policy, now) })
	next.Dropped += before - len(next.Open)
	i := slices.IndexFunc(next.Open, func(e entry) bool { return e.Lease == "" })
	if i < 0 {
		if before == len(next.Open) {
			return nil, nil
		}
		return nil, q.change(ctx, next)
	}
	e := &next.Open[i]
	b := &Batch{ID: e.ID, Policy: e.Policy, Made: e.Made, Lease: rand.Text(), Until: until}
	kept, err := q.notes.Note(ctx, q.key(e.ID))
	if err == nil && kept == nil {
		err = astra.ErrStoreCorrupt
	}
	if err == nil {
		err = json.Unmarshal(kept, &b.Groups)
	}
	if err != nil {
		return nil, fmt.Errorf("batches %s: %s: %w", q.name, e.ID, err)
	}
	e.Tries++
	e.Lease, e.Until, b.Tries = hash(b.Lease), b.Until, e.Tries
	return b, q.change(ctx, next)
}

func (q *Queue) stale(e *entry, policy int64, now time.Time) bool {
	return q.opts.MaxLag > 0 && policy-e.Policy > q.opts.MaxLag || q.opts.MaxAge > 0 && now.Sub(e.Made) > q.opts.MaxAge
}

func hash(lease string) string {
	h := sha256.Sum256([]byte(lease))
	return hex.EncodeToString(h[:])
}

// Wait leases a batch as soon as one is ready. The error is the context's cause if none is
// until it ends.
func (q *Queue) Wait(ctx context.Context) (*Batch, error) {
	for {
		q.mu.Lock()
		more, soonest := q.more, q.soonest()
		q.mu.Unlock()
		if b, err := q.Lease(ctx); b != nil || err != nil {
			return b, err
		}
		if err := q.pause(ctx, more, soonest); err != nil {
			return nil, err
		}
	}
}

// soonest is when the next lease runs out; zero if none does.
func (q *Queue) soonest() (at time.Time) {
	for _, e := range q.state.Open {
		if e.Lease != "" && !e.Until.IsZero() && (at.IsZero() || e.Until.Before(at)) {
			at = e.Until
		}
	}
	return at
}

func (q *Queue) pause(ctx context.Context, more <-chan struct{}, until time.Time) error {
	var out <-chan time.Time
	if !until.IsZero() {
		t := time.NewTimer(until.Sub(q.opts.Now()))
		defer t.Stop()
		out = t.C
	}
	select {
	case <-more:
	case <-out:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return nil
}

// Ack says that the update of a batch was made: it is done. Whoever does not know whether
// that arrived says it again: of the last 64 leases it changes nothing.
func (q *Queue) Ack(ctx context.Context, lease string) error { return q.ack(ctx, lease, 0) }

// AckNext is Ack, and with it the policy is a version newer: for trainers that publish nothing.
func (q *Queue) AckNext(ctx context.Context, lease string) error { return q.ack(ctx, lease, 1) }

func (q *Queue) ack(ctx context.Context, lease string, newer int64) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if slices.Contains(q.state.Acked, hash(lease)) {
		return nil
	}
	return q.leased(ctx, lease, func(s *state, i int) {
		s.Acked = append(slices.Clone(s.Acked[max(0, len(s.Acked)-acked+1):]), s.Open[i].Lease)
		s.Open = slices.Delete(s.Open, i, i+1)
		s.Done++
		s.Policy += newer
	})
}

// Nack gives a batch back: it is ready again, at its place.
func (q *Queue) Nack(ctx context.Context, lease string) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.leased(ctx, lease, func(s *state, i int) { s.Open[i].Lease, s.Open[i].Until = "", time.Time{} })
}

// Recall takes back every lease: their batches are ready again, for the policy version from
// which training goes on. It is for whoever hands out batches to itself alone, and does not
// know its leases any more; the versions that it published since then are lost, and its
// batches do not lag behind them.
func (q *Queue) Recall(ctx context.Context, version int64) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	next := q.now()
	for i := range next.Open {
		next.Open[i].Lease, next.Open[i].Until = "", time.Time{}
	}
	next.Policy = version
	return q.change(ctx, next)
}

// Extend has a lease begin anew.
func (q *Queue) Extend(ctx context.Context, lease string) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.leased(ctx, lease, func(s *state, i int) { s.Open[i].Until = q.opts.Now().Add(q.opts.Lease).UTC() })
}

// leased changes the batch of a lease. The caller holds mu.
func (q *Queue) leased(ctx context.Context, lease string, do func(*state, int)) error {
	next, sum := q.now(), hash(lease)
	i := slices.IndexFunc(next.Open, func(e entry) bool { return e.Lease == sum })
	if i < 0 {
		return ErrLease
	}
	do(&next, i)
	return q.change(ctx, next)
}
