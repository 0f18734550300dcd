package nemogym

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/astra-arenas/astra/httpapi/harness"
)

// A response is what is read of a Responses API object: what the model said and called, in
// order, and in a finished rollout what came back.
type response struct {
	Output []item `json:"output"`
}

// An item is one output of a response; which members it has depends on its type.
type item struct {
	Type      string  `json:"type"` // function_call, message, …; "" is a message, as a harness puts users' into a rollout
	Role      string  `json:"role"`
	Content   content `json:"content"`
	Name      string  `json:"name"`
	Arguments string  `json:"arguments"`
	CallID    string  `json:"call_id"`
}

// A content is a message's text: of a string, or of all its parts that are output_text.
type content string

func (c *content) UnmarshalJSON(raw []byte) error {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		*c = content(text)
		return nil
	}
	var parts []struct {
		Type string `json:"type"`
		Text string `json:"text"`
	}
	if json.Unmarshal(raw, &parts) != nil {
		return nil // reasoning has contents of other forms, which say nothing to us
	}
	var b strings.Builder
	for _, p := range parts {
		if p.Type == "output_text" || p.Type == "input_text" {
			b.WriteString(p.Text)
		}
	}
	*c = content(b.String())
	return nil
}

// maxItems bounds the outputs of a rollout; budgets of calls are far below.
const maxItems = 10_000

// readResponse reads the member response of a body.
func readResponse(raw json.RawMessage) (*response, error) {
	var r response
	if len(raw) == 0 {
		return nil, harness.Refuse(http.StatusUnprocessableEntity, "the body has no response")
	}
	if err := json.Unmarshal(raw, &r); err != nil {
		return nil, harness.Refuse(http.StatusUnprocessableEntity, "response is no object of the Responses API: %.200s", err)
	}
	if len(r.Output) > maxItems {
		return nil, harness.Refuse(http.StatusUnprocessableEntity, "the response has %d outputs; at most %d are read", len(r.Output), maxItems)
	}
	return &r, nil
}

func (i *item) message(role string) bool {
	return (i.Type == "message" || i.Type == "") && i.Role == role
}

// calls are the function calls, in order.
func (r *response) calls() []item {
	var calls []item
	for _, i := range r.Output {
		if i.Type == "function_call" {
			calls = append(calls, i)
		}
	}
	return calls
}

// answer is the text of the last assistant message, nil if there is none.
func (r *response) answer() *string {
	for n := len(r.Output) - 1; n >= 0; n-- {
		if i := &r.Output[n]; i.message("assistant") {
			text := harness.Clip(string(i.Content))
			return &text
		}
	}
	return nil
}

// made are the call_ids of calls that have an output.
func (r *response) made() map[string]bool {
	made := map[string]bool{}
	for n := range r.Output {
		if i := &r.Output[n]; i.Type == "function_call_output" {
			made[i.CallID] = true
		}
	}
	return made
}

// sent reports whether an agent of NeMo Gym's sends a call: arguments that its Python does not
// read it answers itself.
func (i *item) sent() bool {
	return json.Valid(harness.FromPython([]byte(i.Arguments)))
}
