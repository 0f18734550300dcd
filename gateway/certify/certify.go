// Package certify finds out what an arena does: whether it can be solved, is deterministic,
// gives no answer away, and is hard to cheat.
//
// Every check plays rehearsals, so what it sees is what an agent would: it knows neither
// sandbox nor judge nor store. What a check tries is drawn from the arena alone: its gold
// calls, the values that they take and return, its schemas and answers. No clock, no
// random seed and no other arena has a part in it, so equal arenas get equal certificates.
//
// The checks stand in table.go, each with what it asks; each has a file that says how. A
// check finds, counts, or does not know: what could not be checked is counted as unknown
// and never passes.
package certify

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
)

// Version names the checks. It changes whenever an arena might get another certificate.
const Version = "astra-certify-1"

// Options adjusts what is asked of an arena. A zero field, or a nil *Options, means the
// default. All but Progress are written into the certificate.
type Options struct {
	RandomPlays int                 // of each task by a random agent; default 20
	RandomMean  float64             // reward that they may have on average, task by task; default 0.2
	RandomMost  float64             // reward that one of them may have; default 0.7
	Fuzzed      int                 // argument objects a tool; default 100
	Progress    func(done, all int) // may be called by several goroutines at once
}

func (o *Options) withDefaults() Options {
	var c Options
	if o != nil {
		c = *o
	}
	if c.RandomPlays <= 0 {
		c.RandomPlays = 20
	}
	if c.RandomMean <= 0 {
		c.RandomMean = 0.2
	}
	if c.RandomMost <= 0 {
		c.RandomMost = 0.7
	}
	if c.Fuzzed <= 0 {
		c.Fuzzed = 100
	}
	if c.Progress == nil {
		c.Progress = func(int, int) {}
	}
	return c
}

// Limits are the options as certificates have them: certificates can be compared only
// where these are the same.
func (o *Options) Limits() []astra.Figure {
	c := o.withDefaults()
	return []astra.Figure{{Name: "random_plays", Value: float64(c.RandomPlays)}, {Name: "random_mean", Value: c.RandomMean},
		{Name: "random_most", Value: c.RandomMost}, {Name: "fuzzed", Value: float64(c.Fuzzed)}}
}

// Arena runs every check on a served arena. That an arena does not pass is no error. An
// arena whose runtime is not pure is astra.ErrUnsupported: almost every call that a check
// makes is one that no cassette knows.
func Arena(ctx context.Context, gw *gateway.Gateway, ref string, opts *Options) (*astra.Certificate, error) {
	a, err := gw.Arena(ref)
	if err != nil {
		return nil, err
	}
	rt, err := gw.RuntimeOf(ref)
	if err != nil {
		return nil, err
	}
	if !rt.Pure {
		return nil, fmt.Errorf("%w: the tools of arena %s are %s, and only what runs here (javascript, python, wasm) can be certified: the checks make calls that nobody has recorded", astra.ErrUnsupported, a.Name, rt.Kind)
	}
	in := newInspection(gw, a, opts.withDefaults())
	if err := in.run(ctx); err != nil {
		return nil, err
	}
	return in.certificate(rt, opts.Limits()), nil
}

// An inspection is one arena being certified. What is below opts is fixed before any check runs.
type inspection struct {
	gw    *gateway.Gateway
	arena *astra.Arena
	opts  Options

	tools     map[string]*toolFacts
	documents []document
	trials    []*trial // by task
	pool      *pool
	book      *book

	tallies [][]tally // by check, then by task or tool
}

func newInspection(gw *gateway.Gateway, a *astra.Arena, opts Options) *inspection {
	in := &inspection{gw: gw, arena: a, opts: opts, book: newBook(a), tools: map[string]*toolFacts{}, tallies: make([][]tally, len(checks))}
	for i := range a.Tools {
		in.tools[a.Tools[i].Name] = factsOf(&a.Tools[i])
		in.documents = append(in.documents, documentsOf(&a.Tools[i])...)
	}
	for i := range a.Tasks {
		in.trials = append(in.trials, newTrial(in, &a.Tasks[i]))
	}
	return in
}

// run plays all gold first: what one task's calls take and return is what others are tried with.
func (in *inspection) run(ctx context.Context) error {
	jobs := in.jobs()
	all := len(in.trials) + len(jobs)
	var done atomic.Int64
	err := parallel(ctx, len(in.trials), func(ctx context.Context, i int) error {
		defer func() { in.opts.Progress(int(done.Add(1)), all) }()
		return in.trials[i].prepare(ctx)
	})
	if err != nil {
		return err
	}
	in.pool = newPool(in.trials)
	return parallel(ctx, len(jobs), func(ctx context.Context, i int) error {
		defer func() { in.opts.Progress(int(done.Add(1)), all) }()
		return jobs[i](ctx)
	})
}

// jobs are what may run side by side: one for each task and each tool, with all its checks.
func (in *inspection) jobs() []func(context.Context) error {
	for c := range checks {
		n := len(in.trials)
		if checks[c].tool != nil {
			n = len(in.arena.Tools)
		}
		in.tallies[c] = make([]tally, n)
	}
	var jobs []func(context.Context) error
	for i := range in.trials {
		jobs = append(jobs, func(ctx context.Context) error { return in.checkTask(ctx, i) })
	}
	for i := range in.arena.Tools {
		jobs = append(jobs, func(ctx context.Context) error { return in.checkTool(ctx, i) })
	}
	return jobs
}

func (in *inspection) checkTask(ctx context.Context, i int) error {
	for c := range checks {
		if checks[c].task == nil {
			continue
		}
		out := &in.tallies[c][i]
		if err := checks[c].task(ctx, in.trials[i], out); err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			out.unknown++
			out.find(in.trials[i].finding("cannot be checked: %s", gateway.Causes(err)))
		}
	}
	return nil
}

func (in *inspection) checkTool(ctx context.Context, i int) error {
	for c := range checks {
		if checks[c].tool == nil {
			continue
		}
		out := &in.tallies[c][i]
		if err := checks[c].tool(ctx, in, &in.arena.Tools[i], out); err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			out.unknown++
			out.find(astra.Finding{Tool: in.arena.Tools[i].Name, Text: "cannot be checked: " + gateway.Causes(err)})
		}
	}
	return nil
}

// parallel calls f for each of n numbers, as many at a time as there are processors.
func parallel(ctx context.Context, n int, f func(context.Context, int) error) error {
	g, each := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i := range n {
		if each.Err() != nil {
			break
		}
		g.Go(func() error { return f(each, i) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return context.Cause(ctx)
}

func (in *inspection) certificate(rt gateway.RuntimeInfo, limits []astra.Figure) *astra.Certificate {
	c := &astra.Certificate{Schema: astra.CertificateSchema, Arena: in.arena.Name, Digest: in.arena.Digest,
		Runtime: rt.Kind, RuntimeDigest: rt.Digest, Certifier: Version, Limits: limits, Passed: true, Tasks: len(in.trials)}
	for i := range checks {
		var sum tally
		for j := range in.tallies[i] {
			sum.join(&in.tallies[i][j])
		}
		k := checks[i].outcome(&sum)
		c.Passed = c.Passed && k.Passed
		c.Mutation.Made += sum.mutation.Made
		c.Mutation.Refused += sum.mutation.Refused
		c.Checks = append(c.Checks, k)
	}
	return c
}
