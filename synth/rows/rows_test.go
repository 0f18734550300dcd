package rows_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
	"github.com/astra-arenas/astra/sandbox"
	"github.com/astra-arenas/astra/store"
	"github.com/astra-arenas/astra/synth/rows"
	"github.com/astra-arenas/astra/verifiers"
)

func open(t testing.TB, name string) *os.File {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func all[T any](t testing.TB, seq func(func(T, error) bool)) []T {
	t.Helper()
	var list []T
	for v, err := range seq {
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, v)
	}
	return list
}

var engine = sync.OnceValue(func() *sandbox.Python {
	return sandbox.NewPython(&sandbox.Options{Python: filepath.Join("..", "..", "bin", "python.wasm")})
})

// house serves arenas with the real Python.
func house(t testing.TB) *gateway.Gateway {
	t.Helper()
	if _, err := os.Stat(filepath.Join("..", "..", "bin", "python.wasm")); err != nil {
		t.Skip("the Python engine is not there: make python")
	}
	st, err := store.Open(t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	judge, err := verifiers.New()
	if err != nil {
		t.Fatal(err)
	}
	gw, err := gateway.New(t.Context(), st, judge, []gateway.Runtime{engine()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { gw.Close() })
	return gw
}

// play makes calls on the only task of an arena and returns the score and what each returned.
func play(t testing.TB, gw *gateway.Gateway, b *astra.Bundle, calls ...astra.Call) (*astra.Score, []string) {
	t.Helper()
	a, err := gw.AddArena(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	r, err := gw.Rehearse(t.Context(), gateway.RehearsalRequest{Arena: a.Ref(), Task: a.Tasks[0].ID})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var said []string
	var values []json.RawMessage
	for _, c := range calls {
		args, err := astra.Interpolate(c.Args, values)
		if err != nil {
			t.Fatal(err)
		}
		step, err := r.Call(t.Context(), astra.Call{Tool: c.Tool, Args: args})
		if err != nil {
			t.Fatal(err)
		}
		said, values = append(said, string(step.Result.Value)+step.Result.Error), append(values, step.Result.Value)
	}
	score, err := r.Score(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return score, said
}

func gold(a *astra.Arena) []astra.Call {
	var calls []astra.Call
	list, _ := a.Tasks[0].GoldCalls()
	for _, c := range list {
		calls = append(calls, astra.Call{Tool: c.Tool, Args: c.Args})
	}
	return calls
}

func call(tool, args string) astra.Call {
	return astra.Call{Tool: tool, Args: json.RawMessage(args)}
}

// The fixture of row 0: it is imported, what is wrong is said, and its fourth target
// cannot be met by any call.
func TestImportOfRow0(t *testing.T) {
	row := all(t, rows.ReadRL(open(t, "rl.jsonl")))[0]
	im, err := row.Import()
	if err != nil {
		t.Fatal(err)
	}
	if len(im.Notes) != 1 || !strings.Contains(im.Notes[0], "payment_processor comes twice") || len(im.Arena.Tools) != 8 {
		t.Errorf("%d tools, notes %q", len(im.Arena.Tools), im.Notes)
	}
	score, said := play(t, house(t), im.Bundle,
		call("reservation_finder", `{"last_name":"Rove","flight_number":"OX 12"}`), call("baggage_allowance_retriever", `{"reservation_id":"RES987654"}`),
		call("baggage_fee_calculator", `{"extra_bags":1,"weight_kg":20}`), call("payment_processor", `{"reservation_id":"RES987654","amount":600}`))
	if score.Recall != 0.75 || score.Precision != 0.75 || !strings.Contains(said[3], "Transaction ID: TXN") {
		t.Errorf("recall %g, precision %g; %q", score.Recall, score.Precision, said)
	}
}

// A sound row plays, an exported one is the same row, and what is read back plays again.
func TestRLRoundTrip(t *testing.T) {
	row := all(t, rows.ReadRL(open(t, "rl.jsonl")))[1]
	im, err := row.Import()
	if err != nil {
		t.Fatal(err)
	}
	gw := house(t)
	calls := []astra.Call{call("harbour_depth", `{"harbour":"Merrow"}`), call("harbour_depth", `{"harbour":"Aldersund"}`), call("subtract", `{"a":11.25,"b":8.5}`)}
	if score, said := play(t, gw, im.Bundle, calls...); score.Reward != 1 || said[0] != `"{'harbour': 'Merrow', 'depth_m': 11.25}"` {
		t.Errorf("reward %g, %q", score.Reward, said)
	}
	back, err := rows.Export(im.Arena, &im.Arena.Tasks[0])
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := rows.WriteRL(&b, back); err != nil {
		t.Fatal(err)
	}
	again := all(t, rows.ReadRL(&b))[0]
	if !reflect.DeepEqual(again.Answer, row.Answer) || !reflect.DeepEqual(again.Prompt, row.Prompt) || strings.TrimSpace(again.Code["subtract"]) != strings.TrimSpace(row.Code["subtract"]) || len(again.Schema) != 2 {
		t.Errorf("it came back as %+v", again)
	}
	second, err := again.Import()
	if err != nil {
		t.Fatal(err)
	}
	var solution []astra.GoldCall
	for _, c := range calls {
		solution = append(solution, astra.GoldCall{Tool: c.Tool, Args: c.Args})
	}
	shipped, err := second.WithGold(solution)
	if err != nil {
		t.Fatal(err)
	}
	if score, _ := play(t, gw, shipped, calls...); score.Reward != 1 {
		t.Errorf("what was shipped scores %g", score.Reward)
	}
}

// env_result rows, merged and not, become arenas whose gold plays; a row without
// environments says so.
func TestEnvironments(t *testing.T) {
	traces := all(t, rows.ReadTraces(open(t, "env.jsonl")))
	if _, err := traces[0].Arena(); err == nil || !strings.Contains(err.Error(), "env_result has none") {
		t.Errorf("without environments: %v", err)
	}
	gw := house(t)
	for i, want := range []struct {
		tools int
		note  string
	}{{2, ""}, {3, "one is now harbour_depth_2"}} {
		im, err := traces[i+1].Arena()
		if err != nil {
			t.Fatal(err)
		}
		if len(im.Arena.Tools) != want.tools || !strings.Contains(strings.Join(im.Notes, " "), want.note) {
			t.Errorf("row %d: %d tools, notes %q", i+2, len(im.Arena.Tools), im.Notes)
		}
		score, said := play(t, gw, im.Bundle, gold(im.Arena)...)
		if score.Reward != 1 || len(said) != 3 {
			t.Errorf("row %d: reward %g, %q", i+2, score.Reward, said)
		}
		if last := gold(im.Arena)[2].Args; !strings.Contains(string(last), "$1.value") || !strings.Contains(string(last), "$2.value") {
			t.Errorf("row %d: what parents printed is not taken from them: %s", i+2, last)
		}
	}
}

// Instances come back as they were written.
func TestTraceRoundTrip(t *testing.T) {
	for _, trace := range all(t, rows.ReadTraces(open(t, "env.jsonl")))[:1] {
		if bad := trace.Instance.Check(); len(bad) > 0 {
			t.Errorf("%v", bad)
		}
		var b bytes.Buffer
		if err := rows.WriteTrace(&b, trace); err != nil {
			t.Fatal(err)
		}
		if back := all(t, rows.ReadTraces(&b))[0]; !reflect.DeepEqual(back, trace) {
			t.Errorf("%+v came back as %+v", trace.Instance, back.Instance)
		}
	}
}

// Whatever form dependencies and ids have in the wild, they are read.
func TestTolerance(t *testing.T) {
	for dependency, want := range map[string][]string{
		`null`: nil, `[]`: nil, `"null"`: nil, `"None"`: nil, `""`: nil, `1`: {"1"}, `[1,"2"]`: {"1", "2"}, `"[1, 2]"`: {"1", "2"}, `"1, 2"`: {"1", "2"}, `"1"`: {"1"},
	} {
		line := `{"scenario_type":"Multi-Hop","main_question":"q","final_answer":1,"decomposition_trace":[{"_uuid":"1","hop_level":1,"sub_question":"a","sub_answer":true},{"_uuid":3,"hop_level":2,"sub_question":"b","dependency":` + dependency + `,"sub_answer":{"x":1}}]}`
		trace := all(t, rows.ReadTraces(strings.NewReader(line)))[0]
		if got := trace.Instance.Nodes[1].DependsOn; len(got)+len(want) > 0 && !reflect.DeepEqual(got, want) {
			t.Errorf("%s is %v, want %v", dependency, got, want)
		}
		if trace.Instance.ID == "" || string(trace.Instance.Nodes[0].Answer) != "true" {
			t.Errorf("%+v", trace.Instance)
		}
	}
}

// A bad row is told with its line, and the next is read.
func TestBadRows(t *testing.T) {
	good := `{"prompt":[{"role":"user","content":"q"}],"tool_schema":"[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"description\":\"d\",\"parameters\":{}}}]","tool_dict":"{\"f\":\"def f(): return 1\"}","sub_qa_dict":"{\"f\":[\"1\"]}"}`
	file := good + "\n\n{\"prompt\": []\n" + strings.Replace(good, `[\"1\"]`, `[\"\"]`, 1) + "\n" + good + "\n"
	var lines []int
	n := 0
	for _, err := range rows.ReadRL(strings.NewReader(file)) {
		if bad, ok := errors.AsType[*rows.LineError](err); ok {
			lines = append(lines, bad.Line)
		} else if n++; err != nil {
			t.Error(err)
		}
	}
	if n != 2 || !reflect.DeepEqual(lines, []int{3, 4}) {
		t.Errorf("%d rows, errors in lines %v", n, lines)
	}
	for want, spoil := range map[string][2]string{
		"which is not in tool_schema": {`{\"f\":[`, `{\"g\":[`},
		"has no answers":              {`{\"f\":[\"1\"]}`, `{}`},
		"it is one of the user":       {`"role":"user"`, `"role":"system"`},
		"defines no function f":       {`def f()`, `def h()`},
		"is reserved":                 {`\"f\"`, `\"reset\"`},
	} {
		row := all(t, rows.ReadRL(strings.NewReader(strings.ReplaceAll(good, spoil[0], spoil[1]))))[0]
		if _, err := row.Import(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q in the place of %q: %v, want %q", spoil[1], spoil[0], err, want)
		}
	}
}

// Nothing that decides a score is in a NeMo Gym row.
func TestNeMo(t *testing.T) {
	b, err := astra.NewBundle([]astra.File{{Path: "arena.yaml", Data: []byte("name: port\nversion: 1.0.0\ndescription: d\ntools: [{name: f, description: Finds., input: {type: object, properties: {q: {type: string}}}}]\n")},
		{Path: "tools.js", Data: []byte("export function f() { return 1; }")},
		{Path: "tasks.jsonl", Data: []byte(`{"id": "one", "turns": [{"prompt": "First."}, {"prompt": "canary-turn"}], "scenario": {"s": "canary-scenario"}, "subtasks": [{"id": "s", "tool": "f", "answer": "canary-answer"}], "gold": [[{"tool": "f", "args": {"q": "canary-gold"}}], []], "answer": {"expected": "canary-expected"}, "verify": {"v": "answer != 'canary-verifier'"}}`)}})
	if err != nil {
		t.Fatal(err)
	}
	a, err := b.Load()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := rows.WriteNeMo(&out, a, &a.Tasks[0]); err != nil {
		t.Fatal(err)
	}
	var row struct {
		Params struct {
			Input []map[string]string
			Tools []map[string]any
		} `json:"responses_create_params"`
		Metadata map[string]string `json:"verifier_metadata"`
		Agent    map[string]string `json:"agent_ref"`
	}
	if err := json.Unmarshal(out.Bytes(), &row); err != nil || strings.Contains(out.String(), "canary") {
		t.Errorf("%v: %s", err, &out)
	}
	if row.Params.Input[0]["content"] != "First." || row.Params.Tools[0]["name"] != "f" || row.Params.Tools[0]["type"] != "function" || row.Metadata["arena"] != a.Ref() || row.Metadata["task"] != "one" || row.Agent["name"] == "" {
		t.Errorf("%+v", row)
	}
}

// What has no such form is refused, and it is said why.
func TestExportRefuses(t *testing.T) {
	b, err := astra.NewBundle([]astra.File{{Path: "arena.yaml", Data: []byte("name: port\nversion: 1.0.0\ndescription: d\ntools: [{name: f, description: Finds.}]\n")},
		{Path: "tools.js", Data: []byte("export function f() { return 1; }")}, {Path: "tasks.jsonl", Data: []byte(`{"id": "one", "turns": [{"prompt": "First."}], "answer": {"expected": "x"}}`)}})
	if err != nil {
		t.Fatal(err)
	}
	a, err := b.Load()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := rows.Export(a, &a.Tasks[0]); err == nil || !strings.Contains(err.Error(), "--runtime python") {
		t.Errorf("Export: %v", err)
	}
}

func FuzzTraces(f *testing.F) {
	b, err := os.ReadFile("testdata/env.jsonl")
	if err != nil {
		f.Fatal(err)
	}
	for line := range bytes.Lines(b) {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for trace, err := range rows.ReadTraces(bytes.NewReader(data)) {
			if err != nil {
				continue
			}
			trace.Instance.Check()
			if im, err := trace.Arena(); err == nil && im.Arena == nil {
				t.Fatal("neither an arena nor an error")
			}
		}
	})
}

func FuzzRL(f *testing.F) {
	b, err := os.ReadFile("testdata/rl.jsonl")
	if err != nil {
		f.Fatal(err)
	}
	for line := range bytes.Lines(b) {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for row, err := range rows.ReadRL(bytes.NewReader(data)) {
			if err != nil {
				continue
			}
			im, err := row.Import()
			if err != nil {
				continue
			}
			if _, err := rows.Export(im.Arena, &im.Arena.Tasks[0]); err != nil {
				t.Fatalf("what was imported cannot be exported: %v", err)
			}
		}
	})
}
