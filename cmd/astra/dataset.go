package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/synth/neardup"
	"github.com/astra-arenas/astra/trainer/datasets"
)

// datasetFlags are those of export sft that make a dataset of a stream of rows.
type datasetFlags struct {
	format    string
	files     string // jsonl or parquet
	arguments string // object or string
	min       []string
	options   datasets.Options
	names     []string // of the flags that ask for --format
}

func (d *datasetFlags) register(flags *pflag.FlagSet) {
	own := pflag.NewFlagSet("", pflag.ContinueOnError)
	own.StringVar(&d.files, "files", "", "`KIND` of files: jsonl or parquet (default jsonl, for trl parquet)")
	own.StringVar(&d.arguments, "arguments", "", "with trl: arguments of calls as `object` or string")
	own.IntVar(&d.options.ShardRows, "shard-rows", datasets.DefaultShardRows, "rows a file")
	own.Float64Var(&d.options.Eval, "eval", 0, "`SHARE` of the conversations to hold back, by server")
	own.Int64Var(&d.options.Seed, "seed", 0, "which servers are held back")
	own.Float64Var(&d.options.Near, "near", neardup.Default, "from which `LIKENESS` on a conversation is a copy; 1 is equal texts alone")
	own.BoolVar(&d.options.MaskFailed, "mask-failed", false, "no loss on messages whose every call failed")
	own.Float64Var(&d.options.Accept.MinScore, "min-score", 0, "only trajectories whose scores have at least this mean")
	own.StringArrayVar(&d.min, "min", nil, "only with at least this score, `NAME=VALUE`; may be repeated")
	own.StringArrayVar(&d.options.Accept.Kinds, "kind", nil, "only tasks of this `KIND`; may be repeated")
	own.StringVar(&d.options.Name, "name", "", "the card's title")
	own.StringVar(&d.options.License, "license", "", "the dataset's licence, for the card, such as apache-2.0")
	own.VisitAll(func(f *pflag.Flag) { d.names = append(d.names, f.Name) })
	flags.StringVar(&d.format, "format", "", "make a dataset in this `FORMAT`: openai, trl, nemo-rl, llama-factory, astra or atif")
	flags.AddFlagSet(own)
}

func (d *datasetFlags) check(cmd *cobra.Command, sources []string, out string) error {
	wrong := func(format string, args ...any) error {
		return &problem{err: fmt.Errorf(format, args...), remedy: fmt.Sprintf("`%s --help` has examples.", cmd.CommandPath()), code: 2}
	}
	if d.format == "" {
		for _, name := range append(d.names, "json") {
			if cmd.Flags().Changed(name) {
				return wrong("--%s is for datasets: it wants --format", name)
			}
		}
		if len(sources) > 0 {
			return wrong("files of trajectories want --format")
		}
		return nil
	}
	if out == "" {
		return wrong("--format wants --out, a directory")
	}
	for _, name := range []string{"arena", "task", "group"} {
		if len(sources) > 0 && cmd.Flags().Changed(name) {
			return wrong("--%s selects episodes of the store, and the trajectories are in files", name)
		}
	}
	return errors.Join(oneOf("files", d.files, "jsonl", "parquet"), oneOf("arguments", d.arguments, "object", "string"), d.fill())
}

// fill takes the words of the flags into the options.
func (d *datasetFlags) fill() error {
	o := &d.options
	o.Format = datasets.Format(d.format)
	o.Parquet = d.files == "parquet" || d.files == "" && o.Format == datasets.TRL
	o.StringArguments = d.arguments == "string"
	if !(o.Accept.MinScore >= 0 && o.Accept.MinScore <= 1) {
		return &problem{err: errors.New("--min-score wants a number from 0 to 1"), code: 2}
	}
	for _, m := range d.min {
		name, value, ok := strings.Cut(m, "=")
		least, err := strconv.ParseFloat(value, 64)
		if !ok || name == "" || err != nil || !(least >= 0 && least <= 1) {
			return &problem{err: fmt.Errorf("--min %s: want NAME=VALUE with a value from 0 to 1, such as final_answer=0.5", m), code: 2}
		}
		if o.Accept.Min == nil {
			o.Accept.Min = map[string]float64{}
		}
		o.Accept.Min[name] = least
	}
	return nil
}

// exportDataset makes a dataset of files, or of the store's episodes.
func (a *app) exportDataset(ctx context.Context, d *datasetFlags, q astra.Query, sources []string, out string) error {
	if err := datasets.MayWrite(out); err != nil {
		return err
	}
	if len(sources) == 0 {
		rows, err := os.CreateTemp("", "astra-sft-*.jsonl")
		if err != nil {
			return err
		}
		defer os.Remove(rows.Name())
		defer rows.Close()
		err = a.look(ctx, func(f *follower) error {
			return f.ExportSFT(ctx, &rowCounter{w: rows}, q, d.options.Accept.MinReward)
		})
		if err == nil {
			_, err = rows.Seek(0, io.SeekStart)
		}
		if err != nil {
			return err
		}
		return a.makeDataset(d, out, datasets.Read("episodes", rows), nil)
	}
	paths, inputs, err := trajectoryFiles(sources)
	if err != nil {
		return err
	}
	return a.makeDataset(d, out, readFiles(ctx, paths, datasets.Read), inputs)
}

// trajectoryFiles finds the file of each source, and what it is.
func trajectoryFiles(sources []string) (paths []string, inputs []datasets.Input, err error) {
	for _, path := range sources {
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			path = filepath.Join(path, trajectoriesFile)
		}
		f, err := os.Open(path)
		if err != nil {
			return nil, nil, failf("Name a file of trajectories, or a directory that has "+trajectoriesFile+".", "%w", err)
		}
		h := sha256.New()
		n, err := io.Copy(h, f)
		if err = errors.Join(err, f.Close()); err != nil {
			return nil, nil, err
		}
		paths = append(paths, path)
		inputs = append(inputs, datasets.Input{Name: filepath.Base(path), Digest: "sha256:" + hex.EncodeToString(h.Sum(nil)), Bytes: n})
	}
	return paths, inputs, nil
}

// trajectoriesFile is what a trajectory synthesis and an import write.
const trajectoriesFile = "trajectories.jsonl"

// readFiles yields what read makes of the files, one after the other.
func readFiles(ctx context.Context, paths []string, read func(string, io.Reader) iter.Seq2[astra.Trajectory, error]) iter.Seq2[astra.Trajectory, error] {
	return func(yield func(astra.Trajectory, error) bool) {
		for _, path := range paths {
			f, err := os.Open(path)
			if err != nil {
				yield(astra.Trajectory{}, err)
				return
			}
			for t, err := range read(path, f) {
				if ctx.Err() != nil {
					t, err = astra.Trajectory{}, context.Cause(ctx)
				}
				if !yield(t, err) {
					f.Close()
					return
				}
			}
			f.Close()
		}
	}
}

func (a *app) makeDataset(d *datasetFlags, out string, all iter.Seq2[astra.Trajectory, error], inputs []datasets.Input) error {
	m, err := datasets.Write(out, all, inputs, d.options)
	if m == nil {
		return err
	}
	if a.json {
		err = errors.Join(a.printJSON(m), err)
	} else {
		err = errors.Join(a.tellDataset(m), err)
	}
	if errors.Is(err, datasets.ErrNothing) {
		return failf("The lines above say why; `astra episodes --mode train --status scored` lists what the store has.", "none of %s made a row", plural(m.Read, "conversation"))
	}
	if err == nil {
		a.note("dataset written to %s; look at %s", out, filepath.Join(out, "README.md"))
	}
	return err
}

// tellDataset says what is in the splits, and on the other stream what is not.
func (a *app) tellDataset(m *datasets.Manifest) error {
	for _, c := range m.LeftOut {
		a.note("%6d  left out: %s, such as %s", c.Rows, plain(c.What), plain(c.Example))
	}
	for _, c := range m.Losses {
		a.note("%6d  %s", c.Rows, plain(c.What))
	}
	if m.Settings.Eval > 0 && len(m.Splits) == 1 {
		a.note("nothing is held back: the servers are linked to groups too large for that share")
	}
	if len(m.Splits) == 0 {
		return nil
	}
	t := newTable("split", "rows", "share", "servers", "files")
	for _, s := range m.Splits {
		t.row(s.Name, s.Rows, fmt.Sprintf("%.1f %%", 100*s.Share), s.Servers, s.Shards)
	}
	return t.write(a.stdout)
}
