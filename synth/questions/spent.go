package questions

import (
	"sync"

	"github.com/astra-arenas/astra/llm"
)

// Spent is what the model was asked for one item, or for a stage. It is kept with the
// item's result, so that a run that broke off tells the same sums as one that did not.
type Spent struct {
	Stage   string    `json:"stage,omitempty"`
	Calls   int       `json:"calls"`
	Repairs int       `json:"repairs,omitempty"` // replies that had to be sent back
	Usage   llm.Usage `json:"usage"`
}

func (s *Spent) add(o Spent) {
	s.Calls += o.Calls
	s.Repairs += o.Repairs
	s.Usage.Add(o.Usage)
}

// A tally sums what stages spent.
type tally struct {
	mu     sync.Mutex
	stages []Spent // in the order in which they first spent
}

func (t *tally) add(stage string, s Spent) {
	if s.Calls == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range t.stages {
		if t.stages[i].Stage == stage {
			t.stages[i].add(s)
			return
		}
	}
	s.Stage = stage
	t.stages = append(t.stages, s)
}

// Spent is what each stage has spent so far, rejected items included, and including what
// earlier processes of the run did.
func (a *Author) Spent() []Spent {
	a.tally.mu.Lock()
	defer a.tally.mu.Unlock()
	return append([]Spent(nil), a.tally.stages...)
}
