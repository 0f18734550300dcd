package openenv

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
	"github.com/astra-arenas/astra/gateway/gatewaytest"
	"github.com/astra-arenas/astra/httpapi/harness"
	"github.com/astra-arenas/astra/mcp"
)

// A place is a server over a gateway with real parts that serves the shop and the examples.
type place struct {
	*Server
	t      testing.TB
	gw     *gateway.Gateway
	web    *httptest.Server
	agents *httptest.Server // their door
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newPlace(t testing.TB, opts *Options, limits *gateway.Options) *place {
	t.Helper()
	p := &place{t: t, gw: gatewaytest.New(t, limits, "../testdata/shop", "../../examples/arenas/travel", "../../examples/arenas/files", "../../examples/arenas/inventory")}
	doors, err := mcp.New(p.gw, nil)
	must(t, err)
	p.gw.OnToolsAdded(doors.ToolsAdded)
	p.agents = httptest.NewServer(doors.AgentHandler())
	t.Cleanup(p.agents.Close)
	t.Cleanup(func() { must(t, doors.Close(context.Background())) })
	house, err := harness.New(p.gw, harness.NewGate("", nil), []byte("sixteen bytes of secret"), doors.AgentHandler(), nil)
	must(t, err)
	t.Cleanup(house.Close)
	p.Server = New(house, opts)
	p.web = httptest.NewServer(http.StripPrefix("/openenv", p.Handler()))
	t.Cleanup(p.web.Close)
	t.Cleanup(p.Close)
	return p
}

// base is a client's base URL of an arena.
func (p *place) base(arena string) string { return p.web.URL + "/openenv/" + arena }

// do sends a request and returns what came back.
func (p *place) do(method, path, body string, edit ...func(*http.Request)) (int, http.Header, string) {
	p.t.Helper()
	r, err := http.NewRequestWithContext(p.t.Context(), method, p.web.URL+"/openenv/"+path, strings.NewReader(body))
	must(p.t, err)
	r.Header.Set("Content-Type", "application/json")
	for _, f := range edit {
		f(r)
	}
	res, err := http.DefaultClient.Do(r)
	must(p.t, err)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	must(p.t, err)
	noCanary(p.t, b)
	return res.StatusCode, res.Header, string(b)
}

// expect holds an answer to a status and a text, compacted.
func (p *place) expect(status int, want, method, path, body string) {
	p.t.Helper()
	code, _, got := p.do(method, path, body)
	if code != status || got != want {
		p.t.Errorf("%s %s %s\n got %d %s\nwant %d %s", method, path, body, code, got, status, want)
	}
}

// noCanary looks for what no door may show, which the shop is full of. A message is shown when
// its turn comes, so canary-turn may be.
func noCanary(t testing.TB, b []byte) {
	t.Helper()
	if bytes.Contains(bytes.ReplaceAll(b, []byte("canary-turn"), nil), []byte("canary")) || bytes.Contains(b, []byte("770077007741")) {
		t.Errorf("hidden text is shown: %s", b)
	}
}

// A line is a client's end of a WebSocket.
type line struct {
	t    testing.TB
	conn *websocket.Conn
}

func (p *place) dial(path string) *line {
	p.t.Helper()
	conn, _, err := websocket.Dial(p.t.Context(), "ws"+strings.TrimPrefix(p.web.URL, "http")+"/openenv/"+path, nil)
	must(p.t, err)
	p.t.Cleanup(func() { _ = conn.CloseNow() })
	return &line{p.t, conn}
}

func (l *line) send(message string) {
	l.t.Helper()
	must(l.t, l.conn.Write(l.t.Context(), websocket.MessageText, []byte(message)))
}

// read returns the next message, "" if the connection is closed.
func (l *line) read() string {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), time.Minute)
	defer cancel()
	_, b, err := l.conn.Read(ctx)
	must(l.t, ctx.Err())
	if err != nil {
		return ""
	}
	noCanary(l.t, b)
	return string(b)
}

func (l *line) ask(message string) string {
	l.t.Helper()
	l.send(message)
	return l.read()
}

func (l *line) expect(message, want string) {
	l.t.Helper()
	if got := l.ask(message); got != want {
		l.t.Errorf("%s\n got %s\nwant %s", message, got, want)
	}
}

// call is the message of a step that calls a tool.
func call(tool, args string) string {
	return `{"type":"step","data":{"type":"call_tool","tool_name":"` + tool + `","arguments":` + args + `}}`
}

// episodes are those in the log, newest first.
func (p *place) episodes() []astra.Summary {
	p.t.Helper()
	page, err := p.gw.List(p.t.Context(), astra.Query{})
	must(p.t, err)
	return page.Episodes
}

// settled waits until every session has ended, and holds the log to having no open episode.
func (p *place) settled() {
	p.t.Helper()
	for deadline := time.Now().Add(time.Minute); p.sessions() > 0; {
		if time.Now().After(deadline) {
			p.t.Fatalf("%d sessions do not end", p.sessions())
		}
		runtime.Gosched()
	}
	for _, e := range p.episodes() {
		if e.Status == astra.StatusOpen {
			p.t.Errorf("episode %s of task %s is open", e.Episode, e.Task)
		}
	}
}

func (p *place) sessions() int {
	p.table.mu.Lock()
	defer p.table.mu.Unlock()
	return len(p.table.of)
}

// compact is JSON without the spaces that make it readable.
func compact(t testing.TB, text string) string {
	t.Helper()
	var b bytes.Buffer
	must(t, json.Compact(&b, []byte(text)))
	return b.String()
}
