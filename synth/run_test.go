package synth_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"reflect"
	"sync/atomic"
	"testing"

	"github.com/astra-arenas/astra/store"
	"github.com/astra-arenas/astra/synth"
)

func ledger(t *testing.T, dir string) *store.Store {
	t.Helper()
	s, err := store.Open(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func numbers(n int) iter.Seq[synth.Keyed[int]] {
	return func(yield func(synth.Keyed[int]) bool) {
		for i := range n {
			if !yield(synth.Keyed[int]{Key: fmt.Sprint("item ", i), Item: i}) {
				return
			}
		}
	}
}

// halve passes even numbers, rejects odd ones and does not know about multiples of seven.
func halve(_ context.Context, n int) (synth.Result[json.RawMessage], error) {
	switch {
	case n%7 == 0:
		return synth.Result[json.RawMessage]{Verdict: synth.Unknown, Reason: "sevenfold"}, nil
	case n%2 == 1:
		return synth.Rejected[json.RawMessage]("odd", "%d", n), nil
	}
	return synth.Passed(json.RawMessage(fmt.Sprintf(`"<%d>"`, n/2))), nil
}

func collect[T any](t *testing.T, results iter.Seq2[synth.Result[T], error]) []synth.Result[T] {
	t.Helper()
	var all []synth.Result[T]
	for r, err := range results {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	return all
}

// What one process did before trouble, the next does not do again, and gives the same.
func TestStageResumes(t *testing.T) {
	dir, ctx := t.TempDir(), t.Context()
	want := collect(t, synth.Stage(ctx, synth.NewRun("other", ledger(t, t.TempDir()), nil), "halve", numbers(100), halve))
	trouble := errors.New("the lights went out")
	s, err := store.Open(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	var last error
	for _, err := range synth.Stage(ctx, synth.NewRun("run", s, nil), "halve", numbers(100), func(ctx context.Context, n int) (synth.Result[json.RawMessage], error) {
		if n == 60 {
			return synth.Result[json.RawMessage]{}, trouble
		}
		return halve(ctx, n)
	}) {
		last = err
	}
	if s.Close(); !errors.Is(last, trouble) {
		t.Fatalf("the stage ended with %v", last)
	}
	var worked atomic.Int64
	r := synth.NewRun("run", ledger(t, dir), nil)
	got := collect(t, synth.Stage(ctx, r, "halve", numbers(100), func(ctx context.Context, n int) (synth.Result[json.RawMessage], error) {
		worked.Add(1)
		return halve(ctx, n)
	}))
	if !reflect.DeepEqual(got, want) {
		t.Errorf("resumed results differ: %v, want %v", got, want)
	}
	if n := worked.Load(); n > 40 || n == 0 {
		t.Errorf("%d items were worked on again; 60 had been done", n)
	}
	y := r.Yields()[0]
	if y.Resumed < 60 || y.Items != 100 || y.Passed != 42 || y.Unknown != 15 || y.Rejected["odd"] != 43 {
		t.Errorf("yield = %+v", y)
	}
}

// A second look works on nothing again, or it would be at something else.
func TestAgain(t *testing.T) {
	var worked atomic.Int64
	do := func(ctx context.Context, n int) (synth.Result[json.RawMessage], error) {
		worked.Add(1)
		return halve(ctx, n)
	}
	r := synth.NewRun("run", ledger(t, t.TempDir()), &synth.RunOptions{Retry: true})
	first := collect(t, synth.Stage(t.Context(), r, "halve", numbers(100), do))
	second := collect(t, synth.Stage(t.Context(), r.Again(), "halve", numbers(100), do))
	if !reflect.DeepEqual(first, second) || worked.Load() != 100 {
		t.Errorf("%d items were worked on for 100", worked.Load())
	}
	if y := r.Yields()[0]; y.Items != 100 || y.Unknown == 0 {
		t.Errorf("yield = %+v", y)
	}
}

// A consumer that stops early stops the work, and nothing hangs.
func TestStageStops(t *testing.T) {
	n := 0
	for _, err := range synth.Stage(t.Context(), synth.NewRun("run", ledger(t, t.TempDir()), nil), "halve", numbers(10_000), halve) {
		if n++; err != nil || n == 10 {
			break
		}
	}
	if n != 10 {
		t.Errorf("%d results", n)
	}
}

func TestStageEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	why := errors.New("enough")
	var last error
	for _, err := range synth.Stage(ctx, synth.NewRun("run", ledger(t, t.TempDir()), nil), "halve", numbers(1000), halve) {
		cancel(why)
		last = err
	}
	if !errors.Is(last, why) {
		t.Errorf("ended with %v", last)
	}
}
