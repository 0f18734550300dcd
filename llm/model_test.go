package llm

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func bothWays(t *testing.T, f func(t *testing.T, way string)) {
	for way := range ways {
		t.Run(way, func(t *testing.T) { f(t, way) })
	}
}

func fullRequest() Request {
	zero, seed := 0.0, int64(7)
	return Request{System: "Be brief.", Messages: []Message{{User, "How many?"}, {Assistant, "5"}, {User, "<Sure> & certain?"}},
		Schema: json.RawMessage(`{"type":"object","properties":{"n":{"type":"integer"}}}`), MaxTokens: 500, Temperature: &zero, Seed: &seed}
}

func TestComplete(t *testing.T) {
	bothWays(t, func(t *testing.T, way string) {
		fake := newFake(t, script(t, `{"n":5}`))
		r := fullRequest()
		reply, err := fake.model(way).Complete(t.Context(), r)
		if err != nil || reply != (Reply{Text: `{"n":5}`, Usage: Usage{Input: 60, Output: 40}}) {
			t.Errorf("Complete = %+v, %v", reply, err)
		}
		c := fake.asked()[0]
		if c.protocol != way || c.System != r.System || len(c.Messages) != 3 || c.Messages[1] != r.Messages[1] || c.Messages[2] != r.Messages[2] ||
			string(c.Schema) != string(r.Schema) || c.MaxTokens != 500 || c.Temperature == nil || *c.Temperature != 0 {
			t.Errorf("asked %+v", c)
		}
		if way == "openai" && (c.Seed == nil || *c.Seed != 7) {
			t.Errorf("seed = %v", c.Seed)
		}
	})
}

func TestCompleteCut(t *testing.T) {
	bothWays(t, func(t *testing.T, way string) {
		reply, err := newFake(t, script(t, "I could go on"+cutMark)).model(way).Complete(t.Context(), Request{Messages: []Message{{User, "Go."}}})
		if err != nil || !reply.Cut || reply.Text != "I could go on" {
			t.Errorf("Complete = %+v, %v", reply, err)
		}
	})
}

// TestFallback: what a server refuses it is not asked for again.
func TestFallback(t *testing.T) {
	for name, c := range map[string]struct {
		refuses func(*chat) bool
		asked   []int // requests after each of three completions
	}{
		"schema":   {func(c *chat) bool { return c.Schema != nil }, []int{2, 3, 4}},
		"sampling": {func(c *chat) bool { return c.Temperature != nil }, []int{3, 4, 5}},
		"both":     {func(c *chat) bool { return c.Temperature != nil || c.Schema != nil }, []int{3, 5, 6}},
	} {
		t.Run(name, func(t *testing.T) {
			bothWays(t, func(t *testing.T, way string) {
				fake := newFake(t, func(asked *chat) string {
					if c.refuses(asked) {
						return "HTTP 400"
					}
					return "ok"
				})
				m := fake.model(way)
				for i, want := range c.asked {
					if reply, err := m.Complete(t.Context(), fullRequest()); err != nil || reply.Text != "ok" {
						t.Fatalf("Complete = %+v, %v", reply, err)
					}
					if got := len(fake.asked()); got != want {
						t.Errorf("after %d completions %d requests, want %d", i+1, got, want)
					}
				}
			})
		})
	}
}

func TestModelErrors(t *testing.T) {
	for name, c := range map[string]struct {
		script []string
		want   string
	}{
		"refused key":           {[]string{"HTTP 401"}, "401 Unauthorized: bad key ****"},
		"refused request":       {[]string{"HTTP 400", "HTTP 400", "HTTP 400"}, "400 Bad Request"},
		"down for good":         {[]string{"HTTP 503", "HTTP 503", "HTTP 503"}, "503"},
		"a web page":            {[]string{"HTTP 200 text/html <html>Welcome</html>"}, "is the base URL right"},
		"no JSON":               {[]string{"HTTP 200 application/json {{{"}, "parsing"},
		"nothing":               {[]string{"HTTP 200 application/json {}"}, "no message"},
		"trouble, as success":   {[]string{`HTTP 200 application/json {"error":{"message":"overloaded"}}`}, "overloaded"},
		"an error of few words": {[]string{`HTTP 404 text/plain nowhere`}, "404"},
	} {
		t.Run(name, func(t *testing.T) {
			bothWays(t, func(t *testing.T, way string) {
				_, err := newFake(t, script(t, c.script...)).model(way).Complete(t.Context(), fullRequest())
				if errors.Is(err, ErrRequest) != (name == "refused request") {
					t.Errorf("error %v: is the request at fault?", err)
				}
				if !errors.Is(err, ErrModel) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), testAPIKey) {
					t.Errorf("error %v, want ErrModel with %q and no key", err, c.want)
				}
			})
		})
	}
	bothWays(t, func(t *testing.T, way string) {
		reply, err := newFake(t, script(t, "HTTP 429", "HTTP 503", "here")).model(way).Complete(t.Context(), fullRequest())
		if err != nil || reply.Text != "here" {
			t.Errorf("after two failures: %+v, %v", reply, err)
		}
	})
	for _, o := range []Options{{}, {Model: "m", BaseURL: "localhost:8000"}, {Model: "m", BaseURL: "file:///etc"}} {
		if _, err := NewOpenAI(o); err == nil {
			t.Errorf("NewOpenAI(%+v) succeeded", o)
		}
		if _, err := NewAnthropic(o); err == nil {
			t.Errorf("NewAnthropic(%+v) succeeded", o)
		}
	}
}

func TestModelTimesOut(t *testing.T) {
	stuck := make(chan struct{})
	silent := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-stuck }))
	defer silent.Close()
	defer close(stuck)
	bothWays(t, func(t *testing.T, way string) {
		m := ways[way](t, Options{BaseURL: silent.URL, Model: "m", Timeout: 20 * time.Millisecond, Retries: -1})
		if _, err := m.Complete(t.Context(), fullRequest()); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "no completion within 20ms") {
			t.Errorf("error = %v, want a deadline that says how long", err)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		cause := errors.New("nobody waits any more")
		cancel(cause)
		if _, err := m.Complete(ctx, fullRequest()); !errors.Is(err, cause) || !errors.Is(err, ErrModel) {
			t.Errorf("error = %v, want the cause", err)
		}
	})
}

// TestModelIsBounded: a server that never ends fills no memory, and one that sends on gets no key.
func TestModelIsBounded(t *testing.T) {
	endless := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		for line := []byte(strings.Repeat("[", 1<<16)); r.Context().Err() == nil; {
			if _, err := w.Write(line); err != nil {
				return
			}
		}
	}))
	defer endless.Close()
	thief := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("the request was sent on, with %v", r.Header)
	}))
	defer thief.Close()
	onward := httptest.NewServer(http.RedirectHandler(thief.URL, http.StatusTemporaryRedirect))
	defer onward.Close()
	bothWays(t, func(t *testing.T, way string) {
		for _, url := range []string{endless.URL, onward.URL} {
			m := ways[way](t, Options{BaseURL: url, Model: "m", APIKey: testAPIKey, Retries: -1})
			if _, err := m.Complete(t.Context(), fullRequest()); !errors.Is(err, ErrModel) {
				t.Errorf("error = %v, want ErrModel", err)
			}
		}
	})
}
