package store

import "testing"

// What an episode leaves in memory must not stay: the second half of many must not cost
// more than the first.
func TestHeapDoesNotGrow(t *testing.T) {
	const n = 10_000
	s := openStore(t, t.TempDir())
	playEpisodes(t, s, n, 64)
	before := heap()
	playEpisodes(t, s, n, 64)
	grown := heap() - before
	t.Logf("heap %d KiB after %d episodes, then %+d KiB", before>>10, n, grown>>10)
	if grown > 8<<20 { // a memtable; at 1 KiB an episode it would be 10 MiB
		t.Errorf("the heap grew by %d KiB with %d episodes", grown>>10, n)
	}
	if left := len(s.heads.young) + len(s.heads.old); left != 0 {
		t.Errorf("%d heads of ended episodes are kept", left)
	}
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
