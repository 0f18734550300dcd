package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
	"github.com/astra-arenas/astra/synth/rows"
)

// rowsFlags are those of the exports that write a row for each task.
type rowsFlags struct {
	out   string
	split string
	opts  rows.ExportOptions
}

func (f *rowsFlags) register(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&f.out, "out", "o", "", "`FILE` to write, whole or not at all (default standard output)")
	cmd.Flags().StringVar(&f.split, "split", "", "only tasks of this `SPLIT`: train, validation or test")
}

func (f *rowsFlags) check() error {
	return oneOf("split", f.split, string(astra.SplitTrain), string(astra.SplitValidation), string(astra.SplitTest))
}

func (a *app) exportRLCommand() *cobra.Command {
	var f rowsFlags
	cmd := &cobra.Command{Use: "astra-rl ARENA…", Short: "Write tasks as ASTRA-RL rows, each tried before it is written", Args: args(1, 1000, "arenas' directories or .arena files"),
		Long: `Writes one JSON line {prompt, tool_schema, tool_dict, sub_qa_dict} for each task of Python
arenas. Code goes out as it is, or, where it reads data or other modules, with all of that
packed in. Each row is read again as whoever gets it will, made an arena, and the task's gold
calls are played there: only if they score 1, and doing nothing scores 0, is it written.

A row says less than a task can: tasks with several turns, a scenario, verifiers, or sub-tasks
solved by an expression are left out and told, as are all of arenas that are not Python, since
nothing translates code. An answer beside sub-tasks is not in a row.`,
		Example: "  astra export astra-rl arenas/harbours --out rows.jsonl\n  astra export astra-rl arenas/* --split train > train.jsonl"}
	f.register(cmd)
	cmd.RunE = func(cmd *cobra.Command, refs []string) error {
		ctx := cmd.Context()
		return a.certifying(ctx, func(c *certifier) error { return a.exportRows(refs, &f, rlWriter(ctx, c)) })
	}
	return cmd
}

func (a *app) exportGymCommand() *cobra.Command {
	var f rowsFlags
	var to gymTarget
	cmd := &cobra.Command{Use: "nemo-gym ARENA…", Short: "Write tasks as NeMo Gym task rows", Args: args(1, 1000, "arenas' directories or .arena files"),
		Long: `Writes one JSON line for each task: responses_create_params with the prompt and the tools,
and verifier_metadata {arena, digest, task, split}, which names the task and says nothing of
its answers: sub-tasks, gold calls and answers stay in the arena. Tasks with several turns are
left out and told, unless --gymnasium makes rows for NeMo Gym's gymnasium_agent, which is told
each message by the server.

What cannot be judged has no reward. Trainers that read mask_sample leave it out; for those
that read no mask, such as TRL's NeMo Gym example, have verify fail with --invalid error.

With --config, also writes the YAML that NeMo Gym starts from: the server at --url, which is
that of astra serve --faces, the agent, and the rows as its data set.`,
		Example: "  astra export nemo-gym examples/arenas/inventory --out tasks.jsonl\n  astra export nemo-gym arenas/* --split train --out train.jsonl --config nemo-gym.yaml --url http://127.0.0.1:8082"}
	f.register(cmd)
	cmd.Flags().StringVar(&f.opts.Agent, "agent", rows.DefaultGymAgent, "`NAME` of the agent's server, for agent_ref")
	cmd.Flags().BoolVar(&f.opts.Gymnasium, "gymnasium", false, "write rows for NeMo Gym's gymnasium_agent")
	cmd.Flags().StringVar(&f.opts.Invalid, "invalid", rows.MaskInvalid, "the `WAY` in which verify tells of rollouts that cannot be judged: mask (mask_sample beside a 0), or error for trainers that read no mask")
	to.register(cmd)
	cmd.RunE = func(_ *cobra.Command, refs []string) error {
		if err := errors.Join(oneOf("invalid", f.opts.Invalid, rows.MaskInvalid, rows.FailInvalid), to.check(&f)); err != nil {
			return err
		}
		if err := a.exportRows(refs, &f, writeGym); err != nil {
			return err
		}
		return to.write(a, refs, &f)
	}
	return cmd
}

// A rowWriter writes a task's row, and tells what it left out of it. A *leftOut is the task's
// own matter; other errors end the export.
type rowWriter func(w io.Writer, a *astra.Arena, t *astra.Task, opts *rows.ExportOptions) (notes []string, err error)

// A leftOut says why a task has no row.
type leftOut struct{ error }

func writeGym(w io.Writer, a *astra.Arena, t *astra.Task, opts *rows.ExportOptions) ([]string, error) {
	r, err := rows.GymOf(a, t, opts)
	if err != nil {
		return nil, &leftOut{err}
	}
	return r.Notes, rows.WriteGym(w, r)
}

// rlWriter verifies each row in a gateway that is thrown away.
func rlWriter(ctx context.Context, c *certifier) rowWriter {
	return func(w io.Writer, a *astra.Arena, t *astra.Task, opts *rows.ExportOptions) ([]string, error) {
		r, err := rows.RLOf(a, t, opts)
		if err != nil {
			return nil, &leftOut{err}
		}
		err = c.inGateway(ctx, func(gw *gateway.Gateway) error { return rows.Verify(ctx, rehearser{gw}, a, t, r) })
		if unsolved, ok := errors.AsType[*rows.UnsolvedError](err); ok {
			return nil, &leftOut{unsolved}
		}
		if err != nil {
			return nil, err
		}
		return r.Notes, rows.WriteRL(w, r)
	}
}

// A rehearser plays in a gateway's rehearsals. It implements rows.Player.
type rehearser struct{ gw *gateway.Gateway }

func (r rehearser) Begin(ctx context.Context, b *astra.Bundle, task string) (rows.Play, error) {
	a, err := r.gw.AddArena(ctx, b)
	if err != nil {
		return nil, err
	}
	play, err := r.gw.Rehearse(ctx, gateway.RehearsalRequest{Arena: a.Ref(), Task: task})
	if err != nil {
		return nil, err // no typed nil
	}
	return play, nil
}

// exportRows writes the rows of all tasks in the arenas' order.
func (a *app) exportRows(refs []string, f *rowsFlags, write rowWriter) error {
	if err := f.check(); err != nil {
		return err
	}
	e, err := a.newRowExport(refs, &f.opts)
	if err != nil {
		return err
	}
	all := func(w io.Writer) error { return e.all(w, astra.Split(f.split), write) }
	if f.out == "" {
		return all(a.stdout)
	}
	if err := writeWhole(f.out, all); err != nil {
		return err
	}
	a.note("%s written to %s", plural(e.rows, "row"), f.out)
	return nil
}

// A rowExport is one export of rows.
type rowExport struct {
	*app
	opts   *rows.ExportOptions
	arenas []*astra.Arena
	known  map[string]*astra.Arena // by name; nil is one that is not there
	rows   int
}

// newRowExport looks for distractors among the arenas that are named, then in the arena directories.
func (a *app) newRowExport(refs []string, opts *rows.ExportOptions) (*rowExport, error) {
	arenas, err := a.findAll(refs)
	if err != nil {
		return nil, err
	}
	e := &rowExport{app: a, opts: opts, arenas: arenas, known: map[string]*astra.Arena{}}
	for _, arena := range arenas {
		e.known[arena.Name] = arena
	}
	opts.Arena = e.arena
	return e, nil
}

func (e *rowExport) arena(name string) *astra.Arena {
	found, asked := e.known[name]
	if !asked {
		if other, err := e.findArena(name); err == nil {
			found = other
		}
		e.known[name] = found
	}
	return found
}

// all is ofSplit where there must be a row.
func (e *rowExport) all(w io.Writer, split astra.Split, write rowWriter) error {
	err := e.ofSplit(w, split, write)
	if err == nil && e.rows == 0 {
		return failf("The lines above say why; without any, no task is of that split.", "no task made a row")
	}
	return err
}

// ofSplit writes the rows of a split, or of all if it is "".
func (e *rowExport) ofSplit(w io.Writer, split astra.Split, write rowWriter) error {
	for _, arena := range e.arenas {
		for i := range arena.Tasks {
			t := &arena.Tasks[i]
			if split != "" && t.Split != split {
				continue
			}
			if err := e.task(w, arena, t, write); err != nil {
				return fmt.Errorf("%s, task %s: %w", arena.Name, t.ID, err)
			}
		}
	}
	return nil
}

func (e *rowExport) task(w io.Writer, arena *astra.Arena, t *astra.Task, write rowWriter) error {
	notes, err := write(w, arena, t, e.opts)
	if why, ok := errors.AsType[*leftOut](err); ok {
		e.note("%s, task %s is left out: %s", arena.Name, t.ID, plain(why.Error()))
		return nil
	}
	for _, n := range notes {
		e.note("%s, task %s: note: %s", arena.Name, t.ID, plain(n))
	}
	e.rows++
	return err
}
