package recorder

import (
	"encoding/json"
	"strings"
	"testing"
)

// A server that is stopped for new weights says so in place of an end. What it broke off is not
// the policy's answer.
func TestBrokenOff(t *testing.T) {
	for _, finish := range []string{"abort", "error"} {
		var whole, chunk object
		must(t, json.Unmarshal([]byte(`{"choices":[{"index":0,"finish_reason":"`+finish+`","message":{"content":"x"}}]}`), &whole))
		must(t, json.Unmarshal([]byte(`{"choices":[{"index":0,"finish_reason":"`+finish+`","delta":{}}]}`), &chunk))
		err := chat{}.whole(whole, extra{}, &Completion{})
		if _, streamed := (chat{}).event(chunk, extra{}, &Completion{}); err == nil || streamed == nil || !strings.Contains(err.Error(), "broke the completion off") {
			t.Errorf("%s: %v, streamed %v", finish, err, streamed)
		}
	}
}

// vLLM tells no tokens of a completion whose reasoning is not wanted.
func TestReasoningIsAskedFor(t *testing.T) {
	var req object
	must(t, json.Unmarshal([]byte(`{"messages":[],"include_reasoning":false}`), &req))
	if err := (chat{}).check(req, nil); err != nil || req.has("include_reasoning") {
		t.Errorf("%s, %v", req.bytes(), err)
	}
}
