package gateway

import (
	"fmt"
	"math"
	"time"

	"github.com/astra-arenas/astra"
)

// A Memory tells what of its memory a process uses, and how much that may be, in bytes.
type Memory func() (used, most int64)

// A Capacity is what can be opened, and what decides it.
type Capacity struct {
	Free       int   `json:"free"` // episodes that would be opened now
	Open       int   `json:"open"`
	MaxOpen    int   `json:"max_open"`
	Live       int   `json:"live"` // worlds of idle episodes; those beyond MaxLive are put away, so they bound nothing
	MaxLive    int   `json:"max_live"`
	Memory     int64 `json:"memory"` // bytes in use; 0 where nobody looks
	MaxMemory  int64 `json:"max_memory"`
	RetryAfter int   `json:"retry_after"` // seconds to wait if there is none free; 0 if there is
}

// restSize is about what an open episode takes that is called now and then: its record and
// its world put away (DESIGN.md, budgets), and what Go's collector adds.
const restSize = 16 << 10

// Capacity tells how many more episodes can be open.
func (g *Gateway) Capacity() Capacity {
	live, _ := g.live.counts()
	c := Capacity{Open: g.open.len(), MaxOpen: g.opts.MaxOpen, Live: live, MaxLive: g.opts.MaxLive}
	c.Free = max(c.MaxOpen-c.Open, 0)
	if g.opts.Memory != nil {
		c.Memory, c.MaxMemory = g.opts.Memory()
		c.Free = min(c.Free, max(int((c.MaxMemory-c.Memory)/restSize), 0))
		if c.Open == 0 {
			c.Free = max(c.Free, 1)
		}
	}
	if c.Free == 0 {
		c.RetryAfter = g.retryAfter()
	}
	return c
}

// maxRetryAfter is how long whoever is refused waits at most: episodes end when agents are
// done, which is long before their time is up.
const maxRetryAfter = 15 * time.Second

// retryAfter is how long it is until the next episode ends by itself, from 1 to 15 seconds.
func (g *Gateway) retryAfter() int {
	wait := maxRetryAfter
	if next, ok := g.open.next(); ok {
		wait = min(wait, next.Sub(g.opts.Now()))
	}
	return max(1, int(math.Ceil(wait.Seconds())))
}

// haveRoom refuses an episode for which there is no memory. With none open, what is in use is
// not theirs, and no wait would help.
func (g *Gateway) haveRoom() error {
	if g.opts.Memory == nil || g.open.len() == 0 {
		return nil
	}
	if used, most := g.opts.Memory(); used >= most {
		return fmt.Errorf("%w: %d MiB of memory are in use, and episodes are opened below %d MiB; end some, or allow more memory", astra.ErrFull, used>>20, most>>20)
	}
	return nil
}
