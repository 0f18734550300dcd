package ors_test

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/agent"
	"github.com/astra-arenas/astra/gateway"
)

// TestTRL has TRL train on our tasks, and looks at the rewards that it read.
func TestTRL(t *testing.T) {
	h := newHouse(t, houseOptions{arenas: []string{terms, examples + "travel", examples + "files", examples + "inventory"}})
	for _, env := range []string{"terms.2", "inventory.1"} {
		t.Run(env, func(t *testing.T) { h.trains(t, env) })
	}
}

func (h *house) trains(t *testing.T, env string) {
	arena, _, _ := strings.Cut(env, ".")
	plays, want := map[string][][2]any{}, map[string]float64{}
	for _, spec := range decoded[struct{ Tasks []struct{ Task string } }](t, h.client().expect("POST", "/"+env+"/tasks", `{"split":"train"}`, nil)).Tasks {
		task := h.arenas[arena].Task(spec.Task)
		plays[task.Turns[0].Prompt] = h.play(t, arena, task)
		want[task.ID] = h.goldOverMCP(arena, task).Reward
	}
	script, err := json.Marshal(plays)
	must(t, err)
	cmd := exec.CommandContext(t.Context(), python(t, ".venv-trl", "peers-trl"), "testdata/trl/train.py", h.faces.URL, env, string(script), t.TempDir())
	cmd.Env = append(os.Environ(), "OPENREWARD_SESSION_URL="+h.faces.URL, "OPENREWARD_DISABLE_UPDATE_CHECK=1", "TRL_EXPERIMENTAL_SILENCE=1", "HF_HUB_OFFLINE=1", "CUDA_VISIBLE_DEVICES=")
	cmd.Stderr = t.Output()
	out, err := cmd.Output()
	must(t, err)
	steps, changed := 0, false
	for line := range strings.Lines(string(out)) {
		if !strings.HasPrefix(line, `{"`) {
			continue // the trainer's own
		}
		t.Log(line)
		step := decoded[struct {
			Tasks    []string
			Rewards  []*float64
			Finished []bool
			Changed  bool
		}](t, line)
		changed = changed || step.Changed
		if step.Tasks == nil {
			continue
		}
		steps++
		for i, task := range step.Tasks {
			if r := step.Rewards[i]; r == nil || !step.Finished[i] || i%2 == 0 && *r != want[task] || i%2 == 1 && *r >= want[task] {
				t.Errorf("rollout %d of %s: %s, over MCP %v", i, task, line, want[task])
			}
		}
	}
	if steps != 2 || !changed {
		t.Errorf("%d steps, weights changed: %v", steps, changed)
	}
}

// play is a task's solution as calls of the face, with the values that they pass on.
func (h *house) play(t *testing.T, arena string, task *astra.Task) (calls [][2]any) {
	o, err := h.Open(t.Context(), gateway.OpenRequest{Arena: arena, Task: task.ID, Mode: astra.Eval})
	must(t, err)
	gold, s := agent.NewGold(task, nil), &noted{gateway: h.Gateway, episode: o.Episode}
	for turn := range task.Turns {
		answer, err := gold.Play(t.Context(), s, "")
		must(t, err)
		if turn == len(task.Turns)-1 {
			return append(s.calls, [2]any{"episode_submit", map[string]string{"answer": answer}})
		}
		s.calls = append(s.calls, [2]any{"episode_turn", map[string]string{"reply": answer}})
		_, err = h.Turn(t.Context(), o.Episode, answer)
		must(t, err)
	}
	return nil
}

// noted notes down the calls of an episode.
type noted struct {
	gateway *gateway.Gateway
	episode astra.EpisodeID
	calls   [][2]any
}

func (n *noted) Tools(context.Context) ([]astra.PublicTool, error) { return nil, nil }

func (n *noted) Call(ctx context.Context, tool string, args json.RawMessage) (agent.Outcome, error) {
	n.calls = append(n.calls, [2]any{tool, args})
	step, err := n.gateway.Call(ctx, n.episode, astra.Call{Tool: tool, Args: args})
	return agent.Outcome{Failed: !step.Result.OK(), Value: step.Result.Value, Text: step.Result.Text()}, err
}
