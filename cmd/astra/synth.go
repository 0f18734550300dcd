package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/llm"
	"github.com/astra-arenas/astra/store"
	"github.com/astra-arenas/astra/synth"
	"github.com/astra-arenas/astra/synth/ask"
	"github.com/astra-arenas/astra/synth/rows"
)

func (a *app) synthCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "synth", Short: "Write arenas: from tables, or from questions with a model", Args: args(0, 0, ""),
		Long: `Writes arenas whose tasks are certified: solvable, deterministic, free of leaked answers and
hard to cheat. What does not pass is thrown away and counted; report.html says what and why.

A synthesis can be interrupted at any time. The same command goes on where it was, and
writes the same bytes as if it had never stopped.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	cmd.AddCommand(a.synthTablesCommand(), a.synthQuestionsCommand(), a.synthToolsCommand(), a.synthGraphCommand(), a.synthTrajectoriesCommand(), a.synthShowCommand())
	return cmd
}

// A synthesis is one run of an author: where its memory is and where its arenas go.
type synthesis struct {
	*app
	out      string
	parallel int  // items at a time; 0 is as many as there are processors
	retry    bool // what is unknown
	settings map[string]any

	store *store.Store
	run   *synth.Run
	tally synth.Tally
	made  []synth.ReportArena
	usage *synth.ReportUsage
	draft *os.File // instances.jsonl in the making
}

// open opens the memory, in a store of its own beside the episodes': a synthesis may take
// hours, and must not keep that one.
func (s *synthesis) open() error {
	if err := s.mayWrite(); err != nil {
		return err
	}
	st, err := store.Open(filepath.Join(s.config.Dir, "synth"), &store.Options{Logger: s.logger()})
	if owned, ok := errors.AsType[*store.OwnedError](err); ok {
		return failf("Wait for it, or name another directory with --dir.", "another synthesis is running: %w", owned)
	}
	s.store = st
	return err
}

// begin takes up the run of that id.
func (s *synthesis) begin(id string) {
	s.run = synth.NewRun(id, s.store, &synth.RunOptions{Parallel: s.parallel, Retry: s.retry, Progress: s.progress()})
}

// mayWrite refuses a directory in which something else is.
func (s *synthesis) mayWrite() error {
	entries, err := os.ReadDir(s.out)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(entries) == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() == "report.json" || e.Name() == unfinished {
			return nil
		}
	}
	return failf("Name a directory that is empty or new with --out.", "%s is not empty, and no synthesis wrote it", s.out)
}

// unfinished stands in a directory while a synthesis writes to it, and becomes
// instances.jsonl: what is asked, in the paper's form.
const unfinished = ".unfinished"

// progress draws one line a stage.
func (s *synthesis) progress() func(string, synth.Yield) {
	line := s.statusLine()
	return func(stage string, y synth.Yield) {
		line("%s: %d, %d passed, %d failed, %d unknown", stage, y.Items, y.Passed, y.Failed, y.Unknown)
	}
}

// keep writes one arena, whole or not at all.
func (s *synthesis) keep(name string, files []astra.File) (astra.Digest, error) {
	b, err := astra.NewBundle(files)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(s.out, 0o777); err != nil {
		return "", err
	}
	if s.draft == nil {
		if err := os.WriteFile(filepath.Join(s.out, unfinished), nil, 0o666); err != nil {
			return "", err
		}
	}
	fresh := filepath.Join(s.out, ".new-"+name)
	if err := errors.Join(os.RemoveAll(fresh), writeFiles(fresh, b.Files())); err != nil {
		return "", err
	}
	dir := filepath.Join(s.out, name)
	return b.Digest(), errors.Join(os.RemoveAll(dir), os.Rename(fresh, dir))
}

func writeFiles(dir string, files []astra.File) error {
	for _, f := range files {
		path := filepath.Join(dir, filepath.FromSlash(f.Path))
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			return err
		}
		if err := os.WriteFile(path, f.Data, 0o666); err != nil {
			return err
		}
	}
	return nil
}

// count takes an instance into the report, and writes it in the paper's form.
func (s *synthesis) count(in *synth.Instance, calls int) error {
	s.tally.Add(in, calls)
	if s.draft == nil {
		var err error
		if s.draft, err = os.Create(filepath.Join(s.out, unfinished)); err != nil {
			return err
		}
	}
	return rows.WriteTrace(s.draft, &rows.Trace{Instance: *in})
}

// finish writes the report, and takes arenas away that an earlier run left.
func (s *synthesis) finish(author, id string) error {
	if len(s.made) == 0 {
		s.summary()
		return failf("The lines above say why.", "nothing was certified")
	}
	if err := s.sweep(); err != nil {
		return err
	}
	r := &synth.Report{Author: author, Data: "RL", Run: id, Settings: s.settings, Arenas: s.made, Yields: s.run.Yields(), Usage: s.usage}
	s.tally.Fill(r)
	err := errors.Join(s.writeReport(r), s.draft.Close(), os.Rename(filepath.Join(s.out, unfinished), filepath.Join(s.out, "instances.jsonl")))
	if err != nil {
		return err
	}
	if s.json {
		return s.printJSON(r)
	}
	s.table()
	s.summary()
	s.note("%s in %s written to %s; look at %s", plural(r.Tasks, "certified task"), plural(len(s.made), "arena"), s.out, filepath.Join(s.out, "report.html"))
	return nil
}

// writeReport writes a report for programs and one for people.
func (s *synthesis) writeReport(r *synth.Report) error {
	text, err := r.JSON()
	if err != nil {
		return err
	}
	page, err := r.HTML()
	if err != nil {
		return err
	}
	return errors.Join(os.WriteFile(filepath.Join(s.out, "report.json"), text, 0o666), os.WriteFile(filepath.Join(s.out, "report.html"), page, 0o666))
}

// usage is what the models took, by the run's own notes: the same however often it was
// interrupted.
func usage(prices llm.Prices, stages []ask.Spent) *synth.ReportUsage {
	var u synth.ReportUsage
	for _, s := range stages {
		u.Calls += int64(s.Calls)
		u.Repairs += int64(s.Repairs)
		u.Input += s.Usage.Input
		u.Output += s.Usage.Output
		u.Cost += prices.Cost(s.Usage)
	}
	return &u
}

// sweep removes the arenas of an earlier run that this one did not write.
func (s *synthesis) sweep() error {
	entries, err := os.ReadDir(s.out)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !e.IsDir() || slices.ContainsFunc(s.made, func(m synth.ReportArena) bool { return m.Name == e.Name() }) {
			continue
		}
		if _, err := os.Stat(filepath.Join(s.out, e.Name(), "arena.yaml")); err == nil || e.Name()[0] == '.' {
			if err := os.RemoveAll(filepath.Join(s.out, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *synthesis) table() {
	t := newTable("arena", "tasks", "tools", "mutants refused")
	for _, m := range s.made {
		t.row(m.Name, m.Tasks, m.Tools, fmt.Sprintf("%.1f %%", 100*m.Mutation))
	}
	if err := t.write(s.stdout); err != nil {
		s.note("astra: %v", err)
	}
}

// summary says what each stage made of its items, and why not of all.
func (s *synthesis) summary() {
	if f := s.terminal(); f != nil {
		fmt.Fprint(f, "\r\x1b[K")
	}
	for _, y := range s.run.Yields() {
		resumed := ""
		if y.Resumed > 0 {
			resumed = fmt.Sprintf(" (%d had been done before)", y.Resumed)
		}
		s.note("%-8s %d of %d passed%s", y.Stage, y.Passed, y.Items, resumed)
		for _, why := range sortedReasons(y.Rejected) {
			s.note("  %6d  %s, such as: %s", y.Rejected[why], plain(why), clip(plain(strings.TrimPrefix(y.Examples[why], why+": ")), 300))
		}
	}
}

func sortedReasons(m map[string]int) []string {
	var all []string
	for why := range m {
		all = append(all, why)
	}
	slices.SortFunc(all, func(a, b string) int {
		if m[a] != m[b] {
			return m[b] - m[a]
		}
		if a < b {
			return -1
		}
		return 1
	})
	return all
}

// end closes the memory, and says what becomes of a run that did not get to its end.
func (s *synthesis) end(err error) error {
	if s.store == nil {
		return err
	}
	if err != nil && s.run != nil && len(s.run.Yields()) > 0 {
		s.note("astra: what was finished is kept: the same command goes on from here")
	}
	return errors.Join(err, s.store.Close())
}

// certifying runs f with a certifier whose arenas are kept nowhere.
func (a *app) certifying(ctx context.Context, f func(*certifier) error) error {
	c, err := a.newCertifier(ctx)
	if err != nil {
		return err
	}
	return errors.Join(f(c), c.close())
}
