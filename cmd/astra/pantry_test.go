package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

// pantry is a small MCP server for stories: what is put in is there for as long as it runs.
func pantry() {
	counts := map[string]int{}
	s := server.NewMCPServer("pantry", "1", server.WithToolCapabilities(false))
	thing := json.RawMessage(`{"$schema":"http://json-schema.org/draft-07/schema#","type":"object","properties":{"thing":{"type":"string","enum":["tea","milk"]}},"required":["thing"]}`)
	s.AddTool(mcp.NewToolWithRawSchema("put-in", "Puts a thing in and says how many there are.", thing), func(_ context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		name := r.GetString("thing", "")
		counts[name]++
		result := mcp.NewToolResultText("")
		result.RawStructuredContent = fmt.Appendf(nil, `{"thing":%q,"count":%d}`, name, counts[name])
		return result, nil
	})
	s.AddTool(mcp.NewToolWithRawSchema("whose", "Says whose pantry it is.", json.RawMessage(`{"type":"object"}`)), func(context.Context, mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		return mcp.NewToolResultText("of who has " + os.Getenv("TOKEN")), nil
	})
	odd := json.RawMessage(`{"type":"object","properties":{"no-name":{}}}`)
	s.AddTool(mcp.NewToolWithRawSchema("odd", "Wants an argument that is no identifier.", odd), nil)
	if err := server.ServeStdio(s); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
