package llm_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/astra-arenas/astra/llm"
	"github.com/astra-arenas/astra/store"
)

func TestTransport(t *testing.T) {
	st, err := store.Open(t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/json")
		switch {
		case strings.Contains(string(body), "trouble"):
			w.WriteHeader(http.StatusInternalServerError)
		case strings.Contains(string(body), "nothing"):
			io.WriteString(w, `{"error":"no"}`)
			return
		case strings.Contains(string(body), "empty"):
			io.WriteString(w, `{"choices":[{"finish_reason":"stop"}]}`)
			return
		case strings.Contains(string(body), "object"):
			io.WriteString(w, `{"choices":[{"message":{"content":{"text":"seven"}}}]}`)
			return
		}
		io.WriteString(w, `{"choices":[{"message":{"content":"seven"}}],"usage":{"prompt_tokens":3,"completion_tokens":1}}`)
	}))
	defer server.Close()
	ask := func(c *http.Client, base, body string) (string, error) {
		r, err := http.NewRequestWithContext(t.Context(), "POST", base+"/v1/chat/completions", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+base)
		response, err := c.Do(r)
		if err != nil {
			return "", err
		}
		defer response.Body.Close()
		b, err := io.ReadAll(response.Body)
		return response.Status + " " + string(b), err
	}
	c := &http.Client{Transport: llm.NewTransport(st, http.DefaultTransport, nil)}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if got, err := ask(c, server.URL, `{"n":1}`); err != nil || !strings.HasPrefix(got, "200 OK") || !strings.Contains(got, "seven") {
				t.Errorf("%s, %v", got, err)
			}
		})
	}
	if all.Wait(); asked.Load() != 1 {
		t.Errorf("the server was asked %d times for one request", asked.Load())
	}
	for _, body := range []string{`{"trouble":1}`, `{"nothing":1}`, `{"empty":1}`, `{"object":1}`} {
		before := asked.Load()
		for range 2 {
			if _, err := ask(c, server.URL, body); err != nil {
				t.Error(err)
			}
		}
		if asked.Load() != before+2 {
			t.Errorf("%s: what is no answer was kept", body)
		}
	}
	replay := &http.Client{Transport: llm.NewTransport(st, nil, nil)}
	if got, err := ask(replay, "http://elsewhere.example", `{"n":1}`); err != nil || !strings.Contains(got, "seven") {
		t.Errorf("replayed: %s, %v", got, err)
	}
	if _, err := ask(replay, server.URL, `{"n":2}`); !errors.Is(err, llm.ErrReplay) {
		t.Errorf("replayed what was never asked: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r, _ := http.NewRequestWithContext(ctx, "POST", server.URL, strings.NewReader("{}"))
	if _, err := c.Transport.RoundTrip(r); !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v, want the context's", err)
	}
}

// Notes that cannot be written are an error, and no response beside it.
func TestTransportWithoutNotes(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"choices":[{"message":{"content":"seven"}}]}`)
	}))
	defer server.Close()
	r, err := http.NewRequestWithContext(t.Context(), "POST", server.URL, strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	response, err := llm.NewTransport(full{}, http.DefaultTransport, nil).RoundTrip(r)
	if !errors.Is(err, errFull) || response != nil {
		t.Errorf("response %v, error %v; want errFull alone", response, err)
	}
}

// full is a store that takes nothing more.
type full struct{}

var errFull = errors.New("full")

func (full) Note(context.Context, string) ([]byte, error)  { return nil, nil }
func (full) PutNote(context.Context, string, []byte) error { return errFull }
