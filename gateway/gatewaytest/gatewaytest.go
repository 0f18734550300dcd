// Package gatewaytest opens gateways over real parts for tests, as httptest does servers.
//
// What it opens is closed when the test ends, last first, and an error of that fails the
// test. Stores and gateways may be closed before, as often as one likes: a test that plays a
// restart closes both and opens them again in the same directory.
package gatewaytest

import (
	"context"
	"io"
	"path/filepath"
	"sync"
	"testing"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
	"github.com/astra-arenas/astra/sandbox"
	"github.com/astra-arenas/astra/store"
	"github.com/astra-arenas/astra/verifiers"
)

var javascript = sync.OnceValues(func() (*sandbox.JavaScript, error) {
	return sandbox.NewJavaScript(context.Background(), nil) // outlives the test that comes first
})

// JavaScript is one runtime for all tests of a process, which nobody closes: it holds no
// episodes, and takes long to make.
func JavaScript(t testing.TB) *sandbox.JavaScript {
	t.Helper()
	rt, err := javascript()
	must(t, err)
	return rt
}

// Store opens a store in a directory.
func Store(t testing.TB, dir string) *store.Store {
	t.Helper()
	st, err := store.Open(dir, nil)
	must(t, err)
	closeAfter(t, "store", st)
	return st
}

// New opens a gateway over a store of the test's own that serves the bundles in dirs, whose
// tools are JavaScript.
func New(t testing.TB, opts *gateway.Options, dirs ...string) *gateway.Gateway {
	t.Helper()
	g := Open(t, Store(t, t.TempDir()), opts)
	for _, dir := range dirs {
		Add(t, g, dir)
	}
	return g
}

// Open opens a gateway over a store, with the runtimes, or with JavaScript if none is named.
func Open(t testing.TB, st gateway.Store, opts *gateway.Options, runtimes ...gateway.Runtime) *gateway.Gateway {
	t.Helper()
	if len(runtimes) == 0 {
		runtimes = []gateway.Runtime{JavaScript(t)}
	}
	judge, err := verifiers.New()
	must(t, err)
	g, err := gateway.New(t.Context(), st, judge, runtimes, opts)
	must(t, err)
	closeAfter(t, "gateway", g)
	return g
}

// Add has a gateway serve the bundle in a directory, which is written with slashes.
func Add(t testing.TB, g *gateway.Gateway, dir string) *astra.Arena {
	t.Helper()
	b, err := astra.ReadBundle(filepath.FromSlash(dir))
	must(t, err)
	a, err := g.AddArena(t.Context(), b)
	must(t, err)
	return a
}

func closeAfter(t testing.TB, what string, c io.Closer) {
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("close %s: %v", what, err)
		}
	})
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
