package tables

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/synth"
)

// Version names the author's rules: arenas of equal input and options are equal while it is.
const Version = "tables-1"

// What a zero Options means.
const (
	DefaultTasks    = 240
	DefaultPerArena = 48
	DefaultWrites   = 0.15
)

// Options adjusts an Author. A zero field, or a nil *Options, means the default.
type Options struct {
	Seed      int64
	Tasks     int              // to draw; default DefaultTasks
	PerArena  int              // tasks of one arena; default DefaultPerArena
	Writes    float64          // share of tasks that change something; default DefaultWrites, below 0 is none
	Languages []synth.Language // default English and Chinese
}

func (o *Options) withDefaults() Options {
	var c Options
	if o != nil {
		c = *o
	}
	if c.Tasks <= 0 {
		c.Tasks = DefaultTasks
	}
	if c.PerArena <= 0 {
		c.PerArena = DefaultPerArena
	}
	if c.Writes == 0 {
		c.Writes = DefaultWrites
	}
	if len(c.Languages) == 0 {
		c.Languages = []synth.Language{synth.English, synth.Chinese}
	}
	return c
}

// A Certifier says what is wrong with an arena. It is safe for concurrent use.
type Certifier interface {
	Certify(ctx context.Context, a *astra.Arena) (Examination, error)
}

// An Examination is what certification found of an arena.
type Examination struct {
	// Findings has, for each task that is at fault, the reason, and under "" what is wrong
	// with the arena as a whole. A reason is the name of the check, ": " and what it found.
	// None means that the arena passes.
	Findings    map[string]string `json:"findings,omitempty"`
	Certificate []byte            `json:"certificate,omitempty"` // of an arena that passes
	Mutation    float64           `json:"mutation,omitempty"`    // mutated answers that were refused, a share
}

// An Author writes arenas over tables.
type Author struct {
	opts   Options
	plans  []arenaPlan
	digest string
}

// An arenaPlan is what an arena is made from, when its turn comes: there may be thousands.
type arenaPlan struct {
	tables []*Table
	nth    int // over these tables, from 0
	tasks  int // to draw
}

func (au *Author) arena(p arenaPlan) *arena {
	return newArena(au.opts.Seed, p.tables, p.nth, au.opts.Writes > 0)
}

// NewAuthor plans arenas over profiled tables. Tables that refer to each other share one;
// there are as many as it takes to hold the tasks.
func NewAuthor(tables []*Table, opts *Options) (*Author, error) {
	au := &Author{opts: opts.withDefaults(), digest: digestOf(tables)}
	groups := components(tables)
	groups = slices.DeleteFunc(groups, func(g []*Table) bool { return !askable(g) })
	if len(groups) == 0 {
		return nil, errors.New("nothing can be asked about these tables: none has a column whose values are unique, with names or other columns beside it")
	}
	au.plan(groups)
	return au, nil
}

// askable reports whether some table of a group has a key and something beside it.
func askable(group []*Table) bool {
	return slices.ContainsFunc(group, func(t *Table) bool {
		return t.Key >= 0 && len(t.Columns) >= 2 && len(t.Rows) >= 8
	})
}

// plan deals the tasks out by how much can be asked: by the number of tools over a group's
// tables. A group whose share is more than one arena holds has several.
func (au *Author) plan(groups [][]*Table) {
	var weights []int
	total := 0
	for _, g := range groups {
		w := len(catalogue(g)) - len(arithmetic(g))
		weights, total = append(weights, w), total+w
	}
	left := au.opts.Tasks
	for i, g := range groups {
		share := left
		if i < len(groups)-1 {
			share = au.opts.Tasks * weights[i] / total
		}
		left -= share
		for n := 0; share > 0; n++ {
			au.plans = append(au.plans, arenaPlan{g, n, min(share, au.opts.PerArena)})
			share -= au.opts.PerArena
		}
	}
}

func digestOf(tables []*Table) string {
	h := sha256.New()
	for _, t := range tables {
		fmt.Fprintf(h, "%s %s %v %v %v\n", t.Name, synthDigest(t.json()), t.One, t.Many, t.Topic)
		for _, c := range t.Columns {
			fmt.Fprintf(h, "%s %v %s %v\n", c.Name, c.Label, c.Unit, c.Skip)
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

func synthDigest(b []byte) string {
	s := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(s[:])
}

// RunID names the run that these tables and options make.
func (au *Author) RunID() (string, error) { return synth.RunID(Version, au.digest, au.opts) }

// Tasks is how many tasks will be drawn, Arenas for how many arenas.
func (au *Author) Tasks() int { return au.opts.Tasks }

// Arenas is for how many arenas tasks will be drawn.
func (au *Author) Arenas() int { return len(au.plans) }

// A slot is one task to be drawn.
type slot struct {
	arena *arena
	index int
	wish  wish
}

// slots are the arena's tasks to be, each with dice of its own.
func (au *Author) slots(a *arena, tasks int) iter.Seq[synth.Keyed[slot]] {
	return func(yield func(synth.Keyed[slot]) bool) {
		m := mix{synth.Rand(au.opts.Seed, a.name, "mix"), au.opts.Languages, au.opts.Writes}
		if a.desk == nil {
			m.writes = 0
		}
		for n := range tasks {
			if !yield(synth.Keyed[slot]{Key: fmt.Sprintf("%s/%d", a.name, n), Item: slot{a, n, m.wish()}}) {
				return
			}
		}
	}
}

// A Written arena has passed certification.
type Written struct {
	Name      string
	Files     []astra.File
	Instances []*synth.Instance // by task, in order
	Tasks     []*astra.Task
	Tools     int
	Mutation  float64 // mutated answers that were refused, a share
}

// Write draws the tasks of every arena, throws away what is not certified, and yields the
// arenas in order. An arena of which nothing is left is not yielded.
func (au *Author) Write(ctx context.Context, run *synth.Run, certify Certifier) iter.Seq2[*Written, error] {
	return func(yield func(*Written, error) bool) {
		id, err := au.RunID()
		if err != nil {
			yield(nil, err)
			return
		}
		for _, p := range au.plans {
			a := au.arena(p)
			w, err := au.write(ctx, run, certify, id, a, p.tasks)
			if err != nil {
				yield(nil, fmt.Errorf("arena %s: %w", a.name, err))
				return
			}
			if w != nil && !yield(w, nil) {
				return
			}
		}
	}
}

func (au *Author) write(ctx context.Context, run *synth.Run, certify Certifier, id string, a *arena, tasks int) (*Written, error) {
	var all []drawn
	seen := map[string]bool{}
	for r, err := range synth.Stage(ctx, run, "draw", au.slots(a, tasks), func(_ context.Context, s slot) (synth.Result[drawn], error) {
		return s.arena.draw(synth.Rand(au.opts.Seed, s.arena.name, "task", s.index), s.wish), nil
	}) {
		if err != nil {
			return nil, err
		}
		if r.Verdict == synth.Pass && !seen[r.Value.Task.ID] {
			seen[r.Value.Task.ID] = true
			all = append(all, r.Value)
		}
	}
	if len(all) == 0 {
		return nil, nil
	}
	provenance := map[string]any{"author": Version, "run": id, "seed": au.opts.Seed, "tables": describe(a.tables)}
	found, err := au.examine(ctx, run, certify, a, all, provenance)
	if err != nil {
		return nil, err
	}
	w := &Written{Name: a.name, Tools: len(a.all()), Mutation: found.Mutation}
	for r, err := range synth.Stage(ctx, run, "certify", judged(a, all, found.Findings), func(_ context.Context, j verdict) (synth.Result[string], error) {
		if j.why != "" {
			return synth.Rejected[string](checkOf(j.why), "%s", j.why), nil
		}
		return synth.Passed(j.task), nil
	}) {
		if err != nil {
			return nil, err
		}
		if k := slices.IndexFunc(all, func(d drawn) bool { return d.Task.ID == r.Value }); r.Verdict == synth.Pass && k >= 0 {
			w.Tasks, w.Instances = append(w.Tasks, all[k].Task), append(w.Instances, all[k].Instance)
		}
	}
	if len(w.Tasks) == 0 {
		return nil, nil
	}
	if w.Files, err = a.files(w.Tasks, provenance); err == nil && found.Certificate != nil {
		w.Files = append(w.Files, astra.File{Path: "CERTIFICATE.json", Data: found.Certificate})
	}
	return w, err
}
