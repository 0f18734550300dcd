package llm

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

const testAPIKey = "sk-very-secret-key"

// A chat is what a fake model was asked, whichever protocol carried it.
type chat struct {
	protocol    string
	System      string
	Messages    []Message
	Schema      json.RawMessage
	MaxTokens   int64
	Temperature *float64
	Seed        *int64
	stream      bool
}

// document is the call that an emulated tool's model is asked to carry out.
func (c *chat) document(t *testing.T) document {
	t.Helper()
	var d document
	if err := json.Unmarshal([]byte(c.Messages[0].Text), &d); err != nil {
		t.Errorf("document: %v", err)
	}
	return d
}

// A fakeModel speaks both protocols. What answer returns is the message; if it begins with
// "HTTP ", a status and a body.
type fakeModel struct {
	*httptest.Server
	t      *testing.T
	answer func(*chat) string
	whole  bool // it does not stream, whatever it is asked

	mu    sync.Mutex
	chats []*chat
}

func newFake(t *testing.T, answer func(*chat) string) *fakeModel {
	t.Helper()
	m := &fakeModel{t: t, answer: answer}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/chat/completions", m.openai)
	mux.HandleFunc("POST /v1/messages", m.anthropic)
	m.Server = httptest.NewServer(mux)
	t.Cleanup(m.Close)
	return m
}

// script answers with these, one after another.
func script(t *testing.T, says ...string) func(*chat) string {
	return func(*chat) string {
		if len(says) == 0 {
			t.Error("the model is asked once more than it should be")
			return `HTTP 404`
		}
		next := says[0]
		says = says[1:]
		return next
	}
}

func (m *fakeModel) asked() []*chat {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.chats
}

// take reads a request and answers it, with wrap around the message.
func (m *fakeModel) take(w http.ResponseWriter, r *http.Request, into any, understood func() *chat, wrap func(*chat, string) any) {
	body, err := io.ReadAll(r.Body)
	if err == nil {
		err = json.Unmarshal(body, into)
	}
	if err != nil {
		m.t.Errorf("request: %v", err)
	}
	c := understood()
	m.mu.Lock()
	m.chats = append(m.chats, c)
	said := m.answer(c)
	m.mu.Unlock()
	w.Header().Set("Retry-After-Ms", "1")
	if failure, ok := strings.CutPrefix(said, "HTTP "); ok {
		var status int
		var kind string
		fmt.Sscan(failure, &status, &kind)
		if kind != "" {
			w.Header().Set("Content-Type", kind)
			w.WriteHeader(status)
			fmt.Fprint(w, strings.TrimSpace(strings.SplitN(failure, kind, 2)[1]))
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"type":"error","error":{"type":"t","code":"c","param":"","message":"bad key %s"}}`, testAPIKey)
		return
	}
	if c.stream && !m.whole {
		m.stream(w, r, c, said)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(wrap(c, said)); err != nil {
		m.t.Error(err)
	}
}

// What a streamed answer may end with instead of its end.
const (
	stallMark = "(stall)"
	breakMark = "(break)"
)

// stream sends an answer in pieces of a few bytes.
func (m *fakeModel) stream(w http.ResponseWriter, r *http.Request, c *chat, said string) {
	w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	said, stalls := strings.CutSuffix(said, stallMark)
	said, breaks := strings.CutSuffix(said, breakMark)
	text, cut := strings.CutSuffix(said, cutMark)
	pieces := openaiPieces
	if c.protocol == "anthropic" {
		pieces = anthropicPieces
	}
	events := pieces(text, cut, c.Schema != nil && json.Valid([]byte(text)))
	if stalls || breaks {
		events = events[:len(events)/2]
	}
	fmt.Fprint(w, ": a comment\n\n")
	for _, e := range events {
		fmt.Fprintf(w, "event: whatever\r\ndata:%s\n\n", e)
		w.(http.Flusher).Flush()
	}
	if stalls {
		<-r.Context().Done()
	}
}

func marshal(v any) string {
	b, _ := json.Marshal(v)
	return string(b)
}

func openaiPieces(text string, cut, _ bool) (events []string) {
	chunk := func(choices ...any) map[string]any {
		return map[string]any{"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": append([]any{}, choices...)}
	}
	for len(text) > 0 {
		n := min(3, len(text))
		events = append(events, marshal(chunk(map[string]any{"index": 0, "delta": map[string]string{"content": text[:n]}, "finish_reason": nil})))
		text = text[n:]
	}
	events = append(events, marshal(chunk(map[string]any{"index": 0, "delta": map[string]string{}, "finish_reason": map[bool]string{true: "length", false: "stop"}[cut]})))
	last := chunk()
	last["usage"] = map[string]any{"prompt_tokens": 60, "completion_tokens": 40, "total_tokens": 100,
		"prompt_tokens_details": map[string]int{"cached_tokens": 20}, "completion_tokens_details": map[string]int{"reasoning_tokens": 30}}
	return append(events, marshal(last), "[DONE]")
}

func anthropicPieces(text string, cut, tool bool) []string {
	kind, delta, key := "text", "text_delta", "text"
	if tool {
		kind, delta, key = "tool_use", "input_json_delta", "partial_json"
	}
	events := []string{`{"type":"message_start","message":{"type":"message","role":"assistant","content":[],"usage":{"input_tokens":40,"cache_read_input_tokens":20,"output_tokens":1}}}`,
		marshal(map[string]any{"type": "content_block_start", "index": 0, "content_block": map[string]any{"type": kind, "input": map[string]any{}}}), `{"type":"ping"}`}
	for len(text) > 0 {
		n := min(3, len(text))
		events = append(events, marshal(map[string]any{"type": "content_block_delta", "index": 0, "delta": map[string]any{"type": delta, key: text[:n]}}))
		text = text[n:]
	}
	reason := map[bool]string{true: "max_tokens", false: "end_turn"}[cut]
	return append(events, `{"type":"content_block_stop","index":0}`,
		marshal(map[string]any{"type": "message_delta", "delta": map[string]string{"stop_reason": reason}, "usage": map[string]int{"output_tokens": 40}}), `{"type":"message_stop"}`)
}

// cutMark at its end says that the model had more to say.
const cutMark = "(cut)"

func (m *fakeModel) openai(w http.ResponseWriter, r *http.Request) {
	if got := r.Header.Get("Authorization"); got != "Bearer "+testAPIKey {
		m.t.Errorf("Authorization = %q", got)
	}
	var req struct {
		Messages            []struct{ Role, Content string }
		Stream              bool
		MaxCompletionTokens int64 `json:"max_completion_tokens"`
		Temperature         *float64
		Seed                *int64
		ResponseFormat      struct {
			Type       string
			JSONSchema struct {
				Name   string
				Schema json.RawMessage
			} `json:"json_schema"`
		} `json:"response_format"`
	}
	m.take(w, r, &req, func() *chat {
		c := &chat{protocol: "openai", stream: req.Stream, MaxTokens: req.MaxCompletionTokens, Temperature: req.Temperature, Seed: req.Seed, Schema: req.ResponseFormat.JSONSchema.Schema}
		if c.Schema != nil && (req.ResponseFormat.Type != "json_schema" || req.ResponseFormat.JSONSchema.Name == "") {
			m.t.Errorf("response_format = %+v", req.ResponseFormat)
		}
		for _, said := range req.Messages {
			if said.Role == "system" {
				c.System = said.Content
			} else {
				c.Messages = append(c.Messages, Message{Role(said.Role), said.Content})
			}
		}
		return c
	}, func(_ *chat, said string) any {
		text, cut := strings.CutSuffix(said, cutMark)
		reason := map[bool]string{true: "length", false: "stop"}[cut]
		return map[string]any{"id": "c", "object": "chat.completion", "created": 1, "model": "m", "usage": map[string]int{"prompt_tokens": 60, "completion_tokens": 40, "total_tokens": 100},
			"choices": []any{map[string]any{"index": 0, "finish_reason": reason, "message": map[string]any{"role": "assistant", "content": text}}}}
	})
}

func (m *fakeModel) anthropic(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("X-Api-Key") != testAPIKey || r.Header.Get("Anthropic-Version") != "2023-06-01" {
		m.t.Errorf("headers = %v", r.Header)
	}
	var req struct {
		System      string
		MaxTokens   int64 `json:"max_tokens"`
		Temperature *float64
		Messages    []struct{ Role, Content string }
		Stream      bool
		Tools       []struct {
			Name        string
			InputSchema json.RawMessage `json:"input_schema"`
		}
		ToolChoice struct{ Type, Name string } `json:"tool_choice"`
	}
	m.take(w, r, &req, func() *chat {
		c := &chat{protocol: "anthropic", stream: req.Stream, System: req.System, MaxTokens: req.MaxTokens, Temperature: req.Temperature}
		for _, said := range req.Messages {
			c.Messages = append(c.Messages, Message{Role(said.Role), said.Content})
		}
		if len(req.Tools) == 1 {
			c.Schema = req.Tools[0].InputSchema
			if req.ToolChoice.Type != "tool" || req.ToolChoice.Name != req.Tools[0].Name {
				m.t.Errorf("tool_choice = %+v", req.ToolChoice)
			}
		}
		return c
	}, func(c *chat, said string) any {
		text, cut := strings.CutSuffix(said, cutMark)
		content := map[string]any{"type": "text", "text": text}
		if c.Schema != nil && json.Valid([]byte(text)) {
			content = map[string]any{"type": "tool_use", "id": "t", "name": "answer", "input": json.RawMessage(text)}
		}
		reason := map[bool]string{true: "max_tokens", false: "end_turn"}[cut]
		return map[string]any{"id": "m", "type": "message", "role": "assistant", "content": []any{content}, "stop_reason": reason,
			"usage": map[string]int{"input_tokens": 60, "output_tokens": 40}}
	})
}

// ways are the two protocols.
var ways = map[string]func(*testing.T, Options) Model{
	"openai": func(t *testing.T, o Options) Model {
		m, err := NewOpenAI(o)
		if err != nil {
			t.Fatal(err)
		}
		return m
	},
	"anthropic": func(t *testing.T, o Options) Model {
		m, err := NewAnthropic(o)
		if err != nil {
			t.Fatal(err)
		}
		return m
	},
}

// model asks the fake.
func (m *fakeModel) model(way string) Model {
	return ways[way](m.t, Options{BaseURL: m.URL + "/v1", Model: "m", APIKey: testAPIKey})
}
