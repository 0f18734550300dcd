package rows_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
	"github.com/astra-arenas/astra/synth/rows"
)

// Begin makes a hall a rows.Player.
func (h *hall) Begin(ctx context.Context, b *astra.Bundle, task string) (rows.Play, error) {
	a, err := h.g.AddArena(ctx, b)
	if err != nil {
		return nil, err
	}
	return h.g.Rehearse(ctx, gateway.RehearsalRequest{Arena: a.Ref(), Task: task})
}

// What is imported with gold goes out as a row that the gold solves, its code as it was.
func TestExportEnvironments(t *testing.T) {
	h := newHall(t)
	for _, name := range []string{"env_result.jsonl", "merged.json"} {
		all, _ := readEnvironments(t, fixture(t, name))
		a := loaded(t, all[0])
		r, err := rows.RLOf(a, &a.Tasks[0], nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := rows.Verify(t.Context(), h, a, &a.Tasks[0], r); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for i, tool := range r.Tools {
			if tool.Source != all[0].Tools[i].Source {
				t.Errorf("%s: the code of %s is another:\n%s", name, tool.Name, tool.Source)
			}
		}
	}
}

// quay is an arena with tools.py and what else it is given.
func quay(t *testing.T, code, tools, task string, more ...astra.File) *astra.Arena {
	t.Helper()
	files := append(more, astra.File{Path: "tools.py", Data: []byte(code)}, astra.File{Path: "tasks.jsonl", Data: []byte(task + "\n")},
		astra.File{Path: "arena.yaml", Data: []byte("name: quay\nversion: 1.0.0\nruntime: python\ntools:\n" + tools)})
	b, err := astra.NewBundle(files)
	if err != nil {
		t.Fatal(err)
	}
	a, err := b.Load()
	if err != nil {
		t.Fatal(err)
	}
	return a
}

const (
	quayTools = `  - {name: crane, description: Finds a crane., input: {type: object, properties: {load: {type: number}}, required: [load]}}
  - {name: berth, description: Finds a berth., input: {type: object, properties: {crane: {type: string}}, required: [crane]}}
`
	quayTask = `{"id": "q", "turns": [{"prompt": "Where is the crane for 40 t?"}], "gold": [[{"tool": "crane", "args": {"load": 40}}, {"tool": "berth", "args": {"crane": "$1.value.name"}}]], ` +
		`"subtasks": [{"id": "a", "tool": "crane", "answer": "Titan", "at": "/name"}, {"id": "b", "tool": "berth", "answer": true, "at": "/free", "depends_on": ["a"]}]}`
	quayCode = `CRANES = {"Titan": (50, 3), "Dwarf": (5, 1)}


def crane(load):
    return {"name": next(n for n, (most, _) in CRANES.items() if most >= load)}


def berth(crane):
    return {"berth": CRANES[crane][1], "free": True}
`
)

// Each way in which code becomes one source of its own plays as the arena did.
func TestExportCode(t *testing.T) {
	h := newHall(t)
	reads := strings.Replace(quayCode, `CRANES = {"Titan": (50, 3), "Dwarf": (5, 1)}`, "import json\nimport astra\nimport spare\nfrom hoist import order\n\nCRANES = order(json.loads(astra.data(\"cranes.json\")))", 1)
	packed := quay(t, reads, quayTools, quayTask, astra.File{Path: "data/cranes.json", Data: []byte(`{"Dwarf": [5, 1], "Titan": [50, 3], "it's \"№\" \\ 🏗": [1, 1]}`)},
		astra.File{Path: "data/hoist.py", Data: []byte("import spare\n\n\ndef order(d):\n    assert spare.HELD == 1\n    return d\n")}, astra.File{Path: "data/spare.py", Data: []byte("HELD = 1\n")})
	plain := quay(t, quayCode, quayTools, quayTask)
	for name, a := range map[string]*astra.Arena{"packed": packed, "plain": plain} {
		r, err := rows.RLOf(a, &a.Tasks[0], nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := rows.Verify(t.Context(), h, a, &a.Tasks[0], r); err != nil {
			t.Errorf("%s: %v\n%s", name, err, r.Tools[0].Source)
		}
		if name == "plain" && r.Tools[1].Source != quayCode {
			t.Errorf("the code is not as it was: %s", r.Tools[1].Source)
		}
		if want := []string{"Titan", "True"}; r.Answers[0].Gold[0] != want[0] || r.Answers[1].Gold[0] != want[1] {
			t.Errorf("answers %+v", r.Answers)
		}
	}
}

// A row in which something is lost is found out.
func TestVerifyFinds(t *testing.T) {
	h := newHall(t)
	a := quay(t, quayCode, quayTools, quayTask)
	task := &a.Tasks[0]
	for want, spoil := range map[string]func(*rows.RLRow){
		`of what berth returned nothing satisfies step.value.contains("False")`: func(r *rows.RLRow) { r.Answers[1].Gold[0] = "False" },
		`call 2, berth, fails: `:                                   func(r *rows.RLRow) { r.Tools[1].Source = "def berth(crane):\n    raise ValueError(crane)\n" },
		`they score 0.6667: only 0.5 of the calls bring an answer`: func(r *rows.RLRow) { r.Answers = r.Answers[:1] },
		`has no function of that name`:                             func(r *rows.RLRow) { r.Tools[1].Source = "x = 1" },
		`tool_dict has no code`:                                    func(r *rows.RLRow) { r.Answers[1].Tool = "other" },
	} {
		r, err := rows.RLOf(a, task, nil)
		if err != nil {
			t.Fatal(err)
		}
		spoil(r)
		err = rows.Verify(t.Context(), h, a, task, r)
		if _, unsolved := errors.AsType[*rows.UnsolvedError](err); !unsolved || !strings.Contains(err.Error(), want) {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
	// Tools that share a state in their arena do not in a row.
	counting := quay(t, "seen = []\n\n\ndef crane(load):\n    seen.append(load)\n    return {'name': 'Titan'}\n\n\ndef berth(crane):\n    return {'free': len(seen) == 1}\n", quayTools, quayTask)
	r, err := rows.RLOf(counting, &counting.Tasks[0], nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := rows.Verify(t.Context(), h, counting, &counting.Tasks[0], r); err == nil || !strings.Contains(err.Error(), "of what berth returned nothing satisfies") {
		t.Errorf("shared state: %v", err)
	}
}

func TestRefuseExport(t *testing.T) {
	refuse := func(change func(map[string]any), tools string) error {
		var task map[string]any
		if err := json.Unmarshal([]byte(quayTask), &task); err != nil {
			t.Fatal(err)
		}
		change(task)
		text, err := json.Marshal(task)
		if err != nil {
			t.Fatal(err)
		}
		a := quay(t, quayCode, tools, string(text))
		_, err = rows.RLOf(a, &a.Tasks[0], nil)
		return err
	}
	for want, change := range map[string]func(map[string]any){
		"2 turns, and a row has one prompt": func(m map[string]any) {
			m["turns"] = []any{map[string]any{"prompt": "a"}, map[string]any{"prompt": "b"}}
			delete(m, "gold")
		},
		"a scenario": func(m map[string]any) { m["scenario"] = map[string]any{} },
		"verifiers":  func(m map[string]any) { m["verify"] = map[string]any{"v": "true"} },
		"solved by an expression": func(m map[string]any) {
			m["subtasks"] = []any{map[string]any{"id": "a", "tool": "crane", "solved": "step.ok"}}
		},
		"no sub-task counts": func(m map[string]any) { m["subtasks"] = []any{}; m["answer"] = map[string]any{"expected": "x"} },
	} {
		if err := refuse(change, quayTools); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	derived := "  - {name: crane, description: Finds a crane.}\n  - {name: berth, description: Finds a berth.}\n"
	if err := refuse(func(map[string]any) {}, derived); err == nil || !strings.Contains(err.Error(), "write input in arena.yaml") {
		t.Errorf("derived: %v", err)
	}
	a, err := astra.Load("../../examples/arenas/inventory")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := rows.RLOf(a, &a.Tasks[0], nil); err == nil || !strings.Contains(err.Error(), "the arena's are javascript: nothing translates them") {
		t.Errorf("javascript: %v", err)
	}
}

// Distractors go out with their code, or are noted.
func TestExportDistractors(t *testing.T) {
	h := newHall(t)
	all, _ := readEnvironments(t, fixture(t, "env_result.jsonl"))
	far := loaded(t, all[0])
	a := quay(t, quayCode, quayTools, strings.Replace(quayTask, `"id": "q",`, `"id": "q", "distractors": ["`+far.Name+`/home_of", "gone/x"],`, 1))
	r, err := rows.RLOf(a, &a.Tasks[0], &rows.ExportOptions{Arena: func(name string) *astra.Arena {
		return map[string]*astra.Arena{far.Name: far}[name]
	}})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Tools) != 3 || r.Tools[2].Source != all[0].Tools[0].Source || !slices.Equal(r.Notes, []string{"the distractor gone/x is left out: its arena is not there"}) {
		t.Errorf("tools %d, notes %q", len(r.Tools), r.Notes)
	}
	if err := rows.Verify(t.Context(), h, quay(t, quayCode, quayTools, quayTask), &a.Tasks[0], r); err != nil {
		t.Error(err)
	}
}
