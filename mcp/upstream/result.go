package upstream

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/astra-arenas/astra"
)

// readResult makes a result of what tools/call was answered with: the structured content,
// else the single text, else the list of contents. An error says why it is no answer.
func readResult(raw json.RawMessage, limits astra.Limits, clean func(string) string) (astra.Result, error) {
	var a struct {
		Content           []json.RawMessage
		StructuredContent json.RawMessage
		IsError           bool
		ResultType        string
	}
	if err := json.Unmarshal(raw, &a); err != nil {
		return astra.Result{}, fmt.Errorf("its answer is no tool's result: %w", err)
	}
	texts, only := textsOf(a.Content)
	switch {
	case a.ResultType == "input_required":
		return astra.Failed(astra.FaultTool, "the tool asks for input that nobody here can give"), nil
	case a.IsError:
		return failed(clean(strings.Join(texts, "\n")), limits), nil
	case a.Content == nil && a.StructuredContent == nil:
		return astra.Result{}, errors.New("its answer has no content")
	}
	value := a.StructuredContent
	// Some servers write null for nothing.
	if value == nil || string(value) == "null" && len(a.Content) > 0 && !(only && texts[0] == "null") {
		var err error
		if value, err = contentOf(a.Content, texts, only); err != nil {
			return astra.Result{}, err
		}
	}
	return valueOf(value, limits, clean)
}

// textsOf are the texts among contents; only is true where there is one and nothing else.
func textsOf(content []json.RawMessage) (texts []string, only bool) {
	for _, raw := range content {
		var c struct{ Type, Text string }
		if json.Unmarshal(raw, &c) == nil && c.Type == "text" {
			texts = append(texts, c.Text)
		}
	}
	return texts, len(content) == 1 && len(texts) == 1
}

func contentOf(content []json.RawMessage, texts []string, only bool) (json.RawMessage, error) {
	if only {
		return json.Marshal(texts[0])
	}
	if content == nil {
		content = []json.RawMessage{}
	}
	return json.Marshal(content)
}

// valueOf holds a value to the arena's limits.
func valueOf(raw json.RawMessage, limits astra.Limits, clean func(string) string) (astra.Result, error) {
	value, err := rewrite(raw, limits.Depth, clean)
	switch {
	case errors.Is(err, errTooDeep):
		return astra.Failed(astra.FaultTool, fmt.Sprintf("the result is nested more than %d deep", limits.Depth)), nil
	case err != nil:
		return astra.Result{}, fmt.Errorf("its answer cannot be read: %w", err)
	case int64(len(value)) > limits.Result:
		return tooLarge(limits), nil
	}
	return astra.Result{Value: value}, nil
}

// tooLarge says nothing of how large: what is cut off while it arrives has no size.
func tooLarge(limits astra.Limits) astra.Result {
	return astra.Failed(astra.FaultTool, fmt.Sprintf("the result has more than %d bytes, which is all that this arena takes; ask for less", limits.Result))
}

func failed(text string, limits astra.Limits) astra.Result {
	if strings.TrimSpace(text) == "" {
		text = "the tool failed and does not say why"
	}
	return astra.Failed(astra.FaultTool, clip(text, int(limits.Result)))
}

func clip(s string, most int) string {
	if len(s) > most {
		s = s[:most]
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}
