package openenv

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
	"github.com/astra-arenas/astra/httpapi/harness"
)

const (
	nuts      = `{"type":"observation","data":{"observation":{"tool_name":"stock","result":{"content":[{"type":"text","text":"{\"item\":\"nut\",\"left\":7}"}],"data":{"item":"nut","left":7},"is_error":false},"error":null},"reward":null,"done":false}}`
	submitted = `{"type":"observation","data":{"observation":{"tool_name":"episode_submit","result":{"content":[{"type":"text","text":"{\"submitted\":true}"}],"data":{"submitted":true},"is_error":false},"error":null},"reward":%v,"done":true}}`
)

// An episode over a WebSocket, from the first message to what comes after the last.
func TestEpisode(t *testing.T) {
	p := newPlace(t, nil, nil)
	l := p.dial("shop/ws")
	l.expect(`{"type":"state"}`, `{"type":"state","data":{"episode_id":null,"step_count":0}}`)
	l.expect(`{"type":"reset","data":{"task":"count","episode_id":"mine","unheard_of":1}}`,
		`{"type":"observation","data":{"observation":{"prompt":"How many nuts are left?","task":"count","metadata":{"prompt":"How many nuts are left?","task":"count"}},"reward":null,"done":false}}`)
	l.expect(call("stock", `{"item":"nut"}`), nuts)
	l.expect(`{"type":"step","data":{"tool_name":"stock","arguments":{"item":"nut"},"metadata":{}}}`, nuts)
	l.expect(`{"type":"state"}`, `{"type":"state","data":{"episode_id":"mine","step_count":2,"task":"count","status":"open"}}`)
	l.expect(call("episode_submit", `{"answer":"7"}`), fmt.Sprintf(submitted, 0.6666666666666666))
	l.expect(call("episode_submit", `{"answer":"7"}`), fmt.Sprintf(submitted, 0.6666666666666666)) // its answer was lost
	for _, m := range []string{call("stock", `{"item":"nut"}`), call("episode_submit", `{"answer":"8"}`)} {
		if got := l.ask(m); !strings.Contains(got, "the episode is over") || !strings.Contains(got, `"reward":null,"done":true`) {
			t.Errorf("after the end: %s", got)
		}
	}
	if e := p.episodes()[0]; len(p.episodes()) != 1 || e.Mode != astra.Train || *e.Reward != 2./3 {
		t.Errorf("episodes %+v", p.episodes())
	}
}

func TestTurns(t *testing.T) {
	p := newPlace(t, nil, nil)
	l := p.dial("shop/ws")
	l.ask(`{"type":"reset","data":{"task":"restock"}}`)
	for _, without := range []string{`"name":"order"`} {
		if got := l.ask(`{"type":"step","data":{"type":"list_tools"}}`); strings.Contains(got, without) || !strings.Contains(got, turnTool) {
			t.Errorf("tools of the first turn: %s", got)
		}
	}
	if got := l.ask(call("order", `{"item":"bolt","quantity":200}`)); !strings.Contains(got, toolNotFound) {
		t.Errorf("a tool of the next turn: %s", got)
	}
	if got := l.ask(call("episode_turn", `{"reply":"5"}`)); !strings.Contains(got, `"data":{"turn":2,"message":"Order 200 canary-turn.","tools_added":["order"],"done":false}`) {
		t.Errorf("the next turn: %s", got)
	}
	if got := l.ask(`{"type":"step","data":{"type":"list_tools"}}`); !strings.Contains(got, `"name":"order"`) {
		t.Errorf("tools of the second turn: %s", got)
	}
	l.ask(`{"type":"reset","data":{"task":"count"}}`)
	if got := l.ask(call("episode_turn", `{}`)); !strings.Contains(got, toolNotFound) {
		t.Errorf("a task of one message has turns: %s", got)
	}
}

// Whatever a client sends is answered with its code, and the session goes on.
func TestErrors(t *testing.T) {
	p := newPlace(t, nil, nil)
	l := p.dial("shop/ws")
	l.ask(`{"type":"reset","data":{"task":"count"}}`)
	for message, want := range map[string]string{
		`{`:                                 `"code":"INVALID_JSON"`,
		`[1]`:                               `"code":"VALIDATION_ERROR"`,
		`{}`:                                `"code":"UNKNOWN_TYPE"`,
		`{"type":"dance"}`:                  `"code":"UNKNOWN_TYPE"`,
		`{"type":"step"}`:                   `"errors":[{"type":"missing","loc":["data"],"msg":"Field required"}]`,
		`{"type":"state","data":{}}`:        `"errors":[{"type":"extra_forbidden","loc":["data"]`,
		`{"type":"step","data":{}}`:         `"loc":["tool_name"]`,
		`{"type":"step","data":{"type":1}}`: `"loc":["type"]`,
		`{"type":"step","data":{"type":"call_tool","tool_name":"stock","args":{}}}`:     `"loc":["args"]`,
		`{"type":"step","data":{"type":"call_tool","tool_name":"stock","arguments":1}}`: `"loc":["arguments"]`,
		`{"type":"reset","data":{"seed":-1}}`:                                           `"loc":["seed"]`,
		`{"type":"reset","data":{"split":"train","index":3}}`:                           `Invalid task index`,
		`{"type":"reset","data":{"split":"dev"}}`:                                       `no task of this split`,
		`{"type":"reset","data":{"task":"none"}}`:                                       `no such task`,
		call("none", `{}`):                        `"error_type":"tool_not_found"`,
		call("stock", `{"item":1}`):               `"error_type":"invalid_args"`,
		call("stock", `{"item":"nut","n":NaN}`):   `"error_type":"invalid_args"`,
		call("", `{}`):                            `"error_type":"tool_not_found"`,
		call("stock", `{"item":"rocket"}`):        `"error_type":"execution_error"`,
		call("episode_submit", `{"answer":7}`):    `"error_type":"invalid_args"`,
		call("episode_submit", `{"answers":"7"}`): `"error_type":"invalid_args"`,
	} {
		if got := l.ask(message); !strings.Contains(got, want) {
			t.Errorf("%s\n got %s\nwant %s", message, got, want)
		}
	}
	l.expect(call("stock", `{"item":"nut"}`), nuts)
	for range 6 {
		l.ask(call("stock", `{"item":"nut"}`))
	}
	l.ask(`{"type":"reset","data":{"task":"restock"}}`)
	for range 6 {
		l.ask(call("stock", `{"item":"nut"}`))
	}
	if got := l.ask(call("stock", `{"item":"nut"}`)); !strings.Contains(got, "the call budget is spent") || !strings.Contains(got, `"done":false`) {
		t.Errorf("beyond the budget: %s", got)
	}
}

// A model that says more than is taken must still be scored.
func TestLongAnswer(t *testing.T) {
	p := newPlace(t, nil, nil)
	l := p.dial("shop/ws")
	l.ask(`{"type":"reset","data":{"task":"count"}}`)
	l.expect(call("episode_submit", `{"answer":"`+strings.Repeat("7", harness.MaxText+1)+`"}`), fmt.Sprintf(submitted, 0))
}

// Without a task a seed picks one, and nothing the first.
func TestChoice(t *testing.T) {
	p := newPlace(t, nil, nil)
	l := p.dial("shop/ws")
	for choice, want := range map[string]string{
		`{}`: "restock", `{"seed":1}`: "count", `{"seed":4}`: "count", `{"seed":18446744073709551615}`: "restock",
		`{"split":"test"}`: "held", `{"split":"test","seed":5}`: "held", `{"split":"train","index":1,"seed":5}`: "count", `{"index":2}`: "broken",
		`{"task":"held","split":"train","index":0}`: "held",
	} {
		if got := l.ask(`{"type":"reset","data":` + choice + `}`); !strings.Contains(got, `"task":"`+want+`"`) {
			t.Errorf("%s: %s, want task %s", choice, got, want)
		}
	}
	if e := p.episodes()[0]; e.Task == "held" && e.Mode != astra.Eval {
		t.Errorf("a task of the test split is trained on: %+v", e)
	}
}

// An episode without a score is an error, never a reward.
func TestNoScore(t *testing.T) {
	p := newPlace(t, nil, nil)
	l := p.dial("shop/ws")
	l.ask(`{"type":"reset","data":{"task":"broken"}}`)
	for range 2 {
		l.expect(call("episode_submit", `{}`), `{"type":"error","data":{"message":"the episode has no score (invalid, fault verifier): do not train on it; reset begins another","code":"EXECUTION_ERROR"}}`)
	}
	l.ask(`{"type":"reset","data":{"task":"count"}}`)
	must(t, p.gw.Abort(t.Context(), p.episodes()[0].Episode, "by its operator"))
	for _, m := range []string{call("stock", `{"item":"nut"}`), call("episode_submit", `{"answer":"7"}`)} {
		l.expect(m, `{"type":"error","data":{"message":"the episode has no score (aborted): do not train on it; reset begins another","code":"EXECUTION_ERROR"}}`)
	}
}

// Nothing that a session may do, or a client fail to do, leaves an episode open.
func TestNothingLeaks(t *testing.T) {
	p := newPlace(t, nil, nil)
	for _, leave := range []func(*line){
		func(l *line) { l.send(`{"type":"close"}`); l.read() },
		func(l *line) { _ = l.conn.Close(1000, "") },
		func(l *line) { _ = l.conn.CloseNow() },
		func(l *line) { l.send(call("stock", `{"item":"nut"}`)); _ = l.conn.CloseNow() },
		func(l *line) { l.send(strings.Repeat(" ", maxMessage+1)); l.read() },
	} {
		l := p.dial("shop/ws")
		l.ask(`{"type":"reset"}`)
		l.ask(`{"type":"reset"}`)
		leave(l)
		p.settled()
	}
	p.do("POST", "shop/reset", `{"split":"test"}`)
	p.do("POST", "shop/step", `{"action":{"tool_name":"stock","arguments":{"item":"nut"}},"task":"count"}`)
	p.do("POST", "shop/mcp", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"stock","arguments":{"item":"nut"}}}`)
	p.settled()
	if n := len(p.episodes()); n != 5*2+3 {
		t.Errorf("%d episodes, want 13", n)
	}
}

func TestCapacity(t *testing.T) {
	p := newPlace(t, &Options{MaxSessions: 2}, &gateway.Options{MaxOpen: 1})
	one, two := p.dial("shop/ws"), p.dial("shop/ws")
	one.ask(`{"type":"state"}`)
	two.ask(`{"type":"state"}`)
	three := p.dial("shop/ws")
	if got := three.ask(`{"type":"reset"}`); got != `{"type":"error","data":{"message":"Server at capacity: 2/2 sessions active","code":"CAPACITY_REACHED","active_sessions":2,"max_sessions":2}}` || three.read() != "" {
		t.Errorf("a third session: %s", got)
	}
	p.expect(200, `{"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"Server at capacity: 2/2 sessions active","data":{"active_sessions":2,"max_sessions":2}}}`,
		"POST", "shop/mcp", `{"jsonrpc":"2.0","id":1,"method":"openenv/session/create"}`)
	if code, header, _ := p.do("POST", "shop/reset", ""); code != 429 || header.Get("Retry-After") == "" {
		t.Errorf("reset: %d %v", code, header)
	}
	one.ask(`{"type":"reset"}`)
	if got := two.ask(`{"type":"reset"}`); !strings.Contains(got, `"code":"CAPACITY_REACHED","active_sessions":1,"max_sessions":1`) {
		t.Errorf("no room for an episode: %s", got)
	}
	one.expect(call("episode_submit", `{}`), fmt.Sprintf(submitted, 0))
	if got := two.ask(`{"type":"reset"}`); !strings.Contains(got, `"prompt"`) {
		t.Errorf("there is room again: %s", got)
	}
}

// A session that nobody uses ends, with what it plays and with its connection.
func TestIdle(t *testing.T) {
	p := newPlace(t, &Options{Idle: 20 * time.Millisecond}, nil)
	l := p.dial("shop/ws")
	l.ask(`{"type":"reset"}`)
	if got := l.read(); got != `{"type":"error","data":{"message":"the session was idle for 20ms","code":"SESSION_ERROR"}}` || l.read() != "" {
		t.Errorf("an idle connection: %s", got)
	}
	p.do("POST", "shop/mcp", `{"jsonrpc":"2.0","id":1,"method":"openenv/session/create"}`)
	p.settled()
}

func TestClose(t *testing.T) {
	p := newPlace(t, nil, nil)
	l := p.dial("shop/ws")
	l.ask(`{"type":"reset"}`)
	p.Close()
	p.settled()
	if got := l.read(); !strings.Contains(got, `"message":"this server is closing","code":"SESSION_ERROR"`) {
		t.Errorf("closing: %s", got)
	}
	if got := p.dial("shop/ws").ask(`{"type":"reset"}`); !strings.Contains(got, "this server is closing") {
		t.Errorf("closed: %s", got)
	}
}

func TestHTTP(t *testing.T) {
	p := newPlace(t, nil, nil)
	const spec1, spec2, spec3 = `{"id":"restock","split":"train","index":0,"title":"Restock the bolts","difficulty":2}`, `{"id":"count","split":"train","index":1}`, `{"id":"broken","split":"train","index":2}`
	for _, q := range []struct {
		method, path, body string
		status             int
		want               string
	}{
		{"GET", "shop/health", "", 200, `{"status":"healthy"}`},
		{"GET", "none/health", "", 404, `{"detail":"there is no such environment, or no more; /openenv/ARENA names one that is served"}`},
		{"GET", "shop/metadata", "", 200, `{"name":"shop","description":"Shelves of bolts, for tests of the control side.","readme_content":null,"version":"1.0.0","author":null,"documentation_url":null}`},
		{"GET", "shop/state", "", 200, `{"episode_id":null,"step_count":0}`},
		{"GET", "shop/schema", "", 200, compact(t, string(schemas))},
		{"GET", "shop/nothing", "", 404, `{"detail":"there is no such path; an environment's URL is that of the faces with /openenv/ARENA"}`},
		{"POST", "shop/reset", "", 200, `{"observation":{"prompt":"How many bolts are left?","task":"restock","metadata":{"prompt":"How many bolts are left?","task":"restock"}},"reward":null,"done":false}`},
		{"POST", "shop/reset", `{"seed":-1}`, 422, `{"detail":[{"type":"int_type","loc":["body","seed"],"msg":"Input should be a valid integer, and not below 0"}]}`},
		{"POST", "shop/reset", `{`, 422, `{"detail":[{"type":"json_invalid","loc":["body"],"msg":"JSON decode error"}]}`},
		{"POST", "shop/step", `{}`, 422, `{"detail":[{"type":"missing","loc":["body","action"],"msg":"Field required"}]}`},
		{"POST", "shop/step", `{"action":{},"timeout_s":0}`, 422, `{"detail":[{"type":"greater_than","loc":["body","timeout_s"],"msg":"Input should be greater than 0"}]}`},
		{"POST", "shop/step", `{"action":{"type":"call_tool"}}`, 422, `{"detail":[{"type":"missing","loc":["body","action","tool_name"],"msg":"Field required"}]}`},
		{"POST", "shop/step", `{"action":{"tool_name":"label","arguments":{"item":"nut"}},"timeout_s":3,"request_id":"r"}`, 200,
			`{"observation":{"tool_name":"label","result":{"content":[{"type":"text","text":"\u003cnut\u003e \u0026 co"}],"data":"\u003cnut\u003e \u0026 co","is_error":false},"error":null},"reward":null,"done":false}`},
		{"POST", "shop/reset", strings.Repeat(" ", maxMessage+1), 413, `{"detail":"the body has more than 1048576 bytes"}`},
		{"GET", "shop/list_environments", "", 200, `["shop"]`},
		{"GET", "shop/shop/splits", "", 200, `[{"name":"train","type":"train"},{"name":"test","type":"test"}]`},
		{"GET", "shop/other/splits", "", 404, `{"detail":"unknown environment \"other\": it is shop"}`},
		{"POST", "shop/Shop/tasks", `{"split":"train"}`, 200, `{"env_name":"shop","tasks":[` + spec1 + `,` + spec2 + `,` + spec3 + `]}`},
		{"POST", "shop/shop/tasks", `{"split":"dev"}`, 400, `{"detail":"there is no task of split \"dev\""}`},
		{"POST", "shop/shop/tasks", `{}`, 422, `{"detail":[{"type":"missing","loc":["body","split"],"msg":"Field required"}]}`},
		{"POST", "shop/shop/num_tasks", `{"split":"train"}`, 200, `{"num_tasks":3}`},
		{"POST", "shop/shop/task", `{"split":"train","index":1}`, 200, `{"task":` + spec2 + `}`},
		{"POST", "shop/shop/task", `{"split":"train","index":3}`, 400, `{"detail":"Invalid task index"}`},
		{"POST", "shop/shop/task", `{"split":"train"}`, 422, `{"detail":[{"type":"missing","loc":["body","index"],"msg":"Field required"}]}`},
		{"POST", "shop/shop/task_range", `{"split":"train","start":1}`, 200, `{"tasks":[` + spec2 + `,` + spec3 + `]}`},
		{"POST", "shop/shop/task_range", `{"split":"train","start":-1,"stop":9}`, 200, `{"tasks":[` + spec3 + `]}`},
		{"POST", "shop/shop/task_range", `{"split":"train","start":2,"stop":1}`, 200, `{"tasks":[]}`},
		{"GET", "shop/mcp", "", 405, `{"detail":"Method Not Allowed: without session_id, POST a request of JSON-RPC"}`},
	} {
		p.expect(q.status, q.want, q.method, q.path, q.body)
	}
	if code, _, _ := p.do("GET", "shop/health", "", func(r *http.Request) { r.Header.Set("Origin", "http://evil.example") }); code != 403 {
		t.Errorf("a page asks: %d", code)
	}
}

// Before a reset all tools are listed, after it those in view.
func TestTools(t *testing.T) {
	p := newPlace(t, nil, nil)
	l := p.dial("inventory/ws")
	names := func() (all []string) {
		t.Helper()
		var m struct {
			Data struct{ Observation listed }
		}
		must(t, json.Unmarshal([]byte(l.ask(`{"type":"step","data":{"type":"list_tools"}}`)), &m))
		for _, tool := range m.Data.Observation.Tools {
			all = append(all, tool.Name)
		}
		return all
	}
	all := strings.Join(names(), " ")
	l.ask(`{"type":"reset","data":{"task":"electrical-range"}}`)
	some := names()
	for _, name := range append(some, "find_place", "find_items") {
		if !strings.Contains(all, name) {
			t.Errorf("%s is in view, and was not listed before", name)
		}
	}
	if strings.Contains(strings.Join(some, " "), "list_destinations") || !strings.Contains(all, "list_destinations") || !strings.Contains(all, turnTool) {
		t.Errorf("all %s\nin view %v", all, some)
	}
}

// What comes while too many large bodies do finds no room, too.
func TestNoRoomForBodies(t *testing.T) {
	p := newPlace(t, nil, nil)
	full := harness.Bodies(p.Handler(), 1)
	for path, want := range map[string]int{"/shop/reset": 429, "/shop/mcp": 429, "/shop/shop/tasks": 429} {
		w := httptest.NewRecorder()
		full.ServeHTTP(w, httptest.NewRequest("POST", path, strings.NewReader(strings.Repeat(" ", maxMessage))))
		if w.Code != want || w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), "Server at capacity: 0/") {
			t.Errorf("%s: %d %v %s", path, w.Code, w.Header(), w.Body)
		}
	}
}

// Messages share the room of bodies: each takes it, and leaves it whatever becomes of its line.
func TestRoomForMessages(t *testing.T) {
	p := newPlace(t, nil, nil)
	p.web = httptest.NewServer(http.StripPrefix("/openenv", harness.Bodies(p.Handler(), maxMessage)))
	t.Cleanup(p.web.Close)
	wide := func(n int) string { return `{"type":"state"` + strings.Repeat(" ", n) + `}` }
	for _, leave := range []func(*line){
		func(l *line) { l.ask(wide(maxMessage - 100)) },
		func(l *line) { l.send(wide(maxMessage / 2)) },
		func(l *line) { l.send(wide(maxMessage)); l.read() },
		func(l *line) {
			for range 3 {
				_ = l.conn.Write(t.Context(), websocket.MessageText, []byte(wide(maxMessage/2))) // the line may be lost
			}
		},
		func(l *line) { l.ask(wide(maxMessage / 2)); l.ask(wide(maxMessage / 2)) },
	} {
		l := p.dial("shop/ws")
		if got := l.ask(`{"type":"reset"}`); !strings.Contains(got, `"observation"`) {
			t.Fatalf("reset: %s", got)
		}
		leave(l)
		_ = l.conn.CloseNow()
		p.settled()
		if code, _, got := p.do("POST", "shop/reset", "{"+strings.Repeat(" ", maxMessage-100)+"}"); code != 200 {
			t.Errorf("a body after it: %d %s", code, got)
		}
	}
}

// A message that nobody comes to answer leaves its room too.
func TestRoomOfQueued(t *testing.T) {
	p := newPlace(t, nil, nil)
	answer := make(chan struct{})
	silent := func(context.Context, *session, []byte) any { <-answer; return nil }
	p.web = httptest.NewServer(harness.Bodies(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "POST" {
			if _, err := harness.ReadBody(r, 2*maxMessage); err != nil {
				http.Error(w, err.Error(), http.StatusTooManyRequests)
			}
			return
		}
		r.SetPathValue("arena", "shop")
		p.serveSocket(w, r, silent, nil)
	}), 2*maxMessage))
	t.Cleanup(p.web.Close)
	l := p.dial("shop/ws")
	reading := l.conn.CloseRead(t.Context()) // a pong is read by who reads
	for range 2 {
		l.send(strings.Repeat(" ", maxMessage))
	}
	must(t, l.conn.Ping(t.Context())) // both messages were read when it is answered
	close(answer)
	<-reading.Done()
	p.settled()
	if code, _, got := p.do("POST", "", strings.Repeat(" ", 2*maxMessage)); code != 200 {
		t.Errorf("a body that wants all room: %d %s", code, got)
	}
}
