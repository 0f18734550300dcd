package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
	"github.com/astra-arenas/astra/synth/rows"
)

func (a *app) exportRLCommand() *cobra.Command {
	return a.exportRowsOf("astra-rl ARENA…", "Write the tasks of Python arenas as ASTRA-RL rows, each certified as it is shipped", `Writes one JSON line {prompt, tool_schema, tool_dict, sub_qa_dict} for each task. A row is read
back, and the task's solution is played on what came back: one that does not score 1 is not
written. The format has Python tools, one message, and answers of tools: tasks that have
more are left out, and it is said why.`, "  astra export astra-rl arenas/questions-1 --out rl.jsonl", a.rlRow)
}

func (a *app) exportNeMoCommand() *cobra.Command {
	return a.exportRowsOf("nemo-gym ARENA…", "Write tasks as NeMo Gym rows", `Writes one JSON line for each task: the first message and the tools in Responses form, and in
verifier_metadata the arena with its digest and the task, by which astra finds the rest. No
answer, sub-task, verifier or solution is in a row.`, "  astra export nemo-gym inventory travel --out tasks.jsonl",
		func(_ context.Context, _ *certifier, w io.Writer, arena *astra.Arena, t *astra.Task) error {
			return rows.WriteNeMo(w, arena, t)
		})
}

type rowWriter func(ctx context.Context, c *certifier, w io.Writer, arena *astra.Arena, t *astra.Task) error

func (a *app) exportRowsOf(use, short, long, example string, write rowWriter) *cobra.Command {
	out, split := "", ""
	cmd := &cobra.Command{Use: use, Short: short, Long: long, Example: example, Args: args(1, 100_000, "arenas")}
	cmd.Flags().StringVar(&out, "out", "", "`FILE` to write, whole or not at all (default standard output)")
	cmd.Flags().StringVar(&split, "split", "", "only tasks of this `SPLIT`: train, validation or test")
	cmd.RunE = func(cmd *cobra.Command, refs []string) error {
		if err := oneOf("split", split, "train", "validation", "test"); err != nil {
			return err
		}
		arenas, err := a.findAll(refs)
		if err != nil {
			return err
		}
		return a.exportRows(cmd.Context(), arenas, astra.Split(split), out, write)
	}
	return cmd
}

func (a *app) exportRows(ctx context.Context, arenas []*astra.Arena, split astra.Split, out string, write rowWriter) error {
	c, err := a.newCertifier(ctx)
	if err != nil {
		return err
	}
	written, left := 0, 0
	all := func(w io.Writer) error {
		for _, arena := range arenas {
			for i := range arena.Tasks {
				t := &arena.Tasks[i]
				if split != "" && t.Split != split {
					continue
				}
				err := write(ctx, c, w, arena, t)
				if ctx.Err() != nil {
					return context.Cause(ctx)
				}
				if err == nil {
					written++
				} else if left++; left <= maxTold {
					a.note("astra: %s, task %s is left out: %s", arena.Name, t.ID, clip(plain(err.Error()), 300))
				}
			}
		}
		if written == 0 {
			return failf("The lines above say why.", "no task has this form")
		}
		return nil
	}
	if out == "" {
		err = all(a.stdout)
	} else {
		err = writeWhole(out, all)
	}
	if err = errors.Join(err, c.close()); err != nil {
		return err
	}
	a.note("%s written, %d left out", plural(written, "row"), left)
	return nil
}

// rlRow writes a row that was read back and solved.
func (a *app) rlRow(ctx context.Context, c *certifier, w io.Writer, arena *astra.Arena, t *astra.Task) error {
	row, err := rows.Export(arena, t)
	if err != nil {
		return err
	}
	calls, err := c.solution(ctx, arena, t)
	if err != nil {
		return err
	}
	im, err := row.Import()
	if err != nil {
		return fmt.Errorf("the row cannot be read back: %w", err)
	}
	shipped, err := im.WithGold(calls)
	if err != nil {
		return err
	}
	back, err := shipped.Load()
	if err != nil {
		return err
	}
	if _, err := c.solution(ctx, back, &back.Tasks[0]); err != nil {
		return fmt.Errorf("the row as it would be shipped: %w", err)
	}
	return rows.WriteRL(w, row)
}

// solution plays a task's gold and returns its calls with their arguments as they were; it
// must score 1.
func (c *certifier) solution(ctx context.Context, arena *astra.Arena, t *astra.Task) (calls []astra.GoldCall, err error) {
	list, _ := t.GoldCalls()
	if len(list) == 0 {
		return nil, errors.New("it has no solution to certify the row with")
	}
	err = c.serving(ctx, arena, func(gw *gateway.Gateway) error {
		r, err := gw.Rehearse(ctx, gateway.RehearsalRequest{Arena: arena.Ref(), Task: t.ID})
		if err != nil {
			return err
		}
		defer r.Close()
		calls, err = playSolution(ctx, r, list)
		return err
	})
	return calls, err
}

func playSolution(ctx context.Context, r *gateway.Rehearsal, list []astra.GoldCall) (calls []astra.GoldCall, err error) {
	var values []json.RawMessage
	for i, g := range list {
		args, err := astra.Interpolate(g.Args, values)
		if err != nil {
			return nil, err
		}
		step, err := r.Call(ctx, astra.Call{Tool: g.Tool, Args: args})
		if err != nil {
			return nil, err
		}
		if !step.Result.OK() {
			return nil, fmt.Errorf("call %d of its solution fails: %s", i+1, step.Result.Error)
		}
		calls, values = append(calls, astra.GoldCall{Tool: g.Tool, Args: args}), append(values, step.Result.Value)
	}
	score, err := r.Score(ctx, nil)
	if err != nil {
		return nil, err
	}
	if score.Recall != 1 || score.Precision != 1 {
		return nil, fmt.Errorf("its solution has recall %.3f and precision %.3f", score.Recall, score.Precision)
	}
	return calls, nil
}
