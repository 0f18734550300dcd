package verifiers_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/verifiers"
)

// TestAgentCannotMakeItselfInvalid plays what an agent might try against verifiers that
// read everything. Whatever it does, there is a score, and soon.
func TestAgentCannotMakeItselfInvalid(t *testing.T) {
	task := astra.Task{
		Subtasks: []astra.Subtask{
			{ID: "a", Tool: "find", Answer: json.RawMessage(`"W3"`), At: "/warehouse"},
			{ID: "b", Tool: "find", Answer: json.RawMessage(`1240.5`), DependsOn: []string{"a"}},
			{ID: "c", Tool: "order", Solved: "step.value.quantity / step.value.per == 200 && step.args.to.startsWith('W')", DependsOn: []string{"a"}},
		},
		Answer: &astra.Answer{Verify: "number(answer) > 3.0 || json(answer).x[0] == 'y'"},
		Verify: map[string]string{
			"balance": "state.balance >= 0",
			"end":     "state == gold.state",
			"text":    "similar(answer, 'the whole answer') > 0.5 && answer.matches(answer)",
			"all":     "steps.all(s, s.value.n / s.args.d > 0) || turns.exists(x, date(x.reply) > date('2026-01-01'))",
			"bomb":    "answer.replace(answer, state.text).size() > 0 && state.list.map(x, answer).join(answer) != ''",
			"sets":    "sets.contains(state.list, state.list) && state.list.distinct().size() > 0 && set_f1(state.list, steps.map(s, s.value)) > 0.1",
			"share":   "number(state.share)",
			"quad":    "state.list.all(x, state.list.exists(y, x == y)) && state.text.indexOf(state.text + 'x') > 0",
			"step":    "steps[steps.size() - 1] == gold.steps[0] && steps[0].args == gold.steps[0].args",
		},
	}
	a := arena(task)
	j := newJudge(t)
	if err := j.Check(a, true); err != nil {
		t.Fatal(err)
	}
	big := strings.Repeat("a", 1<<20-100)
	list := "[" + strings.Repeat("1,", 1<<18) + "1]"
	deep := strings.Repeat("[", 5000) + strings.Repeat("]", 5000)
	reply := big
	tries := map[string]astra.Evidence{
		"nothing":     {},
		"huge answer": {Answer: strings.Repeat("9", 10<<20)},
		"long answer": {Answer: strings.Repeat("(a*)*", verifiers.MaxAnswer/5)},
		"NaN":         {Answer: "NaN", State: ok(`{"balance":"NaN","share":"NaN"}`)},
		"infinite":    {Answer: "1e999", State: ok(`{"balance":1e999,"share":1e999}`)},
		"share 7":     {State: ok(`{"share":7}`)},
		"not utf-8":   {Answer: "\xff\xfe[", State: ok("{\"balance\":\"\xff\"}")},
		"null":        {Answer: "null", State: ok(`null`), Steps: steps(`find null`, `order null`)},
		"list state":  {Answer: "[]", State: ok(`[1,2]`), Steps: steps(`find []`, `order {}`)},
		"missing":     {Answer: "{}", State: ok(`{}`), Steps: steps(`find {}`, `order {"quantity":1}`)},
		"zero":        {Steps: steps(`find {"warehouse":"W3"}`, `order {"quantity":200,"per":0}`, `find {"n":1}`)},
		"min int":     {Steps: steps(`find {"warehouse":"W3"}`, `order {"quantity":-9223372036854775808,"per":-1}`)},
		"deep":        {Answer: deep, State: ok(deep), Steps: []astra.Step{{Index: 1, Tool: "find", Args: json.RawMessage(deep), Result: ok(deep)}, {Index: 2, Tool: "order", Result: ok(deep)}}},
		"not json":    {Answer: "{", State: ok(`{`), Steps: steps(`find {`, `order {"a":1}{`)},
		"state fails": {State: astra.Failed(astra.FaultTool, "boom")},
		"huge state":  {State: ok(`"` + strings.Repeat("a", 2<<20) + `"`)},
		"big state":   {Answer: strings.Repeat("a", verifiers.MaxAnswer), State: ok(`{"text":"` + big + `","list":[]}`)},
		"big list":    {Answer: strings.Repeat("a", verifiers.MaxAnswer), State: ok(`{"text":"b","list":` + list + `}`)},
		"huge value":  {Steps: steps(`find "` + big + `"`)},
		"huge args":   {Steps: []astra.Step{{Index: 1, Tool: "order", Args: json.RawMessage(`{"to":"` + big + `"}`), Result: ok(`{"quantity":200,"per":1}`)}}},
		"no args":     {Steps: []astra.Step{{Index: 1, Tool: "order", Result: ok(`{"quantity":200,"per":1}`)}}},
		"huge reply":  {Turns: []astra.Turn{{Index: 1, Reply: &reply}}},
		"same keys":   {State: ok(`{"balance":1,"balance":-1}`), Steps: steps(`find {"warehouse":"x","warehouse":"W3"}`)},
	}
	for name, ev := range tries {
		t.Run(name, func(t *testing.T) {
			ev.Arena, ev.Task = a, &a.Tasks[0]
			ev.Gold = astra.Play{Steps: steps(`find {"warehouse":"W3"}`), State: json.RawMessage(`{"balance":1}`)}
			start := time.Now()
			s, err := j.Score(t.Context(), ev)
			if err != nil {
				t.Fatalf("Score = %v", err)
			}
			if s.Reward != 0 {
				t.Errorf("reward = %v, want 0", s.Reward)
			}
			if d := time.Since(start); d > 20*time.Second {
				t.Errorf("took %v", d)
			} else {
				t.Log(d)
			}
			again, err := j.Score(t.Context(), ev)
			if err != nil || encode(t, again) != encode(t, s) {
				t.Errorf("a second score differs: %v", err)
			}
		})
	}
}

func ok(value string) astra.Result { return astra.Result{Value: json.RawMessage(value)} }

func encode(t testing.TB, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestRunCost holds that work which no estimate foresaw ends, and that the verifier, not
// the episode, pays for it.
func TestRunCost(t *testing.T) {
	list := "[" + strings.Repeat("1,", 1<<17) + "1]"
	for _, source := range []string{
		`state.list.all(x, state.list.all(y, x == y))`,
		`state.list.all(x, state.list == gold.state.list)`,
		`sets.contains(state.list, state.list)`,
		`state.list.distinct().size() == 1`,
	} {
		p, err := verdictOf(t, source, astra.Evidence{State: ok(`{"list":` + list + `}`), Gold: astra.Play{State: json.RawMessage(`{"list":` + list + `}`)}})
		if err != nil || p.Value != 0 || !strings.Contains(fmt.Sprint(p.Reasons), "more work") {
			t.Errorf("%s: %v %+v", source, err, p)
		}
	}
}
