package upstream

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
)

// TestMain makes a server of the test binary when it is asked for one.
func TestMain(m *testing.M) {
	switch {
	case len(os.Args) > 1 && os.Args[1] == "counter":
		_ = server.NewStdioServer(newCounter().server(counterTools)).Listen(context.Background(), os.Stdin, os.Stdout)
	case len(os.Args) > 1 && os.Args[1] == "crooked":
		crookedProcess()
	default:
		os.Exit(m.Run())
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func self(t testing.TB, args ...string) []string {
	t.Helper()
	path, err := os.Executable()
	must(t, err)
	return append([]string{path}, args...)
}

// A counter is a server with a total for each session, which implements the contract of
// runtimes as far as a stranger can.
type counter struct {
	mu     sync.Mutex
	totals map[string]*total
	calls  atomic.Int64
}

type total struct {
	sum   float64
	draws int
}

func newCounter() *counter { return &counter{totals: map[string]*total{}} }

// counterTools are what the counter offers.
var counterTools = func() []astra.Tool {
	any := json.RawMessage(`{"type":"object"}`)
	var tools []astra.Tool
	for _, name := range []string{"add", "total", "roll", "clock", "seed", "note", "echo", "fail", "burn", "hog", "big"} {
		tools = append(tools, astra.Tool{Original: name, Description: name, Input: any})
	}
	return tools
}()

func (c *counter) server(tools []astra.Tool) *server.MCPServer {
	s := server.NewMCPServer("counter", "1", server.WithToolCapabilities(true))
	for _, tool := range tools {
		s.AddTool(mcp.NewToolWithRawSchema(tool.Original, tool.Description, tool.Input), c.call)
	}
	return s
}

func (c *counter) call(ctx context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	c.calls.Add(1)
	id := ""
	if s := server.ClientSessionFromContext(ctx); s != nil {
		id = s.SessionID()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	mine := c.totals[id]
	if mine == nil {
		mine = new(total)
		c.totals[id] = mine
	}
	var args struct {
		N       float64
		Bytes   int
		Message string
		Value   json.RawMessage
	}
	if err := json.Unmarshal(r.Params.RawArguments, &args); err != nil {
		return nil, err
	}
	switch r.Params.Name {
	case "add":
		mine.sum += args.N
		return structured(fmt.Sprint(mine.sum)), nil
	case "total":
		return structured(fmt.Sprint(mine.sum)), nil
	case "roll":
		mine.draws++
		return structured(fmt.Sprint(1 / float64(1+mine.draws))), nil
	case "echo":
		return structured(string(args.Value)), nil
	case "fail":
		mine.sum++
		return mcp.NewToolResultError(args.Message), nil
	case "big":
		return mcp.NewToolResultText(strings.Repeat("x", args.Bytes)), nil
	}
	return structured("null"), nil
}

func structured(value string) *mcp.CallToolResult {
	r := mcp.NewToolResultText(value)
	r.RawStructuredContent = json.RawMessage(value)
	return r
}

// web serves the counter over HTTP, with sessions.
func (c *counter) web(t testing.TB, tools []astra.Tool) string {
	s := httptest.NewServer(server.NewStreamableHTTPServer(c.server(tools), server.WithStateful(true)))
	t.Cleanup(s.Close)
	return s.URL + "/mcp"
}

// counterArena is an arena over the counter; lines are added before its tools.
func counterArena(t testing.TB, lines string, cassette ...astra.Recording) *astra.Arena {
	t.Helper()
	manifest := "name: counting\nversion: 1.0.0\nruntime: upstream\nupstreams: [{alias: counter}]\nlimits: {result: 64KiB, depth: 32}\n" + lines + "\ntools:\n"
	for _, tool := range counterTools {
		manifest += fmt.Sprintf("  - {name: %s, description: x, input: {type: object}}\n", tool.Original)
	}
	var c astra.Cassette
	for _, r := range cassette {
		c.Add(r)
	}
	text, err := c.Bytes()
	must(t, err)
	return arenaOf(t, astra.File{Path: "arena.yaml", Data: []byte(manifest)}, astra.File{Path: astra.CassetteFile, Data: text})
}

func arenaOf(t testing.TB, files ...astra.File) *astra.Arena {
	t.Helper()
	b, err := astra.NewBundle(files)
	must(t, err)
	a, err := b.Load()
	must(t, err)
	return a
}

// crookedYAML is an arena over a server that misbehaves in the way its tools are called.
const crookedYAML = `name: crooked
version: 1.0.0
runtime: upstream
upstreams: [{alias: crook}]
limits: {wall: 30s, result: 4KiB, depth: 8}
tools:
  - {name: fine, description: Answers., original: fine, output: {type: object, properties: {fine: {type: boolean}}, required: [fine]}}
  - {name: die, description: Dies.}
  - {name: hang, description: Never answers.}
  - {name: garbage, description: Says nonsense.}
  - {name: empty, description: Answers nothing.}
  - {name: huge, description: Never stops.}
  - {name: schema, description: Lies., output: {type: object, properties: {fine: {type: boolean}}, required: [fine]}}
  - {name: leak, description: Tells what it was told., input: {type: object}}
  - {name: change, description: Becomes another.}
  - {name: no, description: Says no.}
  - {name: ask, description: Asks back.}
  - {name: twice, description: Repeats a key.}
  - {name: deep, description: Nests.}
  - {name: away, description: Sends elsewhere.}
  - {name: broken, description: Is out of order.}
`

var crookedTools = []string{"fine", "die", "hang", "garbage", "empty", "huge", "schema", "leak", "change", "no", "ask", "twice", "deep", "away", "broken"}

// A crook answers JSON-RPC messages in ways that no library would.
type crook struct {
	token   string
	missing string // this tool is not offered
	other   atomic.Bool
}

type message struct {
	ID     json.RawMessage
	Method string
	Params struct{ Name string }
}

// errNothing is the answer of who does not answer.
var errNothing = errors.New("no answer")

func (c *crook) answer(m message) (string, error) {
	result := func(v string) string { return `{"jsonrpc":"2.0","id":` + string(m.ID) + `,"result":` + v + `}` }
	value := func(v string) string { return result(`{"content":[],"structuredContent":` + v + `}`) }
	switch m.Method {
	case "initialize":
		return result(`{"protocolVersion":"2025-11-25","capabilities":{"tools":{"listChanged":true}},"serverInfo":{"name":"crook","version":"1"}}`), nil
	case "tools/list":
		return result(c.list()), nil
	case "tools/call":
	default:
		return "", errNothing
	}
	switch m.Params.Name {
	case "fine":
		return value(`{"fine":true}`), nil
	case "garbage":
		return `<html>` + c.token + `</html>`, nil
	case "empty":
		return result(`{}`), nil
	case "huge":
		return value(`"` + strings.Repeat("x", maxMessage) + `"`), nil
	case "schema":
		return value(`{"fine":"perhaps"}`), nil
	case "leak":
		return value(c.leaks()), nil
	case "change":
		c.other.Store(true)
		return `{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}` + "\n" + value(`1`), nil
	case "no":
		text, _ := json.Marshal("no, and the token is " + c.token)
		return `{"jsonrpc":"2.0","id":` + string(m.ID) + `,"error":{"code":-32602,"message":` + string(text) + `}}`, nil
	case "ask":
		return result(`{"resultType":"input_required","requestState":"s","inputRequests":{"a":{"method":"roots/list"}}}`), nil
	case "twice":
		return value(`{"a":1,"a":2}`), nil
	case "deep":
		return value(strings.Repeat("[", 9) + strings.Repeat("]", 9)), nil
	}
	return "", errNothing
}

func (c *crook) list() string {
	var tools []string
	for _, name := range crookedTools {
		schema := `{"type":"object","properties":{},"additionalProperties":false}`
		if name == "leak" {
			schema = `{"type":"object"}`
		}
		if name == "fine" && c.other.Load() {
			schema = `{"type":"object","properties":{"more":{}}}`
		}
		if name != c.missing {
			tools = append(tools, `{"name":"`+name+`","description":"x","inputSchema":`+schema+`}`)
		}
	}
	return `{"tools":[` + strings.Join(tools, ",") + `]}`
}

// leaks is the token in every form in which a server may give it back.
func (c *crook) leaks() string {
	inJSON, _ := json.Marshal(c.token)
	all := []string{c.token, "Bearer " + c.token, url.QueryEscape(c.token), string(inJSON), fmt.Sprintf("%x", c.token), base64.StdEncoding.EncodeToString([]byte(c.token))}
	for _, user := range []string{"u:", "us:", "use:"} {
		all = append(all, "Basic "+base64.StdEncoding.EncodeToString([]byte(user+c.token+"!")))
	}
	out, _ := json.Marshal(map[string]any{c.token: all, "env": os.Environ(), "pid": os.Getpid()})
	return string(out)
}

func crookedProcess() {
	fmt.Println("crook 1.0 is starting, " + os.Getenv("TOKEN"))
	fmt.Fprintln(os.Stderr, "my token is "+os.Getenv("TOKEN"))
	if len(os.Args) > 2 && os.Args[2] == "family" { // a child that outlives its parent, if it may
		child := exec.Command(os.Args[0], "crooked", "stubborn")
		in, _ := child.StdinPipe()
		_ = child.Start()
		fmt.Fprintln(os.Stderr, "child", child.Process.Pid)
		defer in.Close()
	}
	c := &crook{token: os.Getenv("TOKEN")}
	if len(os.Args) > 2 {
		c.missing = os.Args[2]
	}
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		var m message
		_ = json.Unmarshal(in.Bytes(), &m)
		if m.Params.Name == "die" {
			fmt.Print(`{"jsonrpc":`)
			fmt.Fprint(os.Stderr, "I am out of ", os.Getenv("TOKEN"))
			os.Exit(3)
		}
		if text, err := c.answer(m); err == nil {
			fmt.Println(text)
		}
	}
	if len(os.Args) > 2 && os.Args[2] == "stubborn" {
		never := make(chan os.Signal, 1)
		signal.Notify(never, syscall.SIGUSR1)
		<-never
	}
}

// crookedWeb serves the crook over HTTP, in one of two ways.
func crookedWeb(t testing.TB, token string, stream bool) string {
	c := &crook{token: token}
	var ended atomic.Int64
	t.Cleanup(func() { // before the server is closed, after the worlds are
		if n := ended.Load(); n == 0 {
			t.Error("no session was ended")
		}
	})
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("a request came to another host, with %v", r.Header)
	}))
	t.Cleanup(elsewhere.Close)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var m message
		_ = json.NewDecoder(r.Body).Decode(&m)
		if r.Header.Get("Authorization") != "Bearer "+token {
			t.Errorf("%s %s without its header", r.Method, m.Method)
		}
		if r.Method == http.MethodDelete {
			ended.Add(1)
		}
		w.Header().Set("Mcp-Session-Id", "session")
		switch m.Params.Name {
		case "away":
			http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
			return
		case "broken":
			w.WriteHeader(http.StatusInternalServerError)
			fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"error":{"code":1,"message":"out of order"}}`, m.ID)
			return
		case "die":
			panic(http.ErrAbortHandler)
		}
		text, err := c.answer(m)
		switch {
		case m.ID == nil:
			w.WriteHeader(http.StatusAccepted)
		case err != nil:
			<-r.Context().Done()
		case stream:
			w.Header().Set("Content-Type", "text/event-stream")
			for part := range strings.Lines(text) {
				fmt.Fprintf(w, "event: message\ndata: %s\n\n", strings.TrimSpace(part))
			}
		default:
			w.Header().Set("Content-Type", "application/json")
			lines := strings.Split(text, "\n")
			fmt.Fprint(w, lines[len(lines)-1])
		}
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// A world is an instance under test.
type world struct {
	gateway.Instance
	t testing.TB
	a *astra.Arena
}

func newWorld(t testing.TB, a *astra.Arena, opts *Options, past ...astra.Step) *world {
	t.Helper()
	rt, err := New(opts)
	must(t, err)
	p, err := rt.Load(t.Context(), a)
	must(t, err)
	inst, err := p.Start(t.Context(), gateway.World{Past: past})
	must(t, err)
	t.Cleanup(func() {
		must(t, inst.Close())
		must(t, p.Close())
	})
	return &world{inst, t, a}
}

func (w *world) call(tool, args string) astra.Result {
	w.t.Helper()
	res, err := w.Call(w.t.Context(), tool, json.RawMessage(args))
	if err != nil {
		w.t.Fatalf("%s %s: %v", tool, args, err)
	}
	return res
}

func (w *world) want(tool, args, want string) {
	w.t.Helper()
	res := w.call(tool, args)
	if got := string(res.Value) + res.Error; got != want {
		w.t.Errorf("%s %s = %s, want %s", tool, args, got, want)
	}
}

func targets(alias string, t Target) *Options { return &Options{Targets: map[string]Target{alias: t}} }

func repo(parts ...string) string { return filepath.Join(append([]string{"..", ".."}, parts...)...) }

// pid asks a crook for its own.
func (w *world) pid() int {
	w.t.Helper()
	var told struct{ PID int }
	must(w.t, json.Unmarshal(w.call("leak", `{}`).Value, &told))
	return told.PID
}
