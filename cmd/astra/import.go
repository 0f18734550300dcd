package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/synth/rows"
)

// importFlags are those of `astra import`.
type importFlags struct {
	out  string
	most int
}

func (a *app) importCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "import", Short: "Make arenas of rows in the paper's formats", Args: args(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	cmd.AddCommand(
		a.importOf("astra-rl FILE", "Make arenas of ASTRA-RL rows: Python tools, run as they are", `Each row (prompt, tool_schema, tool_dict, sub_qa_dict) becomes an arena with one task. Its
tools are the row's Python, each a module of its own; what a call returns is told as print
would. A sub-task is solved when its answer stands in what a call of its tool said, which is
the paper's rule; `+"`astra certify`"+` tells what that rule lets through. Rows have no solutions.`,
			"  astra import astra-rl ASTRA-RL-1k.jsonl --out rl\n  astra certify rl/astra-rl-0123456789ab", importRL),
		a.importOf("env-result FILE", "Make arenas of rows with env_result, merged or not", `Each row (decomposition_trace and env_result) becomes an arena with one task, whose solution
are the row's call statements. Merged tools are shared; two of one name are told apart.`,
			"  astra import env-result step_04.jsonl --out arenas", importTraces))
	return cmd
}

func (a *app) importOf(use, short, long, example string, read func(*os.File) iter.Seq2[*rows.Imported, error]) *cobra.Command {
	var f importFlags
	cmd := &cobra.Command{Use: use, Short: short, Long: long + "\n\nA row that cannot be an arena is told with its line and left out.", Example: example, Args: args(1, 1, "a JSON Lines file")}
	cmd.Flags().StringVarP(&f.out, "out", "o", "arenas", "`DIR` that the arenas are written to")
	cmd.Flags().IntVar(&f.most, "limit", 0, "only the first N rows that can be read (default all)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		file, err := os.Open(args[0])
		if err != nil {
			return err
		}
		defer file.Close()
		return a.importRows(cmd.Context(), args[0], read(file), &f)
	}
	return a.wantsJSON(cmd)
}

func importRL(file *os.File) iter.Seq2[*rows.Imported, error] {
	return imported(rows.ReadRL(file), (*rows.RL).Import)
}

func importTraces(file *os.File) iter.Seq2[*rows.Imported, error] {
	return imported(rows.ReadTraces(file), func(t *rows.Trace) (*rows.Imported, error) {
		if bad := t.Instance.Check(); len(bad) > 0 {
			return nil, bad[0]
		}
		return t.Arena()
	})
}

// imported makes arenas of rows; what is wrong with one is told with its line.
func imported[T any](all iter.Seq2[T, error], make func(T) (*rows.Imported, error)) iter.Seq2[*rows.Imported, error] {
	return func(yield func(*rows.Imported, error) bool) {
		for row, err := range all {
			var im *rows.Imported
			if err == nil {
				im, err = make(row)
			}
			if !yield(im, err) {
				return
			}
		}
	}
}

// An imports is what came of a file.
type imports struct {
	Rows    int      `json:"rows"`
	Arenas  []string `json:"arenas"`
	Refused []string `json:"refused"`
	Notes   []string `json:"notes"`
	path    string
}

func (a *app) importRows(ctx context.Context, path string, all iter.Seq2[*rows.Imported, error], f *importFlags) error {
	c, err := a.newCertifier(ctx)
	if err != nil {
		return err
	}
	done := imports{path: path, Arenas: []string{}, Refused: []string{}, Notes: []string{}}
	line := a.statusLine()
	for im, err := range all {
		if ctx.Err() != nil {
			return errors.Join(context.Cause(ctx), c.close())
		}
		if done.Rows++; err == nil {
			err = c.starts(ctx, im.Arena)
		}
		if err == nil {
			err = writeImported(f.out, im)
		}
		if err != nil {
			done.Refused = append(done.Refused, fmt.Sprintf("row %d: %s", done.Rows, plain(err.Error())))
		} else {
			done.Arenas = append(done.Arenas, im.Arena.Name)
			for _, n := range im.Notes {
				done.Notes = append(done.Notes, fmt.Sprintf("%s: %s", im.Arena.Name, plain(n)))
			}
		}
		line("%d rows, %d arenas, %d refused", done.Rows, len(done.Arenas), len(done.Refused))
		if len(done.Arenas) == f.most && f.most > 0 {
			break
		}
	}
	return errors.Join(a.printImports(&done, f.out), c.close())
}

// starts runs an arena's module code once: a row whose tools do not load is none.
func (c *certifier) starts(ctx context.Context, arena *astra.Arena) error {
	if err := starts(ctx, c.runtime(arena.Runtime), arena); err != nil {
		return fmt.Errorf("its tools do not load: %w", err)
	}
	return nil
}

func writeImported(out string, im *rows.Imported) error {
	dir := filepath.Join(out, im.Arena.Name)
	if _, err := os.Stat(dir); err == nil {
		return nil // named by its content: it is the same
	}
	return writeFiles(dir, im.Bundle.Files())
}

// maxTold is how many lines are told of each kind.
const maxTold = 20

func (a *app) printImports(done *imports, out string) error {
	if a.json {
		return a.printJSON(done)
	}
	for _, list := range [][]string{done.Notes, done.Refused} {
		for i, text := range list {
			if i == maxTold {
				a.note("  and %d more; --json lists all", len(list)-maxTold)
				break
			}
			a.note("%s: %s", done.path, clip(text, 300))
		}
	}
	a.printf("%s, %s in %s, %d refused\n", plural(done.Rows, "row"), plural(len(done.Arenas), "arena"), out, len(done.Refused))
	if len(done.Arenas) == 0 {
		return failf("", "%s: no row could be made an arena", done.path)
	}
	return nil
}
