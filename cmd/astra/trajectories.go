package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/llm"
	"github.com/astra-arenas/astra/mcp/upstream"
	"github.com/astra-arenas/astra/synth"
	"github.com/astra-arenas/astra/synth/rows"
	"github.com/astra-arenas/astra/synth/scores"
	"github.com/astra-arenas/astra/synth/servers"
	"github.com/astra-arenas/astra/synth/tasks"
	"github.com/astra-arenas/astra/synth/trajectories"
	"github.com/astra-arenas/astra/trainer/datasets"
)

// trajectoriesVersion names the trajectory author in reports.
const trajectoriesVersion = "trajectories-1"

// trajectoriesFlags are those of `astra synth trajectories`.
type trajectoriesFlags struct {
	modelFlags
	sources    toolSources
	tasks      tasks.Options
	play       trajectories.Options
	modes      []string
	kinds      []string
	personas   string
	system     string
	policy     string
	policyURL  string
	imported   []string // files of tasks
	minima     map[string]string
	until      string
	formats    []string // of datasets
	heldBack   float64
	out        string
	parallel   int
	maxTokens  int64
	agentHeat  float64
	percentile float64
}

// The stages that a synthesis of trajectories may stop after.
const (
	untilGraph  = "graph"
	untilChains = "chains"
	untilTasks  = "tasks"
	untilPlayed = "conversations"
)

func (a *app) synthTrajectoriesCommand() *cobra.Command {
	var f trajectoriesFlags
	cmd := &cobra.Command{Use: "trajectories [FILE|DIR…]", Short: "Have agents play tasks over documented tools, and keep what is worth learning from", Args: args(0, 1000, ""),
		Long: `Goes from tool documents to scored conversations: a model proposes chains of tools, walks over
their graph become tasks once they are verified, agents play the tasks as episodes, and seven
scores decide which conversations are kept.

Tools come from documents (a FILE, or a DIR that astra synth tools import wrote), from live MCP
servers (--mcp), OpenAPI documents (--openapi) and arenas (--arena). Tools of live servers are
called; those of documents alone are answered for by the model; an arena's run in the sandbox.

What is written to --out: servers.jsonl, graph.svg, chains.jsonl, tasks.jsonl, arenas/,
conversations.jsonl with all scores, trajectories.jsonl with what was accepted, and a report.
astra export sft makes datasets of it. --until stops after a stage; astra synth show shows what
there is, and the same command without --until goes on.

The model is any that speaks OpenAI's chat protocol, or Anthropic's with --api anthropic; the
agent's speaks OpenAI's, and is the same unless --policy names another. The key comes from
ASTRA_API_KEY or OPENAI_API_KEY. Nothing is asked twice: replies are kept.`,
		Example: `  astra synth trajectories --mcp "npx -y @modelcontextprotocol/server-everything" --model qwen3 --base-url http://localhost:8000/v1
  astra synth trajectories mcp_servers.jsonl --model qwen3 --base-url http://localhost:8000/v1 --until tasks
  astra synth trajectories --arena inventory --model gpt-5.2 --policy qwen3 --policy-url http://localhost:8000/v1
  astra synth trajectories tools --model qwen3 --base-url http://localhost:8000/v1 --datasets trl,openai --eval 0.1`}
	flags := cmd.Flags()
	flags.StringVarP(&f.out, "out", "o", "trajectories", "`DIR` that all is written to")
	flags.StringVar(&f.until, "until", "", "`STAGE` to stop after: graph, chains, tasks or conversations (default all)")
	flags.StringSliceVar(&f.formats, "datasets", nil, "`FORMATS` of datasets to make at the end, in DIR/datasets: "+formatNames()+" (default none; astra export sft makes them later)")
	flags.Float64Var(&f.heldBack, "eval", 0, "share of the datasets that is held back for evaluation, by server")
	f.sources.flags(flags)
	f.register(flags)
	flags.StringSliceVar(&f.imported, "tasks", nil, "`FILE` of tasks in the paper's form, with their servers: none are written then (repeatable)")
	flags.StringVar(&f.policy, "policy", "", "`MODEL` that plays (default the model)")
	flags.StringVar(&f.policyURL, "policy-url", "", "`URL` of the server that it is at (default the model's)")
	flags.StringVar(&f.system, "system", "", "`FILE` with the agent's system message (default one in the task's language)")
	flags.Int64Var(&f.play.Seed, "seed", 0, "`SEED` of all that is drawn")

	flags.IntVar(&f.tasks.Proposals, "proposals", 2, "lists of chains that the model proposes for a server")
	flags.IntVar(&f.tasks.Chains, "chains", 8, "walks that are kept of a server's graph")
	flags.IntVar(&f.tasks.MinTools, "min-chain", 2, "tools of a chain at least")
	flags.IntVar(&f.tasks.MaxTools, "max-chain", 5, "tools of a chain at most")
	flags.BoolVar(&f.tasks.Acyclic, "acyclic", false, "no tool comes twice in a chain")
	flags.BoolVar(&f.tasks.Across, "across", false, "chains may go from one server to another")
	flags.IntVar(&f.tasks.Votes, "votes", 3, "judges of whether a chain makes sense")
	flags.IntVar(&f.tasks.Backs, "back-translations", 1, "plans made of a chain's request, to be the chain again (0: none)")
	flags.IntVar(&f.tasks.PerChain, "per-chain", 1, "requests written for a chain")
	flags.IntVar(&f.tasks.PerServer, "per-server", 2, "requests written for a server without a chain (0: none)")
	flags.IntVar(&f.tasks.Variants, "variants", 1, "versions of a request by each mode of augmentation (0: none)")
	flags.StringSliceVar(&f.modes, "modes", []string{"diversity", "complexity", "persona"}, "`MODES` of augmentation")
	flags.Float64Var(&f.tasks.Dialogues, "dialogues", 0.5, "share of requests of which a dialogue is made as well (0: none)")
	flags.StringSliceVar(&f.kinds, "kinds", []string{"follow-up", "clarify", "change", "decline"}, "`KINDS` of dialogue")
	flags.StringVar(&f.personas, "personas", "", "`FILE` of personas, JSON lines or text (default a few of our own)")
	flags.Float64Var(&f.tasks.Similarity, "similarity", 0.8, "above which a request is too much like another")
	flags.Float64Var(&f.tasks.Thresholds.Question, "question-quality", 0.5, "least question quality of a task, 0 to 1")
	flags.Float64Var(&f.tasks.Thresholds.Realism, "scenario-realism", 0.5, "least scenario realism of a task, 0 to 1")
	flags.Float64Var(&f.tasks.Thresholds.Necessity, "tool-necessity", 0.5, "least tool-use necessity of a task, 0 to 1")
	flags.Float64Var(&f.tasks.Percentile, "task-percentile", 0, "instead: take what this share of the tasks is not better than in each")

	flags.IntVar(&f.play.Samples, "samples", 1, "conversations of a task")
	flags.Float64Var(&f.play.Failures.Rate, "failures", 0.2, "share of calls that are planned to fail")
	flags.IntVar(&f.play.Rounds, "rounds", 20, "completions for one user message at most")
	flags.Int64Var(&f.play.Tokens, "agent-tokens", 0, "tokens of a conversation's agent at most (default unlimited)")
	flags.Int64Var(&f.play.MaxTokens, "agent-max-tokens", 0, "tokens of one completion of the agent (default the server's)")
	flags.Float64Var(&f.agentHeat, "agent-temperature", 0, "sampling temperature of the agent (default the server's)")
	flags.DurationVar(&f.play.Time, "time", 10*time.Minute, "`TIME` that a conversation may take")
	flags.Float64Var(&f.play.Thresholds.Mean, "min-score", 0.8, "least mean of the seven scores that is accepted")
	flags.StringToStringVar(&f.minima, "min", nil, "least of one score, such as `final_answer=0.5` (repeatable)")
	flags.Float64Var(&f.percentile, "percentile", 0, "instead of --min-score: accept what this share of the conversations is not better than")
	flags.StringVar(&f.play.License, "license", "", "`LICENSE` of the arenas that are written")
	flags.Int64Var(&f.maxTokens, "max-tokens", 0, "tokens of one reply at most, the agent's apart (default 8192)")
	flags.IntVar(&f.parallel, "parallel", 8, "items at a time")
	a.settings(cmd, "base_url", "model")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		f.tasks.Temperature = f.sampling(flags)
		if flags.Changed("agent-temperature") {
			f.play.Temperature = &f.agentHeat
		}
		return a.synthTrajectories(cmd.Context(), args, &f)
	}
	return a.wantsJSON(cmd)
}

func (f *trajectoriesFlags) check(a *app) error {
	if a.config.Model == "" {
		return failf("Name it with --model, ASTRA_MODEL, or model in astra.yaml.", "writing trajectories needs a model")
	}
	if f.api == "anthropic" && f.policyURL == "" {
		return failf("Name another with --policy and --policy-url.", "agents speak OpenAI's protocol, and this model does not")
	}
	if f.parallel < 1 {
		return &problem{err: errors.New("--parallel wants a number from 1"), code: 2}
	}
	for _, name := range f.formats {
		if !slices.Contains(datasets.Formats(), datasets.Format(name)) {
			return &problem{err: fmt.Errorf("--datasets %s: want some of %s", plain(name), formatNames()), code: 2}
		}
	}
	return errors.Join(f.modelFlags.check(), oneOf("until", f.until, untilGraph, untilChains, untilTasks, untilPlayed), f.ready())
}

// ready takes over what flags say in other words: a flag that is 0 asks for none, where an
// option that is 0 is the default.
func (f *trajectoriesFlags) ready() error {
	for _, n := range []*int{&f.tasks.Proposals, &f.tasks.Chains, &f.tasks.Votes, &f.tasks.Backs, &f.tasks.PerChain, &f.tasks.PerServer, &f.tasks.Variants} {
		*n = cmp.Or(*n, -1)
	}
	for _, share := range []*float64{&f.tasks.Dialogues, &f.tasks.Thresholds.Question, &f.tasks.Thresholds.Realism, &f.tasks.Thresholds.Necessity} {
		*share = cmp.Or(*share, -1)
	}
	f.tasks.Seed, f.tasks.MaxTokens = f.play.Seed, f.maxTokens
	f.play.Percentile = f.percentile
	f.tasks.Modes, f.tasks.Kinds = []tasks.Mode{}, []tasks.Kind{}
	for _, m := range f.modes {
		if err := oneOf("modes", m, string(tasks.Diversity), string(tasks.Complexity), string(tasks.InPersona)); err != nil {
			return err
		}
		f.tasks.Modes = append(f.tasks.Modes, tasks.Mode(m))
	}
	for _, k := range f.kinds {
		if err := oneOf("kinds", k, string(tasks.FollowUp), string(tasks.Clarify), string(tasks.Change), string(tasks.Decline)); err != nil {
			return err
		}
		f.tasks.Kinds = append(f.tasks.Kinds, tasks.Kind(k))
	}
	var err error
	if f.play.Thresholds.Min, err = scores.ReadMinima(f.minima); err != nil {
		return &problem{err: fmt.Errorf("--min: %w", err), code: 2}
	}
	return f.readFiles()
}

func (f *trajectoriesFlags) readFiles() error {
	if f.system != "" {
		b, err := os.ReadFile(f.system)
		if err != nil {
			return err
		}
		f.play.System = strings.TrimSpace(string(b))
	}
	if f.personas == "" {
		return nil
	}
	file, err := os.Open(f.personas)
	if err != nil {
		return err
	}
	defer file.Close()
	if f.tasks.Personas, err = tasks.ReadPersonas(file); err != nil {
		return fmt.Errorf("%s: %w", f.personas, err)
	}
	return nil
}

func (a *app) synthTrajectories(ctx context.Context, files []string, f *trajectoriesFlags) error {
	if err := f.check(a); err != nil {
		return err
	}
	f.sources.files = append(files, f.imported...)
	if f.sources.empty() {
		return &problem{err: errors.New("name a FILE or DIR with tool documents, or --mcp, --openapi or --arena; `astra synth trajectories --help` has examples"), code: 2}
	}
	kept, rejected, targets, err := f.sources.read(ctx, a)
	if err != nil {
		return err
	}
	if len(kept) == 0 {
		return nothingKept(rejected)
	}
	with := *a
	with.config.Upstreams = maps.Clone(a.config.Upstreams)
	for alias, t := range targets {
		if with.config.Upstreams == nil {
			with.config.Upstreams = targets
			break
		}
		with.config.Upstreams[alias] = t
	}
	with.unreached(kept, targets)
	return with.certifying(ctx, func(c *certifier) (err error) {
		w := &trajectoryWork{synthesis: synthesis{app: &with, out: f.out, parallel: f.parallel, retry: f.retry}, flags: f}
		if err := w.open(); err != nil {
			return err
		}
		defer func() { err = w.end(err) }()
		if err := w.begin(c, kept, rejected); err != nil {
			return err
		}
		return w.run(ctx)
	})
}

// nothingKept says what was wrong with the first servers that were left out.
func nothingKept(rejected []servers.Rejection) error {
	var why []string
	for _, r := range rejected[:min(len(rejected), 3)] {
		why = append(why, strings.TrimSpace(fmt.Sprintf("%s %s: %s", plain(r.Server), plain(r.Tool), plain(r.Reason))))
	}
	return failf("`astra synth tools import` tells all of it.", "no server is left: %s", strings.Join(why, "; "))
}

// unreached has the model answer for tools of servers that nobody said how to reach.
func (a *app) unreached(kept []servers.Server, targets map[string]upstream.Target) {
	for i := range kept {
		s := &kept[i]
		if _, ok := targets[s.Upstream]; s.Upstream != "" && !ok {
			a.note("astra: %s is not among the upstreams of astra.yaml: the model answers for its tools", s.Name)
			s.Upstream = ""
		}
	}
}

// trajectoryWork is one run from tool documents to trajectories.
type trajectoryWork struct {
	synthesis
	flags      *trajectoriesFlags
	collection trajectories.Collection
	rejected   []servers.Rejection
	given      []tasks.Row // instead of tasks to be written
	author     *tasks.Author
	player     *trajectories.Player
	counts     trajectories.Tally
	id         string
}

// begin makes author, player and judge, and takes up their run.
func (w *trajectoryWork) begin(c *certifier, kept []servers.Server, rejected []servers.Rejection) error {
	f := w.flags
	model, err := f.chat(w.app, w.store, llm.NewMeter(f.prices))
	if err != nil {
		return err
	}
	if w.author, err = tasks.New(model, &f.tasks); err != nil {
		return err
	}
	policy := trajectories.Policy{BaseURL: w.config.BaseURL, Model: w.config.Model, APIKey: w.apiKey(), Client: f.agents(w.store)}
	if f.policy != "" {
		policy.Model = f.policy
	}
	if f.policyURL != "" {
		policy.BaseURL = f.policyURL
	}
	judge := scores.New(model, &scores.Options{Seed: f.play.Seed, MaxTokens: f.maxTokens})
	if w.player, err = trajectories.New(policy, model, judge, c.converse, &f.play); err != nil {
		return err
	}
	w.collection = trajectories.Collection{Servers: kept, Arenas: map[astra.Digest]*astra.Arena{}}
	for _, arena := range f.sources.opened {
		w.collection.Arenas[arena.Digest] = arena
	}
	w.rejected = rejected
	if err := w.readTasks(); err != nil {
		return err
	}
	w.settings = map[string]any{"model": w.config.Model, "policy": policy.Model, "seed": f.play.Seed}
	if w.id, err = synth.RunID(trajectoriesVersion, w.author.Settings(), w.player.Settings(), kept, w.given); err != nil {
		return err
	}
	w.synthesis.begin(w.id)
	return w.mark()
}

// readTasks reads tasks that were written elsewhere. A row that is none is told of, and the
// others are taken.
func (w *trajectoryWork) readTasks() error {
	for _, path := range w.flags.imported {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		for row, err := range tasks.ReadPaper(path, f) {
			if bad, ok := errors.AsType[*rows.RowError](err); ok {
				w.note("astra: %v", bad)
				continue
			}
			if err != nil {
				return errors.Join(err, f.Close())
			}
			w.given = append(w.given, row)
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
	if len(w.flags.imported) > 0 && w.given == nil {
		return failf("", "there is no task in %s", strings.Join(w.flags.imported, ", "))
	}
	return nil
}

// run goes from stage to stage, and stops where it was told to.
func (w *trajectoryWork) run(ctx context.Context) error {
	all := w.collection.Servers
	if err := errors.Join(writeLines(w.path("servers.jsonl"), slices.Values(all)), writeLines(w.path("rejected.jsonl"), slices.Values(w.rejected))); err != nil {
		return err
	}
	if w.given != nil {
		return w.play(ctx, w.author.Import(ctx, w.synthesis.run, all, w.given))
	}
	g, err := w.author.Graph(ctx, w.synthesis.run, all)
	if err != nil {
		return err
	}
	if err := writeBytes(w.path("graph.svg"), g.SVG()); err != nil || w.flags.until == untilGraph {
		return errors.Join(err, w.report("graph.svg"))
	}
	chains, err := collect(w.author.Chains(ctx, w.synthesis.run, all, g))
	if err != nil {
		return err
	}
	if err := writeLines(w.path("chains.jsonl"), slices.Values(chains)); err != nil || w.flags.until == untilChains {
		return errors.Join(err, w.report("chains.jsonl"))
	}
	return w.play(ctx, w.author.Tasks(ctx, w.synthesis.run, all, chains))
}

// play makes arenas of tasks, and has them played.
func (w *trajectoryWork) play(ctx context.Context, written iter.Seq2[tasks.Task, error]) error {
	list, err := collect(w.player.Playable(ctx, w.synthesis.run, &w.collection, written))
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return w.nothing("no task was written")
	}
	bundles, err := w.arenas(list)
	if err != nil {
		return err
	}
	if err := writeLines(w.path("tasks.jsonl"), slices.Values(list)); err != nil || w.flags.until == untilTasks {
		return errors.Join(err, w.report("tasks.jsonl"))
	}
	return w.converse(ctx, bundles, list)
}

// arenas writes the arenas of tasks.
func (w *trajectoryWork) arenas(list []tasks.Task) (map[string]*astra.Bundle, error) {
	bundles, err := w.player.Bundles(&w.collection, list)
	if err != nil {
		return nil, err
	}
	dir := w.path("arenas")
	if err := os.RemoveAll(dir); err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(bundles)) {
		arena, err := bundles[name].Load()
		if err != nil {
			return nil, err
		}
		if err := writeFiles(filepath.Join(dir, name), bundles[name].Files()); err != nil {
			return nil, err
		}
		w.made = append(w.made, synth.ReportArena{Name: name, Digest: string(arena.Digest), Tasks: len(arena.Tasks), Tools: len(arena.Tools)})
	}
	return bundles, nil
}

// converse has the tasks played and judged. All conversations that came to an end and have
// scores are written, those that are accepted as trajectories, too.
func (w *trajectoryWork) converse(ctx context.Context, bundles map[string]*astra.Bundle, list []tasks.Task) error {
	played := func(p *trajectories.Player, run *synth.Run) iter.Seq2[trajectories.Conversation, error] {
		return p.Conversations(ctx, run, bundles, list)
	}
	if w.flags.until == untilPlayed {
		err := writeSeq(w.path("conversations.jsonl"), mapped(played(w.player, w.synthesis.run), w.counted))
		return errors.Join(err, w.report("conversations.jsonl"))
	}
	judged, err := newLines(w.path("conversations.jsonl"))
	if err != nil {
		return err
	}
	defer judged.abandon()
	accepted := w.player.Accepted(ctx, w.synthesis.run, func(p *trajectories.Player, run *synth.Run) iter.Seq2[trajectories.Conversation, error] {
		return tee(judged, p.Judged(ctx, run, played(p, run)))
	})
	err = writeSeq(w.path("trajectories.jsonl"), mapped(accepted, func(c trajectories.Conversation) *astra.Trajectory { return w.counted(c).Trajectory }))
	if err != nil {
		return err
	}
	if err := judged.finish(); err != nil {
		return err
	}
	if w.counts.Len() == 0 {
		return w.nothing("no conversation was accepted")
	}
	return errors.Join(w.datasets(ctx), w.report("trajectories.jsonl"))
}

// datasets makes those that were asked for of what was accepted.
func (w *trajectoryWork) datasets(ctx context.Context) error {
	for _, format := range w.flags.formats {
		d := datasetFlags{format: format, options: datasets.Options{Eval: w.flags.heldBack, Seed: w.flags.play.Seed, License: w.flags.play.License}}
		if err := d.fill(); err != nil {
			return err
		}
		paths, inputs, err := trajectoryFiles([]string{w.out})
		if err != nil {
			return err
		}
		if _, err := datasets.Write(filepath.Join(w.out, "datasets", format), readFiles(ctx, paths, datasets.Read), inputs, d.options); err != nil {
			return fmt.Errorf("dataset %s: %w", format, err)
		}
	}
	return nil
}

func formatNames() string {
	var names []string
	for _, f := range datasets.Formats() {
		names = append(names, string(f))
	}
	return strings.Join(names, ", ")
}

func (w *trajectoryWork) counted(c trajectories.Conversation) trajectories.Conversation {
	if c.Trajectory != nil { // an error has none
		w.counts.Add(&c)
	}
	return c
}

// nothing ends a run that came to nothing, with a report of why.
func (w *trajectoryWork) nothing(what string) error {
	if _, err := w.tell(); err != nil {
		return err
	}
	w.summary()
	return failf("The lines above say why; `astra synth show "+w.out+"` shows what there is.", "%s", what)
}

// report says what there is so far.
func (w *trajectoryWork) report(last string) error {
	r, err := w.tell()
	if err != nil {
		return err
	}
	if w.json {
		return w.printJSON(r)
	}
	w.summary()
	w.note("written to %s: %s, and what came before it; `astra synth show %s` shows it, report.html counts it", w.out, last, w.out)
	return nil
}

// tell writes the report.
func (w *trajectoryWork) tell() (*synth.Report, error) {
	r := &synth.Report{Author: trajectoriesVersion, Data: "SFT", Run: w.id, Settings: w.settings, Arenas: w.made, Yields: w.synthesis.run.Yields(),
		Usage: usage(w.flags.prices, append(w.author.Spent(), w.player.Spent()...))}
	for _, m := range w.made {
		r.Tasks += m.Tasks
	}
	w.counts.Fill(r)
	if err := w.writeReport(r); err != nil {
		return nil, err
	}
	if err := os.Remove(w.path(unfinished)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	return r, nil
}

func (w *trajectoryWork) path(name string) string { return filepath.Join(w.out, name) }

// mark makes the directory, says in it that it is ours, and takes away what a process that
// was killed had begun to write.
func (w *trajectoryWork) mark() error {
	if err := os.MkdirAll(w.out, 0o777); err != nil {
		return err
	}
	begun, err := filepath.Glob(w.path(".new-*"))
	if err != nil {
		return err
	}
	for _, path := range begun {
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	return os.WriteFile(w.path(unfinished), nil, 0o666)
}

func collect[T any](all iter.Seq2[T, error]) (list []T, err error) {
	for v, err := range all {
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, nil
}

func writeBytes(path string, b []byte) error {
	return writeWhole(path, func(w io.Writer) error { _, err := w.Write(b); return err })
}
