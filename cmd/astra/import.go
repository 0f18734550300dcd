package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/synth/rows"
)

func (a *app) importCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "import", Short: "Make arenas, or trajectories, of rows that others wrote", Args: args(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	cmd.AddCommand(
		a.importing("astra-rl", "Make arenas of ASTRA-RL rows", `Makes an arena of each row {prompt, tool_schema, tool_dict, sub_qa_dict}. Its tools are the
row's Python, run as it is, each in a module of its own; they return what print would show.
A sub-task is solved where the text of a call of its tool contains the answer, which is the
rule of the paper: what it lets through is for astra certify to say. There are no gold calls
in such rows, so what would need them is unknown there, and astra check has nothing to play.

Two schemas of one name are kept as one, and told; a row is refused where a tool that has
answers lacks its schema or its code.`, importRL),
		a.importing("env-result", "Make arenas of rows with env_result", `Makes an arena of each row {decomposition_trace, env_result}, with merged environments
(aggregated_env) or without. Its tools are the row's Python, run as it is; gold calls are the
row's call statements. A sub-task is solved by the answer where that is all that its call
printed, else where the text of a call contains it. A row in which a sub-question lacks its
environment is refused. astra check plays what came out.`, importEnvironments),
		a.importSFTCommand(),
	)
	return cmd
}

// An imported is an arena that was made of a row.
type imported struct {
	Arena  string       `json:"arena"`
	Digest astra.Digest `json:"digest"`
	File   string       `json:"file"`
	Line   int          `json:"line"`
	Tools  int          `json:"tools"`
	Tasks  int          `json:"tasks"`
	Notes  []string     `json:"notes,omitempty"`
	bundle *astra.Bundle
}

func importRL(file string, r io.Reader) iter.Seq2[imported, error] {
	return importRows(file, rows.ReadRL(file, r), func(row *rows.RLRow) imported {
		return imported{File: file, Line: row.Line, Notes: row.Notes}
	})
}

func importEnvironments(file string, r io.Reader) iter.Seq2[imported, error] {
	return importRows(file, rows.ReadEnvironments(file, r), func(row *rows.Environments) imported {
		made := imported{File: file, Line: row.Line, Notes: row.Notes}
		for _, bad := range row.Instance.Check() { // it can be played all the same
			made.Notes = append(made.Notes, "the decomposition breaks a rule: "+bad.Error())
		}
		return made
	})
}

// importRows makes arenas of rows. What cannot be taken is an error for its row.
func importRows[R interface{ Arena() (*astra.Bundle, error) }](file string, all iter.Seq2[R, error], describe func(R) imported) iter.Seq2[imported, error] {
	return func(yield func(imported, error) bool) {
		for row, err := range all {
			made := imported{}
			if err == nil {
				made = describe(row)
				if made.bundle, err = row.Arena(); err != nil {
					err = &rows.RowError{File: file, Line: made.Line, Msg: err.Error()}
				}
			}
			if !yield(made, err) {
				return
			}
		}
	}
}

func (a *app) importing(name, short, long string, read func(string, io.Reader) iter.Seq2[imported, error]) *cobra.Command {
	var out string
	cmd := &cobra.Command{Use: name + " FILE…", Short: short, Args: args(1, 1000, "files of rows"),
		Long: long + `

import.json in DIR has what became of each row. A row that is refused is told with its line
and keeps no other from coming in.`,
		Example: "  astra import " + name + " rows.jsonl --out arenas\n  astra import " + name + " rows.jsonl --out arenas --json | jq .refused"}
	cmd.Flags().StringVarP(&out, "out", "o", "arenas", "`DIR` that the arenas are written to")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		im := &importer{app: a, out: out, read: read}
		return a.certifying(cmd.Context(), func(c *certifier) error {
			im.try = c
			return im.run(cmd.Context(), args)
		})
	}
	return a.wantsJSON(cmd)
}

// importReport is import.json: no more than counts and names, however many rows there are.
const importReport = "import.json"

// maxRefused is how many refusals a report has in full.
const maxRefused = 1000

// An importer writes the arenas of some files into a directory.
type importer struct {
	*app
	out  string
	read func(string, io.Reader) iter.Seq2[imported, error]
	try  *certifier // has the runtimes that arenas must load on

	Arenas  []imported `json:"arenas"`
	Refused []string   `json:"refused"` // the first maxRefused, with file and line
	Rows    int        `json:"rows"`
	Failed  int        `json:"rows_refused"`
	names   map[string]bool
}

func (im *importer) run(ctx context.Context, paths []string) error {
	if err := im.mayWrite(); err != nil {
		return err
	}
	for _, path := range paths {
		if _, err := os.Stat(path); err != nil {
			return err
		}
	}
	im.names, im.Arenas, im.Refused = map[string]bool{}, []imported{}, []string{}
	if err := im.report(); err != nil { // first: what an interrupted import left is an import's
		return err
	}
	line := im.statusLine()
	for _, path := range paths {
		if err := im.file(ctx, path, line); err != nil {
			return err
		}
	}
	return im.finish()
}

func (im *importer) mayWrite() error {
	entries, err := os.ReadDir(im.out)
	if os.IsNotExist(err) || err == nil && len(entries) == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(im.out, importReport)); err != nil {
		return failf("Name a directory that is empty or new with --out.", "%s is not empty, and no import wrote it", im.out)
	}
	return nil
}

func (im *importer) file(ctx context.Context, path string, line func(string, ...any)) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	for made, err := range im.read(path, f) {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		im.Rows++
		line("%s: %d rows, %d arenas, %d refused", path, im.Rows, len(im.Arenas), im.Failed)
		if err == nil {
			err = im.keep(ctx, &made)
		}
		if _, of := errors.AsType[*rows.RowError](err); of {
			im.refuse(err)
		} else if err != nil {
			return err
		}
	}
	return nil
}

func (im *importer) refuse(err error) {
	if im.Failed++; im.Failed <= maxRefused {
		im.Refused = append(im.Refused, strings.ReplaceAll(err.Error(), "\n", "; "))
	}
}

// keep writes an arena, whole or not at all. A row that comes again is noted once.
func (im *importer) keep(ctx context.Context, made *imported) error {
	arena, err := made.bundle.Load()
	if err != nil {
		return &rows.RowError{File: made.File, Line: made.Line, Msg: err.Error()}
	}
	if err := starts(ctx, im.try.runtime(arena.Runtime), arena); err != nil {
		return &rows.RowError{File: made.File, Line: made.Line, Msg: "its tools do not load: " + err.Error()}
	}
	if im.names[arena.Name] {
		return &rows.RowError{File: made.File, Line: made.Line, Msg: "it makes the arena " + arena.Name + ", as an earlier row does"}
	}
	im.names[arena.Name] = true
	made.Arena, made.Digest, made.Tools, made.Tasks = arena.Name, arena.Digest, len(arena.Tools), len(arena.Tasks)
	fresh, dir := filepath.Join(im.out, ".new-"+arena.Name), filepath.Join(im.out, arena.Name)
	if err := errors.Join(os.RemoveAll(fresh), writeFiles(fresh, made.bundle.Files())); err != nil {
		return err
	}
	made.bundle = nil // it may be one of thousands
	im.Arenas = append(im.Arenas, *made)
	return errors.Join(os.RemoveAll(dir), os.Rename(fresh, dir))
}

func (im *importer) finish() error {
	if f := im.terminal(); f != nil {
		fmt.Fprint(f, "\r\x1b[K")
	}
	if err := im.report(); err != nil {
		return err
	}
	if im.json {
		if err := im.printJSON(im); err != nil {
			return err
		}
	} else if err := im.tell(); err != nil {
		return err
	}
	if len(im.Arenas) == 0 {
		return failf("The lines above say why.", "no row of %d made an arena", im.Rows)
	}
	im.note("%s of %s written to %s; %d refused", plural(len(im.Arenas), "arena"), plural(im.Rows, "row"), im.out, im.Failed)
	return nil
}

// report writes import.json.
func (im *importer) report() error {
	text, err := json.MarshalIndent(im, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(im.out, 0o777); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(im.out, importReport), append(text, '\n'), 0o666)
}

// tell lists what came in, and on the other stream what is odd or did not.
func (im *importer) tell() error {
	t := newTable("arena", "line", "tools", "tasks")
	for _, m := range im.Arenas {
		t.row(m.Arena, m.Line, m.Tools, m.Tasks)
		for _, n := range m.Notes {
			im.note("%s:%d: note: %s", m.File, m.Line, plain(n))
		}
	}
	for _, r := range im.Refused {
		im.note("%s", plain(r))
	}
	if im.Failed > len(im.Refused) {
		im.note("and %d more", im.Failed-len(im.Refused))
	}
	if len(im.Arenas) == 0 {
		return nil
	}
	return t.write(im.stdout)
}
