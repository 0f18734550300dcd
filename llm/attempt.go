package llm

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// A caller makes a completion of attempts: it waits for its turn, tries again what may
// pass, asks for less where a server refuses, and gives up in the end.
type caller struct {
	opts Options
	less fallback
	once func(context.Context, Request) (Reply, error) // one attempt
}

var errPatience = errors.New("the model's server did not answer in the time that all attempts have together")

// Complete asks for the next message.
func (c *caller) Complete(ctx context.Context, r Request) (Reply, error) {
	c.opts.Meter.begin(r.Purpose)
	within, cancel := context.WithTimeoutCause(ctx, c.opts.Patience, errPatience)
	defer cancel()
	r.whole = !c.opts.Stream
	reply, err := c.less.complete(within, r, c.attempts)
	if err != nil {
		c.opts.Meter.failed(r.Purpose)
		return Reply{}, c.opts.trouble(within, err)
	}
	c.opts.Meter.answered(r.Purpose, reply.Usage)
	return reply, nil
}

// attempts asks until it is answered, or until asking again makes no sense.
func (c *caller) attempts(ctx context.Context, r Request) (Reply, error) {
	for attempt := 0; ; attempt++ {
		reply, err := c.attempt(ctx, r)
		if err == nil || attempt >= c.opts.Retries || !mayPass(ctx, err) {
			return reply, err
		}
		if pause(ctx, wait(attempt, err)) != nil {
			return Reply{}, err // says more than that time ran out
		}
		c.opts.Meter.retried(r.Purpose)
	}
}

func (c *caller) attempt(ctx context.Context, r Request) (Reply, error) {
	done, err := c.opts.Limiter.wait(ctx, r)
	if err != nil {
		return Reply{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.opts.Timeout)
	defer cancel()
	reply, err := c.once(ctx, r)
	done(reply.Usage)
	return reply, err
}

// maxRetryDelay is the longest that a server may have us wait before another attempt.
const maxRetryDelay = 30 * time.Second

// wait is how long to wait after an attempt: what the server asks for, else ever longer. The
// dice keep those who failed together from coming back together; they decide nothing else.
func wait(attempt int, err error) time.Duration {
	var s *statusError
	if errors.As(err, &s) && s.after >= 0 {
		return min(s.after, maxRetryDelay)
	}
	d := min(time.Second/2<<min(attempt, 6), maxRetryDelay)
	return d/2 + rand.N(d/2)
}

// pause ends early, with an error, if the context ends, or would before the pause does.
func pause(ctx context.Context, d time.Duration) error {
	if end, ok := ctx.Deadline(); ok && time.Until(end) <= d {
		return context.DeadlineExceeded
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// A statusError is an answer that is none: what HTTP says of it, and the server's words.
type statusError struct {
	status int
	said   string
	after  time.Duration // when to come again; negative if it does not say
}

func (e *statusError) Error() string {
	return fmt.Sprintf("%d %s: %s", e.status, http.StatusText(e.status), e.said)
}

// retryAfter is when a server wants to be asked again; negative if it does not say.
func retryAfter(r *http.Response) time.Duration {
	if r == nil {
		return -1
	}
	if ms, err := strconv.Atoi(r.Header.Get("Retry-After-Ms")); err == nil && ms >= 0 {
		return time.Duration(ms) * time.Millisecond
	}
	if s, err := strconv.Atoi(r.Header.Get("Retry-After")); err == nil && s >= 0 { // a date is rare, and read as none
		return time.Duration(min(s, 3600)) * time.Second
	}
	return -1
}

// An unreadable answer came whole and is none: another would hardly be better.
type unreadable struct{ err error }

func (e *unreadable) Error() string { return e.err.Error() }
func (e *unreadable) Unwrap() error { return e.err }

func garbled(format string, args ...any) error { return &unreadable{fmt.Errorf(format, args...)} }

var errNotJSON = garbled("the server sent something else where JSON was due: is the base URL right? Many end in /v1")

func isJSON(r *http.Response) bool {
	return strings.HasPrefix(r.Header.Get("Content-Type"), "application/json")
}

// mayPass reports whether a failure may be over by the next attempt: connections that break,
// attempts that take too long, servers in trouble.
func mayPass(ctx context.Context, err error) bool {
	var s *statusError
	var u *unreadable
	var large *http.MaxBytesError
	switch {
	case ctx.Err() != nil || errors.As(err, &u) || errors.As(err, &large):
		return false
	case errors.As(err, &s):
		return s.status == http.StatusRequestTimeout || s.status == http.StatusConflict || s.status == http.StatusTooManyRequests || s.status >= 500
	}
	return true
}

// A fallback asks for less where a server refuses what not every server, or not every
// model, can do: first for an answer that is not held to the schema, then for one without
// temperature and seed, then for one in a piece. What was refused for nothing else is not
// asked for again.
type fallback struct {
	schemas  sync.Map // refused ones, as text
	sampling atomic.Bool
	stream   atomic.Bool
}

func (f *fallback) complete(ctx context.Context, r Request, ask func(context.Context, Request) (Reply, error)) (Reply, error) {
	if _, refused := f.schemas.Load(string(r.Schema)); refused {
		r.Schema = nil
	}
	if f.sampling.Load() {
		r.Temperature, r.Seed = nil, nil
	}
	r.whole = r.whole || f.stream.Load()
	reply, err := ask(ctx, r)
	if schema := r.Schema; schema != nil && refused(err) {
		r.Schema = nil
		if reply, err = ask(ctx, r); err == nil {
			f.schemas.Store(string(schema), true)
		}
	}
	if (r.Temperature != nil || r.Seed != nil) && refused(err) {
		r.Temperature, r.Seed = nil, nil
		if reply, err = ask(ctx, r); err == nil {
			f.sampling.Store(true)
		}
	}
	if !r.whole && refused(err) {
		r.whole = true
		if reply, err = ask(ctx, r); err == nil {
			f.stream.Store(true)
		}
	}
	return reply, err
}

// refused reports whether a server found fault with the request itself.
func refused(err error) bool {
	var s *statusError
	return errors.As(err, &s) && (s.status == http.StatusBadRequest || s.status == http.StatusUnprocessableEntity || s.status == http.StatusRequestEntityTooLarge)
}
