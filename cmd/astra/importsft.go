package main

import (
	"context"
	"errors"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/astra-arenas/astra/trainer"
	"github.com/astra-arenas/astra/trainer/datasets"
)

func (a *app) importSFTCommand() *cobra.Command {
	var out string
	cmd := &cobra.Command{Use: "astra-sft FILE…", Short: "Make trajectories of ASTRA-SFT rows", Args: args(1, 1000, "files of rows"),
		Long: `Makes a trajectory of each row {mcp_info, trajectory, …}, be these JSON text or JSON itself.
An assistant's text and the function_calls after it become one message with tool_calls, a
function's message a tool's; every call has an id of its own, and the tools are those of
mcp_info. astra export sft makes datasets of what comes out.

A row that is none, or whose run ended in an error, is told with its line and keeps no other
from coming in. Such rows do not say which calls failed.`,
		Example: "  astra import astra-sft rows.jsonl\n  astra export sft trajectories.jsonl --format trl --out data"}
	cmd.Flags().StringVarP(&out, "out", "o", trajectoriesFile, "`FILE` to write, whole or not at all")
	cmd.RunE = func(cmd *cobra.Command, paths []string) error {
		r := sftImport{Refused: []string{}, Out: out}
		if err := writeWhole(out, func(w io.Writer) error { return r.run(cmd.Context(), w, paths) }); err != nil {
			for _, why := range r.Refused {
				a.note("%s", plain(why))
			}
			return err
		}
		if a.json {
			return a.printJSON(&r)
		}
		for _, why := range r.Refused {
			a.note("%s", plain(why))
		}
		if r.Failed > len(r.Refused) {
			a.note("and %d more", r.Failed-len(r.Refused))
		}
		a.note("%s of %s written to %s; %d refused", plural(r.Made, "conversation"), plural(r.Rows, "row"), out, r.Failed)
		return nil
	}
	return a.wantsJSON(cmd)
}

// An sftImport is what became of the rows of some files.
type sftImport struct {
	Out     string   `json:"out"`
	Rows    int      `json:"rows"`
	Made    int      `json:"trajectories"`
	Failed  int      `json:"rows_refused"`
	Refused []string `json:"refused"` // the first maxRefused, with file and line
}

func (r *sftImport) run(ctx context.Context, w io.Writer, paths []string) error {
	for _, path := range paths {
		if _, err := os.Stat(path); err != nil {
			return err
		}
	}
	for t, err := range readFiles(ctx, paths, datasets.ReadASTRA) {
		if _, of := errors.AsType[*datasets.RowError](err); err != nil && !of {
			return err
		}
		r.Rows++
		if err == nil {
			r.Made++
			if err := trainer.WriteSFT(w, &t); err != nil {
				return err
			}
			continue
		}
		if r.Failed++; r.Failed <= maxRefused {
			r.Refused = append(r.Refused, err.Error())
		}
	}
	if r.Made == 0 {
		return failf("The lines above say why.", "none of %s made a conversation", plural(r.Rows, "row"))
	}
	return nil
}
