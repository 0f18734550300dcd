package astra_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/astra-arenas/astra"
)

func text(s string) *string { return &s }

// twoTurns is a finished episode: two turns, three steps (one of them a failure), an answer.
func twoTurns() *astra.Episode {
	return &astra.Episode{
		Opened: astra.Opened{Episode: "ep-1", Arena: "inventory", Digest: "sha256:00", Task: "restock", Seed: 7, Mode: astra.Train},
		Status: astra.StatusScored,
		Turns: []astra.Turn{
			{Index: 1, Prompt: "Where are the <M8> bolts?", Reply: text("In W3.")},
			{Index: 2, Prompt: "Order 200.", Reply: text("W3")},
		},
		Steps: []astra.Step{
			{Index: 1, Turn: 1, Tool: "find", Args: json.RawMessage(`{"name":"M8","top":1}`), Result: astra.Result{Value: json.RawMessage(`{"warehouse":"W3"}`)}},
			{Index: 2, Turn: 1, Tool: "level", Args: json.RawMessage(`{}`), Result: astra.Failed(astra.FaultAgent, "sku is missing")},
			{Index: 3, Turn: 2, Tool: "order", Args: json.RawMessage(`{"quantity":200}`), Result: astra.Result{Value: json.RawMessage(`"done"`)}},
		},
		Submission: &astra.Submitted{Answer: text("W3")},
		Score:      &astra.Score{Reward: 0.5},
	}
}

func TestRebuiltTrajectory(t *testing.T) {
	tools := []astra.PublicTool{{Name: "find", Description: "Finds.", Input: json.RawMessage(`{"type":"object"}`)}}
	tr, err := astra.NewTrajectory(twoTurns(), tools)
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	e := json.NewEncoder(&got)
	e.SetEscapeHTML(false)
	if err := e.Encode(tr); err != nil {
		t.Fatal(err)
	}
	want := `{"messages":[` + strings.Join([]string{
		`{"role":"user","content":"Where are the <M8> bolts?"}`,
		`{"role":"assistant","content":"","tool_calls":[{"id":"call_1","type":"function","function":{"name":"find","arguments":"{\"name\":\"M8\",\"top\":1}"}}]}`,
		`{"role":"tool","content":"{\"warehouse\":\"W3\"}","tool_call_id":"call_1"}`,
		`{"role":"assistant","content":"","tool_calls":[{"id":"call_2","type":"function","function":{"name":"level","arguments":"{}"}}]}`,
		`{"role":"tool","content":"sku is missing","tool_call_id":"call_2"}`,
		`{"role":"assistant","content":"In W3."}`,
		`{"role":"user","content":"Order 200."}`,
		`{"role":"assistant","content":"","tool_calls":[{"id":"call_3","type":"function","function":{"name":"order","arguments":"{\"quantity\":200}"}}]}`,
		`{"role":"tool","content":"done","tool_call_id":"call_3"}`,
		`{"role":"assistant","content":"W3"}`,
	}, ",") + `],"tools":[{"type":"function","function":{"name":"find","description":"Finds.","parameters":{"type":"object"}}}],` +
		`"metadata":{"episode":"ep-1","arena":"inventory","digest":"sha256:00","task":"restock","seed":7,"reward":0.5,"failed":[2],"rebuilt":true}}` + "\n"
	if got.String() != want {
		t.Errorf("trajectory:\n%s\nwant:\n%s", got.String(), want)
	}
}

func TestSubmittedMessagesAreKept(t *testing.T) {
	ep := twoTurns()
	ep.Submission.Messages = json.RawMessage(`[{"role":"user","content":"mine","extra":1}]`)
	tr, err := astra.NewTrajectory(ep, nil)
	if err != nil || tr.Metadata.Rebuilt || string(tr.Messages) != string(ep.Submission.Messages) {
		t.Errorf("got %s, rebuilt %v, %v; want the submitted messages", tr.Messages, tr.Metadata.Rebuilt, err)
	}
}

func TestTrajectoryOfLogWithoutTurn(t *testing.T) {
	ep := twoTurns()
	ep.Steps[2].Turn = 5
	if _, err := astra.NewTrajectory(ep, nil); err == nil {
		t.Error("a step of a turn that was never handed out was dropped")
	}
}

// chat is a harness's transcript of twoTurns that agrees with the log; it says the same
// in the freer ways that harnesses have.
const chat = `[{"role":"system","content":"You are an agent."},
{"role":"user","content":"Where?"},
{"role":"assistant","content":null,"tool_calls":[
  {"id":"b","type":"function","function":{"name":"level","arguments":""}},
  {"id":"a","type":"function","function":{"name":"find","arguments":"{\"top\": 1.0, \"name\": \"M8\"}"}}]},
{"role":"tool","tool_call_id":"a","content":"{\"warehouse\":\"W3\"}"},
{"role":"tool","tool_call_id":"b","content":[{"type":"text","text":"sku is "},{"type":"text","text":"missing"}]},
{"role":"assistant","content":"In W3."},
{"role":"user","content":"Order 200."},
{"role":"assistant","tool_calls":[{"id":"a","type":"function","function":{"name":"order","arguments":{"quantity":200}}}]},
{"role":"tool","tool_call_id":"a","content":"done"},
{"role":"assistant","content":"W3"}]`

func TestAgree(t *testing.T) {
	for _, tc := range []struct {
		name     string
		old, new string
		refused  int
		at       int // index of the disagreement; -1 is none
		says     string
	}{
		{"as played", "", "", 0, -1, ""},
		{"another tool", `"name":"order"`, `"name":"find"`, 0, 7, "step 3 called order"},
		{"other arguments", `{"quantity":200}`, `{"quantity":201}`, 0, 7, "arguments"},
		{"other result", `"content":"done"`, `"content":"done!"`, 0, 8, "step 3 returned"},
		{"result of a parallel call", `"sku is "`, `"sku was "`, 0, 4, "step 2 returned"},
		{"a call too many", `{"role":"assistant","content":"W3"}`, extraCall, 0, 9, "not in the log"},
		{"a refused call", `{"role":"assistant","content":"W3"}`, extraCall, 1, -1, ""},
		{"one more than was refused", `{"role":"assistant","content":"W3"}`, extraCall + "," + extraCall, 1, 11, "not in the log"},
		{"a call that was never sent", `{"role":"assistant","content":"W3"}`, strings.Replace(extraCall, `"{}"`, `"{oops"`, 1), 0, -1, ""},
		{"a call is missing", `"role":"assistant","tool_calls":[{"id":"a","type":"function","function":{"name":"order","arguments":{"quantity":200}}}]},
{"role":"tool","tool_call_id":"a"`, `"role":"user"`, 0, 9, "step 3 of the log"},
		{"no tool message", `{"role":"tool","tool_call_id":"a","content":"done"},`, ``, 0, 7, "no tool message"},
		{"foreign tool message", `{"role":"user","content":"Order 200."}`, `{"role":"tool","tool_call_id":"a","content":"x"}`, 0, 6, "answers no call"},
		{"answered twice", `"tool_call_id":"b"`, `"tool_call_id":"a"`, 0, 4, "answered twice"},
		{"other case", `"role":"assistant","tool_calls"`, `"role":"assistant","Tool_Calls"`, 0, 8, "answers no call"},
		{"a user that calls", `"role":"assistant","tool_calls"`, `"role":"user","tool_calls"`, 0, 7, "only an assistant"},
		{"legacy call", `"content":"In W3."`, `"function_call":{}`, 0, 5, "function_call"},
		{"unknown role", `"role":"system"`, `"role":"ghost"`, 0, 0, "role"},
		{"image result", `"type":"text","text":"sku is "`, `"type":"image_url"`, 0, 4, "text parts"},
		{"call without id", `"id":"b",`, ``, 0, 2, "id of its own"},
		{"no list", chat, `{}`, 0, 0, "list of chat messages"},
		{"null", chat, `null`, 0, 0, "list of chat messages"},
		{"no UTF-8", `{"quantity":200}`, "{\"quantity\":200,\"\xff\":1}", 0, 0, "UTF-8"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			messages := strings.Replace(chat, tc.old, tc.new, 1)
			if tc.at >= 0 && messages == chat {
				t.Fatal("the case changes nothing")
			}
			ep := twoTurns()
			ep.Refused = tc.refused
			err := astra.Agree(ep, json.RawMessage(messages))
			var d *astra.Disagreement
			switch {
			case tc.at < 0 && err != nil:
				t.Errorf("refused: %v", err)
			case tc.at >= 0 && (!errors.As(err, &d) || d.Message != tc.at || !strings.Contains(d.Reason, tc.says)):
				t.Errorf("got %v, want a disagreement at message %d that says %q", err, tc.at, tc.says)
			case tc.at >= 0 && !errors.Is(err, astra.ErrDisagrees):
				t.Errorf("%v is no ErrDisagrees", err)
			}
		})
	}
}

const extraCall = `{"role":"assistant","tool_calls":[{"id":"x","type":"function","function":{"name":"find","arguments":"{}"}}]},{"role":"tool","tool_call_id":"x","content":"the budget is spent"}`

func TestAgreeWithWholeNumbers(t *testing.T) {
	ep := &astra.Episode{Steps: []astra.Step{{Index: 1, Turn: 1, Tool: "f", Args: json.RawMessage(`{"n":9007199254740993}`), Result: astra.Result{Value: json.RawMessage(`1`)}}}}
	messages := `[{"role":"assistant","tool_calls":[{"id":"a","function":{"name":"f","arguments":{"n":9007199254740992}}}]},{"role":"tool","tool_call_id":"a","content":"1"}]`
	if astra.Agree(ep, json.RawMessage(messages)) == nil {
		t.Error("two whole numbers that differ in the last digit passed for equal")
	}
	if err := astra.Agree(ep, json.RawMessage(strings.Replace(messages, "740992", "740993", 1))); err != nil {
		t.Error(err)
	}
}

// The log has null for arguments that were too large or no object: the rest must agree.
func TestAgreeWhereArgumentsWereNotKept(t *testing.T) {
	ep := &astra.Episode{Steps: []astra.Step{
		{Index: 1, Turn: 1, Tool: "f", Args: json.RawMessage(`null`), Result: astra.Failed(astra.FaultAgent, "must be an object")},
		{Index: 2, Turn: 1, Tool: "g", Args: json.RawMessage(`{}`), Result: astra.Result{Value: json.RawMessage(`2`)}},
	}}
	const messages = `[{"role":"assistant","tool_calls":[
{"id":"a","function":{"name":"f","arguments":"{oops"}},{"id":"b","function":{"name":"g","arguments":"{}"}},{"id":"c","function":{"name":"g","arguments":"never sent"}}]},
{"role":"tool","tool_call_id":"a","content":"must be an object"},{"role":"tool","tool_call_id":"b","content":"2"},{"role":"tool","tool_call_id":"c","content":"bad JSON"}]`
	if err := astra.Agree(ep, json.RawMessage(messages)); err != nil {
		t.Error(err)
	}
	if astra.Agree(ep, json.RawMessage(strings.Replace(messages, `"name":"f"`, `"name":"h"`, 1))) == nil {
		t.Error("a call of another tool passed")
	}
}

func TestResultText(t *testing.T) {
	for want, r := range map[string]astra.Result{
		"a b": {Value: json.RawMessage(`"a b"`)}, "[1]": {Value: json.RawMessage(`[1]`)}, "": {}, "no such sku": astra.Failed(astra.FaultTool, "no such sku"),
	} {
		if got := r.Text(); got != want {
			t.Errorf("Text() = %q, want %q", got, want)
		}
	}
}

// FuzzAgree holds that any log agrees with the messages rebuilt from it, and that foreign
// messages never panic.
func FuzzAgree(f *testing.F) {
	f.Add("find", `{"a":1.50}`, `"x"`, chat)
	f.Add("", `[1e400]`, `{}`, `[{"role":"assistant","tool_calls":[]}]`)
	f.Fuzz(func(t *testing.T, tool, args, value, messages string) {
		ep := twoTurns()
		if json.Valid([]byte(args)) && json.Valid([]byte(value)) {
			ep.Steps[1] = astra.Step{Index: 2, Turn: 1, Tool: strings.ToValidUTF8(tool, ""), Args: json.RawMessage(strings.ToValidUTF8(args, "")),
				Result: astra.Result{Value: json.RawMessage(strings.ToValidUTF8(value, ""))}}
		}
		tr, err := astra.NewTrajectory(ep, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := astra.Agree(ep, tr.Messages); err != nil {
			t.Errorf("the log disagrees with itself: %v\n%s", err, tr.Messages)
		}
		if err := astra.Agree(ep, json.RawMessage(messages)); err != nil && !errors.Is(err, astra.ErrDisagrees) {
			t.Errorf("%v is no ErrDisagrees", err)
		}
	})
}

func TestChat(t *testing.T) {
	tr := astra.Trajectory{Messages: json.RawMessage(`[
		{"role":"developer","content":"Be brief."},
		{"role":"user","content":[{"type":"text","text":"Where "},{"type":"text","text":"is it?"}]},
		{"role":"assistant","content":null,"reasoning_content":"look","tool_calls":[
			{"id":"a","type":"function","function":{"name":"find","arguments":{"name": "M8"}}},
			{"id":"b","type":"function","function":{"name":"find","arguments":"{\"name\": 1e0}"}}]},
		{"role":"tool","tool_call_id":"b","content":"none"},
		{"role":"tool","tool_call_id":"a","content":"W3"},
		{"role":"assistant","content":"W3","refusal":null}]`)}
	chat, err := tr.Chat()
	if err != nil {
		t.Fatal(err)
	}
	call := func(id, args string) astra.ChatToolCall {
		return astra.ChatToolCall{ID: id, Type: "function", Function: astra.ChatFunction{Name: "find", Arguments: args}}
	}
	want := []astra.ChatMessage{{Role: "system", Content: "Be brief."}, {Role: "user", Content: "Where is it?"},
		{Role: "assistant", Reasoning: "look", ToolCalls: []astra.ChatToolCall{call("a", `{"name":"M8"}`), call("b", `{"name": 1e0}`)}},
		{Role: "tool", Content: "none", ToolCallID: "b"}, {Role: "tool", Content: "W3", ToolCallID: "a"}, {Role: "assistant", Content: "W3"}}
	if !reflect.DeepEqual(chat, want) {
		t.Errorf("chat = %+v\nwant %+v", chat, want)
	}
}

func TestChatRefuses(t *testing.T) {
	call := `{"role":"assistant","content":"","tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"}}]}`
	for name, messages := range map[string]string{
		"no list":           `{}`,
		"unknown role":      `[{"role":"function","content":""}]`,
		"call not answered": `[` + call + `]`,
		"answer not asked":  `[{"role":"user","content":"hi"},{"role":"tool","tool_call_id":"a","content":"x"}]`,
		"answered later":    `[` + call + `,{"role":"user","content":"hi"},{"role":"tool","tool_call_id":"a","content":"x"}]`,
		"picture":           `[{"role":"user","content":[{"type":"image_url"}]}]`,
		"number":            `[{"role":"user","content":7}]`,
	} {
		tr := astra.Trajectory{Messages: json.RawMessage(messages)}
		if _, err := tr.Chat(); !errors.Is(err, astra.ErrDisagrees) {
			t.Errorf("%s: error = %v, want a Disagreement", name, err)
		}
	}
}
