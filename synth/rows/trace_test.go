package rows_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/astra-arenas/astra/synth"
	"github.com/astra-arenas/astra/synth/rows"
)

func readTraces(t *testing.T, text string, opts *rows.TraceOptions) (all []*rows.Trace, bad []string) {
	t.Helper()
	for tr, err := range rows.ReadTraces("f.jsonl", strings.NewReader(text), opts) {
		if err != nil {
			bad = append(bad, err.Error())
			continue
		}
		all = append(all, tr)
	}
	return all, bad
}

func fixture(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestReadTraces(t *testing.T) {
	all, bad := readTraces(t, fixture(t, "traces.jsonl"), nil)
	if len(all) != 3 {
		t.Fatalf("%d rows, want 3; refused: %q", len(all), bad)
	}
	in := all[0].Instance
	want := synth.Instance{ID: "t-1", Language: synth.English, Domain: "Ferries", Scenario: synth.ParallelMultiHop,
		Question: "Which of the two ferries carries more cars, and how many more?", Answer: json.RawMessage(`"The Alba, 40 more."`),
		Nodes: []synth.Node{
			{ID: "1", Question: "How many cars does the Alba carry?", Answer: json.RawMessage(`120`), Hop: 1, Parallel: true, Tool: true, Reason: "it is in a register"},
			{ID: "2", Question: "How many cars does the Brise carry?", Answer: json.RawMessage(`80`), Hop: 1, Parallel: true, Tool: true},
			{ID: "3", Question: "How many more is that?", Answer: json.RawMessage(`40`), DependsOn: []string{"1", "2"}, Hop: 2, Tool: true},
		}}
	if !reflect.DeepEqual(in, want) {
		t.Errorf("got  %+v\nwant %+v", in, want)
	}
	if c := in.Check(); len(c) > 0 {
		t.Errorf("Check: %v", c)
	}
	if q := all[0].Quality; q == nil || q.Score != 0.9375 || q.Atomicity.Score != 0.75 {
		t.Errorf("quality %+v", q)
	}
	if all[1].Instance.ID != "7" || all[1].Instance.Language != synth.Chinese || all[1].Quality != nil || all[1].Legitimate != nil {
		t.Errorf("second row %+v", all[1])
	}
	wantBad := []string{
		"f.jsonl:4: no JSON: ",
		"f.jsonl:5: this is a model's raw output: decomposition_trace is missing; use the file that ends in _processed.jsonl",
		"f.jsonl:6: the dependency 0.5 is no id",
		"f.jsonl:7: the dependency ",
		"f.jsonl:8: main_question is a number, which it cannot be; mend the value",
		"f.jsonl:9: item 1 of a list is no object",
	}
	if len(bad) != len(wantBad) {
		t.Fatalf("refused %q", bad)
	}
	for i, w := range wantBad {
		if !strings.HasPrefix(bad[i], w) {
			t.Errorf("refusal %d: %s\nwant %s…", i, bad[i], w)
		}
	}
}

func TestDependencies(t *testing.T) {
	for given, want := range map[string][]string{
		`null`: nil, `[]`: nil, `"null"`: nil, `"None"`: nil, `""`: nil, `"[]"`: nil, `[null]`: nil,
		`1`: {"1"}, `"1"`: {"1"}, `1.0`: {"1"}, `[1]`: {"1"}, `"[1,2]"`: {"1", "2"}, `"1, 2"`: {"1", "2"}, `["1", 2]`: {"1", "2"}, `0`: {"0"}, `-1`: {"-1"},
	} {
		all, bad := readTraces(t, `{"decomposition_trace": [{"_uuid": 9, "dependency": `+given+`}]}`, nil)
		if len(bad) > 0 || !slices.Equal(all[0].Instance.Nodes[0].DependsOn, want) {
			t.Errorf("%s: %v %v, want %v", given, all, bad, want)
		}
	}
	for _, given := range []string{`0.5`, `{}`, `true`, `"[1"`, `[[1]]`} {
		if all, bad := readTraces(t, `{"decomposition_trace": [{"_uuid": 9, "dependency": `+given+`}]}`, nil); len(all) > 0 || len(bad) != 1 {
			t.Errorf("%s: taken", given)
		}
	}
}

func TestRelayer(t *testing.T) {
	all, bad := readTraces(t, fixture(t, "traces.jsonl"), &rows.TraceOptions{Relayer: true})
	if len(all) != 3 {
		t.Fatalf("refused %q", bad)
	}
	in := all[1].Instance
	if in.Nodes[2].Hop != 3 || in.Scenario != synth.MultiHop {
		t.Errorf("not set anew: %+v", in)
	}
	_, bad = readTraces(t, `{"decomposition_trace": [{"_uuid": 1, "dependency": 2}, {"_uuid": 2, "dependency": 1}]}`, &rows.TraceOptions{Relayer: true})
	if len(bad) != 1 || !strings.Contains(bad[0], "no DAG") {
		t.Errorf("a cycle: %q", bad)
	}
}

func TestTraceRoundTrip(t *testing.T) {
	all, _ := readTraces(t, fixture(t, "traces.jsonl"), nil)
	for _, tr := range all {
		var b bytes.Buffer
		if err := rows.WriteTrace(&b, tr); err != nil {
			t.Fatal(err)
		}
		again, bad := readTraces(t, b.String(), nil)
		if len(bad) > 0 || !sameTrace(tr, again[0]) {
			t.Errorf("%s\nbecame %+v\nwas    %+v\n%q", b.String(), again, tr, bad)
		}
		var c bytes.Buffer
		if err := rows.WriteTrace(&c, again[0]); err != nil || c.String() != b.String() {
			t.Errorf("written twice: %s%s", &b, &c)
		}
	}
}

// sameTrace compares what two rows say; of kept JSON only the white space may differ.
func sameTrace(a, b *rows.Trace) bool {
	x, err1 := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return errors.Join(err1, err2) == nil && reflect.DeepEqual(a.Instance, b.Instance) && strings.ReplaceAll(string(x), "null", "{}") == strings.ReplaceAll(string(y), "null", "{}")
}

// A file may be one indented document, as the paper's merging writes it.
func TestIndentedFile(t *testing.T) {
	one := "{\n \"uuid\": \"a\",\n \"main_question\": \"q\",\n \"decomposition_trace\": []\n}\n"
	if all, bad := readTraces(t, one, nil); len(all) != 1 || len(bad) > 0 {
		t.Errorf("an object: %v %q", all, bad)
	}
	if all, bad := readTraces(t, "\n[\n"+one+",\n"+one+"]\n", nil); len(all) != 2 || len(bad) > 0 {
		t.Errorf("a list: %v %q", all, bad)
	}
	if all, bad := readTraces(t, one[:20], nil); len(all) != 0 || len(bad) != 1 || !strings.HasPrefix(bad[0], "f.jsonl:1: no JSON") {
		t.Errorf("a torn one: %v %q", all, bad)
	}
}

func TestLongRow(t *testing.T) {
	good := `{"decomposition_trace": []}`
	long := `{"decomposition_trace": [], "x": "` + strings.Repeat("x", rows.MaxRowBytes) + `"}`
	all, bad := readTraces(t, good+"\n"+long+"\n"+good, nil)
	if len(all) != 2 || len(bad) != 1 || bad[0] != "f.jsonl:2: more than 16777216 bytes; write an object a line" {
		t.Errorf("%d rows, refused %q", len(all), bad)
	}
}

func FuzzReadTraces(f *testing.F) {
	for line := range strings.Lines(fixture(f, "traces.jsonl")) {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for tr, err := range rows.ReadTraces("f", strings.NewReader(text), nil) {
			if err != nil {
				continue
			}
			tr.Instance.Check()
			var b bytes.Buffer
			if err := rows.WriteTrace(&b, tr); err != nil {
				t.Fatalf("read and not written: %v", err)
			}
			again, bad := readTraces(t, b.String(), nil)
			if len(bad) > 0 || len(again) != 1 || !reflect.DeepEqual(again[0].Instance, tr.Instance) {
				t.Fatalf("%s\nbecame %+v %q\nwas    %+v", b.String(), again, bad, tr.Instance)
			}
		}
	})
}
