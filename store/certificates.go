package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
)

func certificateKey(d astra.Digest) string { return "certificate/" + string(d) }

// A certificateRecord wraps what stands in a CERTIFICATE.json.
type certificateRecord struct {
	Schema      int             `json:"schema"`
	Certificate json.RawMessage `json:"certificate"`
}

const certificateSchema = 1

// PutCertificate keeps what the owner of this store found out about an arena, synced, in the
// place of what it found before. It is kept whether or not the arena is.
func (s *Store) PutCertificate(ctx context.Context, c *astra.Certificate) error {
	text := c.JSON()
	if !validDigest(c.Digest) || len(text) > astra.MaxCertificateBytes {
		return fmt.Errorf("keep certificate of %.80q, %d bytes: %w", c.Digest, len(text), astra.ErrRefused)
	}
	record, err := encode(certificateRecord{certificateSchema, text})
	if err != nil {
		return err
	}
	err = s.submit(ctx, &write{sync: gateway.Synced, size: len(record), stage: func(b *batch) error {
		b.put(certificateKey(c.Digest), record)
		return b.err
	}})
	if err != nil {
		return fmt.Errorf("keep certificate of %s: %w", c.Digest, err)
	}
	return nil
}

// Certificate returns what was kept last of an arena; nil if nothing was, or if a later
// astra wrote it: the checks can be run again.
func (s *Store) Certificate(ctx context.Context, d astra.Digest) (*astra.Certificate, error) {
	if !validDigest(d) {
		return nil, nil
	}
	var record certificateRecord
	err := s.view(ctx, func(txn *badger.Txn) error { return getJSON(txn, certificateKey(d), &record) })
	if errors.Is(err, astra.ErrNotFound) || err == nil && record.Schema > certificateSchema {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("certificate of %s: %w", d, err)
	}
	c, err := astra.ReadCertificate(record.Certificate)
	if err != nil || c.Digest != d {
		return nil, fmt.Errorf("%w: %s: %w", astra.ErrStoreCorrupt, certificateKey(d), errors.Join(err))
	}
	return c, nil
}
