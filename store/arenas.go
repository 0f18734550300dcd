package store

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"slices"

	"github.com/dgraph-io/badger/v4"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
)

const (
	chunkSize = 512 << 10 // half of valueThreshold: bundles stay out of the value log
	maxBundle = 1 << 30
)

// An arenaRecord is written after the chunks of its bundle, and makes them count.
type arenaRecord struct {
	Schema int          `json:"schema"`
	N      int          `json:"n"` // arenas are numbered as they come, from 1
	Name   string       `json:"name"`
	Digest astra.Digest `json:"digest"`
	Size   int          `json:"size"`
	Chunks int          `json:"chunks"`
}

const arenaSchema = 1

// PutArena keeps a bundle, synced. What is kept under a digest already is left as it is,
// and in its place in Arenas. That the digest is the bundle's is the caller's word.
func (s *Store) PutArena(ctx context.Context, name string, d astra.Digest, bundle []byte) error {
	if name == "" || len(name) > 128 || !validDigest(d) || len(bundle) > maxBundle {
		return fmt.Errorf("keep arena %.64q %.80q of %d bytes: %w", name, d, len(bundle), astra.ErrRefused)
	}
	bundle = bytes.Clone(bundle) // the committer may still read it after ctx has ended
	w := &write{sync: gateway.Synced, size: len(bundle)}
	w.stage = func(b *batch) error { return b.putArena(name, d, bundle) }
	if err := s.submit(ctx, w); err != nil {
		return fmt.Errorf("keep arena %s: %w", name, err)
	}
	return nil
}

func (b *batch) putArena(name string, d astra.Digest, bundle []byte) error {
	all, err := arenaRecords(b.txn)
	if err != nil {
		return err
	}
	r := arenaRecord{Schema: arenaSchema, N: 1, Name: name, Digest: d, Size: len(bundle)}
	for _, have := range all {
		if have.Digest == d {
			return nil
		}
		r.N = have.N + 1
	}
	for chunk := range slices.Chunk(bundle, chunkSize) {
		r.Chunks++
		b.put(chunkKey(d, r.Chunks), chunk)
	}
	record, err := encode(r)
	if err != nil {
		return err
	}
	b.put(arenaKey(d), record)
	return b.err
}

// Arenas lists what is kept, oldest first. Bundles are read one at a time.
func (s *Store) Arenas(ctx context.Context) iter.Seq2[gateway.StoredArena, error] {
	return func(yield func(gateway.StoredArena, error) bool) {
		var records []arenaRecord
		err := s.view(ctx, func(txn *badger.Txn) (err error) {
			records, err = arenaRecords(txn)
			return err
		})
		if err != nil {
			yield(gateway.StoredArena{}, fmt.Errorf("arenas: %w", err))
			return
		}
		for _, r := range records {
			a, err := s.arena(ctx, r)
			if !yield(a, err) || err != nil {
				return
			}
		}
	}
}

// arenaRecords returns all of them in the order they came.
func arenaRecords(txn *badger.Txn) ([]arenaRecord, error) {
	it := txn.NewIterator(badger.IteratorOptions{Prefix: []byte("arena/"), PrefetchValues: true, PrefetchSize: 100})
	defer it.Close()
	var all []arenaRecord
	for it.Rewind(); it.Valid(); it.Next() {
		var r arenaRecord
		key := string(it.Item().Key())
		if err := it.Item().Value(func(b []byte) error { return json.Unmarshal(b, &r) }); err != nil {
			return nil, readError(key, err)
		}
		if r.Schema != arenaSchema {
			return nil, fmt.Errorf("%w: %s has schema %d, this astra reads %d", ErrNewer, key, r.Schema, arenaSchema)
		}
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b arenaRecord) int { return a.N - b.N })
	return all, nil
}

func (s *Store) arena(ctx context.Context, r arenaRecord) (gateway.StoredArena, error) {
	a := gateway.StoredArena{Name: r.Name, Digest: r.Digest}
	err := s.view(ctx, func(txn *badger.Txn) error {
		for n := 1; n <= r.Chunks; n++ {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			item, err := txn.Get([]byte(chunkKey(r.Digest, n)))
			if err == nil {
				err = item.Value(func(b []byte) error { a.Bundle = append(a.Bundle, b...); return nil })
			}
			if err != nil {
				return fmt.Errorf("%w: %s: %w", astra.ErrStoreCorrupt, chunkKey(r.Digest, n), err)
			}
		}
		if len(a.Bundle) != r.Size {
			return fmt.Errorf("%w: %d bytes of %d", astra.ErrStoreCorrupt, len(a.Bundle), r.Size)
		}
		return nil
	})
	if err != nil {
		return gateway.StoredArena{}, fmt.Errorf("arena %s: %w", r.Name, err)
	}
	return a, nil
}
