package upstream

import (
	"testing"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway/runtimetest"
)

// The contract's tools are a server's with a session for each world.
func TestContract(t *testing.T) {
	arena := runtimetest.Arena(t, astra.Upstream, "", nil)
	rt, err := New(targets("contract", Target{URL: newCounter().web(t, arena.Tools), Resend: true}))
	must(t, err)
	runtimetest.Run(t, rt, arena)
}
