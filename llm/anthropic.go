package llm

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// An Anthropic is a model behind a server that speaks Anthropic's Messages API.
//
// It is one POST, so it is spoken here: the vendor's library brings the modules of two
// clouds, and reads keys and profiles from the environment and from files.
type Anthropic struct {
	opts Options
	url  string
	http *http.Client
	less fallback
}

// NewAnthropic returns a model; the base URL is by default https://api.anthropic.com.
func NewAnthropic(opts Options) (*Anthropic, error) {
	opts, err := opts.ready("https://api.anthropic.com")
	if err != nil {
		return nil, err
	}
	base := strings.TrimSuffix(strings.TrimSuffix(opts.BaseURL, "/"), "/v1") // written with and without
	return &Anthropic{opts: opts, url: base + "/v1/messages", http: opts.client()}, nil
}

// Name is what the server calls the model.
func (m *Anthropic) Name() string { return m.opts.Model }

// Complete asks for the next message. The API has no seed, and wants MaxTokens: 4096 if
// the request says none.
func (m *Anthropic) Complete(ctx context.Context, r Request) (Reply, error) {
	reply, err := m.less.complete(ctx, r, m.ask)
	if err != nil {
		return Reply{}, m.opts.trouble(ctx, err)
	}
	return reply, nil
}

// The parts of the protocol that are used.
type (
	anthropicRequest struct {
		Model       string             `json:"model"`
		MaxTokens   int64              `json:"max_tokens"`
		System      string             `json:"system,omitempty"`
		Messages    []anthropicMessage `json:"messages"`
		Temperature *float64           `json:"temperature,omitempty"`
		Tools       []anthropicTool    `json:"tools,omitempty"`
		ToolChoice  *anthropicChoice   `json:"tool_choice,omitempty"`
	}
	anthropicMessage struct {
		Role    Role   `json:"role"`
		Content string `json:"content"`
	}
	anthropicTool struct {
		Name        string          `json:"name"`
		Description string          `json:"description"`
		InputSchema json.RawMessage `json:"input_schema"`
	}
	anthropicChoice struct {
		Type string `json:"type"`
		Name string `json:"name"`
	}
	anthropicReply struct {
		Type    string `json:"type"`
		Content []struct {
			Type  string          `json:"type"`
			Text  string          `json:"text"`
			Input json.RawMessage `json:"input"`
		} `json:"content"`
		StopReason string `json:"stop_reason"`
		Usage      struct {
			Input  int64 `json:"input_tokens"`
			Output int64 `json:"output_tokens"`
		} `json:"usage"`
	}
	anthropicError struct {
		Error struct {
			Message string `json:"message"`
		} `json:"error"`
	}
)

func (m *Anthropic) ask(ctx context.Context, r Request) (Reply, error) {
	body, err := json.Marshal(m.body(r))
	if err != nil {
		return Reply{}, err
	}
	for attempt := 0; ; attempt++ {
		answer, wait, err := m.post(ctx, body)
		if err == nil {
			return readAnthropic(answer)
		}
		if wait < 0 || attempt >= m.opts.Retries {
			return Reply{}, err
		}
		if wait == 0 {
			wait = time.Second / 2 << min(attempt, 6)
		}
		if err := sleep(ctx, min(wait, maxRetryDelay)); err != nil {
			return Reply{}, err
		}
	}
}

// body asks for the schema by having the model call a tool, which must be called, with
// its answer as the arguments.
func (m *Anthropic) body(r Request) anthropicRequest {
	b := anthropicRequest{Model: m.opts.Model, MaxTokens: r.MaxTokens, System: r.System, Temperature: r.Temperature}
	if b.MaxTokens <= 0 {
		b.MaxTokens = 4096
	}
	for _, said := range r.Messages {
		b.Messages = append(b.Messages, anthropicMessage{said.Role, said.Text})
	}
	if r.Schema != nil {
		b.Tools = []anthropicTool{{answerName, "Takes your answer.", r.Schema}}
		b.ToolChoice = &anthropicChoice{"tool", answerName}
	}
	return b
}

// post makes one attempt. wait says when another may be made: 0 soon, below 0 never.
func (m *Anthropic) post(ctx context.Context, body []byte) (answer []byte, wait time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, m.opts.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, m.url, bytes.NewReader(body))
	if err != nil {
		return nil, -1, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Anthropic-Version", "2023-06-01")
	if m.opts.APIKey != "" {
		req.Header.Set("X-Api-Key", m.opts.APIKey)
	}
	response, err := m.http.Do(req)
	if err != nil {
		return nil, 0, err
	}
	defer response.Body.Close()
	answer, err = io.ReadAll(response.Body)
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, -1, fmt.Errorf("the server sent more than %d bytes", tooLarge.Limit)
	case err != nil:
		return nil, 0, err
	case response.StatusCode == http.StatusOK && !isJSON(response):
		return nil, -1, errNotJSON
	case response.StatusCode == http.StatusOK:
		return answer, 0, nil
	}
	return nil, retryAfter(response), &statusError{response.StatusCode, complaint(answer)}
}

func complaint(answer []byte) string {
	var e anthropicError
	if json.Unmarshal(answer, &e) == nil && e.Error.Message != "" {
		return e.Error.Message
	}
	return string(answer)
}

// retryAfter is how long to wait after a failure that may pass.
func retryAfter(r *http.Response) time.Duration {
	switch s := r.StatusCode; {
	case s != http.StatusRequestTimeout && s != http.StatusTooManyRequests && s < 500:
		return -1
	case r.Header.Get("Retry-After-Ms") != "":
		ms, _ := strconv.Atoi(r.Header.Get("Retry-After-Ms"))
		return time.Duration(max(ms, 0)) * time.Millisecond
	}
	s, _ := strconv.Atoi(r.Header.Get("Retry-After")) // a date is rare, and read as 0
	return time.Duration(max(s, 0)) * time.Second
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// readAnthropic takes the arguments of the tool that was to be called, else the text.
func readAnthropic(answer []byte) (Reply, error) {
	var a anthropicReply
	if err := json.Unmarshal(answer, &a); err != nil {
		return Reply{}, fmt.Errorf("parsing the response: %w", err)
	}
	if a.Type != "message" {
		return Reply{}, fmt.Errorf("the server sent no message: %s", answer)
	}
	reply := Reply{Cut: a.StopReason == "max_tokens", Usage: Usage{a.Usage.Input, a.Usage.Output}}
	for _, c := range a.Content {
		switch c.Type {
		case "tool_use":
			reply.Text = string(c.Input)
			return reply, nil
		case "text":
			reply.Text += c.Text
		}
	}
	return reply, nil
}

var _ Model = (*Anthropic)(nil)
