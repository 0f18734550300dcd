package store

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"sync"
	"testing"

	"github.com/astra-arenas/astra"
)

var testOwner = Owner{PID: 4711, Control: "http://127.0.0.1:7070", Agents: "http://127.0.0.1:7071", Token: "secret", Version: "v0"}

// ownerChild owns a store, says so, and stays until it is killed or its stdin ends.
func ownerChild(dir string) error {
	s, err := Open(dir, small)
	if err == nil {
		err = s.Announce(testOwner)
	}
	if err != nil {
		return err
	}
	fmt.Println("mine")
	io.Copy(io.Discard, os.Stdin)
	return s.Close()
}

// startOwner returns how to make it close the store, and how to kill it.
func startOwner(t *testing.T, dir string) (quit, kill func()) {
	cmd := child(t, "owner", dir)
	in, _ := cmd.StdinPipe()
	out, _ := cmd.StdoutPipe()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "mine\n" {
		t.Fatalf("owner said %q, %v", line, err)
	}
	return func() { in.Close(); cmd.Wait() }, func() { cmd.Process.Kill(); cmd.Wait() }
}

func TestOneProcessOwnsAStore(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "store")
	if _, err := ReadOwner(dir); !errors.Is(err, astra.ErrNotFound) {
		t.Errorf("ReadOwner of no store: %v, want ErrNotFound", err)
	}
	quit, _ := startOwner(t, dir)
	_, err := Open(dir, small)
	owned, ok := errors.AsType[*OwnedError](err)
	if !ok || !errors.Is(err, ErrOwned) || !reflect.DeepEqual(owned.Owner, &testOwner) {
		t.Fatalf("Open error = %v, want an OwnedError with the record", err)
	}
	if o, err := ReadOwner(dir); err != nil || *o != testOwner {
		t.Errorf("ReadOwner = %v, %v", o, err)
	}
	checkPrivate(t, dir)
	quit()
	checkUnowned(t, dir)
	openStore(t, dir)
}

func checkPrivate(t *testing.T, dir string) {
	for path, want := range map[string]fs.FileMode{dir: 0o700, ownerPath(dir): 0o600, filepath.Join(dir, "db"): 0o700} {
		if fi, err := os.Stat(path); err != nil || fi.Mode().Perm() != want {
			t.Errorf("%s: mode %v, %v; want %v", path, fi.Mode().Perm(), err, want)
		}
	}
}

func checkUnowned(t *testing.T, dir string) {
	t.Helper()
	if locked, err := Locked(dir); locked || err != nil {
		t.Errorf("Locked = %v, %v", locked, err)
	}
	if o, err := ReadOwner(dir); !errors.Is(err, astra.ErrNotFound) {
		t.Errorf("ReadOwner = %v, %v; want ErrNotFound", o, err)
	}
}

func TestRecordOfAKilledOwnerIsIgnored(t *testing.T) {
	dir := t.TempDir()
	_, kill := startOwner(t, dir)
	kill()
	if _, err := os.Stat(ownerPath(dir)); err != nil {
		t.Fatalf("the killed owner left no record: %v", err)
	}
	checkUnowned(t, dir)
	openStore(t, dir)
	_, err := Open(dir, small)
	if owned, ok := errors.AsType[*OwnedError](err); !ok || owned.Owner != nil {
		t.Errorf("Open error = %v: a dead owner's record was shown for the new one", err)
	}
}

// Whoever looks must not keep the next owner out.
func TestLookingDoesNotDisturbOwning(t *testing.T) {
	dir := t.TempDir()
	openStore(t, dir).Close()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := Locked(dir); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 500 {
		lock, err := own(dir)
		if err != nil {
			t.Error(err)
			break
		}
		lock.Close()
	}
	close(stop)
	wg.Wait()
}

func TestBrokenRecord(t *testing.T) {
	s := openStore(t, t.TempDir())
	if err := os.WriteFile(ownerPath(s.dir), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if o, err := ReadOwner(s.dir); err == nil {
		t.Errorf("ReadOwner of garbage = %v", o)
	}
	if _, err := Open(s.dir, small); !errors.Is(err, ErrOwned) {
		t.Errorf("Open error = %v, want ErrOwned", err)
	}
}
