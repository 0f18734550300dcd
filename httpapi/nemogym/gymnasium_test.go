package nemogym

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/agent"
)

// A gymnast is a harness that plays as NeMo Gym's gymnasium agent does. It is a Session of
// the gold agent, each of whose calls is a response of a model.
type gymnast struct {
	*client
	row   string
	steps int
}

type wireStep struct {
	stepped
	Info struct {
		Outputs []toolOutput `json:"tool_outputs"`
		Astra   struct {
			Episode astra.EpisodeID `json:"episode"`
		} `json:"astra"`
		Recall float64 `json:"recall"`
	} `json:"info"`
}

func (g *gymnast) step(output []map[string]any) wireStep {
	g.t.Helper()
	g.steps++
	body := responded(output)
	body["_ng_step_request_id"] = fmt.Sprintf("%032x", g.steps)
	var got, again wireStep
	cookie := g.cookie
	g.expect("/step", with(g.row, body), &got)
	g.cookie = cookie
	g.expect("/step", with(g.row, body), &again) // its answer was lost
	if mustJSON(g.t, got) != mustJSON(g.t, again) {
		g.t.Errorf("a step told\n%+v\nand its repeat\n%+v", got, again)
	}
	g.output = append(g.output, output...)
	return got
}

func (g *gymnast) Call(_ context.Context, tool string, args json.RawMessage) (agent.Outcome, error) {
	id := fmt.Sprintf("call_%d", g.steps)
	got := g.step([]map[string]any{{"type": "function_call", "name": tool, "arguments": string(args), "call_id": id}})
	if len(got.Info.Outputs) != 1 || got.Info.Outputs[0].CallID != id || got.Terminated || got.Reward != 0 {
		g.t.Fatalf("a call: %+v", got)
	}
	text := got.Info.Outputs[0].Output
	g.output = append(g.output, map[string]any{"type": "function_call_output", "call_id": id, "output": text})
	return outcome(!json.Valid([]byte(text)), text), nil
}

// Every task is worth as much to the Gymnasium agent as it is over MCP, with each step sent
// twice; and so is its rollout played again.
func TestGymnasium(t *testing.T) {
	h := newHouse(t, "", nil)
	for i := range h.arenas["inventory"].Tasks {
		task := &h.arenas["inventory"].Tasks[i]
		want := h.gold(task.ID)
		g := &gymnast{client: h.client(), row: h.gymRow(task)}
		var start observed
		g.expect("/reset", g.row, &start)
		if start.Observation == nil || *start.Observation != task.Turns[0].Prompt || start.Info["supports_explicit_close"] != true || start.Info["supports_step_idempotency"] != true {
			t.Fatalf("%s: %+v", task.ID, start)
		}
		player := agent.NewGold(task, nil)
		var got wireStep
		for n := range task.Turns {
			reply, err := player.Play(t.Context(), g, "")
			must(t, err)
			got = g.step([]map[string]any{message("assistant", reply)})
			if n+1 < len(task.Turns) {
				if got.Observation == nil || *got.Observation != task.Turns[n+1].Prompt || got.Terminated {
					t.Fatalf("%s, turn %d: %+v", task.ID, n+1, got)
				}
				g.output = append(g.output, map[string]any{"role": "user", "content": *got.Observation, "type": "message"})
			}
		}
		if !got.Terminated || got.Reward != want.Reward || got.Info.Recall != want.Recall || want.Reward != 1 {
			t.Errorf("%s: %+v, over MCP %+v", task.ID, got, want)
		}
		var closed map[string]bool
		g.expect("/close", `{}`, &closed)
		rec, err := h.Episode(t.Context(), got.Info.Astra.Episode)
		must(t, err)
		if rec.Status != astra.StatusScored || len(rec.Steps) != calls(task) {
			t.Errorf("%s: %s with %d steps, want %d", task.ID, rec.Status, len(rec.Steps), calls(task))
		}
		var again judged
		h.client().expect("/verify", with(g.row, responded(g.output)), &again)
		if !again.same(want) {
			t.Errorf("%s played again: %+v", task.ID, again)
		}
	}
}

func calls(t *astra.Task) (n int) {
	for _, turn := range t.Gold {
		n += len(turn)
	}
	return n
}

// gymRow is a row without a message: the observation is the first.
func (h *house) gymRow(t *astra.Task) string {
	return fmt.Sprintf(`{"responses_create_params":{"input":[]},"verifier_metadata":{"arena":"inventory","digest":%q,"task":%q}}`, h.arenas["inventory"].Digest, t.ID)
}

// A row that has the first message is not told it again.
func TestResetKnowsTheRow(t *testing.T) {
	h := newHouse(t, "", nil)
	var start observed
	h.client().expect("/reset", h.row("hinge-price"), &start)
	if start.Observation != nil {
		t.Errorf("told twice: %s", *start.Observation)
	}
}

// A step whose answer was lost when the process ended finds what it did in the log.
func TestStepAfterRestart(t *testing.T) {
	h := newHouse(t, "", nil)
	task := h.task("restock-lowest")
	c, row := h.client(), h.gymRow(task)
	var start observed
	c.expect("/reset", row, &start)
	call := map[string]any{"type": "function_call", "name": "find_items", "arguments": hinge, "call_id": "c1"}
	for n, output := range [][]map[string]any{{call, call}, {message("assistant", "W3")}} {
		body := responded(output)
		body["_ng_step_request_id"] = fmt.Sprint("step", n)
		var before, after wireStep
		cookie := c.cookie
		c.expect("/step", with(row, body), &before)
		h.restart()
		c.base, c.cookie = h.client().base, cookie
		c.expect("/step", with(row, body), &after)
		if mustJSON(t, before) != mustJSON(t, after) {
			t.Errorf("before %+v, after %+v", before, after)
		}
	}
	if n := h.stepsOf(h.face.games, c); n != 2 {
		t.Errorf("%d steps, want 2", n)
	}
	if status, text := c.do("POST", "/close", `{}`); status != 200 {
		t.Errorf("close: %d %s", status, text)
	}
	if status, text := c.do("POST", "/step", with(row, responded([]map[string]any{message("assistant", "")}))); status != 410 || !strings.Contains(text, "cancelled") {
		t.Errorf("a step of a closed session: %d %s", status, text)
	}
}
