package datasets

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strconv"
	"strings"

	"github.com/astra-arenas/astra"
)

// ReadASTRA yields the rows of an ASTRA-SFT file as trajectories; mcp_info and trajectory
// may be JSON text or JSON itself. An assistant's text and the function_calls after it
// become one message with tool_calls, functions become tool messages, and each call has an
// id of its own. A row that is none, or whose run ended in an error, is a *RowError, and the
// next is read.
func ReadASTRA(file string, r io.Reader) iter.Seq2[astra.Trajectory, error] {
	return read(file, r, parseASTRA)
}

// looseRow is a row as it is in the wild: what is not asked for is passed over.
type looseRow struct {
	MCP        json.RawMessage `json:"mcp_info"`
	Trajectory json.RawMessage `json:"trajectory"`
}

type looseMCP struct {
	Base struct {
		Group struct {
			Name   string `json:"server_name"`
			Title  string `json:"server_title"`
			Other  string `json:"name"`
			Domain string `json:"domain"`
		} `json:"group_info"`
		Tools []astraTool `json:"tool_list"`
	} `json:"base_info"`
}

type looseMessage struct {
	Role      string          `json:"role"`
	Name      string          `json:"name"`
	Content   json.RawMessage `json:"content"`
	Reasoning json.RawMessage `json:"reasoning_content"`
	Call      *struct {
		Name      string          `json:"name"`
		Arguments json.RawMessage `json:"arguments"`
	} `json:"function_call"`
}

func parseASTRA(line []byte) (t astra.Trajectory, err error) {
	var row looseRow
	var mcp looseMCP
	var messages []looseMessage
	if err := json.Unmarshal(line, &row); err != nil {
		return t, fmt.Errorf("no row of ASTRA-SFT: %w; want an object with mcp_info and trajectory", err)
	}
	if err := unwrap("mcp_info", row.MCP, &mcp); err != nil {
		return t, err
	}
	if err := unwrap("trajectory", row.Trajectory, &messages); err != nil {
		return t, err
	}
	var f folding
	if err := f.fold(messages); err != nil {
		return t, err
	}
	if t.Tools, err = chatTools(mcp.Base.Tools); err != nil {
		return t, err
	}
	t.Messages = raw(f.chat)
	sum := sha256.Sum256(line)
	group := mcp.Base.Group
	t.Metadata = astra.TrajectoryOf{ID: "astra-sft-" + hex.EncodeToString(sum[:8]), Arena: cmp.Or(group.Name, group.Title, group.Other), Domain: group.Domain}
	_, err = t.Chat()
	return t, err
}

// unwrap reads JSON, or JSON in a string.
func unwrap(what string, data json.RawMessage, v any) error {
	if len(data) == 0 || string(data) == "null" {
		return fmt.Errorf("no row of ASTRA-SFT: %s is missing", what)
	}
	if data[0] == '"' {
		var text string
		if err := json.Unmarshal(data, &text); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		data = json.RawMessage(text)
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

func chatTools(list []astraTool) ([]astra.ChatTool, error) {
	all := []astra.ChatTool{}
	for _, t := range list {
		if len(t.Parameters) == 0 || string(t.Parameters) == "null" { // a tool without arguments
			t.Parameters = json.RawMessage(`{"type":"object","properties":{}}`)
		}
		all = append(all, astra.ChatTool{Type: "function", Function: astra.ChatToolSpec(t)})
	}
	return all, checkTools(all)
}

// folding makes a chat of an ASTRA trajectory, message by message.
type folding struct {
	chat  []astra.ChatMessage
	open  []string // ids of calls that have no result yet, of the last message
	names []string // of their tools
	calls int
	text  bool // the last message is text that calls may still join
}

func (f *folding) fold(messages []looseMessage) error {
	for i, m := range messages {
		content, ok := looseText(m.Content)
		if !ok {
			return fmt.Errorf("trajectory: message %d: the content is neither text nor a list of texts", i)
		}
		if err := f.message(m, content); err != nil {
			return fmt.Errorf("trajectory: message %d: %w", i, err)
		}
	}
	if len(f.open) > 0 {
		return fmt.Errorf("trajectory: it ends before %s has its result", f.names[0])
	}
	if len(f.chat) == 0 {
		return errors.New("trajectory: it has no messages")
	}
	return nil
}

func (f *folding) message(m looseMessage, content string) error {
	switch {
	case m.Role == "function":
		return f.result(m.Name, content)
	case m.Role == "assistant" && m.Call != nil:
		return f.call(m, content)
	case len(f.open) > 0:
		return fmt.Errorf("a message of role %s where the result of %s was expected", m.Role, f.names[0])
	case m.Role == "assistant" && strings.HasPrefix(content, "[ERROR:"):
		return errors.New("the run ended in an error, which stands here as if the assistant had said it")
	case m.Role != "system" && m.Role != "user" && m.Role != "assistant":
		return fmt.Errorf("role %q is none of system, user, assistant and function", m.Role)
	}
	reasoning, _ := looseText(m.Reasoning)
	f.chat = append(f.chat, astra.ChatMessage{Role: m.Role, Content: content, Reasoning: reasoning})
	f.text = m.Role == "assistant"
	return nil
}

// call joins the text or the calls right before it.
func (f *folding) call(m looseMessage, content string) error {
	args := argumentText(m.Call.Arguments)
	if m.Call.Name == "" {
		return errors.New("a function_call without a name")
	}
	if len(f.open) == maxParallel {
		return fmt.Errorf("more than %d calls before a result", maxParallel)
	}
	last := len(f.chat) - 1
	answered := last >= 0 && f.chat[last].Role == "tool"
	if len(f.open) > 0 && answered {
		return fmt.Errorf("a call where the result of %s was expected", f.names[0])
	}
	if !f.text && len(f.open) == 0 {
		f.chat = append(f.chat, astra.ChatMessage{Role: "assistant"})
		last++
	}
	reasoning, _ := looseText(m.Reasoning)
	to := &f.chat[last]
	to.Content, to.Reasoning = join(to.Content, content), join(to.Reasoning, reasoning)
	f.calls++
	id := "call_" + strconv.Itoa(f.calls)
	to.ToolCalls = append(to.ToolCalls, astra.ChatToolCall{ID: id, Type: "function", Function: astra.ChatFunction{Name: m.Call.Name, Arguments: args}})
	f.open, f.names, f.text = append(f.open, id), append(f.names, m.Call.Name), false
	return nil
}

// result answers the first open call of that name: of one name they come in order.
func (f *folding) result(name, content string) error {
	at := slices.Index(f.names, name)
	if at < 0 && name == "" && len(f.names) > 0 {
		at = 0
	}
	if at < 0 {
		return fmt.Errorf("a result of %q, which was not called", name)
	}
	f.chat = append(f.chat, astra.ChatMessage{Role: "tool", Content: content, ToolCallID: f.open[at]})
	f.open, f.names = slices.Delete(f.open, at, at+1), slices.Delete(f.names, at, at+1)
	f.text = false
	return nil
}

// argumentText is arguments as text, be they text, JSON itself or nothing.
func argumentText(data json.RawMessage) string {
	var s string
	if len(data) == 0 || json.Unmarshal(data, &s) == nil { // null leaves it empty
		return s
	}
	var b bytes.Buffer
	if json.Compact(&b, data) != nil { // cannot be: it was read before
		return string(data)
	}
	return b.String()
}

func join(a, b string) string {
	if a == "" || b == "" || a == b {
		return cmp.Or(a, b)
	}
	return a + "\n" + b
}

// looseText is a text, null, or a list of {text}.
func looseText(data json.RawMessage) (string, bool) {
	if data = bytes.TrimSpace(data); len(data) == 0 || string(data) == "null" {
		return "", true
	}
	var s string
	if json.Unmarshal(data, &s) == nil {
		return s, true
	}
	var parts []struct {
		Text *string `json:"text"`
	}
	if json.Unmarshal(data, &parts) != nil {
		return "", false
	}
	for _, p := range parts {
		if p.Text == nil {
			return "", false
		}
		s += *p.Text
	}
	return s, true
}
