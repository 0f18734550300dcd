package store

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/dgraph-io/badger/v4"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
)

// What a note may be: results of synthesis and replies of models.
const (
	maxNoteKey = 512
	maxNote    = 64 << 20
)

func noteKey(key string) string { return "note/" + key }

func noteChunk(key string, n int) string { return fmt.Sprintf("notes/%08d/%s", n, key) }

// A noteRecord is written with the chunks of its value, and makes them count.
type noteRecord struct {
	Schema int `json:"schema"`
	Size   int `json:"size"`
	Chunks int `json:"chunks"`
}

const noteSchema = 1

// PutNote keeps a value under a key of its caller's making, instead of an earlier one. It
// survives kill -9 when it returns.
func (s *Store) PutNote(ctx context.Context, key string, value []byte) error {
	if !validNote(key) || len(value) > maxNote {
		return fmt.Errorf("note %.64q of %d bytes: %w", key, len(value), astra.ErrRefused)
	}
	value = append([]byte(nil), value...) // the committer may still read it after ctx has ended
	err := s.submit(ctx, &write{sync: gateway.Handed, size: len(value), stage: func(b *batch) error { return b.putNote(key, value) }})
	if err != nil {
		return fmt.Errorf("note %s: %w", key, err)
	}
	return nil
}

func (b *batch) putNote(key string, value []byte) error {
	r := noteRecord{Schema: noteSchema, Size: len(value)}
	for rest := value; len(rest) > 0; rest = rest[min(chunkSize, len(rest)):] {
		r.Chunks++
		b.put(noteChunk(key, r.Chunks), rest[:min(chunkSize, len(rest))])
	}
	record, err := encode(r)
	if err != nil {
		return err
	}
	b.put(noteKey(key), record)
	return b.err
}

// Note returns what is kept under a key, nil if nothing is.
func (s *Store) Note(ctx context.Context, key string) ([]byte, error) {
	if !validNote(key) {
		return nil, fmt.Errorf("note %.64q: %w", key, astra.ErrRefused)
	}
	var value []byte
	err := s.view(ctx, func(txn *badger.Txn) (err error) {
		value, err = readNote(txn, key)
		return err
	})
	if errors.Is(err, astra.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("note %s: %w", key, err)
	}
	return value, nil
}

func readNote(txn *badger.Txn, key string) ([]byte, error) {
	var r noteRecord
	if err := getJSON(txn, noteKey(key), &r); err != nil {
		return nil, err
	}
	if r.Schema != noteSchema {
		return nil, fmt.Errorf("%w: it has schema %d, this astra reads %d", ErrNewer, r.Schema, noteSchema)
	}
	value := make([]byte, 0, min(max(r.Size, 0), maxNote))
	for n := 1; n <= r.Chunks; n++ {
		item, err := txn.Get([]byte(noteChunk(key, n)))
		if err == nil {
			err = item.Value(func(b []byte) error { value = append(value, b...); return nil })
		}
		if err != nil {
			return nil, fmt.Errorf("%w: part %d: %w", astra.ErrStoreCorrupt, n, err)
		}
	}
	if len(value) != r.Size {
		return nil, fmt.Errorf("%w: %d bytes of %d", astra.ErrStoreCorrupt, len(value), r.Size)
	}
	return value, nil
}

// validNote holds keys to printable ASCII without spaces.
func validNote(key string) bool {
	return key != "" && len(key) <= maxNoteKey && !strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' })
}
