package examples_test

import (
	"testing"

	"github.com/astra-arenas/astra/gateway"
	"github.com/astra-arenas/astra/gateway/certify"
)

// TestArenasAreCertified holds every example to what astra certify asks, with fewer draws.
func TestArenasAreCertified(t *testing.T) {
	g := serve(t)
	for _, name := range arenas {
		t.Run(name, func(t *testing.T) { certified(t, g, name) })
	}
	for name, built := range runtimes {
		t.Run(name, func(t *testing.T) {
			g, a := serveRuntime(t, name, built)
			certified(t, g, a.Name)
		})
	}
}

func certified(t *testing.T, g *gateway.Gateway, name string) {
	c, err := certify.Arena(t.Context(), g, name, &certify.Options{RandomPlays: 5, Fuzzed: 20})
	must(t, err)
	for _, k := range c.Checks {
		for _, f := range k.Findings {
			t.Errorf("%s: task %s, tool %s, sub-task %s: %s", k.Name, f.Task, f.Tool, f.Subtask, f.Text)
		}
	}
	if !c.Passed {
		t.Errorf("it does not pass: %s", c.JSON())
	}
}
