package harness_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/astra-arenas/astra/httpapi/harness"
)

const brief = 50 * time.Millisecond

// timed asks once, of a handler that has a brief time to be listened to.
func timed(t *testing.T, serve http.HandlerFunc) net.Conn {
	t.Helper()
	web := httptest.NewServer(harness.Timed(serve, brief))
	t.Cleanup(web.Close)
	conn, err := net.Dial("tcp", web.Listener.Addr().String())
	must(t, err)
	t.Cleanup(func() { conn.Close() })
	_, err = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
	must(t, err)
	return conn
}

func TestTimed(t *testing.T) {
	got := make(chan error, 1)
	timed(t, func(w http.ResponseWriter, _ *http.Request) {
		_, err := w.Write(make([]byte, 64<<20)) // more than sockets keep
		got <- err
	})
	if err := <-got; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("an answer that nobody takes: %v", err)
	}
}

// Between two pieces an answer may take its time.
func TestTimedStream(t *testing.T) {
	conn := timed(t, func(w http.ResponseWriter, r *http.Request) {
		for _, piece := range []string{"first,", "second", ""} {
			if _, err := io.WriteString(w, piece); err != nil {
				t.Error(err)
			}
			if err := http.NewResponseController(w).Flush(); err != nil {
				t.Error(err)
			}
			<-time.After(2 * brief)
		}
	})
	b, err := io.ReadAll(conn)
	if text := string(b); err != nil || !strings.Contains(text, "first,") || !strings.Contains(text, "second") || !strings.HasSuffix(text, "0\r\n\r\n") {
		t.Errorf("got %q, %v", b, err)
	}
}
