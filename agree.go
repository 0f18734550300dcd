package astra

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A Disagreement says where submitted messages and the log part; it is an ErrDisagrees.
type Disagreement struct {
	Message int // index in the list, from 0; the list's length if something is missing at its end
	Reason  string
}

func (d *Disagreement) Error() string {
	return fmt.Sprintf("message %d: %v: %s", d.Message, ErrDisagrees, d.Reason)
}

// Unwrap makes it an ErrDisagrees.
func (d *Disagreement) Unwrap() error { return ErrDisagrees }

// Agree holds the OpenAI chat messages of a harness against the log, call by call: each
// call has its tool message, and the calls are the episode's steps in order, with the
// same tool, equal arguments (where the log kept them) and the text that the agent got.
// Calls of one assistant message may have run in any order. Two kinds of calls need be no
// steps: those whose arguments are no JSON, which a harness may not have been able to send,
// and at the end as many as were refused for the budget. What the messages say besides is
// the harness's own.
// The error is a *Disagreement.
func Agree(ep *Episode, messages json.RawMessage) error {
	list, err := readChat(messages)
	if err != nil {
		return err
	}
	a := agreement{steps: ep.Steps, refused: ep.Refused}
	for i := 0; i < len(list); i++ {
		if list[i].role == "tool" {
			return &Disagreement{i, "a tool message that answers no call of the assistant message before it"}
		}
		results := resultsOf(list[i+1:])
		if len(list[i].calls) == 0 {
			continue
		}
		if err := a.round(i, list[i].calls, results); err != nil {
			return err
		}
		i += len(results)
	}
	if a.next < len(a.steps) {
		s := a.steps[a.next]
		return &Disagreement{len(list), fmt.Sprintf("step %d of the log, a call of %s, is missing", s.Index, s.Tool)}
	}
	return nil
}

// agreement walks the steps while Agree walks the messages.
type agreement struct {
	steps   []Step
	next    int // steps before it have been found in the messages
	refused int // calls that may still be no step
}

// round holds one assistant message and its tool messages to the next steps of the log.
func (a *agreement) round(at int, calls []chatCall, results []chatMessage) error {
	answers, err := pair(at, calls, results)
	if err != nil {
		return err
	}
	window := a.window(calls)
	for i, c := range calls {
		found := findStep(window, c, answers[i].text)
		switch {
		case found >= 0:
			window = append(window[:found], window[found+1:]...)
			a.next++
		case c.args == "": // was never sent
		case len(window) > 0:
			return explain(at, c, answers[i], window)
		case a.refused == 0:
			return &Disagreement{at, fmt.Sprintf("call %q of %s is not in the log", c.id, c.tool)}
		default:
			a.refused--
		}
	}
	return nil
}

// window returns a copy of the next steps: as many as there are calls that were sent.
func (a *agreement) window(calls []chatCall) []Step {
	next := a.steps[a.next:min(a.next+len(calls), len(a.steps))]
	n, unread := 0, 0
	for _, c := range calls {
		if c.args != "" {
			n++
		}
	}
	for _, s := range next {
		if argsLost(s) {
			unread++
		}
	}
	n += min(unread, len(calls)-n)
	return append([]Step(nil), next[:min(n, len(next))]...)
}

// argsLost reports a step whose arguments were too large or no object: the log has null.
func argsLost(s Step) bool { return string(s.Args) == "null" && s.Result.Fault == FaultAgent }

// explain says what is wrong with a call that is none of the steps, beside the step that
// comes nearest.
func explain(at int, c chatCall, answer chatMessage, window []Step) error {
	for _, s := range window {
		if s.Tool == c.tool && canonical(s.Args) == c.args {
			return &Disagreement{answer.index, fmt.Sprintf("the content is not what step %d returned", s.Index)}
		}
	}
	for _, s := range window {
		if s.Tool == c.tool {
			return &Disagreement{at, fmt.Sprintf("the arguments of call %q are not those of step %d", c.id, s.Index)}
		}
	}
	return &Disagreement{at, fmt.Sprintf("call %q is of %s, but step %d called %s", c.id, c.tool, window[0].Index, window[0].Tool)}
}

func findStep(steps []Step, c chatCall, text string) int {
	for i := range steps {
		if steps[i].Tool == c.tool && steps[i].Result.Text() == text && (argsLost(steps[i]) || canonical(steps[i].Args) == c.args) {
			return i
		}
	}
	return -1
}

// pair finds each call's tool message; every one must be used, once.
func pair(at int, calls []chatCall, results []chatMessage) ([]chatMessage, error) {
	byID := make(map[string]chatMessage, len(results))
	for _, r := range results {
		if _, twice := byID[r.answers]; twice {
			return nil, &Disagreement{r.index, fmt.Sprintf("call %q is answered twice", r.answers)}
		}
		byID[r.answers] = r
	}
	answers := make([]chatMessage, len(calls))
	for i, c := range calls {
		r, ok := byID[c.id]
		if !ok {
			return nil, &Disagreement{at, fmt.Sprintf("call %q has no tool message of its own after it", c.id)}
		}
		delete(byID, c.id)
		answers[i] = r
	}
	for _, r := range results {
		if _, left := byID[r.answers]; left {
			return nil, &Disagreement{r.index, fmt.Sprintf("tool_call_id %q is of no call in the message before", r.answers)}
		}
	}
	return answers, nil
}

// A chatMessage is what agreement needs of a message.
type chatMessage struct {
	index   int
	role    string
	text    string // of a tool message
	answers string // tool_call_id of a tool message
	calls   []chatCall
}

type chatCall struct {
	id, tool string
	args     string // canonical; "" if they are no JSON
	text     string // as JSON text, as it was written
}

func resultsOf(after []chatMessage) []chatMessage {
	for i, m := range after {
		if m.role != "tool" {
			return after[:i]
		}
	}
	return after
}

// readChat reads messages member by member, because decoding into a struct would also
// take "Tool_Calls", which a trainer does not read as tool_calls.
func readChat(raw json.RawMessage) ([]chatMessage, error) {
	if !utf8.Valid(raw) { // decoding would change the text of strings, and leave that of arguments
		return nil, &Disagreement{0, fmt.Sprintf("messages are UTF-8, and are none at byte %d of the list", invalidAt(raw)+1)}
	}
	var list []map[string]json.RawMessage
	if err := json.Unmarshal(raw, &list); err != nil || list == nil {
		return nil, &Disagreement{0, "messages are a list of chat messages (objects with role and content)"}
	}
	out := make([]chatMessage, len(list))
	for i, m := range list {
		msg, problem := readMessage(m)
		if problem != "" {
			return nil, &Disagreement{i, problem}
		}
		msg.index = i
		out[i] = msg
	}
	return out, nil
}

func readMessage(m map[string]json.RawMessage) (msg chatMessage, problem string) {
	if msg.role = stringOf(m["role"]); !chatRoles[msg.role] {
		return msg, "the role must be system, developer, user, assistant or tool"
	}
	if _, legacy := m["function_call"]; legacy {
		return msg, "function_call is not read: use tool_calls"
	}
	if msg.role == "tool" {
		msg.answers = stringOf(m["tool_call_id"])
		var ok bool
		if msg.text, ok = contentText(m["content"]); !ok {
			return msg, "the content of a tool message must be text, or a list of text parts"
		}
		return msg, ""
	}
	if calls := m["tool_calls"]; len(calls) > 0 && string(calls) != "null" {
		if msg.role != "assistant" {
			return msg, "only an assistant calls tools"
		}
		msg.calls, problem = readCalls(calls)
	}
	return msg, problem
}

var chatRoles = map[string]bool{"system": true, "developer": true, "user": true, "assistant": true, "tool": true}

func readCalls(raw json.RawMessage) (calls []chatCall, problem string) {
	var list []map[string]json.RawMessage
	if json.Unmarshal(raw, &list) != nil {
		return nil, "tool_calls must be a list of objects"
	}
	seen := make(map[string]bool, len(list))
	for _, m := range list {
		var f map[string]json.RawMessage
		id := stringOf(m["id"])
		if json.Unmarshal(m["function"], &f) != nil || id == "" || seen[id] {
			return nil, "each of tool_calls needs an id of its own and a function {name, arguments}"
		}
		seen[id] = true
		calls = append(calls, chatCall{id: id, tool: stringOf(f["name"]), args: callArguments(f["arguments"]), text: argumentText(f["arguments"])})
	}
	return calls, ""
}

// argumentText is arguments as JSON text, as they were written.
func argumentText(raw json.RawMessage) string {
	if len(raw) > 0 && raw[0] == '"' {
		return stringOf(raw)
	}
	var b bytes.Buffer
	if json.Compact(&b, raw) != nil {
		return string(raw)
	}
	return b.String()
}

// callArguments reads arguments as JSON text, which is OpenAI's form, or as an object,
// which is TRL's. Models write no arguments as "".
func callArguments(raw json.RawMessage) string {
	if len(raw) == 0 || raw[0] != '"' {
		return canonical(raw)
	}
	text := strings.TrimSpace(stringOf(raw))
	if text == "" {
		text = "{}"
	}
	return canonical(json.RawMessage(text))
}

// contentText is a message's content as text: a string, or text parts put together.
func contentText(raw json.RawMessage) (string, bool) {
	if len(raw) > 0 && raw[0] == '[' {
		var parts []map[string]json.RawMessage
		if json.Unmarshal(raw, &parts) != nil {
			return "", false
		}
		var b strings.Builder
		for _, p := range parts {
			if stringOf(p["type"]) != "text" {
				return "", false
			}
			b.WriteString(stringOf(p["text"]))
		}
		return b.String(), true
	}
	var s *string
	if json.Unmarshal(raw, &s) != nil {
		return "", false
	}
	if s == nil {
		return "", true
	}
	return *s, true
}

// stringOf returns a JSON string's text, "" for anything else.
func stringOf(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}

// canonical writes JSON so that equal values have equal text: members by name, numbers by
// value, no space. It is "" for what is no JSON.
func canonical(raw json.RawMessage) string {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if !json.Valid(raw) || d.Decode(&v) != nil {
		return ""
	}
	b, err := json.Marshal(canonicalNumbers(v))
	if err != nil {
		return ""
	}
	return string(b)
}

func canonicalNumbers(v any) any {
	switch v := v.(type) {
	case json.Number:
		return canonicalNumber(v)
	case []any:
		for i := range v {
			v[i] = canonicalNumbers(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = canonicalNumbers(v[k])
		}
	}
	return v
}

// canonicalNumber writes 1.0 and 1e0 as 1. Whole numbers keep every digit.
func canonicalNumber(n json.Number) json.Number {
	s := n.String()
	if !strings.ContainsAny(s, ".eE") {
		if s == "-0" {
			return "0"
		}
		return n
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return n // beyond float64: equal only to itself
	}
	if f == 0 {
		return "0"
	}
	if whole := int64(f); whole > -1<<53 && whole < 1<<53 && float64(whole) == f {
		return json.Number(strconv.FormatInt(whole, 10))
	}
	return json.Number(strconv.FormatFloat(f, 'g', -1, 64))
}
