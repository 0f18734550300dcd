package mcp

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	protocol "github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

// The fixtures are what the conformance suite expects a server under test to offer. They
// stand behind the chain that serves arenas, made by the same constructor.

const (
	onePixel   = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=="
	noSound    = "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA="
	anyObject  = `{"type":"object","properties":{}}`
	jsonSchema = `{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object",
		"$defs":{"address":{"$anchor":"addressDef","type":"object","properties":{"street":{"type":"string"},"city":{"type":"string"}}}},
		"properties":{"name":{"type":"string"},"address":{"$ref":"#/$defs/address"},"contactMethod":{"type":"string","enum":["phone","email"]},"phone":{"type":"string"},"email":{"type":"string"}},
		"allOf":[{"anyOf":[{"required":["phone"]},{"required":["email"]}]}],
		"if":{"properties":{"contactMethod":{"const":"phone"}},"required":["contactMethod"]},"then":{"required":["phone"]},"else":{"required":["email"]},
		"additionalProperties":false}`
)

// newFixtures starts the suite's server and returns its URL.
func newFixtures(t *testing.T, s *Server) http.Handler {
	t.Helper()
	f := &fixtures{}
	f.m = server.NewMCPServer("astra-conformance", "1",
		server.WithTitle("Conformance"), server.WithInstructions("The fixtures of the conformance suite."),
		server.WithToolCapabilities(true), server.WithResourceCapabilities(true, true), server.WithPromptCapabilities(true),
		server.WithCompletions(), server.WithPromptCompletionProvider(f), server.WithLogging(), server.WithElicitation())
	f.m.EnableSampling()
	f.contentTools()
	f.notifyingTools()
	f.askingTools()
	f.roundTripTools()
	f.resources()
	f.prompts()
	d := s.newDoor(f.m)
	t.Cleanup(func() { _ = d.http.Shutdown(context.WithoutCancel(t.Context())) })
	return s.chain(func(*http.Request) (*door, party, error) { return d, party{principal: "conformance"}, nil })
}

type fixtures struct{ m *server.MCPServer }

func (f *fixtures) add(name, description, schema string, h server.ToolHandlerFunc) {
	f.m.AddTool(protocol.Tool{Name: name, Description: description, RawInputSchema: json.RawMessage(schema)}, h)
}

func (f *fixtures) fixed(name, description string, content ...protocol.Content) {
	f.add(name, description, anyObject, func(context.Context, protocol.CallToolRequest) (*protocol.CallToolResult, error) {
		return &protocol.CallToolResult{Content: content}, nil
	})
}

func said(format string, a ...any) *protocol.CallToolResult {
	return protocol.NewToolResultText(fmt.Sprintf(format, a...))
}

func (f *fixtures) contentTools() {
	embedded := protocol.NewEmbeddedResource(protocol.TextResourceContents{URI: "test://embedded-resource", MIMEType: "text/plain", Text: "This is an embedded resource content."})
	mixed := protocol.NewEmbeddedResource(protocol.TextResourceContents{URI: "test://mixed-content-resource", MIMEType: "application/json", Text: `{"test":"data","value":123}`})
	f.fixed("test_simple_text", "Returns text.", protocol.NewTextContent("This is a simple text response for testing."))
	f.fixed("test_image_content", "Returns an image.", protocol.NewImageContent(onePixel, "image/png"))
	f.fixed("test_audio_content", "Returns a sound.", protocol.NewAudioContent(noSound, "audio/wav"))
	f.fixed("test_embedded_resource", "Returns a resource.", embedded)
	f.fixed("test_multiple_content_types", "Returns text, an image and a resource.",
		protocol.NewTextContent("Multiple content types test:"), protocol.NewImageContent(onePixel, "image/png"), mixed)
	f.fixed("test_reconnection", "Returns text.", protocol.NewTextContent("reconnected"))
	f.add("json_schema_2020_12_tool", "Tool with JSON Schema 2020-12 features", jsonSchema, func(context.Context, protocol.CallToolRequest) (*protocol.CallToolResult, error) {
		return said("ok"), nil
	})
	f.add("test_x_mcp_header", "Takes an argument in a header.", `{"type":"object","properties":{"region":{"type":"string","x-mcp-header":"Region"}},"required":["region"]}`,
		func(_ context.Context, r protocol.CallToolRequest) (*protocol.CallToolResult, error) {
			return said("region %s", r.GetString("region", "")), nil
		})
	f.add("test_error_handling", "Fails.", anyObject, func(context.Context, protocol.CallToolRequest) (*protocol.CallToolResult, error) {
		return failed("This tool intentionally returns an error for testing"), nil
	})
	f.add("test_missing_capability", "Needs sampling.", anyObject, func(ctx context.Context, _ protocol.CallToolRequest) (*protocol.CallToolResult, error) {
		if clientCan(ctx).Sampling == nil {
			fail := missingCapability("sampling")
			requestFrom(ctx).instead = fail
			return nil, fail
		}
		return said("sampling is there"), nil
	})
}

func clientCan(ctx context.Context) protocol.ClientCapabilities {
	if info := server.RequestProtocolInfoFromContext(ctx); info != nil && info.ClientCapabilities != nil {
		return *info.ClientCapabilities
	}
	return protocol.ClientCapabilities{}
}

// logTo sends a log message if the client wants it, which the eras say differently.
func logTo(ctx context.Context, text string) error {
	wanted := protocol.LoggingLevelInfo
	if info := server.RequestProtocolInfoFromContext(ctx); info != nil && info.Modern {
		if wanted = info.LogLevel; wanted == "" {
			return nil
		}
	}
	if !protocol.LoggingLevelInfo.ShouldSendTo(wanted) {
		return nil
	}
	return notify(ctx, "notifications/message", map[string]any{"level": "info", "logger": "conformance", "data": text})
}

func (f *fixtures) notifyingTools() {
	logs := func(ctx context.Context, _ protocol.CallToolRequest) (*protocol.CallToolResult, error) {
		for _, text := range []string{"Tool execution started", "Tool processing data", "Tool execution completed"} {
			if err := logTo(ctx, text); err != nil {
				return nil, err
			}
		}
		return said("logged"), nil
	}
	f.add("test_tool_with_logging", "Sends three log messages.", anyObject, logs)
	f.add("test_logging_tool", "Sends log messages.", anyObject, logs)
	f.add("test_tool_with_progress", "Reports progress thrice.", anyObject, func(ctx context.Context, r protocol.CallToolRequest) (*protocol.CallToolResult, error) {
		if r.Params.Meta == nil || r.Params.Meta.ProgressToken == nil {
			return said("no token"), nil
		}
		for _, done := range []int{0, 50, 100} {
			if err := notify(ctx, "notifications/progress", map[string]any{"progressToken": r.Params.Meta.ProgressToken, "progress": done, "total": 100}); err != nil {
				return nil, err
			}
		}
		return said("progress reported"), nil
	})
	f.add("test_trigger_tool_change", "Changes the list of tools.", anyObject, func(context.Context, protocol.CallToolRequest) (*protocol.CallToolResult, error) {
		f.fixed("test_temporary", "Comes and goes.")
		f.m.DeleteTools("test_temporary")
		return said("changed"), nil
	})
	f.add("test_trigger_prompt_change", "Changes the list of prompts.", anyObject, func(context.Context, protocol.CallToolRequest) (*protocol.CallToolResult, error) {
		f.m.AddPrompt(protocol.NewPrompt("test_temporary", protocol.WithPromptDescription("Comes and goes.")), nil)
		f.m.DeletePrompts("test_temporary")
		return said("changed"), nil
	})
}

// elicit asks the client directly, as the session era does.
func (f *fixtures) elicit(ctx context.Context, message, schema string) (*protocol.CallToolResult, error) {
	got, err := f.m.RequestElicitation(ctx, protocol.ElicitationRequest{Request: protocol.Request{Method: "elicitation/create"}, Params: form(message, schema)})
	if err != nil {
		return failed(err.Error()), nil
	}
	content, err := json.Marshal(got.Content)
	return said("Elicitation completed: action=%s, content=%s", got.Action, content), err
}

func form(message, schema string) protocol.ElicitationParams {
	return protocol.ElicitationParams{Message: message, RequestedSchema: json.RawMessage(schema)}
}

func properties(p string) string { return `{"type":"object","properties":{` + p + `}}` }

func (f *fixtures) askingTools() {
	f.add("test_sampling", "Asks the client's model.", properties(`"prompt":{"type":"string"}`), func(ctx context.Context, r protocol.CallToolRequest) (*protocol.CallToolResult, error) {
		//lint:ignore SA1019 the suite still tests what the protocol has deprecated
		got, err := f.m.RequestSampling(ctx, protocol.CreateMessageRequest{Request: protocol.Request{Method: "sampling/createMessage"}, CreateMessageParams: question(r.GetString("prompt", ""), 100)})
		if err != nil {
			return failed(err.Error()), nil
		}
		return said("LLM response: %v", got.Content), nil
	})
	f.add("test_elicitation", "Asks the user.", properties(`"message":{"type":"string"}`), func(ctx context.Context, r protocol.CallToolRequest) (*protocol.CallToolResult, error) {
		return f.elicit(ctx, r.GetString("message", ""), properties(`"username":{"type":"string","description":"User's response"},"email":{"type":"string","description":"User's email address"}`))
	})
	for name, schema := range map[string]string{
		"test_elicitation_sep1034_defaults": `"name":{"type":"string","default":"John Doe"},"age":{"type":"integer","default":30},"score":{"type":"number","default":95.5},"status":{"type":"string","enum":["active","inactive","pending"],"default":"active"},"verified":{"type":"boolean","default":true}`,
		"test_elicitation_sep1330_enums": `"untitledSingle":{"type":"string","enum":["option1","option2","option3"]},
			"titledSingle":{"type":"string","oneOf":[{"const":"value1","title":"First Option"},{"const":"value2","title":"Second Option"},{"const":"value3","title":"Third Option"}]},
			"legacyEnum":{"type":"string","enum":["opt1","opt2","opt3"],"enumNames":["Option One","Option Two","Option Three"]},
			"untitledMulti":{"type":"array","items":{"type":"string","enum":["option1","option2","option3"]}},
			"titledMulti":{"type":"array","items":{"anyOf":[{"const":"value1","title":"First Choice"},{"const":"value2","title":"Second Choice"},{"const":"value3","title":"Third Choice"}]}}`,
	} {
		f.add(name, "Asks the user to fill in a form.", anyObject, func(ctx context.Context, _ protocol.CallToolRequest) (*protocol.CallToolResult, error) {
			return f.elicit(ctx, "Please fill in", properties(schema))
		})
	}
}

func question(text string, tokens int) protocol.CreateMessageParams {
	return protocol.CreateMessageParams{MaxTokens: tokens,
		Messages: []protocol.SamplingMessage{{Role: protocol.RoleUser, Content: protocol.NewTextContent(text)}}}
}

const nameForm = `{"type":"object","properties":{"name":{"type":"string"}},"required":["name"]}`

// sealed makes a request state that the client cannot change; unsealed checks it.
func sealed(state string) string {
	mac := hmac.New(sha256.New, []byte("a key of the fixtures"))
	mac.Write([]byte(state))
	return state + "." + hex.EncodeToString(mac.Sum(nil))
}

func unsealed(token string) (string, error) {
	state, _, _ := strings.Cut(token, ".")
	if !hmac.Equal([]byte(token), []byte(sealed(state))) {
		return "", errors.New("the request state was tampered with")
	}
	return state, nil
}

// answered reports whether the client has answered every question of a round.
func answered(p protocol.MultiRoundTripParams, asks *server.InputRequestBuilder) bool {
	requests := asks.ToolResult().InputRequests
	if p.InputResponses.DecodeFor(requests) != nil {
		return false
	}
	for id := range requests {
		r, ok := p.InputResponses[id]
		if !ok || r.Elicitation == nil && r.Sampling == nil && r.Roots == nil {
			return false
		}
	}
	return true
}

// rounds is a tool that asks round after round; the state says which it is in.
func (f *fixtures) rounds(name string, withState bool, rounds ...func(string) *server.InputRequestBuilder) {
	state := func(round int) string {
		if !withState {
			return ""
		}
		return sealed(fmt.Sprint("round", round))
	}
	f.add(name, "Asks before it answers.", anyObject, func(ctx context.Context, r protocol.CallToolRequest) (*protocol.CallToolResult, error) {
		round := 0
		if token := r.Params.RequestState; token != "" {
			plain, err := unsealed(token)
			if err != nil {
				requestFrom(ctx).instead = &rpcError{status: http.StatusBadRequest, Code: protocol.INVALID_PARAMS, Message: err.Error()}
				return nil, err
			}
			_, _ = fmt.Sscanf(plain, "round%d", &round)
		}
		asks := rounds[min(round, len(rounds)-1)](state(round))
		if !answered(r.Params.MultiRoundTripParams, asks) {
			return asks.ToolResult(), nil
		}
		if round+1 < len(rounds) {
			return rounds[round+1](state(round + 1)).ToolResult(), nil
		}
		return said("state-ok: %d answers", len(r.Params.InputResponses)), nil
	})
}

func (f *fixtures) roundTripTools() {
	askName := func(s string) *server.InputRequestBuilder {
		return server.NewInputRequestBuilder(s).Elicit("user_name", form("What is your name?", nameForm))
	}
	confirm := func(s string) *server.InputRequestBuilder {
		return server.NewInputRequestBuilder(s).Elicit("confirm", form("Please confirm", `{"type":"object","properties":{"ok":{"type":"boolean"}},"required":["ok"]}`))
	}
	f.rounds("test_input_required_result_elicitation", false, askName)
	f.rounds("test_streaming_elicitation", false, askName)
	f.rounds("test_input_required_result_sampling", false, func(s string) *server.InputRequestBuilder {
		return server.NewInputRequestBuilder(s).Sample("capital_question", question("What is the capital of France?", 100))
	})
	f.rounds("test_input_required_result_list_roots", false, func(s string) *server.InputRequestBuilder {
		return server.NewInputRequestBuilder(s).Roots("client_roots")
	})
	f.rounds("test_input_required_result_request_state", true, confirm)
	f.rounds("test_input_required_result_tampered_state", true, confirm)
	f.rounds("test_input_required_result_multiple_inputs", true, func(s string) *server.InputRequestBuilder {
		return askName(s).Sample("greeting", question("Generate a greeting", 50)).Roots("client_roots")
	})
	f.rounds("test_input_required_result_multi_round", true,
		func(s string) *server.InputRequestBuilder {
			return server.NewInputRequestBuilder(s).Elicit("step1", form("Step 1: What is your name?", nameForm))
		},
		func(s string) *server.InputRequestBuilder {
			return server.NewInputRequestBuilder(s).Elicit("step2", form("Step 2: What is your favorite color?", `{"type":"object","properties":{"color":{"type":"string"}},"required":["color"]}`))
		})
	f.add("test_input_required_result_capabilities", "Asks only what the client can answer.", anyObject, func(ctx context.Context, _ protocol.CallToolRequest) (*protocol.CallToolResult, error) {
		asks := server.NewInputRequestBuilder("")
		if clientCan(ctx).Elicitation != nil {
			asks.Elicit("user_name", form("What is your name?", nameForm))
		}
		if clientCan(ctx).Sampling != nil {
			asks.Sample("greeting", question("Generate a greeting", 50))
		}
		return asks.ToolResult(), nil
	})
}

func (f *fixtures) resources() {
	read := func(c func(uri string) protocol.ResourceContents) func(context.Context, protocol.ReadResourceRequest) ([]protocol.ResourceContents, error) {
		return func(_ context.Context, r protocol.ReadResourceRequest) ([]protocol.ResourceContents, error) {
			return []protocol.ResourceContents{c(r.Params.URI)}, nil
		}
	}
	text := read(func(uri string) protocol.ResourceContents {
		return protocol.TextResourceContents{URI: uri, MIMEType: "text/plain", Text: "This is the content of the static text resource."}
	})
	describe := func(text string) protocol.ResourceOption { return protocol.WithResourceDescription(text) }
	f.m.AddResource(protocol.NewResource("test://static-text", "static-text", describe("Some text."), protocol.WithMIMEType("text/plain")), text)
	f.m.AddResource(protocol.NewResource("test://watched-resource", "watched", describe("Some text to watch."), protocol.WithMIMEType("text/plain")), text)
	f.m.AddResource(protocol.NewResource("test://static-binary", "static-binary", describe("An image."), protocol.WithMIMEType("image/png")), read(func(uri string) protocol.ResourceContents {
		return protocol.BlobResourceContents{URI: uri, MIMEType: "image/png", Blob: onePixel}
	}))
	f.m.AddResourceTemplate(protocol.NewResourceTemplate("test://template/{id}/data", "template", protocol.WithTemplateDescription("Data by id."), protocol.WithTemplateMIMEType("application/json")),
		read(func(uri string) protocol.ResourceContents {
			id := strings.TrimSuffix(strings.TrimPrefix(uri, "test://template/"), "/data")
			b, _ := json.Marshal(map[string]any{"id": id, "templateTest": true, "data": "Data for ID: " + id})
			return protocol.TextResourceContents{URI: uri, MIMEType: "application/json", Text: string(b)}
		}))
}

func (f *fixtures) prompts() {
	user := func(c ...protocol.Content) (*protocol.GetPromptResult, error) {
		r := &protocol.GetPromptResult{}
		for _, c := range c {
			r.Messages = append(r.Messages, protocol.NewPromptMessage(protocol.RoleUser, c))
		}
		return r, nil
	}
	add := func(name string, h server.PromptHandlerFunc, arguments ...string) {
		options := []protocol.PromptOption{protocol.WithPromptDescription("A prompt of the suite.")}
		for _, a := range arguments {
			options = append(options, protocol.WithArgument(a, protocol.ArgumentDescription("An argument."), protocol.RequiredArgument()))
		}
		f.m.AddPrompt(protocol.NewPrompt(name, options...), h)
	}
	add("test_simple_prompt", func(context.Context, protocol.GetPromptRequest) (*protocol.GetPromptResult, error) {
		return user(protocol.NewTextContent("This is a simple prompt for testing."))
	})
	add("test_prompt_with_arguments", func(_ context.Context, r protocol.GetPromptRequest) (*protocol.GetPromptResult, error) {
		return user(protocol.NewTextContent(fmt.Sprintf("Prompt with arguments: arg1='%s', arg2='%s'", r.Params.Arguments["arg1"], r.Params.Arguments["arg2"])))
	}, "arg1", "arg2")
	add("test_prompt_with_embedded_resource", func(_ context.Context, r protocol.GetPromptRequest) (*protocol.GetPromptResult, error) {
		return user(protocol.NewEmbeddedResource(protocol.TextResourceContents{URI: r.Params.Arguments["resourceUri"], MIMEType: "text/plain", Text: "Embedded resource content for testing."}),
			protocol.NewTextContent("Please process the embedded resource above."))
	}, "resourceUri")
	add("test_prompt_with_image", func(context.Context, protocol.GetPromptRequest) (*protocol.GetPromptResult, error) {
		return user(protocol.NewImageContent(onePixel, "image/png"), protocol.NewTextContent("Please analyze the image above."))
	})
	add("test_input_required_result_prompt", func(_ context.Context, r protocol.GetPromptRequest) (*protocol.GetPromptResult, error) {
		asks := server.NewInputRequestBuilder("").Elicit("user_context", form("What context should the prompt use?", `{"type":"object","properties":{"context":{"type":"string"}},"required":["context"]}`))
		if !answered(r.Params.MultiRoundTripParams, asks) {
			return asks.PromptResult(), nil
		}
		return user(protocol.NewTextContent("with context"))
	})
}

// CompletePromptArgument completes nothing in particular.
func (f *fixtures) CompletePromptArgument(_ context.Context, _ string, a protocol.CompleteArgument, _ protocol.CompleteContext) (*protocol.Completion, error) {
	return &protocol.Completion{Values: []string{a.Value + "-completed"}, Total: 1}, nil
}

// suiteTimeout is far above what a run of the suite takes.
const suiteTimeout = 5 * time.Minute
