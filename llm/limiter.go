package llm

import (
	"context"
	"time"

	"golang.org/x/time/rate"
)

// Limits say how fast a server may be asked. A zero field is no limit.
type Limits struct {
	Concurrent int     // attempts at a time
	Requests   float64 // attempts a minute
	Tokens     float64 // a minute, in and out together
}

// A Limiter keeps all who share it within one server's limits. A nil one has none. It is
// safe for concurrent use.
type Limiter struct {
	slots    chan struct{} // nil: any number
	requests *rate.Limiter // nil: any number
	tokens   *rate.Limiter // nil: any number
}

// NewLimiter returns a limiter that has used up nothing.
func NewLimiter(l Limits) *Limiter {
	var limiter Limiter
	if l.Concurrent > 0 {
		limiter.slots = make(chan struct{}, l.Concurrent)
	}
	limiter.requests, limiter.tokens = perMinute(l.Requests), perMinute(l.Tokens)
	return &limiter
}

// perMinute lets at once what may come in six seconds: servers count in windows shorter
// than a minute.
func perMinute(n float64) *rate.Limiter {
	if n <= 0 {
		return nil
	}
	return rate.NewLimiter(rate.Limit(n/60), max(1, int(n/10)))
}

// wait returns when an attempt may be made. done is to be called after it, with what it
// used: tokens are paid for in advance by a guess, and what is missing delays those who
// come next.
func (l *Limiter) wait(ctx context.Context, r Request) (done func(Usage), err error) {
	if l == nil {
		return func(Usage) {}, nil
	}
	if l.slots != nil {
		select {
		case l.slots <- struct{}{}:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	guess := guessTokens(r)
	err = take(ctx, l.requests, 1)
	if err == nil {
		err = take(ctx, l.tokens, guess)
	}
	if err != nil {
		l.leave()
		return nil, err
	}
	return func(u Usage) {
		l.leave()
		owe(l.tokens, int(u.Input+u.Output)-guess)
	}, nil
}

func (l *Limiter) leave() {
	if l.slots != nil {
		<-l.slots
	}
}

func take(ctx context.Context, l *rate.Limiter, n int) error {
	if l == nil {
		return nil
	}
	for n > 0 { // more than fits at once is taken in parts
		part := min(n, l.Burst())
		if err := l.WaitN(ctx, part); err != nil {
			return err
		}
		n -= part
	}
	return nil
}

// owe takes tokens that are used up already, without waiting for them.
func owe(l *rate.Limiter, n int) {
	if l == nil {
		return
	}
	for n > 0 {
		part := min(n, l.Burst())
		l.ReserveN(time.Now(), part)
		n -= part
	}
}

// guessTokens is about what a request has, by its bytes.
func guessTokens(r Request) int {
	n := len(r.System) + len(r.Schema)
	for _, m := range r.Messages {
		n += len(m.Text)
	}
	return n/4 + 1
}
