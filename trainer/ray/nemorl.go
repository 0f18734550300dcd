package ray

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// NeMoRL is what a NeMo RL run has beside the run itself.
type NeMoRL struct {
	Root  string   // where NeMo RL lies on the cluster; default DefaultRoot
	Base  string   // its own configuration of the model, which ours goes on from (defaults:)
	Agent string   // the agent server of NeMo Gym that plays the rows
	Gym   []string // NeMo Gym's configurations of that agent and of our resources server

	Invalid string // how verify tells what cannot be judged: "error"; default by a mask
}

// DefaultRoot is where NeMo RL lies in its containers.
const DefaultRoot = "/opt/nemo-rl"

// policyServer is NeMo Gym's configuration of the model that is trained, which agents refer to.
const policyServer = "responses_api_models/vllm_model/configs/vllm_model_for_training.yaml"

// configs are NeMo Gym's: ours replace the base's, so the policy's is among them.
func (n *NeMoRL) configs() []string {
	if slices.ContainsFunc(n.Gym, func(path string) bool { return strings.Contains(path, "responses_api_models/") }) {
		return n.Gym
	}
	return append([]string{policyServer}, n.Gym...)
}

type gymRow struct {
	Create   gymCreate         `json:"responses_create_params"`
	Metadata gymTask           `json:"verifier_metadata"`
	Agent    map[string]string `json:"agent_ref"`
}

type gymTask struct {
	Arena   string `json:"arena"`
	Digest  string `json:"digest"`
	Task    string `json:"task"`
	Invalid string `json:"invalid,omitempty"`
}

type gymCreate struct {
	Input []Message `json:"input"`
	Tools []gymTool `json:"tools"`

	Parallel bool `json:"parallel_tool_calls"` // false: sub-tasks may depend on each other
}

// A gymTool has the flat form of the Responses API.
type gymTool struct {
	Type        string          `json:"type"`
	Name        string          `json:"name"`
	Description string          `json:"description"`
	Parameters  json.RawMessage `json:"parameters"`
	Strict      bool            `json:"strict"`
}

// WriteNeMoRL writes a directory for NeMo RL with NeMo Gym and returns the command that runs
// it there: train.jsonl, eval.jsonl and grpo.yaml.
func WriteNeMoRL(dir string, r Run, n NeMoRL) (entrypoint string, err error) {
	if err := r.check(); err != nil {
		return "", err
	}
	if n.Base == "" || n.Agent == "" || len(n.Gym) == 0 {
		return "", fmt.Errorf("want a base configuration, an agent and NeMo Gym's configurations")
	}
	if filepath.Clean(n.Base) == "grpo.yaml" {
		return "", errors.New("the run's own configuration is grpo.yaml, and would go on from itself: give the base another name")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	if err := writeGymRows(filepath.Join(dir, "train.jsonl"), r.Train, n); err != nil {
		return "", err
	}
	if err := writeGymRows(filepath.Join(dir, "eval.jsonl"), r.eval(), n); err != nil {
		return "", err
	}
	err = writeYAML(dir, "grpo.yaml", map[string]any{
		"defaults": n.Base,
		"policy":   map[string]any{"model_name": r.Model, "train_global_batch_size": r.Batch * r.Group}, // one update a step
		"grpo":     map[string]any{"num_prompts_per_step": r.Batch, "num_generations_per_prompt": r.Group, "max_num_steps": r.Steps, "max_num_epochs": r.epochs()},
		"loss_fn":  map[string]any{"reference_policy_kl_penalty": 0, "token_level_loss": true},
		"data": map[string]any{
			"train_jsonl_fpath": "train.jsonl", "validation_jsonl_fpath": "eval.jsonl", // older versions read these,
			"train": map[string]any{"data_path": "train.jsonl"}, "validation": map[string]any{"data_path": "eval.jsonl"}, // newer ones those
		},
		"env": map[string]any{"should_use_nemo_gym": true, "nemo_gym": map[string]any{"config_paths": n.configs()}},
	})
	return "python3 " + Quote(path.Join(cmp.Or(n.Root, DefaultRoot), "examples/nemo_gym/run_grpo_nemo_gym.py")) + " --config grpo.yaml", err
}

// place names the task as NeMo Gym's face reads it. That opens it with the task's own seed.
func (r *Row) place(invalid string) gymTask {
	name, digest, _ := strings.Cut(r.Arena, "@")
	return gymTask{name, digest, r.Task, invalid}
}

func writeGymRows(file string, rows []Row, n NeMoRL) error {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	for i, r := range rows {
		g := gymRow{Create: gymCreate{Input: r.Prompt, Tools: []gymTool{}},
			Metadata: r.place(n.Invalid),
			Agent:    map[string]string{"type": "responses_api_agents", "name": n.Agent}}
		for _, t := range r.Tools {
			g.Create.Tools = append(g.Create.Tools, gymTool{Type: "function", Name: t.Name, Description: t.Description, Parameters: t.Parameters})
		}
		if err := e.Encode(g); err != nil {
			return fmt.Errorf("row %d: %w", i, err)
		}
	}
	return os.WriteFile(file, out.Bytes(), 0o644)
}

var plainWord = regexp.MustCompile(`^[A-Za-z0-9_./=:@%+,-]+$`)

// Quote makes one word of a text for a shell.
func Quote(s string) string {
	if plainWord.MatchString(s) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
