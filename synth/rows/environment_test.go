package rows_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
	"github.com/astra-arenas/astra/synth/rows"
)

func readEnvironments(t testing.TB, text string) (all []*rows.Environments, bad []string) {
	t.Helper()
	for e, err := range rows.ReadEnvironments("f.jsonl", strings.NewReader(text)) {
		if err != nil {
			bad = append(bad, err.Error())
			continue
		}
		all = append(all, e)
	}
	return all, bad
}

func TestReadEnvironments(t *testing.T) {
	all, bad := readEnvironments(t, fixture(t, "env_result.jsonl"))
	if len(all) != 1 {
		t.Fatalf("refused %q", bad)
	}
	a := loaded(t, all[0])
	gold, _ := a.Tasks[0].GoldCalls()
	want := []astra.GoldCall{{Tool: "home_of", Args: json.RawMessage(`{"ferry":"Alba"}`)},
		{Tool: "tide_at", Args: json.RawMessage(`{"date":"2025-05-01","harbour":"$1.value"}`)},
		{Tool: "count_berths", Args: json.RawMessage(`{"harbour":"$1.value"}`)}}
	if !slices.EqualFunc(gold, want, func(a, b astra.GoldCall) bool { return a.Tool == b.Tool && string(a.Args) == string(b.Args) }) {
		t.Errorf("gold %s", gold)
	}
	var rules []string
	for _, s := range a.Tasks[0].Subtasks {
		rules = append(rules, s.Tool+" "+s.Solved)
	}
	if want := []string{"home_of ", `tide_at step.value.contains("05:37")`, `count_berths step.value == "7"`, " "}; !slices.Equal(rules, want) {
		t.Errorf("rules %q", rules)
	}
}

func TestReadMerged(t *testing.T) {
	all, bad := readEnvironments(t, fixture(t, "merged.json"))
	if len(all) != 1 {
		t.Fatalf("refused %q", bad)
	}
	var names []string
	for _, tool := range all[0].Tools {
		names = append(names, tool.Name)
	}
	if want := []string{"home_of", "count_berths", "count_berths_2"}; !slices.Equal(names, want) {
		t.Errorf("tools %q", names)
	}
	if want := []string{`aggregated_env 2 has the status "failed": its members keep their own tools`, "two tools named count_berths have different code: the second is renamed count_berths_2"}; !slices.Equal(all[0].Notes, want) {
		t.Errorf("notes %q", all[0].Notes)
	}
	if !strings.Contains(all[0].Tools[0].Source, "Cinder") {
		t.Errorf("the merged code is not used: %s", all[0].Tools[0].Source)
	}
}

func TestRefuseEnvironments(t *testing.T) {
	all, bad := readEnvironments(t, fixture(t, "env_bad.jsonl"))
	want := []string{
		"f.jsonl:1: sub-question 2 needs a tool, and env_result has none for it",
		"f.jsonl:2: sub-question 2: tool_call_statement: want a literal at byte 17, before \"home)\"",
		"f.jsonl:3: sub-question 2: tool_call_statement: want a name, not the end",
		"f.jsonl:4: sub-question 2: the call printed \"06:00\", in which the answer \"05:37\" is not",
		"f.jsonl:5: sub-question 2: the code has no function \"tide_at\"",
		"f.jsonl:6: env_result is missing",
		"f.jsonl:7: they are no DAG",
		"f.jsonl:8: sub-question 2: the answer has 0 bytes",
	}
	if len(all) > 0 || len(bad) != len(want) {
		t.Fatalf("%d taken, refused %q", len(all), bad)
	}
	for i := range want {
		if !strings.HasPrefix(bad[i], want[i]) {
			t.Errorf("got  %s\nwant %s", bad[i], want[i])
		}
	}
}

// The gold of what is read scores 1 with the real Python; without it, or out of order, less.
func TestPlayEnvironments(t *testing.T) {
	h := newHall(t)
	for _, name := range []string{"env_result.jsonl", "merged.json"} {
		all, bad := readEnvironments(t, fixture(t, name))
		if len(bad) > 0 {
			t.Fatal(bad)
		}
		b, err := all[0].Arena()
		if err != nil {
			t.Fatal(err)
		}
		a := loaded(t, all[0])
		if reward := playGold(t, h.open(t, b), &a.Tasks[0]); reward != 1 {
			t.Errorf("%s: gold scores %v", name, reward)
		}
		if reward := score(t, h.open(t, b)).Reward; reward != 0 {
			t.Errorf("%s: nothing scores %v", name, reward)
		}
	}
}

func playGold(t *testing.T, r *gateway.Rehearsal, task *astra.Task) float64 {
	t.Helper()
	var values []json.RawMessage
	calls, _ := task.GoldCalls()
	for _, c := range calls {
		args, err := astra.Interpolate(c.Args, values)
		if err != nil {
			t.Fatal(err)
		}
		step, err := r.Call(t.Context(), astra.Call{Tool: c.Tool, Args: args})
		if err != nil || !step.Result.OK() {
			t.Fatalf("%s %s: %+v, %v", c.Tool, args, step.Result, err)
		}
		values = append(values, step.Result.Value)
	}
	return score(t, r).Reward
}

func loaded(t *testing.T, e *rows.Environments) *astra.Arena {
	t.Helper()
	b, err := e.Arena()
	if err != nil {
		t.Fatal(err)
	}
	a, err := b.Load()
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func FuzzReadEnvironments(f *testing.F) {
	for _, name := range []string{"env_result.jsonl", "merged.json", "env_bad.jsonl"} {
		f.Add(fixture(f, name))
	}
	f.Fuzz(func(t *testing.T, text string) {
		for e, err := range rows.ReadEnvironments("f", strings.NewReader(text)) {
			if err == nil {
				e.Arena() // an error says what the arena's rules refuse
			}
		}
	})
}
