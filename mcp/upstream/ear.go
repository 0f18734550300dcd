package upstream

import (
	"context"
	"errors"
	"sync"

	"github.com/mark3labs/mcp-go/client/transport"
)

// errTooLong is why a request is given up whose answer has more than maxMessage bytes.
var errTooLong = errors.New("it said more than one message may have")

// An ear keeps the answer to the last request as it came, and can be made to give up on
// the one that is waited for.
type ear struct {
	mu   sync.Mutex
	last *transport.JSONRPCResponse
	stop context.CancelCauseFunc // of the request that is waited for, or nil
}

type sender func(context.Context, transport.JSONRPCRequest) (*transport.JSONRPCResponse, error)

// hear sends a request. Where it is given up, the error says why.
func (e *ear) hear(ctx context.Context, send sender, r transport.JSONRPCRequest) (*transport.JSONRPCResponse, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	e.note(nil, cancel)
	answer, err := send(ctx, r)
	e.note(answer, nil)
	return answer, cause(ctx, err)
}

// cause is why ctx ended, if it has, instead of the err that came of it. Which error that is
// depends on who hears of the end first: the library, or the process that is killed for it.
func cause(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

func (e *ear) note(last *transport.JSONRPCResponse, stop context.CancelCauseFunc) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.last, e.stop = last, stop
}

// giveUp ends the request that is waited for: its answer is too long.
func (e *ear) giveUp() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.stop != nil {
		e.stop(errTooLong)
	}
}

// take returns the last answer, once.
func (e *ear) take() *transport.JSONRPCResponse {
	e.mu.Lock()
	defer e.mu.Unlock()
	last := e.last
	e.last = nil
	return last
}
