package store

import (
	"errors"
	"reflect"
	"testing"

	"github.com/dgraph-io/badger/v4"

	"github.com/astra-arenas/astra"
)

func certificate(n int) *astra.Certificate {
	return &astra.Certificate{Schema: astra.CertificateSchema, Arena: "toy", Digest: digest(n), Runtime: astra.JavaScript,
		RuntimeDigest: "quickjs", Certifier: "checks-1", Limits: []astra.Figure{}, Passed: true,
		Checks: []astra.CertificateCheck{{Name: "gold", Passed: true, Figures: []astra.Figure{{Name: "plays", Value: 2}}}}}
}

// The last one of an arena is kept, and survives the process.
func TestCertificates(t *testing.T) {
	s := openStore(t, t.TempDir())
	if c, err := s.Certificate(t.Context(), digest(1)); c != nil || err != nil {
		t.Errorf("of an arena without: %v, %v", c, err)
	}
	old, want := certificate(1), certificate(1)
	old.Certifier = "checks-0"
	for _, c := range []*astra.Certificate{old, certificate(2), want} {
		if err := s.PutCertificate(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	s = reopen(t, s)
	if got, err := s.Certificate(t.Context(), digest(1)); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("read %+v, %v\nwant %+v", got, err, want)
	}
	if err := s.PutCertificate(t.Context(), &astra.Certificate{Digest: "sha256:../x"}); !errors.Is(err, astra.ErrRefused) {
		t.Errorf("of no digest: %v", err)
	}
}

// A certificate that is not of its key, or is none, is damage; one of a later astra is none of ours.
func TestDamagedCertificate(t *testing.T) {
	s := openStore(t, t.TempDir())
	for record, want := range map[string]error{
		`{"schema":1,"certificate":{}}`:                                    astra.ErrStoreCorrupt,
		`{"schema":1,"certificate":` + string(certificate(2).JSON()) + `}`: astra.ErrStoreCorrupt,
		`{"schema":`: astra.ErrStoreCorrupt,
		`{"schema":2,"certificate":{"other":true}}`: nil,
	} {
		err := s.db.Update(func(txn *badger.Txn) error { return txn.Set([]byte(certificateKey(digest(1))), []byte(record)) })
		if err != nil {
			t.Fatal(err)
		}
		if c, err := s.Certificate(t.Context(), digest(1)); c != nil || !errors.Is(err, want) {
			t.Errorf("%.40s: %v, %v, want %v", record, c, err, want)
		}
	}
}
