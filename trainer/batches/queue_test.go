package batches

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/store"
	"github.com/astra-arenas/astra/trainer/groups"
)

// A shelf keeps notes, and every state that it was in: where a process may have been killed.
type shelf struct {
	mu    sync.Mutex
	notes map[string][]byte
	past  []map[string][]byte
}

func (s *shelf) Note(_ context.Context, key string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.notes[key], nil
}

func (s *shelf) PutNote(_ context.Context, key string, value []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.notes = maps.Clone(s.notes)
	s.notes[key] = value
	s.past = append(s.past, s.notes)
	return nil
}

func newShelf() *shelf { return &shelf{notes: map[string][]byte{}} }

func open(t *testing.T, notes Notes, opts Options) *Queue {
	t.Helper()
	q, err := Open(t.Context(), notes, "train", &opts)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// pair is a group of two that tells something.
func pair(name string, policy int64) groups.Group {
	return groups.Group{Name: name, Members: []astra.EpisodeID{astra.EpisodeID(name + "-1"), astra.EpisodeID(name + "-2")}, Rewards: []float64{1, 0}, Policy: policy}
}

func add(t *testing.T, q *Queue, names ...string) {
	t.Helper()
	for _, name := range names {
		if kept, err := q.Add(t.Context(), pair(name, 1)); err != nil || !kept {
			t.Fatalf("Add(%s) = %v, %v", name, kept, err)
		}
	}
}

func lease(t *testing.T, q *Queue) *Batch {
	t.Helper()
	b, err := q.Lease(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func named(b *Batch) string {
	if b == nil {
		return "none"
	}
	text := ""
	for _, g := range b.Groups {
		text += g.Name
	}
	return text
}

func TestQueue(t *testing.T) {
	q := open(t, newShelf(), Options{Size: 4})
	if kept, err := q.Add(t.Context(), groups.Group{Name: "dull", Members: []astra.EpisodeID{"a", "b"}, Rewards: []float64{1, 1}}); kept || err != nil {
		t.Errorf("a group without spread: %v, %v", kept, err)
	}
	add(t, q, "a", "b", "c", "d", "e")
	if s := q.Status(); s != (Status{Ready: 2, Groups: 1, Missing: 2}) {
		t.Errorf("status = %+v", s)
	}
	first, second := lease(t, q), lease(t, q)
	if named(first) != "ab" || named(second) != "cd" || named(lease(t, q)) != "none" || first.Tries != 1 {
		t.Errorf("leased %s and %s", named(first), named(second))
	}
	if err := q.Ack(t.Context(), second.Lease); err != nil {
		t.Error(err)
	}
	if err := q.AckNext(t.Context(), second.Lease); err != nil || q.Status().Policy != 0 {
		t.Errorf("a second acknowledgement: %v, %+v", err, q.Status())
	}
	if err := q.Nack(t.Context(), first.Lease); err != nil {
		t.Error(err)
	}
	again := lease(t, q)
	if named(again) != "ab" || again.Tries != 2 || again.ID != first.ID || again.Lease == first.Lease {
		t.Errorf("given back: %+v", again)
	}
	for _, bad := range []string{"", first.Lease, "x"} {
		if err := q.Ack(t.Context(), bad); !errors.Is(err, ErrLease) {
			t.Errorf("Ack(%q) = %v", bad, err)
		}
	}
	if s := q.Status(); s != (Status{Leased: 1, Done: 1, Groups: 1, Missing: 2}) {
		t.Errorf("status = %+v", s)
	}
}

// Whoever did not hear that its update was taken down says so again, also to another process.
func TestAckAgain(t *testing.T) {
	notes := newShelf()
	q := open(t, notes, Options{Size: 2})
	var leases []string
	for i := range acked + 2 {
		add(t, q, fmt.Sprint(i))
		leases = append(leases, lease(t, q).Lease)
		if err := q.AckNext(t.Context(), leases[i]); err != nil {
			t.Fatal(err)
		}
	}
	q = open(t, notes, Options{Size: 2})
	for i, l := range leases {
		if err := q.AckNext(t.Context(), l); errors.Is(err, ErrLease) != (i < 2) {
			t.Errorf("acknowledgement %d of %d, again: %v", i+1, len(leases), err)
		}
	}
	if s := q.Status(); s.Done != acked+2 || s.Policy != acked+2 {
		t.Errorf("status = %+v", s)
	}
}

// Whoever was killed before it heard that a group was kept adds it again.
func TestAddAgain(t *testing.T) {
	notes := newShelf()
	q := open(t, notes, Options{Size: 4})
	add(t, q, "a", "a")
	q = open(t, notes, Options{Size: 4})
	add(t, q, "a", "b", "a", "b")
	if s := q.Status(); s != (Status{Ready: 1, Missing: 4}) {
		t.Errorf("status = %+v", s)
	}
	for i := range 2 * recent {
		add(t, q, fmt.Sprint(i))
	}
	if n := len(q.state.Recent); n != recent {
		t.Errorf("%d names are remembered, want %d", n, recent)
	}
	// The groups of a batch may be more than that.
	large := open(t, newShelf(), Options{Size: 4 * recent})
	for range 2 {
		for i := range 2*recent - 1 {
			add(t, large, fmt.Sprint(i))
		}
	}
	if s := large.Status(); s != (Status{Groups: 2*recent - 1, Missing: 2}) {
		t.Errorf("status = %+v", s)
	}
}

// A lease that runs out is void, and the batch ready for another.
func TestLeaseRunsOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := open(t, newShelf(), Options{Size: 2, Lease: time.Minute})
		add(t, q, "a")
		first := lease(t, q)
		time.Sleep(50 * time.Second) // on a clock that passes at once
		if err := q.Extend(t.Context(), first.Lease); err != nil {
			t.Error(err)
		}
		time.Sleep(50 * time.Second)
		if b := lease(t, q); b != nil {
			t.Errorf("handed out twice: %+v", b)
		}
		second, err := q.Wait(t.Context())
		if err != nil || named(second) != "a" || second.Tries != 2 {
			t.Fatalf("%+v, %v", second, err)
		}
		if err := q.Ack(t.Context(), first.Lease); !errors.Is(err, ErrLease) {
			t.Errorf("the lease that ran out: %v", err)
		}
		if err := q.Ack(t.Context(), second.Lease); err != nil {
			t.Error(err)
		}
	})
}

// Where nobody takes batches there is an end to them, and nothing that was taken is lost.
func TestBacklog(t *testing.T) {
	q := open(t, newShelf(), Options{Size: 4, MaxOpen: 2})
	add(t, q, "a", "b", "c", "d", "e")
	if _, err := q.Add(t.Context(), pair("f", 1)); !errors.Is(err, ErrBacklog) || !errors.Is(err, astra.ErrRefused) {
		t.Errorf("a third batch: %v", err)
	}
	if err := q.Ack(t.Context(), lease(t, q).Lease); err != nil {
		t.Fatal(err)
	}
	add(t, q, "f")
	if s := q.Status(); s != (Status{Ready: 2, Done: 1, Missing: 4}) {
		t.Errorf("status = %+v", s)
	}
}

// Whoever is killed over an acknowledgement that is a new version has made both or neither.
func TestAckNext(t *testing.T) {
	notes := newShelf()
	q := open(t, notes, Options{Size: 2})
	add(t, q, "a")
	if err := q.AckNext(t.Context(), lease(t, q).Lease); err != nil {
		t.Fatal(err)
	}
	for i, then := range notes.past {
		if s := open(t, &shelf{notes: then}, Options{Size: 2}).Status(); s.Policy != int64(s.Done) {
			t.Errorf("after write %d: %+v", i+1, s)
		}
	}
	if s := q.Status(); s.Done != 1 || s.Policy != 1 {
		t.Errorf("status = %+v", s)
	}
}

// What was taken is the taker's over a restart too, until it is recalled.
func TestTake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		notes := newShelf()
		q := open(t, notes, Options{Size: 2, Lease: time.Minute})
		add(t, q, "a")
		first, err := q.Take(t.Context())
		if err != nil || named(first) != "a" {
			t.Fatalf("%+v, %v", first, err)
		}
		time.Sleep(1000 * time.Hour)
		q = open(t, notes, Options{Size: 2, Lease: time.Minute})
		if b := lease(t, q); b != nil {
			t.Errorf("handed out twice: %+v", b)
		}
		if err := q.Recall(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
		if b := lease(t, q); named(b) != "a" || b.Tries != 2 {
			t.Errorf("recalled: %+v", b)
		}
	})
}

func TestWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := open(t, newShelf(), Options{Size: 2})
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		got := make(chan string)
		go func() {
			b, err := q.Wait(ctx)
			got <- fmt.Sprint(named(b), " ", err)
		}()
		synctest.Wait()
		add(t, q, "a")
		if s := <-got; s != "a <nil>" {
			t.Errorf("waited for %s", s)
		}
		q = open(t, newShelf(), Options{Size: 2})
		if _, err := q.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error = %v, want the context's", err)
		}
	})
}

// What is too old is not handed out, and counted.
func TestStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := open(t, newShelf(), Options{Size: 2, MaxLag: 2, MaxAge: time.Hour})
		add(t, q, "a")
		if err := q.Publish(t.Context(), 3, ""); err != nil {
			t.Fatal(err)
		}
		if b := lease(t, q); named(b) != "a" {
			t.Errorf("two versions behind: %s", named(b))
		} else if err := q.Nack(t.Context(), b.Lease); err != nil {
			t.Error(err)
		}
		if err := q.Publish(t.Context(), 4, ""); err != nil {
			t.Fatal(err)
		}
		if b := lease(t, q); b != nil || q.Status().Dropped != 1 {
			t.Errorf("three versions behind: %s, %+v", named(b), q.Status())
		}
		if err := q.Publish(t.Context(), 3, ""); !errors.Is(err, astra.ErrRefused) {
			t.Errorf("an older version: %v", err)
		}
		if _, err := q.Add(t.Context(), pair("b", 4)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Hour)
		if b := lease(t, q); b != nil || q.Status().Dropped != 2 {
			t.Errorf("two hours old: %s, %+v", named(b), q.Status())
		}
	})
}

// Killed at any write, a queue has each group that was taken exactly once: waiting or in a
// batch, unless it was done.
func TestKilledAnywhere(t *testing.T) {
	notes := newShelf()
	q := open(t, notes, Options{Size: 4})
	dice := rand.New(rand.NewPCG(1, 2))
	taken, done := map[string]int{}, map[string]int{} // by name: how many writes had been made when it was
	var held []*Batch
	for range 300 {
		switch dice.IntN(4) {
		case 0, 1:
			name := fmt.Sprint("g", len(taken))
			add(t, q, name)
			taken[name] = len(notes.past)
		case 2:
			if b := lease(t, q); b != nil {
				held = append(held, b)
			}
		default:
			if len(held) > 0 {
				giveUp(t, q, held[0], dice.IntN(3) == 0, func(name string) { done[name] = len(notes.past) })
				held = held[1:]
			}
		}
	}
	if len(done) < 20 {
		t.Fatalf("%d groups of %d were done", len(done), len(taken))
	}
	for i, then := range notes.past {
		seen := groupsIn(t, then)
		for name, at := range taken {
			gone := done[name] > 0 && done[name] <= i+1 // or its last write is this one
			if n := seen[name]; n > 1 || n == 0 && at <= i+1 && !gone {
				t.Fatalf("after write %d of %d: %s is there %d times; taken at %d, done at %d", i+1, len(notes.past), name, n, at, done[name])
			}
		}
	}
}

// giveUp gives a batch back, or says that it is done.
func giveUp(t *testing.T, q *Queue, b *Batch, back bool, done func(name string)) {
	t.Helper()
	end := q.Ack
	if back {
		end = q.Nack
	}
	if err := end(t.Context(), b.Lease); err != nil {
		t.Fatal(err)
	}
	for _, g := range b.Groups {
		if !back {
			done(g.Name)
		}
	}
}

// groupsIn counts the groups that a queue over some notes has.
func groupsIn(t *testing.T, notes map[string][]byte) map[string]int {
	t.Helper()
	q := open(t, &shelf{notes: notes}, Options{Size: 4})
	seen := map[string]int{}
	for _, g := range q.state.Left {
		seen[g.Name]++
	}
	for _, e := range q.state.Open {
		var batch []groups.Group
		if err := json.Unmarshal(notes[q.key(e.ID)], &batch); err != nil {
			t.Fatalf("batch %s: %v", e.ID, err)
		}
		for _, g := range batch {
			seen[g.Name]++
		}
	}
	return seen
}

// The same over a real store, which is closed and opened again.
func TestOverAStore(t *testing.T) {
	dir := t.TempDir()
	within := func(do func(*Queue)) {
		t.Helper()
		st, err := store.Open(dir, nil)
		if err != nil {
			t.Fatal(err)
		}
		do(open(t, st, Options{Size: 4}))
		if err := st.Close(); err != nil {
			t.Fatal(err)
		}
	}
	var held *Batch
	within(func(q *Queue) {
		add(t, q, "a", "b", "c")
		held = lease(t, q)
	})
	within(func(q *Queue) {
		if s := q.Status(); s != (Status{Leased: 1, Groups: 1, Missing: 2}) {
			t.Errorf("status = %+v", s)
		}
		if err := q.Ack(t.Context(), held.Lease); err != nil {
			t.Error(err)
		}
		add(t, q, "d")
		if b := lease(t, q); named(b) != "cd" {
			t.Errorf("leased %s", named(b))
		}
	})
}

// Many trainers and rollouts at once: each batch is acknowledged once.
func TestHammer(t *testing.T) {
	q := open(t, newShelf(), Options{Size: 2})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var trainers, rollouts sync.WaitGroup
	var mu sync.Mutex
	seen := map[string]int{}
	for range 4 {
		trainers.Go(func() {
			for {
				b, err := q.Wait(ctx)
				if err != nil {
					return
				}
				if err := q.Ack(ctx, b.Lease); err != nil && ctx.Err() == nil {
					t.Error(err)
				}
				mu.Lock()
				if seen[named(b)]++; len(seen) == 100 {
					cancel()
				}
				mu.Unlock()
			}
		})
	}
	for i := range 4 {
		rollouts.Go(func() {
			for n := range 25 {
				add(t, q, fmt.Sprint(i, "-", n))
			}
		})
	}
	rollouts.Wait()
	trainers.Wait()
	for name, times := range seen {
		if times != 1 {
			t.Errorf("%s was handed out %d times", name, times)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	for name, opts := range map[string]Options{"": {}, "a b": {}, "../x": {}, "size": {Size: -1}, "lease": {Lease: -1}, "lag": {MaxLag: -1}, "most": {MaxOpen: -1}} {
		if _, err := Open(t.Context(), newShelf(), name, &opts); !errors.Is(err, astra.ErrRefused) {
			t.Errorf("%q, %+v: %v", name, opts, err)
		}
	}
	for _, bad := range []string{"{", `{"schema":9}`} {
		notes := newShelf()
		notes.notes["batches/x/state"] = []byte(bad)
		if _, err := Open(t.Context(), notes, "x", nil); !errors.Is(err, astra.ErrStoreCorrupt) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}
