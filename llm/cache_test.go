package llm

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

func TestCache(t *testing.T) {
	fake := newFake(t, script(t, "five <&>", "HTTP 401", "six"))
	dir := filepath.Join(t.TempDir(), "replies")
	c, err := NewCache(dir, "", fake.model("openai"))
	if err != nil {
		t.Fatal(err)
	}
	want := Reply{Text: "five <&>", Usage: Usage{Input: 60, Output: 40}}
	for range 2 {
		if reply, err := c.Complete(t.Context(), fullRequest()); err != nil || reply != want {
			t.Errorf("Complete = %+v, %v", reply, err)
		}
	}
	other := fullRequest()
	*other.Seed++
	if _, err := c.Complete(t.Context(), other); !errors.Is(err, ErrModel) {
		t.Errorf("error = %v, want ErrModel", err)
	}
	if reply, err := c.Complete(t.Context(), other); err != nil || reply.Text != "six" {
		t.Errorf("a failure was kept: %+v, %v", reply, err)
	}
	if len(fake.asked()) != 3 {
		t.Errorf("the model was asked %d times, want 3", len(fake.asked()))
	}
	fake.Close()

	offline, err := NewCache(dir, c.Name(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if reply, err := offline.Complete(t.Context(), fullRequest()); err != nil || reply != want {
		t.Errorf("offline: %+v, %v", reply, err)
	}
	if _, err := offline.Complete(t.Context(), Request{}); !errors.Is(err, ErrModel) || !strings.Contains(err.Error(), "no answer to this request was kept") {
		t.Errorf("error = %v, want that the cache does not know it", err)
	}
	stranger, err := NewCache(dir, "another", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stranger.Complete(t.Context(), fullRequest()); err == nil {
		t.Error("one model's reply was given for another's")
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 2 {
		t.Fatalf("the directory has %v, %v; want two files", files, err)
	}
	for _, f := range files {
		if err := os.WriteFile(filepath.Join(dir, f.Name()), []byte(`{"schema":1`), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := offline.Complete(t.Context(), fullRequest()); err == nil || !strings.Contains(err.Error(), "remove it") {
		t.Errorf("a damaged file: %v", err)
	}
}

// TestCacheHammer: of many replies to one request all get the first.
func TestCacheHammer(t *testing.T) {
	n := 0
	fake := newFake(t, func(*chat) string { n++; return long(n) })
	dir := t.TempDir()
	replies := make([]string, 16)
	var all sync.WaitGroup
	for i := range replies {
		all.Go(func() {
			c, err := NewCache(dir, "", fake.model("anthropic"))
			if err != nil {
				t.Error(err)
				return
			}
			reply, err := c.Complete(t.Context(), fullRequest())
			if err != nil {
				t.Error(err)
			}
			replies[i] = reply.Text
		})
	}
	all.Wait()
	for _, r := range replies {
		if r != replies[0] {
			t.Fatalf("replies differ: %q", replies)
		}
	}
}

// TestNotedCacheHammer: who asks at the same time is answered once, and a failure is for one alone.
func TestNotedCacheHammer(t *testing.T) {
	fake := newFake(t, script(t, "HTTP 401", "five"))
	var notes shelf
	c := NewNotedCache(&notes, "", fake.model("openai"))
	var failed atomic.Int64
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			if reply, err := c.Complete(t.Context(), fullRequest()); err != nil {
				failed.Add(1)
			} else if reply.Text != "five" {
				t.Errorf("reply = %+v", reply)
			}
		})
	}
	all.Wait()
	if n := failed.Load(); n != 1 || len(fake.asked()) != 2 {
		t.Errorf("%d failed and the model was asked %d times; want 1 and 2", n, len(fake.asked()))
	}
	other := fullRequest()
	other.Purpose = "something else"
	if reply, err := NewNotedCache(&notes, "m", nil).Complete(t.Context(), other); err != nil || reply.Text != "five" {
		t.Errorf("replay: %+v, %v", reply, err)
	}
	if _, err := NewNotedCache(&notes, "another", nil).Complete(t.Context(), other); !errors.Is(err, ErrReplay) || !errors.Is(err, ErrModel) || errors.Is(err, ErrRequest) {
		t.Errorf("replay of what is not known: %v", err)
	}
}

// A shelf keeps notes in memory.
type shelf struct{ notes sync.Map }

func (s *shelf) Note(_ context.Context, key string) ([]byte, error) {
	v, ok := s.notes.Load(key)
	if !ok {
		return nil, nil
	}
	return v.([]byte), nil
}

func (s *shelf) PutNote(_ context.Context, key string, value []byte) error {
	s.notes.Store(key, value)
	return nil
}

// TestCacheKeepsWhatCameLast: an answer that arrives as its asker gives up is not lost.
func TestCacheKeepsWhatCameLast(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	fake := newFake(t, script(t, "five"))
	notes := &strictShelf{}
	if _, err := NewNotedCache(notes, "", leaving{fake.model("openai"), cancel}).Complete(ctx, fullRequest()); err != nil {
		t.Error(err)
	}
	if reply, err := NewNotedCache(notes, "m", nil).Complete(t.Context(), fullRequest()); err != nil || reply.Text != "five" {
		t.Errorf("replay: %+v, %v", reply, err)
	}
}

// leaving gives up when it has the answer.
type leaving struct {
	Model
	leave func()
}

func (m leaving) Complete(ctx context.Context, r Request) (Reply, error) {
	defer m.leave()
	return m.Model.Complete(ctx, r)
}

// A strictShelf does nothing for those who gave up, as a store.
type strictShelf struct{ shelf }

func (s *strictShelf) PutNote(ctx context.Context, key string, value []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.shelf.PutNote(ctx, key, value)
}
