package store

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// syncAfter is how long a commit that nobody waits for may stay unsynced. DESIGN.md
// promises 100 ms; the other half is for the sync itself.
const syncAfter = 50 * time.Millisecond

// A syncer brings commits to disk, in one goroutine: while one sync runs, the writes that
// want the next one gather, and share it.
//
// After each sync it notes the number of the last commit it covers in the file `synced`,
// which is itself not synced: it may lag behind the disk, never run ahead of it.
type syncer struct {
	dir     string // the store's
	fail    func(error) error
	commits atomic.Uint64 // number of the last commit
	big     atomic.Bool   // the value log has been written since its last sync
	wanted  chan struct{} // capacity 1: somebody waits
	dirty   chan struct{} // capacity 1: something was written
	stop    chan struct{}
	stopped chan struct{}

	mark    *os.File
	listing []string        // of db/ at the last sync
	settled map[string]bool // rotated out and synced since: never written again

	mu      sync.Mutex
	waiting []*write
	onSync  func(commit uint64) // for tests
}

func newSyncer(dir string, fail func(error) error) (*syncer, error) {
	mark, err := os.OpenFile(filepath.Join(dir, "synced"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	return &syncer{dir: dir, fail: fail, mark: mark, settled: map[string]bool{},
		wanted: make(chan struct{}, 1), dirty: make(chan struct{}, 1),
		stop: make(chan struct{}), stopped: make(chan struct{})}, nil
}

// wrote notes a commit; committed, that a batch of them is done, and who waits for the sync.
func (y *syncer) wrote(n uint64, big bool) {
	if big {
		y.big.Store(true)
	}
	y.commits.Store(n)
}

func (y *syncer) committed(waiting []*write) {
	c := y.dirty
	if len(waiting) > 0 {
		y.mu.Lock()
		y.waiting = append(y.waiting, waiting...)
		y.mu.Unlock()
		c = y.wanted
	}
	select {
	case c <- struct{}{}:
	default:
	}
}

// loop runs until close, and then once more.
func (y *syncer) loop() {
	defer close(y.stopped)
	timer := time.NewTimer(syncAfter)
	timer.Stop()
	dirty := y.dirty
	for {
		select {
		case <-dirty:
			timer.Reset(syncAfter)
			dirty = nil // the first one counts
			continue
		case <-y.wanted:
		case <-timer.C:
		case <-y.stop:
			y.round()
			return
		}
		timer.Stop()
		dirty = y.dirty
		y.round()
	}
}

// round syncs what is committed now, and answers those who waited for it. Whoever comes
// while it runs waits for the next.
func (y *syncer) round() {
	y.mu.Lock()
	waiting, onSync := y.waiting, y.onSync
	y.waiting = nil
	y.mu.Unlock()
	n := y.commits.Load()
	err := y.sync()
	if err == nil {
		_, err = y.mark.WriteAt(fmt.Appendf(nil, "%020d\n", n), 0)
	}
	if err != nil {
		// What fsync failed to write it may later report as written: there is no trying again.
		err = y.fail(err)
	} else if onSync != nil {
		onSync(n)
	}
	for _, w := range waiting {
		w.done <- err
	}
}

// sync brings the write-ahead logs, and the value log if it was written, to disk: oldest
// first, so that what is lost without a sync is an end and not a middle.
func (y *syncer) sync() error {
	db := filepath.Join(y.dir, "db")
	names, err := readNames(db)
	if err != nil {
		return err
	}
	if y.big.Swap(false) {
		err = y.syncFiles(db, names, ".vlog")
	}
	if err == nil {
		err = y.syncFiles(db, names, ".mem")
	}
	if err != nil || slices.Equal(names, y.listing) {
		return err
	}
	y.listing = names
	return fsync(db)
}

// syncFiles syncs the files of a kind that may have been written since it was last
// called. Only the newest is ever written, so an older one needs it once.
func (y *syncer) syncFiles(db string, names []string, ext string) error {
	files := slices.DeleteFunc(slices.Clone(names), func(n string) bool { return !strings.HasSuffix(n, ext) })
	for i, name := range files {
		if y.settled[name] {
			continue
		}
		if err := fsync(filepath.Join(db, name)); err != nil && !os.IsNotExist(err) {
			return err // one that is gone is in a table by now
		}
		y.settled[name] = i < len(files)-1
	}
	for name := range y.settled {
		if strings.HasSuffix(name, ext) && !slices.Contains(files, name) {
			delete(y.settled, name)
		}
	}
	return nil
}

func (y *syncer) close() error {
	close(y.stop)
	<-y.stopped
	return y.mark.Close()
}

// readMark returns the number of the last commit known to be synced; 0 if there is none.
func readMark(dir string) (uint64, error) {
	path := filepath.Join(dir, "synced")
	b, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) || len(b) == 0 {
		return 0, nilIfNotExist(err)
	}
	if len(bytes.Trim(b, "\x00")) == 0 {
		return 0, nil // some file systems keep the size and lose the content with the power
	}
	n, err := strconv.ParseUint(strings.TrimSuffix(string(b), "\n"), 10, 64)
	if err != nil {
		return 0, damaged(dir, fmt.Errorf("%s holds no number", path))
	}
	return n, nil
}

func nilIfNotExist(err error) error {
	if os.IsNotExist(err) {
		return nil
	}
	return err
}

// readNames lists a directory; badger's numbers have leading zeros, so sorting by name is
// sorting by age, and past 99999 by length first.
func readNames(dir string) ([]string, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	names, err := f.Readdirnames(-1)
	slices.SortFunc(names, func(a, b string) int {
		if len(a) != len(b) {
			return len(a) - len(b)
		}
		return strings.Compare(a, b)
	})
	return names, err
}

func fsync(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}
