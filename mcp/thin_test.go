package mcp

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	protocol "github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

// What a plain request is answered must not depend on the way it takes: a request for
// progress that never comes goes through the library's transport.
func TestPlainIsTheSame(t *testing.T) {
	h := newHouse(t, nil)
	for _, call := range []string{
		`"name":"stock","arguments":{"thing":"tea"}`, `"name":"all"`, `"name":"all","arguments":{"<&>":1}`, `"name":"stock","arguments":[]`, `"name":"stock","arguments":{"thing":"gin"}`,
		`"name":"no_such","arguments":{}`, `"name":"sell","arguments":{"thing":"tea"}`, `"name":"stock","arguments":7`,
	} {
		for _, e := range []era{legacy, modern} {
			plain, full := h.answer(e, `{`+call+`}`), h.answer(e, `{"_meta":{"progressToken":"p"},`+call+`}`)
			if plain != full {
				t.Errorf("%s, %s:\nplain %s\nfull  %s", call, e, plain, full)
			}
		}
	}
}

// answer is what an agent in a fresh episode gets for a call.
func (h *house) answer(e era, params string) string {
	w := dial(h.t, h.door(h.open("sell-tea").Key), "", e)
	r := w.ask("tools/call", params)
	return fmt.Sprintf("%d %s %s", r.status, r.header.Get("Content-Type"), r.body)
}

// What is odd about a message is answered as the library answers it: a content type with a
// parameter goes through the library's transport.
func TestOddIsTheSame(t *testing.T) {
	h := newHouse(t, nil)
	const version, caps = `"io.modelcontextprotocol/protocolVersion":"2026-07-28"`, `"io.modelcontextprotocol/clientCapabilities":{}`
	for name, meta := range map[string]string{
		"plain":                      version + "," + caps,
		"version in other letters":   strings.Replace(version, "protocolVersion", "ProtocolVersion", 1) + "," + caps,
		"version and again":          version + "," + caps + `,"io.modelcontextprotocol/protocolversion":"2025-11-25"`,
		"capabilities that are none": version + `,"io.modelcontextprotocol/clientCapabilities":{"elicitation":5}`,
		"capabilities":               version + `,"io.modelcontextprotocol/clientCapabilities":{"elicitation":{},"x":{"y":[1]}}`,
		"capabilities are null":      version + `,"io.modelcontextprotocol/clientCapabilities":null`,
		"key in other letters":       version + "," + caps + `,"dev.astra/IdempotencyKey":"k"`,
		"key":                        version + "," + caps + `,"dev.astra/idempotencyKey":"k"`,
		"no key":                     version + "," + caps + `,"dev.astra/idempotencyKey":""`,
		"key is null":                version + "," + caps + `,"dev.astra/idempotencyKey":null`,
		"legacy key":                 `"dev.astra/idempotencyKey":"k"`,
		"legacy key, other letters":  `"Dev.astra/idempotencyKey":"k"`,
		"another meta":               version + "," + caps + `},"_meta":{` + version,
		"no meta at the end":         version + "," + caps + `},"_meta":{"x":1`,
	} {
		for _, frame := range []string{
			`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"stock","arguments":{"thing":"tea"},"_meta":{%s}}}`,
			`{"jsonrpc":"2.0","id":"\u0061\u00fc<","method":"tools/call","params":{"name":"no_such","_meta":{%s},"name":"stock","arguments":{"thing":"tea"}}}`,
			`{"jsonrpc":"2.0","id":7,"method":"tools/call","result":{},"params":{"name":"stock","arguments":{"thing":"tea"},"_meta":{%s}}}`,
			`{"jsonrpc":"2.0","id":7,"id":null,"method":"tools/call","params":{"name":"stock","arguments":{"thing":"tea"},"_meta":{%s}}}`,
			`{"jsonrpc":"2.0","id":1e3,"METHOD":"tools/call","params":{"name":"stock","Arguments":{"thing":"tea"},"_META":{%s}}}`,
			`{"jsonrpc":"2.0","id":12345678901234567890,"method":"tools/call","params":{"name":"stock","arguments":{"thing":"tea"},"arguments":null,"_meta":{%s}}}`,
			`{"jsonrpc":"2.0","id":"x` + "\xff" + `","method":"tools/call","params":{"name":"stock","arguments":[],"_meta":{%s}}}`,
			`{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"stock","arguments":{"thing":1e999},"_meta":{%s}}}`,
			`{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":7,"arguments":{"thing":1e999},"_meta":{%s}}}`,
			`{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"stock","arguments":{"thing":"tea"},"task":null,"_meta":{%s}}}`,
			`{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"sell","_meta":{%s}},"params":{"name":"stock","arguments":{"thing":"tea"}}}`,
		} {
			message := fmt.Sprintf(frame, meta)
			for _, e := range []era{legacy, modern} {
				ours, theirs := h.raw(e, "application/json", message), h.raw(e, "application/json; charset=utf-8", message)
				if ours != theirs {
					t.Errorf("%s, %s:\n%s\nours   %s\ntheirs %s", name, e, message, ours, theirs)
				}
			}
		}
	}
}

// raw is what an agent in a fresh episode gets for a message, and the steps it makes.
func (h *house) raw(e era, contentType, message string) string {
	o := h.open("sell-tea")
	w := dial(h.t, h.door(o.Key), "", e)
	q, err := http.NewRequestWithContext(h.t.Context(), "POST", w.url, strings.NewReader(message))
	must(h.t, err)
	q.Header = http.Header{"Content-Type": {contentType}, "Mcp-Protocol-Version": {string(e)}, "Mcp-Session-Id": {w.session}, "Mcp-Method": {"tools/call"}, "Mcp-Name": {"stock"}}
	r, err := http.DefaultClient.Do(q)
	must(h.t, err)
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	must(h.t, err)
	steps := ""
	for _, s := range h.record(o.Episode).Steps {
		steps += fmt.Sprint(s.Tool, string(s.Args), s.Key)
	}
	return fmt.Sprintf("%d %s %s %s", r.StatusCode, r.Header.Get("Content-Type"), body, steps)
}

// A session whose calls all take the short cut passes through the library often enough
// not to end as idle.
func TestShortcutKeepsSession(t *testing.T) {
	now := time.Now()
	x := new(session)
	if x.passedSince(now.Add(-time.Minute)) {
		t.Error("a session that the library never saw may take the short cut")
	}
	x.pass(now)
	if !x.passedSince(now.Add(-time.Minute)) || x.passedSince(now) {
		t.Error("a session may take the short cut for a while after the library saw it, and no longer")
	}
}

// A session for which a notification waits is brought it by its next call.
func TestShortcutBringsNotifications(t *testing.T) {
	h := newHouse(t, nil)
	o := h.open("sell-tea")
	w := dial(t, h.door(o.Key), "", legacy)
	w.call("stock", `{"thing":"tea"}`)
	_, err := h.gateway.Turn(t.Context(), o.Episode, "seven")
	must(t, err)
	for i, want := range []bool{true, false} {
		r := w.ask("tools/call", `{"name":"stock","arguments":{"thing":"tea"}}`)
		if got := strings.Contains(r.body, "list_changed"); got != want || r.read(t).text() != `{"thing":"tea","left":7}` {
			t.Errorf("call %d after the turn: %s", i+1, r.body)
		}
	}
}

func TestPlainOrNot(t *testing.T) {
	s, err := New(nil, nil)
	must(t, err)
	f := httptest.NewServer(newFixtures(t, s))
	defer f.Close()
	meta := `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}`
	good := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"test_simple_text",` + meta + `}}`
	w := dial(t, f.URL, "", modern)
	headers := func(name string) *wire {
		w.header = http.Header{"Mcp-Method": {"tools/call"}, "Mcp-Name": {name}}
		return w
	}
	for _, tt := range []struct {
		name, header, body string
		status             int
		want               string
	}{
		{"plain", "test_simple_text", good, 200, "simple text"},
		{"another name in the header", "test_error_handling", good, 400, "-32020"},
		{"an encoded name", "=?base64?dGVzdF9zaW1wbGVfdGV4dA==?=", good, 200, "simple text"},
		{"no version inside", "test_simple_text", strings.Replace(good, meta, `"_meta":{}`, 1), 400, "-32602"},
		{"another version inside", "test_simple_text", strings.Replace(good, "2026-07-28", "2025-11-25", 1), 400, "-32020"},
		{"no capabilities", "test_simple_text", strings.Replace(good, `,"io.modelcontextprotocol/clientCapabilities":{}`, "", 1), 400, "-32602"},
		{"another method inside", "test_simple_text", strings.Replace(good, "tools/call", "tools/list", 1), 400, "-32020"},
		{"no id", "test_simple_text", strings.Replace(good, `"id":1,`, "", 1), 202, ""},
		{"a header for an argument is missing", "test_x_mcp_header", strings.Replace(good, `"test_simple_text",`, `"test_x_mcp_header","arguments":{"region":"eu"},`, 1), 400, "-32020"},
		{"a capability is missing", "test_missing_capability", strings.Replace(good, "test_simple_text", "test_missing_capability", 1), 400, "-32021"},
	} {
		if r := headers(tt.header).post(tt.body); r.status != tt.status || !strings.Contains(r.body, tt.want) {
			t.Errorf("%s: %d %s, want %d %s", tt.name, r.status, r.body, tt.status, tt.want)
		}
	}
}

// Ids of requests are chosen by clients, so no client may cancel by id what another asked.
func TestCancelNothingOfOthers(t *testing.T) {
	for body, want := range map[string]bool{
		`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`:          true,
		`{"jsonrpc":"2.0","method":"notifications/\u0063ancelled","params":{"requestId":1}}`:     true,
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"cancelled"}}`:           false,
		`{"jsonrpc":"2.0","method":"notifications/other","params":{"reason":"cancelled","x":1}}`: false,
	} {
		q := &request{header: http.Header{"Mcp-Protocol-Version": {string(modern)}}, body: []byte(body)}
		if got := cancelsOthers(q); got != want {
			t.Errorf("%s: %v", body, got)
		}
		q.header.Set("Mcp-Protocol-Version", string(legacy))
		if cancelsOthers(q) {
			t.Errorf("%s: a session may cancel its own requests", body)
		}
	}
}

func TestCancelIsKeptOut(t *testing.T) {
	s, err := New(nil, nil)
	must(t, err)
	started, release := make(chan bool), make(chan bool)
	m := server.NewMCPServer("x", "1", server.WithToolCapabilities(false))
	m.AddTool(protocol.NewTool("wait"), func(ctx context.Context, _ protocol.CallToolRequest) (*protocol.CallToolResult, error) {
		started <- true
		<-release
		if ctx.Err() != nil {
			return failed("cancelled"), nil
		}
		return protocol.NewToolResultText("waited"), nil
	})
	d := s.newDoor(m)
	web := httptest.NewServer(s.chain(func(*http.Request) (*door, party, error) { return d, party{principal: "p"}, nil }))
	defer web.Close()
	for _, params := range []string{`{"name":"wait"}`, `{"name":"wait","_meta":{"progressToken":"full"}}`} {
		answer := make(chan string)
		go func() { answer <- dial(t, web.URL, "", modern).ask("tools/call", params).body }()
		<-started
		if r := dial(t, web.URL, "", modern).post(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`); r.status != http.StatusAccepted {
			t.Errorf("a notification: %d", r.status)
		}
		release <- true
		if got := <-answer; !strings.Contains(got, "waited") {
			t.Errorf("%s: %s", params, got)
		}
	}
}
