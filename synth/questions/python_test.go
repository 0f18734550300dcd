package questions_test

import (
	"os"
	"testing"

	"github.com/astra-arenas/astra/gateway/gatewaytest"
	"github.com/astra-arenas/astra/llm"
	"github.com/astra-arenas/astra/sandbox"
	"github.com/astra-arenas/astra/synth/questions"
	"github.com/astra-arenas/astra/synth/questions/authortest"
)

const pythonEngine = "../../bin/python.wasm"

func TestPython(t *testing.T) {
	if _, err := os.Stat(pythonEngine); err != nil {
		t.Skip("the Python engine is not there: make python")
	}
	rt := sandbox.NewPython(&sandbox.Options{Python: pythonEngine})
	defer rt.Close()
	for fault, want := range map[string]int{"": 3, "constant": 0, "constant-in-code": 0, "syntax-error": 0, "merge-forget-once": 3} {
		d := &desk{t: t, server: authortest.New(t, authortest.Faults[fault]), store: gatewaytest.Store(t, t.TempDir()), runtime: rt, meter: llm.NewMeter(llm.Prices{})}
		d.sit(&questions.Options{Threshold: 0.9, CodeTries: 2, CallTries: 1})
		arenas := d.mustWrite(three)
		goldScores(t, rt, arenas)
		if len(arenas) != want || d.unknown() > 0 {
			t.Errorf("fault %q: %d arenas, want %d; rejected: %v", fault, len(arenas), want, d.reasons())
		}
	}
}
