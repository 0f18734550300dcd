package nemogym

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/synth/rows"
)

// python is the interpreter of an environment that a make target makes.
func python(t *testing.T, venv, target string) string {
	t.Helper()
	path, err := filepath.Abs("../../" + venv + "/bin/python")
	must(t, err)
	if _, err := os.Stat(filepath.Dir(path) + "/../.ready"); err != nil {
		t.Skip(venv + " is missing: make " + target)
	}
	return path
}

// patience is what a peer is given: NeMo Gym takes seconds to be imported, or half a minute on
// a busy machine, and its client tries for ever.
const patience = 8 * time.Minute

// export writes rows and configuration as the command does, and returns their paths.
func (h *house) export(gymnasium bool) (config, data string, tasks []*astra.Task) {
	h.t.Helper()
	dir := h.t.TempDir()
	data, config = filepath.Join(dir, "rows.jsonl"), filepath.Join(dir, "nemo-gym.yaml")
	opts := &rows.ExportOptions{Gymnasium: gymnasium, Arena: func(name string) *astra.Arena { return h.arenas[name] }}
	var lines bytes.Buffer
	for i := range h.arenas["inventory"].Tasks {
		task := &h.arenas["inventory"].Tasks[i]
		r, err := rows.GymOf(h.arenas["inventory"], task, opts)
		if err != nil {
			continue // several turns
		}
		must(h.t, rows.WriteGym(&lines, r))
		tasks = append(tasks, task)
	}
	must(h.t, os.WriteFile(data, lines.Bytes(), 0o600))
	var b bytes.Buffer
	must(h.t, rows.WriteGymConfig(&b, &rows.GymConfig{URL: h.web.URL, Rows: data, License: "Apache-2.0", Gymnasium: gymnasium, Steps: 100}))
	must(h.t, os.WriteFile(config, b.Bytes(), 0o600))
	return config, data, tasks
}

// NeMo Gym's simple agent and its Gymnasium agent, driven by its rollout collection over our
// configuration, come to the gold agent's rewards.
func TestNeMoGymCollects(t *testing.T) {
	exe := python(t, ".venv-nemo-gym", "peers-nemo-gym")
	for name, gymnasium := range map[string]bool{"simple": false, "gymnasium": true} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, "", nil)
			model, err := url.Parse(h.goldModel().URL)
			must(t, err)
			config, data, tasks := h.export(gymnasium)
			out := filepath.Join(t.TempDir(), "out.jsonl")
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			cmd := exec.CommandContext(ctx, exe, "testdata/collect.py", config, data, out, model.Port(), "2")
			cmd.Cancel, cmd.WaitDelay = func() error { return cmd.Process.Signal(os.Interrupt) }, 5*time.Second // it ends what it started
			log, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, log)
			}
			h.compare(out, tasks, 2)
			h.metrics(filepath.Join(filepath.Dir(out), "out_aggregate_metrics.json"), len(tasks))
		})
	}
}

// compare holds collected rollouts to what the gold agent gets over MCP.
func (h *house) compare(path string, tasks []*astra.Task, repeats int) {
	h.t.Helper()
	f, err := os.Open(path)
	must(h.t, err)
	defer func() { must(h.t, f.Close()) }()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 16<<20)
	seen := map[string]int{}
	for lines.Scan() {
		var got struct {
			judged
			Task int  `json:"_ng_task_index"`
			End  bool `json:"terminated"`
		}
		must(h.t, json.Unmarshal(lines.Bytes(), &got))
		task := tasks[got.Task]
		seen[task.ID]++
		if want := h.gold(task.ID); got.Reward != want.Reward || got.Masked {
			h.t.Errorf("%s: reward %g, over MCP %g", task.ID, got.Reward, want.Reward)
		}
	}
	must(h.t, lines.Err())
	for _, task := range tasks {
		if seen[task.ID] != repeats {
			h.t.Errorf("%s has %d rollouts, want %d", task.ID, seen[task.ID], repeats)
		}
	}
}

func (h *house) metrics(path string, tasks int) {
	h.t.Helper()
	b, err := os.ReadFile(path)
	must(h.t, err)
	var agents []struct {
		Agent  map[string]any   `json:"agent_metrics"`
		Key    map[string]any   `json:"key_metrics"`
		Groups []map[string]any `json:"group_level_metrics"`
	}
	must(h.t, json.Unmarshal(b, &agents))
	if len(agents) != 1 || agents[0].Agent["mean/reward"] != 1.0 || agents[0].Key["mean/reward"] != 1.0 || len(agents[0].Groups) != tasks {
		h.t.Errorf("metrics %s", b)
	}
}
