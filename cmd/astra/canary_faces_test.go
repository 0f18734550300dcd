package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/coder/websocket"
)

// calls are what a policy might try, over any protocol.
var canaryCalls = [][2]string{{"look", `{"q":"open"}`}, {"look", `{"q":"shut"}`}, {"order", `{"q":"one"}`}, {"none", `{}`}, {"look", `{"q":1}`}, {"look", `{"q":null}`},
	{"episode_turn", `{"reply":"ok"}`}, {"episode_turn", `{"reply":1}`}, {"episode_submit", `{"answer":"wrong"}`}, {"episode_submit", `{"answer":7}`}, {"look", `{"q":"open"}`}}

// faces plays a task over the protocols of other frameworks, badly.
func (w *birdwatcher) faces(task string) {
	w.nemoGym(task)
	w.ors(task)
	w.openEnv(task)
}

// face makes a request; header may be nil.
func (w *birdwatcher) face(method, path, body string, header map[string]string) []byte {
	w.Helper()
	_, answer := w.send(method, w.house.Faces+path, []byte(body), "", header)
	return answer
}

func (w *birdwatcher) nemoGym(task string) {
	const response = `"response":{"id":"r","object":"response","model":"m","created_at":0,"parallel_tool_calls":true,"tool_choice":"auto","tools":[],` +
		`"output":[{"type":"function_call","call_id":"c1","name":"look","arguments":"{\"q\":\"shut\"}"},{"type":"message","id":"m","role":"assistant","status":"completed","content":[{"type":"output_text","text":"wrong","annotations":[]}]}]}`
	row := `"responses_create_params":{"input":[{"role":"user","content":"Begin."}]},"verifier_metadata":{"arena":"cage","task":"` + task + `"}`
	for _, at := range []string{"", "/nemo-gym/cage"} {
		for _, path := range []string{"/", "/reverify_mode", "/none"} {
			w.face("GET", at+path, "", nil)
		}
		w.face("POST", at+"/verify", `{`+row+`,`+response+`}`, nil) // without a session: played again
		header := w.cookie(at+"/seed_session", `{`+row+`}`)
		for _, c := range canaryCalls {
			w.face("POST", at+"/"+c[0], c[1], header)
		}
		w.face("POST", at+"/mcp", `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`, map[string]string{"X-NeMo-Gym-Session-Token": header["token"], "Accept": "application/json, text/event-stream"})
		verified := w.face("POST", at+"/verify", `{`+row+`,`+response+`}`, header)
		w.face("POST", at+"/aggregate_metrics", fmt.Sprintf(`{"verify_responses":[%s]}`, verified), nil)
		w.face("POST", at+"/close_session", `{}`, header)
		header = w.cookie(at+"/reset", `{`+row+`}`)
		for range 3 {
			w.face("POST", at+"/step", `{`+row+`,`+response+`}`, header)
		}
		w.face("POST", at+"/close", `{}`, header)
		w.face("POST", at+"/seed_session", `{"resources_session_id":"r-`+task+at+`","episode_id":"e","task_id":"cage/`+task+`","task_data":{}}`, nil)
	}
}

// cookie begins a session, and returns what the next request of it has.
func (w *birdwatcher) cookie(path, body string) map[string]string {
	req, err := http.NewRequestWithContext(w.Context(), "POST", w.house.Faces+path, strings.NewReader(body))
	if err != nil {
		w.Fatal(err)
	}
	w.face("POST", path, body, nil) // one that is looked at, and left behind
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.Fatal(err)
	}
	defer resp.Body.Close()
	var seeded struct {
		MCP struct {
			Headers map[string]string `json:"headers"`
		} `json:"mcp"`
	}
	_ = json.NewDecoder(resp.Body).Decode(&seeded) // a refusal has none
	header := map[string]string{"token": seeded.MCP.Headers["X-NeMo-Gym-Session-Token"]}
	for _, c := range resp.Cookies() {
		header["Cookie"] = c.Name + "=" + c.Value
	}
	return header
}

func (w *birdwatcher) ors(task string) {
	var names []string
	if err := json.Unmarshal(w.face("GET", "/list_environments", "", nil), &names); err != nil || len(names) == 0 {
		w.Fatalf("environments: %v, %v", names, err)
	}
	for _, env := range append(names, "none") {
		w.face("GET", "/"+env+"/tools", "", nil)
		w.face("GET", "/"+env+"/splits", "", nil)
		for _, split := range []string{"train", "test", "none"} {
			w.face("POST", "/"+env+"/tasks", `{"split":"`+split+`"}`, nil)
			w.face("POST", "/"+env+"/num_tasks", `{"split":"`+split+`"}`, nil)
			w.face("POST", "/"+env+"/task", `{"split":"`+split+`","index":0}`, nil)
			w.face("POST", "/"+env+"/task_range", `{"split":"`+split+`"}`, nil)
		}
		stream := string(w.face("POST", "/create_session", "", nil))
		_, id, _ := strings.Cut(stream, "data: ")
		id, _, _ = strings.Cut(id, "\n")
		header := map[string]string{"X-Session-ID": strings.TrimSpace(id)}
		w.face("POST", "/create", `{"env_name":"`+env+`","task_spec":{"arena":"cage","task":"`+task+`","split":"train"}}`, header)
		w.face("GET", "/"+env+"/prompt", "", header)
		w.face("GET", "/"+env+"/task_tools", "", header)
		for _, c := range canaryCalls {
			w.face("POST", "/"+env+"/call", `{"name":"`+c[0]+`","input":`+c[1]+`}`, header)
		}
		w.face("POST", "/ping", "", header)
		w.face("POST", "/delete", "", header)
		w.face("POST", "/delete_session", "", header)
		w.face("GET", "/"+env+"/prompt", "", header)
	}
}

func (w *birdwatcher) openEnv(task string) {
	const at = "/openenv/cage"
	for _, path := range []string{"/health", "/metadata", "/schema", "/state", "/list_environments", "/cage/splits", "/none"} {
		w.face("GET", at+path, "", nil)
	}
	for _, path := range []string{"/cage/tasks", "/cage/num_tasks", "/cage/task", "/cage/task_range"} {
		w.face("POST", at+path, `{"split":"train","index":0}`, nil)
	}
	w.face("POST", at+"/reset", `{"task":"`+task+`"}`, nil)
	conn, _, err := websocket.Dial(w.Context(), "ws"+strings.TrimPrefix(w.house.Faces, "http")+at+"/ws", nil)
	if err != nil {
		w.Fatal(err)
	}
	defer func() { _ = conn.CloseNow() }()
	w.frame(conn, `{"type":"step","data":{"type":"list_tools"}}`)
	w.frame(conn, `{"type":"reset","data":{"task":"`+task+`"}}`)
	for _, c := range canaryCalls {
		action := `{"type":"call_tool","tool_name":"` + c[0] + `","arguments":` + c[1] + `}`
		w.face("POST", at+"/step", `{"action":`+action+`}`, nil)
		w.frame(conn, `{"type":"step","data":`+action+`}`)
		if c[0] != "episode_turn" { // the third message is what nobody may see
			w.frame(conn, `{"type":"mcp","data":{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"`+c[0]+`","arguments":`+c[1]+`}}}`)
		}
	}
	for _, message := range []string{`{"type":"state"}`, `{"type":"mcp","data":{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{}}}`, `{"type":"none"}`, `{`, `{"type":"reset","data":{"split":"test","index":9}}`} {
		w.frame(conn, message)
	}
	var made struct {
		Result struct {
			Session string `json:"session_id"`
		}
	}
	if err := json.Unmarshal(w.face("POST", at+"/mcp", `{"jsonrpc":"2.0","id":1,"method":"openenv/session/create","params":{}}`, nil), &made); err != nil {
		w.Fatal(err)
	}
	for _, call := range []string{`"tools/list","params":{"session_id":"%s"}`, `"tools/call","params":{"session_id":"%s","name":"look","arguments":{"q":"shut"}}`, `"initialize","params":{"session_id":"%s"}`, `"openenv/session/close","params":{"session_id":"%s"}`} {
		w.face("POST", at+"/mcp", `{"jsonrpc":"2.0","id":1,"method":`+fmt.Sprintf(call, made.Result.Session)+`}`, nil)
	}
}

// frame says something to a WebSocket, and looks at the answer.
func (w *birdwatcher) frame(conn *websocket.Conn, message string) {
	w.Helper()
	if err := conn.Write(w.Context(), websocket.MessageText, []byte(message)); err != nil {
		w.Fatal(err)
	}
	_, answer, err := conn.Read(w.Context())
	if err != nil {
		w.Fatalf("%s: %v", message, err)
	}
	w.look(message, answer, true)
}
