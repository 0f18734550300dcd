package datasets_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/trainer/datasets"
)

// Equal input gives equal bytes, and the manifest has the digest of each file.
func TestSameBytes(t *testing.T) {
	for _, parquet := range []bool{false, true} {
		o := datasets.Options{Format: datasets.TRL, Parquet: parquet, Eval: 0.3, ShardRows: 2}
		a, m := write(t, talks(t), o)
		b, _ := write(t, talks(t), o)
		if len(m.Files) < 8 {
			t.Fatalf("only %d files: %v", len(m.Files), m.Files)
		}
		for _, f := range append(m.Files, datasets.File{Name: "manifest.json"}) {
			if read(t, a, f.Name) != read(t, b, f.Name) {
				t.Errorf("%s differs", f.Name)
			}
		}
	}
}

// Servers that a row links are in one split; each row is in one; the share is as near as
// can be.
func TestSplit(t *testing.T) {
	var all []astra.Trajectory
	for i := range 60 {
		arena := fmt.Sprintf("a%d", i%15)
		var others []string
		if i%15 < 4 {
			others = []string{"hub"} // a0 to a3 are linked
		}
		all = append(all, talk(i, arena, others...))
	}
	for _, tt := range []struct {
		share float64
		eval  int
	}{{0, 0}, {0.05, 4}, {0.1, 8}, {0.2, 12}, {0.5, 28}} { // components of 16 and of 4 rows
		for seed := range int64(3) {
			dir, m := write(t, all, datasets.Options{Format: datasets.OpenAI, Eval: tt.share, Seed: seed})
			servers, rows := map[string]map[string]bool{}, map[string]int{}
			for _, line := range strings.Split(strings.TrimSpace(read(t, dir, "rows.jsonl")), "\n") {
				var r struct {
					Split    string
					Metadata astra.TrajectoryOf
				}
				must(t, json.Unmarshal([]byte(line), &r))
				rows[r.Split]++
				for _, s := range append(r.Metadata.Others, r.Metadata.Arena) {
					if servers[s] == nil {
						servers[s] = map[string]bool{}
					}
					servers[s][r.Split] = true
				}
			}
			for s, in := range servers {
				if len(in) != 1 {
					t.Errorf("share %v: %s is in %v", tt.share, s, slices.Sorted(maps.Keys(in)))
				}
			}
			if off := rows["eval"] - tt.eval; off != 0 && !(tt.share == 0.1 && rows["eval"] == 4) && !(tt.share == 0.5 && rows["eval"] == 32) || rows["eval"]+rows["train"] != 60 {
				t.Errorf("share %v, seed %d: %v, want %d in eval", tt.share, seed, rows, tt.eval)
			}
			if m.Components != 12 {
				t.Errorf("%d components, want 12", m.Components)
			}
		}
	}
}

func TestSeedChoosesServers(t *testing.T) {
	var all []astra.Trajectory
	for i := range 40 {
		all = append(all, talk(i, fmt.Sprintf("a%d", i)))
	}
	chosen := map[string]bool{}
	for seed := range int64(4) {
		dir, _ := write(t, all, datasets.Options{Format: datasets.OpenAI, Eval: 0.1, Seed: seed})
		chosen[read(t, dir, "eval/eval-00000-of-00001.jsonl")] = true
	}
	if len(chosen) < 2 {
		t.Error("four seeds hold the same rows back")
	}
}

// Of copies the best stays, whatever came first.
func TestCopies(t *testing.T) {
	good, bad := 0.9, 0.2
	first := talk(1, "a")
	first.Metadata.Scores = map[string]float64{"mean": bad}
	same := talk(1, "b")
	same.Metadata.ID, same.Metadata.Scores = "same", map[string]float64{"mean": good}
	near := talk(1, "c")
	near.Metadata.ID = "near"
	near.Messages = json.RawMessage(strings.Replace(string(near.Messages), "w1x11", "other", 1))
	dir, m := write(t, []astra.Trajectory{first, near, same, talk(2, "a")}, datasets.Options{Format: datasets.OpenAI, Near: 0.5})
	index := read(t, dir, "rows.jsonl")
	if strings.Count(index, "\n") != 2 || !strings.Contains(index, `"id":"same"`) || !strings.Contains(index, `"id":"t-002"`) {
		t.Errorf("rows: %s", index)
	}
	for _, want := range []string{"the same conversation as another", "nearly the same conversation as another"} {
		if !slices.ContainsFunc(m.LeftOut, func(c datasets.Count) bool {
			return c.What == want && c.Rows == 1 && strings.Contains(c.Example, "like same") || c.What == want && strings.Contains(c.Example, "is same")
		}) {
			t.Errorf("%q is not counted: %+v", want, m.LeftOut)
		}
	}
	_, m = write(t, []astra.Trajectory{first, near}, datasets.Options{Format: datasets.OpenAI, Near: 1})
	if m.Splits[0].Rows != 2 {
		t.Error("with likeness 1 a near copy was left out")
	}
}

func TestSameID(t *testing.T) {
	again := talk(2, "a")
	again.Metadata.ID = talk(1, "a").Metadata.ID
	_, m := write(t, []astra.Trajectory{talk(1, "a"), again}, datasets.Options{Format: datasets.OpenAI})
	if len(m.LeftOut) != 1 || m.LeftOut[0].What != "the id of an earlier one" {
		t.Errorf("left out %+v", m.LeftOut)
	}
}

func TestAccept(t *testing.T) {
	score := func(v float64, of string, kind string) astra.Trajectory {
		tr := talk(int(v*1000), "a")
		tr.Metadata.Reward, tr.Metadata.Kind = &v, kind
		tr.Metadata.Scores = map[string]float64{"mean": v, of: v}
		return tr
	}
	unknown := talk(5, "a")
	unknown.Metadata.Reward = nil
	all := []astra.Trajectory{score(0.3, "final_answer", "x"), score(0.6, "final_answer", "y"), score(0.9, "tool_call", "x"), unknown}
	for _, tt := range []struct {
		name   string
		accept datasets.Accept
		rows   int
		why    string
	}{
		{"all", datasets.Accept{}, 4, ""},
		{"reward", datasets.Accept{MinReward: 0.6}, 2, "no reward"},
		{"mean", datasets.Accept{MinScore: 0.9}, 1, "mean score too low"},
		{"one score", datasets.Accept{Min: map[string]float64{"final_answer": 0.5}}, 1, "no score final_answer"},
		{"kinds", datasets.Accept{Kinds: []string{"x", "z"}}, 2, "another kind of task"},
		{"none", datasets.Accept{MinReward: 1}, 0, "reward too low"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "out")
			m, err := datasets.Write(dir, sequence(all), nil, datasets.Options{Format: datasets.OpenAI, Accept: tt.accept})
			if tt.rows == 0 {
				if _, there := os.Stat(dir); !errors.Is(err, datasets.ErrNothing) || m == nil || there == nil {
					t.Fatalf("error = %v, want ErrNothing, a manifest and no directory", err)
				}
			} else if must(t, err); m.Splits[0].Rows != tt.rows {
				t.Errorf("%d rows, want %d", m.Splits[0].Rows, tt.rows)
			}
			if tt.why != "" && !slices.ContainsFunc(m.LeftOut, func(c datasets.Count) bool { return c.What == tt.why }) {
				t.Errorf("left out %+v, want %q", m.LeftOut, tt.why)
			}
		})
	}
}

// A dataset is whole or not there, and only datasets are replaced.
func TestWhole(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	o := datasets.Options{Format: datasets.OpenAI}
	broken := errors.New("the disk went away")
	_, err := datasets.Write(dir, func(yield func(astra.Trajectory, error) bool) {
		_ = yield(talk(1, "a"), nil) && yield(astra.Trajectory{}, broken)
	}, nil, o)
	if !errors.Is(err, broken) {
		t.Errorf("error = %v", err)
	}
	if left, _ := os.ReadDir(filepath.Dir(dir)); len(left) != 0 {
		t.Errorf("something is left: %v", left)
	}
	must(t, os.MkdirAll(dir, 0o777))
	must(t, os.WriteFile(filepath.Join(dir, "mine.txt"), nil, 0o666))
	if _, err := datasets.Write(dir, sequence(talks(t)), nil, o); err == nil || !strings.Contains(err.Error(), "no export wrote it") {
		t.Errorf("a stranger's directory: %v", err)
	}
	must(t, os.Remove(filepath.Join(dir, "mine.txt")))
	for _, f := range []datasets.Format{datasets.OpenAI, datasets.LLaMAFactory, datasets.OpenAI} {
		_, err := datasets.Write(dir, sequence(talks(t)), nil, datasets.Options{Format: f})
		must(t, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "dataset_info.json")); err == nil {
		t.Error("a file of the dataset before is left")
	}
}

func TestOptions(t *testing.T) {
	for _, tt := range []struct {
		o    datasets.Options
		says string
	}{
		{datasets.Options{Format: "verl"}, `no format "verl"`},
		{datasets.Options{Format: datasets.TRL, Eval: 0.6}, "from 0 to 0.5"},
		{datasets.Options{Format: datasets.TRL, Near: 2}, "at most 1"},
		{datasets.Options{Format: datasets.TRL, ShardRows: -1}, "at least one row"},
		{datasets.Options{Format: datasets.OpenAI, StringArguments: true}, "only trl has both"},
		{datasets.Options{Format: datasets.ASTRA, MaskFailed: true}, "cannot say what not to learn from"},
	} {
		if _, err := datasets.Write(filepath.Join(t.TempDir(), "out"), sequence(nil), nil, tt.o); err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%+v: %v, want %q", tt.o, err, tt.says)
		}
	}
}

// A bad line keeps no other from becoming a row, and is told.
func TestBadLines(t *testing.T) {
	text := `{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}],"tools":[],"metadata":{"arena":"x","seed":0}}` + "\n\n" +
		`{"messages":1}` + "\n" + `{"messages":[],"tolls":[]}` + "\nnonsense\n" + `{"metadata":{}}`
	m, err := datasets.Write(filepath.Join(t.TempDir(), "out"), datasets.Read("x.jsonl", strings.NewReader(text)), nil, datasets.Options{Format: datasets.OpenAI})
	must(t, err)
	if m.Read != 5 || m.Splits[0].Rows != 1 || len(m.LeftOut) != 2 {
		t.Errorf("read %d, %+v, left out %+v", m.Read, m.Splits, m.LeftOut)
	}
	var lines []string
	for _, err := range datasets.Read("x.jsonl", strings.NewReader(text)) {
		if err != nil {
			lines = append(lines, err.Error())
		}
	}
	for i, want := range []string{"x.jsonl:4: ", "x.jsonl:5: ", "x.jsonl:6: "} {
		if len(lines) != 3 || !strings.HasPrefix(lines[i], want) {
			t.Fatalf("errors %q, want places %s", lines, want)
		}
	}
	if !strings.Contains(lines[0], `unknown field "tolls"`) {
		t.Errorf("an unknown key: %s", lines[0])
	}
}

func TestCard(t *testing.T) {
	dir, m := write(t, talks(t), datasets.Options{Format: datasets.LLaMAFactory, Eval: 0.3, Name: "Mine | <b>", License: "apache-2.0"})
	card := read(t, dir, "README.md")
	for _, want := range []string{
		"license: \"apache-2.0\"", "  - split: eval\n    path: eval/*.jsonl", "  - name: conversations\n    list:\n    - name: from\n      dtype: string",
		"| messages a conversation | ", " | 10.59 |", "# Mine \\| &lt;b>", "![Conversations by tool calls](plots/calls.svg)",
		"ids of calls are left out", "`" + m.Digest + "`",
	} {
		if !strings.Contains(card, want) {
			t.Errorf("the card lacks %q", want)
		}
	}
	if svg := read(t, dir, "plots/calls.svg"); !strings.Contains(svg, "prefers-color-scheme:dark") || !strings.Contains(svg, "<rect") {
		t.Errorf("plot: %s", svg)
	}
	s := m.Statistics
	if s.Conversations != 6 || s.Calls != 9 || s.OneToFive != 6 || s.Functions != 7 || s.Messages != 32 {
		t.Errorf("statistics: %+v", s)
	}
}
