package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/astra-arenas/astra/synth"
	"github.com/astra-arenas/astra/synth/tables"
)

// tablesFlags are those of `astra synth tables`.
type tablesFlags struct {
	opts      tables.Options
	labels    string
	out       string
	languages []string
	describe  bool
}

func (a *app) synthTablesCommand() *cobra.Command {
	var f tablesFlags
	cmd := &cobra.Command{Use: "tables DIR|FILE…", Short: "Write arenas over your tables, without a model", Args: args(1, 1000, "directories or files with tables"),
		Long: `Reads tables (` + strings.Join(tables.Endings(), ", ") + `), finds out what is in them (types, units,
keys, foreign keys), and draws questions about them of which every answer is computed:
look-ups, filters, joins, extremes, counts, sums, means, differences, ratios, dates, units,
comparisons, intersections, and changes with rules. Tools to answer them come with each arena.

A file labels.yaml beside the tables, or --labels, says what people call tables and columns
where their names do not, and in Chinese; examples/tables has two. --describe shows what was
found, and writes nothing.`,
		Example: `  astra synth tables examples/tables/ferries --out ferries
  astra synth tables my-data --describe
  astra synth tables sales.csv customers.csv --tasks 1000 --languages en --seed 7 --out sales
  astra synth tables /usr/share/iso-codes/json/iso_*.json /usr/share/zoneinfo/zone1970.tab \
    --labels examples/tables/world.yaml --out world`}
	flags := cmd.Flags()
	flags.StringVarP(&f.out, "out", "o", "arenas", "`DIR` that the arenas and the report are written to")
	flags.IntVar(&f.opts.Tasks, "tasks", tables.DefaultTasks, "how many tasks to draw; some do not pass")
	flags.IntVar(&f.opts.PerArena, "per-arena", tables.DefaultPerArena, "tasks of one arena at most")
	flags.Float64Var(&f.opts.Writes, "writes", tables.DefaultWrites, "share of tasks that change something, 0 to 1")
	flags.Int64Var(&f.opts.Seed, "seed", 0, "`SEED` of all that is drawn")
	flags.StringSliceVar(&f.languages, "languages", []string{"en", "zh"}, "`LANGUAGES` to ask in: en, zh")
	flags.StringVar(&f.labels, "labels", "", "`FILE` with labels (default labels.yaml in the first directory, if there is one)")
	flags.BoolVar(&f.describe, "describe", false, "show what is found of the tables, and stop")
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return a.synthTables(cmd.Context(), args, &f) }
	return a.wantsJSON(cmd)
}

func (f *tablesFlags) check() error {
	if f.opts.Tasks < 1 || f.opts.Tasks > 1_000_000 || f.opts.PerArena < 1 || f.opts.PerArena > 2000 {
		return &problem{err: errors.New("--tasks wants 1 to 1000000, --per-arena 1 to 2000"), code: 2}
	}
	if !(f.opts.Writes >= 0 && f.opts.Writes <= 1) {
		return &problem{err: errors.New("--writes wants a share from 0 to 1"), code: 2}
	}
	if f.opts.Writes == 0 {
		f.opts.Writes = -1
	}
	for _, l := range f.languages {
		if err := oneOf("languages", l, "en", "zh"); err != nil {
			return err
		}
		f.opts.Languages = append(f.opts.Languages, synth.Language(l))
	}
	return nil
}

func (a *app) synthTables(ctx context.Context, paths []string, f *tablesFlags) error {
	if err := f.check(); err != nil {
		return err
	}
	all, err := f.read(paths)
	if err != nil {
		return err
	}
	if f.describe {
		for _, t := range all {
			a.printf("%s\n", t.Describe())
		}
		return nil
	}
	author, err := tables.NewAuthor(all, &f.opts)
	if err != nil {
		return err
	}
	id, err := author.RunID()
	if err != nil {
		return err
	}
	s := &synthesis{app: a, out: f.out, settings: map[string]any{"seed": f.opts.Seed, "tasks": f.opts.Tasks, "per-arena": f.opts.PerArena, "languages": strings.Join(f.languages, ", ")}}
	if err := s.open(); err != nil {
		return err
	}
	s.begin(id)
	err = a.certifying(ctx, func(c *certifier) error { return s.writeTables(ctx, author, c) })
	if err == nil {
		err = s.finish(tables.Version, id)
	}
	return s.end(err)
}

func (f *tablesFlags) read(paths []string) ([]*tables.Table, error) {
	labels, err := f.readLabels(paths[0])
	if err != nil {
		return nil, err
	}
	all, err := tables.Read(paths)
	if err != nil {
		return nil, err
	}
	return all, tables.Profile(all, labels)
}

func (f *tablesFlags) readLabels(first string) (*tables.Labels, error) {
	path := cmp.Or(f.labels, filepath.Join(first, "labels.yaml"))
	file, err := os.Open(path)
	if err != nil && f.labels == "" {
		return nil, nil // most tables have none
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	labels, err := tables.ReadLabels(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return labels, nil
}

func (s *synthesis) writeTables(ctx context.Context, author *tables.Author, c *certifier) error {
	for w, err := range author.Write(ctx, s.run, c) {
		if err != nil {
			return err
		}
		digest, err := s.keep(w.Name, w.Files)
		if err != nil {
			return err
		}
		s.made = append(s.made, synth.ReportArena{Name: w.Name, Digest: string(digest), Tasks: len(w.Tasks), Tools: w.Tools, Mutation: w.Mutation})
		for i, in := range w.Instances {
			calls, _ := w.Tasks[i].GoldCalls()
			if err := s.count(in, len(calls)); err != nil {
				return err
			}
		}
	}
	return nil
}
