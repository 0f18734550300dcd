package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
)

func snapshotKey(id astra.EpisodeID) string { return "snapshot/" + string(id) }

// PutSnapshot keeps a world of an open episode; one that is over, or unknown, is left
// without. Nothing waits for the disk: it is a cache of the log.
func (s *Store) PutSnapshot(ctx context.Context, id astra.EpisodeID, snap gateway.StoredSnapshot) error {
	record, err := encode(snap)
	if err == nil && (!validID(id) || len(record) > maxEvent) {
		err = fmt.Errorf("%w: %d bytes", astra.ErrRefused, len(record))
	}
	if err != nil {
		return fmt.Errorf("snapshot of episode %.64q: %w", id, err)
	}
	err = s.submit(ctx, &write{sync: gateway.Handed, size: len(record), stage: func(b *batch) error {
		h, err := b.head(id)
		if err != nil || h.Events == 0 || h.over() {
			return err
		}
		b.put(snapshotKey(id), record)
		return b.err
	}})
	if err != nil {
		return fmt.Errorf("snapshot of episode %s: %w", id, err)
	}
	return nil
}

// dropSnapshot deletes what an episode that ends has; most have none, and a tombstone less.
func (b *batch) dropSnapshot(id astra.EpisodeID) {
	if _, err := b.txn.Get([]byte(snapshotKey(id))); err == nil {
		b.delete(snapshotKey(id))
	}
}

// Snapshot returns the world that was kept last, nil if there is none.
func (s *Store) Snapshot(ctx context.Context, id astra.EpisodeID) (*gateway.StoredSnapshot, error) {
	if !validID(id) {
		return nil, fmt.Errorf("episode %.64q: %w", id, astra.ErrNotFound)
	}
	var snap *gateway.StoredSnapshot
	err := s.view(ctx, func(txn *badger.Txn) error {
		snap = new(gateway.StoredSnapshot)
		return getJSON(txn, snapshotKey(id), snap)
	})
	if errors.Is(err, astra.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("snapshot of episode %s: %w", id, err)
	}
	return snap, nil
}
