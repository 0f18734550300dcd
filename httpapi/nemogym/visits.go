package nemogym

import (
	"container/list"
	"context"
	"slices"
	"sync"
)

// maxVisits bounds the sessions of which a process knows what was delivered; the one that was
// used least recently is forgotten first, and is then as after a restart.
const maxVisits = 1 << 16

// visits are what this process knows of sessions.
type visits struct {
	mu    sync.Mutex
	byID  map[string]*list.Element // of order
	order *list.List               // of *visit, used last first
}

func newVisits() *visits { return &visits{byID: map[string]*list.Element{}, order: list.New()} }

// of is the visit of a session.
func (v *visits) of(id string) *visit {
	v.mu.Lock()
	defer v.mu.Unlock()
	if e, known := v.byID[id]; known {
		v.order.MoveToFront(e)
		return e.Value.(*visit)
	}
	if v.order.Len() == maxVisits {
		delete(v.byID, v.order.Remove(v.order.Back()).(*visit).id)
	}
	n := &visit{id: id}
	v.byID[id] = v.order.PushFront(n)
	return n
}

// over drops the answers that are kept for repeats: the session's episode is over.
func (v *visits) over(id string) {
	v.mu.Lock()
	e, known := v.byID[id]
	v.mu.Unlock()
	if known {
		e.Value.(*visit).settle()
	}
}

// A visit is what this process knows of a session: which calls were answered and whether the
// answer was taken. NeMo Gym's client sends a request again, without a key, whenever its
// connection broke. Such a repeat is told from a model's second call by delivery: it is one
// only if the client of an equal call went away before it had the answer.
type visit struct {
	id string
	mu sync.Mutex
	// began says that the session was seeded in this process, or that its log was looked at.
	began   bool
	over    bool    // closed
	settled bool    // its episode is over
	flying  []*call // being made, or being answered
	owed    []*call // made, and nobody took the answer
	round           // of the Gymnasium flavour
}

// A call is a tool call on its way.
type call struct {
	tool, args string
	client     context.Context // of who asked last
	asking     int             // requests that wait for the answer
	done       chan struct{}   // closed when the answer is there
	answer     answer
	taken      bool
}

// An answer is what a model is to read, and how HTTP says it.
type answer struct {
	status int
	kind   string // of content
	text   string
}

func (v *visit) begin() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.began = true
}

func (v *visit) close() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.over, v.flying, v.owed = true, nil, nil
}

func (v *visit) settle() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.settled, v.owed = true, nil
}

func (v *visit) closed() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.over
}

func (v *visit) isNew() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return !v.began
}

// remember notes the last call of a log that this process did not write: nobody knows whether
// its answer was taken. nil: there is none.
func (v *visit) remember(c *call) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.began && c != nil {
		v.owed = append(v.owed, c)
	}
	v.began = true
}

// enter is the call that a request is for; first, if it is to be made. A call that is made
// while no other is shows that the harness has gone on: what is owed of before is not a
// repeat's any more. Beside others it shows nothing: they may have been sent together.
func (v *visit) enter(client context.Context, tool, args string) (c *call, first bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	same := func(c *call) bool { return c.tool == tool && c.args == args }
	if i := slices.IndexFunc(v.owed, same); i >= 0 {
		c = v.owed[i]
		v.owed = slices.Delete(v.owed, i, i+1)
		v.flying = append(v.flying, c)
	} else if i := slices.IndexFunc(v.flying, func(c *call) bool { return same(c) && c.client.Err() != nil && !c.taken }); i >= 0 {
		c = v.flying[i]
	} else {
		c, first = &call{tool: tool, args: args, done: make(chan struct{})}, true
		if len(v.flying) == 0 {
			v.owed = nil
		}
		v.flying = append(v.flying, c)
	}
	c.client = client
	c.asking++
	return c, first
}

// maxOwed bounds the answers of a session that wait to be taken: each may have 256 KiB, and
// harnesses make few calls at once.
const maxOwed = 8

// leave ends a request for a call.
func (v *visit) leave(c *call, taken bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	c.asking--
	c.taken = c.taken || taken
	if c.asking > 0 {
		return
	}
	v.flying = slices.DeleteFunc(v.flying, func(o *call) bool { return o == c })
	if !c.taken && !v.over && !v.settled && len(v.owed) < maxOwed {
		v.owed = append(v.owed, c)
	}
}
