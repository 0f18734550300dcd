package nemogym

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/astra-arenas/astra/httpapi/harness"
)

// FuzzBody reads whatever a harness may send: it is refused, or makes sense.
func FuzzBody(f *testing.F) {
	for _, seed := range []string{later, `{"task_id":"a/b"}`, `{"task_id":{"task_id":"a/"}}`, `{"verifier_metadata":{"arena":"a","digest":"sha256:0","task":"t"},"response":{"output":[{"type":"message","role":"assistant","content":[{"type":"output_text","text":"x"}]}]}}`,
		`{"verification_input":{"response":{"output":[{"type":"function_call","name":"mcp__a__b","arguments":"{}"}]}}}`, `{"_ng_task_index":1,"reward":1e308,"mask_sample":true,"response":{"usage":{"a":1}}}`, `null`, `[]`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var w row
		if json.Unmarshal(body, &w) != nil {
			return
		}
		if id, chosen, data, err := identify(w); err == nil && (chosen != (id != "") || chosen && data == nil) {
			t.Fatalf("id %q, chosen %v", id, chosen)
		}
		if p, err := w.place(); err == nil && p.Task == "" {
			t.Fatal("a place without a task")
		}
		if data, err := verified(w); err == nil {
			if r, err := readResponse(data["response"]); err == nil && r.answer() != nil && len(*r.answer()) > harness.MaxText {
				t.Fatal("a long answer")
			}
		}
		r, err := w.rolled()
		if err != nil {
			return
		}
		other := r
		other.repeat++
		out, err := aggregateOf([]rolled{r, other})
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range r.numbers {
			if math.IsInf(v, 0) || math.IsNaN(v) {
				t.Fatal("a number that JSON has not")
			}
		}
		if _, err := json.Marshal(out); err != nil {
			t.Fatal(err)
		}
	})
}
