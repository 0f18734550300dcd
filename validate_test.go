package astra_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/astra-arenas/astra"
)

// Each case replaces one part of DESIGN.md's own task; the refusal must name the place.
func TestTasksRefused(t *testing.T) {
	for name, test := range map[string]struct{ old, new, want string }{
		"not JSON":               {`{"id": "restock-7"`, `{"id": restock`, `tasks.jsonl:1: column 8: not JSON; write one JSON object a line`},
		"duplicate key":          {`"seed": 7`, `"seed": 7, "seed": 8`, `tasks.jsonl:1: column 50: the key "seed" comes twice`},
		"duplicate key inside":   {`{"calls": 12}`, `{"calls": 12, "calls": 1}`, `tasks.jsonl:1: column`},
		"trailing data":          {`"budget": {"calls": 12}}`, `"budget": {"calls": 12}} {}`, `tasks.jsonl:1: column`},
		"not UTF-8":              {`Which`, "\xff", `tasks.jsonl:1: column 120: not UTF-8`},
		"deep":                   {`{"warehouses": 4}`, strings.Repeat("[", 80) + strings.Repeat("]", 80), `tasks.jsonl:1: column 435: nested more than 64 deep`},
		"unknown key":            {`"seed": 7`, `"sede": 7`, `tasks.jsonl:1: unknown key "sede"; known here: id, title, split`},
		"empty key":              {`"seed": 7`, `"": 7`, `tasks.jsonl:1: unknown key ""`},
		"key in capitals":        {`"seed": 7`, `"Seed": 7`, `tasks.jsonl:1: unknown key "Seed"`},
		"unknown key inside":     {`"question": "…", "tool": "find_item"`, `"quest": "…", "tool": "find_item"`, `tasks.jsonl:1: subtasks[0]: unknown key "quest"`},
		"wrong type":             {`"seed": 7`, `"seed": "7"`, `tasks.jsonl:1: seed: must be a number, not text`},
		"fraction":               {`"seed": 7`, `"seed": 7.5`, `tasks.jsonl:1: seed: "7.5" is no whole number`},
		"null":                   {`"seed": 7`, `"seed": null`, `tasks.jsonl:1: seed: must be a number, not null`},
		"seed":                   {`"seed": 7`, `"seed": 9007199254740993`, `tasks.jsonl:1: seed: 9007199254740993 is out of range`},
		"negative seed":          {`"seed": 7`, `"seed": -9007199254740993`, `tasks.jsonl:1: seed:`},
		"now":                    {`"now": "2026-03-02T09:00:00Z"`, `"now": "yesterday"`, `tasks.jsonl:1: now: "yesterday" is no time of RFC 3339`},
		"id":                     {`"id": "restock-7"`, `"id": "../x"`, `tasks.jsonl:1: id: "../x" is no task's id`},
		"no id":                  {`"id": "restock-7", `, ``, `tasks.jsonl:1: id: "" is no task's id`},
		"split":                  {`"split": "train"`, `"split": "dev"`, `tasks.jsonl:1: split: "dev" is no split`},
		"failure rate":           {`"difficulty": 3`, `"failures": {"rate": -0.1}`, `tasks.jsonl:1: failures.rate: -0.1 is out of range; use a number from 0 to 1`},
		"failure kind twice":     {`"difficulty": 3`, `"failures": {"rate": 0.1, "kinds": ["timeout", "timeout"]}`, `tasks.jsonl:1: failures.kinds: "timeout" comes twice; keep one`},
		"failure key":            {`"difficulty": 3`, `"failures": {"share": 0.1}`, `tasks.jsonl:1: failures: unknown key "share"; known here: rate, kinds`},
		"difficulty":             {`"difficulty": 3`, `"difficulty": -1`, `tasks.jsonl:1: difficulty: -1 is out of range`},
		"no turns":               {`"turns": [{"prompt": "Which warehouse holds the M8 bolts, and how many are left?"}, {"prompt": "Order 200 more for it, and answer with its code alone.", "tools_added": ["create_order"]}]`, `"turns": []`, `tasks.jsonl:1: turns: 0 turns`},
		"empty prompt":           {`Which warehouse holds the M8 bolts, and how many are left?`, ` `, `tasks.jsonl:1: turns[0].prompt: 1 bytes`},
		"unknown tool":           {`"tools": ["find_item", "stock_level"]`, `"tools": ["find_item", "stock"]`, `tasks.jsonl:1: tools[1]: unknown tool "stock"; the arena has find_item, stock_level, create_order`},
		"tool twice":             {`"tools": ["find_item", "stock_level"]`, `"tools": ["find_item", "find_item", "stock_level"]`, `tasks.jsonl:1: tools[1]: "find_item" is in view already`},
		"few user turns":         {`"tools": ["find_item", "stock_level"]`, `"user": {"turns": 2, "goal": "bolts"}, "tools": ["find_item", "stock_level"]`, `tasks.jsonl:1: user.turns: 2 messages`},
		"user without a goal":    {`"tools": ["find_item", "stock_level"]`, `"user": {"turns": 3, "goal": " "}, "tools": ["find_item", "stock_level"]`, `tasks.jsonl:1: user.goal: it is empty`},
		"added and there":        {`"tools_added": ["create_order"]`, `"tools_added": ["find_item", "create_order"]`, `tasks.jsonl:1: turns[1].tools_added[0]: "find_item" is in view already`},
		"added twice":            {`"tools_added": ["create_order"]`, `"tools_added": ["create_order", "create_order"]`, `tasks.jsonl:1: turns[1].tools_added[1]`},
		"distractor form":        {`"geo/find_place"`, `"find_place"`, `tasks.jsonl:1: distractors[0]: "find_place" names no tool of another arena`},
		"distractor clash":       {`"geo/find_place"`, `"geo/find_item"`, `tasks.jsonl:1: distractors[0]: the arena has a tool named "find_item" itself`},
		"distractors alike":      {`"geo/find_place"`, `"geo/find_place", "map/find_place"`, `tasks.jsonl:1: distractors[1]: two distractors`},
		"own distractor":         {`"geo/find_place"`, `"inventory/x"`, `tasks.jsonl:1: distractors[0]: "inventory/x" is this arena's own`},
		"subtask twice":          {`"id": "s2"`, `"id": "s1"`, `tasks.jsonl:1: subtasks[1].id: "s1" comes twice`},
		"subtask tool":           {`"tool": "find_item", "answer"`, `"tool": "find", "answer"`, `tasks.jsonl:1: subtasks[0].tool: unknown tool "find"`},
		"subtask without test":   {`"tool": "stock_level", "answer": 1240.5, "compare": {"tolerance": 0.01}`, `"tool": "stock_level"`, `tasks.jsonl:1: subtasks[1]: nothing says when a step of stock_level solves it`},
		"weak: small":            {`"answer": 1240.5`, `"answer": 99`, `tasks.jsonl:1: subtasks[1].answer: "99" would be found in many results by chance; say where it stands with at, or write solved`},
		"weak: as text":          {`"answer": 1240.5`, `"answer": " 7 "`, `tasks.jsonl:1: subtasks[1].answer`},
		"weak: float":            {`"answer": 1240.5`, `"answer": 2.0`, `tasks.jsonl:1: subtasks[1].answer`},
		"weak: negative":         {`"answer": 1240.5`, `"answer": -1`, `tasks.jsonl:1: subtasks[1].answer`},
		"weak: true":             {`"answer": 1240.5`, `"answer": true`, `tasks.jsonl:1: subtasks[1].answer`},
		"weak: null":             {`"answer": 1240.5`, `"answer": null`, `tasks.jsonl:1: subtasks[1].answer`},
		"weak: empty":            {`"answer": 1240.5`, `"answer": " "`, `tasks.jsonl:1: subtasks[1].answer`},
		"weak: nothing":          {`"answer": 1240.5`, `"answer": []`, `tasks.jsonl:1: subtasks[1].answer`},
		"pointer":                {`"at": "/warehouse"`, `"at": "warehouse"`, `tasks.jsonl:1: subtasks[0].at: "warehouse" is none; write a JSON Pointer`},
		"pointer escape":         {`"at": "/warehouse"`, `"at": "/~2"`, `tasks.jsonl:1: subtasks[0].at: "/~2" is none`},
		"at without answer":      {`"answer": "W3", "at"`, `"solved": "true", "at"`, `tasks.jsonl:1: subtasks[0].at: there is no answer to find`},
		"compare without answer": {`"answer": 1240.5, "compare"`, `"solved": "true", "compare"`, `tasks.jsonl:1: subtasks[1].compare: there is no answer`},
		"tolerance":              {`{"tolerance": 0.01}`, `{"tolerance": -1}`, `tasks.jsonl:1: subtasks[1].compare.tolerance: -1 is negative`},
		"relative":               {`{"tolerance": 0.01}`, `{"relative": true}`, `tasks.jsonl:1: subtasks[1].compare.relative: there is no tolerance`},
		"as":                     {`{"tolerance": 0.01}`, `{"as": "bag"}`, `tasks.jsonl:1: subtasks[1].compare.as: "bag" is no way to compare`},
		"unknown parent":         {`"compare": {"tolerance": 0.01}, "depends_on": ["s1"]`, `"depends_on": ["s9"]`, `tasks.jsonl:1: subtasks[1].depends_on: unknown sub-task "s9"`},
		"circle":                 {`"at": "/warehouse", "depends_on": []`, `"at": "/warehouse", "depends_on": ["s3"]`, `tasks.jsonl:1: subtasks[0].depends_on: it depends on itself in a circle`},
		"own parent":             {`"at": "/warehouse", "depends_on": []`, `"at": "/warehouse", "depends_on": ["s1"]`, `tasks.jsonl:1: subtasks[0].depends_on: it depends on itself`},
		"gold for no turn":       {`"gold": [`, `"gold": [[], `, `tasks.jsonl:1: gold: 3 lists for 2 turns`},
		"gold tool":              {`"gold": [[{"tool": "find_item"`, `"gold": [[{"tool": "find"`, `tasks.jsonl:1: gold[0][0].tool: unknown tool "find"`},
		"gold too early":         {`"gold": [[{"tool": "find_item", "args": {"name": "M8 bolt"}}, `, `"gold": [[{"tool": "create_order", "args": {"sku": "a", "warehouse": "b", "quantity": 1}}, `, `tasks.jsonl:1: gold[0][0].tool: "create_order" is not in view in turn 1`},
		"gold args":              {`"args": {"name": "M8 bolt"}`, `"args": ["M8 bolt"]`, `tasks.jsonl:1: gold[0][0].args: not an object`},
		"gold against schema":    {`"args": {"name": "M8 bolt"}`, `"args": {"name": 8}`, `tasks.jsonl:1: gold[0][0].args: argument "name": must be a string, got 8`},
		"gold of itself":         {`"args": {"name": "M8 bolt"}`, `"args": {"name": "$1.value"}`, `tasks.jsonl:1: gold[0][0].args: "$1.value" refers to call 1, but only 0 come before`},
		"gold of later":          {`"$1.value.sku", "warehouse": "$1.value.warehouse"}}], [`, `"$3.value.sku", "warehouse": "W3"}}], [`, `tasks.jsonl:1: gold[0][1].args: "$3.value.sku" refers to call 3`},
		"gold almost":            {`"args": {"name": "M8 bolt"}`, `"args": {"name": "$1.values"}`, `tasks.jsonl:1: gold[0][0].args: "$1.values" looks like a reference`},
		"gold over budget":       {`{"calls": 12}`, `{"calls": 2}`, `tasks.jsonl:1: gold: 3 calls; the budget is 2`},
		"answer of nothing":      {`{"expected": "W3"}`, `{}`, `tasks.jsonl:1: answer: nothing says what the answer must be`},
		"answer compare":         {`{"expected": "W3"}`, `{"verify": "true", "compare": {"case": true}}`, `tasks.jsonl:1: answer.compare: there is nothing`},
		"verifier name":          {`"same_end": `, `"f1": `, `tasks.jsonl:1: verify: "f1" is no verifier's name`},
		"verifier name form":     {`"same_end": `, `"same end": `, `tasks.jsonl:1: verify: "same end" is no verifier's name`},
		"empty verifier":         {`"state == gold.state"`, `" "`, `tasks.jsonl:1: verify.same_end: it is empty`},
		"weight of nothing":      {`"weights": {"f1": 0.8, `, `"weights": {"f2": 0.8, `, `tasks.jsonl:1: weights.f2: the task has no such part`},
		"negative weight":        {`"weights": {"f1": 0.8, `, `"weights": {"f1": -0.8, `, `tasks.jsonl:1: weights.f1: -0.8 is out of range`},
		"no weight":              {`"weights": {"f1": 0.8, "answer": 0.2}`, `"weights": {"f1": 0}`, `tasks.jsonl:1: weights: all are 0`},
		"budget":                 {`{"calls": 12}`, `{"calls": 0}`, `tasks.jsonl:1: budget.calls: 0 is out of range`},
	} {
		t.Run(name, func(t *testing.T) {
			line := strings.Replace(restock, test.old, test.new, 1)
			if line == restock {
				t.Fatalf("the task has no %s", test.old)
			}
			_, err := bundleOf(t, map[string]string{"tasks.jsonl": line}).Load()
			refusedWith(t, err, test.want)
		})
	}
}

func TestTasksAccepted(t *testing.T) {
	for name, line := range map[string]string{
		"least":            `{"id":"a","turns":[{"prompt":"Do."}],"verify":{"done":"true"}}`,
		"answer alone":     `{"id":"a","turns":[{"prompt":"Do."}],"answer":{"expected":false}}`,
		"weak with at":     `{"id":"a","turns":[{"prompt":"Do."}],"subtasks":[{"id":"s","tool":"find_item","answer":3,"at":"/left"}]}`,
		"at the root":      `{"id":"a","turns":[{"prompt":"Do."}],"subtasks":[{"id":"s","tool":"find_item","answer":"W3","at":""}]}`,
		"document only":    `{"id":"a","turns":[{"prompt":"Do."}],"subtasks":[{"id":"s","question":"Why?","answer":true}],"answer":{"expected":1}}`,
		"solved, no tool":  `{"id":"a","turns":[{"prompt":"Do."}],"subtasks":[{"id":"s","solved":"step.ok"}]}`,
		"outermost seed":   `{"id":"a","turns":[{"prompt":"Do."}],"seed":-9007199254740992,"verify":{"done":"true"}}`,
		"dollars":          `{"id":"a","turns":[{"prompt":"Do."}],"verify":{"done":"true"},"gold":[[{"tool":"find_item","args":{"name":"$5 bolt"}},{"tool":"find_item","args":{"name":"$$1.value"}}]]}`,
		"diamond":          `{"id":"a","turns":[{"prompt":"Do."}],"subtasks":[{"id":"d","solved":"true","depends_on":["b","c"]},{"id":"b","solved":"true","depends_on":["a"]},{"id":"c","solved":"true","depends_on":["a"]},{"id":"a","solved":"true"}]}`,
		"nothing in view":  `{"id":"a","turns":[{"prompt":"Do."}],"tools":[],"answer":{"expected":"x"}}`,
		"blank line after": `{"id":"a","turns":[{"prompt":"Do."}],"answer":{"expected":"x"}}` + "\r\n\n",
	} {
		t.Run(name, func(t *testing.T) {
			a, err := bundleOf(t, map[string]string{"tasks.jsonl": line}).Load()
			if err != nil {
				t.Fatal(err)
			}
			if task := a.Task("a"); task == nil || task.Split != astra.SplitTrain || task.Line != 1 || task.Calls() != astra.DefaultBudget {
				t.Errorf("task = %+v", task)
			}
		})
	}
}

func TestTaskWithoutToolsHasAllThatNoTurnAdds(t *testing.T) {
	line := `{"id":"a","turns":[{"prompt":"Do."},{"prompt":"More.","tools_added":["stock_level"]}],"answer":{"expected":"x"}}`
	a, err := bundleOf(t, map[string]string{"tasks.jsonl": line}).Load()
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(a.InitialTools(a.Task("a"))); got != "[find_item create_order]" {
		t.Errorf("initial tools = %s", got)
	}
	if got := fmt.Sprint(a.InitialTools(nil)); got != "[find_item stock_level create_order]" {
		t.Errorf("free play has %s", got)
	}
	none, err := bundleOf(t, map[string]string{"tasks.jsonl": strings.Replace(line, `"turns"`, `"tools":[],"turns"`, 1)}).Load()
	if err != nil {
		t.Fatal(err)
	}
	if got := none.InitialTools(none.Task("a")); len(got) != 0 {
		t.Errorf("a task whose tools are [] begins with %v", got)
	}
}

func TestTaskRefusedWithoutParts(t *testing.T) {
	_, err := bundleOf(t, map[string]string{"tasks.jsonl": `{"id":"a","turns":[{"prompt":"Do."}],"subtasks":[{"id":"s","answer":"W3"}]}`}).Load()
	refusedWith(t, err, "tasks.jsonl:1: task: there is nothing to score it by")
}

func TestTasksWithOneId(t *testing.T) {
	line := `{"id":"a","turns":[{"prompt":"Do."}],"answer":{"expected":"x"}}` + "\n"
	_, err := bundleOf(t, map[string]string{"tasks.jsonl": line + "\n" + line}).Load()
	refusedWith(t, err, `tasks.jsonl:3: id: "a" is the task of line 1 already`)
}

// All is reported that people can mend at once, in the order of the file, and no more.
func TestRefusalsAreCollected(t *testing.T) {
	var lines strings.Builder
	for i := range 200 {
		fmt.Fprintf(&lines, `{"id":"t%d","turns":[],"seed":1.5}`+"\n", i)
	}
	load := func() error {
		_, err := bundleOf(t, map[string]string{"tasks.jsonl": lines.String()}).Load()
		return err
	}
	err := load()
	var all *astra.BundleErrors
	if !errors.As(err, &all) || len(all.List) != 20 || all.More == 0 {
		t.Fatalf("error = %v, want 20 refusals and more", err)
	}
	for i, p := range all.List {
		if p.File != "tasks.jsonl" || p.Line < all.List[max(i-1, 0)].Line {
			t.Errorf("refusal %d is of %s:%d", i, p.File, p.Line)
		}
	}
	if again := load(); again.Error() != err.Error() {
		t.Errorf("the same bundle is refused with other words:\n%v\n%v", err, again)
	}
	var one *astra.BundleError
	if !errors.As(err, &one) || one != all.List[0] {
		t.Errorf("errors.As found %v, want the first refusal", one)
	}
}

func TestTooManyTasks(t *testing.T) {
	text := strings.Repeat("{}\n", 1_000_000)
	b := bundleOf(t, map[string]string{"tasks.jsonl": text})
	got := allocated(func() { _, err := b.Load(); refusedWith(t, err, "tasks.jsonl: 1000000 lines; it may have 50000 tasks") })
	if got > 1<<20 {
		t.Errorf("took %d bytes of memory to refuse a million tasks", got)
	}
	b = bundleOf(t, map[string]string{"tasks.jsonl": `{"id":"` + strings.Repeat("a", 300_000) + `"}`})
	_, err := b.Load()
	refusedWith(t, err, "tasks.jsonl:1: 300009 bytes; a task may have 262144")
}

// Public views have nothing of what decides the score.
func TestPublicShowsNothingHidden(t *testing.T) {
	a := loadInventory(t)
	b, err := json.Marshal([]any{a.Task("restock-7").Public(a), a.Public()})
	if err != nil {
		t.Fatal(err)
	}
	for _, hidden := range []string{"W3", "1240", "overdraft", "M8", "warehouses", "geo", "Order 200", "export function", `"seed"`} {
		if strings.Contains(string(b), hidden) {
			t.Errorf("the public view shows %q: %s", hidden, b)
		}
	}
	if want := `"tasks":{"train":1}`; !strings.Contains(string(b), want) {
		t.Errorf("the public view lacks %s: %s", want, b)
	}
}
