package gateway_test

import (
	"fmt"
	"testing"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
)

// Worlds beyond MaxLive are put away and woken, without a call being played again.
func TestPutAway(t *testing.T) {
	h := newHouse(t, &gateway.Options{MaxLive: 2})
	var ids []astra.EpisodeID
	for range 6 {
		ids = append(ids, h.mustOpen("read").Episode)
	}
	for round := range 3 {
		for i, id := range ids {
			step, err := h.deposit(id, i)
			if want := fmt.Sprintf(`{"account":"ada","balance":%d}`, 100+i*(round+1)); err != nil || string(step.Result.Value) != want {
				t.Errorf("episode %d, round %d: %s, %v, want %s", i, round, step.Result.Value, err, want)
			}
		}
	}
	st := h.Stats()
	if st.Live > 2 || st.Known != 6 || st.Resumed < 12 || st.Replayed != 0 {
		t.Errorf("stats: %+v", st)
	}
	for _, id := range ids {
		if r, err := h.Replay(t.Context(), id); err != nil || !r.Same {
			t.Errorf("Replay = %+v, %v", r, err)
		}
	}
}

// play makes n deposits of 1.
func (h *house) play(id astra.EpisodeID, n int) {
	h.t.Helper()
	for range n {
		if _, err := h.deposit(id, 1); err != nil {
			h.t.Fatal(err)
		}
	}
}

func (h *house) kept(id astra.EpisodeID) *gateway.StoredSnapshot {
	h.t.Helper()
	s, err := h.store.Snapshot(h.t.Context(), id)
	if err != nil {
		h.t.Fatal(err)
	}
	return s
}

// A long log is not played whole after its episode left memory, by size or by a restart;
// the snapshot goes with the end.
func TestLongLogIsKept(t *testing.T) {
	h := newHouse(t, &gateway.Options{MaxBytes: 1})
	long, short := h.mustOpen("").Episode, h.mustOpen("").Episode
	h.play(long, 150)
	h.play(short, 20)
	if s := h.kept(long); s == nil || s.Step < 100 {
		t.Fatalf("kept of 150 steps: %+v", s)
	}
	if s := h.kept(short); s != nil {
		t.Errorf("kept of 20 steps: the world after step %d", s.Step)
	}
	before := h.Stats()
	h.play(long, 1)
	if now := h.Stats(); now.Resumed != before.Resumed+1 || now.Replayed != before.Replayed {
		t.Errorf("resumed %d, replayed %d", now.Resumed-before.Resumed, now.Replayed-before.Replayed)
	}
	h.restart()
	step, err := h.deposit(long, 1)
	if err != nil || string(step.Result.Value) != `{"account":"ada","balance":252}` {
		t.Errorf("after a restart: %s, %v", step.Result.Value, err)
	}
	if now := h.Stats(); now.Resumed != 1 || now.Replayed != 0 {
		t.Errorf("after a restart: resumed %d, replayed %d", now.Resumed, now.Replayed)
	}
	if r, err := h.Replay(t.Context(), long); err != nil || !r.Same || r.Steps != 152 {
		t.Errorf("Replay = %+v, %v", r, err)
	}
	if err := h.Abort(t.Context(), long, "done"); err != nil {
		t.Fatal(err)
	}
	if s := h.kept(long); s != nil {
		t.Error("the snapshot outlived its episode")
	}
	if err := h.store.PutSnapshot(t.Context(), long, gateway.StoredSnapshot{Step: 1}); err != nil || h.kept(long) != nil {
		t.Errorf("an episode that is over has a snapshot (%v)", err)
	}
}

// A snapshot that cannot be used costs time, and nothing else.
func TestBadSnapshots(t *testing.T) {
	h := newHouse(t, &gateway.Options{MaxBytes: 1})
	id := h.mustOpen("").Episode
	h.play(id, 80)
	good := *h.kept(id)
	for name, spoil := range map[string]func(*gateway.StoredSnapshot){
		"damaged":            func(s *gateway.StoredSnapshot) { s.World[len(s.World)/2] ^= 1 },
		"empty":              func(s *gateway.StoredSnapshot) { s.World = nil },
		"of a later step":    func(s *gateway.StoredSnapshot) { s.Step = 1000 },
		"of another arena":   func(s *gateway.StoredSnapshot) { s.Arena = "sha256:00" },
		"of another runtime": func(s *gateway.StoredSnapshot) { s.Runtime = "sha256:00" },
	} {
		bad := good
		bad.World = append([]byte(nil), good.World...)
		spoil(&bad)
		if err := h.store.PutSnapshot(t.Context(), id, bad); err != nil {
			t.Fatal(err)
		}
		before := h.Stats()
		step, err := h.deposit(id, 0)
		if err != nil || string(step.Result.Value) != `{"account":"ada","balance":180}` {
			t.Errorf("%s: %s, %v", name, step.Result.Value, err)
		}
		if now := h.Stats(); now.Replayed != before.Replayed+1 {
			t.Errorf("%s: it was used", name)
		}
	}
}

// A fork at an earlier step of a long episode begins at a mark, and is what the whole log
// would have made.
func TestForksBeginAtMarks(t *testing.T) {
	h := newHouse(t, nil)
	id := h.mustOpen("").Episode
	h.play(id, 100)
	for _, at := range []int{0, 31, 32, 33, 64, 90, 99} {
		before := h.Stats()
		forks, err := h.Fork(t.Context(), id, gateway.ForkRequest{At: &at, N: 2})
		if err != nil {
			t.Fatal(err)
		}
		if now := h.Stats(); (now.Resumed-before.Resumed == 1) != (at >= 32) {
			t.Errorf("at step %d: %d worlds woken", at, now.Resumed-before.Resumed)
		}
		for _, f := range forks {
			step, err := h.deposit(f.Episode, 1)
			if want := fmt.Sprintf(`{"account":"ada","balance":%d}`, 101+at); err != nil || string(step.Result.Value) != want {
				t.Errorf("a fork at step %d goes on with %s, %v, want %s", at, step.Result.Value, err, want)
			}
			if r, err := h.Replay(t.Context(), f.Episode); err != nil || !r.Same {
				t.Errorf("Replay = %+v, %v", r, err)
			}
		}
	}
}
