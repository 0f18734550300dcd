package harness

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/astra-arenas/astra"
)

const (
	// uncounted is what of a body counts for nothing: a connection takes as much without one.
	uncounted = 64 << 10
	// patience is how long a body may wait for room, of the two minutes that it has to come.
	patience = 90 * time.Second
)

// Bodies bounds what is in memory of the bodies of all requests to next, in bytes: from when
// one is read until its request is answered, as what is made of it lives no longer. One whose
// length is told waits for room, first come, first served, and stays in the kernel meanwhile:
// a verify that is refused is a rollout lost. One of unknown length, or that waited for too
// long, finds none: reading it is astra.ErrFull.
func Bodies(next http.Handler, most int64) http.Handler {
	room := &room{semaphore.NewWeighted(most), most}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b := &body{ReadCloser: r.Body, room: room}
		defer func() { room.Release(b.held) }()
		if r.ContentLength > uncounted {
			b.wait = func() error { return b.enter(r.Context(), r.ContentLength) }
		}
		in := *r
		in.Body = b
		next.ServeHTTP(w, &in)
	})
}

// A room is what all bodies share, in bytes.
type room struct {
	*semaphore.Weighted
	most int64
}

var errNoRoom = fmt.Errorf("%w: too many large requests come at once", astra.ErrFull)

// enter waits for room of n bytes, or for all there is, and says how much it took.
func (r *room) enter(ctx context.Context, n int64) (held int64, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errNoRoom)
	defer cancel()
	n = min(n, r.most)
	if r.Acquire(ctx, n) != nil {
		return 0, context.Cause(ctx)
	}
	return n, nil
}

// A body is one that takes its room as it is read.
type body struct {
	io.ReadCloser
	room       *room
	wait       func() error // before the first piece; nil: for nothing
	read, held int64
}

func (b *body) enter(ctx context.Context, n int64) (err error) {
	if b.held, err = b.room.enter(ctx, n); err == nil {
		b.wait = nil
	}
	return err
}

func (b *body) Read(p []byte) (int, error) {
	if b.wait != nil {
		if err := b.wait(); err != nil {
			return 0, err
		}
	}
	n, err := b.ReadCloser.Read(p)
	if !b.count(n) {
		return 0, errNoRoom
	}
	return n, err
}

// count takes room for what came beyond what was told.
func (b *body) count(n int) bool {
	b.read += int64(n)
	more := b.read - uncounted - b.held
	if more <= 0 {
		return true
	}
	if !b.room.TryAcquire(more) {
		return false
	}
	b.held += more
	return true
}

// Unpacked counts what a request's body is unpacked to as well.
func Unpacked(r *http.Request, in io.Reader) io.Reader {
	if b, ok := r.Body.(*body); ok {
		return &unpacked{in, b}
	}
	return in
}

type unpacked struct {
	io.Reader
	of *body
}

func (u *unpacked) Read(p []byte) (int, error) {
	n, err := u.Reader.Read(p)
	if !u.of.count(n) {
		return 0, errNoRoom
	}
	return n, err
}

// ReadMessage reads a message of at most most bytes that comes over what r's connection became.
// It counts as bodies do, until it is left. Errors are those of in, or astra.ErrFull.
func ReadMessage(ctx context.Context, r *http.Request, in io.Reader, most int64) (message []byte, leave func(), err error) {
	leave = func() {}
	var b bytes.Buffer
	_, err = io.CopyN(&b, in, uncounted)
	if body, ok := r.Body.(*body); ok && err == nil {
		held, err := body.room.enter(ctx, most)
		if err != nil {
			return nil, nil, err
		}
		leave = func() { body.room.Release(held) }
	}
	if err == nil {
		_, err = b.ReadFrom(in)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		leave()
		return nil, nil, err
	}
	return b.Bytes(), leave, nil
}

// ReadBody reads a body of at most most bytes. Errors are a *Refusal, or astra.ErrFull where
// Bodies has no room.
func ReadBody(r *http.Request, most int64) ([]byte, error) {
	tooLarge := &Refusal{http.StatusRequestEntityTooLarge, fmt.Sprintf("the body has more than %d bytes", most)}
	if r.ContentLength > most {
		return nil, tooLarge // before it takes the room of others
	}
	in := http.MaxBytesReader(nil, r.Body, most) // net/http itself ends the connection of who sends much more
	var b bytes.Buffer
	_, err := io.CopyN(&b, in, bytes.MinRead) // no memory is asked for before there is room
	if err == nil {
		b.Grow(int(max(r.ContentLength, bytes.MinRead)))
		_, err = b.ReadFrom(in)
	}
	_, large := errors.AsType[*http.MaxBytesError](err)
	switch {
	case err == nil, errors.Is(err, io.EOF):
		return b.Bytes(), nil
	case large:
		return nil, tooLarge
	case errors.Is(err, astra.ErrFull):
		return nil, err
	}
	return nil, &Refusal{http.StatusBadRequest, "the body cannot be read"}
}
