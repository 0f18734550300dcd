package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/dgraph-io/badger/v4"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
)

// filled returns the directory of a store with a little of everything, and its logs.
func filled(t *testing.T, s *Store) map[astra.EpisodeID][]astra.Event {
	logs := map[astra.EpisodeID][]astra.Event{}
	for i := range 40 {
		events := []astra.Event{opened(id(i), i), called(1), called(2), submitted, scored}
		mustAppend(t, s, id(i), gateway.Synced, events[:1+i%5]...)
		logs[id(i)] = events[:1+i%5]
	}
	big := called(1) // to the value log
	big.Called.Result.Value = json.RawMessage(`"` + strings.Repeat("z", valueThreshold) + `"`)
	logs["ep-big"] = []astra.Event{opened("ep-big", 99), big}
	mustAppend(t, s, "ep-big", gateway.Synced, logs["ep-big"]...)
	if err := s.PutArena(t.Context(), "inventory", digest(1), []byte(strings.Repeat("bundle", 3000))); err != nil {
		t.Fatal(err)
	}
	return logs
}

// checkDamaged opens a damaged store: it must say so, or still have everything.
func checkDamaged(t *testing.T, what, dir string, logs map[astra.EpisodeID][]astra.Event) (refused bool) {
	t.Helper()
	s, err := Open(dir, small)
	if err != nil {
		if !errors.Is(err, astra.ErrStoreCorrupt) || !strings.Contains(err.Error(), dir) {
			t.Errorf("%s: Open error = %v, want ErrStoreCorrupt with the directory", what, err)
		}
		return true
	}
	defer s.Close()
	for id, want := range logs {
		got, err := s.Log(t.Context(), id)
		if err != nil && !errors.Is(err, astra.ErrStoreCorrupt) {
			t.Errorf("%s: Log(%s) error = %v", what, id, err)
		}
		if err == nil && !reflect.DeepEqual(got, want) {
			t.Errorf("%s: Log(%s) has other events", what, id)
		}
		refused = refused || err != nil
	}
	if p, err := s.List(t.Context(), astra.Query{}); err == nil && len(p.Episodes) != len(logs) {
		t.Errorf("%s: List has %d of %d", what, len(p.Episodes), len(logs))
	}
	return refused
}

// flip copies a store with one byte of a file changed.
func flip(t *testing.T, dir, file string, at int64) string {
	to := copyOf(t, dir)
	f, err := os.OpenFile(filepath.Join(to, file), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, 1)
	_, err = f.ReadAt(b, at)
	b[0] ^= 0x5a
	_, err2 := f.WriteAt(b, at)
	if err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	return to
}

func TestDamagedFilesOfAClosedStore(t *testing.T) {
	s := openStore(t, t.TempDir())
	logs := filled(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for _, pattern := range []string{"db/*.sst", "db/MANIFEST", "db/000001.vlog", "synced"} {
		files, _ := filepath.Glob(filepath.Join(s.dir, pattern))
		if len(files) == 0 {
			t.Fatalf("no %s", pattern)
		}
		for _, path := range files {
			file, _ := filepath.Rel(s.dir, path)
			damageFile(t, rng, s.dir, file, logs)
		}
	}
}

func damageFile(t *testing.T, rng *rand.Rand, dir, file string, logs map[astra.EpisodeID][]astra.Event) {
	fi, err := os.Stat(filepath.Join(dir, file))
	if err != nil {
		t.Fatal(err)
	}
	const tries = 40
	refused := 0
	for i := range tries {
		at := rng.Int64N(fi.Size())
		if i < 10 { // the head and the tail of a file rule it
			at = min(int64(i), fi.Size()-1)
		} else if i < 20 {
			at = max(0, fi.Size()-1-int64(i-10))
		}
		if checkDamaged(t, file, flip(t, dir, file, at), logs) {
			refused++
		}
	}
	t.Logf("%s: %d of %d flips were refused", file, refused, tries)
	if refused < tries/2 && file != "synced" {
		t.Errorf("%s: only %d of %d flips were noticed", file, refused, tries)
	}
}

func TestMissingFiles(t *testing.T) {
	s := openStore(t, t.TempDir())
	logs := filled(t, s)
	s.Close()
	for _, pattern := range []string{"db/*.sst", "db/MANIFEST", "db"} {
		to := copyOf(t, s.dir)
		files, _ := filepath.Glob(filepath.Join(to, pattern))
		if err := os.RemoveAll(files[0]); err != nil {
			t.Fatal(err)
		}
		if !checkDamaged(t, "without "+pattern, to, logs) {
			t.Errorf("without %s: opened", pattern)
		}
	}
}

// A byte in the middle of the write-ahead log of a store that was not closed: badger
// takes it for the torn end, and what follows would silently be gone.
func TestDamagedWriteAheadLog(t *testing.T) {
	s := openStore(t, t.TempDir())
	logs := filled(t, s)
	image := copyOf(t, s.dir) // what a kill -9 would leave now: nothing is in flight
	if checkDamaged(t, "image", copyOf(t, image), logs) {
		t.Fatal("the undamaged image was refused")
	}
	files, _ := filepath.Glob(filepath.Join(image, "db", "*.mem"))
	file, _ := filepath.Rel(image, files[0])
	b, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	used := int64(len(bytes.TrimRight(b, "\x00")))
	rng := rand.New(rand.NewPCG(3, 4))
	for range 15 {
		at := 20 + rng.Int64N(used-20) // after the header, whose bytes nothing reads
		if !checkDamaged(t, file, flip(t, image, file, at), logs) {
			t.Errorf("a flip at %d of %d was not noticed", at, used)
		}
	}
}

// copyOf leaves the holes of badger's files, which are hundreds of megabytes, as they are.
func copyOf(t *testing.T, dir string) string {
	to := t.TempDir()
	if out, err := exec.Command("cp", "-R", dir+"/.", to).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return to
}

// What a loss of power can make of the mark's file is not damage; what it cannot, is.
func TestMark(t *testing.T) {
	for content, refused := range map[string]bool{"": false, strings.Repeat("\x00", 21): false,
		"00000000000000000001\n": false, "00000000000000009999\n": true, "junk": true} {
		s := openStore(t, t.TempDir())
		mustAppend(t, s, "ep-a", gateway.Synced, opened("ep-a", 0))
		if err := errors.Join(s.Close(), os.WriteFile(filepath.Join(s.dir, "synced"), []byte(content), 0o600)); err != nil {
			t.Fatal(err)
		}
		logs := map[astra.EpisodeID][]astra.Event{"ep-a": {opened("ep-a", 0)}}
		if got := checkDamaged(t, content, s.dir, logs); got != refused {
			t.Errorf("mark %q: refused = %v, want %v", content, got, refused)
		}
	}
}

func TestHoleInALog(t *testing.T) {
	s := openStore(t, t.TempDir())
	mustAppend(t, s, "ep-a", gateway.Synced, opened("ep-a", 0), called(1), called(2))
	deleteKey(t, s, eventKey("ep-a", 2))
	if _, err := s.Log(t.Context(), "ep-a"); !errors.Is(err, astra.ErrStoreCorrupt) || errors.Is(err, astra.ErrNotFound) {
		t.Errorf("Log error = %v, want ErrStoreCorrupt", err)
	}
	if err := s.PutArena(t.Context(), "a", digest(1), []byte("x")); err != nil {
		t.Fatal(err)
	}
	deleteKey(t, s, chunkKey(digest(1), 1))
	for _, err := range s.Arenas(t.Context()) {
		if !errors.Is(err, astra.ErrStoreCorrupt) {
			t.Errorf("Arenas error = %v, want ErrStoreCorrupt", err)
		}
	}
}

func deleteKey(t *testing.T, s *Store, key string) {
	if err := s.db.Update(func(txn *badger.Txn) error { return txn.Delete([]byte(key)) }); err != nil {
		t.Fatal(err)
	}
}
