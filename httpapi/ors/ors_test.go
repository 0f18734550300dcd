package ors_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/astra-arenas/astra"
)

const (
	clause = `{"env_name":"terms.1","task_spec":{"arena":"terms","task":"clause","split":"train"}}`
	talk   = `{"env_name":"terms.2","split":"train","index":0}`
)

// Played over the face, every task that it serves scores what it does over MCP, and is told
// the same.
func TestGoldScoresAsOverMCP(t *testing.T) {
	h := newHouse(t, houseOptions{arenas: []string{examples + "inventory", examples + "travel", examples + "files", terms}})
	c, served := h.client(), 0
	for _, env := range decoded[[]string](t, c.expect("GET", "/list_environments", "", nil)) {
		for _, split := range decoded[[]struct{ Name string }](t, c.expect("GET", "/"+env+"/splits", "", nil)) {
			n := decoded[struct {
				N int `json:"num_tasks"`
			}](t, c.expect("POST", "/"+env+"/num_tasks", fmt.Sprintf(`{"split":%q}`, split.Name), nil)).N
			for i := range n {
				served++
				body := fmt.Sprintf(`{"env_name":%q,"split":%q,"index":%d}`, env, split.Name, i)
				h.scoresAsOverMCP(body)
			}
		}
	}
	if served < 25 {
		t.Errorf("%d tasks are served", served)
	}
}

func (h *house) scoresAsOverMCP(create string) {
	h.t.Helper()
	spec := decoded[struct {
		Env   string `json:"env_name"`
		Split string
		Index int
	}](h.t, create)
	task := decoded[struct{ Task struct{ Arena, Task string } }](h.t, h.client().expect("POST", "/"+spec.Env+"/task", fmt.Sprintf(`{"split":%q,"index":%d}`, spec.Split, spec.Index), nil)).Task
	known := h.arenas[task.Arena].Task(task.Task)
	if known.ID == "broken" {
		return
	}
	r := h.client().begin(create).gold(known)
	want := h.goldOverMCP(task.Arena, known)
	if r.Output.Reward == nil || *r.Output.Reward != want.Reward || !r.Output.Finished {
		h.t.Errorf("%s: %s, over MCP %v", task.Task, r.raw, want.Reward)
	}
}

// An environment is one set of tools.
func TestEnvironmentIsASetOfTools(t *testing.T) {
	h := newHouse(t, houseOptions{arenas: []string{shop, terms, examples + "travel", examples + "files", examples + "inventory"}})
	c := h.client()
	names := decoded[[]string](t, c.expect("GET", "/list_environments", "", nil))
	seen := map[string]bool{}
	for _, name := range names {
		list := c.expect("GET", "/"+name+"/tools", "", nil)
		if seen[list] {
			t.Errorf("%s has the tools of another environment: %s", name, list)
		}
		seen[list] = true
	}
	if got := strings.Join(names, " "); !strings.Contains(got, " shop terms.1 terms.2 ") {
		t.Errorf("environments are %s", got)
	}
	has := func(env string) string {
		tools := map[string]bool{}
		for _, tool := range decoded[struct{ Tools []struct{ Name string } }](t, c.expect("GET", "/"+env+"/tools", "", nil)).Tools {
			tools[tool.Name] = true
		}
		return lines(tools)
	}
	if got := has("terms.1"); got != "episode_submit find import_ sign text" {
		t.Errorf("terms.1 has %s", got)
	}
	if got := has("terms.2"); got != "episode_submit episode_turn find import_ sign text" {
		t.Errorf("terms.2 has %s", got)
	}
	for _, env := range []string{"terms.1", "terms.2"} {
		if list := c.expect("POST", "/"+env+"/tasks", `{"split":"train"}`, nil); strings.Contains(list, "grow") {
			t.Errorf("a task whose tools grow is served: %s", list)
		}
	}
}

func TestTasks(t *testing.T) {
	c := newHouse(t, houseOptions{arenas: []string{terms}}).client()
	for _, q := range []struct {
		method, path, body string
		status             int
		want               string // what the answer has
	}{
		{"GET", "/health", "", 200, `{"status":"ok"}`},
		{"GET", "/terms.1/splits", "", 200, `[{"name":"train","type":"train"},{"name":"test","type":"test"}]`},
		{"GET", "/TERMS.1/splits", "", 200, `train`},
		{"GET", "/terms.1/tools", "", 200, `"terminal_tool":{"name":"episode_submit","arg":"answer",`},
		{"POST", "/terms.1/tasks", `{"split":"train"}`, 200, `{"tasks":[{"arena":"terms","task":"clause","split":"train"},{"arena":"terms","task":"broken","split":"train"}],"env_name":"terms.1"}`},
		{"POST", "/terms.1/num_tasks", `{"split":"train"}`, 200, `{"num_tasks":2}`},
		{"POST", "/terms.1/task", `{"split":"test","index":0}`, 200, `{"task":{"arena":"terms","task":"held","split":"test"},"env_name":"terms.1"}`},
		{"POST", "/terms.1/task", `{"split":"train","index":-2}`, 200, `"clause"`},
		{"POST", "/terms.1/task_range", `{"split":"train","start":1,"stop":null}`, 200, `{"tasks":[{"arena":"terms","task":"broken","split":"train"}],"env_name":"terms.1"}`},
		{"POST", "/terms.1/task_range", `{"split":"train","start":-1}`, 200, `{"tasks":[{"arena":"terms","task":"broken","split":"train"}],"env_name":"terms.1"}`},
		{"POST", "/terms.1/task_range", `{"split":"train","start":-9,"stop":-1}`, 200, `{"tasks":[{"arena":"terms","task":"clause","split":"train"}],"env_name":"terms.1"}`},
		{"POST", "/terms.1/task_range", `{"split":"train","start":2,"stop":1}`, 200, `{"tasks":[],"env_name":"terms.1"}`},
		{"POST", "/terms.1/tasks", `{"split":"validation"}`, 400, `Invalid split`},
		{"POST", "/terms.1/task", `{"split":"train","index":2}`, 400, `Invalid index`},
		{"POST", "/terms.1/task", `{"split":"train","index":-3}`, 400, `Invalid index`},
		{"POST", "/terms.1/task", `{"split":"train"}`, 422, `body.index`},
		{"POST", "/terms.1/tasks", `{}`, 422, `body.split`},
		{"POST", "/terms.1/tasks", `{"split":"train","Split":"train"}`, 422, `body.\"Split\"`},
		{"POST", "/terms.1/tasks", `{"split":"train","index":0}`, 422, `body.\"index\"`},
		{"POST", "/terms.1/tasks", `{"split":7}`, 422, `not as it should be`},
		{"POST", "/terms.1/tasks", `[]`, 422, `must be a JSON object`},
		{"POST", "/terms.1/tasks", `{"split":"` + strings.Repeat("x", 2<<20) + `"}`, 413, `bytes`},
		{"GET", "/terms/splits", "", 404, `there are: terms.1, terms.2`},
		{"GET", "/ghost/tools", "", 404, `unknown environment \"ghost\"`},
		{"GET", "/tools", "", 404, `there are: terms.1, terms.2`},
		{"GET", "/nothing", "", 404, `Not Found`},
		{"GET", "/terms.1/messages", "", 404, `Not Found`},
		{"POST", "/terms.1/score_group", "{}", 404, `Not Found`},
	} {
		for _, at := range []string{"", "/ors"} {
			if res, got := c.do(q.method, at+q.path, q.body, nil); res.StatusCode != q.status || !strings.Contains(got, q.want) {
				t.Errorf("%s %s %.80s: %d %.300s, want %d %s", q.method, at+q.path, q.body, res.StatusCode, got, q.status, q.want)
			}
		}
	}
}

func TestCreateRefuses(t *testing.T) {
	c := newHouse(t, houseOptions{arenas: []string{terms}}).client()
	for _, q := range []struct {
		body   string
		status int
		want   string
	}{
		{`{}`, 422, "Provide either"},
		{`{"split":"train"}`, 422, "Provide either"},
		{`{"task_spec":{"arena":"terms","task":"clause","split":"train"},"split":"train","index":0}`, 422, "Provide either"},
		{`{"task_spec":{"arena":"terms","task":"clause","split":"train"},"index":0}`, 422, "Provide either"},
		{`{"env_name":"terms.1","task_spec":{"arena":"terms","task":"clause","split":"train","seed":3}}`, 422, "extra inputs"},
		{`{"env_name":"terms.1","task_spec":{"arena":"terms","task":"clause","split":"test"}}`, 400, "has no such task"},
		{`{"env_name":"terms.2","task_spec":{"arena":"terms","task":"clause","split":"train"}}`, 400, "has no such task"},
		{`{"env_name":"terms.2","task_spec":{"arena":"terms","task":"grow","split":"train"}}`, 400, "has no such task"},
		{`{"env_name":"ghost","split":"train","index":0}`, 404, "unknown environment"},
		{`{"split":"train","index":0}`, 404, "there are: terms.1, terms.2"},
		{`{"env_name":"terms.1","split":"train","index":0,"toolset_name":"codex"}`, 400, "toolset"},
		{`{"env_name":"terms.1","split":"train","index":0,"env":{}}`, 422, "extra inputs"},
	} {
		if res, got := c.do("POST", "/create", q.body, c.mint().header()); res.StatusCode != q.status || !strings.Contains(got, q.want) {
			t.Errorf("%s: %d %s, want %d %s", q.body, res.StatusCode, got, q.status, q.want)
		}
	}
	if res, got := c.do("POST", "/create", clause, nil); res.StatusCode != 400 || !strings.Contains(got, "X-Session-ID") {
		t.Errorf("without a session: %d %s", res.StatusCode, got)
	}
}

// A client whose answer was lost creates again; nobody gets another task under its id.
func TestCreateAgain(t *testing.T) {
	c := newHouse(t, houseOptions{arenas: []string{terms}}).client()
	g := c.begin(clause)
	g.call("sign", `{}`)
	g.expect("POST", "/create", clause, g.header())
	if got := g.call("sign", `{}`).text(); got != `{"signed":2}` {
		t.Errorf("created again, it is another episode: %s", got)
	}
	if res, got := g.do("POST", "/create", talk, g.header()); res.StatusCode != 400 || !strings.Contains(got, "Session already exists") {
		t.Errorf("with another task: %d %s", res.StatusCode, got)
	}
}

// A path without an environment is the deployment's, else the only environment's.
func TestBarePaths(t *testing.T) {
	h := newHouse(t, houseOptions{arenas: []string{terms}})
	c := h.client()
	for _, name := range []string{"terms.2", "someone/Terms.2"} {
		if got := c.expect("GET", "/tools", "", headers{"X-Deployment": name}); !strings.Contains(got, "episode_turn") {
			t.Errorf("of %s: %s", name, got)
		}
	}
	g := c.mint()
	g.expect("POST", "/create", `{"split":"train","index":0}`, headers{"X-Session-ID": g.id, "X-Deployment": "terms.2"})
	if got := g.expect("GET", "/prompt", "", g.header()); got != `[{"text":"What does it say of rent?","type":"text"}]` {
		t.Errorf("prompt: %s", got)
	}

	c = newHouse(t, houseOptions{arenas: []string{examples + "../../httpapi/testdata/shop"}}).client()
	for _, at := range []string{"", "/ors"} {
		if got := c.expect("POST", at+"/task?x=1", `{"split":"test","index":0}`, headers{"X-Deployment": "env"}); !strings.Contains(got, `"env_name":"shop"`) {
			t.Errorf("%s: of the only environment: %s", at, got)
		}
	}
	stay := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := stay.Get(c.base + "/ors/splits?x=1")
	must(t, err)
	res.Body.Close()
	if at, err := res.Location(); res.StatusCode != http.StatusPermanentRedirect || err != nil || at.RequestURI() != "/ors/shop/splits?x=1" {
		t.Errorf("redirected: %d to %v, %v", res.StatusCode, at, err)
	}
	c.begin(`{"split":"test","index":0}`)
}

// Null is sent for what a model left out.
func TestNullIsAbsent(t *testing.T) {
	g := newHouse(t, houseOptions{arenas: []string{terms}}).client().begin(clause)
	if got := g.call("find", `{"word":"rent","page":null,"mode":null,"scope": null,"note":null,"any":null}`).text(); got != `{"given":["any","note","word"]}` {
		t.Errorf("given: %s", got)
	}
	if r := g.call("find", `{"word":null}`); r.OK || r.Reason != "input_validation" {
		t.Errorf("a required one: %s", r.raw)
	}
	if r := g.call("episode_submit", `{"answer":null}`); !r.OK || *r.Output.Reward != 0 {
		t.Errorf("no answer: %s", r.raw)
	}
}

// What is a keyword of Python is shown with a "_" behind it, and called by either name.
func TestKeywords(t *testing.T) {
	g := newHouse(t, houseOptions{arenas: []string{terms}}).client().begin(clause)
	if got := g.expect("GET", "/task_tools", "", g.header()); !strings.Contains(got, `"properties":{"class_":{"type":"integer"},"class__":{"type":"integer"},"from_":{"type":"string"},"rest":{}},"required":["from_"]`) {
		t.Errorf("tools: %s", got)
	}
	for input, want := range map[string]string{
		`{"from_":"a","class__":1,"class_":2}`: `{"from":"a","class":1,"class_":2}`,
		`{"from_":"a","class__":null}`:         `{"from":"a"}`,
		`{"from":"a"}`:                         `{"from":"a"}`,
	} {
		for _, tool := range []string{"import_", "import"} {
			if r := g.call(tool, input); !same(t, r.text(), want) {
				t.Errorf("%s %s: %s, want %s", tool, input, r.raw, want)
			}
		}
	}
	if r := g.call("import_", `{"from":"a","from_":"b"}`); r.OK || r.Reason != "input_validation" {
		t.Errorf("by both names: %s", r.raw)
	}
}

func same(t *testing.T, a, b string) bool {
	t.Helper()
	return reflect.DeepEqual(decoded[any](t, a), decoded[any](t, b))
}

func TestCallsThatCannotBe(t *testing.T) {
	g := newHouse(t, houseOptions{arenas: []string{terms}}).client().begin(clause)
	if r := g.call("ghost", `{}`); r.OK || r.Reason != "not_found" || !strings.Contains(r.Error, "ghost") {
		t.Errorf("an unknown tool: %s", r.raw)
	}
	if r := g.call("sign", `{"hand":"left"}`); r.OK || r.Reason != "input_validation" {
		t.Errorf("an unknown argument: %s", r.raw)
	}
	if res, got := g.do("POST", "/terms.1/call", `{"name":"sign","input":{"hand":NaN}}`, g.header()); res.StatusCode != 200 || !strings.Contains(got, "input_validation") {
		t.Errorf("an argument that only Python reads: %d %s", res.StatusCode, got)
	}
	if r := g.call("episode_submit", `{"reply":"x"}`); r.OK || r.Reason != "input_validation" {
		t.Errorf("an unknown argument of episode_submit: %s", r.raw)
	}
	if r := g.call("episode_submit", `{"answer":7}`); r.OK || r.Reason != "input_validation" {
		t.Errorf("an answer that is no text: %s", r.raw)
	}
	for body, status := range map[string]int{
		`{"input":{}}`:                        422,
		`{"name":"sign"}`:                     422,
		`{"name":"sign","input":[]}`:          422,
		`{"name":"sign","input":{},"more":1}`: 422,
		`{"name":"sign","input":{},"task_id":"` + strings.Repeat("x", 300) + `"}`: 422,
	} {
		if res, got := g.do("POST", "/terms.1/call", body, g.header()); res.StatusCode != status {
			t.Errorf("%.80s: %d %s", body, res.StatusCode, got)
		}
	}
	if res, got := g.do("POST", "/ghost/call", `{"name":"sign","input":{}}`, g.mint().header()); res.StatusCode != 404 || !strings.Contains(got, "unknown environment") {
		t.Errorf("in an unknown environment: %d %s", res.StatusCode, got)
	}
	if res, _ := g.do("POST", "/call", `{"name":"sign","input":{}}`, g.mint().header()); res.StatusCode != 404 {
		t.Errorf("in a session that was not created: %d", res.StatusCode)
	}
}

// An arena that is replaced may name its environments otherwise. Who plays goes on by the old name.
func TestEnvironmentRenamed(t *testing.T) {
	h := newHouse(t, houseOptions{arenas: []string{terms}})
	g := h.client().begin(clause) // in terms.1
	b, err := astra.ReadBundle(terms)
	must(t, err)
	files := slices.Clone(b.Files())
	for i := range files {
		if files[i].Path == "tasks.jsonl" { // one task is left, so there is one set of tools
			files[i].Data, _, _ = bytes.Cut(files[i].Data, []byte("\n"))
		}
	}
	b, err = astra.NewBundle(files)
	must(t, err)
	_, err = h.AddArena(t.Context(), b)
	must(t, err)
	if names := g.expect("GET", "/list_environments", "", nil); names != `["terms"]` {
		t.Fatalf("environments are %s", names)
	}
	if r := g.read(g.expect("POST", "/terms.1/call", `{"name":"sign","input":{}}`, g.header())); !r.OK {
		t.Errorf("a call: %s", r.raw)
	}
	if r := g.read(g.expect("POST", "/terms.1/call", `{"name":"episode_submit","input":{"answer":"done"}}`, g.header())); r.Output.Reward == nil || *r.Output.Reward != 1 {
		t.Errorf("its end: %s", r.raw)
	}
}

// What a tool says comes through in pieces as it is, white space included.
func TestTextInPieces(t *testing.T) {
	h := newHouse(t, houseOptions{arenas: []string{terms}})
	g := h.client().begin(clause)
	stream := g.expect("POST", "/call", `{"name":"text","input":{"times":3001}}`, g.header())
	for line := range strings.Lines(stream) {
		if data, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "data: "); ok && len(data) > 4096 {
			t.Errorf("a piece has %d bytes", len(data))
		}
	}
	if got, want := g.read(stream).text(), strings.Repeat("clause\u00a0 \u3000 條款\u2028 é 𝄞   \t\n", 3001); got != want {
		t.Errorf("%d bytes came, %d were sent, or others", len(got), len(want))
	}
}

// Every hidden thing of the task stays hidden.
func TestNothingHiddenIsShown(t *testing.T) {
	c := newHouse(t, houseOptions{arenas: []string{shop}}).client()
	shown := c.expect("GET", "/list_environments", "", nil)
	for _, q := range [][3]string{{"GET", "/shop/tools", ""}, {"GET", "/shop/splits", ""}, {"POST", "/shop/tasks", `{"split":"train"}`}, {"POST", "/shop/tasks", `{"split":"test"}`}} {
		shown += c.expect(q[0], q[1], q[2], nil)
	}
	g := c.begin(`{"split":"train","index":0}`)
	for _, q := range [][3]string{{"GET", "/prompt", ""}, {"GET", "/task_tools", ""}, {"POST", "/ping", ""}, {"POST", "/call", `{"name":"stock","input":{"item":"ghost"}}`},
		{"POST", "/call", `{"name":"episode_submit","input":{"answer":"8"}}`}, {"POST", "/call", `{"name":"stock","input":{"item":"nut"}}`}, {"POST", "/delete", ""}} {
		shown += g.expect(q[0], q[1], q[2], g.header())
	}
	if lower := strings.ToLower(shown); strings.Contains(lower, "canary") || strings.Contains(lower, "770077007741") {
		t.Errorf("hidden things are shown: %s", shown)
	}
}

func TestKey(t *testing.T) {
	c := newHouse(t, houseOptions{arenas: []string{shop}, token: "a-key"}).client()
	if res, got := c.do("GET", "/list_environments", "", nil); res.StatusCode != 401 || !strings.Contains(got, "detail") {
		t.Errorf("without a key: %d %s", res.StatusCode, got)
	}
	c.expect("GET", "/list_environments", "", headers{"X-API-Key": "a-key"})
}

// rewardOf is the reward of a reply, as text.
func rewardOf(r reply) string {
	b, _ := json.Marshal(r.Output.Reward)
	return string(b)
}
