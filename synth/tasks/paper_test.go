package tasks_test

import (
	"strings"
	"testing"

	"github.com/astra-arenas/astra/synth/rows"
	"github.com/astra-arenas/astra/synth/tasks"
)

// published are rows of our own in the released form. The last ones are damaged.
const published = `{"query_info":{"have_plan":true,"max_tool_use":-1,"mode":"single_server","server_analysis":"","target_tools":["find_item","create_order"],"generated_question":"Order 200 of the M8 bolts for the site in Merrow, please.","augmented_query_info":{},"query_score_info":{"quality_scores":{"tool_selection_difficulty":3,"tool_selection_uniqueness":4,"question_quality":4,"scenario_realism":5,"total_score":16,"average_score":4.0},"quality_reasoning":{}}},"mcp_info":{"base_info":{"group_info":{"server_title":"Shop"}}},"graph":{},"chain_info":{}}
{"query_info":{"have_plan":false,"target_tools":["stock_level"],"generated_question":"x","augmented_query_info":{"mode":"add_ug","augmented_question":"I lay floors for a living: how many of the oak boards are left with you?"}},"mcp_info":"{\"base_info\":{\"group_info\":{\"server_title\":\"Shop\"}}}"}
{"query_info":{"have_plan":true,"target_tools":["find_item"],"generated_question":"How good is it, with a scenario of no realism at all?","augmented_query_info":{},"query_score_info":{"quality_scores":{"tool_selection_difficulty":1,"tool_selection_uniqueness":1,"question_quality":5,"scenario_realism":1}}},"mcp_info":{"base_info":{"group_info":{"server_title":"Shop"}}}}
{"query_info":{"have_plan":true,"target_tools":["find_item create_order"],"generated_question":"Order 300 of the M8 bolts for the site in Merrow, please.","augmented_query_info":{}},"mcp_info":{"base_info":{"group_info":{"server_title":"Shop"}}}}
{"query_info":{"have_plan":true,"target_tools":["find_item"],"generated_question":"Use find_item to look for the bolts, please.","augmented_query_info":{}},"mcp_info":{"base_info":{"group_info":{"server_title":"Shop"}}}}
{"query_info":{"target_tools":["find_item"],"generated_question":"?","augmented_query_info":{},"query_score_info":{"quality_scores":{"question_quality":9}}},"mcp_info":{}}
{"query_info":{"target_tools":"a, b","augmented_query_info":{}},"mcp_info":{}}
{"query_info":
{"mcp_info":{}}
`

func TestImport(t *testing.T) {
	var list []tasks.Row
	bad := 0
	for row, err := range tasks.ReadPaper("tasks.jsonl", strings.NewReader(published)) {
		if err == nil {
			list = append(list, row)
			continue
		}
		if e, ok := err.(*rows.RowError); !ok || e.Line < 6 || e.File != "tasks.jsonl" {
			t.Errorf("error = %v", err)
		}
		bad++
	}
	if len(list) != 5 || bad != 4 {
		t.Fatalf("%d rows, %d bad", len(list), bad)
	}
	d := newDesk(t, nil, nil)
	var got []tasks.Task
	for task, err := range d.author.Import(t.Context(), d.run, collection(), list) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, task)
	}
	reasons := d.reasons()
	if reasons["import/unknown tool"] != 1 || reasons["import/request"] != 1 || reasons["thresholds/below: scenario realism"] < 1 {
		t.Errorf("reasons = %v", reasons)
	}
	if len(got) == 0 || got[0].Kind != tasks.FromChain || len(got[0].Targets) != 2 || got[0].Quality.Realism != 1 || got[0].Quality.Question != 0.75 || got[0].Published.Difficulty != 3 {
		t.Fatalf("tasks = %+v", got)
	}
	if asked := d.server.Asked(); asked["question"] != 0 || asked["quality"] != 3 {
		t.Errorf("asked %v", asked)
	}
}

func FuzzReadPaper(f *testing.F) {
	for line := range strings.Lines(published) {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for row, err := range tasks.ReadPaper("f", strings.NewReader(text)) {
			if err == nil && (row.Server == "" || len(row.Targets) == 0) {
				t.Errorf("a row without server or tools: %+v", row)
			}
		}
	})
}
