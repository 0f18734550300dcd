package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
)

// Schema is the version of the layout of a store.
const Schema = 1

// What callers branch on, besides the errors of package astra.
var (
	ErrClosed  = errors.New("the store is closed")
	ErrNoSpace = errors.New("the disk is full")
	ErrFailed  = errors.New("the store failed to write and must be opened again")
	ErrNewer   = errors.New("the store was written by a newer astra")
)

// Options adjusts a Store. A zero field, or a nil *Options, means the default.
type Options struct {
	// Memtable is how many bytes of the newest records are held in memory before they
	// become a table: from 8 MiB to 1 GiB, default 16 MiB. The store takes up to three
	// times as much.
	Memtable int64
	// Cache bounds the blocks of tables held in memory, in bytes; default 32 MiB.
	Cache int64
	// Reserve is how many bytes must be free on the disk for a write to be taken;
	// default four memtables: what is in memory must still fit.
	Reserve int64
	// GCEvery is how often space in the value log is reclaimed; default 10 min.
	GCEvery time.Duration
	Logger  *slog.Logger // default discards
}

func (o *Options) withDefaults() (Options, error) {
	var opts Options
	if o != nil {
		opts = *o
	}
	set(&opts.Memtable, 16<<20)
	set(&opts.Cache, 32<<20)
	set(&opts.Reserve, 4*opts.Memtable)
	set(&opts.GCEvery, 10*time.Minute)
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Memtable < 8<<20 || opts.Memtable > 1<<30 {
		return opts, fmt.Errorf("store: a memtable of %d bytes: want 8 MiB to 1 GiB", opts.Memtable)
	}
	if opts.Cache < 0 || opts.Reserve < 0 || opts.GCEvery < 0 {
		return opts, errors.New("store: an option is negative")
	}
	return opts, nil
}

func set[T int64 | time.Duration](v *T, def T) {
	if *v == 0 {
		*v = def
	}
}

// A Store keeps arenas and episode logs in a directory that it alone owns. It is safe for
// concurrent use. It implements gateway.Store.
type Store struct {
	dir    string
	opts   Options
	lock   *os.File // held until Close
	db     *badger.DB
	syncer *syncer
	// Of the committer alone:
	looked   time.Time // when free space was last looked at
	unlooked int64     // bytes written since

	queue  chan *write
	heads  headCache // the committer's
	failed atomic.Pointer[error]
	wg     sync.WaitGroup // committer and collector
	stop   chan struct{}  // ends the collector

	life   sync.RWMutex // held for reading while the database is used
	closed bool
}

var _ gateway.Store = (*Store)(nil)

// Open opens the store in a directory, or makes one there. If another process owns it,
// the error is an *OwnedError; if it is damaged, astra.ErrStoreCorrupt; if a newer astra
// wrote it, ErrNewer. The caller closes it.
func Open(dir string, o *Options) (*Store, error) {
	opts, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	dir, err = filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	lock, err := own(dir)
	if err != nil {
		return nil, err
	}
	s := &Store{dir: dir, opts: opts, lock: lock, queue: make(chan *write, maxBatchWrites), stop: make(chan struct{})}
	if err := s.open(); err != nil {
		lock.Close()
		return nil, err
	}
	s.wg.Go(s.commitLoop)
	s.wg.Go(s.collect)
	go s.syncer.loop()
	return s, nil
}

// open is Open with the lock held.
func (s *Store) open() (err error) {
	var undo []io.Closer
	defer func() {
		for i := len(undo) - 1; err != nil && i >= 0; i-- {
			undo[i].Close()
		}
	}()
	mark, err := readMark(s.dir)
	if err != nil {
		return err
	}
	if s.db, err = openBadger(s.dir, &s.opts); err != nil {
		return err
	}
	undo = append(undo, s.db)
	if err := s.checkSchema(); err != nil {
		return err
	}
	if s.syncer, err = newSyncer(s.dir, s.fail); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	undo = append(undo, s.syncer.mark)
	return s.resume(mark)
}

// resume takes up the count of commits, which must have reached what was once synced.
func (s *Store) resume(mark uint64) error {
	n, err := s.readNumber(commitsKey)
	if err != nil {
		return err
	}
	if n < mark {
		return damaged(s.dir, fmt.Errorf("commits up to %d were on disk, now they end at %d", mark, n))
	}
	s.syncer.commits.Store(n)
	return nil
}

func (s *Store) checkSchema() error {
	n, err := s.readNumber(schemaKey)
	switch {
	case err != nil:
		return err
	case n > Schema:
		return fmt.Errorf("store %s: %w: layout %d, this one reads %d: use the newer astra, or another directory", s.dir, ErrNewer, n, Schema)
	case n == Schema:
		return nil
	}
	err = s.db.Update(func(txn *badger.Txn) error {
		return txn.Set([]byte(schemaKey), strconv.AppendInt(nil, Schema, 10))
	})
	if err != nil {
		return fmt.Errorf("store %s: %w", s.dir, err)
	}
	return nil
}

// readNumber reads a decimal record; 0 if there is none.
func (s *Store) readNumber(key string) (n uint64, err error) {
	err = s.db.View(func(txn *badger.Txn) error { return getJSON(txn, key, &n) })
	if errors.Is(err, astra.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("store %s: %w", s.dir, err)
	}
	return n, nil
}

// Close waits for what is being written, syncs it, and gives the store up. Later calls
// answer ErrClosed; a second Close is no error.
func (s *Store) Close() error {
	s.life.Lock()
	defer s.life.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	close(s.queue)
	close(s.stop)
	s.wg.Wait()
	err := errors.Join(s.syncer.close(), s.db.Close())
	// The record goes before the lock: whoever gets the lock must not remove, nor meet, another's.
	err = errors.Join(err, nilIfNotExist(os.Remove(ownerPath(s.dir))), s.lock.Close())
	if err != nil {
		return fmt.Errorf("closing store %s: %w", s.dir, err)
	}
	return nil
}

// view reads the database, and keeps it open meanwhile. badger panics when it is read
// just after it failed to write, and on some damage: that is this store's failure, not the process's.
func (s *Store) view(ctx context.Context, f func(*badger.Txn) error) (err error) {
	s.life.RLock()
	defer s.life.RUnlock()
	if s.closed {
		return ErrClosed
	}
	if err := s.failure(); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	defer func() {
		if r := recover(); r != nil {
			err = s.fail(fmt.Errorf("badger: %v", r))
		}
	}()
	return s.db.View(f)
}

// fail makes the store refuse everything from now on, and returns why.
func (s *Store) fail(cause error) error {
	err := fmt.Errorf("store %s: %w: %w", s.dir, ErrFailed, cause)
	if s.failed.CompareAndSwap(nil, &err) {
		s.opts.Logger.Error("store failed", "dir", s.dir, "error", cause)
	}
	return *s.failed.Load()
}

func (s *Store) failure() error {
	if p := s.failed.Load(); p != nil {
		return *p
	}
	return nil
}

// collect reclaims space in the value log now and then.
func (s *Store) collect() {
	tick := time.NewTicker(s.opts.GCEvery)
	defer tick.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-tick.C:
			s.collectGarbage()
		}
	}
}

func (s *Store) collectGarbage() {
	for s.failure() == nil && s.db.RunValueLogGC(0.5) == nil {
		select {
		case <-s.stop:
			return
		default:
		}
	}
}
