package mcp

import (
	"context"
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mark3labs/mcp-go/client"
	"github.com/mark3labs/mcp-go/client/transport"
	protocol "github.com/mark3labs/mcp-go/mcp"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// A journey is what a client saw of one episode; testdata/journey.mjs is the same one.
type journey struct {
	Instructions string   `json:"instructions"`
	Tools        []string `json:"tools"`
	Stock        answer   `json:"stock"`
	Shelf        answer   `json:"shelf"`
	All          answer   `json:"all"`
	Gin          answer   `json:"gin"`
	Unknown      string   `json:"unknown"` // the error's code
	Messages     []string `json:"messages"`
	Episode      int      `json:"episode"` // calls in the transcript
}

type answer struct {
	Text       string          `json:"text"`
	Structured json.RawMessage `json:"structured"`
	Failed     bool            `json:"failed"`
}

// check holds a journey to what the arena is. Structured content is wrapped in one era.
func (j journey) check(t *testing.T, e era) {
	t.Helper()
	wrap := func(v string) string {
		if e == legacy {
			return `{"result":` + v + `}`
		}
		return v
	}
	if want := []string{"stock", "shelf", "all", "echo", "find_place"}; !slices.Equal(j.Tools, want) {
		t.Errorf("tools = %v, want %v", j.Tools, want)
	}
	for _, tt := range []struct {
		name       string
		got        answer
		text, want string
	}{
		{"stock", j.Stock, `{"thing":"tea","left":7}`, `{"thing":"tea","left":7}`},
		{"shelf", j.Shelf, `S4`, wrap(`"S4"`)},
		{"all", j.All, `["tea","milk"]`, wrap(`["tea","milk"]`)},
	} {
		if tt.got.Text != tt.text || !sameJSON(t, string(tt.got.Structured), tt.want) || tt.got.Failed {
			t.Errorf("%s = %q %s, want %q %s", tt.name, tt.got.Text, tt.got.Structured, tt.text, tt.want)
		}
	}
	if !j.Gin.Failed || !strings.Contains(j.Gin.Text, "there is no gin") {
		t.Errorf("a failing tool = %+v", j.Gin)
	}
	if j.Unknown != "-32602" {
		t.Errorf("an unknown tool's error = %q", j.Unknown)
	}
	if !slices.Equal(j.Messages, []string{"How much tea is left?"}) || j.Episode != 5 || !strings.HasPrefix(j.Instructions, "Tools of one episode") {
		t.Errorf("messages %v, %d calls, instructions %q", j.Messages, j.Episode, j.Instructions)
	}
}

func sameJSON(t *testing.T, a, b string) bool {
	t.Helper()
	var x, y any
	must(t, json.Unmarshal([]byte(a), &x))
	must(t, json.Unmarshal([]byte(b), &y))
	p, _ := json.Marshal(x)
	q, _ := json.Marshal(y)
	return string(p) == string(q)
}

func TestGoSDK(t *testing.T) {
	h := newHouse(t, nil)
	bothEras(t, func(t *testing.T, e era) {
		c := sdk.NewClient(&sdk.Implementation{Name: "go-sdk", Version: "1"}, nil)
		s, err := c.Connect(t.Context(), &sdk.StreamableClientTransport{Endpoint: h.door(h.open("sell-tea").Key)}, &sdk.ClientSessionOptions{ProtocolVersion: string(e)})
		must(t, err)
		defer s.Close()
		if got := s.InitializeResult().ProtocolVersion; got != string(e) {
			t.Errorf("negotiated %s", got)
		}
		j := journey{Instructions: s.InitializeResult().Instructions}
		tools, err := s.ListTools(t.Context(), nil)
		must(t, err)
		for _, tool := range tools.Tools {
			j.Tools = append(j.Tools, tool.Name)
		}
		call := func(name string, args any) answer {
			r, err := s.CallTool(t.Context(), &sdk.CallToolParams{Name: name, Arguments: args})
			must(t, err)
			b, err := json.Marshal(r.StructuredContent)
			must(t, err)
			return answer{r.Content[0].(*sdk.TextContent).Text, b, r.IsError}
		}
		thing := func(name string) any { return map[string]any{"thing": name} }
		j.Stock, j.Shelf, j.All, j.Gin = call("stock", thing("tea")), call("shelf", thing("milk")), call("all", struct{}{}), call("stock", thing("gin"))
		_, err = s.CallTool(t.Context(), &sdk.CallToolParams{Name: "no_such", Arguments: struct{}{}})
		j.Unknown = codeIn(err)
		prompt, err := s.GetPrompt(t.Context(), &sdk.GetPromptParams{Name: "messages"})
		must(t, err)
		for _, m := range prompt.Messages {
			j.Messages = append(j.Messages, m.Content.(*sdk.TextContent).Text)
		}
		read, err := s.ReadResource(t.Context(), &sdk.ReadResourceParams{URI: episodeURI})
		must(t, err)
		j.Episode = callsIn(t, read.Contents[0].Text)
		j.check(t, e)
	})
}

// codeIn is the code of a JSON-RPC error whose text or type a client shows.
func codeIn(err error) string {
	if err != nil && (strings.Contains(err.Error(), "no_such") || strings.Contains(err.Error(), "-32602")) {
		return "-32602"
	}
	return "no error"
}

func callsIn(t *testing.T, text string) int {
	t.Helper()
	var v struct{ Calls []any }
	must(t, json.Unmarshal([]byte(text), &v))
	return len(v.Calls)
}

func TestMCPGoClient(t *testing.T) {
	h := newHouse(t, nil)
	bothEras(t, func(t *testing.T, e era) {
		http, err := transport.NewStreamableHTTP(h.door(h.open("sell-tea").Key))
		must(t, err)
		c := client.NewClient(http, client.WithProtocolVersion(string(e)))
		defer c.Close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		must(t, c.Start(ctx))
		hello, err := c.Initialize(ctx, protocol.InitializeRequest{})
		must(t, err)
		j := journey{Instructions: hello.Instructions}
		tools, err := c.ListTools(ctx, protocol.ListToolsRequest{})
		must(t, err)
		for _, tool := range tools.Tools {
			j.Tools = append(j.Tools, tool.Name)
		}
		ask := func(name string, args any) (*protocol.CallToolResult, error) {
			return c.CallTool(ctx, protocol.CallToolRequest{Params: protocol.CallToolParams{Name: name, Arguments: args}})
		}
		call := func(name string, args any) answer {
			r, err := ask(name, args)
			must(t, err)
			return answer{r.Content[0].(protocol.TextContent).Text, r.RawStructuredContent, r.IsError}
		}
		thing := func(name string) any { return map[string]any{"thing": name} }
		j.Stock, j.Shelf, j.All, j.Gin = call("stock", thing("tea")), call("shelf", thing("milk")), call("all", struct{}{}), call("stock", thing("gin"))
		_, err = ask("no_such", struct{}{})
		j.Unknown = codeIn(err)
		prompt, err := c.GetPrompt(ctx, protocol.GetPromptRequest{Params: protocol.GetPromptParams{Name: "messages"}})
		must(t, err)
		for _, m := range prompt.Messages {
			j.Messages = append(j.Messages, m.Content.(protocol.TextContent).Text)
		}
		read, err := c.ReadResource(ctx, protocol.ReadResourceRequest{Params: protocol.ReadResourceParams{URI: episodeURI}})
		must(t, err)
		j.Episode = callsIn(t, read.Contents[0].(protocol.TextResourceContents).Text)
		j.check(t, e)
	})
}

// TestTypeScriptSDKs plays with both generations, the second in both eras.
func TestTypeScriptSDKs(t *testing.T) {
	h := newHouse(t, nil)
	for _, tt := range []struct {
		name, module, script, mode string
		era                        era
	}{
		{"v1", "sdk", "testdata/v1.mjs", "", legacy},
		{"v2 legacy", "client", "testdata/v2.mjs", "legacy", legacy},
		{"v2 modern", "client", "testdata/v2.mjs", "auto", modern},
	} {
		t.Run(tt.name, func(t *testing.T) {
			needModule(t, tt.module)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			out, err := node(t, ctx, tt.script, h.door(h.open("sell-tea").Key), tt.mode).CombinedOutput()
			var j journey
			if err != nil || json.Unmarshal(out, &j) != nil {
				t.Fatalf("%v: %s", err, out)
			}
			j.check(t, tt.era)
		})
	}
}

// TestInspector has the official inspector look at every door with --strict, under which
// a schema that some client cannot use fails.
func TestInspector(t *testing.T) {
	h := newHouse(t, nil)
	for _, d := range []struct{ name, url, header string }{
		{"agent", h.door(h.open("sell-tea").Key), ""},
		{"arena", h.web.URL + "/arenas/shop/mcp", "Authorization: Bearer " + explorerToken},
		{"lobby", h.web.URL + "/mcp", "Authorization: Bearer " + explorerToken},
	} {
		args := []string{"--cli", d.url, "--transport", "http", "--format", "json"}
		if d.header != "" {
			args = append(args, "--header", d.header)
		}
		for _, e := range []string{"legacy", "modern"} {
			t.Run(d.name+" "+e, func(t *testing.T) {
				inspect(t, append(slices.Clone(args), "--protocol-era", e, "--strict", "--method", "tools/list")...)
			})
		}
		for _, method := range []string{"prompts/list", "resources/list", "resources/templates/list"} {
			t.Run(d.name+" "+method, func(t *testing.T) { inspect(t, append(slices.Clone(args), "--method", method)...) })
		}
	}
	t.Run("call", func(t *testing.T) {
		out := inspect(t, "--cli", h.door(h.open("sell-tea").Key), "--transport", "http", "--protocol-era", "modern",
			"--method", "tools/call", "--tool-name", "stock", "--tool-arg", "thing=tea", "--format", "json")
		if !strings.Contains(strings.ReplaceAll(out, " ", ""), `"left":7`) {
			t.Error(out)
		}
	})
}

func inspect(t *testing.T, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := node(t, ctx, filepath.Join(nodeModules, "@modelcontextprotocol/inspector/clients/launcher/build/index.js"), args...).CombinedOutput()
	if err != nil {
		t.Errorf("%v: %s", err, out)
	}
	return string(out)
}
