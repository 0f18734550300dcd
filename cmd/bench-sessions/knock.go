package main

import (
	"context"
	"io"
	"net/http"
	"time"
)

// knock asks for what is not there, again and again on one connection, until the function
// that it returns is called, and tells how long the answers took: what an event loop lags
// behind, or the scheduler of Go. One that does not come in time took until then.
func (h *host) knock(ctx context.Context) (stop func() quantiles) {
	const every = 20 * time.Millisecond
	done, result := make(chan struct{}), make(chan quantiles)
	go func() {
		var took []time.Duration
		defer func() { result <- quantilesOf(took) }()
		l, err := dialLink(ctx, &meter{}, h.addr)
		if err != nil {
			return
		}
		defer l.close()
		for tick := time.NewTicker(every); ; {
			begun := time.Now()
			err := l.absent(ctx)
			took = append(took, time.Since(begun))
			if err != nil {
				return
			}
			select {
			case <-done:
				return
			case <-tick.C:
			}
		}
	}()
	return func() quantiles {
		close(done)
		return <-result
	}
}

// absent asks for a path that no server has; any answer will do.
func (l *link) absent(ctx context.Context) error {
	req, err := http.NewRequest(http.MethodGet, "http://"+l.addr+"/nothing-here", nil)
	if err != nil {
		return err
	}
	resp, err := l.exchange(ctx, req)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	return err
}
