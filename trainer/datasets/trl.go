package datasets

import (
	"github.com/astra-arenas/astra"
)

// A trlRow is a row for TRL's SFTTrainer: arguments as objects, tool messages by name and by
// id. Each message is one JSON value, also to Arrow: as records, messages and arguments of
// all rows would be given each other's keys, filled with null.
//
// Assistant messages that are not to be learned from have weight 0, which a chat template
// may look at; TRL itself does not.
type trlRow struct {
	Messages []jsonText `json:"messages" parquet:"messages,list" parquet-element:",json"`
	Tools    []jsonText `json:"tools" parquet:"tools,list" parquet-element:",json"`
}

func trl(c *conversation) (row trlRow, lost []string, err error) {
	messages, err := openAIMessages(c, objectArguments)
	if err != nil {
		return row, nil, err
	}
	nameAndMask(c, messages)
	row.Messages, row.Tools = rawList(messages), rawList(c.tools)
	return row, c.ifMasked(unheeded), nil
}

func nameAndMask(c *conversation, messages []openAIMessage) {
	for i := range messages {
		switch m := &messages[i]; {
		case m.Role == "tool":
			m.Name = c.toolOf(i)
		case m.Role == "assistant" && c.weights[i] == 0:
			m.Weight = &c.weights[i]
		}
	}
}

// A trlPlainRow has arguments and tools as text, and no JSON columns: versions of the
// datasets package before 4.7 read it too. What a message does not have is empty, not null.
type trlPlainRow struct {
	Messages []trlMessage `json:"messages" parquet:"messages,list"`
	Tools    string       `json:"tools" parquet:"tools"`
}

type trlMessage struct {
	Role       string    `json:"role" parquet:"role"`
	Content    string    `json:"content" parquet:"content"`
	Reasoning  string    `json:"reasoning_content" parquet:"reasoning_content"`
	Name       string    `json:"name" parquet:"name"`
	ToolCallID string    `json:"tool_call_id" parquet:"tool_call_id"`
	ToolCalls  []trlCall `json:"tool_calls" parquet:"tool_calls,list"`
	Weight     int64     `json:"weight" parquet:"weight"`
}

type trlCall struct {
	ID       string      `json:"id" parquet:"id"`
	Type     string      `json:"type" parquet:"type"`
	Function trlFunction `json:"function" parquet:"function"`
}

type trlFunction struct {
	Name      string `json:"name" parquet:"name"`
	Arguments string `json:"arguments" parquet:"arguments"`
}

func trlPlain(c *conversation) (row trlPlainRow, lost []string, err error) {
	row.Tools = string(raw(c.tools))
	if len(c.tools) == 0 {
		row.Tools = "[]"
	}
	for i, m := range c.chat {
		row.Messages = append(row.Messages, trlMessage{Role: m.Role, Content: m.Content, Reasoning: m.Reasoning, Name: c.toolOf(i),
			ToolCallID: m.ToolCallID, ToolCalls: trlCalls(m.ToolCalls), Weight: int64(c.weights[i])})
	}
	return row, c.ifMasked(unheeded), nil
}

func trlCalls(calls []astra.ChatToolCall) []trlCall {
	all := []trlCall{}
	for _, call := range calls {
		all = append(all, trlCall{call.ID, "function", trlFunction{call.Function.Name, call.Function.Arguments}})
	}
	return all
}
