package openenv

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/agent"
)

// rpc asks /mcp over HTTP.
func (p *place) rpc(method, params string) string {
	p.t.Helper()
	code, _, text := p.do("POST", "shop/mcp", `{"jsonrpc":"2.0","id":7,"method":"`+method+`","params":`+params+`}`)
	if code != 200 || !strings.HasPrefix(text, `{"jsonrpc":"2.0","id":7,`) {
		p.t.Errorf("%s: %d %s", method, code, text)
	}
	return text
}

// create makes a session over HTTP and returns its id.
func (p *place) create() string {
	p.t.Helper()
	var reply struct {
		Result struct {
			ID string `json:"session_id"`
		}
	}
	must(p.t, json.Unmarshal([]byte(p.rpc("openenv/session/create", "{}")), &reply))
	return reply.Result.ID
}

// A session over HTTP, as OpenEnv's client of MCP has it in production mode.
func TestMCPSession(t *testing.T) {
	p := newPlace(t, nil, nil)
	id := p.create()
	with := `"session_id":"` + id + `"`
	if got := p.rpc("tools/list", "{"+with+"}"); !strings.Contains(got, `"inputSchema":{"type":"object"`) || !strings.Contains(got, submitTool) {
		t.Errorf("tools: %s", got)
	}
	l := p.dial("shop/ws?session_id=" + id)
	l.ask(`{"type":"reset","data":{"task":"count"}}`)
	if got := p.rpc("tools/call", `{"name":"stock","arguments":{"item":"nut"},`+with+`}`); !strings.Contains(got, `"result":{"content":[{"type":"text","text":"{\"item\":\"nut\",\"left\":7}"}],"data":{"item":"nut","left":7},"is_error":false}`) {
		t.Errorf("call: %s", got)
	}
	if got := p.dial("shop/ws?session_id=" + id).read(); !strings.Contains(got, "SESSION_ERROR") {
		t.Errorf("two sockets in a session: %s", got)
	}
	if got := p.dial("inventory/ws?session_id=" + id).ask(`{"type":"state"}`); !strings.Contains(got, "Unknown session_id") {
		t.Errorf("the session at another arena: %s", got)
	}
	for args, code := range map[string]string{`"name":"none"`: "-32602", `"name":"stock"`: "-32602", `"name":"stock","arguments":{"item":"rocket"}`: "-32603", `"arguments":{}`: "-32602", `"name":"stock","arguments":[]`: "-32602"} {
		if got := p.rpc("tools/call", "{"+args+","+with+"}"); !strings.Contains(got, `"error":{"code":`+code) {
			t.Errorf("%s: %s", args, got)
		}
	}
	if got := p.rpc("tools/call", `{"name":"episode_submit","arguments":{"answer":"7"},`+with+`}`); !strings.Contains(got, `"data":{"submitted":true}`) || strings.Contains(got, "reward") {
		t.Errorf("submit: %s", got)
	}
	if got := l.ask(call("episode_submit", `{"answer":"7"}`)); !strings.Contains(got, `"reward":0.`) {
		t.Errorf("the reward is the harness's: %s", got)
	}
	if got := p.rpc("openenv/session/close", "{"+with+"}"); got != `{"jsonrpc":"2.0","id":7,"result":{"session_id":"`+id+`","closed":false,"closing":true}}` {
		t.Errorf("close while a socket is in it: %s", got)
	}
	_ = l.conn.Close(websocket.StatusNormalClosure, "")
	p.settled()
	for _, method := range []string{"openenv/session/close", "tools/list", "tools/call"} {
		if got := p.rpc(method, "{"+with+"}"); !strings.Contains(got, `"code":-32602,"message":"Unknown session_id: `) {
			t.Errorf("%s of a session that ended: %s", method, got)
		}
	}
	id = p.create()
	p.rpc("tools/call", `{"name":"stock","arguments":{"item":"nut"},"session_id":"`+id+`"}`)
	if got := p.rpc("openenv/session/close", `{"session_id":"`+id+`"}`); got != `{"jsonrpc":"2.0","id":7,"result":{"session_id":"`+id+`","closed":true}}` {
		t.Errorf("close: %s", got)
	}
	p.settled()
}

func TestMCPMessages(t *testing.T) {
	p := newPlace(t, nil, nil)
	for body, want := range map[string]string{
		`{`:  `{"jsonrpc":"2.0","id":null,"error":{"code":-32700,`,
		`[]`: `"code":-32600`,
		`{"id":"x","jsonrpc":"1.0","method":"tools/list"}`:                                                    `{"jsonrpc":"2.0","id":"x","error":{"code":-32600,`,
		`{"id":1.5,"jsonrpc":"2.0","method":"tools/list"}`:                                                    `"id":null,"error":{"code":-32600,`,
		`{"id":1,"jsonrpc":"2.0","method":"tools/list","more":1}`:                                             `"id":1,"error":{"code":-32600,`,
		`{"id":1,"jsonrpc":"2.0","method":"initialize","params":{}}`:                                          `"code":-32601,"message":"Method not found: initialize; other methods of MCP are answered at /mcp?session_id=`,
		`{"id":1,"jsonrpc":"2.0","method":"openenv/session/close"}`:                                           `"code":-32602`,
		`{"id":1,"jsonrpc":"2.0","method":"tools/list","params":{"session_id":1}}`:                            `"code":-32602`,
		`{"id":1,"jsonrpc":"2.0","method":"tools/list"}`:                                                      `"result":{"tools":[`,
		`{"id":1,"jsonrpc":"2.0","method":"tools/call","params":{"name":"stock","arguments":{"item":"nut"}}}`: `"left":7`,
	} {
		if _, _, got := p.do("POST", "shop/mcp", body); !strings.Contains(got, want) {
			t.Errorf("%s\n got %s\nwant %s", body, got, want)
		}
	}
	l := p.dial("shop/mcp")
	for range 2 { // both calls are in one session
		l.ask(`{"id":1,"jsonrpc":"2.0","method":"tools/call","params":{"name":"order","arguments":{"item":"nut","quantity":1}}}`)
	}
	if got := l.ask(`{"id":1,"jsonrpc":"2.0","method":"tools/call","params":{"name":"stock","arguments":{"item":"bolt"}}}`); !strings.Contains(got, `"left":5`) {
		t.Errorf("over a WebSocket: %s", got)
	}
	if got := l.ask(`{"id":1,"jsonrpc":"2.0","method":"openenv/session/create"}`); !strings.Contains(got, `"session_id":"`) {
		t.Errorf("a WebSocket's own session: %s", got)
	}
	w := p.dial("shop/ws")
	if got := w.ask(`{"type":"mcp","data":{"id":1,"jsonrpc":"2.0","method":"tools/list"}}`); !strings.HasPrefix(got, `{"type":"mcp","data":{"jsonrpc":"2.0","id":1,"result":{"tools":[`) {
		t.Errorf("over /ws: %s", got)
	}
	_ = l.conn.Close(websocket.StatusNormalClosure, "")
	_ = w.conn.Close(websocket.StatusNormalClosure, "")
	p.settled()
}

// A client of real MCP, of either era, plays in a session by its URL, and is told no reward.
func TestAgentsDoor(t *testing.T) {
	p := newPlace(t, nil, nil)
	for _, legacy := range []bool{true, false} {
		id := p.create()
		l := p.dial("shop/ws?session_id=" + id)
		l.ask(`{"type":"reset","data":{"task":"count"}}`)
		door, err := agent.Dial(t.Context(), p.base("shop")+"/mcp?session_id="+id, "", &agent.DoorOptions{Legacy: legacy})
		must(t, err)
		tools, err := door.Tools(t.Context())
		must(t, err)
		for _, tool := range tools {
			if strings.HasPrefix(tool.Name, "episode_") {
				t.Errorf("an agent has %s", tool.Name)
			}
		}
		out, err := door.Call(t.Context(), "stock", json.RawMessage(`{"item":"nut"}`))
		if err != nil || string(out.Value) != `{"item":"nut","left":7}` {
			t.Errorf("legacy %v: %+v, %v", legacy, out, err)
		}
		must(t, door.Close())
		l.expect(call("episode_submit", `{"answer":"7"}`), `{"type":"observation","data":{"observation":{"tool_name":"episode_submit","result":{"content":[{"type":"text","text":"{\"submitted\":true}"}],"data":{"submitted":true},"is_error":false},"error":null},"reward":1,"done":true}}`)
		p.rpc("openenv/session/close", `{"session_id":"`+id+`"}`)
		_ = l.conn.Close(websocket.StatusNormalClosure, "")
	}
	p.settled()
	if code, _, _ := p.do("POST", "shop/mcp?session_id=none", `{}`); code != 404 {
		t.Errorf("no session: %d", code)
	}
	if e := p.episodes(); len(e) != 2 || e[0].Status != astra.StatusScored {
		t.Errorf("episodes %+v", e)
	}
}

// Pings are answered while a call is worked on.
func TestPing(t *testing.T) {
	p := newPlace(t, nil, nil)
	id := p.create()
	l := p.dial("shop/ws?session_id=" + id)
	l.ask(`{"type":"reset","data":{"task":"count"}}`)
	in, err := p.table.find("shop", id)
	must(t, err)
	in.work.Lock() // as a long call does
	l.send(call("stock", `{"item":"nut"}`))
	answers := make(chan string)
	go func() { answers <- l.read() }()
	must(t, l.conn.Ping(t.Context()))
	in.work.Unlock()
	if got := <-answers; got != nuts {
		t.Errorf("answer %s", got)
	}
	in.work.Lock()
	for range maxQueued + 3 { // one is worked on, and one may be on its way
		_ = l.conn.Write(t.Context(), websocket.MessageText, []byte(`{"type":"state"}`))
	}
	if _, _, err := l.conn.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusPolicyViolation {
		t.Errorf("a client that does not wait for answers: %v", err)
	}
	in.work.Unlock()
	in.close()
	p.settled()
}
