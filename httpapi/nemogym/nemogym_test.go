package nemogym

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/agent"
	"github.com/astra-arenas/astra/gateway"
	"github.com/astra-arenas/astra/httpapi/harness"
)

// play plays a task's gold by seed_session, tools and verify.
func (h *house) play(c *client, task string) judged {
	h.t.Helper()
	row := h.row(task)
	var seed seeded
	c.expect("/seed_session", row, &seed)
	reply, err := agent.NewGold(h.task(task), nil).Play(h.t.Context(), c, "")
	must(h.t, err)
	c.say(reply)
	var got judged
	c.expect("/verify", with(row, responded(c.output)), &got)
	return got
}

// Each task of one message is worth over this door what it is over MCP, in a session and
// played again without one.
func TestGold(t *testing.T) {
	h := newHouse(t, "", nil)
	for i := range h.arenas["inventory"].Tasks {
		task := &h.arenas["inventory"].Tasks[i]
		if len(task.Turns) > 1 {
			continue
		}
		want, c := h.gold(task.ID), h.client()
		got := h.play(c, task.ID)
		if !got.same(want) || want.Reward != 1 {
			t.Errorf("%s: %+v, over MCP %+v", task.ID, got, want)
		}
		rec, err := h.Episode(t.Context(), got.Astra.Episode)
		must(t, err)
		if train := task.Split == astra.SplitTrain; (rec.Mode == astra.Train) != train {
			t.Errorf("%s of the %s split was played as %s", task.ID, task.Split, rec.Mode)
		}
		var again judged
		h.client().expect("/verify", with(h.row(task.ID), responded(c.output)), &again)
		if !again.same(want) || again.Astra.Episode == got.Astra.Episode {
			t.Errorf("%s played again: %+v", task.ID, again)
		}
		if rec, err = h.Episode(t.Context(), again.Astra.Episode); err != nil || rec.Mode != astra.Eval {
			t.Errorf("%s played again is a sample to train on: %+v, %v", task.ID, rec, err)
		}
	}
}

// A row may come back with whatever a harness put into it, and goes on with it.
func TestEcho(t *testing.T) {
	h := newHouse(t, "", nil)
	c, row := h.client(), with(h.row("hinge-price"), map[string]any{"_ng_task_index": 3, "note": []int{1}, "reward": 7})
	var seed seeded
	c.expect("/seed_session", row, &seed)
	for range 2 { // a repeat whose answer was lost
		var got map[string]json.RawMessage
		c.expect("/verify", with(row, responded([]map[string]any{message("assistant", "2.35")})), &got)
		for k, want := range map[string]string{"_ng_task_index": "3", "note": "[1]", "reward": "0.2", "mask_sample": "false", "failure_kind": "null"} {
			if string(got[k]) != want {
				t.Errorf("%s is %s, want %s", k, got[k], want)
			}
		}
		if len(got["responses_create_params"]) < 10 || !strings.Contains(string(got["response"]), "resp_1") {
			t.Errorf("not echoed: %v", got)
		}
	}
	if status, text := c.do("POST", "/verify", with(row, responded([]map[string]any{message("assistant", "3")}))); status != 409 {
		t.Errorf("another answer: %d %s", status, text)
	}
}

// Rows of `astra ray write` had the digest in the arena's name.
func TestDigestInTheName(t *testing.T) {
	h := newHouse(t, "", nil)
	c, row := h.client(), `{"responses_create_params":{"input":[]},"verifier_metadata":{"arena":"`+h.arenas["inventory"].Ref()+`","task":"hinge-price"}}`
	var seed seeded
	c.expect("/seed_session", row, &seed)
	var got judged
	c.expect("/verify", with(row, responded([]map[string]any{message("assistant", "2.35")})), &got)
	if got.Masked || got.Reward != 0.2 {
		t.Errorf("%+v", got)
	}
}

// A rollout is not judged by the session of another.
func TestCookieOfAnother(t *testing.T) {
	h := newHouse(t, "", nil)
	c := h.client()
	var seed seeded
	c.expect("/seed_session", h.row("hinge-price"), &seed)
	other := h.row(h.arenas["inventory"].Tasks[0].ID)
	if other == h.row("hinge-price") {
		other = h.row(h.arenas["inventory"].Tasks[1].ID)
	}
	if status, text := c.do("POST", "/verify", with(other, responded([]map[string]any{message("assistant", "2.35")}))); status != 409 || !strings.Contains(text, "this session plays another") {
		t.Errorf("verify: %d %s", status, text)
	}
	var got judged
	c.expect("/verify", with(h.row("hinge-price"), responded([]map[string]any{message("assistant", "2.35")})), &got)
}

// NeMo Gym's simple agent sends a call of any name to the path of that name, with the session's
// cookie, and shows the model what comes back. A model that calls what is the harness's learns
// nothing, and ends nothing.
func TestModelPlaysHarness(t *testing.T) {
	h := newHouse(t, "", nil)
	c, want := h.seeded("hinge-price"), h.gold("hinge-price")
	said := mustJSON(t, responded([]map[string]any{message("assistant", "2.35")}))
	for _, call := range [][2]string{
		{"verify", `{}`}, {"verify", said}, {"verify", with(said, map[string]any{"task_id": "guess"})}, {"verify", with(said, map[string]any{"responses_create_params": 1})},
		{"close_session", `{}`}, {"close", `{}`}, {"step", said}, {"reset", `{}`}, {"seed_session", `{}`}, {"aggregate_metrics", `{"verify_responses":[]}`},
	} {
		status, text := c.do("POST", "/"+call[0], call[1])
		if strings.Contains(text, "hinge-price") || strings.Contains(text, "reward") || status == 200 && call[0] != "aggregate_metrics" && call[0] != "close" {
			t.Errorf("%s %s: %d %s", call[0], call[1], status, text)
		}
	}
	reply, err := agent.NewGold(h.task("hinge-price"), nil).Play(t.Context(), c, "")
	must(t, err)
	before := h.steps(c)
	h.unheard(c, "find_items", hinge)
	if c.do("POST", "/find_items", hinge); h.steps(c) != before+1 {
		t.Error("a call whose answer was lost is two steps")
	}
	c.say(reply)
	var got judged
	c.expect("/verify", with(h.row("hinge-price"), responded(c.output)), &got)
	if got.Masked || got.Recall != want.Recall || got.Reward <= 0 {
		t.Errorf("%+v, want about %+v", got, want)
	}
}

// What a reward is made of sums to it.
func TestComponents(t *testing.T) {
	gate, free := astra.Part{Name: "same_end", Value: 1, Gate: true}, astra.Part{Name: "answer", Value: 1}
	f1, other := astra.Part{Name: "f1", Value: 0.5, Weight: 3}, astra.Part{Name: "other", Value: 1, Weight: 1}
	shut := gate
	shut.Value = 0
	for _, c := range []struct {
		parts []astra.Part
		want  string
	}{
		{[]astra.Part{f1, free}, `{"f1":0.5}`},
		{[]astra.Part{f1, other, gate}, `{"f1":0.375,"other":0.25}`},
		{[]astra.Part{f1, other, shut}, `{"f1":0,"other":0}`},
		{[]astra.Part{gate}, `{}`},
		{nil, `{}`},
	} {
		v := verdict{Score: &astra.Score{Parts: c.parts, Reward: astra.Combine(c.parts)}}
		if got := mustJSON(t, v.components()); got != c.want {
			t.Errorf("%+v: %s, want %s", c.parts, got, c.want)
		}
	}
}

// A rollout that is played again has the calls that were made in its session, and no others.
func TestReverifyMakesWhatWasMade(t *testing.T) {
	h := newHouse(t, "", nil)
	call := func(id, args string) map[string]any {
		return map[string]any{"type": "function_call", "name": "find_items", "arguments": args, "call_id": id}
	}
	output := []map[string]any{
		call("c1", `{"query":NaN}`), {"type": "function_call_output", "call_id": "c1", "output": "no number"}, // sent, and a failed step
		call("c2", `{"query":`), {"type": "function_call_output", "call_id": "c2", "output": "no JSON"}, // answered by the agent
		call("c3", hinge), // cut off
		message("assistant", "2.35"),
	}
	var got judged
	h.client().expect("/verify", with(h.row("hinge-price"), responded(output)), &got)
	rec, err := h.Episode(t.Context(), got.Astra.Episode)
	must(t, err)
	if len(rec.Steps) != 1 || rec.Steps[0].Result.Fault != astra.FaultAgent {
		t.Errorf("steps %+v", rec.Steps)
	}
}

const later = `{"resources_session_id":"session-1","episode_id":{"rollout_id":"r1","attempt":0},"task_id":{"taskset":"astra:train","task_id":"inventory/hinge-price"},"task_data":{}}`

// The later generation: the harness chooses the id, and may seed and close again.
func TestChosenID(t *testing.T) {
	h := newHouse(t, "", nil)
	c := h.client()
	c.base = h.web.URL
	for range 2 {
		var got seededUnder
		c.expect("/seed_session", later, &got)
		if got.ID != "session-1" || got.Tools == nil || got.Tools.Server != "inventory" || c.cookie == "" {
			t.Fatalf("seeded %+v, cookie %q", got, c.cookie)
		}
	}
	reply, err := agent.NewGold(h.task("hinge-price"), nil).Play(t.Context(), c, "")
	must(t, err)
	c.say(reply)
	var got judged
	c.expect("/verify", mustJSON(t, map[string]any{"episode_id": map[string]any{"rollout_id": "r1"}, "task_id": map[string]string{"taskset": "t", "task_id": "hinge-price"},
		"verification_input": responded(c.output)}), &got)
	if !got.same(h.gold("hinge-price")) {
		t.Errorf("%+v", got)
	}
	var closed map[string]string
	for range 2 {
		c.expect("/close_session", `{"resources_session_id":"session-1","episode_id":{"rollout_id":"r1"}}`, &closed)
	}
	if closed["resources_session_id"] != "session-1" {
		t.Errorf("closed %v", closed)
	}
	rec, err := h.Episode(t.Context(), got.Astra.Episode)
	must(t, err)
	if rec.Status != astra.StatusScored {
		t.Errorf("closing a verified session made it %s", rec.Status)
	}
	for _, id := range []string{"session-1", "session-2"} {
		c.cookie = ""
		c.expect("/close_session", `{"resources_session_id":"`+id+`","episode_id":{"rollout_id":"r1"}}`, &closed)
		if status, text := c.do("POST", "/seed_session", strings.Replace(later, "session-1", id, 1)); status < 400 {
			t.Errorf("%s was seeded after it was closed: %s", id, text)
		}
	}
}

// A meanwhile does something else before it opens an episode.
type meanwhile struct {
	*gateway.Gateway
	do func()
}

func (m *meanwhile) Open(ctx context.Context, req gateway.OpenRequest) (*gateway.Opening, error) {
	m.do()
	return m.Gateway.Open(ctx, req)
}

// A session that is closed while it is seeded leaves no episode behind.
func TestClosedWhileSeeded(t *testing.T) {
	h := newHouse(t, "", nil)
	m := &meanwhile{Gateway: h.Gateway}
	shared, err := harness.New(m, harness.NewGate("", nil), []byte(secret), nil, nil)
	must(t, err)
	t.Cleanup(shared.Close)
	face := New(shared, nil).Handler()
	post := func(path, body string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		face.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "POST", path, strings.NewReader(body)))
		return w
	}
	m.do = func() {
		if w := post("/close_session", `{"resources_session_id":"s","episode_id":"e"}`); w.Code != 200 {
			t.Errorf("close_session: %d %s", w.Code, w.Body)
		}
	}
	w := post("/inventory/seed_session", `{"resources_session_id":"s","episode_id":"e","task_id":"hinge-price","task_data":{}}`)
	if open := h.Capacity().Open; w.Code != http.StatusConflict || open != 0 {
		t.Errorf("seed_session: %d %s, %d are open", w.Code, w.Body, open)
	}
}

func mustJSON(t testing.TB, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	must(t, err)
	return string(b)
}

// Nothing that a harness gets wrong opens an episode, and each answer says what to do.
func TestRefusals(t *testing.T) {
	h := newHouse(t, "", nil)
	row := h.row("hinge-price")
	digest := string(h.arenas["inventory"].Digest)
	other := strings.Replace(digest, digest[7:12], "00000", 1)
	for _, q := range []struct {
		base, path, body, want string
		status                 int
	}{
		{"/nemo-gym/travel", "/seed_session", row, "this URL is that of arena", 422},
		{"/nemo-gym/inventory@" + other, "/seed_session", row, "another version of the arena", 422},
		{"/nemo-gym/inventory", "/seed_session", strings.Replace(row, digest, other, 1), "export the rows again", 422},
		{"", "/seed_session", strings.ReplaceAll(row, `"task":"hinge-price"`, `"task":"nothing"`), "has no task", 404},
		{"", "/seed_session", `{}`, "names no task", 422},
		{"", "/seed_session", `{"task_id":"hinge-price"}`, "use /nemo-gym/ARENA", 422},
		{"", "/seed_session", `{"task_id":"nowhere/hinge-price"}`, "there is no arena", 404},
		{"", "/seed_session", `{"task_id":"inventory/restock-lowest"}`, "gymnasium_agent", 422},
		{"", "/seed_session", `[`, "body", 422},
		{"", "/seed_session", `null`, "names no task", 422},
		{"", "/seed_session", `{"verifier_metadata":3}`, "verifier_metadata", 422},
		{"", "/seed_session", strings.Replace(later, "session-1", "", 1), "1 to 256 bytes", 422},
		{"", "/seed_session", strings.Replace(later, `"task_data":{}`, `"task_data":[]`, 1), "task_data", 422},
		{"", "/verify", row, "no response", 422},
		{"", "/verify", with(row, map[string]any{"response": 3}), "Responses API", 422},
		{"", "/step", with(row, responded(nil)), "no such session", 410},
		{"", "/close", `{}`, "cookie", 422},
		{"", "/close_session", `{}`, "resources_session_id", 422},
		{"", "/find_items", `{}`, "no such session", 410},
		{"", "/a/b/c", `{}`, "no such path", 404},
	} {
		c := h.client()
		c.base = h.web.URL + q.base
		status, text := c.do("POST", q.path, q.body)
		var p problem
		if json.Unmarshal([]byte(text), &p) != nil || status != q.status || !strings.Contains(p.Detail, q.want) {
			t.Errorf("%s%s %.60s: %d %s, want %d and %q", q.base, q.path, q.body, status, text, q.status, q.want)
		}
	}
	if n := h.Capacity().Open; n != 0 {
		t.Errorf("%d episodes are open", n)
	}
}

func TestKeyAndPages(t *testing.T) {
	h := newHouse(t, "secret", nil)
	for edit, want := range map[string]int{"": 401, "Bearer secret": 200, "Origin": 403} {
		c := h.client()
		c.edit = func(r *http.Request) {
			if edit == "Origin" {
				r.Header.Set("Origin", "http://evil.example")
			} else if edit != "" {
				r.Header.Set("Authorization", edit)
			}
		}
		if status, text := c.do("POST", "/seed_session", h.row("hinge-price")); status != want {
			t.Errorf("%q: %d %s", edit, status, text)
		}
	}
}

func sessionIn(c *client) string {
	r, _ := http.NewRequest("GET", "/", nil)
	r.Header.Set("Cookie", c.cookie)
	return sessionOf(r)
}

// The cookie comes with every response, or agents lose the session with their first error.
func TestCookieOnErrors(t *testing.T) {
	h := newHouse(t, "", nil)
	c := h.client()
	var seed seeded
	c.expect("/seed_session", h.row("hinge-price"), &seed)
	for _, q := range [][2]string{{"/no_such_tool", `{}`}, {"/find_items", `[`}, {"/find_items", `{"nonsense":1}`}, {"/verify", `[`}, {"/seed_session", `{}`}, {"/a/b/c", ``}} {
		if status, text := c.do("POST", q[0], q[1]); status < 400 || c.cookie == "" {
			t.Fatalf("%s: %d %s, cookie %q", q[0], status, text, c.cookie)
		}
	}
	status, text := c.do("POST", "/no_such_tool", `{}`)
	var unknown struct {
		Error string `json:"error"`
	}
	if json.Unmarshal([]byte(text), &unknown) != nil || !strings.Contains(unknown.Error, "find_items") || status != 404 {
		t.Errorf("an unknown tool: %d %s", status, text)
	}
	if status, text = c.do("POST", "/mcp__inventory__find_items", `{"query":"hinge"}`); status != 200 {
		t.Errorf("a name of MCP's: %d %s", status, text)
	}
	if status, text = c.do("POST", "/ng-rollout/3-0/find_items", `{"query":"hinge"}`); status != 200 {
		t.Errorf("a path that tells rollouts apart: %d %s", status, text)
	}
}

// Agents come in by the token, find tools there and no reward, and cannot verify.
func TestAgentsDoor(t *testing.T) {
	h := newHouse(t, "secret", nil)
	c := h.client()
	c.edit = func(r *http.Request) { r.Header.Set("Authorization", "Bearer secret") }
	var seed seeded
	c.expect("/seed_session", h.row("hinge-price"), &seed)
	token := seed.MCP.Headers[tokenHeader]
	client := &http.Client{Transport: tokenTransport(token)}
	door, err := agent.Dial(t.Context(), c.base+seed.MCP.Path, astra.Key(token), &agent.DoorOptions{HTTPClient: client, Legacy: true})
	must(t, err)
	defer door.Close()
	out, err := door.Call(t.Context(), "find_items", json.RawMessage(`{"query":"brass hinge"}`))
	if err != nil || out.Failed {
		t.Errorf("%+v, %v", out, err)
	}
	for _, cookie := range []string{token, sessionIn(c)[:22] + "." + token[:22]} {
		w := newRecorder()
		setSession(w, cookie)
		thief := h.client()
		thief.cookie, thief.edit = strings.Split(w.Header().Get("Set-Cookie"), ";")[0], c.edit
		var got judged
		thief.expect("/verify", with(h.row("hinge-price"), responded(nil)), &got)
		if !got.Masked {
			t.Errorf("an agent verified: %+v", got)
		}
	}
}

// A response's answer, whatever else is in it.
func TestAnswer(t *testing.T) {
	for text, want := range map[string]string{
		`{"output":[]}`: "none",
		`{"output":[{"type":"message","role":"assistant","content":"a"},{"type":"function_call","name":"x"}]}`:                                                                "a",
		`{"output":[{"type":"message","role":"assistant","content":[{"type":"output_text","text":"a"},{"type":"refusal","refusal":"r"},{"type":"output_text","text":"b"}]}]}`: "ab",
		`{"output":[{"role":"assistant","content":"a"},{"role":"user","content":"b"}]}`:                                                                                       "a",
		`{"output":[{"type":"reasoning","content":[{"type":"reasoning_text","text":"r"}],"summary":[]}]}`:                                                                     "none",
	} {
		r, err := readResponse(json.RawMessage(text))
		must(t, err)
		got := "none"
		if a := r.answer(); a != nil {
			got = *a
		}
		if got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

// Sessions that nobody uses end.
func TestIdle(t *testing.T) {
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	h := newHouse(t, "", &harness.Options{Now: func() time.Time { return now }})
	c := h.client()
	var seed seeded
	c.expect("/seed_session", h.row("hinge-price"), &seed)
	now = now.Add(DefaultIdle + time.Second)
	h.face.house.Sweep(context.WithoutCancel(t.Context()))
	if n := h.Capacity().Open; n != 0 {
		t.Errorf("%d episodes are open", n)
	}
}
