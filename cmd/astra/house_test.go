package main

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/astra-arenas/astra/store"
)

// TestCloseDoesNotWaitForSilence: a connection on which nothing was asked ends at once,
// where Server.Shutdown alone would give it five seconds.
func TestCloseDoesNotWaitForSilence(t *testing.T) {
	var h house
	url, err := h.serve("agents", "127.0.0.1:0", &http.Server{Handler: http.NotFoundHandler()})
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	answer, err := http.Get(url) // the door takes connections in their order, so it has the silent one too
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	closed := make(chan error, 1)
	go func() { closed <- h.close() }()
	if err := c.SetReadDeadline(time.Now().Add(4 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the silent connection: %v, want its end", err)
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
}

// TestOwnerThatHangs: a stopped process takes connections and answers none.
func TestOwnerThatHangs(t *testing.T) {
	dir := t.TempDir()
	st, err := store.Open(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0") // never accepts
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := st.Announce(store.Owner{PID: 7, Control: "http://" + l.Addr().String(), Token: "a-token-of-the-owner"}); err != nil {
		t.Fatal(err)
	}
	a := newApp(nil, io.Discard, io.Discard, os.LookupEnv)
	a.config, a.patience = defaults(), 200*time.Millisecond
	a.config.Dir = dir
	if _, err := a.connect(t.Context()); err == nil || !strings.Contains(err.Error(), "does not answer: process 7: ") {
		t.Errorf("connect = %v, want to hear of process 7", err)
	}
}
