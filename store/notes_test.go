package store_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/store"
)

// Notes of any size come back after the store was opened again; unknown keys have none.
func TestNotes(t *testing.T) {
	dir := t.TempDir()
	s, err := store.Open(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	values := map[string][]byte{"synth/a/empty": {}, "synth/a/small": []byte("{}"), "synth/a/large": bytes.Repeat([]byte("0123456789"), 300_000)}
	for key, v := range values {
		if err := errors.Join(s.PutNote(t.Context(), key, []byte("earlier")), s.PutNote(t.Context(), key, v)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err = store.Open(dir, nil); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for key, want := range values {
		if got, err := s.Note(t.Context(), key); err != nil || got == nil || !bytes.Equal(got, want) {
			t.Errorf("Note(%s) = %d bytes, %v; want %d", key, len(got), err, len(want))
		}
	}
	if got, err := s.Note(t.Context(), "synth/a"); err != nil || got != nil {
		t.Errorf("a key that was never put has %q, %v", got, err)
	}
	for _, key := range []string{"", "with space", "line\n", strings.Repeat("k", 600)} {
		if err := s.PutNote(t.Context(), key, nil); !errors.Is(err, astra.ErrRefused) {
			t.Errorf("PutNote(%.20q) = %v, want ErrRefused", key, err)
		}
	}
}
