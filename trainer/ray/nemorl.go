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
	Train, Eval []json.RawMessage // rows of NeMo Gym, as synth/rows writes them

	Root string   // where NeMo RL lies on the cluster; default DefaultRoot
	Base string   // its own configuration of the model, which ours goes on from (defaults:)
	Gym  []string // NeMo Gym's configurations of the rows' agent and of our resources server
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

// check says what is wrong with it.
func (n *NeMoRL) check() error {
	if n.Base == "" || len(n.Gym) == 0 {
		return errors.New("want a base configuration and NeMo Gym's configurations")
	}
	if filepath.Clean(n.Base) == "grpo.yaml" {
		return errors.New("the run's own configuration is grpo.yaml, and would go on from itself: give the base another name")
	}
	return nil
}

// WriteNeMoRL writes a directory for NeMo RL with NeMo Gym and returns the command that runs
// it there: train.jsonl, eval.jsonl and grpo.yaml.
func WriteNeMoRL(dir string, r Run, n NeMoRL) (entrypoint string, err error) {
	if err := cmp.Or(r.check(len(n.Train)), n.check()); err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	if err := writeLines(filepath.Join(dir, "train.jsonl"), n.Train); err != nil {
		return "", err
	}
	if err := writeLines(filepath.Join(dir, "eval.jsonl"), evalRows(n.Train, n.Eval)); err != nil {
		return "", err
	}
	err = writeYAML(dir, "grpo.yaml", map[string]any{
		"defaults": n.Base,
		"policy":   map[string]any{"model_name": r.Model, "train_global_batch_size": r.Batch * r.Group}, // one update a step
		"grpo":     map[string]any{"num_prompts_per_step": r.Batch, "num_generations_per_prompt": r.Group, "max_num_steps": r.Steps, "max_num_epochs": r.epochs(len(n.Train))},
		"loss_fn":  map[string]any{"reference_policy_kl_penalty": 0, "token_level_loss": true},
		"data": map[string]any{
			"train_jsonl_fpath": "train.jsonl", "validation_jsonl_fpath": "eval.jsonl", // older versions read these,
			"train": map[string]any{"data_path": "train.jsonl"}, "validation": map[string]any{"data_path": "eval.jsonl"}, // newer ones those
		},
		"env": map[string]any{"should_use_nemo_gym": true, "nemo_gym": map[string]any{"config_paths": n.configs()}},
	})
	return "python3 " + Quote(path.Join(cmp.Or(n.Root, DefaultRoot), "examples/nemo_gym/run_grpo_nemo_gym.py")) + " --config grpo.yaml", err
}

func writeLines(file string, lines []json.RawMessage) error {
	var out bytes.Buffer
	for i, line := range lines {
		if err := json.Compact(&out, line); err != nil {
			return fmt.Errorf("row %d: %w", i, err)
		}
		out.WriteByte('\n')
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
