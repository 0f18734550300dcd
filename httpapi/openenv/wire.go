package openenv

import (
	"encoding/json"

	"github.com/astra-arenas/astra"
)

// A result is what reset and step answer. Its members are all there are: clients refuse others.
type result struct {
	Observation any      `json:"observation"`
	Reward      *float64 `json:"reward"` // nil but for the step that submits
	Done        bool     `json:"done"`
}

// A start is the observation of reset. It has no member "tools" or "tool_name": by these MCP
// clients tell the observations of list_tools and call_tool.
type start struct {
	Prompt   string    `json:"prompt"` // the first message
	Task     string    `json:"task"`
	Metadata startMeta `json:"metadata"` // all that openenv-core's MCP client shows of a reset
}

type startMeta struct {
	Prompt string `json:"prompt"`
	Task   string `json:"task"`
}

// A listed is the observation of list_tools.
type listed struct {
	Tools []tool `json:"tools"`
}

type tool struct {
	Name        string          `json:"name"`
	Description string          `json:"description"`
	InputSchema json.RawMessage `json:"input_schema"`
}

// A called is the observation of call_tool.
type called struct {
	ToolName string     `json:"tool_name"`
	Result   *returned  `json:"result"` // nil when failed
	Error    *toolError `json:"error"`
}

// A returned is what a tool returned, with those members of FastMCP's CallToolResult that are
// read: clients give their callers data, and content is what a model reads.
type returned struct {
	Content []content       `json:"content"`
	Data    json.RawMessage `json:"data"`
	IsError bool            `json:"is_error"`
}

type content struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

// returns shows a value as agents get it: a string as it is, anything else as compact JSON.
func returns(value json.RawMessage) *returned {
	if len(value) == 0 {
		value = json.RawMessage("null")
	}
	text := string(value)
	if value[0] == '"' {
		_ = json.Unmarshal(value, &text) // the gateway made it JSON
	}
	return &returned{Content: []content{{"text", text}}, Data: value}
}

// A toolError is a call that failed.
type toolError struct {
	Type    string `json:"error_type"`
	Message string `json:"message"`
}

// Kinds of toolError that we tell apart.
const (
	executionError = "execution_error"
	invalidArgs    = "invalid_args"
	toolNotFound   = "tool_not_found"
)

// A state is the answer to a question for it. Clients take more members than these two.
type state struct {
	Episode *string `json:"episode_id"`
	Steps   int     `json:"step_count"`
	Task    string  `json:"task,omitempty"`
	Status  string  `json:"status,omitempty"`
}

// The tools that the door adds to an arena's, which cannot have such names.
const (
	submitTool = "episode_submit"
	turnTool   = "episode_turn"
)

var submitting = tool{submitTool, "Ends the episode and has it judged. Call it once, when you have done what the user asked for.",
	json.RawMessage(`{"type":"object","properties":{"answer":{"type":"string","description":"Your final answer, if the user asked for one."}},"additionalProperties":false}`)}

var turning = tool{turnTool, "Sends your reply to the user and returns the user's next message, or that there is none: then submit.",
	json.RawMessage(`{"type":"object","properties":{"reply":{"type":"string","description":"What you say to the user."}},"additionalProperties":false}`)}

// withOurs are tools in the form of this protocol, and those of the door.
func withOurs(of []astra.PublicTool, turns bool) []tool {
	list := make([]tool, 0, len(of)+2)
	for _, t := range of {
		list = append(list, tool{t.Name, t.Description, t.Input})
	}
	if turns {
		list = append(list, turning)
	}
	return append(list, submitting)
}
