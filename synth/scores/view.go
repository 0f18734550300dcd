package scores

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/synth/ask"
)

// A view is a conversation taken apart. Numbers of messages count from 1, without the
// system's.
type view struct {
	in     *Input
	chat   []astra.ChatMessage // τ∖m_0
	calls  []call
	rounds []int // messages, by index in chat, that have calls
	tools  map[string]bool
}

// A call is one tool call, and its result.
type call struct {
	round  int // index in chat
	tool   string
	args   string // canonical; "" if they are no object
	result string
	step   *Step // nil: there is no log
}

// unfit reports a call that no tool could take, or that came beyond the budget.
func (c *call) unfit() bool {
	return c.args == "" || c.step != nil && c.step.Fault == astra.FaultAgent
}

func newView(in *Input) *view {
	v := &view{in: in, chat: in.Chat, tools: map[string]bool{}}
	for len(v.chat) > 0 && v.chat[0].Role == "system" {
		v.chat = v.chat[1:]
	}
	for _, t := range in.Tools {
		v.tools[t.Function.Name] = true
	}
	for i, m := range v.chat {
		if len(m.ToolCalls) > 0 {
			v.rounds = append(v.rounds, i)
		}
		for _, c := range m.ToolCalls {
			v.calls = append(v.calls, call{round: i, tool: c.Function.Name, args: canonical(c.Function.Arguments), result: v.resultOf(i, c.ID)})
		}
	}
	for i := range v.calls {
		if len(in.Steps) == len(v.calls) {
			v.calls[i].step = &in.Steps[i]
		}
	}
	return v
}

// resultOf is what a call of message i brought: ids are unique among the calls of a message.
func (v *view) resultOf(i int, id string) string {
	for _, m := range v.chat[i+1:] {
		if m.Role != "tool" {
			break
		}
		if m.ToolCallID == id {
			return m.Content
		}
	}
	return ""
}

// first is the index of the first assistant message; -1 if there is none.
func (v *view) first() int {
	return slices.IndexFunc(v.chat, func(m astra.ChatMessage) bool { return m.Role == "assistant" })
}

// silent reports a message with neither text nor calls.
func (v *view) silent(at int) bool {
	return strings.TrimSpace(v.chat[at].Content) == "" && len(v.chat[at].ToolCalls) == 0
}

// lastAnswer is the message that the conversation ends with, if that is an answer.
func (v *view) lastAnswer() (text string, ok bool) {
	if len(v.chat) == 0 {
		return "", false
	}
	m := v.chat[len(v.chat)-1]
	text = strings.TrimSpace(m.Content)
	return text, m.Role == "assistant" && len(m.ToolCalls) == 0 && text != "" && !strings.HasPrefix(text, "[ERROR")
}

// said is all that the user said.
func (v *view) said() (all []string) {
	for _, m := range v.chat {
		if m.Role == "user" {
			all = append(all, m.Content)
		}
	}
	return all
}

// canonical is a JSON object with its keys in order; "" for what is none.
func canonical(args string) string {
	if strings.TrimSpace(args) == "" {
		return "{}"
	}
	var object map[string]any
	d := json.NewDecoder(strings.NewReader(args))
	d.UseNumber()
	if !json.Valid([]byte(args)) || d.Decode(&object) != nil || object == nil {
		return ""
	}
	b, err := json.Marshal(object)
	if err != nil {
		return ""
	}
	return string(b)
}

// What a document shows of a conversation: some 25,000 tokens, which any model can read.
const (
	mostOfAll  = 96 << 10 // bytes of all texts
	mostOfTool = 600      // bytes of a description
	mostOfName = 128      // bytes: an agent may call anything
)

// room is how long each text may be so that all find room: the long ones are cut to one
// length, the short ones are not.
func room(texts []string) int {
	lengths := make([]int, len(texts))
	for i, t := range texts {
		lengths[i] = len(t)
	}
	slices.Sort(lengths)
	left := mostOfAll
	for i, n := range lengths {
		if each := left / (len(lengths) - i); n > each {
			return each
		}
		left -= n
	}
	return mostOfAll
}

// A shown message is one as the model is shown it.
type shown struct {
	Number int         `json:"number"`
	Role   string      `json:"role"`
	Text   string      `json:"text,omitempty"`
	Calls  []shownCall `json:"calls,omitempty"`
	Of     int         `json:"result_of,omitempty"` // the call, of a tool's message
}

type shownCall struct {
	Call int    `json:"call"` // in the whole conversation, from 1
	Tool string `json:"tool"`
	Args string `json:"arguments"`
}

// show is the messages before an index, each clipped so that all find room.
func (v *view) show(before int) []shown {
	var texts []string
	for _, m := range v.chat[:before] {
		texts = append(texts, m.Content)
		for _, c := range m.ToolCalls {
			texts = append(texts, c.Function.Arguments)
		}
	}
	most := room(texts)
	all, call := make([]shown, 0, before), 0
	ids := map[string]int{}
	for i, m := range v.chat[:before] {
		s := shown{Number: i + 1, Role: m.Role, Text: ask.Clip(m.Content, most)}
		if m.Role == "tool" {
			s.Of = ids[m.ToolCallID]
		}
		for _, c := range m.ToolCalls {
			call++
			ids[c.ID] = call
			s.Calls = append(s.Calls, shownCall{call, ask.Clip(c.Function.Name, mostOfName), ask.Clip(c.Function.Arguments, most)})
		}
		all = append(all, s)
	}
	return all
}

type shownTool struct {
	Name        string `json:"name"`
	Description string `json:"description"`
}

func (v *view) showTools() []shownTool {
	all := make([]shownTool, 0, len(v.in.Tools))
	for _, t := range v.in.Tools {
		all = append(all, shownTool{t.Function.Name, ask.Clip(t.Function.Description, min(mostOfTool, mostOfAll/max(len(v.in.Tools), 1)))})
	}
	return all
}
