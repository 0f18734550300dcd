package datasets

import "encoding/json"

// An openAIRow is a line of OpenAI's fine-tuning files: arguments as text, results by id,
// weight 0 on what is not to be learned from. Without tools neither key may be there.
type openAIRow struct {
	Messages []jsonText `json:"messages" parquet:"messages,list" parquet-element:",json"`
	Tools    []jsonText `json:"tools,omitempty" parquet:"tools,list" parquet-element:",json"`
	Parallel *bool      `json:"parallel_tool_calls,omitempty" parquet:"parallel_tool_calls,optional"`
}

type openAIMessage struct {
	Role       string       `json:"role"`
	Content    *string      `json:"content"`
	Reasoning  string       `json:"reasoning_content,omitempty"`
	Name       string       `json:"name,omitempty"`
	ToolCalls  []openAICall `json:"tool_calls,omitempty"`
	ToolCallID string       `json:"tool_call_id,omitempty"`
	Weight     *int         `json:"weight,omitempty"` // of assistants
}

type openAICall struct {
	ID       string         `json:"id"`
	Type     string         `json:"type"` // "function"
	Function openAIFunction `json:"function"`
}

type openAIFunction struct {
	Name      string          `json:"name"`
	Arguments json.RawMessage `json:"arguments"` // a JSON string or an object
}

func openAI(c *conversation) (row openAIRow, lost []string, err error) {
	if err := c.lastIsAssistant(); err != nil {
		return row, nil, err
	}
	messages, err := openAIMessages(c, asText)
	if err != nil {
		return row, nil, err
	}
	parallel := false
	for i := range messages {
		m := &messages[i]
		if m.Reasoning != "" {
			m.Reasoning, lost = "", []string{lostReasoning} // the API refuses keys it does not know
		}
		if m.Role == "assistant" {
			m.Weight = &c.weights[i]
		}
		parallel = parallel || len(m.ToolCalls) > 1
	}
	if len(c.tools) > 0 {
		row.Parallel = &parallel
	}
	row.Messages, row.Tools = rawList(messages), rawList(c.tools)
	return row, lost, nil
}

// openAIMessages has the messages in the form that most formats vary.
func openAIMessages(c *conversation, arguments func(m int, call, text string) (json.RawMessage, error)) ([]openAIMessage, error) {
	all := make([]openAIMessage, len(c.chat))
	for i, m := range c.chat {
		all[i] = openAIMessage{Role: m.Role, Content: &c.chat[i].Content, Reasoning: m.Reasoning, ToolCallID: m.ToolCallID}
		for _, call := range m.ToolCalls {
			args, err := arguments(i, call.Function.Name, call.Function.Arguments)
			if err != nil {
				return nil, err
			}
			all[i].ToolCalls = append(all[i].ToolCalls, openAICall{call.ID, "function", openAIFunction{call.Function.Name, args}})
		}
	}
	return all, nil
}

func asText(_ int, _, text string) (json.RawMessage, error) { return raw(text), nil }
