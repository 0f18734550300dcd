package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

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
	opts      rows.ExportOptions
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
into the run directory. NeMo Gym's server of the policy is added unless a file of
responses_api_models is named. Its rows are those of astra export nemo-gym: what that leaves out
is left out here, and told.`,
		Example: "  astra ray write inventory --framework verl --model qwen3 --agent-loop my.Loop --tool my.Tool --out runs/verl\n" +
			"  astra ray write inventory --framework nemo-rl --model qwen3 --base base.yaml --gym nemo-gym.yaml --out runs/nemo"}
	flags := cmd.Flags()
	flags.StringVar(&f.framework, "framework", "verl", "`NAME`: verl or nemo-rl")
	flags.StringVarP(&f.out, "out", "o", "", "`DIR` to write to")
	flags.StringVar(&f.Model, "model", "", "`NAME` or path of the policy, as the trainer finds it")
	flags.IntVar(&f.Group, "group-size", 8, "episodes of a group")
	flags.IntVar(&f.Batch, "batch", 0, "tasks of a step (default 32, or as many as there are)")
	flags.IntVar(&f.Steps, "steps", 100, "updates in all")
	flags.Float64Var(&f.verl.Rate, "lr", 1e-6, "verl: learning `RATE`; NeMo RL has its configuration's")
	flags.StringVar(&f.verl.AgentLoop, "agent-loop", "", "verl: your agent loop, as module.`CLASS`")
	flags.StringVar(&f.verl.Tool, "tool", "", "verl: your tool, as module.`CLASS`")
	flags.StringVar(&f.nemo.Root, "nemo-rl", ray.DefaultRoot, "nemo-rl: `DIR` where NeMo RL lies on the cluster")
	flags.StringVar(&f.nemo.Base, "base", "", "nemo-rl: its own configuration `FILE` of the model")
	flags.StringVar(&f.opts.Agent, "gym-agent", rows.DefaultGymAgent, "nemo-rl: `NAME` of the agent server of NeMo Gym")
	flags.BoolVar(&f.opts.Gymnasium, "gymnasium", false, "nemo-rl: write rows for NeMo Gym's gymnasium_agent, which plays several messages")
	flags.StringVar(&f.opts.Invalid, "invalid", rows.MaskInvalid, "nemo-rl: the `WAY` in which verify tells of rollouts that cannot be judged, mask or error, as in astra export nemo-gym")
	flags.StringSliceVar(&f.nemo.Gym, "gym", nil, "nemo-rl: configuration `FILES` of NeMo Gym")
	cmd.RunE = func(_ *cobra.Command, args []string) error { return a.writeRay(args, &f) }
	return a.wantsJSON(cmd)
}

// A rayRun is what was written of a run.
type rayRun struct {
	Dir     string `json:"dir"`
	Train   int    `json:"train"` // rows
	Eval    int    `json:"eval"`
	Command string `json:"command"`
}

func (a *app) writeRay(refs []string, f *rayWriteFlags) error {
	if err := errors.Join(oneOf("framework", f.framework, "verl", "nemo-rl"), oneOf("invalid", f.opts.Invalid, rows.MaskInvalid, rows.FailInvalid)); err != nil {
		return err
	}
	if f.out == "" {
		return &problem{err: fmt.Errorf("name a directory with --out"), code: 2}
	}
	e, err := a.newRowExport(refs, &f.opts)
	if err != nil {
		return err
	}
	write := f.writeVerl
	if f.framework == "nemo-rl" {
		write = f.writeNeMoRL
	}
	run, err := write(e)
	if err != nil {
		return err
	}
	if a.json {
		return a.printJSON(run)
	}
	a.printf("%s and %s for evaluation in %s\nastra ray submit --run-dir %s %s\n", plural(run.Train, "train row"), plural(run.Eval, "row"), f.out, ray.Quote(f.out), ray.Quote(run.Command))
	return nil
}

// of is the run on so many tasks.
func (f *rayWriteFlags) of(tasks int) ray.Run {
	if f.Batch == 0 {
		f.Batch = min(32, tasks)
	}
	return f.Run
}

func (f *rayWriteFlags) writeNeMoRL(e *rowExport) (run rayRun, err error) {
	n := &f.nemo
	if n.Train, err = gymLines(e, astra.SplitTrain); err != nil {
		return run, err
	}
	if n.Eval, err = gymLines(e, astra.SplitValidation); err != nil {
		return run, err
	}
	command, err := ray.WriteNeMoRL(f.out, f.of(len(n.Train)), *n)
	return rayRun{f.out, len(n.Train), len(n.Eval), command}, err
}

// gymLines are the rows of a split for NeMo Gym.
func gymLines(e *rowExport, split astra.Split) (lines []json.RawMessage, err error) {
	var all bytes.Buffer
	if err := e.ofSplit(&all, split, writeGym); err != nil {
		return nil, err
	}
	for line := range bytes.Lines(all.Bytes()) {
		lines = append(lines, line)
	}
	return lines, nil
}

func (f *rayWriteFlags) writeVerl(e *rowExport) (run rayRun, err error) {
	v := &f.verl
	if err := e.ofSplit(nil, astra.SplitTrain, verlRows(&v.Train)); err != nil {
		return run, err
	}
	if err := e.ofSplit(nil, astra.SplitValidation, verlRows(&v.Eval)); err != nil {
		return run, err
	}
	command, err := ray.WriteVerl(f.out, f.of(len(v.Train)), *v)
	return rayRun{f.out, len(v.Train), len(v.Eval), command}, err
}

// verlRows collects tasks as verl draws them.
func verlRows(to *[]ray.Row) rowWriter {
	return func(_ io.Writer, a *astra.Arena, t *astra.Task, opts *rows.ExportOptions) ([]string, error) {
		row := ray.Row{Arena: a.Ref(), Task: t.ID, Prompt: []ray.Message{{Role: "user", Content: t.Turns[0].Prompt}}}
		if t.Seed != nil {
			row.Seed = *t.Seed
		}
		tools, notes := opts.Shown(a, t)
		for _, tool := range tools {
			row.Tools = append(row.Tools, ray.Tool{Name: tool.Name, Description: tool.Description, Parameters: tool.Input})
		}
		*to = append(*to, row)
		return notes, nil
	}
}
