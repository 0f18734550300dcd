package ray

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
	yaml "go.yaml.in/yaml/v3"
)

func run() Run {
	tool := Tool{Name: "look", Description: "Looks.", Parameters: json.RawMessage(`{"type":"object","properties":{"id":{"type":"string"}}}`)}
	row := func(task string, seed int64) Row {
		return Row{Arena: "shop@sha256:1", Task: task, Seed: seed, Prompt: []Message{{"user", "Wo ist «" + task + "»?"}}, Tools: []Tool{tool}}
	}
	return Run{Train: []Row{row("t1", 1), row("t2", -2)}, Eval: []Row{row("e1", 3)}, Model: "a model's", Group: 8, Batch: 2, Steps: 10, Rate: 1e-6}
}

func TestWriteVerl(t *testing.T) {
	dir := t.TempDir()
	cmd, err := WriteVerl(dir, run(), Verl{AgentLoop: "loops.Astra", Tool: "tools.Astra"})
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
		r, dir := run(), t.TempDir()
		r.Model = model
		r.Train[0].Tools = []Tool{{Name: "look", Description: `Costs ${price}, \${x} and \\${x}.`, Parameters: json.RawMessage(`{"type":"object"}`)},
			{Name: "find", Description: "Finds.", Parameters: json.RawMessage(`{"type":"object","required":["a"],"properties":{"a":{"anyOf":[{"type":"integer"},{"type":"null"}],"description":"${b}"},"c":true,"d":{"enum":[1,"x"]},"e":{"items":{}}}}`)}}
		r.Train, r.Eval = r.Train[:1], nil
		r.Batch = 1
		command, err := WriteVerl(dir, r, Verl{AgentLoop: "loops.Astra", Tool: "tools.Astra"})
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

func TestWriteNeMoRL(t *testing.T) {
	dir := t.TempDir()
	cmd, err := WriteNeMoRL(dir, run(), NeMoRL{Invalid: "error", Root: "/opt/their's", Base: "base.yaml", Agent: "astra", Gym: []string{"gym.yaml"}})
	must(t, err)
	if want := `python3 '/opt/their'\''s/examples/nemo_gym/run_grpo_nemo_gym.py' --config grpo.yaml`; cmd != want {
		t.Errorf("run by %s, want %s", cmd, want)
	}
	b, err := os.ReadFile(filepath.Join(dir, "train.jsonl"))
	must(t, err)
	want := `{"responses_create_params":{"input":[{"role":"user","content":"Wo ist «t1»?"}],"tools":[{"type":"function","name":"look","description":"Looks.","parameters":{"type":"object","properties":{"id":{"type":"string"}}},"strict":false}],"parallel_tool_calls":false},"verifier_metadata":{"arena":"shop","digest":"sha256:1","task":"t1","invalid":"error"},"agent_ref":{"name":"astra","type":"responses_api_agents"}}`
	if first, _, _ := strings.Cut(string(b), "\n"); first != want {
		t.Errorf("row\n%s, want\n%s", first, want)
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
	b, err = os.ReadFile(filepath.Join(dir, "grpo.yaml"))
	must(t, err)
	if must(t, yaml.Unmarshal(b, &c)); c.GRPO.Group != 8 || c.GRPO.Epochs != 10 || c.Policy.Batch != 16 || c.Data.Older != "train.jsonl" || c.Data.Train.Path != "train.jsonl" || !slices.Equal(c.Env.Gym.Configs, []string{policyServer, "gym.yaml"}) {
		t.Errorf("%s", b)
	}
}

func TestNeMoRLGoesOnFromAnotherFile(t *testing.T) {
	_, err := WriteNeMoRL(t.TempDir(), run(), NeMoRL{Base: "./grpo.yaml", Agent: "astra", Gym: []string{"gym.yaml"}})
	if err == nil || !strings.Contains(err.Error(), "give the base another name") {
		t.Errorf("a base of its own name: %v, want a refusal", err)
	}
}

func TestRunRefuses(t *testing.T) {
	other := run()
	other.Eval[0].Tools = []Tool{{Name: "look", Parameters: json.RawMessage(`{}`)}}
	small := run()
	small.Group = 1
	large := run()
	large.Batch = 3
	looked := run()
	looked.Model = "/m/${x}"
	broken := run()
	broken.Train[0].Tools[0].Parameters = json.RawMessage(`{`)
	for want, c := range map[string]struct {
		r Run
		v Verl
	}{
		"two tools are named": {other, Verl{"a.B", "a.C"}},
		"groups of two":       {small, Verl{"a.B", "a.C"}},
		"more than the 2":     {large, Verl{"a.B", "a.C"}},
		"verl would look up":  {looked, Verl{"a.B", "a.C"}},
		"are no JSON":         {broken, Verl{"a.B", "a.C"}},
		"as module.Name":      {run(), Verl{"a.B; rm", "a.C"}},
		"a model and one":     {Run{}, Verl{"a.B", "a.C"}},
	} {
		if _, err := WriteVerl(t.TempDir(), c.r, c.v); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
