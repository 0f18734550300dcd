package datasets

import (
	"encoding/json"
	"slices"

	"github.com/astra-arenas/astra"
)

// An astraRow is a row in the form of the ASTRA-SFT data that were released: mcp_info and
// trajectory are JSON text, each call is a message of its own with function_call, results
// have the role function and are found by order.
type astraRow struct {
	Query      astraQuery `json:"query_info" parquet:"query_info"`
	MCP        string     `json:"mcp_info" parquet:"mcp_info"`
	Trajectory string     `json:"trajectory" parquet:"trajectory"`
}

type astraQuery struct {
	Question string   `json:"generated_question" parquet:"generated_question"`
	Tools    []string `json:"target_tools" parquet:"target_tools,list"` // that were called
	Plan     bool     `json:"have_plan" parquet:"have_plan"`
	MaxUse   int64    `json:"max_tool_use" parquet:"max_tool_use"` // -1 is no limit
	Mode     string   `json:"mode" parquet:"mode"`
}

type astraMCP struct {
	Base astraBase       `json:"base_info"`
	Call json.RawMessage `json:"call_info,omitempty"`
}

type astraBase struct {
	Group astraGroup  `json:"group_info"`
	Tools []astraTool `json:"tool_list"`
}

type astraGroup struct {
	Title       string `json:"server_title"`
	Name        string `json:"server_name"`
	Description string `json:"server_description"`
	Domain      string `json:"domain"`
}

type astraTool struct {
	Name        string          `json:"name"`
	Description string          `json:"description"`
	Parameters  json.RawMessage `json:"parameters"`
}

type astraMessage struct {
	Role      string     `json:"role"`
	Name      string     `json:"name,omitempty"`
	Content   string     `json:"content"`
	Reasoning *string    `json:"reasoning_content,omitempty"` // of assistants, "" if there is none
	Call      *astraCall `json:"function_call,omitempty"`
}

type astraCall struct {
	Name      string `json:"name"`
	Arguments string `json:"arguments"`
}

func astraSFT(c *conversation) (row astraRow, lost []string, err error) {
	query := astraQuery{Tools: []string{}, MaxUse: -1, Mode: "single_server"}
	var all []astraMessage
	for i, m := range c.chat {
		if m.Role == "user" && query.Question == "" {
			query.Question = m.Content
		}
		if i > 0 && len(m.ToolCalls) > 0 && c.chat[i-1].Role == "assistant" && m.Content+m.Reasoning == "" {
			return row, nil, leaveOut("a call right after another assistant message", "message %d: a reader would take them for one", i)
		}
		for _, call := range m.ToolCalls {
			if !slices.Contains(query.Tools, call.Function.Name) {
				query.Tools = append(query.Tools, call.Function.Name)
			}
		}
		all = append(all, astraMessages(c, i)...)
	}
	mcp := astraMCP{Base: astraBase{astraGroup{Title: c.of.Arena, Name: c.of.Arena, Domain: c.of.Domain}, astraTools(c.tools)}, Call: json.RawMessage(`{"mock_tool":true}`)}
	lost = c.ifMasked(lostWeights)
	if c.calls() > 0 {
		lost = append(lost, lostIDs)
	}
	return astraRow{query, string(raw(mcp)), string(raw(all))}, lost, nil
}

// astraMessages is one message as several: its text, its calls, and their results.
func astraMessages(c *conversation, at int) []astraMessage {
	m := c.chat[at]
	switch m.Role {
	case "tool":
		return nil // they follow their calls
	case "assistant":
	default:
		return []astraMessage{{Role: m.Role, Content: m.Content}}
	}
	var all []astraMessage
	if m.Content != "" || m.Reasoning != "" || len(m.ToolCalls) == 0 {
		all = append(all, astraMessage{Role: "assistant", Content: m.Content, Reasoning: &m.Reasoning})
	}
	for _, call := range m.ToolCalls {
		all = append(all, astraMessage{Role: "assistant", Reasoning: new(string), Call: &astraCall{call.Function.Name, call.Function.Arguments}})
	}
	for i, content := range c.ordered(at) {
		all = append(all, astraMessage{Role: "function", Name: m.ToolCalls[i].Function.Name, Content: content})
	}
	return all
}

func astraTools(tools []astra.ChatTool) []astraTool {
	all := []astraTool{}
	for _, t := range tools {
		all = append(all, astraTool{t.Function.Name, t.Function.Description, t.Function.Parameters})
	}
	return all
}
