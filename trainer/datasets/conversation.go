package datasets

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/astra-arenas/astra"
)

// A conversation is a trajectory that was read, and what its trainer is to learn from.
type conversation struct {
	id      string
	chat    []astra.ChatMessage
	weights []int // of the loss, by message: 0 or 1; only assistants' can be 1
	copied  []bool
	tools   []astra.ChatTool
	of      astra.TrajectoryOf
}

// leaveOut is a reason to leave a row out. Reasons are counted by kind: the text up to the
// first colon is counted, what follows is an example.
func leaveOut(why, format string, args ...any) error {
	return fmt.Errorf("%s: "+format, append([]any{why}, args...)...)
}

// maxParallel is how many calls one message may have. Models make a handful; work on a
// message grows with the square of it.
const maxParallel = 256

// newConversation reads a trajectory. With maskFailed, messages whose every call failed are
// not learned from.
func newConversation(t *astra.Trajectory, maskFailed bool) (*conversation, error) {
	chat, err := t.Chat()
	if err != nil {
		return nil, leaveOut("its messages are no chat", "%w", err)
	}
	c := &conversation{chat: chat, tools: t.Tools, of: t.Metadata}
	c.id = nameOf(c)
	if !slices.ContainsFunc(chat, func(m astra.ChatMessage) bool { return m.Role == "assistant" }) {
		return nil, leaveOut("nothing to learn from", "no message is the assistant's")
	}
	if slices.ContainsFunc(chat, func(m astra.ChatMessage) bool { return len(m.ToolCalls) > maxParallel }) {
		return nil, leaveOut("too many calls in one message", "at most %d are taken", maxParallel)
	}
	if err := checkTools(t.Tools); err != nil {
		return nil, leaveOut("its tools cannot be told", "%w", err)
	}
	return c, c.weigh(maskFailed)
}

// nameOf is the trajectory's own id, else the episode's, else one made of the messages.
func nameOf(c *conversation) string {
	if c.of.ID != "" {
		return c.of.ID
	}
	if c.of.Episode != "" {
		return string(c.of.Episode)
	}
	sum := c.digest()
	return "chat-" + hex.EncodeToString(sum[:8])
}

// checkTools wants a name and an object as schema: templates and loaders fail on others in
// ways that name neither row nor tool.
func checkTools(tools []astra.ChatTool) error {
	seen := map[string]bool{}
	for i, t := range tools {
		var schema map[string]json.RawMessage
		switch {
		case t.Function.Name == "":
			return fmt.Errorf("tool %d has no name", i+1)
		case seen[t.Function.Name]:
			return fmt.Errorf("two tools are named %s", t.Function.Name)
		case json.Unmarshal(t.Function.Parameters, &schema) != nil || schema == nil:
			return fmt.Errorf("the parameters of %s are no JSON object", t.Function.Name)
		case !utf8.Valid(t.Function.Parameters) || halfCharacter(t.Function.Parameters):
			return fmt.Errorf("the parameters of %s are not UTF-8", t.Function.Name)
		}
		seen[t.Function.Name] = true
	}
	return nil
}

// weigh decides what is learned from: the assistant's own messages. Those whose steps a fork
// inherited are context, and so are those before them.
func (c *conversation) weigh(maskFailed bool) error {
	c.weights, c.copied = make([]int, len(c.chat)), make([]bool, len(c.chat))
	failed := map[int]bool{}
	for _, step := range c.of.Failed {
		failed[step] = true
	}
	steps, lastCopied := 0, -1
	for i, m := range c.chat {
		if m.Role != "assistant" {
			continue
		}
		c.weights[i] = 1
		first := steps + 1
		steps += len(m.ToolCalls)
		if len(m.ToolCalls) > 0 && first <= c.of.Prefix {
			lastCopied = i
		}
		if maskFailed && len(m.ToolCalls) > 0 && all(failed, first, steps) {
			c.weights[i] = 0
		}
	}
	for i := range lastCopied + 1 {
		c.weights[i], c.copied[i] = 0, true
	}
	if !slices.Contains(c.weights, 1) {
		return leaveOut("nothing to learn from", "every message of the assistant has weight 0")
	}
	return c.countable(maskFailed, steps)
}

func all(set map[int]bool, first, last int) bool {
	for n := first; n <= last; n++ {
		if !set[n] {
			return false
		}
	}
	return true
}

// countable holds that calls are steps, where a weight depends on it: a harness may show
// calls that never were, because their arguments are no JSON.
func (c *conversation) countable(maskFailed bool, steps int) error {
	if maskFailed && c.of.Failed == nil {
		return leaveOut("which of its steps failed is not known", "metadata.failed is absent, and --mask-failed asks for it")
	}
	if c.of.Prefix == 0 && !maskFailed {
		return nil
	}
	if c.of.Prefix > steps {
		return leaveOut("its steps cannot be counted", "it inherited %d steps and shows %d calls", c.of.Prefix, steps)
	}
	for i, m := range c.chat {
		for _, call := range m.ToolCalls {
			if _, ok := object(call.Function.Arguments); !ok {
				return leaveOut("its steps cannot be counted", "message %d: the arguments of %s are no JSON object, so it may be no step", i, call.Function.Name)
			}
		}
	}
	return nil
}

// object is the compact JSON object that a text is. No text is no arguments, which some
// harnesses write so.
func object(text string) (json.RawMessage, bool) {
	if strings.TrimSpace(text) == "" {
		return json.RawMessage("{}"), true
	}
	var b bytes.Buffer
	if json.Compact(&b, []byte(text)) != nil || b.Len() == 0 || b.Bytes()[0] != '{' {
		return nil, false
	}
	return b.Bytes(), true
}

// halfCharacter reports, of valid JSON, an escape like \ud800 without its other half. Parsers differ on it:
// one such row keeps the datasets package from reading a whole file.
func halfCharacter(text json.RawMessage) bool {
	if !bytes.Contains(bytes.ToLower(text), []byte(`\ud`)) {
		return false
	}
	for rest := text; len(rest) > 0; {
		at := bytes.IndexByte(rest, '\\')
		if at < 0 {
			return false
		}
		rest = rest[at:]
		if rest[1] != 'u' {
			rest = rest[2:]
			continue
		}
		r := codeUnit(rest)
		rest = rest[6:]
		if utf16.IsSurrogate(r) {
			if rest[0] != '\\' || rest[1] != 'u' || utf16.DecodeRune(r, codeUnit(rest)) == unicode.ReplacementChar {
				return true
			}
			rest = rest[6:]
		}
	}
	return false
}

// codeUnit is the number of an escape \uXXXX at the start of valid JSON.
func codeUnit(text json.RawMessage) rune {
	n, _ := strconv.ParseUint(string(text[2:6]), 16, 16)
	return rune(n)
}

// digest tells conversations apart by what is said, and not by ids.
func (c *conversation) digest() [sha256.Size]byte {
	h := sha256.New()
	for _, m := range c.chat {
		fmt.Fprintf(h, "%s %q %q\n", m.Role, m.Content, m.Reasoning)
		for _, call := range m.ToolCalls {
			args := call.Function.Arguments
			if compact, ok := object(args); ok {
				args = string(compact)
			}
			fmt.Fprintf(h, " %q %q\n", call.Function.Name, args)
		}
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// text is what is compared when near copies are looked for: what user and assistant said and
// called. Prompts of the system and answers of tools follow from others, and would make
// conversations of one arena alike.
func (c *conversation) text() string {
	var b strings.Builder
	for _, m := range c.chat {
		if m.Role == "user" || m.Role == "assistant" {
			b.WriteString(m.Content + "\n")
		}
		for _, call := range m.ToolCalls {
			b.WriteString(call.Function.Name + " " + call.Function.Arguments + "\n")
		}
	}
	return b.String()
}

// calls is how many tool calls there are.
func (c *conversation) calls() int {
	n := 0
	for _, m := range c.chat {
		n += len(m.ToolCalls)
	}
	return n
}

// toolOf names the tool that a tool message answers for.
func (c *conversation) toolOf(at int) string {
	for i := at - 1; i >= 0; i-- {
		for _, call := range c.chat[i].ToolCalls {
			if call.ID == c.chat[at].ToolCallID {
				return call.Function.Name
			}
		}
	}
	return ""
}

// ordered is the results of the message at, in the order of its calls: harnesses may have
// them in any order, and formats without ids pair by position.
func (c *conversation) ordered(at int) []string {
	var all []string
	for _, call := range c.chat[at].ToolCalls {
		for j := at + 1; j < len(c.chat) && c.chat[j].Role == "tool"; j++ {
			if c.chat[j].ToolCallID == call.ID {
				all = append(all, c.chat[j].Content)
				break
			}
		}
	}
	return all
}

// mean is the mean of the scores, nil if there are none.
func mean(of *astra.TrajectoryOf) *float64 {
	if v, ok := of.Scores["mean"]; ok {
		return &v
	}
	return nil
}
