package certify_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/astra-arenas/astra/gateway/certify"
)

// BenchmarkArena certifies 200 tasks: those of the good arena, forty times over.
func BenchmarkArena(b *testing.B) {
	all := files(b)
	var tasks strings.Builder
	for i := range 40 {
		for line := range strings.Lines(all["tasks.jsonl"]) {
			tasks.WriteString(strings.Replace(line, `{"id": "`, fmt.Sprintf(`{"id": "n%d-`, i), 1))
		}
	}
	all["tasks.jsonl"] = tasks.String()
	gw := serve(b, bundle(b, all))
	for b.Loop() {
		c, err := certify.Arena(b.Context(), gw, "harbour", nil)
		if err != nil {
			b.Fatal(err)
		}
		if c.Tasks != 200 || !c.Passed {
			check, f := c.First()
			b.Fatalf("%d tasks, %s %+v", c.Tasks, check, f)
		}
	}
}
