package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/astra-arenas/astra"
)

// ErrOwned says that another process owns the store.
var ErrOwned = errors.New("another process owns the store")

// An Owner tells other processes of the same user how to reach the one that owns a store.
type Owner struct {
	PID     int    `json:"pid"`
	Control string `json:"control"`         // URL of the control side
	Agents  string `json:"agents"`          // URL of the agents' door
	Faces   string `json:"faces,omitempty"` // URL of the harnesses' listener, if there is one
	Token   string `json:"token"`           // bearer token of the control side
	Version string `json:"version"`         // of astra
}

// An OwnedError is ErrOwned with the owner's record, if it left one.
type OwnedError struct {
	Dir   string
	Owner *Owner // nil: it has announced nothing (yet)
}

func (e *OwnedError) Error() string {
	if e.Owner == nil {
		return fmt.Sprintf("store %s: %v: stop it, or use another directory", e.Dir, ErrOwned)
	}
	return fmt.Sprintf("store %s: %v: process %d, control side %s", e.Dir, ErrOwned, e.Owner.PID, e.Owner.Control)
}

// Unwrap makes it ErrOwned.
func (e *OwnedError) Unwrap() error { return ErrOwned }

func ownerPath(dir string) string { return filepath.Join(dir, "owner.json") }
func lockPath(dir string) string  { return filepath.Join(dir, "owner.lock") }

// own takes the lock of a store, which the kernel gives back when the process dies, however it dies.
//
// Ownership is the lock alone; the record only tells of it. So a command that wants the
// store calls Open: it becomes the owner, or learns who is. Between an owner's death and
// the next one's Announce a reader may still meet the dead one's record: its address
// then refuses, or does not know its token, and the reader should call Open again.
func own(dir string) (*os.File, error) {
	if err := os.MkdirAll(filepath.Join(dir, "db"), 0o700); err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	f, err := os.OpenFile(lockPath(dir), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	if err := lockFile(f); err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			owner, _ := readOwner(dir)
			return nil, &OwnedError{Dir: dir, Owner: owner}
		}
		return nil, fmt.Errorf("store %s: locking: %w", dir, err)
	}
	// Left by one that was killed.
	if err := nilIfNotExist(os.Remove(ownerPath(dir))); err != nil {
		f.Close()
		return nil, fmt.Errorf("store: %w", err)
	}
	return f, nil
}

// lockFile takes the exclusive lock, or fails with EWOULDBLOCK. A shared lock in the way
// is only somebody in Locked, who is gone at once: it is tried again, for a second at most.
func lockFile(f *os.File) error {
	for range 200 {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return err
		}
		if err := unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB); err != nil {
			return err
		}
		unix.Flock(int(f.Fd()), unix.LOCK_UN)
		time.Sleep(5 * time.Millisecond)
	}
	return unix.EWOULDBLOCK
}

// Locked reports whether a process owns the store in a directory now. The answer may be
// old when it arrives: to act on it call Open.
func Locked(dir string) (bool, error) {
	f, err := os.Open(lockPath(dir))
	if err != nil {
		return false, nilIfNotExist(err)
	}
	defer f.Close()
	err = unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return true, nil
	}
	return false, err
}

// Announce leaves the record of this process in the store's directory, readable by its
// user alone, until Close.
func (s *Store) Announce(o Owner) error {
	s.life.RLock()
	defer s.life.RUnlock()
	if s.closed {
		return ErrClosed
	}
	b, err := json.Marshal(o)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(s.dir, "owner-*.json") // 0600
	if err != nil {
		return fmt.Errorf("announcing the owner: %w", err)
	}
	defer os.Remove(f.Name()) // fails after the rename
	_, err = f.Write(append(b, '\n'))
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("announcing the owner: %w", err)
	}
	return os.Rename(f.Name(), ownerPath(s.dir))
}

// ReadOwner returns the record of the process that owns the store in a directory. It is
// astra.ErrNotFound if none does, whatever a dead one left, or if it has announced nothing.
func ReadOwner(dir string) (*Owner, error) {
	locked, err := Locked(dir)
	if err != nil {
		return nil, fmt.Errorf("owner of store %s: %w", dir, err)
	}
	if !locked {
		return nil, fmt.Errorf("owner of store %s: %w", dir, astra.ErrNotFound)
	}
	return readOwner(dir)
}

func readOwner(dir string) (*Owner, error) {
	b, err := os.ReadFile(ownerPath(dir))
	if os.IsNotExist(err) {
		return nil, fmt.Errorf("owner of store %s: %w", dir, astra.ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("owner of store %s: %w", dir, err)
	}
	o := new(Owner)
	if err := json.Unmarshal(b, o); err != nil {
		return nil, fmt.Errorf("owner of store %s: %s is not what astra wrote: %w", dir, ownerPath(dir), err)
	}
	return o, nil
}
