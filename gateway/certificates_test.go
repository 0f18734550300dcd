package gateway_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
	"github.com/astra-arenas/astra/gateway/certify"
)

// counted counts how often the real checks are run.
type counted struct {
	certify.Certifier
	runs *atomic.Int64
}

func (c counted) Certify(ctx context.Context, g *gateway.Gateway, ref string) (*astra.Certificate, error) {
	c.runs.Add(1)
	return c.Certifier.Certify(ctx, g, ref)
}

// newStrict is a house that requires certificates, with bank, which does not pass, and
// harbour, which does.
func newStrict(t *testing.T) (h *house, runs *atomic.Int64) {
	t.Helper()
	runs = new(atomic.Int64)
	h = newHouse(t, &gateway.Options{Certifier: counted{runs: runs}})
	b, err := astra.ReadBundle("certify/testdata/harbour")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.AddArena(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	return h, runs
}

func (h *house) openAs(arena, task string, mode astra.Mode) error {
	o, err := h.Open(h.t.Context(), gateway.OpenRequest{Arena: arena, Task: task, Mode: mode})
	if err == nil {
		err = h.Abort(h.t.Context(), o.Episode, "")
	}
	return err
}

// Episodes that somebody is trained on, or measured by, are of arenas that pass.
func TestCertificateIsRequired(t *testing.T) {
	h, _ := newStrict(t)
	for _, mode := range []astra.Mode{astra.Train, astra.Eval} {
		if err := h.openAs("harbour", "cargo", mode); err != nil {
			t.Errorf("%s of an arena that passes: %v", mode, err)
		}
		err := h.openAs("bank", "read", mode)
		if !errors.Is(err, astra.ErrRefused) || !strings.Contains(err.Error(), "arena bank does not pass the check ") || !strings.Contains(err.Error(), "`astra certify`") {
			t.Errorf("%s of an arena that does not: %v", mode, err)
		}
	}
	if err := h.openAs("bank", "read", astra.Practice); err != nil {
		t.Errorf("practice: %v", err)
	}
	c, err := h.Certificate(t.Context(), "bank")
	if err != nil || c.Passed {
		t.Errorf("the certificate of bank: %+v, %v", c, err)
	}
	if _, f := c.First(); f == nil || strings.Contains(h.openAs("bank", "read", astra.Train).Error(), f.Text) {
		t.Errorf("what was found may quote gold, and is told to whoever opens: %+v", f)
	}
}

// The checks are run once for an arena, a runtime and a certifier, whoever asks.
func TestCertificateIsKept(t *testing.T) {
	h, runs := newStrict(t)
	made := runs.Load()
	if made != 2 {
		t.Errorf("%d runs for two arenas", made)
	}
	first, err := h.Certificate(t.Context(), "harbour")
	if err != nil {
		t.Fatal(err)
	}
	h.restart()
	if again, err := h.Certificate(t.Context(), "harbour"); err != nil || string(again.JSON()) != string(first.JSON()) {
		t.Errorf("after a restart: %v\n%s", err, again.JSON())
	}
	if n := runs.Load(); n != made {
		t.Errorf("%d more runs after a restart", n-made)
	}
	for what, spoil := range map[string]func(*astra.Certificate){
		"another certifier": func(c *astra.Certificate) { c.Certifier = "astra-certify-0" },
		"another runtime":   func(c *astra.Certificate) { c.RuntimeDigest = "quickjs-0" },
		"other limits":      func(c *astra.Certificate) { c.Limits = nil },
	} {
		old := *first
		spoil(&old)
		if err := h.store.PutCertificate(t.Context(), &old); err != nil {
			t.Fatal(err)
		}
		before := runs.Load()
		h.restart()
		if n := runs.Load() - before; n != 1 {
			t.Errorf("%s: %d runs, want 1", what, n)
		}
		if kept, err := h.store.Certificate(t.Context(), first.Digest); err != nil || string(kept.JSON()) != string(first.JSON()) {
			t.Errorf("%s: kept is %v, %v", what, kept, err)
		}
	}
}

// Many add an arena and ask at once, and one of them runs the checks.
func TestCertificateHammer(t *testing.T) {
	runs := new(atomic.Int64)
	h := newHouse(t, &gateway.Options{Certifier: counted{runs: runs}})
	runs.Store(0)
	b, err := astra.ReadBundle("certify/testdata/harbour")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := h.AddArena(t.Context(), b); err != nil {
				t.Error(err)
			}
			if c, err := h.Certificate(t.Context(), "harbour"); err != nil || !c.Passed {
				t.Errorf("certificate: %+v, %v", c, err)
			}
			if err := h.openAs("harbour", "cargo", astra.Train); err != nil {
				t.Errorf("open: %v", err)
			}
		})
	}
	wg.Wait()
	if n := runs.Load(); n != 1 {
		t.Errorf("%d runs, want 1", n)
	}
}

// What a bundle says of itself is believed by nobody.
func TestBundleCannotCertifyItself(t *testing.T) {
	h, _ := newStrict(t)
	c, err := h.Certificate(t.Context(), "bank")
	if err != nil {
		t.Fatal(err)
	}
	claim := *c
	claim.Passed, claim.Checks = true, []astra.CertificateCheck{{Name: "gold", Passed: true}}
	b, err := astra.ReadBundle("testdata/bank")
	if err != nil {
		t.Fatal(err)
	}
	if b, err = b.WithCertificate(&claim); err != nil {
		t.Fatal(err)
	}
	other := newHouse(t, &gateway.Options{Certifier: certify.Certifier{}})
	if _, err := other.AddArena(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if err := other.openAs("bank", "read", astra.Eval); !errors.Is(err, astra.ErrRefused) {
		t.Errorf("opened on its own word: %v", err)
	}
}

// Without the requirement nothing is run, and what is not known is not found.
func TestCertificateIsNotRequired(t *testing.T) {
	h := newHouse(t, nil)
	if err := h.openAs("bank", "read", astra.Eval); err != nil {
		t.Error(err)
	}
	if _, err := h.Certificate(t.Context(), "bank"); !errors.Is(err, astra.ErrNotFound) {
		t.Errorf("certificate: %v", err)
	}
	if _, err := h.Certificate(t.Context(), "none"); !errors.Is(err, astra.ErrNotFound) {
		t.Errorf("certificate of no arena: %v", err)
	}
}

// An arena that cannot be certified is for practice alone.
func TestImpureArenaGetsNoCertificate(t *testing.T) {
	rt := newGated()
	rt.impure = true
	close(rt.gate)
	h := newHouseOn(t, &gateway.Options{Certifier: certify.Certifier{}}, rt)
	err := h.openAs("bank", "read", astra.Eval)
	if !errors.Is(err, astra.ErrRefused) || !strings.Contains(err.Error(), "gets none") {
		t.Errorf("error = %v", err)
	}
}
