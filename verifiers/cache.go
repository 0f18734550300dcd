package verifiers

import (
	"container/list"
	"sync"
)

// maxCached is how many verifiers are kept ready. A short one takes
// 6 KiB and 0.2 ms to make; an arena of 100,000 tasks may have several for each.
const maxCached = 2048

// A cache keeps verifiers ready to run, the latest used ones. What a verifier means
// depends on its text and scope alone, so tasks and arenas share equal ones.
type cache struct {
	env environments

	mu    sync.Mutex
	ready map[cacheKey]*list.Element // of *cached
	order *list.List                 // latest used first
}

type cacheKey struct {
	source string
	scope  scope
}

type cached struct {
	key cacheKey
	x   *expression
}

func newCache(env environments) *cache {
	return &cache{env: env, ready: map[cacheKey]*list.Element{}, order: list.New()}
}

// get compiles outside the lock: two that ask at once both compile, and one result is kept.
func (c *cache) get(source string, s scope) (*expression, error) {
	key := cacheKey{source, s}
	if x := c.find(key); x != nil {
		return x, nil
	}
	checked, err := c.env.check(source, s)
	if err != nil {
		return nil, err
	}
	x, err := c.env.plan(checked)
	if err != nil {
		return nil, err
	}
	c.keep(key, x)
	return x, nil
}

func (c *cache) find(key cacheKey) *expression {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.ready[key]
	if e == nil {
		return nil
	}
	c.order.MoveToFront(e)
	return e.Value.(*cached).x
}

func (c *cache) keep(key cacheKey, x *expression) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ready[key] != nil {
		return
	}
	c.ready[key] = c.order.PushFront(&cached{key, x})
	if c.order.Len() > maxCached {
		oldest := c.order.Remove(c.order.Back()).(*cached)
		delete(c.ready, oldest.key)
	}
}
