package mcp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/astra-arenas/astra"
	protocol "github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

// idempotencyKey is the field of a call's _meta that makes repeating it safe.
const idempotencyKey = "dev.astra/idempotencyKey"

// newAgentDoor builds the server for agents in episodes of an arena. It knows the arena's
// tools; what an agent sees and may call is what is in view in its episode.
func (s *Server) newAgentDoor(a astra.PublicArena) (*door, error) {
	hooks := new(server.Hooks)
	s.listen(hooks)
	m := server.NewMCPServer("astra/"+a.Name, s.opts.Version,
		server.WithTitle(orName(a.Title, a.Name)),
		server.WithInstructions(agentInstructions(a)),
		server.WithToolCapabilities(true),
		server.WithPromptCapabilities(false),
		server.WithResourceCapabilities(false, false),
		server.WithToolFilter(s.filter),
		server.WithHooks(hooks))
	own := map[string]bool{}
	for _, t := range a.Tools {
		m.AddTool(registered(t), s.callTool)
		own[t.Name] = true
	}
	hooks.AddBeforeCallTool(noteCall)
	hooks.AddOnError(s.unknownTool)
	s.addEpisodePrompt(m)
	s.addEpisodeResource(m)
	d := s.newDoor(m)
	d.direct, d.meta = s.callDirect(own), serverMeta("astra/"+a.Name, s.opts.Version, orName(a.Title, a.Name))
	return d, nil
}

// filter is the one filter that both list and call obey.
func (s *Server) filter(ctx context.Context, candidates []protocol.Tool) []protocol.Tool {
	q := requestFrom(ctx)
	if q.calling == "" {
		return s.listTools(ctx, q.episode)
	}
	in, err := s.inView(ctx, q.episode, q.calling)
	if err != nil {
		s.log.ErrorContext(ctx, "no view", "episode", q.episode, "error", err)
	}
	if !in {
		return nil
	}
	return candidates
}

func (s *Server) listTools(ctx context.Context, id astra.EpisodeID) []protocol.Tool {
	view, err := s.episodes.Tools(ctx, id)
	if err != nil {
		s.log.ErrorContext(ctx, "no view", "episode", id, "error", err)
	}
	modern := isModern(ctx)
	tools := make([]protocol.Tool, len(view))
	for i, t := range view {
		tools[i] = present(t, modern)
	}
	return tools
}

// noteCall tells filter what is called.
func noteCall(ctx context.Context, _ any, r *protocol.CallToolRequest) {
	requestFrom(ctx).calling = r.Params.Name
}

// unknownTool answers a call of a tool that the library does not know, or knows to be out
// of view. A distractor is another arena's tool; it is not registered, as the library would
// tell all agents of the arena. Any other is a failed step, which the gateway records,
// though the client is answered by the protocol's own error. That says what the log says,
// or a harness's transcript would not agree with it. Arguments that only the library cannot
// read, as a number in them is beyond float64, are a failed step like other bad ones.
func (s *Server) unknownTool(ctx context.Context, _ any, method protocol.MCPMethod, message any, err error) {
	r, ok := message.(*protocol.CallToolRequest)
	if !ok || method != protocol.MethodToolsCall || !errors.Is(err, server.ErrToolNotFound) && !argumentsUnread(r, err) {
		return
	}
	q := requestFrom(ctx)
	t, in := s.toolInView(ctx, q.episode, r.Params.Name)
	if err := headersAgree(ctx, t, r); err != nil {
		q.instead = &rpcError{status: http.StatusBadRequest, Code: protocol.HEADER_MISMATCH, Message: err.Error()}
		return
	}
	result := s.answer(ctx, *r)
	if in || !result.IsError { // or it has just come into view
		q.instead = q.door.directReply(result, isModern(ctx))
		return
	}
	fail := &rpcError{status: http.StatusOK, Code: protocol.INVALID_PARAMS, Message: textOf(result)}
	if isModern(ctx) {
		fail.status = http.StatusBadRequest
	}
	q.instead = fail
}

// argumentsUnread reports whether the library could read all of a call but its arguments,
// which it then has as they came.
func argumentsUnread(r *protocol.CallToolRequest, err error) bool {
	_, unparsable := errors.AsType[*server.UnparsableMessageError](err)
	return unparsable && r.Params.RawArguments != nil
}

func (s *Server) toolInView(ctx context.Context, id astra.EpisodeID, name string) (astra.PublicTool, bool) {
	view, err := s.episodes.Tools(ctx, id)
	if err != nil {
		s.log.ErrorContext(ctx, "no view", "episode", id, "error", err)
	}
	i := slices.IndexFunc(view, func(t astra.PublicTool) bool { return t.Name == name })
	if i < 0 {
		return astra.PublicTool{}, false
	}
	return view[i], true
}

// headersAgree holds a call to its Mcp-Param headers, as the library does for the tools
// that it knows.
func headersAgree(ctx context.Context, t astra.PublicTool, r *protocol.CallToolRequest) error {
	q := requestFrom(ctx)
	if !isModern(ctx) || q.header == nil || !bytes.Contains(t.Input, paramHeader) {
		return nil
	}
	params, err := json.Marshal(map[string]json.RawMessage{"arguments": r.Params.RawArguments})
	if err != nil {
		return err
	}
	known := registered(t)
	return protocol.ValidateParamHeadersLookup(func(name string) (string, bool) {
		return q.header.Get(name), len(q.header.Values(name)) > 0
	}, &known, params)
}

// callTool is the handler of every tool of an arena, for agents.
func (s *Server) callTool(ctx context.Context, r protocol.CallToolRequest) (*protocol.CallToolResult, error) {
	return s.answer(ctx, r), nil
}

func (s *Server) answer(ctx context.Context, r protocol.CallToolRequest) *protocol.CallToolResult {
	c, err := callOf(r)
	if err != nil {
		return failed(err.Error())
	}
	return s.call(ctx, requestFrom(ctx).episode, c)
}

func (s *Server) call(ctx context.Context, id astra.EpisodeID, c astra.Call) *protocol.CallToolResult {
	step, err := s.episodes.Call(ctx, id, c)
	if err != nil {
		return s.toolError(err)
	}
	return stepResult(ctx, step)
}

// callOf reads a call as the agent sent it: arguments keep their bytes.
func callOf(r protocol.CallToolRequest) (astra.Call, error) {
	c := astra.Call{Tool: r.Params.Name, Args: r.Params.RawArguments}
	if r.Params.Meta == nil {
		return c, nil
	}
	key, given := r.Params.Meta.AdditionalFields[idempotencyKey]
	if !given {
		return c, nil
	}
	text, ok := key.(string)
	if !ok || text == "" || len(text) > maxKey {
		return c, fmt.Errorf("_meta %s must be a string of 1 to %d bytes", idempotencyKey, maxKey)
	}
	c.Key = text
	return c, nil
}
