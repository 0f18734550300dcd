package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A canary stands in every field that no door may show. Its text is unlike anything else.
const canaryTools = `// CANARY-code
let world = {}, secret = "";
export function setup(scenario, host) {
  secret = host.data("secret.txt");
  if (scenario && scenario.boom) throw new Error("no world for " + scenario.boom);
  world = { x: scenario && scenario.x ? 1 : 0, orders: [] };
}
export function look({ q }) { if (q !== "open") throw new Error("nothing is known of " + q); return { found: true }; }
export function order({ q }) { world.orders.push(q); return { done: secret.length }; }
export function state() { return { x: world.x, n: world.orders.length }; }
`

const canaryManifest = `name: cage
version: 1.0.0
title: Cage
description: An arena with canaries.
domain: test
license: Apache-2.0
runtime: javascript
entry: tools.js
tools:
  - {name: look, title: Look, description: Looks., input: {type: object, properties: {q: {type: string}}, required: [q]}}
  - {name: order, title: Order, description: Orders., input: {type: object, properties: {q: {type: string}}, required: [q]}}
failures: {rate: 0.0031415926}
provenance: {from: CANARY-provenance}
`

// Tasks that go wrong in every way that could make an error quote what is hidden.
var canaryTasks = []string{
	`{"id":"plain","seed":770077007700,"turns":[{"prompt":"Begin."},{"prompt":"Go on."},{"prompt":"CANARY-turn"}],"user":{"turns":5,"persona":"CANARY-persona","goal":"CANARY-goal","facts":{"CANARY-fact":"CANARY-told"},"next":["CANARY-next"]},"scenario":{"x":"CANARY-scenario"},
	  "subtasks":[{"id":"s1","question":"CANARY-question","tool":"look","answer":"CANARY-answer","at":"/CANARY-at"},
	              {"id":"s2","question":"CANARY-question2","tool":"order","solved":"step.args.q == 'CANARY-solved' || step.value['CANARY-key'] == 1","depends_on":["s1"]}],
	  "gold":[[{"tool":"order","args":{"q":"CANARY-gold"}}]],"answer":{"expected":"CANARY-expected"},
	  "verify":{"v1":"answer == 'CANARY-verify' && state.n == 77","v2":"state['CANARY-state'] == 1","v3":"steps.all(s, s.tool == 'CANARY-all')","v4":"gold.steps[0].args.q == answer"}}`,
	`{"id":"alone","seed":770077007700,"turns":[{"prompt":"Begin."},{"prompt":"Go on."},{"prompt":"CANARY-turn"}],"scenario":{"x":"CANARY-scenario"},
	  "subtasks":[{"id":"s1","question":"CANARY-question","tool":"look","answer":"CANARY-answer","at":"/CANARY-at"},
	              {"id":"s2","question":"CANARY-question2","tool":"order","solved":"step.args.q == 'CANARY-solved' || step.value['CANARY-key'] == 1","depends_on":["s1"]}],
	  "gold":[[{"tool":"order","args":{"q":"CANARY-gold"}}]],"answer":{"expected":"CANARY-expected"},
	  "verify":{"v1":"answer == 'CANARY-verify' && state.n == 77","v2":"state['CANARY-state'] == 1","v3":"steps.all(s, s.tool == 'CANARY-all')","v4":"gold.steps[0].args.q == answer"}}`,
	`{"id":"invalid","turns":[{"prompt":"Begin."}],"gold":[[{"tool":"order","args":{"q":"CANARY-gold2"}}]],"verify":{"v":"gold.state['CANARY-goldkey'] == 1"}}`,
	`{"id":"constant","turns":[{"prompt":"Begin."}],"verify":{"v":"int(task.id + 'CANARY-int') > size(steps)"}}`,
	`{"id":"goldfails","turns":[{"prompt":"Begin."}],"gold":[[{"tool":"look","args":{"q":"CANARY-gold3"}}]],"verify":{"v":"state == gold.state"}}`,
	`{"id":"boom","turns":[{"prompt":"Begin."}],"scenario":{"boom":"CANARY-boom"},"verify":{"v":"true"}}`,
	`{"id":"answered","turns":[{"prompt":"Begin."}],"answer":{"verify":"answer.matches(task.id + 'CANARY-regexp[') || answer == 'x'"}}`,
	`{"id":"flaky","turns":[{"prompt":"Begin."}],"answer":{"expected":"done"},"failures":{"rate":0.9931415926,"kinds":["timeout","unreachable"]}}`,
	`{"id":"tested","split":"test","turns":[{"prompt":"Begin."}],"answer":{"expected":["CANARY-list"],"compare":{"as":"set"}}}`,
}

var canary = regexp.MustCompile(`CANARY-[a-z0-9]*|770077007700`)

// plans are known on the control side; an agent must not tell a planned failure from another.
var plans = regexp.MustCompile(`31415926|(?i)injected|planned|"failures"`)

// A birdwatcher keeps every byte that any door answers.
type birdwatcher struct {
	*testing.T
	house    *house
	explorer string
	seen     int
	failed   bool // an agent met a planned failure
}

func TestCanaries(t *testing.T) {
	w := cage(t)
	w.control()
	for _, task := range []string{"plain", "alone", "invalid", "constant", "goldfails", "boom", "answered", "flaky", "tested"} {
		w.task(task)
		w.faces(task)
	}
	w.mcp("explorer", w.house.Agents+"/arenas/cage/mcp", w.explorer)
	w.mcp("lobby", w.house.Agents+"/mcp", w.explorer)
	w.control()
	if !w.failed {
		t.Error("no agent met a planned failure")
	}
	if w.seen < 200 {
		t.Errorf("only %d answers were looked at", w.seen)
	}
}

// cage serves an arena full of canaries on every door.
func cage(t *testing.T) *birdwatcher {
	dir := t.TempDir()
	arena := filepath.Join(dir, "arenas", "cage")
	files := map[string]string{"arena.yaml": canaryManifest, "tools.js": canaryTools, "data/secret.txt": "CANARY-data",
		"tasks.jsonl": strings.NewReplacer("\n", "", "\t", "").Replace(strings.Join(canaryTasks, "\x00"))}
	files["tasks.jsonl"] = strings.ReplaceAll(files["tasks.jsonl"], "\x00", "\n") + "\n"
	for name, text := range files {
		path := filepath.Join(arena, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	a := newApp(strings.NewReader(""), io.Discard, io.Discard, func(string) (string, bool) { return "", false })
	store := filepath.Join(dir, "store")
	h, err := a.own(t.Context(), store, doorways{agents: "127.0.0.1:0", control: "127.0.0.1:0", faces: "127.0.0.1:0", practice: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.close(); err != nil {
			t.Error(err)
		}
	})
	token, err := os.ReadFile(filepath.Join(store, explorerToken))
	if err != nil {
		t.Fatal(err)
	}
	w := &birdwatcher{T: t, house: h, explorer: strings.TrimSpace(string(token))}
	w.upload(arena)
	return w
}

func (w *birdwatcher) upload(dir string) {
	packed := filepath.Join(w.TempDir(), "cage.arena")
	if err := run(w.Context(), []string{"pack", dir, "-o", packed}, strings.NewReader(""), io.Discard, os.Stderr); err != nil {
		w.Fatal(err)
	}
	b, err := os.ReadFile(packed)
	if err != nil {
		w.Fatal(err)
	}
	if status, body := w.send("POST", w.house.Control+"/v1/arenas", b, w.house.token, nil); status != http.StatusCreated {
		w.Fatalf("upload: %d %s", status, body)
	}
}

// send makes a request, and looks at every byte of the answer.
func (w *birdwatcher) send(method, url string, body []byte, token string, header map[string]string) (int, []byte) {
	w.Helper()
	req, err := http.NewRequestWithContext(w.Context(), method, url, bytes.NewReader(body))
	if err != nil {
		w.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	req.Header.Set("Content-Type", "application/json")
	if strings.HasSuffix(url, "/v1/arenas") {
		req.Header.Set("Content-Type", "application/zip")
	}
	for k, v := range header {
		req.Header.Set(k, v)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		w.Fatal(err)
	}
	w.look(fmt.Sprintf("%s %s %.200s", method, url, body), fmt.Appendf(nil, "%v\n%s", resp.Header, answer), !strings.HasPrefix(url, w.house.Control))
	w.failed = w.failed || strings.HasPrefix(url, w.house.Agents) && bytes.Contains(answer, []byte("look did not answer within 10 s"))
	if id := resp.Header.Get("Mcp-Session-Id"); id != "" && header != nil {
		header["Mcp-Session-Id"] = id
	}
	return resp.StatusCode, answer
}

// look looks at every byte of an answer; played is that of a door at which tools are called.
func (w *birdwatcher) look(request string, answer []byte, played bool) {
	w.Helper()
	w.seen++
	if found := canary.Find(answer); found != nil {
		w.Errorf("%s\nshows %s:\n%.1500s", request, found, answer)
	}
	if found := plans.Find(answer); found != nil && played {
		w.Errorf("%s\nshows %s of planned failures:\n%.1500s", request, found, answer)
	}
}

func (w *birdwatcher) rest(method, path, body string) []byte {
	w.Helper()
	status, answer := w.send(method, w.house.Control+path, []byte(body), w.house.token, nil)
	if status >= 500 {
		w.Errorf("%s %s %s: %d %s", method, path, body, status, answer)
	}
	return answer
}

// control reads whatever the control side tells of arenas and episodes.
func (w *birdwatcher) control() {
	for _, path := range []string{"/v1/arenas", "/v1/arenas/cage", "/v1/arenas/cage/tasks", "/v1/arenas/cage/tasks?split=test", "/v1/arenas/cage/tasks/plain", "/v1/arenas/cage/catalog",
		"/v1/arenas/cage/tasks/none", "/v1/arenas/none", "/v1/episodes", "/v1/episodes?arena=cage&limit=3", "/v1/episodes/none", "/healthz", "/readyz",
		"/metrics", "/openapi.json", "/v1/stats", "/v1/capacity", "/v1/export/sft", "/v1/export/rl", "/v1/none"} {
		w.rest("GET", path, "")
	}
}

// task plays a task through REST and the agent's door, badly and in every mode.
func (w *birdwatcher) task(id string) {
	for _, mode := range []string{"train", "eval", "practice"} {
		var o struct{ Episode, Key string }
		if err := json.Unmarshal(w.rest("POST", "/v1/episodes", `{"arena":"cage","task":"`+id+`","mode":"`+mode+`"}`), &o); err != nil {
			w.Fatal(err)
		}
		if o.Episode == "" {
			continue // refused, and looked at
		}
		at := "/v1/episodes/" + o.Episode
		w.mcp("agent", w.house.Agents+"/episodes/"+o.Key+"/mcp", "")
		for _, body := range []string{`{"tool":"look","args":{"q":"open"}}`, `{"tool":"look","args":{"q":"shut"}}`, `{"tool":"order","args":{"q":"one"}}`, `{"tool":"none"}`, `{"tool":"look","args":{"q":1}}`, `{"tool":`} {
			w.rest("POST", at+"/calls", body)
		}
		w.rest("POST", at+"/turns", `{"reply":"Done."}`)
		w.read(at)
		w.rest("POST", at+"/fork", `{}`)
		w.rest("POST", at+"/submit", `{"answer":"wrong","messages":[{"role":"user","content":"Begin."}]}`)
		w.rest("POST", at+"/submit", `{"answer":"wrong"}`)
		w.rest("POST", at+"/rescore", `{}`)
		w.mcp("agent", w.house.Agents+"/episodes/"+o.Key+"/mcp", "")
		w.read(at)
		w.rest("POST", at+"/fork", `{"at":1}`)
		w.rest("POST", at+"/rewind", `{"step":1}`)
		w.rest("POST", at+"/abort", `{"reason":"no more"}`)
	}
}

func (w *birdwatcher) read(at string) {
	for _, path := range []string{"", "/task", "/tools", "/score", "/trajectory", "/state", "/state?at=1", "/state?at=99"} {
		w.rest("GET", at+path, "")
	}
	w.rest("POST", at+"/replay", `{}`)
}

// mcp asks a door for everything it lists, calls everything it offers, and reads what it
// names, as a client of the older protocol with a session and as one of the newer without.
func (w *birdwatcher) mcp(name, url, token string) {
	for _, version := range []string{"2025-11-25", "2026-07-28"} {
		c := &caller{w: w, url: url, token: token, version: version, header: map[string]string{"Accept": "application/json, text/event-stream"}}
		if version == "2025-11-25" {
			c.call("initialize", map[string]any{"protocolVersion": version, "capabilities": map[string]any{}, "clientInfo": map[string]any{"name": "canary", "version": "1"}})
		} else {
			c.header["MCP-Protocol-Version"] = version
			c.call("server/discover", map[string]any{})
		}
		c.tools()
		c.prompts()
		c.resources()
		c.call("completion/complete", map[string]any{"ref": map[string]any{"type": "ref/resource", "uri": "astra://arenas/{arena}/tasks/{task}"}, "argument": map[string]any{"name": "task", "value": ""}, "context": map[string]any{"arguments": map[string]any{"arena": "cage"}}})
	}
}

type caller struct {
	w                   *birdwatcher
	url, token, version string
	header              map[string]string
	n                   int
}

// call returns the result as JSON, or nil.
func (c *caller) call(method string, params map[string]any) map[string]any {
	c.n++
	if c.version == "2026-07-28" {
		params["_meta"] = map[string]any{"io.modelcontextprotocol/protocolVersion": c.version, "io.modelcontextprotocol/clientCapabilities": map[string]any{},
			"io.modelcontextprotocol/clientInfo": map[string]any{"name": "canary", "version": "1"}}
		c.header["Mcp-Method"] = method
		delete(c.header, "Mcp-Name")
		for _, k := range []string{"name", "uri"} {
			if v, ok := params[k].(string); ok {
				c.header["Mcp-Name"] = v
			}
		}
	}
	body, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": c.n, "method": method, "params": params})
	if err != nil {
		c.w.Fatal(err)
	}
	_, answer := c.w.send("POST", c.url, body, c.token, c.header)
	if i := bytes.Index(answer, []byte("data: ")); i >= 0 { // a stream of one event
		answer, _, _ = bytes.Cut(answer[i+len("data: "):], []byte("\n"))
	}
	var reply struct{ Result map[string]any }
	if err := json.Unmarshal(answer, &reply); err != nil && len(answer) > 0 && answer[0] == '{' {
		c.w.Errorf("%s: %v in %s", method, err, answer)
	}
	return reply.Result
}

func (c *caller) list(method, key string) []map[string]any {
	var all []map[string]any
	items, _ := c.call(method, map[string]any{})[key].([]any)
	for _, it := range items {
		if m, ok := it.(map[string]any); ok {
			all = append(all, m)
		}
	}
	return all
}

func (c *caller) tools() {
	for _, args := range []map[string]any{{}, {"q": "open"}, {"q": "shut"}, {"query": "cage", "arena": "cage", "task": "plain", "tool": "look", "args": map[string]any{"q": "shut"}, "reply": "ok", "answer": "wrong"}} {
		for _, tool := range c.list("tools/list", "tools") {
			c.call("tools/call", map[string]any{"name": tool["name"], "arguments": args})
		}
	}
	for _, task := range []string{"plain", "invalid", "goldfails", "boom", "flaky"} { // explorers: open, play, submit, read on
		opened := c.call("tools/call", map[string]any{"name": "episode_open", "arguments": map[string]any{"arena": "cage", "task": task}})
		structured, _ := opened["structuredContent"].(map[string]any)
		id := structured["episode_id"]
		for _, call := range [][2]any{{"order", map[string]any{"q": "one"}}, {"episode_turn", map[string]any{"reply": "ok"}}, {"episode_submit", map[string]any{"answer": "wrong"}}, {"episode_status", map[string]any{}}} {
			args := call[1].(map[string]any)
			if id != nil {
				args["episode_id"] = id
			}
			c.call("tools/call", map[string]any{"name": call[0], "arguments": args})
		}
	}
	c.call("tools/call", map[string]any{"name": "nothing_of_this_name", "arguments": map[string]any{}})
}

func (c *caller) prompts() {
	for _, p := range c.list("prompts/list", "prompts") {
		c.call("prompts/get", map[string]any{"name": p["name"], "arguments": map[string]any{"arena": "cage", "task": "plain"}})
	}
}

func (c *caller) resources() {
	for _, r := range c.list("resources/list", "resources") {
		c.call("resources/read", map[string]any{"uri": r["uri"]})
	}
	c.list("resources/templates/list", "resourceTemplates")
	for _, uri := range []string{"astra://arenas/cage", "astra://arenas/cage/tasks/plain", "astra://arenas/cage/tasks/goldfails", "astra://arenas/none", "astra://episodes/none"} {
		c.call("resources/read", map[string]any{"uri": uri})
	}
}
