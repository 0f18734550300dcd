package llm

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"iter"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

func isStream(r *http.Response) bool {
	return strings.HasPrefix(r.Header.Get("Content-Type"), "text/event-stream")
}

var (
	errStalled = errors.New("the reply stood still in the middle")
	errBroken  = errors.New("the reply broke off in the middle")
)

// A watched body fails when nothing comes for a while.
type watched struct {
	io.ReadCloser
	idle    time.Duration
	timer   *time.Timer
	stalled atomic.Bool
}

func watch(body io.ReadCloser, idle time.Duration) io.ReadCloser {
	w := &watched{ReadCloser: body, idle: idle}
	w.timer = time.AfterFunc(idle, func() {
		w.stalled.Store(true)
		body.Close() // which ends the Read that waits
	})
	return w
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.ReadCloser.Read(p)
	switch {
	case w.stalled.Load():
		return n, errStalled
	case err == nil:
		w.timer.Reset(w.idle)
	}
	return n, err
}

func (w *watched) Close() error {
	w.timer.Stop()
	return w.ReadCloser.Close()
}

// maxEvent bounds a line of a stream.
const maxEvent = 1 << 20

// events yields the data of each event of a stream (text/event-stream), and last what
// kept it from being read to its end.
func events(r io.Reader) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		lines := bufio.NewScanner(r)
		lines.Buffer(nil, maxEvent)
		var data []byte
		for lines.Scan() {
			line := lines.Bytes()
			if rest, ok := bytes.CutPrefix(line, []byte("data:")); ok {
				data = append(append(data, bytes.TrimPrefix(rest, []byte(" "))...), '\n')
			}
			if len(line) > 0 || len(data) == 0 {
				continue
			}
			if !yield(data[:len(data)-1], nil) {
				return
			}
			data = nil
		}
		switch err := lines.Err(); {
		case err != nil:
			yield(nil, err)
		case len(data) > 0: // not closed by an empty line, as some servers end
			yield(data[:len(data)-1], nil)
		}
	}
}
