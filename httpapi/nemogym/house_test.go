package nemogym

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/agent"
	"github.com/astra-arenas/astra/gateway"
	"github.com/astra-arenas/astra/gateway/gatewaytest"
	"github.com/astra-arenas/astra/httpapi/harness"
	"github.com/astra-arenas/astra/mcp"
	"github.com/astra-arenas/astra/store"
	"github.com/astra-arenas/astra/synth/rows"
)

const secret = "a secret for tests only"

// A house is the face over real parts.
type house struct {
	*gateway.Gateway
	t      testing.TB
	dir    string
	store  *store.Store
	face   *Server
	web    *httptest.Server // the faces, at / and at /nemo-gym/
	agents *httptest.Server // the agents' door
	arenas map[string]*astra.Arena
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newHouse(t testing.TB, token string, opts *harness.Options) *house {
	t.Helper()
	h := &house{t: t, dir: t.TempDir(), arenas: map[string]*astra.Arena{}}
	h.open(token, opts)
	return h
}

func (h *house) open(token string, opts *harness.Options) {
	h.t.Helper()
	var limits gateway.Options
	if opts != nil {
		limits.Now = opts.Now
	}
	h.store = gatewaytest.Store(h.t, h.dir)
	h.Gateway = gatewaytest.Open(h.t, h.store, &limits)
	for _, name := range []string{"files", "inventory", "travel"} {
		h.add("../../examples/arenas/" + name)
	}
	doors, err := mcp.New(h.Gateway, nil)
	must(h.t, err)
	shared, err := harness.New(h.Gateway, harness.NewGate(token, nil), []byte(secret), doors.AgentHandler(), opts)
	must(h.t, err)
	h.face = New(shared, nil)
	mux := http.NewServeMux()
	mux.Handle("/nemo-gym/", http.StripPrefix("/nemo-gym", h.face.Handler()))
	mux.Handle("/", h.face.Handler())
	h.web, h.agents = httptest.NewServer(mux), httptest.NewServer(doors.AgentHandler())
	h.t.Cleanup(h.close)
}

func (h *house) add(dir string) {
	h.t.Helper()
	a := gatewaytest.Add(h.t, h.Gateway, dir)
	h.arenas[a.Name] = a
}

// close may come again: every start leaves it as a clean-up.
func (h *house) close() {
	h.web.CloseClientConnections()
	h.web.Close()
	h.agents.Close()
	h.face.house.Close()
	must(h.t, h.Gateway.Close())
	must(h.t, h.store.Close())
}

// restart is another process over the same store.
func (h *house) restart() {
	h.t.Helper()
	h.close()
	h.open("", nil)
}

func (h *house) task(id string) *astra.Task {
	h.t.Helper()
	task := h.arenas["inventory"].Task(id)
	if task == nil {
		h.t.Fatalf("no task %s", id)
	}
	return task
}

// row is a task's row, as it is exported.
func (h *house) row(id string) string {
	h.t.Helper()
	r, err := rows.GymOf(h.arenas["inventory"], h.task(id), &rows.ExportOptions{Arena: func(name string) *astra.Arena { return h.arenas[name] }})
	must(h.t, err)
	b, err := json.Marshal(r)
	must(h.t, err)
	return string(b)
}

// gold is what the gold agent gets over MCP.
func (h *house) gold(id string) *astra.Score {
	h.t.Helper()
	ctx := h.t.Context()
	mode := astra.Eval
	if h.task(id).Split == astra.SplitTrain {
		mode = astra.Train
	}
	o, err := h.Open(ctx, gateway.OpenRequest{Arena: "inventory", Task: id, Mode: mode})
	must(h.t, err)
	door, err := agent.Dial(ctx, h.agents.URL+"/episode/mcp", o.Key, nil)
	must(h.t, err)
	defer door.Close()
	player := agent.NewGold(h.task(id), nil)
	for message := o.Message; ; {
		reply, err := player.Play(ctx, door, message)
		must(h.t, err)
		next, err := h.Turn(ctx, o.Episode, reply)
		must(h.t, err)
		if next.Done {
			score, err := h.Submit(ctx, o.Episode, astra.Submitted{Answer: &reply})
			must(h.t, err)
			return score
		}
		message = next.Message
	}
}

// A client is a harness: it comes back with the cookie of the last response, and no other.
type client struct {
	t      testing.TB
	base   string
	cookie string
	output []map[string]any // of the rollout so far
	edit   func(*http.Request)
}

func (h *house) client() *client { return &client{t: h.t, base: h.web.URL + "/nemo-gym/inventory"} }

func (c *client) do(method, path, body string) (int, string) {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.base+path, strings.NewReader(body))
	must(c.t, err)
	if c.cookie != "" {
		req.Header.Set("Cookie", c.cookie)
	}
	if c.edit != nil {
		c.edit(req)
	}
	res, err := http.DefaultClient.Do(req)
	must(c.t, err)
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	must(c.t, err)
	c.cookie = "" // as older simple agents do: the jar is what the last response set
	for _, k := range res.Cookies() {
		c.cookie = k.Name + "=" + k.Value
	}
	return res.StatusCode, string(b)
}

func (c *client) expect(path, body string, into any) {
	c.t.Helper()
	status, text := c.do("POST", path, body)
	if status != 200 {
		c.t.Fatalf("%s: %d %s", path, status, text)
	}
	if err := json.Unmarshal([]byte(text), into); err != nil {
		c.t.Fatalf("%s: %s: %v", path, text, err)
	}
}

// Call makes a call as NeMo Gym's simple agent does, which shows a model the body whatever
// the status. It implements agent.Session for the gold agent.
func (c *client) Call(_ context.Context, tool string, args json.RawMessage) (agent.Outcome, error) {
	id := fmt.Sprintf("call_%d", len(c.output))
	status, text := c.do("POST", "/"+tool, string(args))
	c.output = append(c.output, map[string]any{"type": "function_call", "name": tool, "arguments": string(args), "call_id": id},
		map[string]any{"type": "function_call_output", "call_id": id, "output": text})
	return outcome(status != 200, text), nil
}

func outcome(failed bool, text string) agent.Outcome {
	if failed {
		return agent.Outcome{Failed: true, Text: text}
	}
	value := json.RawMessage(text)
	if !json.Valid(value) {
		value, _ = json.Marshal(text)
	}
	return agent.Outcome{Value: value, Text: text}
}

func (c *client) Tools(context.Context) ([]astra.PublicTool, error) { return nil, nil }

// say ends a rollout's turn with a message.
func (c *client) say(text string) {
	c.output = append(c.output, message("assistant", text))
}

func message(role, text string) map[string]any {
	return map[string]any{"type": "message", "role": role, "content": []map[string]any{{"type": "output_text", "text": text}}}
}

// with is a row with more members.
func with(row string, more map[string]any) string {
	b, err := json.Marshal(more)
	if err != nil {
		panic(err)
	}
	return row[:len(row)-1] + "," + string(b[1:])
}

func responded(output []map[string]any) map[string]any {
	return map[string]any{"response": map[string]any{"id": "resp_1", "object": "response", "output": output, "usage": map[string]any{"input_tokens": 3}}}
}

// A judged is what harnesses read of a verify.
type judged struct {
	Params     json.RawMessage    `json:"responses_create_params"`
	Response   json.RawMessage    `json:"response"`
	Reward     float64            `json:"reward"`
	Components map[string]float64 `json:"reward_components"`
	Recall     float64            `json:"recall"`
	Precision  float64            `json:"precision"`
	Masked     bool               `json:"mask_sample"`
	Config     struct {
		Masked bool `json:"mask_sample"`
	} `json:"instance_config"`
	Kind   *string `json:"failure_kind"`
	Reason *string `json:"failure_reason"`
	Astra  struct {
		Episode astra.EpisodeID `json:"episode"`
	} `json:"astra"`
}

func (j judged) same(s *astra.Score) bool {
	sum := 0.0
	for _, c := range j.Components {
		sum += c
	}
	return !j.Masked && j.Reward == s.Reward && j.Recall == s.Recall && j.Precision == s.Precision && math.Abs(sum-s.Reward) < 1e-6
}
