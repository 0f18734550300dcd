package ors_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/agent"
	"github.com/astra-arenas/astra/gateway"
	"github.com/astra-arenas/astra/gateway/gatewaytest"
	"github.com/astra-arenas/astra/httpapi/harness"
	"github.com/astra-arenas/astra/httpapi/ors"
	"github.com/astra-arenas/astra/mcp"
	"github.com/astra-arenas/astra/store"
)

// A house is the face at the root of a server, and at /ors, over a gateway with real parts.
type house struct {
	*gateway.Gateway
	t      testing.TB
	store  *store.Store
	opts   houseOptions
	arenas map[string]*astra.Arena
	house  *harness.House
	faces  *httptest.Server
	agents *httptest.Server
}

type houseOptions struct {
	arenas  []string // folders
	gateway gateway.Options
	ors     ors.Options
	token   string
	now     func() time.Time
	through func(harness.Episodes) harness.Episodes // stands before the gateway
}

const (
	examples = "../../examples/arenas/"
	shop     = "../testdata/shop"
	terms    = "testdata/terms"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newHouse(t testing.TB, opts houseOptions) *house {
	t.Helper()
	h := &house{t: t, store: gatewaytest.Store(t, t.TempDir()), opts: opts}
	h.restart()
	return h
}

// close may come again: every start leaves it as a clean-up.
func (h *house) close() {
	h.faces.Close()
	h.agents.Close()
	h.house.Close()
	must(h.t, h.Close())
}

// restart is another process over the same store.
func (h *house) restart() {
	h.t.Helper()
	if h.Gateway != nil {
		h.close()
	}
	limits := h.opts.gateway
	limits.Now = h.opts.now
	h.Gateway = gatewaytest.Open(h.t, h.store, &limits)
	h.arenas = map[string]*astra.Arena{}
	for _, path := range h.opts.arenas {
		a := gatewaytest.Add(h.t, h.Gateway, path)
		h.arenas[a.Name] = a
	}
	h.serve()
	h.t.Cleanup(h.close)
}

func (h *house) serve() {
	doors, err := mcp.New(h.Gateway, nil)
	must(h.t, err)
	h.agents = httptest.NewServer(doors.AgentHandler())
	var eps harness.Episodes = h.Gateway
	if h.opts.through != nil {
		eps = h.opts.through(eps)
	}
	h.house, err = harness.New(eps, harness.NewGate(h.opts.token, nil), []byte("a secret for tests alone"), doors.AgentHandler(), &harness.Options{Now: h.opts.now})
	must(h.t, err)
	face := ors.New(h.house, &h.opts.ors).Handler()
	mux := http.NewServeMux()
	mux.Handle("/", face)
	mux.Handle("/ors/", http.StripPrefix("/ors", face))
	h.faces = httptest.NewServer(mux)
}

// client speaks to the face at a base, as the client of openreward does.
func (h *house) client() client { return client{h.t, h.faces.URL} }

type client struct {
	t    testing.TB
	base string
}

type headers map[string]string

func (c client) do(method, path, body string, with headers) (*http.Response, string) {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.base+path, strings.NewReader(body))
	must(c.t, err)
	for name, value := range with {
		req.Header.Set(name, value)
	}
	res, err := http.DefaultClient.Do(req)
	must(c.t, err)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	must(c.t, err)
	return res, string(b)
}

// expect is do for what must succeed.
func (c client) expect(method, path, body string, with headers) string {
	c.t.Helper()
	res, text := c.do(method, path, body, with)
	if res.StatusCode != http.StatusOK {
		c.t.Fatalf("%s %s %s: %s %s", method, path, body, res.Status, text)
	}
	return text
}

func decoded[T any](t testing.TB, text string) (v T) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return v
}

// An event is one of a stream.
type event struct{ name, data string }

// events reads a stream as openreward does (_session/http.py, _parse_sse_events): lines are
// trimmed on both sides, comments skipped.
func events(text string) (all []event) {
	var name string
	var data []string
	lines := bufio.NewScanner(strings.NewReader(text))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := strings.TrimRight(lines.Text(), "\r\n")
		field, value, _ := strings.Cut(line, ":")
		switch value = strings.TrimLeftFunc(value, unicode.IsSpace); {
		case line == "":
			if name != "" {
				all = append(all, event{name, strings.Join(data, "\n")})
			}
			name, data = "", nil
		case field == "event":
			name = value
		case field == "data":
			data = append(data, value)
		}
	}
	return all
}

// A game is a session of a client.
type game struct {
	client
	id string
}

// begin makes an id, and opens a session with it.
func (c client) begin(create string) game {
	c.t.Helper()
	g := c.mint()
	c.expect("POST", "/create", create, g.header())
	return g
}

func (c client) mint() game {
	c.t.Helper()
	all := events(c.expect("POST", "/create_session", "{}", nil))
	if len(all) != 2 || all[0].name != "task_id" || all[1] != (event{"end", ""}) {
		c.t.Fatalf("create_session: %v", all)
	}
	return game{c, all[0].data}
}

func (g game) header() headers { return headers{"X-Session-ID": g.id} }

// A reply is what a call came to, as a client reads it.
type reply struct {
	OK     bool   `json:"ok"`
	Error  string `json:"error"`
	Reason string `json:"reason"`
	Output struct {
		Blocks []struct {
			Text string `json:"text"`
			Type string `json:"type"`
		} `json:"blocks"`
		Reward   *float64 `json:"reward"`
		Finished bool     `json:"finished"`
	} `json:"output"`
	task  string // its id
	raw   string
	fatal string // the stream's error, which ends a session
}

func (r reply) text() string {
	if r.OK {
		return r.Output.Blocks[0].Text
	}
	return r.Error
}

func (g game) call(tool, input string) reply { g.t.Helper(); return g.resume(tool, input, "") }

// resume calls a tool again by the task_id of a call.
func (g game) resume(tool, input, task string) reply {
	g.t.Helper()
	body := map[string]any{"name": tool, "input": json.RawMessage(input)}
	if task != "" {
		body["task_id"] = task
	}
	b, err := json.Marshal(body)
	must(g.t, err)
	return g.read(g.expect("POST", "/call", string(b), g.header()))
}

func (g game) read(stream string) (r reply) {
	g.t.Helper()
	var text strings.Builder
	task := ""
	for _, e := range events(stream) {
		switch e.name {
		case "task_id":
			task = e.data
		case "chunk", "end":
			text.WriteString(e.data)
		case "error":
			return reply{fatal: e.data, task: task}
		}
	}
	r = decoded[reply](g.t, text.String())
	r.task, r.raw = task, text.String()
	return r
}

// A player lets an agent play a game: its tools are the arena's, and it says when a turn is over.
type player struct{ game }

func (p player) Tools(context.Context) ([]astra.PublicTool, error) { return nil, nil }

func (p player) Call(_ context.Context, tool string, args json.RawMessage) (agent.Outcome, error) {
	r := p.call(tool, string(args))
	out := agent.Outcome{Failed: !r.OK, Text: r.text(), Value: json.RawMessage(r.text())}
	if !json.Valid(out.Value) {
		out.Value, _ = json.Marshal(r.text())
	}
	return out, nil
}

// gold plays a task's solution to its end.
func (g game) gold(task *astra.Task) reply {
	g.t.Helper()
	gold := agent.NewGold(task, &agent.GoldOptions{Repeats: 20})
	for turn := range task.Turns {
		answer, err := gold.Play(g.t.Context(), player{g}, "")
		must(g.t, err)
		input, err := json.Marshal(map[string]string{"answer": answer, "reply": answer})
		must(g.t, err)
		if turn == len(task.Turns)-1 {
			return g.call("episode_submit", `{"answer":`+string(field(input, "answer"))+`}`)
		}
		g.call("episode_turn", `{"reply":`+string(field(input, "reply"))+`}`)
	}
	return reply{}
}

func field(object []byte, name string) json.RawMessage {
	var m map[string]json.RawMessage
	_ = json.Unmarshal(object, &m)
	return m[name]
}

// goldOverMCP plays it through the agents' door.
func (h *house) goldOverMCP(arena string, task *astra.Task) *astra.Score {
	h.t.Helper()
	ctx := h.t.Context()
	o, err := h.Open(ctx, gateway.OpenRequest{Arena: arena, Task: task.ID, Mode: astra.Eval})
	must(h.t, err)
	door, err := agent.Dial(ctx, h.agents.URL+"/episode/mcp", o.Key, nil)
	must(h.t, err)
	defer door.Close()
	gold := agent.NewGold(task, &agent.GoldOptions{Repeats: 20})
	var answer string
	for turn := range task.Turns {
		answer, err = gold.Play(ctx, door, "")
		must(h.t, err)
		if turn < len(task.Turns)-1 {
			_, err = h.Turn(ctx, o.Episode, answer)
			must(h.t, err)
		}
	}
	score, err := h.Submit(ctx, o.Episode, astra.Submitted{Answer: &answer})
	must(h.t, err)
	return score
}

// lines are the names of a set, for comparison.
func lines[V any](m map[string]V) string { return strings.Join(slices.Sorted(maps.Keys(m)), " ") }
