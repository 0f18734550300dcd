package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/astra-arenas/astra"
)

func (a *app) exportCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "export", Short: "Write episodes and tasks for trainers", Args: args(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	cmd.AddCommand(a.sftCommand(), a.exportRLCommand(), a.exportGymCommand())
	return cmd
}

func (a *app) sftCommand() *cobra.Command {
	var q astra.Query
	out, least := "", 0.0
	cmd := &cobra.Command{Use: "sft", Short: "Write scored train episodes as OpenAI chat rows, JSON lines", Args: args(0, 0, ""),
		Long: `Writes one JSON line {messages, tools, metadata} for each scored train episode, oldest
first. Practice, eval and invalid episodes are never written.`,
		Example: "  astra export sft --out sft.jsonl --min-reward 0.9\n  astra export sft --arena inventory | head -1"}
	flags := cmd.Flags()
	flags.StringVar(&out, "out", "", "`FILE` to write, whole or not at all (default standard output)")
	flags.Float64Var(&least, "min-reward", 0, "only episodes with at least this reward")
	flags.StringVar(&q.Arena, "arena", "", "only of this arena (its `NAME`)")
	flags.StringVar(&q.Task, "task", "", "only of this task")
	flags.StringVar(&q.Group, "group", "", "only of this group")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if !(least >= 0 && least <= 1) {
			return &problem{err: errors.New("--min-reward wants a number from 0 to 1"), code: 2}
		}
		return a.look(cmd.Context(), func(f *follower) error { return a.exportSFT(cmd.Context(), f, q, least, out) })
	}
	return cmd
}

func (a *app) exportSFT(ctx context.Context, f *follower, q astra.Query, least float64, out string) error {
	rows := &rowCounter{w: a.stdout}
	write := func(w io.Writer) error {
		rows.w = w
		return f.ExportSFT(ctx, rows, q, least)
	}
	if out == "" {
		if err := write(a.stdout); err != nil {
			return err
		}
	} else if err := writeWhole(out, write); err != nil {
		return err
	} else {
		a.note("%s written to %s", plural(rows.n, "episode"), out)
	}
	if rows.n == 0 {
		a.note("astra: no scored train episode fits; `astra episodes --mode train --status scored` lists those there are")
	}
	return nil
}

// writeWhole writes a file beside path and puts it in its place when it is complete.
func writeWhole(path string, write func(io.Writer) error) error {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return fmt.Errorf("%s is a directory; name a file", path)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".astra-*")
	if failed, ok := errors.AsType[*fs.PathError](err); ok {
		return fmt.Errorf("%s cannot be written: %w", path, failed.Err)
	}
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails after the rename
	err = errors.Join(write(f), f.Chmod(0o644), f.Sync(), f.Close())
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// A rowCounter counts lines on their way.
type rowCounter struct {
	w        io.Writer
	n, bytes int
	err      error // of w
}

func (c *rowCounter) Write(b []byte) (int, error) {
	c.n += bytes.Count(b, []byte("\n"))
	c.bytes += len(b)
	n, err := c.w.Write(b)
	c.err = err
	return n, err
}
