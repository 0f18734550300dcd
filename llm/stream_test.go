package llm

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func streaming(fake *fakeModel, way string) Model {
	return ways[way](fake.t, Options{BaseURL: fake.URL + "/v1", Model: "m", APIKey: testAPIKey, Stream: true, Idle: 100 * time.Millisecond, Retries: -1})
}

func TestStream(t *testing.T) {
	bothWays(t, func(t *testing.T, way string) {
		fake := newFake(t, script(t, `{"n": 5}`, "I could go on"+cutMark, "half of it"+breakMark, "half of it"+stallMark, `HTTP 200 text/event-stream data: {"type":"error","error":{"message":"overloaded"}}`))
		m := streaming(fake, way)
		reply, err := m.Complete(t.Context(), fullRequest())
		if err != nil || reply.Text != `{"n": 5}` || reply.Cut || reply.Usage.Input != 60 || reply.Usage.Output != 40 || reply.Usage.Cached != 20 {
			t.Errorf("Complete = %+v, %v", reply, err)
		}
		if !fake.asked()[0].stream {
			t.Error("no stream was asked for")
		}
		if reply, err := m.Complete(t.Context(), fullRequest()); err != nil || !reply.Cut || reply.Text != "I could go on" {
			t.Errorf("Complete = %+v, %v", reply, err)
		}
		for _, want := range []error{errBroken, errStalled} {
			if _, err := m.Complete(t.Context(), fullRequest()); !errors.Is(err, want) || !errors.Is(err, ErrModel) {
				t.Errorf("error = %v, want %v", err, want)
			}
		}
		if _, err := m.Complete(t.Context(), fullRequest()); !errors.Is(err, ErrModel) || !strings.Contains(err.Error(), "overloaded") {
			t.Errorf("error = %v, want what the server says", err)
		}
	})
}

// TestStreamOfOthers: a server that answers whole, or refuses to stream, is understood.
func TestStreamOfOthers(t *testing.T) {
	bothWays(t, func(t *testing.T, way string) {
		whole := newFake(t, script(t, "five"))
		whole.whole = true
		if reply, err := streaming(whole, way).Complete(t.Context(), fullRequest()); err != nil || reply.Text != "five" {
			t.Errorf("Complete = %+v, %v", reply, err)
		}
		refuses := newFake(t, func(c *chat) string {
			if c.stream {
				return "HTTP 400"
			}
			return "five"
		})
		m := streaming(refuses, way)
		for _, want := range []int{4, 5} {
			if reply, err := m.Complete(t.Context(), fullRequest()); err != nil || reply.Text != "five" || len(refuses.asked()) != want {
				t.Errorf("Complete = %+v, %v after %d requests, want %d", reply, err, len(refuses.asked()), want)
			}
		}
	})
}

func FuzzStream(f *testing.F) {
	for _, text := range []string{`{"n":5}`, "Go on"} {
		for _, pieces := range []func(string, bool, bool) []string{openaiPieces, anthropicPieces} {
			f.Add("data: " + strings.Join(pieces(text, false, text[0] == '{'), "\n\ndata: ") + "\n\n")
		}
	}
	f.Add("data: {\"type\":\"content_block_delta\",\"index\":9}\n\n")
	f.Fuzz(func(t *testing.T, body string) {
		if reply, err := readOpenAIStream(strings.NewReader(body)); err == nil && len(reply.Text) > len(body) {
			t.Errorf("more than was sent: %q", reply.Text)
		}
		if reply, err := readAnthropicStream(strings.NewReader(body)); err == nil && len(reply.Text) > len(body) {
			t.Errorf("more than was sent: %q", reply.Text)
		}
	})
}
