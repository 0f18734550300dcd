package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/synth/rows"
	"github.com/astra-arenas/astra/trainer/ray"
)

// rayWriteFlags are those of `astra ray write`.
type rayWriteFlags struct {
	ray.Run
	verl      ray.Verl
	nemo      ray.NeMoRL
	framework string
	out       string
	invalid   string
}

func (a *app) rayWriteCommand() *cobra.Command {
	var f rayWriteFlags
	cmd := &cobra.Command{Use: "write ARENA…", Short: "Write a run directory of verl or NeMo RL for arenas", Args: args(1, 1000, "arenas"),
		Long: `Writes rows of the arenas' train and validation tasks, and the configuration that trains on
them, and prints the command that runs it there. A row has what the policy sees at first, its
tools, and how its episode is opened; never a solution.

verl wants two classes of yours, an agent loop that opens the episode and a tool that calls it;
NeMo RL wants its own configuration of the model, and NeMo Gym's of agent and resources server,
which astra export nemo-gym --config writes, each named as the job finds it: files of yours go
into the run directory. NeMo Gym's server of the policy is added unless a file of responses_api_models is named. Tasks with
several messages are left out and told.`,
		Example: "  astra ray write inventory --framework verl --model qwen3 --agent-loop my.Loop --tool my.Tool --out runs/verl\n" +
			"  astra ray write inventory --framework nemo-rl --model qwen3 --base base.yaml --gym-agent astra_simple_agent --gym nemo-gym.yaml --out runs/nemo"}
	flags := cmd.Flags()
	flags.StringVar(&f.framework, "framework", "verl", "`NAME`: verl or nemo-rl")
	flags.StringVarP(&f.out, "out", "o", "", "`DIR` to write to")
	flags.StringVar(&f.Model, "model", "", "`NAME` or path of the policy, as the trainer finds it")
	flags.IntVar(&f.Group, "group-size", 8, "episodes of a group")
	flags.IntVar(&f.Batch, "batch", 0, "tasks of a step (default 32, or as many as there are)")
	flags.IntVar(&f.Steps, "steps", 100, "updates in all")
	flags.Float64Var(&f.Rate, "lr", 1e-6, "verl: learning `RATE`; NeMo RL has its configuration's")
	flags.StringVar(&f.verl.AgentLoop, "agent-loop", "", "verl: your agent loop, as module.`CLASS`")
	flags.StringVar(&f.verl.Tool, "tool", "", "verl: your tool, as module.`CLASS`")
	flags.StringVar(&f.nemo.Root, "nemo-rl", ray.DefaultRoot, "nemo-rl: `DIR` where NeMo RL lies on the cluster")
	flags.StringVar(&f.nemo.Base, "base", "", "nemo-rl: its own configuration `FILE` of the model")
	flags.StringVar(&f.nemo.Agent, "gym-agent", "", "nemo-rl: `NAME` of the agent server of NeMo Gym")
	flags.StringVar(&f.invalid, "invalid", rows.MaskInvalid, "nemo-rl: the `WAY` in which verify tells of rollouts that cannot be judged, mask or error, as in astra export nemo-gym")
	flags.StringSliceVar(&f.nemo.Gym, "gym", nil, "nemo-rl: configuration `FILES` of NeMo Gym")
	cmd.RunE = func(_ *cobra.Command, args []string) error { return a.writeRay(args, &f) }
	return a.wantsJSON(cmd)
}

func (a *app) writeRay(refs []string, f *rayWriteFlags) error {
	if err := errors.Join(oneOf("framework", f.framework, "verl", "nemo-rl"), oneOf("invalid", f.invalid, rows.MaskInvalid, rows.FailInvalid)); err != nil {
		return err
	}
	if f.invalid == rows.FailInvalid {
		f.nemo.Invalid = f.invalid
	}
	if f.out == "" {
		return &problem{err: fmt.Errorf("name a directory with --out"), code: 2}
	}
	arenas, err := a.findAll(refs)
	if err != nil {
		return err
	}
	for _, arena := range arenas {
		tasks := arena.Tasks
		if f.framework == "nemo-rl" {
			tasks = a.ofOneMessage(arena)
		}
		f.Train = append(f.Train, rayRows(arena, tasks, astra.SplitTrain)...)
		f.Eval = append(f.Eval, rayRows(arena, tasks, astra.SplitValidation)...)
	}
	if f.Batch == 0 {
		f.Batch = min(32, len(f.Train))
	}
	if err := os.MkdirAll(f.out, 0o755); err != nil {
		return err
	}
	write := func() (string, error) { return ray.WriteVerl(f.out, f.Run, f.verl) }
	if f.framework == "nemo-rl" {
		write = func() (string, error) { return ray.WriteNeMoRL(f.out, f.Run, f.nemo) }
	}
	entrypoint, err := write()
	if err != nil {
		return err
	}
	if a.json {
		return a.printJSON(map[string]any{"dir": f.out, "train": len(f.Train), "eval": len(f.Eval), "command": entrypoint})
	}
	a.printf("%s and %s for evaluation in %s\nastra ray submit --run-dir %s %s\n", plural(len(f.Train), "train row"), plural(len(f.Eval), "row"), f.out, ray.Quote(f.out), ray.Quote(entrypoint))
	return nil
}

// ofOneMessage are the tasks that the agent of the rows can play: NeMo Gym's face refuses others
// when they are opened, which would end a step of the trainer.
func (a *app) ofOneMessage(arena *astra.Arena) (tasks []astra.Task) {
	for _, t := range arena.Tasks {
		if len(t.Turns) > 1 || t.User != nil {
			a.note("%s, task %s is left out: it has several messages, and a row has one", arena.Name, t.ID)
			continue
		}
		tasks = append(tasks, t)
	}
	return tasks
}

// rayRows are the tasks of a split as a trainer draws them.
func rayRows(arena *astra.Arena, tasks []astra.Task, split astra.Split) (rows []ray.Row) {
	for i := range tasks {
		t := &tasks[i]
		if t.Split != split {
			continue
		}
		row := ray.Row{Arena: arena.Ref(), Task: t.ID, Prompt: []ray.Message{{Role: "user", Content: t.Turns[0].Prompt}}}
		if t.Seed != nil {
			row.Seed = *t.Seed
		}
		for _, name := range arena.InitialTools(t) {
			tool := arena.Tool(name)
			row.Tools = append(row.Tools, ray.Tool{Name: tool.Name, Description: tool.Description, Parameters: tool.Input})
		}
		rows = append(rows, row)
	}
	return rows
}
