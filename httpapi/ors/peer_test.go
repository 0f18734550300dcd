package ors_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/agent"
)

// python is the interpreter of an environment that a make target makes.
func python(t *testing.T, env, target string) string {
	t.Helper()
	path, err := filepath.Abs("../../" + env + "/bin/python")
	must(t, err)
	if _, err := os.Stat(filepath.Dir(path) + "/../.ready"); err != nil {
		t.Skip(env + " is missing: make " + target)
	}
	return path
}

// A driver is openreward's own client, told what to do.
type driver struct {
	t   testing.TB
	in  io.WriteCloser
	out *bufio.Reader
}

func (h *house) driver(t *testing.T, library string) *driver {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), python(t, ".venv-ors", "peers-ors"), "testdata/client.py", library, h.faces.URL)
	cmd.Env = append(os.Environ(), "OPENREWARD_SESSION_URL="+h.faces.URL, "OPENREWARD_API_KEY="+h.opts.token, "ORS_API_KEY="+h.opts.token, "OPENREWARD_DISABLE_UPDATE_CHECK=1")
	cmd.Stderr = t.Output()
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() { _ = in.Close(); _ = cmd.Wait() })
	return &driver{t, in, bufio.NewReaderSize(out, 1<<20)}
}

// do has a command done, and decodes what it came to.
func do[T any](d *driver, command ...any) (v T) {
	d.t.Helper()
	b, err := json.Marshal(command)
	must(d.t, err)
	_, err = fmt.Fprintf(d.in, "%s\n", b)
	must(d.t, err)
	line, err := d.out.ReadString('\n')
	if err != nil {
		d.t.Fatalf("%s: %v", b, err)
	}
	return decoded[T](d.t, line)
}

// A toolOutput is what the client made of a reply.
type toolOutput struct {
	Blocks []struct{ Text string }
	Reward *float64
	Done   bool `json:"finished"`
	Error  string
	Kind   string
	Reason string
}

type driven struct{ *driver }

func (d driven) Tools(_ context.Context) ([]astra.PublicTool, error) { return nil, nil }

func (d driven) Call(_ context.Context, tool string, args json.RawMessage) (agent.Outcome, error) {
	r := do[toolOutput](d.driver, "call", tool, args)
	if r.Error != "" {
		return agent.Outcome{Failed: true, Text: r.Error}, nil
	}
	text := r.Blocks[0].Text
	value := json.RawMessage(text)
	if !json.Valid(value) {
		value, _ = json.Marshal(text)
	}
	return agent.Outcome{Text: text, Value: value}, nil
}

// TestClient plays the solutions of tasks by the protocol's own clients, by the name of a
// deployment and by that of a variant: each is scored as over MCP.
func TestClient(t *testing.T) {
	h := newHouse(t, houseOptions{arenas: []string{examples + "inventory", examples + "travel", examples + "files", terms}, token: "a-key"})
	for library, names := range map[string][][2]any{
		"openreward": {{"terms.1", nil}, {"terms.2", nil}, {"anything", "travel.1"}, {"inventory.2", nil}},
		"ors":        {{"terms.1", nil}, {"terms.2", nil}, {"inventory.2", nil}},
	} {
		t.Run(library, func(t *testing.T) {
			d := h.driver(t, library)
			for _, name := range names {
				splits := do[[]string](d, "use", name[0], name[1])
				if len(splits) == 0 {
					t.Fatalf("%v has no splits", name)
				}
				if tools := do[[]string](d, "tools"); !slices.Contains(tools, "episode_submit") {
					t.Errorf("%v has tools %v", name, tools)
				}
				for _, split := range splits {
					d.plays(h, split, library == "openreward")
				}
			}
		})
	}
}

// plays plays all tasks of a split; every other one by its place, if the library can say of
// which environment that is meant.
func (d *driver) plays(h *house, split string, byIndex bool) {
	d.t.Helper()
	type spec struct{ Arena, Task string }
	specs := do[[]spec](d, "tasks", split)
	if n := do[int](d, "count", split); n != len(specs) {
		d.t.Errorf("%d tasks, %d counted", len(specs), n)
	}
	if last := do[[]spec](d, "range", split, -1, nil); len(last) != 1 || last[0] != specs[len(specs)-1] {
		d.t.Errorf("the last task is %v", last)
	}
	for i, spec := range specs {
		task := h.arenas[spec.Arena].Task(spec.Task)
		if task.ID == "broken" {
			continue
		}
		how := "task"
		if byIndex && i%2 == 0 {
			how = "index"
		}
		do[string](d, how, split, i)
		end, want := d.gold(task), h.goldOverMCP(spec.Arena, task)
		if end.Reward == nil || *end.Reward != want.Reward || !end.Done {
			d.t.Errorf("%s: %+v, over MCP %v", spec.Task, end, want.Reward)
		}
		do[any](d, "leave")
	}
}

func (d *driver) gold(task *astra.Task) toolOutput {
	d.t.Helper()
	if prompt := do[[]string](d, "prompt"); len(prompt) != 1 || prompt[0] != task.Turns[0].Prompt {
		d.t.Errorf("the prompt is %q", prompt)
	}
	gold := agent.NewGold(task, nil)
	for turn := range task.Turns {
		answer, err := gold.Play(d.t.Context(), driven{d}, "")
		must(d.t, err)
		if turn == len(task.Turns)-1 {
			return do[toolOutput](d, "call", "episode_submit", map[string]any{"answer": answer})
		}
		do[toolOutput](d, "call", "episode_turn", map[string]any{"reply": answer})
	}
	return toolOutput{}
}

// The client takes each of our refusals, ends and pieces for what it is.
func TestClientUnderstands(t *testing.T) {
	h := newHouse(t, houseOptions{arenas: []string{terms}})
	d := h.driver(t, "openreward")
	do[any](d, "use", "terms.1", nil)
	do[string](d, "index", "train", 0)
	if got := do[[]map[string]string](d, "messages"); len(got) != 1 || got[0]["content"] != "Sign it, and say 'done'." {
		t.Errorf("messages: %v", got)
	}
	if r := do[toolOutput](d, "call", "ghost", map[string]any{}); r.Kind != "ToolCallError" || r.Reason != "not_found" {
		t.Errorf("an unknown tool: %+v", r)
	}
	if r := do[toolOutput](d, "call", "sign", map[string]any{"x": 1}); r.Kind != "ToolCallError" || r.Reason != "input_validation" {
		t.Errorf("an unknown argument: %+v", r)
	}
	if r := do[toolOutput](d, "call", "find", map[string]any{"word": "rent", "page": nil}); r.Blocks[0].Text != `{"given":["word"]}` {
		t.Errorf("null: %+v", r)
	}
	want := strings.Repeat("clause\u00a0 \u3000 條款\u2028 é 𝄞   \t\n", 3001)
	if r := do[toolOutput](d, "call", "text", map[string]any{"times": 3001}); r.Blocks[0].Text != want {
		t.Errorf("a long text: %d bytes, want %d", len(r.Blocks[0].Text), len(want))
	}
	do[toolOutput](d, "call", "sign", map[string]any{})
	if got := do[map[string]string](d, "terminal"); got["name"] != "episode_submit" || got["arg"] != "answer" {
		t.Errorf("the terminal tool: %v", got)
	}
	if r := do[toolOutput](d, "final", "done"); r.Reward == nil || !r.Done || *r.Reward < 0.5 {
		t.Errorf("the final message: %+v", r)
	}
	if r := do[toolOutput](d, "call", "sign", map[string]any{}); !r.Done || r.Reward != nil || r.Error != "" {
		t.Errorf("after the end: %+v", r)
	}
	do[string](d, "index", "train", 1)
	if r := do[toolOutput](d, "call", "episode_submit", map[string]any{}); r.Kind != "ToolFailed" || !strings.Contains(r.Error, "verifier") || r.Reward != nil {
		t.Errorf("an invalid episode: %+v", r)
	}
}

// TestAnswersAsOpenReward asks the protocol's own server and ours the same.
func TestAnswersAsOpenReward(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), python(t, ".venv-ors", "peers-ors"), "testdata/server.py")
	cmd.Stderr = t.Output()
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	port, err := bufio.NewReader(out).ReadString('\n')
	must(t, err)
	theirs := client{t, "http://127.0.0.1:" + strings.TrimSpace(port)}
	ours := newHouse(t, houseOptions{arenas: []string{"testdata/alike"}}).client()
	const spec = `{"task_spec":{"arena":"terms","task":"clause","split":"train"}}`
	var their, our game
	for _, q := range []struct{ method, path, body string }{
		{"GET", "/health", ""},
		{"GET", "/list_environments", ""},
		{"GET", "/terms/tools", ""},
		{"GET", "/tools", ""},
		{"GET", "/terms/splits", ""},
		{"POST", "/terms/tasks", `{"split":"train"}`},
		{"POST", "/terms/tasks", `{"split":"test"}`},
		{"POST", "/terms/tasks", `{"split":"train","x":1}`},
		{"POST", "/terms/tasks", `{`},
		{"POST", "/terms/num_tasks", `{"split":"train"}`},
		{"POST", "/terms/task", `{"split":"train","index":-1}`},
		{"POST", "/terms/task", `{"split":"train","index":9}`},
		{"POST", "/terms/task_range", `{"split":"train","start":-1}`},
		{"POST", "/terms/task_range", `{"split":"train","start":5,"stop":-7}`},
		{"POST", "/ping", ""},
		{"GET", "/terms/prompt", ""},
		{"POST", "/terms/call", `{"name":"find","input":{}}`},
		{"POST", "/create", `{}`},
		{"POST", "/create", `{"split":"train"}`},
		{"POST", "/create", `{"split":"train","index":0,"task_spec":{}}`},
		{"POST", "/create", `{"split":"train","index":9}`},
		{"POST", "/create", `{"split":"train","index":0,"env_name":"ghost"}`},
		{"POST", "/create", `{"split":"train","index":0,"toolset_name":"ghost"}`},
		{"POST", "/create", spec},
		{"POST", "/ping", ""},
		{"GET", "/terms/prompt", ""},
		{"GET", "/prompt", ""},
		{"GET", "/terms/task_tools", ""},
		{"POST", "/terms/call", `{"name":"find","input":{"word":"rent"}}`},
		{"POST", "/terms/call", `{"name":"find","input":{}}`},
		{"POST", "/terms/call", `{"name":"ghost","input":{}}`},
		{"POST", "/terms/call", `{"name":"find"}`},
		{"POST", "/terms/call", `{"name":"find","input":{},"x":1}`},
		{"POST", "/terms/call", `{"name":"episode_submit","input":{"answer":"done"}}`},
		{"POST", "/delete", ""},
		{"POST", "/delete_session", ""},
	} {
		if their.id == "" {
			their, our = theirs.mint(), ours.mint()
		}
		want, wantBody := theirs.do(q.method, q.path, q.body, headers{"X-Session-ID": their.id, "Content-Type": "application/json"})
		got, gotBody := ours.do(q.method, q.path, q.body, headers{"X-Session-ID": our.id, "Content-Type": "application/json"})
		if got.StatusCode != want.StatusCode || shape(t, gotBody) != shape(t, wantBody) {
			t.Errorf("%s %s %s\ntheirs %d %s\nours   %d %s", q.method, q.path, q.body, want.StatusCode, shape(t, wantBody), got.StatusCode, shape(t, gotBody))
		}
	}
}

// shape is the names in an answer, those that we leave out aside; of streams, what a reader
// makes of them.
func shape(t *testing.T, body string) string {
	if strings.HasPrefix(body, "event:") {
		var text strings.Builder
		names := map[string]bool{}
		for _, e := range events(body) {
			names[e.name] = true
			if e.name != "task_id" {
				text.WriteString(e.data)
			}
		}
		return lines(names) + " " + shape(t, text.String())
	}
	var v any
	if json.Unmarshal([]byte(body), &v) != nil {
		return body
	}
	b, err := json.Marshal(form(v))
	must(t, err)
	return string(b)
}

// form leaves the kinds of values in place of these, but for numbers and truth.
func form(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for _, left := range []string{"supports_score_group", "message_block_types"} {
			delete(v, left)
		}
		for name, value := range maps.All(v) {
			switch name {
			case "detail":
				if v[name] = "detail"; value == nil {
					delete(v, name) // of a block
				}
			case "input_schema", "terminal_tool":
				v[name] = name
			default:
				v[name] = form(value)
			}
		}
	case []any:
		for i := range v {
			v[i] = form(v[i])
		}
	case string:
		return "text"
	}
	return v
}
