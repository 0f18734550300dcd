package datasets

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/astra-arenas/astra"
)

// A llamaRow is a row of LLaMA-Factory's sharegpt formatting. Its reader wants human or
// observation at odd places and gpt or function_call at even ones, and drops other rows with
// a warning; so we leave them out ourselves, and count them.
type llamaRow struct {
	Conversations []llamaTurn `json:"conversations" parquet:"conversations,list"`
	System        string      `json:"system" parquet:"system"`
	Tools         string      `json:"tools" parquet:"tools"` // a JSON list; "" is none
}

type llamaTurn struct {
	From  string `json:"from" parquet:"from"`
	Value string `json:"value" parquet:"value"`
}

// What LLaMA-Factory looks for in an assistant's text by default: thought before it, and
// calls that stand beside text. Templates may have words of their own.
const (
	thinkFrom, thinkTo = "<think>\n", "\n</think>\n\n"
	callsFrom, callsTo = "<tool_call>", "</tool_call>"
)

func llamaFactory(c *conversation) (row llamaRow, lost []string, err error) {
	if err := c.lastIsAssistant(); err != nil {
		return row, nil, err
	}
	chat := c.chat
	if chat[0].Role == "system" {
		row.System, chat = chat[0].Content, chat[1:]
	}
	for i, m := range chat {
		turns, err := llamaTurns(c, len(c.chat)-len(chat)+i, m)
		if err != nil {
			return row, nil, err
		}
		row.Conversations = append(row.Conversations, turns...)
	}
	if err := alternate(row.Conversations); err != nil {
		return row, nil, err
	}
	row.Tools, err = llamaTools(c.tools)
	lost = c.ifMasked(lostWeights)
	if c.calls() > 0 {
		lost = append(lost, lostIDs)
	}
	return row, lost, err
}

// llamaTurns has the results of a message's calls right after it, in one observation.
func llamaTurns(c *conversation, at int, m astra.ChatMessage) ([]llamaTurn, error) {
	switch {
	case m.Role == "user":
		return []llamaTurn{{"human", m.Content}}, nil
	case m.Role == "tool":
		return nil, nil
	case m.Role != "assistant":
		return nil, leaveOut("a system message that is not the first", "message %d", at)
	}
	text := m.Content
	if m.Reasoning != "" {
		text = thinkFrom + m.Reasoning + thinkTo + text
	}
	if len(m.ToolCalls) == 0 {
		return []llamaTurn{{"gpt", text}}, nil
	}
	calls, err := llamaCalls(at, m.ToolCalls)
	if err != nil {
		return nil, err
	}
	if strings.Contains(text+calls, callsFrom) || strings.Contains(text+calls, callsTo) {
		return nil, leaveOut("text that LLaMA-Factory would take for calls", "message %d has %s in it", at, callsFrom)
	}
	if text != "" {
		calls = text + callsFrom + calls + callsTo
	}
	results := c.ordered(at)
	observation := results[0]
	if len(results) > 1 {
		observation = string(raw(results))
	}
	return []llamaTurn{{"function_call", calls}, {"observation", observation}}, nil
}

// llamaCalls is {name, arguments}, or a list of them.
func llamaCalls(at int, calls []astra.ChatToolCall) (string, error) {
	var all []openAIFunction
	for _, call := range calls {
		args, err := objectArguments(at, call.Function.Name, call.Function.Arguments)
		if err != nil {
			return "", err
		}
		all = append(all, openAIFunction{call.Function.Name, args})
	}
	if len(all) == 1 {
		return string(raw(all[0])), nil
	}
	return string(raw(all)), nil
}

func alternate(turns []llamaTurn) error {
	odd, even := []string{"human", "observation"}, []string{"gpt", "function_call"}
	for i, t := range turns {
		if want := [][]string{odd, even}[i%2]; !slices.Contains(want, t.From) {
			return leaveOut("turns that do not alternate", "%s at place %d", t.From, i+1)
		}
	}
	return nil
}

// llamaTools gives every schema its properties: the reader fails on a tool without.
func llamaTools(tools []astra.ChatTool) (string, error) {
	if len(tools) == 0 {
		return "", nil
	}
	all := slices.Clone(tools)
	for i := range all {
		var schema map[string]json.RawMessage
		if err := json.Unmarshal(all[i].Function.Parameters, &schema); err != nil {
			return "", err
		}
		if schema["properties"] == nil {
			schema["properties"] = json.RawMessage("{}")
			all[i].Function.Parameters = raw(schema)
		}
	}
	return string(raw(all)), nil
}

// llamaInfo is dataset_info.json, by which LLaMA-Factory finds the data.
func llamaInfo(splits []Split) ([]byte, error) {
	type entry struct {
		File       string            `json:"file_name"`
		Formatting string            `json:"formatting"`
		Columns    map[string]string `json:"columns"`
		Tags       map[string]string `json:"tags"`
	}
	all := map[string]entry{}
	for _, s := range splits {
		all["astra_"+s.Name] = entry{s.Name, "sharegpt",
			map[string]string{"messages": "conversations", "system": "system", "tools": "tools"},
			map[string]string{"role_tag": "from", "content_tag": "value", "user_tag": "human", "assistant_tag": "gpt",
				"observation_tag": "observation", "function_tag": "function_call", "system_tag": "system"}}
	}
	text, err := json.MarshalIndent(all, "", "  ")
	return append(text, '\n'), err
}
