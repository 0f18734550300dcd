package synth

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"iter"
	"runtime"
	"sync"
)

// A Verdict is pass, fail or unknown. Unknown is what could not be judged: it goes no
// further, like a fail, and is counted for itself.
type Verdict string

// The verdicts; there is no fourth.
const (
	Pass    Verdict = "pass"
	Fail    Verdict = "fail"
	Unknown Verdict = "unknown"
)

// A Result is what a stage made of one item. Reason is short and the same for the same
// kind of rejection: reports count by it; Detail is for people.
type Result[T any] struct {
	Verdict Verdict `json:"verdict"`
	Reason  string  `json:"reason,omitempty"`
	Detail  string  `json:"detail,omitempty"`
	Value   T       `json:"value"`
}

// Passed is a result that goes on.
func Passed[T any](v T) Result[T] { return Result[T]{Verdict: Pass, Value: v} }

// Rejected is a result that goes no further, for a reason that reports count by.
func Rejected[T any](reason, format string, args ...any) Result[T] {
	return Result[T]{Verdict: Fail, Reason: reason, Detail: fmt.Sprintf(format, args...)}
}

// A Ledger keeps the results of runs. It is safe for concurrent use.
type Ledger interface {
	// Note returns what is kept under a key, nil if nothing is.
	Note(ctx context.Context, key string) ([]byte, error)
	// PutNote keeps a value, which survives kill -9 when it returns.
	PutNote(ctx context.Context, key string, value []byte) error
}

// RunOptions adjusts a Run. A zero field, or a nil *RunOptions, means the default.
type RunOptions struct {
	Parallel int                         // items of a stage at a time; default GOMAXPROCS
	Retry    bool                        // work again on items whose kept result is unknown
	Progress func(stage string, y Yield) // after each item; may be called from any goroutine, one at a time
}

// A Run is one synthesis: stages over items, with a memory. Equal runs (RunID) share it.
type Run struct {
	id     string
	ledger Ledger
	opts   RunOptions

	mu     sync.Mutex
	yields []Yield // in the order in which stages were first made
}

// A Yield counts what a stage made of its items.
type Yield struct {
	Stage    string            `json:"stage"`
	Items    int               `json:"items"`
	Passed   int               `json:"passed"`
	Failed   int               `json:"failed"`
	Unknown  int               `json:"unknown"`
	Resumed  int               `json:"-"`                  // had been done by an earlier process; no part of a report
	Rejected map[string]int    `json:"rejected,omitempty"` // by reason, failed and unknown
	Examples map[string]string `json:"examples,omitempty"` // the first detail of each reason
}

// RunID names a run by all that decides its results: an author with its version, settings,
// and the digests of its input. Settings that decide nothing, such as how many items are
// worked on at a time, have no place in it.
func RunID(parts ...any) (string, error) {
	b, err := json.Marshal(parts)
	if err != nil {
		return "", fmt.Errorf("run id: %w", err)
	}
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:16]), nil
}

// NewRun returns a run that keeps its results in a ledger.
func NewRun(id string, ledger Ledger, opts *RunOptions) *Run {
	r := &Run{id: id, ledger: ledger}
	if opts != nil {
		r.opts = *opts
	}
	if r.opts.Parallel <= 0 {
		r.opts.Parallel = runtime.GOMAXPROCS(0)
	}
	return r
}

// ID is what the run was made with.
func (r *Run) ID() string { return r.id }

// Again is the same run with counts of its own: for looking a second time at what its
// stages have made. What is unknown stays so, or the second look would be at something else.
func (r *Run) Again() *Run {
	again := &Run{id: r.id, ledger: r.ledger, opts: r.opts}
	again.opts.Progress, again.opts.Retry = nil, false
	return again
}

// Yields returns what each stage has made so far, in the order in which the stages were made.
func (r *Run) Yields() []Yield {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Yield(nil), r.yields...)
}

// A Keyed is an item of a stage with its name, which is unique in the stage and the same
// in every process.
type Keyed[T any] struct {
	Key  string
	Item T
}

// Stage works on items, several at a time, and yields their results in the items' order;
// only some are held at once. A result is kept before it is yielded, and one that was
// kept by an earlier process is not worked on again. An error of do is trouble, not a
// verdict: it ends the stage, is yielded last, and nothing is kept of its item. A stage may
// be entered several times, with other keys.
func Stage[In, Out any](ctx context.Context, r *Run, name string, items iter.Seq[Keyed[In]], do func(context.Context, In) (Result[Out], error)) iter.Seq2[Result[Out], error] {
	r.enter(name) // now: stages that draw from each other are told in the order of their making
	return func(yield func(Result[Out], error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		var working sync.WaitGroup
		defer working.Wait()
		defer cancel()
		slots := make(chan struct{}, r.opts.Parallel)
		waiting := make(chan chan outcome[Out], 4*r.opts.Parallel) // in the items' order
		working.Go(func() {
			defer close(waiting)
			for it := range items {
				done := make(chan outcome[Out], 1)
				select {
				case waiting <- done:
				case <-ctx.Done():
					return
				}
				slots <- struct{}{}
				working.Go(func() {
					defer func() { <-slots }()
					done <- work(ctx, r, name, it, do)
				})
			}
		})
		for done := range waiting {
			o := <-done
			if o.err != nil {
				yield(o.result, fmt.Errorf("%s: %w", name, o.err))
				return
			}
			if r.count(name, o.result.Verdict, o.result.Reason, o.result.Detail, o.resumed); !yield(o.result, nil) {
				return
			}
		}
		if err := context.Cause(ctx); err != nil {
			var none Result[Out]
			yield(none, err)
		}
	}
}

type outcome[T any] struct {
	result  Result[T]
	resumed bool
	err     error
}

// work is one item: remembered, or done and kept.
func work[In, Out any](ctx context.Context, r *Run, stage string, it Keyed[In], do func(context.Context, In) (Result[Out], error)) (o outcome[Out]) {
	key := r.key(stage, it.Key)
	kept, err := r.ledger.Note(ctx, key)
	if err != nil {
		return outcome[Out]{err: err}
	}
	if kept != nil {
		o.err = json.Unmarshal(kept, &o.result)
		if o.err != nil || o.result.Verdict != Unknown || !r.opts.Retry {
			o.resumed = true
			return o
		}
		o.result = Result[Out]{}
	}
	made, err := do(ctx, it.Item)
	if err != nil {
		return outcome[Out]{err: err}
	}
	b, err := JSON(made)
	if err != nil {
		return outcome[Out]{err: fmt.Errorf("item %s: %w", it.Key, err)}
	}
	if err := r.ledger.PutNote(ctx, key, b); err != nil {
		return outcome[Out]{err: err}
	}
	// Read back, so that it is the same value for this process and for the next.
	o.err = json.Unmarshal(b, &o.result)
	return o
}

// key is where a result is kept. Keys of items may be anything: they are hashed.
func (r *Run) key(stage, item string) string {
	h := sha256.Sum256([]byte(item))
	return "synth/" + r.id + "/" + stage + "/" + hex.EncodeToString(h[:16])
}

func (r *Run) enter(stage string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.yield(stage)
}

// yield finds a stage's counts, with the lock held.
func (r *Run) yield(stage string) *Yield {
	for i := range r.yields {
		if r.yields[i].Stage == stage {
			return &r.yields[i]
		}
	}
	r.yields = append(r.yields, Yield{Stage: stage, Rejected: map[string]int{}, Examples: map[string]string{}})
	return &r.yields[len(r.yields)-1]
}

func (r *Run) count(stage string, v Verdict, reason, detail string, resumed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	y := r.yield(stage)
	y.Items++
	switch v {
	case Pass:
		y.Passed++
	case Fail:
		y.Failed++
	default:
		y.Unknown++
	}
	if v != Pass {
		if y.Rejected[reason]++; y.Rejected[reason] == 1 {
			y.Examples[reason] = detail
		}
	}
	if resumed {
		y.Resumed++
	}
	if r.opts.Progress != nil {
		r.opts.Progress(stage, *y)
	}
}
