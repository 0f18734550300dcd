package rows_test

import (
	"context"
	"encoding/json"
	"os"
	"testing"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
	"github.com/astra-arenas/astra/gateway/gatewaytest"
	"github.com/astra-arenas/astra/sandbox"
	"github.com/astra-arenas/astra/synth/rows"
)

const pythonEngine = "../../bin/python.wasm"

// A hall plays arenas in a real gateway with the real Python.
type hall struct{ g *gateway.Gateway }

func newHall(t *testing.T) *hall {
	t.Helper()
	if _, err := os.Stat(pythonEngine); err != nil {
		t.Skip("the Python engine is not there: make python")
	}
	rt := sandbox.NewPython(&sandbox.Options{Python: pythonEngine})
	t.Cleanup(func() { rt.Close() })
	return &hall{gatewaytest.Open(t, gatewaytest.Store(t, t.TempDir()), nil, rt)}
}

func (h *hall) open(t *testing.T, b *astra.Bundle) *gateway.Rehearsal {
	t.Helper()
	a, err := h.g.AddArena(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	r, err := h.g.Rehearse(t.Context(), gateway.RehearsalRequest{Arena: a.Ref(), Task: a.Tasks[0].ID})
	if err != nil {
		t.Fatalf("%v: %s", err, gateway.Causes(err))
	}
	t.Cleanup(r.Close)
	return r
}

type call struct{ tool, args, want string }

// play makes calls, holds what comes back to what is wanted ("" is anything), and scores.
func play(t *testing.T, r *gateway.Rehearsal, calls []call) float64 {
	t.Helper()
	for _, c := range calls {
		step, err := r.Call(t.Context(), astra.Call{Tool: c.tool, Args: json.RawMessage(c.args)})
		if err != nil {
			t.Fatal(err)
		}
		got := string(step.Result.Value)
		if !step.Result.OK() {
			got = "error: " + step.Result.Error
		}
		if c.want != "" && got != c.want {
			t.Errorf("%s %s: %s, want %s", c.tool, c.args, got, c.want)
		}
	}
	return score(t, r).Reward
}

func score(t *testing.T, r *gateway.Rehearsal) *astra.Score {
	t.Helper()
	s, err := r.Score(context.Background(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// The row that is published first cannot be solved: its fourth answer is a number that is
// drawn anew. Seen is what its tools do, each with names of its own.
func TestPlayUnsolvable(t *testing.T) {
	all, _ := readRL(t, fixture(t, "astra_rl.jsonl"))
	r := newHall(t).open(t, arenaOf(t, all[0]))
	reward := play(t, r, []call{
		{"reservation_finder", `{"last_name": "Rao", "date": "2025-03-14"}`, `"Reservation ID: RES987654"`},
		{"baggage_allowance_retriever", `{"reservation_id": "RES987654"}`, `"Current baggage allowance: 1 bag"`},
		{"baggage_fee_calculator", `{"reservation_id": "RES987654", "extra_bags": 1}`, `"Extra charge: ₹600"`},
		{"payment_processor", `{"reservation_id": "RES987654", "amount": 600}`, ""},
	})
	if reward != 0.75 {
		t.Errorf("reward %v, want 0.75", reward)
	}
}

// What is printed counts: by the call, and of its value what Python writes.
func TestPlayPrinted(t *testing.T) {
	all, _ := readRL(t, fixture(t, "astra_rl.jsonl"))
	h := newHall(t)
	reward := play(t, h.open(t, arenaOf(t, all[1])), []call{
		{"harbour_depth", `{"harbour": "Eastwell"}`, `"sounding Eastwell\n7.25"`},
		{"harbour_depth", `{"harbour": "Norbeck"}`, `"sounding Norbeck\n11.0"`},
		{"ferry_register", `{"ferry": "Alba"}`, `"{'draught': 5.5, 'home': 'Norbeck', 'laid up': False}"`},
	})
	if reward != 1 {
		t.Errorf("reward %v, want 1", reward)
	}
	// A tool that does not load, or that is named like what others use, takes no other with it.
	row := *all[1]
	row.Tools = append(row.Tools, rows.Tool{Name: "print", Source: "def print(x=1):\n    return x\n"}, rows.Tool{Name: "torn", Source: "def torn(:"},
		rows.Tool{Name: "io", Source: "import sys\nsys.exit(3)"})
	play(t, h.open(t, arenaOf(t, &row)), []call{
		{"harbour_depth", `{"harbour": "Norbeck"}`, `"sounding Norbeck\n11.0"`},
		{"print", `{"x": 2}`, `"2"`},
		{"torn", `{}`, `error: RuntimeError: torn does not load: SyntaxError: invalid syntax (tool_torn.py, line 1)`},
		{"io", `{}`, `error: RuntimeError: io does not load: SystemExit: 3`},
	})
}

// An answer is a text, whatever stands in it.
func TestAnswersAreText(t *testing.T) {
	h := newHall(t)
	for _, answer := range []string{`a "b" \ 'c' \n`, "two\nlines\t", "`${x}`", "\u0085\u2028\ufeff😀\x7f\x01", "\") || true || (\""} {
		source, err := json.Marshal(answer) // what is JSON text here is Python's too
		if err != nil {
			t.Fatal(err)
		}
		row := &rows.RLRow{Prompt: "Say " + answer, Tools: []rows.Tool{{Name: "say", Description: answer, Source: "def say(loud=False):\n    return 'no' if not loud else 'It is ' + " + pythonText(source) + "\n"}},
			Answers: []rows.Answers{{Tool: "say", Gold: []string{answer}}}}
		b := arenaOf(t, row)
		if reward := play(t, h.open(t, b), []call{{"say", `{}`, `"no"`}}); reward != 0 {
			t.Errorf("%q: reward %v for nothing", answer, reward)
		}
		if reward := play(t, h.open(t, b), []call{{"say", `{"loud": true}`, ""}}); reward != 1 {
			t.Errorf("%q: reward %v", answer, reward)
		}
	}
}

func pythonText(jsonText []byte) string {
	return `__import__("json").loads(r'''` + string(jsonText) + `''')`
}

func arenaOf(t *testing.T, r *rows.RLRow) *astra.Bundle {
	t.Helper()
	b, err := r.Arena()
	if err != nil {
		t.Fatal(err)
	}
	return b
}
