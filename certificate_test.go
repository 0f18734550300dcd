package astra_test

import (
	"bytes"
	"reflect"
	"strings"
	"testing"

	"github.com/astra-arenas/astra"
)

func certificate() *astra.Certificate {
	return &astra.Certificate{
		Schema: astra.CertificateSchema, Arena: "toy", Digest: astra.Digest("sha256:" + strings.Repeat("0", 64)),
		Runtime: astra.JavaScript, RuntimeDigest: "quickjs", Certifier: "checks-1", Limits: []astra.Figure{{Name: "random_mean", Value: 0.2}},
		Tasks: 2, Mutation: astra.Mutation{Made: 4, Refused: 3},
		Checks: []astra.CertificateCheck{
			{Name: "names", Passed: true, Figures: []astra.Figure{}},
			{Name: "gold", Unknown: 1, Figures: []astra.Figure{{Name: "plays", Value: 2}}, More: 3,
				Findings: []astra.Finding{{Task: "t1", Tool: "look", Subtask: "s1", Text: "it does not play; <mend> it"}}},
		},
	}
}

func TestCertificateRoundTrip(t *testing.T) {
	want := certificate()
	got, err := astra.ReadCertificate(want.JSON())
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("read %+v, %v\nwant %+v", got, err, want)
	}
	if !bytes.Contains(want.JSON(), []byte("<mend>")) {
		t.Errorf("escaped for HTML: %s", want.JSON())
	}
	if check, f := got.First(); check != "gold" || f.Subtask != "s1" {
		t.Errorf("first finding: %s %+v", check, f)
	}
	if s := got.Mutation.Score(); s != 0.75 {
		t.Errorf("mutation score %v, want 0.75", s)
	}
}

func TestReadCertificateRefuses(t *testing.T) {
	for _, test := range []struct {
		what  string
		spoil func(*astra.Certificate)
		want  string
	}{
		{"schema", func(c *astra.Certificate) { c.Schema = 2 }, "schema 2; this astra reads 1"},
		{"digest", func(c *astra.Certificate) { c.Digest = "sha256:abc" }, "no digest"},
		{"certifier", func(c *astra.Certificate) { c.Certifier = "" }, "what made it"},
		{"checks", func(c *astra.Certificate) { c.Checks = nil }, "0 checks"},
		{"passed", func(c *astra.Certificate) { c.Passed = true }, "passed does not say what its checks say"},
		{"check", func(c *astra.Certificate) { c.Checks[1].Passed = true }, "passed does not say what was found"},
		{"unknown", func(c *astra.Certificate) { c.Checks[0].Unknown = 1 }, "passed does not say what was found"},
		{"mutants", func(c *astra.Certificate) { c.Mutation.Refused = 5 }, "counts make no sense"},
		{"text", func(c *astra.Certificate) { c.Checks[1].Findings[0].Text = strings.Repeat("x", 1001) }, "1 to 1000 bytes"},
		{"name", func(c *astra.Certificate) { c.Checks[0].Name = "a b" }, "its name is none"},
	} {
		c := certificate()
		test.spoil(c)
		if _, err := astra.ReadCertificate(c.JSON()); err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "astra certify") {
			t.Errorf("%s: error = %v, want %q", test.what, err, test.want)
		}
	}
	for text, want := range map[string]string{
		`[`: "the value is cut off", `{"schema": 1, "scheme": 1}`: "unknown key", `{"schema": "1"}`: "must be a number",
		strings.Repeat(" ", astra.MaxCertificateBytes+1): "a certificate may have",
	} {
		if _, err := astra.ReadCertificate([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40s: error = %v, want %q", text, err, want)
		}
	}
}

// A certificate changes no digest, and is of one digest alone.
func TestBundleWithCertificate(t *testing.T) {
	b := bundleOf(t, map[string]string{"arena.yaml": "x", "CERTIFICATE.json": "old"})
	c := certificate()
	if _, err := b.WithCertificate(c); err == nil {
		t.Error("took the certificate of another arena")
	}
	c.Digest = b.Digest()
	with, err := b.WithCertificate(c)
	if err != nil || with.Digest() != b.Digest() || len(with.Files()) != len(b.Files()) {
		t.Fatalf("%d files, %v", len(with.Files()), err)
	}
	if got, err := with.Certificate(); err != nil || !reflect.DeepEqual(got, c) {
		t.Errorf("read %+v, %v", got, err)
	}
	other := bundleOf(t, map[string]string{"arena.yaml": "y", "CERTIFICATE.json": string(c.JSON())})
	if _, err := other.Certificate(); err == nil || !strings.Contains(err.Error(), "astra certify again") {
		t.Errorf("the certificate of another arena: %v", err)
	}
}

func FuzzReadCertificate(f *testing.F) {
	f.Add(certificate().JSON())
	f.Add([]byte(`{"schema":1,"checks":[{}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := astra.ReadCertificate(b)
		if err != nil {
			return
		}
		again, err := astra.ReadCertificate(c.JSON())
		if err != nil || !bytes.Equal(again.JSON(), c.JSON()) {
			t.Errorf("%s\nis read, but as it is written it is %s, %v", b, c.JSON(), err)
		}
	})
}
