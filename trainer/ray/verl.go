package ray

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/parquet-go/parquet-go"
)

// A Row is a task as verl draws it: what its episode is opened with, and its public view. It
// has nothing that decides a score, which the gateway gives.
type Row struct {
	Arena  string // name@digest
	Task   string
	Seed   int64     // of the world
	Prompt []Message // what the policy sees before it acts
	Tools  []Tool    // in view at first
}

// A Message is one of a chat.
type Message struct {
	Role    string `parquet:"role"`
	Content string `parquet:"content"`
}

// A Tool is what the policy is shown of one.
type Tool struct {
	Name        string
	Description string
	Parameters  json.RawMessage // a JSON Schema
}

// Verl is what a verl run has beside the run itself. Both classes are the operator's, in
// Python that the workers can import: verl calls a tool's create, execute and release once a
// call, so an episode is kept by the agent loop, which opens it by the row's create_kwargs.
type Verl struct {
	Train, Eval []Row
	AgentLoop   string // class, as module.Name
	Tool        string // class, as module.Name
	Rate        float64
}

// check says what is wrong with it.
func (v *Verl) check() error {
	if !dotted.MatchString(v.AgentLoop) || !dotted.MatchString(v.Tool) {
		return fmt.Errorf("%.60q and %.60q: want classes in Python, as module.Name", v.AgentLoop, v.Tool)
	}
	if !(v.Rate > 0) {
		return errors.New("want a learning rate above 0")
	}
	for i, row := range slices.Concat(v.Train, v.Eval) {
		if row.Arena == "" || row.Task == "" || len(row.Prompt) == 0 {
			return fmt.Errorf("row %d: want an arena, a task and a prompt", i)
		}
	}
	return nil
}

type verlRow struct {
	DataSource string    `parquet:"data_source"`
	AgentName  string    `parquet:"agent_name"`
	Prompt     []Message `parquet:"prompt,list"`
	Ability    string    `parquet:"ability"`
	Reward     struct {
		Style       string `parquet:"style"`
		GroundTruth string `parquet:"ground_truth"` // empty: the gateway knows
	} `parquet:"reward_model"`
	Extra verlExtra `parquet:"extra_info"`
}

type verlExtra struct {
	Split       string   `parquet:"split"`
	Index       int64    `parquet:"index"`
	NeedKwargs  bool     `parquet:"need_tools_kwargs"`
	Selection   []string `parquet:"tool_selection,list"`
	ToolsKwargs struct {
		Astra struct {
			Create struct {
				Arena string `parquet:"arena"`
				Task  string `parquet:"task"`
				Seed  int64  `parquet:"seed"`
			} `parquet:"create_kwargs"`
		} `parquet:"astra"`
	} `parquet:"tools_kwargs"`
}

// WriteVerl writes a directory for verl and returns the command that runs it there:
// train.parquet and eval.parquet, agent.yaml, tools.yaml with every tool of every row once.
// Two arenas whose tools differ under one name are an error: verl knows tools by name alone.
func WriteVerl(dir string, r Run, v Verl) (entrypoint string, err error) {
	if err := cmp.Or(r.check(len(v.Train)), v.check()); err != nil {
		return "", err
	}
	if strings.Contains(r.Model, "${") {
		return "", fmt.Errorf("the model %.200q: verl would look up what ${ begins", r.Model)
	}
	tools, err := verlTools(slices.Concat(v.Train, v.Eval), v.Tool)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	if err := writeYAML(dir, "tools.yaml", map[string]any{"tools": tools}); err != nil {
		return "", err
	}
	if err := writeYAML(dir, "agent.yaml", []map[string]string{{"name": "astra", "_target_": v.AgentLoop}}); err != nil {
		return "", err
	}
	if err := writeVerlRows(filepath.Join(dir, "train.parquet"), "train", v.Train); err != nil {
		return "", err
	}
	if err := writeVerlRows(filepath.Join(dir, "eval.parquet"), "eval", evalRows(v.Train, v.Eval)); err != nil {
		return "", err
	}
	return fmt.Sprintf("python3 -m verl.trainer.main_ppo %s algorithm.adv_estimator=grpo algorithm.use_kl_in_reward=False"+
		" actor_rollout_ref.actor.use_kl_loss=False actor_rollout_ref.actor.entropy_coeff=0 actor_rollout_ref.actor.loss_agg_mode=token-mean"+
		" data.train_files=train.parquet data.val_files=eval.parquet data.return_raw_chat=True data.train_batch_size=%d"+
		" data.max_prompt_length=%d data.max_response_length=%d"+
		" actor_rollout_ref.actor.ppo_mini_batch_size=%d actor_rollout_ref.actor.use_dynamic_bsz=True actor_rollout_ref.rollout.name=vllm"+
		" actor_rollout_ref.actor.optim.lr=%g actor_rollout_ref.rollout.n=%d"+
		" actor_rollout_ref.rollout.multi_turn.enable=True actor_rollout_ref.rollout.multi_turn.tool_config_path=tools.yaml"+
		" actor_rollout_ref.rollout.agent.agent_loop_config_path=agent.yaml trainer.total_training_steps=%d trainer.total_epochs=%d",
		Quote("actor_rollout_ref.model.path="+hydra(r.Model)), r.Batch, maxPrompt, maxResponse, r.Batch, v.Rate, r.Group, r.Steps, r.epochs(len(v.Train))), nil
}

// What a prompt and a rollout may have, in tokens. verl's own 512 cuts prompts from the left, where the tools stand.
const maxPrompt, maxResponse = 4096, 8192

// hydra is a text as Hydra's grammar reads it.
func hydra(s string) string {
	if plainPath.MatchString(s) {
		return s
	}
	return "'" + strings.ReplaceAll(beforeQuote.ReplaceAllString(s, "$1$1$2"), "'", `\'`) + "'"
}

var (
	plainPath   = regexp.MustCompile(`^[A-Za-z0-9_.-]*/[A-Za-z0-9_./-]+$`) // a word alone may be a number, or null
	beforeQuote = regexp.MustCompile(`(\\+)('|$)`)                         // backslashes that would escape one
)

func writeVerlRows(path, split string, rows []Row) error {
	all := make([]verlRow, len(rows))
	for i, r := range rows {
		v := &all[i]
		v.DataSource, v.AgentName, v.Prompt, v.Ability = r.Arena, "astra", r.Prompt, "tools"
		v.Reward.Style = "rule"
		v.Extra = verlExtra{Split: split, Index: int64(i), NeedKwargs: true}
		for _, t := range r.Tools {
			v.Extra.Selection = append(v.Extra.Selection, t.Name)
		}
		c := &v.Extra.ToolsKwargs.Astra.Create
		c.Arena, c.Task, c.Seed = r.Arena, r.Task, r.Seed
	}
	return parquet.WriteFile(path, all, parquet.Compression(&parquet.Zstd))
}
