package verifiers_test

import (
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/verifiers"
)

// fiveSubtasks is a task of 5 sub-tasks, two of them with `solved`, an answer and a gate.
func fiveSubtasks() (astra.Evidence, *astra.Arena) {
	a := arena(astra.Task{
		Subtasks: []astra.Subtask{
			{ID: "s1", Tool: "find_item", Answer: json.RawMessage(`"W3"`), At: "/warehouse"},
			{ID: "s2", Tool: "stock_level", Answer: json.RawMessage(`1240.5`), DependsOn: []string{"s1"}},
			{ID: "s3", Tool: "create_order", Solved: "step.value.quantity == 200 && step.value.warehouse == 'W3'", DependsOn: []string{"s1"}},
			{ID: "s4", Tool: "find_item", Answer: json.RawMessage(`"M8 nut"`), DependsOn: []string{"s1"}},
			{ID: "s5", Tool: "cancel_order", Solved: "step.args.order == steps[2].value.id", DependsOn: []string{"s3"}},
		},
		Answer: &astra.Answer{Expected: json.RawMessage(`"W3"`)},
		Verify: map[string]string{"no_overdraft": "state.balance >= 0"},
	})
	return astra.Evidence{Arena: a, Task: &a.Tasks[0], Answer: "w3",
		State: ok(`{"balance":12.5,"orders":[{"id":"o1","quantity":200}]}`),
		Steps: []astra.Step{
			{Index: 1, Turn: 1, Tool: "find_item", Args: json.RawMessage(`{"name":"M8 bolt"}`), Result: ok(`{"sku":"m8","warehouse":"W3","name":"M8 bolt"}`)},
			{Index: 2, Turn: 1, Tool: "stock_level", Args: json.RawMessage(`{"sku":"m8"}`), Result: ok(`{"stock":1240.5,"unit":"piece"}`)},
			{Index: 3, Turn: 1, Tool: "create_order", Args: json.RawMessage(`{"sku":"m8"}`), Result: ok(`{"id":"o1","quantity":200,"warehouse":"W3"}`)},
			{Index: 4, Turn: 1, Tool: "find_item", Args: json.RawMessage(`{"name":"M8 nut"}`), Result: ok(`{"sku":"n8","warehouse":"W1","name":"M8 nut"}`)},
			{Index: 5, Turn: 1, Tool: "cancel_order", Args: json.RawMessage(`{"order":"o1"}`), Result: ok(`{"ok":true}`)},
		}}, a
}

func BenchmarkScore(b *testing.B) {
	solved, _ := fiveSubtasks()
	failed := solved
	failed.Steps = append([]astra.Step(nil), solved.Steps...)
	failed.Steps[2].Result = ok(`{"id":"o1","quantity":20}`)
	failed.Answer = "W4"
	for _, c := range []struct {
		name   string
		ev     astra.Evidence
		reward float64
	}{{"solved", solved, 1}, {"failed", failed, .6}} {
		b.Run(c.name, func(b *testing.B) {
			j := newJudge(b)
			b.ReportAllocs()
			for b.Loop() {
				if s, err := j.Score(b.Context(), c.ev); err != nil || s.Reward != c.reward {
					b.Fatal(s, err)
				}
			}
		})
	}
}

// BenchmarkCheck checks an arena whose verifiers all differ; the figure is of one task
// with two of them.
func BenchmarkCheck(b *testing.B) {
	const n = 200
	var tasks []astra.Task
	for i := range n {
		tasks = append(tasks, astra.Task{
			Subtasks: []astra.Subtask{{ID: "s", Tool: "x", Solved: fmt.Sprintf("step.value.quantity == %d && step.value.warehouse == 'W3'", i)}},
			Verify:   map[string]string{"v": fmt.Sprintf("state.balance >= %d", i)},
		})
	}
	j, a := newJudge(b), arena(tasks...)
	for b.Loop() {
		if err := j.Check(a, true); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/n, "µs/task")
}

// TestScoreTogether scores at once from many goroutines.
func TestScoreTogether(t *testing.T) {
	j := newJudge(t)
	ev, _ := fiveSubtasks()
	first, err := j.Score(t.Context(), ev)
	if err != nil {
		t.Fatal(err)
	}
	want := encode(t, first)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 40 {
				if s, err := j.Score(t.Context(), ev); err != nil || encode(t, s) != want {
					t.Errorf("Score = %v, %v", s, err)
				}
				own := ev
				own.Arena = arena(verify(fmt.Sprintf("seed == 0 && %d > 0", g*1000+i+1)))
				own.Task = &own.Arena.Tasks[0]
				if s, err := j.Score(t.Context(), own); err != nil || s.Reward != 1 {
					t.Errorf("Score = %v, %v", s, err)
				}
			}
		})
	}
	wg.Wait()
}

func TestReads(t *testing.T) {
	j := newJudge(t)
	for source, want := range map[string]astra.Reads{
		"answer == ''":                             {},
		"state.x == 1":                             {State: true},
		"gold.steps.size() == steps.size()":        {Gold: true},
		"state == gold.state":                      {State: true, Gold: true},
		"steps.exists(x, x.value.state == 'gold')": {},
	} {
		a := arena(verify(source))
		if got, err := j.Reads(a, &a.Tasks[0]); err != nil || got != want {
			t.Errorf("Reads(%s) = %+v, %v; want %+v", source, got, err, want)
		}
	}
}

// FuzzCEL compiles and runs whatever an author may write, on an episode of whatever an
// agent may say. Nothing may panic, and the outcome is a score or an error of its kind.
func FuzzCEL(f *testing.F) {
	for _, s := range []string{"state == gold.state", "steps.all(s, s.value.n > 1) && answer == 'x'", "json(answer).a[0] / 0 == 1",
		"cel.bind(a, answer, a + a) == normalize(a)", "similar(answer, 'x') > 0.5 || set_f1([1], [state.x]) > 0.2", `r"\(" == '''"(''' && (true)`,
		"'%s'.format([answer]).matches(answer)", "steps.map(s, s.tool).join(answer).size() > 2", "[[1]].flatten().distinct().sort()[0] == seed",
		"steps[0].?value.orValue(1) == optional.of(2).value()"} {
		f.Add(s, `{"n":1}`, "x")
	}
	j, err := verifiers.New()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, source, value, answer string) {
		late := time.AfterFunc(10*time.Second, func() { panic(fmt.Sprintf("still at it: %q on %q and %q", source, value, answer)) })
		defer late.Stop()
		a := arena(verify(source))
		if j.Check(a, true) != nil {
			return
		}
		st := []astra.Step{{Index: 1, Tool: "find", Args: json.RawMessage(value), Result: ok(value)}}
		ev := astra.Evidence{Arena: a, Task: &a.Tasks[0], Steps: st, Answer: answer, State: ok(value), Gold: astra.Play{Steps: st, State: json.RawMessage(value)}}
		s, err := j.Score(t.Context(), ev)
		if err != nil {
			if se, ok := err.(*astra.ScoreError); !ok || se.Fault != astra.FaultVerifier {
				t.Fatalf("Score = %v", err)
			}
			return
		}
		if s.Reward < 0 || s.Reward > 1 || s.Reward != s.Reward {
			t.Fatalf("reward %v", s.Reward)
		}
		for _, r := range s.Parts[0].Reasons {
			if c := r.Clause; c != nil && (c[0] < 0 || c[1] > len(source) || c[0] > c[1]) {
				t.Fatalf("clause %v of %d bytes", *c, len(source))
			}
		}
		if again, err := j.Score(t.Context(), ev); err != nil || encode(t, again) != encode(t, s) {
			t.Fatalf("a second score differs: %v", err)
		}
	})
}
