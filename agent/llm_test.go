package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/astra-arenas/astra"
)

// A fakeModel speaks OpenAI's chat protocol: it answers each request with the next line of
// its script: a whole message as JSON, a status code, or a content type and a body.
type fakeModel struct {
	*httptest.Server
	t        *testing.T
	script   []string
	requests []map[string]any
}

const testAPIKey = "sk-very-secret-key"

func newModel(t *testing.T, script ...string) *fakeModel {
	t.Helper()
	m := &fakeModel{t: t, script: script}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/chat/completions", m.answer)
	m.Server = httptest.NewServer(mux)
	t.Cleanup(m.Close)
	return m
}

func (m *fakeModel) answer(w http.ResponseWriter, r *http.Request) {
	if got := r.Header.Get("Authorization"); got != "Bearer "+testAPIKey {
		m.t.Errorf("Authorization = %q", got)
	}
	var request map[string]any
	if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
		m.t.Errorf("request: %v", err)
	}
	m.requests = append(m.requests, request)
	next := `{"role":"assistant","content":"I have nothing to add."}`
	if len(m.script) > 0 {
		next, m.script = m.script[0], m.script[1:]
	}
	w.Header().Set("Content-Type", "application/json")
	if strings.HasPrefix(next, "{") {
		fmt.Fprintf(w, `{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"finish_reason":"stop","message":%s}],"usage":{"prompt_tokens":60,"completion_tokens":40,"total_tokens":100}}`, next)
		return
	}
	if kind, body, ok := strings.Cut(next, " "); ok {
		w.Header().Set("Content-Type", kind)
		fmt.Fprint(w, body)
		return
	}
	var status int
	fmt.Sscan(next, &status)
	w.Header().Set("retry-after-ms", "1")
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"error":{"message":"bad key %s","type":"t","code":"c","param":""}}`, testAPIKey)
}

func (m *fakeModel) player(t *testing.T, change func(*LLMOptions)) *LLM {
	t.Helper()
	opts := LLMOptions{BaseURL: m.URL + "/v1", Model: "m", APIKey: testAPIKey}
	if change != nil {
		change(&opts)
	}
	l, err := NewLLM(opts)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// calls writes an assistant message with tool calls, given as name and arguments.
func calls(pairs ...string) string {
	type function struct {
		Name      string `json:"name"`
		Arguments string `json:"arguments"`
	}
	var list []map[string]any
	for i := 0; i < len(pairs); i += 2 {
		list = append(list, map[string]any{"id": fmt.Sprint("c", i), "type": "function", "function": function{pairs[i], pairs[i+1]}})
	}
	b, _ := json.Marshal(map[string]any{"role": "assistant", "content": "", "tool_calls": list})
	return string(b)
}

func said(text string) string {
	b, _ := json.Marshal(map[string]any{"role": "assistant", "content": text})
	return string(b)
}

func TestLLM(t *testing.T) {
	d := newDoor(t)
	m := newModel(t, calls("find", `{"name":"bolt"}`), calls("stock", `{"sku":"B8"}`, "stock", ""), said("41"), said("You are welcome."))
	l := m.player(t, func(o *LLMOptions) { o.System = "Be brief."; o.MaxTokens = 500 })
	s := d.enter(t, nil)
	reply, err := l.Play(t.Context(), s, "How many bolts?")
	if err != nil || reply != "41" {
		t.Fatalf("Play = %q, %v; want 41", reply, err)
	}
	if want := []string{`find {"name":"bolt"}`, `stock {"sku":"B8"}`, `stock {}`}; !slices.Equal(d.calls, want) {
		t.Errorf("calls = %q, want %q", d.calls, want)
	}
	if reply, err = l.Play(t.Context(), s, "Thanks."); err != nil || reply != "You are welcome." {
		t.Errorf("second turn = %q, %v", reply, err)
	}
	roles := []string{}
	for _, message := range m.requests[3]["messages"].([]any) {
		roles = append(roles, message.(map[string]any)["role"].(string))
	}
	if want := "system user assistant tool assistant tool tool assistant user"; strings.Join(roles, " ") != want {
		t.Errorf("roles of the last request = %s, want %s", roles, want)
	}
	if m.requests[0]["max_completion_tokens"] != 500.0 || len(m.requests[0]["tools"].([]any)) != 3 {
		t.Errorf("first request = %v", m.requests[0])
	}
	if s := l.Spent(); s.Calls != 4 || s.Input+s.Output != 400 {
		t.Errorf("Spent = %+v, want 400 tokens in 4 calls", s)
	}
}

// Ids are each one call's, whatever the server counts; thoughts are kept, and not sent back.
func TestLLMTranscript(t *testing.T) {
	thinking := strings.Replace(calls("stock", `{"sku":"B8"}`), `"content":""`, `"content":"","reasoning_content":"I look."`, 1)
	m := newModel(t, calls("stock", `{"sku":"B8"}`), thinking, said("41"))
	l := m.player(t, nil)
	if _, err := l.Play(t.Context(), newDoor(t).enter(t, nil), "How many?"); err != nil {
		t.Fatal(err)
	}
	told := string(l.Messages())
	if strings.Count(told, `"tool_call_id":"c0"`) != 1 || strings.Count(told, `"id":"c0"`) != 1 || strings.Count(told, `"reasoning_content":"I look."`) != 1 {
		t.Errorf("messages = %s", told)
	}
	if sent, _ := json.Marshal(m.requests[2]); strings.Contains(string(sent), "I look.") {
		t.Errorf("thoughts were sent back: %s", sent)
	}
}

// TestLLMMessagesAgree holds the transcript to the rules for submitted messages.
func TestLLMMessagesAgree(t *testing.T) {
	m := newModel(t, calls("fail", `{}`, "stock", `{"sku":`), said("I give up."))
	l := m.player(t, nil)
	if _, err := l.Play(t.Context(), newDoor(t).enter(t, nil), "Go."); err != nil {
		t.Fatal(err)
	}
	ep := &astra.Episode{Steps: []astra.Step{{Index: 1, Turn: 1, Tool: "fail", Args: json.RawMessage(`{}`), Result: astra.Failed(astra.FaultTool, "no such place")}}}
	if err := astra.Agree(ep, l.Messages()); err != nil {
		t.Errorf("Agree: %v\n%s", err, l.Messages())
	}
}

func TestLLMMalformedCalls(t *testing.T) {
	d := newDoor(t)
	noID := `{"role":"assistant","content":null,"tool_calls":[{"type":"function","function":{"name":"stock","arguments":"{}"}}]}`
	m := newModel(t, calls("find", `{"name": bolt`, "find", `[1]`, "", `{}`, "no_such_tool", `{}`), noID, said("done"))
	if reply, err := m.player(t, nil).Play(t.Context(), d.enter(t, nil), "Go."); err != nil || reply != "done" {
		t.Fatalf("Play = %q, %v", reply, err)
	}
	if want := []string{`stock {}`}; !slices.Equal(d.calls, want) {
		t.Errorf("calls = %q, want %q", d.calls, want)
	}
	messages := m.requests[2]["messages"].([]any)
	var contents []string
	for _, message := range messages {
		if message := message.(map[string]any); message["role"] == "tool" {
			contents = append(contents, message["content"].(string))
			if message["tool_call_id"] == "" {
				t.Error("a tool message has no tool_call_id")
			}
		}
	}
	if len(contents) != 5 || !strings.Contains(contents[0], "not a JSON object") || contents[1] != contents[0] ||
		!strings.Contains(contents[2], "names no tool") || !strings.Contains(contents[3], "no_such_tool") || contents[4] != "41" {
		t.Errorf("tool messages = %q", contents)
	}
}

func TestLLMStops(t *testing.T) {
	endless := slices.Repeat([]string{calls("stock", `{}`)}, 50)
	for _, c := range []struct {
		name   string
		change func(*LLMOptions)
		want   int
	}{
		{"rounds", func(o *LLMOptions) { o.Rounds = 4 }, 4},
		{"tokens", func(o *LLMOptions) { o.TotalTokens = 250 }, 3}, // the fake counts 100 each
	} {
		d, m := newDoor(t), newModel(t, endless...)
		l := m.player(t, c.change)
		if _, err := l.Play(t.Context(), d.enter(t, nil), "Go."); err != nil || string(l.Stopped()) != c.name {
			t.Errorf("%s: %q, %v", c.name, l.Stopped(), err)
		}
		if len(d.calls) != c.want {
			t.Errorf("%s: %d calls, want %d", c.name, len(d.calls), c.want)
		}
	}
}

func TestLLMErrors(t *testing.T) {
	for _, c := range []struct {
		name   string
		script []string
		want   string
	}{
		{"refused key", []string{"401"}, "401 Unauthorized: bad key ****"},
		{"no choices", []string{`application/json {"id":"c","choices":[]}`}, "no choices"},
		{"trouble told as success", []string{`application/json {"error":{"message":"overloaded"}}`}, "overloaded"},
		{"no message", []string{`application/json {"choices":[{"index":0,"message":null}]}`}, "no message"},
		{"broken off for new weights", []string{`application/json {"choices":[{"index":0,"finish_reason":"abort","message":{"role":"assistant","content":"4"}}]}`}, "broke the completion off"},
		{"content in parts", []string{`{"role":"assistant","content":[{"type":"text","text":"41"}]}`}, "no text"},
		{"no JSON", []string{"application/json {{{"}, "parsing response json"},
		{"a web page", []string{"text/html <html>Welcome</html>"}, `"text/html" where JSON was due`},
		{"a stream", []string{"text/event-stream data: {}\n\n"}, `"text/event-stream" where JSON was due`},
		{"down for good", []string{"500", "500", "500"}, "500"},
	} {
		_, err := newModel(t, c.script...).player(t, nil).Play(t.Context(), newDoor(t).enter(t, nil), "Go.")
		if !errors.Is(err, ErrModel) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), testAPIKey) {
			t.Errorf("%s: error %v, want ErrModel with %q and no key", c.name, err, c.want)
		}
	}
	reply, err := newModel(t, "429", "503", said("here")).player(t, nil).Play(t.Context(), newDoor(t).enter(t, nil), "Go.")
	if err != nil || reply != "here" {
		t.Errorf("after two failures: %q, %v; want here", reply, err)
	}
	if _, err := NewLLM(LLMOptions{}); err == nil {
		t.Error("NewLLM without a model succeeded")
	}
}

func TestLLMTimesOut(t *testing.T) {
	stuck := make(chan struct{})
	silent := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-stuck }))
	defer silent.Close()
	defer close(stuck)
	l, err := NewLLM(LLMOptions{BaseURL: silent.URL, Model: "m", Timeout: 20 * time.Millisecond, Retries: -1})
	if err != nil {
		t.Fatal(err)
	}
	_, err = l.Play(t.Context(), newDoor(t).enter(t, nil), "Go.")
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "no completion within 20ms") {
		t.Errorf("error = %v, want a deadline that says how long", err)
	}
}

// An answer that the server broke off is told from one that the model ended.
func TestCutShort(t *testing.T) {
	cut := func(finish string) string {
		return fmt.Sprintf(`application/json {"choices":[{"index":0,"finish_reason":%q,"message":{"role":"assistant","content":"There are"}}]}`, finish)
	}
	l := newModel(t, cut("length"), said("41"), cut("content_filter")).player(t, nil)
	s := newDoor(t).enter(t, nil)
	for _, want := range []Stop{CutShort, "", CutShort} {
		if reply, err := l.Play(t.Context(), s, "How many bolts?"); err != nil || reply == "" || l.Stopped() != want {
			t.Errorf("Play = %q, %v, stopped by %q, want %q", reply, err, l.Stopped(), want)
		}
	}
}
