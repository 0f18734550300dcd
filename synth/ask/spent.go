package ask

import (
	"context"
	"iter"
	"slices"
	"sync"

	"github.com/astra-arenas/astra/llm"
	"github.com/astra-arenas/astra/synth"
)

// Spent is what the model was asked for one item, or for a stage. It is kept with the
// item's result, so that a run that broke off tells the same sums as one that did not.
type Spent struct {
	Stage   string    `json:"stage,omitempty"`
	Calls   int       `json:"calls"`
	Repairs int       `json:"repairs,omitempty"` // replies that had to be sent back
	Usage   llm.Usage `json:"usage"`
}

// Add makes s the sum of both.
func (s *Spent) Add(o Spent) {
	s.Calls += o.Calls
	s.Repairs += o.Repairs
	s.Usage.Add(o.Usage)
}

// A Tally sums what stages spent. The zero value has counted nothing; it is safe for
// concurrent use.
type Tally struct {
	mu     sync.Mutex
	stages []Spent // in the order of their making
}

// Add counts what an item of a stage took.
func (t *Tally) Add(stage string, s Spent) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range t.stages {
		if t.stages[i].Stage == stage {
			t.stages[i].Add(s)
			return
		}
	}
	s.Stage = stage
	t.stages = append(t.stages, s)
}

// Stages are what each that asked anything has spent so far, rejected items included, and
// including what earlier processes of the run did.
func (t *Tally) Stages() []Spent {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(t.stages), func(s Spent) bool { return s.Calls == 0 })
}

// A Spender is a value that knows what it took.
type Spender interface{ Cost() Spent }

// Stage is a stage of a run whose items come from another, and which yields what passed. An
// error of either ends it. What it returns is ranged over once.
func Stage[In any, Out Spender](ctx context.Context, run *synth.Run, t *Tally, name string, items iter.Seq2[In, error], key func(In) string, do func(context.Context, In) (synth.Result[Out], error)) iter.Seq2[Out, error] {
	t.Add(name, Spent{})
	var trouble error // of the items; read after the stage has seen their end
	keyed := func(yield func(synth.Keyed[In]) bool) {
		for item, err := range items {
			if trouble = err; err != nil || !yield(synth.Keyed[In]{Key: key(item), Item: item}) {
				return
			}
		}
	}
	results := synth.Stage(ctx, run, name, keyed, do) // now, so that stages are told in the order of their making
	return func(yield func(Out, error) bool) {
		var none Out
		for r, err := range results {
			if err != nil {
				yield(none, err)
				return
			}
			t.Add(name, r.Value.Cost())
			if r.Verdict == synth.Pass && !yield(r.Value, nil) {
				return
			}
		}
		if trouble != nil {
			yield(none, trouble)
		}
	}
}
