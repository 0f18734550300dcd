package verifiers

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/astra-arenas/astra"
)

// Version names the rules that judge: ours, and the CEL they stand on. A score made by
// other rules is not comparable byte for byte.
const Version = "astra-1 cel-go-0.31.0"

// A Judge turns episodes into scores. It implements the gateway's Judge, is safe for
// concurrent use, and gives equal scores for equal evidence.
type Judge struct {
	env   environments
	cache *cache
}

// New returns a judge.
func New() (*Judge, error) {
	env, err := newEnvironments()
	if err != nil {
		return nil, err
	}
	return &Judge{env: env, cache: newCache(env)}, nil
}

// An entry is one verifier of a task.
type entry struct {
	name   string // as errors call it
	source string
	scope  scope
	tool   string // of the sub-task, or ""
}

// entries lists a task's verifiers: those of sub-tasks in order, the answer's, then named ones by name.
func entries(t *astra.Task) []entry {
	var all []entry
	for i := range t.Subtasks {
		if s := &t.Subtasks[i]; s.Solved != "" {
			all = append(all, entry{"subtask " + s.ID + ": solved", s.Solved, inSubtask, s.Tool})
		}
	}
	if t.Answer != nil && t.Answer.Verify != "" {
		all = append(all, entry{"answer: verify", t.Answer.Verify, inTask, ""})
	}
	for _, name := range slices.Sorted(maps.Keys(t.Verify)) {
		all = append(all, entry{"verifier " + name, t.Verify[name], inTask, ""})
	}
	return all
}

// maxRefusals is how many errors of one arena are told; a mistake is often made in every task.
const maxRefusals = 10

// Check compiles and type-checks every verifier of an arena and bounds its cost.
// hasState says whether verifiers may read state. Errors name the file, the line, the
// task, the verifier and the column in it.
func (j *Judge) Check(a *astra.Arena, hasState bool) error {
	found := make([]error, len(a.Tasks))
	workers := runtime.GOMAXPROCS(0)
	var g errgroup.Group
	for w := range workers {
		g.Go(func() error {
			c := inspection{env: j.env, arena: a, hasState: hasState, seen: map[question]error{}}
			for i := w; i < len(a.Tasks); i += workers {
				found[i] = c.task(&a.Tasks[i])
			}
			return nil
		})
	}
	g.Wait()
	found = slices.DeleteFunc(found, func(err error) bool { return err == nil })
	if n := len(found); n > maxRefusals {
		found = append(found[:maxRefusals], fmt.Errorf("tasks.jsonl: and %d more tasks", n-maxRefusals))
	}
	return errors.Join(found...)
}

// An inspection checks tasks, each different verifier once.
type inspection struct {
	env      environments
	arena    *astra.Arena
	hasState bool
	seen     map[question]error
}

// A question is all that the answer of a check depends on.
type question struct {
	source string
	scope  scope
	tool   string
	sizes  sizes
}

// maxSeen bounds what an inspection remembers.
const maxSeen = 1 << 14

func (c *inspection) task(t *astra.Task) error {
	refuse := func(name string, err error) error {
		return fmt.Errorf("tasks.jsonl:%d: task %s: %s: %w", t.Line, t.ID, name, err)
	}
	var errs []error
	for i := range t.Subtasks {
		if s := &t.Subtasks[i]; s.Tool != "" && s.Solved == "" && s.Answer == nil {
			errs = append(errs, refuse("subtask "+s.ID, errors.New("has a tool but neither answer nor solved, so nothing says when it is solved; add one")))
		}
	}
	for _, name := range []string{"f1", "answer"} {
		if _, ok := t.Verify[name]; ok {
			errs = append(errs, refuse("verifier "+name, errors.New("has the name of a part that every score may have; rename it")))
		}
	}
	sizes := newSizes(c.arena, t)
	for _, e := range entries(t) {
		q := question{e.source, e.scope, e.tool, sizes}
		err, known := c.seen[q]
		if !known {
			err = c.verifier(q)
			if len(c.seen) == maxSeen {
				clear(c.seen)
			}
			c.seen[q] = err
		}
		if err != nil {
			errs = append(errs, refuse(e.name, err))
		}
	}
	return errors.Join(errs...)
}

func (c *inspection) verifier(q question) error {
	v, err := c.env.check(q.source, q.scope)
	if err != nil {
		return err
	}
	if (v.state || v.end) && !c.hasState {
		return refused("reads state, but the arena has no state(); export one, or judge by steps and answer")
	}
	if tool := c.arena.Tool(q.tool); tool != nil {
		if err := v.fits(tool); err != nil {
			return err
		}
	}
	if err := c.env.estimate(v, q.sizes); err != nil {
		return err
	}
	_, err = c.env.plan(v)
	return err
}

// Reads says what the verifiers of a task look at.
func (j *Judge) Reads(_ *astra.Arena, t *astra.Task) (astra.Reads, error) {
	var r astra.Reads
	if t == nil {
		return r, nil
	}
	for _, e := range entries(t) {
		x, err := j.cache.get(e.source, e.scope)
		if err != nil {
			return r, fmt.Errorf("task %s: %s: %w", t.ID, e.name, err)
		}
		r.State, r.Gold = r.State || x.state, r.Gold || x.gold
	}
	return r, nil
}

// Score judges an episode. An error is an *astra.ScoreError, or the context's.
func (j *Judge) Score(ctx context.Context, ev astra.Evidence) (*astra.Score, error) {
	if ev.Arena == nil || ev.Task == nil {
		return nil, &astra.ScoreError{Fault: astra.FaultGateway, Err: errors.New("an episode without a task has no score")}
	}
	b := &bench{hearing: newHearing(&ev), cache: j.cache, score: &astra.Score{Verifier: Version}}
	if err := b.judge(ctx); err != nil {
		return nil, err
	}
	return b.score, nil
}
