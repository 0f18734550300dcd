// Package mcp is how agents and explorers come in: Streamable HTTP and stdio, the
// session era of MCP and the one without sessions on one endpoint.
//
// Each arena has one MCP server per kind of caller, built on first use and kept in a
// bounded cache; never one per episode. A request goes through
//
//	recovery → Origin → Host → who is it → body limit → session → MCP server → episodes
//
// in one handler chain, which the official conformance suite is run against too. There, a
// plain tools/call of the era without sessions skips the library's transport (thin.go), and
// notifications are written by us, not by the library (reply.go).
//
// What binds a request to its episode is, for agents, the key in the URL or the bearer
// token. For explorers it is the argument episode_id, else the legacy session or the stdio
// process, which mean the episode they opened last.
//
// # Choices where the protocol leaves one
//
// A tool that is unknown or out of view is answered with -32602, the same for both, and
// reaches the gateway, which records a failed step. Everything else that a model can do
// wrong is a tool execution error, which it can read. Faults that are not the agent's are
// tool execution errors as well, and say so.
package mcp
