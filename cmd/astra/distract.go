package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
	"github.com/astra-arenas/astra/llm"
	"github.com/astra-arenas/astra/synth/distractors"
)

// distractFlags are those of `astra distract`.
type distractFlags struct {
	opts  distractors.Options
	mode  string
	out   string
	model string // of embeddings
}

func (a *app) distractCommand() *cobra.Command {
	var f distractFlags
	cmd := &cobra.Command{Use: "distract ARENA…", Short: "Give tasks tools that have nothing to do with them, from other arenas", Args: args(1, 1000, "arenas' directories or .arena files"),
		Long: `Chooses for every task tools of other domains, some near to those that it needs, some less,
some not at all, and writes new versions of the arenas: up to --k tools from each of three
bands of similarity (above 0.85, from 0.4, below). They are taken from the arenas named, and
from those in the arena directories. An agent sees and calls them like any other.

How near two tools are is told by an embeddings server (--base-url, --embeddings) or, without
one, by the words of their documents. --mode random takes 5 to 9 tools of other domains,
however near; none takes all away.`,
		Example: "  astra distract arenas/ports examples/arenas/inventory --out harder\n  astra distract inventory --k 3 --seed 7 --out harder --base-url http://localhost:8000/v1 --embeddings some-model\n  astra distract inventory --mode none --out plain"}
	flags := cmd.Flags()
	flags.StringVarP(&f.out, "out", "o", "", "`DIR` that the new versions are written to, each in a directory of its name")
	flags.StringVar(&f.mode, "mode", "bands", "`MODE`: bands, random or none")
	flags.IntVar(&f.opts.K, "k", distractors.DefaultK, "tools from each band at most")
	flags.Int64Var(&f.opts.Seed, "seed", 0, "`SEED` of what is drawn")
	flags.StringVar(&f.model, "embeddings", "", "`MODEL` of an OpenAI-compatible embeddings server (default: the words of the documents)")
	a.settings(cmd, "base_url")
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return a.distract(cmd.Context(), args, &f) }
	return a.wantsJSON(cmd)
}

func (f *distractFlags) check() error {
	switch {
	case f.out == "":
		return &problem{err: errors.New("name a directory with --out: the arenas stay as they are"), code: 2}
	case f.opts.K < 1 || f.opts.K > 64:
		return &problem{err: errors.New("--k wants 1 to 64"), code: 2}
	}
	f.opts.Mode = distractors.Mode(f.mode)
	return oneOf("mode", f.mode, "bands", "random", "none")
}

func (a *app) distract(ctx context.Context, refs []string, f *distractFlags) error {
	if err := f.check(); err != nil {
		return err
	}
	arenas, err := a.findAll(refs)
	if err != nil {
		return err
	}
	embedder, err := a.embedder(f.model)
	if err != nil {
		return err
	}
	near, err := a.allArenas()
	if err != nil {
		return err
	}
	lenders, err := a.lenders(ctx, distinct(append(slices.Clone(arenas), near...)))
	if err != nil {
		return err
	}
	index, err := distractors.NewIndex(ctx, lenders, embedder)
	if err != nil {
		return err
	}
	return a.printDistracted(index, arenas, f)
}

// distinct leaves out what comes twice.
func distinct(arenas []*astra.Arena) []*astra.Arena {
	seen := map[astra.Digest]bool{}
	return slices.DeleteFunc(arenas, func(a *astra.Arena) bool {
		twice := seen[a.Digest]
		seen[a.Digest] = true
		return twice
	})
}

func (a *app) embedder(model string) (distractors.Embedder, error) {
	if model == "" {
		return distractors.Lexical{}, nil
	}
	if a.apiKey() == "" && a.config.BaseURL == "" {
		return nil, failf("Set ASTRA_API_KEY, or --base-url for a server that asks for none.", "the embeddings' API wants a key")
	}
	return llm.NewEmbedder(llm.Options{BaseURL: a.config.BaseURL, Model: model, APIKey: a.apiKey()})
}

// lenders are the arenas whose worlds start without a scenario: a distractor's arena is
// told none.
func (a *app) lenders(ctx context.Context, arenas []*astra.Arena) ([]*astra.Arena, error) {
	c, err := a.newCertifier(ctx)
	if err != nil {
		return nil, err
	}
	var lend []*astra.Arena
	for _, arena := range arenas {
		if rt := c.runtime(arena.Runtime); rt == nil || !rt.Pure() {
			a.note("astra: %s lends no tools: they are %s, which answers for tasks of its own alone", arena.Name, arena.Runtime)
		} else if err := starts(ctx, rt, arena); err != nil {
			a.note("astra: %s lends no tools: its world does not start without a scenario: %s", arena.Name, clip(plain(err.Error()), 200))
		} else {
			lend = append(lend, arena)
		}
	}
	return lend, c.close()
}

func starts(ctx context.Context, rt gateway.Runtime, arena *astra.Arena) error {
	p, err := rt.Load(ctx, arena)
	if err != nil {
		return err
	}
	inst, err := p.Start(ctx, gateway.World{Now: arena.Now})
	if err == nil {
		err = inst.Close()
	}
	return errors.Join(err, p.Close())
}

// A distracted arena is one that was written.
type distracted struct {
	Arena       string       `json:"arena"`
	Digest      astra.Digest `json:"digest"`
	Tasks       int          `json:"tasks"`
	Distractors int          `json:"distractors"` // of all tasks together
}

func (a *app) printDistracted(index *distractors.Index, arenas []*astra.Arena, f *distractFlags) error {
	var done []distracted
	t := newTable("arena", "tasks", "distractors")
	for _, arena := range arenas {
		d, err := writeDistracted(index, arena, f)
		if err != nil {
			return err
		}
		done = append(done, d)
		t.row(d.Arena, d.Tasks, d.Distractors)
	}
	if a.json {
		return a.printJSON(done)
	}
	if err := t.write(a.stdout); err != nil {
		return err
	}
	sizes := index.Sizes()
	a.note("of %s: %d pairs of other domains are near, %d are between, %d are far", plural(index.Len(), "tool"), sizes[distractors.High], sizes[distractors.Medium], sizes[distractors.Low])
	return nil
}

func writeDistracted(index *distractors.Index, arena *astra.Arena, f *distractFlags) (distracted, error) {
	d := distracted{Arena: arena.Name, Tasks: len(arena.Tasks)}
	files, err := index.Rewrite(arena, &f.opts)
	if err != nil {
		return d, err
	}
	b, err := astra.NewBundle(files)
	if err != nil {
		return d, err
	}
	fresh, err := b.Load()
	if err != nil {
		return d, err
	}
	for i := range fresh.Tasks {
		d.Distractors += len(fresh.Tasks[i].Distractors)
	}
	d.Digest = fresh.Digest
	dir := filepath.Join(f.out, arena.Name)
	if _, err := os.Stat(dir); err == nil {
		return d, failf("Name another directory with --out.", "%s is there already", dir)
	}
	return d, writeFiles(dir, b.Files())
}
