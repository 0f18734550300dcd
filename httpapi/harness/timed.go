package harness

import (
	"net/http"
	"time"
)

// Timed gives clients so long to take each piece of an answer, so that one which never reads
// holds neither the answer nor its session. http.Server's WriteTimeout would bound the whole
// answer, and end streams and what is judged for long.
func Timed(next http.Handler, most time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t := &timedWriter{w, http.NewResponseController(w), most}
		_ = t.control.SetWriteDeadline(time.Time{}) // that of the answer before
		defer t.begin()                             // for what the server still has to send
		next.ServeHTTP(t, r)
	})
}

type timedWriter struct {
	http.ResponseWriter
	control *http.ResponseController
	most    time.Duration
}

// begin sets the time for what is written next; writers of tests have none.
func (w *timedWriter) begin() { _ = w.control.SetWriteDeadline(time.Now().Add(w.most)) }

// maxPiece is what a client that is slow and not dead takes in time.
const maxPiece = 256 << 10

func (w *timedWriter) Write(b []byte) (n int, err error) {
	for {
		w.begin()
		k, err := w.ResponseWriter.Write(b[n:min(n+maxPiece, len(b))])
		if n += k; err != nil || n == len(b) {
			return n, err
		}
	}
}

func (w *timedWriter) FlushError() error {
	w.begin()
	return w.control.Flush()
}

func (w *timedWriter) Flush() { _ = w.FlushError() }

func (w *timedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
