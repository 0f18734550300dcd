package ray

import (
	"encoding/json"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
	yaml "go.yaml.in/yaml/v3"
)

func verlRun() (Run, Verl) {
	tool := Tool{Name: "look", Description: "Looks.", Parameters: json.RawMessage(`{"type":"object","properties":{"id":{"type":"string"}}}`)}
	row := func(task string, seed int64) Row {
		return Row{Arena: "shop@sha256:1", Task: task, Seed: seed, Prompt: []Message{{"user", "Wo ist «" + task + "»?"}}, Tools: []Tool{tool}}
	}
	return Run{Model: "a model's", Group: 8, Batch: 2, Steps: 10}, Verl{Train: []Row{row("t1", 1), row("t2", -2)}, Eval: []Row{row("e1", 3)}, AgentLoop: "loops.Astra", Tool: "tools.Astra", Rate: 1e-6}
}

func TestWriteVerl(t *testing.T) {
	dir := t.TempDir()
	r, v := verlRun()
	cmd, err := WriteVerl(dir, r, v)
	must(t, err)
	out, err := exec.CommandContext(t.Context(), "sh", "-c", "printf '%s\\n' "+strings.TrimPrefix(cmd, "python3 ")).Output()
	must(t, err)
	if !strings.Contains(string(out), "\nactor_rollout_ref.model.path='a model\\'s'\n") {
		t.Errorf("a shell reads\n%s", out)
	}
	rows, err := parquet.ReadFile[verlRow](filepath.Join(dir, "train.parquet"))
	must(t, err)
	if c := rows[1].Extra.ToolsKwargs.Astra.Create; len(rows) != 2 || c.Task != "t2" || c.Seed != -2 || rows[0].Prompt[0].Content != "Wo ist «t1»?" || rows[0].Extra.Selection[0] != "look" {
		t.Errorf("%+v", rows)
	}
	var tools struct{ Tools []verlTool }
	b, err := os.ReadFile(filepath.Join(dir, "tools.yaml"))
	must(t, err)
	must(t, yaml.Unmarshal(b, &tools))
	if len(tools.Tools) != 1 || tools.Tools[0].Class != "tools.Astra" {
		t.Errorf("%s", b)
	}
	readByLoader(t, dir)
}

// Whatever a model is called, and tools are like, verl's trainer takes the command and the directory.
func TestVerlReads(t *testing.T) {
	exe, err := filepath.Abs("../../.venv-trainers/bin/python")
	must(t, err)
	if _, err := os.Stat(exe); err != nil {
		t.Skip("verl is not there: make peers-trainers")
	}
	for _, model := range []string{"Qwen/Qwen3-0.6B", "1000", `/ckpt/step=100,b(c)\'d\`, "/模型"} {
		r, v := verlRun()
		dir := t.TempDir()
		r.Model = model
		v.Train[0].Tools = []Tool{{Name: "look", Description: `Costs ${price}, \${x} and \\${x}.`, Parameters: json.RawMessage(`{"type":"object"}`)},
			{Name: "find", Description: "Finds.", Parameters: json.RawMessage(`{"type":"object","required":["a"],"properties":{"a":{"anyOf":[{"type":"integer"},{"type":"null"}],"description":"${b}"},"c":true,"d":{"enum":[1,"x"]},"e":{"items":{}}}}`)}}
		v.Train, v.Eval = v.Train[:1], nil
		r.Batch = 1
		command, err := WriteVerl(dir, r, v)
		must(t, err)
		cmd := exec.CommandContext(t.Context(), exe, "testdata/verl_reads.py", dir, command)
		cmd.Stderr = t.Output()
		out, err := cmd.Output()
		must(t, err)
		text := string(out)[strings.LastIndex(strings.TrimSpace(string(out)), "\n")+1:]
		var got struct {
			Model  string
			Batch  int
			Epochs int
			Tools  json.RawMessage
		}
		must(t, json.Unmarshal([]byte(text), &got))
		want := `[{"type": "function", "function": {"name": "look", "description": "Costs ${price}, \\${x} and \\\\${x}.", "parameters": {"type": "object", "properties": {}, "required": []}, "strict": false}}, ` +
			`{"type": "function", "function": {"name": "find", "description": "Finds.", "parameters": {"type": "object", "properties": {"a": {"type": ["integer", "null"], "description": "${b}"}, "c": {"type": ["string", "number", "boolean", "array", "object", "null"]}, "d": {"type": ["integer", "string"], "enum": [1, "x"]}, "e": {"type": ["array"]}}, "required": ["a"]}, "strict": false}}]`
		if got.Model != model || got.Batch != 1 || got.Epochs != r.Steps || string(got.Tools) != want {
			t.Errorf("model %q, want %q; batch %d; tools\n%s, want\n%s", got.Model, model, got.Batch, got.Tools, want)
		}
	}
}

// readByLoader has verl's own way in, the datasets package, read the rows.
func readByLoader(t *testing.T, dir string) {
	exe, err := filepath.Abs("../../.venv-datasets/bin/python")
	must(t, err)
	if _, err := os.Stat(exe); err != nil {
		t.Skip("the datasets package is not there: make peers")
	}
	out, err := exec.CommandContext(t.Context(), exe, "-c", `import sys, json, datasets
row = datasets.Dataset.from_parquet(sys.argv[1] + "/train.parquet", cache_dir=sys.argv[1])[0]
print(json.dumps([row["prompt"], row["agent_name"], row["reward_model"]["style"], row["extra_info"]["tools_kwargs"]["astra"]["create_kwargs"], row["extra_info"]["tool_selection"]], ensure_ascii=False))`, dir).Output()
	must(t, err)
	want := `[[{"role": "user", "content": "Wo ist «t1»?"}], "astra", "rule", {"arena": "shop@sha256:1", "task": "t1", "seed": 1}, ["look"]]`
	if strings.TrimSpace(string(out)) != want {
		t.Errorf("the loader reads\n%s, want\n%s", out, want)
	}
}

func nemoRun() (Run, NeMoRL) {
	r, _ := verlRun()
	return r, NeMoRL{Train: []json.RawMessage{json.RawMessage("{\"id\":\n\"<t1>\"}"), json.RawMessage(`{"id":"t2"}`)}, Root: "/opt/their's", Base: "base.yaml", Gym: []string{"gym.yaml"}}
}

func TestWriteNeMoRL(t *testing.T) {
	dir := t.TempDir()
	r, n := nemoRun()
	cmd, err := WriteNeMoRL(dir, r, n)
	must(t, err)
	if want := `python3 '/opt/their'\''s/examples/nemo_gym/run_grpo_nemo_gym.py' --config grpo.yaml`; cmd != want {
		t.Errorf("run by %s, want %s", cmd, want)
	}
	for file, want := range map[string]string{"train.jsonl": "{\"id\":\"<t1>\"}\n{\"id\":\"t2\"}\n", "eval.jsonl": "{\"id\":\"<t1>\"}\n"} {
		b, err := os.ReadFile(filepath.Join(dir, file))
		must(t, err)
		if string(b) != want {
			t.Errorf("%s has %s, want %s", file, b, want)
		}
	}
	var c struct {
		GRPO struct {
			Group  int `yaml:"num_generations_per_prompt"`
			Epochs int `yaml:"max_num_epochs"`
		} `yaml:"grpo"`
		Policy struct {
			Batch int `yaml:"train_global_batch_size"`
		} `yaml:"policy"`
		Data struct {
			Older string `yaml:"train_jsonl_fpath"`
			Train struct {
				Path string `yaml:"data_path"`
			} `yaml:"train"`
		} `yaml:"data"`
		Env struct {
			Gym struct {
				Configs []string `yaml:"config_paths"`
			} `yaml:"nemo_gym"`
		} `yaml:"env"`
	}
	b, err := os.ReadFile(filepath.Join(dir, "grpo.yaml"))
	must(t, err)
	if must(t, yaml.Unmarshal(b, &c)); c.GRPO.Group != 8 || c.GRPO.Epochs != 10 || c.Policy.Batch != 16 || c.Data.Older != "train.jsonl" || c.Data.Train.Path != "train.jsonl" || !slices.Equal(c.Env.Gym.Configs, []string{policyServer, "gym.yaml"}) {
		t.Errorf("%s", b)
	}
}

func TestNeMoRLRefuses(t *testing.T) {
	for want, spoil := range map[string]func(*Run, *NeMoRL){
		"give the base another name": func(_ *Run, n *NeMoRL) { n.Base = "./grpo.yaml" },
		"want a base configuration":  func(_ *Run, n *NeMoRL) { n.Gym = nil },
		"one task or more":           func(_ *Run, n *NeMoRL) { n.Train = nil },
		"more than the 2 tasks":      func(r *Run, _ *NeMoRL) { r.Batch = 3 },
		"row 1":                      func(_ *Run, n *NeMoRL) { n.Train[1] = json.RawMessage(`{`) },
	} {
		r, n := nemoRun()
		spoil(&r, &n)
		if _, err := WriteNeMoRL(t.TempDir(), r, n); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func TestVerlRefuses(t *testing.T) {
	for want, spoil := range map[string]func(*Run, *Verl){
		"two tools are named":  func(_ *Run, v *Verl) { v.Eval[0].Tools = []Tool{{Name: "look", Parameters: json.RawMessage(`{}`)}} },
		"groups of two":        func(r *Run, _ *Verl) { r.Group = 1 },
		"more than the 2":      func(r *Run, _ *Verl) { r.Batch = 3 },
		"verl would look up":   func(r *Run, _ *Verl) { r.Model = "/m/${x}" },
		`parameters of "look"`: func(_ *Run, v *Verl) { v.Train[0].Tools[0].Parameters = json.RawMessage(`{`) },
		"as module.Name":       func(_ *Run, v *Verl) { v.AgentLoop = "a.B; rm" },
		"rate above 0":         func(_ *Run, v *Verl) { v.Rate = math.NaN() },
		"a task and a prompt":  func(_ *Run, v *Verl) { v.Train[1].Prompt = nil },
		"a model and one":      func(r *Run, _ *Verl) { r.Model = "" },
	} {
		r, v := verlRun()
		spoil(&r, &v)
		if _, err := WriteVerl(t.TempDir(), r, v); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
