package store

import (
	"runtime"
	"testing"
)

// What episodes leave in memory must not stay. badger pools its compaction buffers until
// it has rested for some time, so what is compared is a closed store that is still held.
func TestHeapDoesNotGrow(t *testing.T) {
	const n = 8_000
	before := heap()
	s := openStore(t, t.TempDir())
	playEpisodes(t, s, n, 64)
	if left := len(s.heads.young) + len(s.heads.old); left != 0 {
		t.Errorf("%d heads of ended episodes are kept", left)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	grown := heap() - before
	t.Logf("%d KiB after %d episodes", grown>>10, n)
	if grown > 2<<20 { // 260 bytes an episode
		t.Errorf("%d episodes left %d KiB of heap", n, grown>>10)
	}
	runtime.KeepAlive(s)
}

// Nothing large is ever overwritten, so there is nothing to collect; it must do no harm.
func TestGarbageCollection(t *testing.T) {
	s := openStore(t, t.TempDir())
	logs := filled(t, s)
	s.collectGarbage()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if checkDamaged(t, "after GC", s.dir, logs) {
		t.Error("the store was damaged")
	}
}
