package main

import (
	"bytes"
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

// TestCloseEndsStreams: an agent that listens at a face's MCP door keeps nobody from leaving.
func TestCloseEndsStreams(t *testing.T) {
	a := newApp(nil, io.Discard, io.Discard, func(string) (string, bool) { return "", false })
	arena, err := loadArena("../../httpapi/testdata/shop")
	if err != nil {
		t.Fatal(err)
	}
	h, err := a.own(t.Context(), t.TempDir(), doorways{agents: "127.0.0.1:0", control: "127.0.0.1:0", faces: "127.0.0.1:0"}, arena)
	if err != nil {
		t.Fatal(err)
	}
	w := &birdwatcher{T: t, house: h}
	at := "/nemo-gym/shop"
	header := map[string]string{"X-NeMo-Gym-Session-Token": w.cookie(at+"/seed_session", `{"task_id":"count"}`)["token"], "Accept": "application/json, text/event-stream"}
	resp := w.open("POST", at+"/mcp", `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"agent","version":"1"}}}`, header)
	resp.Body.Close()
	header["Mcp-Session-Id"] = resp.Header.Get("Mcp-Session-Id")
	stream := w.open("GET", at+"/mcp", "", header)
	defer stream.Body.Close()
	if kind := stream.Header.Get("Content-Type"); kind != "text/event-stream" {
		t.Fatalf("%s, %s, want a stream", stream.Status, kind)
	}
	if err := h.close(); err != nil {
		t.Error(err)
	}
}

// open makes a request of a face, and leaves the answer to be read.
func (w *birdwatcher) open(method, path, body string, header map[string]string) *http.Response {
	w.Helper()
	req, err := http.NewRequestWithContext(w.Context(), method, w.house.Faces+path, strings.NewReader(body))
	if err != nil {
		w.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	for k, v := range header {
		req.Header.Set(k, v)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.Fatal(err)
	}
	return resp
}

// TestFacesWithoutAKey: who opens them to others and sets no key is told.
func TestFacesWithoutAKey(t *testing.T) {
	for _, c := range []struct {
		faces, key string
		told       bool
	}{{"127.0.0.1:0", "", false}, {"localhost:0", "", false}, {"0.0.0.0:0", "key", false}, {"0.0.0.0:0", "", true}, {":0", "", true}} {
		var said bytes.Buffer
		a := newApp(nil, io.Discard, &said, func(name string) (string, bool) { return c.key, name == "ASTRA_FACES_KEY" })
		h, err := a.own(t.Context(), t.TempDir(), doorways{agents: "127.0.0.1:0", control: "127.0.0.1:0", faces: c.faces})
		if err != nil {
			t.Fatal(err)
		}
		if err := h.close(); err != nil {
			t.Error(err)
		}
		if told := strings.Contains(said.String(), "set ASTRA_FACES_KEY"); told != c.told {
			t.Errorf("faces %s, key %q: %s", c.faces, c.key, &said)
		}
	}
}
