package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
	"github.com/astra-arenas/astra/llm"
	"github.com/astra-arenas/astra/synth"
	"github.com/astra-arenas/astra/synth/questions"
)

// questionsVersion names the model author in reports.
const questionsVersion = "questions-1"

// questionsFlags are those of `astra synth questions`.
type questionsFlags struct {
	modelFlags
	opts     questions.Options
	runtime  string
	language string
	tools    []string
	out      string
	most     int
	parallel int
}

func (a *app) synthQuestionsCommand() *cobra.Command {
	var f questionsFlags
	cmd := &cobra.Command{Use: "questions [FILE…]", Short: "Write arenas with a chat model, from questions, knowledge, domains, a taxonomy, or tools", Args: args(0, 1000, ""),
		Long: `Has a model decompose questions, judges the decompositions, and has a tool written for each
sub-question, which is run in the sandbox until it answers. What comes out is certified.

A FILE has JSON lines, {"question", "domain"} or {"domain", "knowledge_corpus"}, or is a .json
file with a nested taxonomy whose leaves are {"description", "examples"}. With --tools, questions are asked
about the tools of an arena that there is already.

The model is any that speaks OpenAI's chat protocol, or Anthropic's with --api anthropic. Its
key comes from ASTRA_API_KEY or OPENAI_API_KEY. Nothing is asked twice: replies are kept,
and --replay asks for none that is not.`,
		Example: `  astra synth questions questions.en.jsonl --base-url http://localhost:8000/v1 --model qwen3 --out arenas
  astra synth questions domains.zh.jsonl --language zh --model gpt-5.2 --samples 3 --runtime python
  astra synth questions --tools inventory --model qwen3 --base-url http://localhost:8000/v1
  astra synth questions questions.jsonl --model gpt-5.2 --price-in 1.25 --price-out 10 --requests 500`}
	flags := cmd.Flags()
	flags.StringVarP(&f.out, "out", "o", "arenas", "`DIR` that the arenas and the report are written to")
	f.register(flags)
	flags.StringVar(&f.runtime, "runtime", "javascript", "`RUNTIME` of the tools: javascript or python")
	flags.StringVar(&f.language, "language", "en", "`LANGUAGE` to ask in: en or zh")
	flags.StringSliceVar(&f.tools, "tools", nil, "`ARENA` whose tools questions are asked about (repeatable)")
	flags.IntVar(&f.most, "limit", 0, "only the first N of each file (default all)")
	flags.Int64Var(&f.opts.Seed, "seed", 0, "`SEED` of all that is drawn")
	flags.IntVar(&f.opts.Samples, "samples", 1, "instances of each line")
	flags.IntVar(&f.opts.MinHops, "min-hops", 3, "sub-questions of an instance at least")
	flags.IntVar(&f.opts.MaxHops, "max-hops", 5, "sub-questions of an instance at most")
	flags.Float64Var(&f.opts.Threshold, "threshold", 0, "lowest quality that is taken, 0 to 1 (default by --percentile)")
	flags.Float64Var(&f.opts.Percentile, "percentile", 0.9, "take what this share of the instances is not better than")
	flags.IntVar(&f.opts.PerArena, "per-arena", 1, "instances of one domain in one arena")
	flags.BoolVar(&f.opts.NoMerging, "no-merging", false, "each sub-question keeps a tool of its own")
	flags.StringVar(&f.opts.Name, "name", "questions", "what the arenas' names begin with")
	flags.Int64Var(&f.opts.MaxTokens, "max-tokens", 0, "tokens of one reply at most (default 16384)")
	flags.IntVar(&f.parallel, "parallel", 8, "instances at a time")
	a.settings(cmd, "base_url", "model")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		f.opts.Temperature = f.sampling(flags)
		return a.synthQuestions(cmd.Context(), args, &f)
	}
	return a.wantsJSON(cmd)
}

func (f *questionsFlags) check(a *app, files []string) error {
	switch {
	case len(files)+len(f.tools) == 0:
		return &problem{err: errors.New("name a file with questions, or an arena with --tools; `astra synth questions --help` has examples"), code: 2}
	case a.config.Model == "":
		return failf("Name it with --model, ASTRA_MODEL, or model in astra.yaml.", "writing arenas with a model needs a model")
	case f.parallel < 1 || f.most < 0 || f.opts.MinHops < 1 || f.opts.MaxHops < f.opts.MinHops || f.opts.MaxHops > synth.MaxNodes:
		return &problem{err: fmt.Errorf("--parallel, --limit and hops want whole numbers: hops from 1 to %d, --max-hops not below --min-hops", synth.MaxNodes), code: 2}
	}
	return errors.Join(f.modelFlags.check(), oneOf("runtime", f.runtime, "javascript", "python"), oneOf("language", f.language, "en", "zh"))
}

func (a *app) synthQuestions(ctx context.Context, files []string, f *questionsFlags) error {
	if err := f.check(a, files); err != nil {
		return err
	}
	sources, err := f.sources(a, files)
	if err != nil {
		return err
	}
	return a.certifying(ctx, func(c *certifier) error { return a.askQuestions(ctx, sources, f, c) })
}

// sources are all that questions are made from: few lines of text each, so they are held.
func (f *questionsFlags) sources(a *app, files []string) ([]questions.Source, error) {
	var all []questions.Source
	lang := synth.Language(f.language)
	for _, ref := range f.tools {
		arena, err := a.findArena(ref)
		if err != nil {
			return nil, err
		}
		if arena == nil {
			return nil, failf("Name a directory with an arena.yaml, or an .arena file.", "no arena %q", ref)
		}
		all = append(all, questions.ToolsOf(arena, lang))
	}
	for _, path := range files {
		found, err := readSources(path, lang)
		if err != nil {
			return nil, err
		}
		if f.most > 0 {
			found = found[:min(f.most, len(found))]
		}
		all = append(all, found...)
	}
	return all, nil
}

// readSources reads a taxonomy, which is a .json file, or JSON lines.
func readSources(path string, lang synth.Language) (all []questions.Source, err error) {
	if strings.EqualFold(filepath.Ext(path), ".json") {
		file, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		if all, err = questions.ReadTaxonomy(file, lang); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		return all, nil
	}
	for s, err := range questions.FileSources(path, lang) {
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

func (a *app) askQuestions(ctx context.Context, sources []questions.Source, f *questionsFlags, c *certifier) (err error) {
	s := &synthesis{app: a, out: f.out, parallel: f.parallel, retry: f.retry}
	if err := s.open(); err != nil {
		return err
	}
	defer func() { err = s.end(err) }()
	meter := llm.NewMeter(f.prices)
	model, err := f.chat(a, s.store, meter)
	if err != nil {
		return err
	}
	author, err := questions.New(model, c.runtime(astra.RuntimeKind(f.runtime)), s.verdictOf(c), &f.opts)
	if err != nil {
		return err
	}
	s.settings = map[string]any{"model": a.config.Model, "runtime": f.runtime, "language": f.language, "seed": f.opts.Seed}
	id, err := synth.RunID(questionsVersion, author.Settings(), a.config.Model, sources)
	if err != nil {
		return err
	}
	s.begin(id)
	if err := s.keepArenas(ctx, author.Write(ctx, s.run, each(sources))); err != nil {
		return err
	}
	s.usage = usage(f.prices, author.Spent())
	return s.finish(questionsVersion, id)
}

func each(sources []questions.Source) iter.Seq2[questions.Source, error] {
	return func(yield func(questions.Source, error) bool) {
		for _, s := range sources {
			if !yield(s, nil) {
				return
			}
		}
	}
}

// keepArenas writes what an author yields, each with its certificate.
func (s *synthesis) keepArenas(ctx context.Context, arenas iter.Seq2[questions.Arena, error]) error {
	for w, err := range arenas {
		if err != nil {
			return err
		}
		arena, err := w.Bundle.Load()
		if err != nil {
			return err
		}
		kept, err := s.store.Note(ctx, certificateNote(arena.Digest))
		if err != nil {
			return err
		}
		cert, err := astra.ReadCertificate(kept)
		if err != nil {
			return err
		}
		digest, err := s.keep(arena.Name, append(slices.Clone(w.Bundle.Files()), astra.File{Path: astra.CertificateFile, Data: kept}))
		if err != nil {
			return err
		}
		s.made = append(s.made, synth.ReportArena{Name: arena.Name, Digest: string(digest), Tasks: len(arena.Tasks), Tools: len(arena.Tools), Mutation: cert.Mutation.Score()})
		for i := range w.Drafts {
			if err := s.count(&w.Drafts[i].Instance, w.Drafts[i].Instance.Tools()); err != nil {
				return err
			}
		}
	}
	return nil
}

// certificateNote is where a run's memory has the certificate of an arena.
func certificateNote(d astra.Digest) string { return "synth/certificate/" + string(d) }

// runtime is the sandbox's runtime of a kind.
func (c *certifier) runtime(kind astra.RuntimeKind) gateway.Runtime {
	for _, rt := range c.runtimes {
		if rt.Kind() == kind {
			return rt
		}
	}
	return nil
}

// verdictOf is a questions.Certifier that remembers the certificates of what passes.
func (s *synthesis) verdictOf(c *certifier) questions.Certifier {
	return func(ctx context.Context, b *astra.Bundle) (bool, []string, error) {
		a, err := b.Load()
		if err != nil {
			return false, []string{"load: " + err.Error()}, nil
		}
		cert, err := c.certificate(ctx, a, nil)
		if err != nil {
			return false, nil, err
		}
		if cert.Passed {
			return true, nil, s.store.PutNote(ctx, certificateNote(a.Digest), cert.JSON())
		}
		found := reasons(cert)
		var why []string
		for _, task := range slices.Sorted(maps.Keys(found)) {
			why = append(why, found[task])
		}
		return false, why, nil
	}
}
