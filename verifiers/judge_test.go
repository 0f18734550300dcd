package verifiers_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
	"github.com/astra-arenas/astra/verifiers"
)

var _ gateway.Judge = (*verifiers.Judge)(nil)

func newJudge(t testing.TB) *verifiers.Judge {
	t.Helper()
	j, err := verifiers.New()
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func arena(tasks ...astra.Task) *astra.Arena {
	for i := range tasks {
		tasks[i].Line = i + 1
		if tasks[i].ID == "" {
			tasks[i].ID = fmt.Sprintf("t%d", i+1)
		}
		if tasks[i].Turns == nil {
			tasks[i].Turns = []astra.TaskTurn{{Prompt: "How many?"}}
		}
	}
	return &astra.Arena{Name: "inventory", Limits: astra.DefaultLimits, Tasks: tasks, Digest: "sha256:0"}
}

// steps makes steps of "tool value" lines; a value that begins with "!" is a failure.
func steps(lines ...string) []astra.Step {
	var all []astra.Step
	for i, line := range lines {
		tool, value, _ := strings.Cut(line, " ")
		s := astra.Step{Index: i + 1, Turn: 1, Tool: tool, Args: json.RawMessage(`{"n": ` + fmt.Sprint(i+1) + `}`)}
		if message, failed := strings.CutPrefix(value, "!"); failed {
			s.Result = astra.Failed(astra.FaultTool, message)
		} else {
			s.Result.Value = json.RawMessage(value)
		}
		all = append(all, s)
	}
	return all
}

// verdictOf scores one named verifier.
func verdictOf(t testing.TB, source string, ev astra.Evidence) (astra.Part, error) {
	t.Helper()
	ev.Arena = arena(astra.Task{Verify: map[string]string{"v": source}, Scenario: json.RawMessage(`{"n": 3}`)})
	ev.Task = &ev.Arena.Tasks[0]
	s, err := newJudge(t).Score(t.Context(), ev)
	if err != nil {
		return astra.Part{}, err
	}
	return s.Parts[0], nil
}

func TestVerdicts(t *testing.T) {
	reply := "fine"
	ev := astra.Evidence{
		Seed:   7,
		Answer: "  Café  W3 ",
		Steps:  steps(`find {"sku":"a","n":200.0,"m":2.5,"items":[{"id":1},{"id":2}]}`, `order !no stock`, `stock "12"`),
		Turns:  []astra.Turn{{Index: 1, Prompt: "How many?", Reply: &reply}, {Index: 2, Prompt: "And now?"}},
		State:  astra.Result{Value: json.RawMessage(`{"balance":10,"b":{"x":1,"a":[1,2]},"ok":true}`)},
		Gold:   astra.Play{Steps: steps(`find {"n":200}`), State: json.RawMessage(`{"ok":true,"b":{"a":[1.0,2],"x":1},"balance":1e1}`)},
	}
	for _, c := range []struct {
		source string
		want   float64
	}{
		{`state == gold.state`, 1},
		{`state.balance >= 0 && state.ok`, 1},
		{`state.ok`, 1},
		{`steps[0].value.n == 200`, 1},
		{`steps[0].value.n == 200.0 && type(steps[0].value.n) == int`, 1},
		{`steps[0].value.m > 2 && steps[0].value.m < 3`, 1},
		{`steps[0].args.n == 1 && steps[0].index == 1 && steps[0].turn == 1`, 1},
		{`steps.all(s, s.ok)`, 0},
		{`steps.filter(s, s.ok).size() == 2 && steps[1].error == 'no stock' && !steps[1].injected`, 1},
		{`steps.exists(s, s.tool == 'stock' && number(s.value) == 12.0)`, 1},
		{`normalize(answer) == 'café w3'`, 1},
		{`turns[0].reply == 'fine' && turns[1].reply == '' && turns.size() == 2`, 1},
		{`seed == 7 && task.id == 't1' && task.scenario.n == 3 && task.prompts == ['How many?'] && task.budget == 64`, 1},
		{`gold.steps[0].value.n == steps[0].value.n`, 1},
		{`0.25`, 0.25},
		{`similar(answer, 'cafe w3')`, 1 - 1.0/7},
		{`set_f1(steps[0].value.items.map(i, i.id), [2, 3])`, 0.5},
		{`set_f1(['A', 'b', 'b'], ['B ', 'a'])`, 1},
		{`approx('3.1400000001', 3.14) && approx(99, 100, 1) && !approx(98.9, 100, 1)`, 1},
		{`json('{"a": [1, 2.0]}').a == [1, 2]`, 1},
		{`date('2026-03-02') < date('2026-03-02T00:00:01Z') && date('2026-03-02 09:00') == date('2026-03-02T10:00:00+01:00')`, 1},
		{`state.b.map(k, k) == ['a', 'x']`, 1},
		{`state.b.all(k, v, k in ['a', 'x'])`, 1},
		{`cel.bind(s, steps[0], s.tool == 'find' && has(s.value.sku) && !has(s.value.zzz))`, 1},
		{`steps[0].value.?zzz.orValue(3) == 3`, 1},
		{`math.greatest(1, 2) == 2 && sets.contains([1, 2], [2]) && 'a,b'.split(',') == ['a', 'b'] && [3, 1].sort() == [1, 3]`, 1},
		{`base64.encode(b'hi') == 'aGk=' && regex.extract(answer, 'W[0-9]').value() == 'W3'`, 1},
		// What the agent brought about: false, never invalid.
		{`steps[0].value.missing == 1`, 0},
		{`steps[1].value.n == 1`, 0},
		{`steps[9].ok`, 0},
		{`steps[0].value.n / (steps.size() - 3) == 1`, 0},
		{`steps[0].value.sku > 3`, 0},
		{`steps[0].value.sku && true`, 0},
		{`number(answer) == 1.0`, 0},
		{`int(answer) == 1`, 0},
		{`json(answer).x == 1`, 0},
		{`date(answer) == date('2026-03-02')`, 0},
		{`'x'.matches('[' + answer)`, 0},
		{`state.nothing.at.all == 1`, 0},
		{`steps[0].value.n * 1.0 == 200.0`, 0}, // int * double: documented
		{`steps[0].value.n`, 0},                // 200 is not from 0 to 1
		{`double('NaN') + number(steps[2].value)`, 0},
		{`gold.steps[steps.size()].ok`, 0},
		{`answer == 'x' || gold.state.missing == 1`, 0},
		{`steps.exists(s, s.value.n == gold.state.missing)`, 0},
		// || and && do not care about a failing side if the other decides.
		{`steps[9].ok || seed == 7`, 1},
		{`has(gold.state.zzz) && gold.state.zzz == answer`, 0},
	} {
		t.Run(c.source, func(t *testing.T) {
			p, err := verdictOf(t, c.source, ev)
			if err != nil {
				t.Fatal(err)
			}
			if d := p.Value - c.want; d > 1e-9 || d < -1e-9 {
				t.Errorf("value = %v, want %v; reasons %+v", p.Value, c.want, p.Reasons)
			}
			if p.Value < 1 && len(p.Reasons) == 0 {
				t.Error("no reason given")
			}
		})
	}
}

// TestBroken holds that an error which no agent can influence makes the episode invalid,
// and does so whatever the agent did.
func TestBroken(t *testing.T) {
	gold := astra.Play{Steps: steps(`find {"n":200}`), State: json.RawMessage(`{"n":1}`)}
	agents := map[string]astra.Evidence{
		"idle": {Gold: gold, State: astra.Result{Value: json.RawMessage(`{}`)}},
		"busy": {Gold: gold, Answer: "W3", Steps: steps(`find {"n":200}`), State: astra.Result{Value: json.RawMessage(`{"n":1}`)}},
		"rude": {Gold: gold, Answer: strings.Repeat("x", 1<<20), Steps: steps(`find [[[`), State: astra.Failed(astra.FaultTool, "no")},
	}
	for _, source := range []string{
		`gold.state.missing == 1`,
		`answer == 'W3' && gold.state.missing == 1`,
		`steps[0].value.n == gold.state.missing`,
		`answer == 'W3' && gold.steps[7].ok`,
		`state.n == 1 / (seed - seed)`,
		`gold.state.n + 1`,
		`steps.all(s, s.ok) && gold.state.list.all(x, x > steps.size())`,
	} {
		for name, ev := range agents {
			_, err := verdictOf(t, source, ev)
			if se, ok := err.(*astra.ScoreError); !ok || se.Fault != astra.FaultVerifier {
				t.Errorf("%s: agent %s: error = %v, want a ScoreError of the verifier", source, name, err)
			}
		}
	}
}

func TestReasons(t *testing.T) {
	ev := astra.Evidence{Answer: "no", Steps: steps(`find {"n":1}`, `find {"n":5}`, `find {"n":7}`)}
	source := `(steps.all(s, s.value.n < 3) && answer == "(&&") && steps[0].value.zip == 'x(' && (true)`
	p, err := verdictOf(t, source, ev)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range p.Reasons {
		got = append(got, fmt.Sprintf("%s @%d: %s", r.Text, r.Step, source[r.Clause[0]:r.Clause[1]]))
	}
	want := []string{
		"clause 1 of 4 is false @2: steps.all(s, s.value.n < 3)",
		`clause 2 of 4 is false @0: answer == "(&&"`,
		"clause 3 of 4 fails: no such key @0: steps[0].value.zip == 'x('",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("reasons:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestCheckRefuses(t *testing.T) {
	for _, c := range []struct {
		task  astra.Task
		state bool
		want  []string
	}{
		{verify(`steps.all(s, s.vallue == 1)`), true, []string{"tasks.jsonl:1: task t1: verifier v: column 15:", "undefined field 'vallue'"}},
		{verify("true &&\n  task.idd == 'x'"), true, []string{"line 2, column 7:", "idd"}},
		{verify(`answr == 'x'`), true, []string{"column 1:", "answr"}},
		{verify(`answer == `), true, []string{"column 11:", "Syntax error"}},
		{verify(`step.ok`), true, []string{"undeclared reference to 'step'"}},
		{verify(`state.balance >= 0`), false, []string{"reads state", "no state()"}},
		{verify(`cel.bind(g, gold, g.state.x == 1)`), false, []string{"reads state"}},
		{verify(`answer`), true, []string{"must yield a boolean or a number"}},
		{verify(`2`), true, []string{"not from 0 to 1"}},
		{verify(`state.a.all(x, state.b.all(y, state.c.all(z, x == y + z)))`), true, []string{"units where", "fewer loops within loops"}},
		{verify(`cel.bind(a, answer.replace('', answer), a.replace('', a)) == ''`), true, []string{"units where"}},
		{verify(`size('%s%s'.format([answer + answer, answer])) > 3`), true, []string{"units where"}},
		{verify(`[1].exists(answer, answer == 1)`), true, []string{"hides the episode's"}},
		{verify(`{'a': 1}.exists(k, k == 'a')`), true, []string{"order is not fixed"}},
		{verify(strings.Repeat("(", 2000) + "true" + strings.Repeat(")", 2000)), true, []string{"column"}},
		{verify(strings.Repeat("true && ", 2000) + "true"), true, []string{"column"}},
		{astra.Task{Subtasks: []astra.Subtask{{ID: "s1", Tool: "find", Solved: "step.valeu == 1"}}}, true, []string{"subtask s1: solved: column 5:", "valeu"}},
		{astra.Task{Subtasks: []astra.Subtask{{ID: "s1", Tool: "find", Solved: "1"}}}, true, []string{"solved must yield a boolean"}},
		{astra.Task{Subtasks: []astra.Subtask{{ID: "s1", Tool: "find"}}}, true, []string{"neither answer nor solved"}},
		{astra.Task{Answer: &astra.Answer{Verify: "answer.siz() == 1"}}, true, []string{"answer: verify: column"}},
		{astra.Task{Verify: map[string]string{"f1": "true"}}, true, []string{"rename"}},
	} {
		err := newJudge(t).Check(arena(c.task), c.state)
		for _, want := range c.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("Check(%+v) = %v, want %q in it", c.task.Verify, err, want)
			}
		}
	}
}

// TestCheckReadsOutputSchemas holds `solved` to the properties of a closed output schema.
func TestCheckReadsOutputSchemas(t *testing.T) {
	for _, c := range []struct{ schema, solved, want string }{
		{`{"type":"object","properties":{"quantity":{}},"additionalProperties":false}`, "step.value.quantty == 1", "column 11: undefined field 'quantty': the output schema of order has quantity"},
		{`{"type":"object","properties":{"quantity":{}},"additionalProperties":false}`, "step.value.quantity == 1", ""},
		{`{"type":"object","properties":{"quantity":{}}}`, "step.value.quantty == 1", ""},
		{``, "step.value.quantty == 1", ""},
	} {
		a := arena(astra.Task{Subtasks: []astra.Subtask{{ID: "s", Tool: "order", Solved: c.solved}}})
		a.Tools = []astra.Tool{{Name: "order", Output: json.RawMessage(c.schema)}}
		err := newJudge(t).Check(a, true)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("Check(%s) with %s = %v, want %q", c.solved, c.schema, err, c.want)
		}
	}
}

func verify(source string) astra.Task { return astra.Task{Verify: map[string]string{"v": source}} }

// TestCheckAccepts holds that what authors write passes the cost estimate.
func TestCheckAccepts(t *testing.T) {
	for _, source := range []string{
		`state == gold.state`,
		`state.orders.exists(o, o.sku == 'a' && o.quantity == 200)`,
		`steps.exists(s, s.tool == 'x' && s.value.items.exists(i, i.id == 'x'))`,
		`gold.steps.all(g, steps.exists(s, s.tool == g.tool && s.args == g.args))`,
		`set_f1(state.orders, gold.state.orders) > 0.9`,
		`similar(answer, 'the quick brown fox') > 0.8`,
		`answer.matches('(?i)w[0-9]+') && answer.contains('W3') && normalize(answer).startsWith('w')`,
		`json(answer).all(x, x in gold.state.names)`,
		`'%s-%d'.format([task.id, seed]) == answer`,
		`state.a.all(x, gold.state.a.exists(y, x.id == y.id && x == y))`,
		`state.files.all(f, f in gold.state.files && state.files[f] == gold.state.files[f])`,
	} {
		if err := newJudge(t).Check(arena(verify(source)), true); err != nil {
			t.Errorf("Check(%s) = %v", source, err)
		}
	}
}

// TestContextEndsScore cancels before a score, and in the middle of one.
func TestContextEndsScore(t *testing.T) {
	a := arena(verify(`steps.all(s, steps.all(r, steps.all(q, q.ok)))`))
	ev := astra.Evidence{Arena: a, Task: &a.Tasks[0]}
	for range 64 {
		ev.Steps = append(ev.Steps, steps(`x 1`)...)
	}
	for _, looks := range []int{0, 5} {
		ctx := &lateContext{Context: t.Context(), looks: looks}
		if _, err := newJudge(t).Score(ctx, ev); err != context.DeadlineExceeded {
			t.Errorf("Score = %v, want the context's error", err)
		}
	}
}

// A lateContext is over after it has been looked at a number of times.
type lateContext struct {
	context.Context
	looks int
}

func (c *lateContext) Err() error {
	if c.looks--; c.looks < 0 {
		return context.DeadlineExceeded
	}
	return nil
}

func TestSubtasks(t *testing.T) {
	sub := func(id, tool, answer string, parents ...string) astra.Subtask {
		s := astra.Subtask{ID: id, Tool: tool, DependsOn: parents}
		if answer != "" {
			s.Answer = json.RawMessage(answer)
		}
		return s
	}
	for _, c := range []struct {
		name     string
		subtasks []astra.Subtask
		steps    []astra.Step
		want     string // solving step of each that counts; 0 is unsolved
		f1       float64
	}{
		// The paper's table (n, n̂, c), ASTRA §3.6.
		{"4 4 4", fourSubtasks(), steps(`a "A1"`, `b "B1"`, `c "C1"`, `d "D1"`), "1 2 3 4", 1},
		{"4 4 6", fourSubtasks(), steps(`a "A1"`, `b "x"`, `b "B1"`, `c "C1"`, `zz 1`, `d "D1"`), "1 3 4 6", .8},
		{"4 3 4", fourSubtasks(), steps(`a "A1"`, `b "B1"`, `c "C1"`, `d "x"`), "1 2 3 0", .75},
		{"4 3 3", fourSubtasks(), steps(`a "A1"`, `b "B1"`, `c "C1"`), "1 2 3 0", 6. / 7},
		{"4 2 2", fourSubtasks(), steps(`a "A1"`, `b "B1"`), "1 2 0 0", 4. / 6},
		{"4 1 1", fourSubtasks(), steps(`a "A1"`), "1 0 0 0", .4},
		{"4 4 8", fourSubtasks(), steps(`a "A1"`, `b "B1"`, `c "C1"`, `d "D1"`, `a 1`, `a 1`, `a !bad`, `nope !unknown tool`), "1 2 3 4", 8. / 12},
		{"4 0 3", fourSubtasks(), steps(`a 1`, `a 1`, `a 1`), "0 0 0 0", 0},
		{"4 0 0", fourSubtasks(), nil, "0 0 0 0", 0},
		{"too early, then repeated", []astra.Subtask{sub("p", "a", `"A1"`), sub("q", "b", `"B1"`, "p")}, steps(`b "B1"`, `a "A1"`, `b "B1"`), "2 3", 4. / 5},
		{"too early", []astra.Subtask{sub("p", "a", `"A1"`), sub("q", "b", `"B1"`, "p")}, steps(`b "B1"`, `a "A1"`), "2 0", .5},
		{"one step solves two", []astra.Subtask{sub("p", "a", `"A1"`), sub("q", "a", `"A2"`)}, steps(`a {"x":"A1","y":["A2"]}`), "1 1", 1},
		{"not the same step as its parent", []astra.Subtask{sub("p", "a", `"A1"`), sub("q", "a", `"A2"`, "p")}, steps(`a ["A1","A2"]`), "1 0", 2. / 3},
		{"a parent that does not count hands on", []astra.Subtask{sub("q", "b", `"B1"`, "m"), sub("m", "", "", "p"), sub("p", "a", `"A1"`)}, steps(`b "B1"`, `a "A1"`, `b "B1"`), "3 2", 4. / 5},
		{"a parent that does not count and has none", []astra.Subtask{sub("q", "b", `"B1"`, "m"), sub("m", "", "")}, steps(`b "B1"`), "1", 1},
		{"a failed step solves nothing", []astra.Subtask{sub("p", "a", `"A1"`)}, steps(`a !A1`), "0", 0},
		{"a cycle", []astra.Subtask{sub("p", "a", `"A1"`, "q"), sub("q", "a", `"A1"`, "p")}, steps(`a "A1"`), "0 0", 0},
		{"an unknown parent", []astra.Subtask{sub("p", "a", `"A1"`, "zz")}, steps(`a "A1"`), "0", 0},
		{"at", []astra.Subtask{{ID: "p", Tool: "a", Answer: json.RawMessage(`true`), At: "/x/0"}}, steps(`a {"y":true}`, `a {"x":[true]}`), "2", 2. / 3},
		{"compare", []astra.Subtask{{ID: "p", Tool: "a", Answer: json.RawMessage(`100`), Compare: &astra.Compare{Tolerance: 0.1, Relative: true}}}, steps(`a "91"`), "1", 1},
		{"solved, any tool", []astra.Subtask{{ID: "p", Solved: "step.value.n == 3 && step.tool != 'a'"}}, steps(`a {"n":3}`, `b {}`, `b {"n":3.0}`), "3", .5},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := arena(astra.Task{Subtasks: c.subtasks})
			s, err := newJudge(t).Score(t.Context(), astra.Evidence{Arena: a, Task: &a.Tasks[0], Steps: c.steps})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, sub := range s.Subtasks {
				got = append(got, fmt.Sprint(sub.Step))
				if sub.Solved == (sub.Reason != nil) {
					t.Errorf("sub-task %s: solved %v, reason %v", sub.ID, sub.Solved, sub.Reason)
				}
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("solved by %v, want %s", got, c.want)
			}
			if d := s.Reward - c.f1; d > 1e-9 || d < -1e-9 {
				t.Errorf("reward = %v, want %v", s.Reward, c.f1)
			}
		})
	}
}

func fourSubtasks() []astra.Subtask {
	var all []astra.Subtask
	for _, id := range []string{"a", "b", "c", "d"} {
		all = append(all, astra.Subtask{ID: id, Tool: id, Answer: json.RawMessage(`"` + strings.ToUpper(id) + `1"`)})
	}
	return all
}

func TestInjectedStepsDoNotCount(t *testing.T) {
	a := arena(astra.Task{Subtasks: []astra.Subtask{{ID: "p", Tool: "a", Answer: json.RawMessage(`"A1"`)}}})
	st := steps(`a !planned`, `a "A1"`)
	st[0].Result.Injected = true
	s, err := newJudge(t).Score(t.Context(), astra.Evidence{Arena: a, Task: &a.Tasks[0], Steps: st})
	if err != nil || s.Reward != 1 {
		t.Errorf("Score = %+v, %v; want reward 1", s, err)
	}
}

func TestSubtaskReasons(t *testing.T) {
	sub := func(tool, solved string, parents ...string) astra.Subtask {
		s := astra.Subtask{ID: "q", Tool: tool, Solved: solved, DependsOn: parents}
		if solved == "" {
			s.Answer = json.RawMessage(`"secret answer"`)
		}
		return s
	}
	parent := astra.Subtask{ID: "p", Tool: "a", Answer: json.RawMessage(`"A1"`)}
	for _, c := range []struct {
		sub   astra.Subtask
		steps []astra.Step
		want  string
	}{
		{sub("b", ""), steps(`a 1`), "not solved: no successful call of b"},
		{sub("b", "", "p"), steps(`b "secret answer"`, `a "A1"`), "not solved: no successful call of b came after what it depends on"},
		{sub("b", "", "p"), steps(`b 1`), "not solved: it depends on what was not solved"},
		{sub("b", ""), steps(`b 1`, `b 2`), "not solved: none of 2 successful calls of b returned what was expected"},
		{sub("b", "step.value.n == 1 && step.value.m == 2"), steps(`b {}`, `b {"n":1,"m":3}`), "not solved: clause 2 of 2 is false"},
		{sub("", "step.value.secret == 1"), steps(`b {}`), "not solved: it fails: no such key"},
	} {
		a := arena(astra.Task{Subtasks: []astra.Subtask{parent, c.sub}})
		s, err := newJudge(t).Score(t.Context(), astra.Evidence{Arena: a, Task: &a.Tasks[0], Steps: c.steps})
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Subtasks[1].Reason; got == nil || got.Text != c.want {
			t.Errorf("reason = %+v, want %q", got, c.want)
		}
		if strings.Contains(encode(t, s), "secret") {
			t.Errorf("the score tells what is hidden: %s", encode(t, s))
		}
	}
}

func TestWeights(t *testing.T) {
	expected := &astra.Answer{Expected: json.RawMessage(`"yes"`)}
	subs := fourSubtasks()
	for _, c := range []struct {
		name   string
		task   astra.Task
		answer string
		want   float64
	}{
		{"f1 alone", astra.Task{Subtasks: subs, Answer: expected}, "no", .4},
		{"answer alone", astra.Task{Answer: expected}, " YES ", 1},
		{"answer alone, wrong", astra.Task{Answer: expected}, "no", 0},
		{"weights", astra.Task{Subtasks: subs, Answer: expected, Weights: map[string]float64{"f1": .75, "answer": .25}}, "yes", .75*.4 + .25},
		{"gate holds", astra.Task{Subtasks: subs, Verify: map[string]string{"g": "true"}}, "", .4},
		{"gate closes", astra.Task{Subtasks: subs, Verify: map[string]string{"g": "answer == 'x'"}}, "", 0},
		{"a gate is closed unless true", astra.Task{Subtasks: subs, Verify: map[string]string{"g": "0.9"}}, "", 0},
		{"gates alone", astra.Task{Verify: map[string]string{"g": "true"}}, "", 1},
		{"weighted verifier", astra.Task{Verify: map[string]string{"g": "0.5", "h": "1"}, Weights: map[string]float64{"g": 3, "h": 1}}, "", .625},
		{"answer.verify", astra.Task{Answer: &astra.Answer{Expected: json.RawMessage(`"no"`), Verify: "answer == 'x'"}}, "x", 1},
	} {
		a := arena(c.task)
		s, err := newJudge(t).Score(t.Context(), astra.Evidence{Arena: a, Task: &a.Tasks[0], Steps: steps(`a "A1"`), Answer: c.answer})
		if err != nil {
			t.Fatal(err)
		}
		if d := s.Reward - c.want; d > 1e-9 || d < -1e-9 {
			t.Errorf("%s: reward = %v, want %v: %s", c.name, s.Reward, c.want, encode(t, s))
		}
	}
}
