package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/dgraph-io/badger/v4"
	"golang.org/x/sys/unix"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
)

// A write is one thing to commit, in whole or not at all, and who waits for it.
type write struct {
	stage func(*batch) error // puts its entries; a refusal must come before the first
	sync  gateway.Sync
	size  int
	done  chan error // capacity 1
}

// At most this much is committed together. More gains nothing and holds up the first.
const (
	maxBatchWrites = 512
	maxBatchBytes  = 1 << 20
)

// submit hands a write to the committer and waits for it. When ctx ends first the write
// may still be made.
func (s *Store) submit(ctx context.Context, w *write) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	w.done = make(chan error, 1)
	if err := s.enqueue(ctx, w); err != nil {
		return err
	}
	select {
	case err := <-w.done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (s *Store) enqueue(ctx context.Context, w *write) error {
	s.life.RLock()
	defer s.life.RUnlock()
	if s.closed {
		return ErrClosed
	}
	select {
	case s.queue <- w:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// commitLoop is the only writer of the database. One transaction takes many writes: a
// commit costs some 15 µs whatever is in it.
func (s *Store) commitLoop() {
	for w := range s.queue {
		ws, size := []*write{w}, w.size
		for more := true; more && len(ws) < maxBatchWrites && size < maxBatchBytes; {
			select {
			case w, open := <-s.queue:
				if more = open; open {
					ws, size = append(ws, w), size+w.size
				}
			default:
				more = false
			}
		}
		s.commit(ws, size)
	}
}

// commit makes the writes and tells each waiter; those that want to be synced are left to the syncer.
func (s *Store) commit(ws []*write, size int) {
	staged, err := s.stage(ws, size)
	var waiting []*write
	for _, w := range staged {
		if err == nil && w.sync == gateway.Synced {
			waiting = append(waiting, w)
		} else {
			w.done <- err
		}
	}
	if err == nil && len(staged) > 0 {
		s.syncer.committed(waiting)
	}
}

// stage commits what is acceptable and answers the rest.
func (s *Store) stage(ws []*write, size int) (staged []*write, err error) {
	if err := s.writable(size); err != nil {
		return ws, err
	}
	b := &batch{s: s}
	b.begin()
	defer func() { b.txn.Discard() }()
	for _, w := range ws {
		if err := w.stage(b); err != nil && b.err == nil {
			w.done <- err
		} else {
			staged = append(staged, w)
		}
	}
	if len(staged) > 0 {
		b.commit()
	}
	return staged, b.err
}

// spaceHolds is how long a look at the free space is believed; the reserve is what others
// may take of it meanwhile.
const spaceHolds = 20 * time.Millisecond

// writable says why nothing can be written now, if so. Of the reserve a sixteenth may be
// written between two looks at the free space.
func (s *Store) writable(size int) error {
	if err := s.failure(); err != nil {
		return err
	}
	s.unlooked += int64(size)
	if s.unlooked < s.opts.Reserve/16 && time.Since(s.looked) < spaceHolds {
		return nil
	}
	if err := s.hasSpace(); err != nil {
		return err
	}
	s.unlooked, s.looked = 0, time.Now()
	return nil
}

func (s *Store) hasSpace() error {
	var fs unix.Statfs_t
	if err := unix.Statfs(s.dir, &fs); err != nil {
		return fmt.Errorf("store %s: %w", s.dir, err)
	}
	if free := int64(fs.Bavail) * int64(fs.Bsize); free < s.opts.Reserve {
		return fmt.Errorf("store %s: %w: %d MiB free, %d MiB are kept in reserve: make room on this disk; nothing is lost",
			s.dir, ErrNoSpace, free>>20, s.opts.Reserve>>20)
	}
	return nil
}

// A batch is the transaction being filled. When badger's limit is reached it commits and goes on
// in another one: writes stay whole because their head comes last.
type batch struct {
	s   *Store
	txn *badger.Txn
	n   uint64
	err error // the store has failed; everything after is in vain
	big bool  // a value went to the value log
}

func (b *batch) put(key string, value []byte) {
	b.big = b.big || len(value) >= valueThreshold
	b.do(func() error { return b.txn.Set([]byte(key), value) })
}

// putLone is put for a record that counts without a head.
func (b *batch) putLone(key string, value []byte) {
	b.big = b.big || len(value) >= valueThreshold
	b.do(func() error { return b.txn.SetEntry(badger.NewEntry([]byte(key), value).WithMeta(loneMark)) })
}

func (b *batch) delete(key string) {
	b.do(func() error { return b.txn.Delete([]byte(key)) })
}

func (b *batch) do(f func() error) {
	if b.err != nil {
		return
	}
	err := f()
	if errors.Is(err, badger.ErrTxnTooBig) {
		if b.commit(); b.err != nil {
			return
		}
		b.begin()
		err = f()
	}
	if err != nil {
		b.err = b.s.fail(err)
	}
}

// begin starts a transaction with the number of its commit, by which a later Open knows
// that nothing synced is missing.
func (b *batch) begin() {
	b.n = b.s.syncer.commits.Load() + 1
	b.txn = b.s.db.NewTransaction(true)
	b.put(commitsKey, strconv.AppendUint(nil, b.n, 10))
}

func (b *batch) commit() {
	if b.err != nil {
		return
	}
	if err := b.txn.Commit(); err != nil {
		b.err = b.s.fail(err)
		return
	}
	b.s.syncer.wrote(b.n, b.big)
}

// head returns the head of an episode as of this batch, or an empty one.
func (b *batch) head(id astra.EpisodeID) (*head, error) {
	if h := b.s.heads.get(id); h != nil {
		return h, nil
	}
	h, err := readHead(b.txn, id)
	if errors.Is(err, astra.ErrNotFound) {
		return &head{Schema: headSchema}, nil
	}
	return h, err
}
