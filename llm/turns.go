package llm

import (
	"context"
	"sync"
)

// turns let one at a time ask the same.
type turns struct {
	mu     sync.Mutex
	asking map[string]chan struct{} // closed when the one who asks is done
}

func newTurns() *turns { return &turns{asking: map[string]chan struct{}{}} }

// take waits until nobody else asks for key; done lets the next one.
func (t *turns) take(ctx context.Context, key string) (done func(), err error) {
	for {
		t.mu.Lock()
		other := t.asking[key]
		if other == nil {
			mine := make(chan struct{})
			t.asking[key] = mine
			t.mu.Unlock()
			return func() { t.leave(key, mine) }, nil
		}
		t.mu.Unlock()
		select {
		case <-other:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

func (t *turns) leave(key string, mine chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	close(mine)
	delete(t.asking, key)
}
