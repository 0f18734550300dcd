package mcp

import (
	"context"
	"encoding/json"

	"github.com/astra-arenas/astra"
	protocol "github.com/mark3labs/mcp-go/mcp"
)

func failed(text string) *protocol.CallToolResult {
	return &protocol.CallToolResult{Content: []protocol.Content{protocol.NewTextContent(text)}, IsError: true}
}

// textOf is the text of a result of ours, which has one content.
func textOf(r *protocol.CallToolResult) string {
	text, _ := r.Content[0].(protocol.TextContent)
	return text.Text
}

// stepResult is a step as the agent sees it: its value as text and as structured content.
func stepResult(ctx context.Context, step astra.Step) *protocol.CallToolResult {
	if !step.Result.OK() {
		return failed(step.Result.Error)
	}
	return valueResult(ctx, step.Result.Value)
}

// valueResult shows a JSON value: a string as it is, anything else as compact JSON. Where
// the era wants an object as structured content, another value is wrapped.
func valueResult(ctx context.Context, value json.RawMessage) *protocol.CallToolResult {
	if len(value) == 0 {
		value = json.RawMessage("null")
	}
	text := string(value)
	if value[0] == '"' {
		_ = json.Unmarshal(value, &text) // the gateway made it JSON
	}
	if value[0] != '{' && !isModern(ctx) {
		value = json.RawMessage(`{"result":` + string(value) + `}`)
	}
	return &protocol.CallToolResult{Content: []protocol.Content{protocol.NewTextContent(text)}, RawStructuredContent: value}
}

// objectResult shows what a tool of ours returns.
func objectResult(ctx context.Context, v any) (*protocol.CallToolResult, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return valueResult(ctx, b), nil
}
