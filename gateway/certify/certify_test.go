package certify_test

import (
	"context"
	"sync"
	"testing"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
	"github.com/astra-arenas/astra/gateway/certify"
	"github.com/astra-arenas/astra/sandbox"
	"github.com/astra-arenas/astra/store"
	"github.com/astra-arenas/astra/verifiers"
)

// javascript is one runtime for all tests of the package.
var javascript = sync.OnceValues(func() (*sandbox.JavaScript, error) {
	return sandbox.NewJavaScript(context.Background(), nil)
})

// serve is a gateway over real parts that serves the bundles.
func serve(t testing.TB, bundles ...*astra.Bundle) *gateway.Gateway {
	t.Helper()
	js, err := javascript()
	if err != nil {
		t.Fatal(err)
	}
	st, err := store.Open(t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	judge, err := verifiers.New()
	if err != nil {
		t.Fatal(err)
	}
	gw, err := gateway.New(t.Context(), st, judge, []gateway.Runtime{js}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { gw.Close() })
	for _, b := range bundles {
		if _, err := gw.AddArena(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	return gw
}

func TestExamples(t *testing.T) {
	for _, name := range []string{"inventory", "travel", "files"} {
		b, err := astra.ReadBundle("../../examples/arenas/" + name)
		if err != nil {
			t.Fatal(err)
		}
		gw := serve(t, b)
		c, err := certify.Arena(t.Context(), gw, name, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s", c.JSON())
	}
}
