package astra

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
)

// A Trajectory is an episode as a trainer reads it, in OpenAI's chat format: one row of
// an SFT file. Arguments of tool calls are JSON text, as that format has them.
type Trajectory struct {
	Messages json.RawMessage `json:"messages"` // a list; the harness's own bytes unless Rebuilt
	Tools    []ChatTool      `json:"tools"`
	Metadata TrajectoryOf    `json:"metadata"`
}

// TrajectoryOf says which episode a trajectory was, and how it was made.
type TrajectoryOf struct {
	Episode EpisodeID `json:"episode"`
	Arena   string    `json:"arena"`
	Digest  Digest    `json:"digest"`
	Task    string    `json:"task,omitempty"`
	Seed    int64     `json:"seed"`
	Policy  string    `json:"policy,omitempty"`
	Reward  *float64  `json:"reward,omitempty"`  // nil unless scored
	Prefix  int       `json:"prefix,omitempty"`  // steps that a fork inherited: context, not its own doing
	Rebuilt bool      `json:"rebuilt,omitempty"` // made of the log: no harness gave its messages
}

// A ChatMessage is one message of a rebuilt trajectory.
type ChatMessage struct {
	Role       string         `json:"role"`
	Content    string         `json:"content"` // "" beside tool calls: some chat templates trip over null
	ToolCalls  []ChatToolCall `json:"tool_calls,omitempty"`
	ToolCallID string         `json:"tool_call_id,omitempty"`
}

// A ChatToolCall is a call inside an assistant's message.
type ChatToolCall struct {
	ID       string       `json:"id"`
	Type     string       `json:"type"` // "function"
	Function ChatFunction `json:"function"`
}

// A ChatFunction names the tool that is called and has its arguments as JSON text.
type ChatFunction struct {
	Name      string `json:"name"`
	Arguments string `json:"arguments"`
}

// A ChatTool is a tool in the form in which chat models are told of it.
type ChatTool struct {
	Type     string       `json:"type"` // "function"
	Function ChatToolSpec `json:"function"`
}

// ChatToolSpec describes the function of a ChatTool.
type ChatToolSpec struct {
	Name        string          `json:"name"`
	Description string          `json:"description,omitempty"`
	Parameters  json.RawMessage `json:"parameters"`
}

// NewTrajectory turns an episode and the tools in its view into a trajectory. The
// messages that were submitted are kept as they are; without any they are rebuilt from
// turns, steps, replies and the answer, and the trajectory says so.
func NewTrajectory(ep *Episode, tools []PublicTool) (*Trajectory, error) {
	t := &Trajectory{Tools: chatTools(tools), Metadata: TrajectoryOf{Episode: ep.Episode, Arena: ep.Arena,
		Digest: ep.Digest, Task: ep.Task, Seed: ep.Seed, Policy: ep.Policy, Prefix: ep.At}}
	if ep.Score != nil {
		t.Metadata.Reward = &ep.Score.Reward
	}
	if ep.Submission != nil && len(ep.Submission.Messages) > 0 {
		t.Messages = ep.Submission.Messages
		return t, nil
	}
	messages, err := rebuildMessages(ep)
	if err != nil {
		return nil, err
	}
	t.Metadata.Rebuilt = true
	t.Messages, err = plainJSON(messages)
	return t, err
}

// plainJSON leaves <, > and & as they are: the text is for models, not for HTML.
func plainJSON(v any) (json.RawMessage, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSpace(b.Bytes()), err
}

func chatTools(tools []PublicTool) []ChatTool {
	out := make([]ChatTool, len(tools))
	for i, t := range tools {
		out[i] = ChatTool{Type: "function", Function: ChatToolSpec{Name: t.Name, Description: t.Description, Parameters: t.Input}}
	}
	return out
}

// rebuildMessages tells an episode's log as a chat. Calls that ran side by side come one
// after the other, in the order of the log.
func rebuildMessages(ep *Episode) ([]ChatMessage, error) {
	messages, steps := []ChatMessage{}, ep.Steps
	for _, turn := range ep.Turns {
		if turn.Prompt != "" { // free play has no prompt
			messages = append(messages, ChatMessage{Role: "user", Content: turn.Prompt})
		}
		for len(steps) > 0 && steps[0].Turn == turn.Index {
			messages = append(messages, callMessages(steps[0])...)
			steps = steps[1:]
		}
		if turn.Reply != nil {
			messages = append(messages, ChatMessage{Role: "assistant", Content: *turn.Reply})
		}
	}
	if len(steps) > 0 {
		return nil, fmt.Errorf("episode %s: step %d belongs to turn %d, which does not follow in the log", ep.Episode, steps[0].Index, steps[0].Turn)
	}
	return appendAnswer(messages, ep), nil
}

// appendAnswer adds the answer, unless the reply that closed the last turn said the same.
func appendAnswer(messages []ChatMessage, ep *Episode) []ChatMessage {
	if ep.Submission == nil || ep.Submission.Answer == nil {
		return messages
	}
	answer, last := *ep.Submission.Answer, ep.Turns[len(ep.Turns)-1].Reply
	if last != nil && *last == answer {
		return messages
	}
	return append(messages, ChatMessage{Role: "assistant", Content: answer})
}

func callMessages(s Step) []ChatMessage {
	id := "call_" + strconv.Itoa(s.Index)
	call := ChatToolCall{ID: id, Type: "function", Function: ChatFunction{Name: s.Tool, Arguments: string(s.Args)}}
	return []ChatMessage{
		{Role: "assistant", ToolCalls: []ChatToolCall{call}},
		{Role: "tool", Content: s.Result.Text(), ToolCallID: id},
	}
}

// Text is what an agent reads of a result: a string as it is, any other value as compact
// JSON, a failure as its message.
func (r Result) Text() string {
	if !r.OK() {
		return r.Error
	}
	var s string
	if len(r.Value) > 0 && r.Value[0] == '"' && json.Unmarshal(r.Value, &s) == nil {
		return s
	}
	return string(r.Value)
}
