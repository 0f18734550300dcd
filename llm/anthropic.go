package llm

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
)

// An Anthropic is a model behind a server that speaks Anthropic's Messages API.
//
// It is one POST, so it is spoken here: the vendor's library brings the modules of two
// clouds, and reads keys and profiles from the environment and from files.
//
// The API has no seed, and wants MaxTokens: 4096 if the request says none.
type Anthropic struct {
	caller
	url  string
	http *http.Client
}

// NewAnthropic returns a model; the base URL is by default https://api.anthropic.com.
func NewAnthropic(opts Options) (*Anthropic, error) {
	opts, err := opts.ready("https://api.anthropic.com")
	if err != nil {
		return nil, err
	}
	base := strings.TrimSuffix(strings.TrimSuffix(opts.BaseURL, "/"), "/v1") // written with and without
	m := &Anthropic{url: base + "/v1/messages", http: opts.client()}
	m.caller = caller{opts: opts, once: m.ask}
	return m, nil
}

// Name is what the server calls the model.
func (m *Anthropic) Name() string { return m.opts.Model }

// The parts of the protocol that are used.
type (
	anthropicRequest struct {
		Model       string             `json:"model"`
		MaxTokens   int64              `json:"max_tokens"`
		System      string             `json:"system,omitempty"`
		Messages    []anthropicMessage `json:"messages"`
		Temperature *float64           `json:"temperature,omitempty"`
		Stream      bool               `json:"stream,omitempty"`
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
		Type       string             `json:"type"`
		Content    []anthropicContent `json:"content"`
		StopReason string             `json:"stop_reason"`
		Usage      anthropicUsage     `json:"usage"`
	}
	anthropicContent struct {
		Type  string          `json:"type"`
		Text  string          `json:"text"`
		Input json.RawMessage `json:"input"`
	}
	anthropicUsage struct {
		Input      int64 `json:"input_tokens"`
		Output     int64 `json:"output_tokens"`
		CacheRead  int64 `json:"cache_read_input_tokens"`
		CacheWrite int64 `json:"cache_creation_input_tokens"`
	}
	anthropicEvent struct {
		Type    string                `json:"type"`
		Index   int                   `json:"index"`
		Message anthropicReply        `json:"message"`       // message_start
		Block   struct{ Type string } `json:"content_block"` // content_block_start
		Delta   struct {
			Text       string `json:"text"`
			JSON       string `json:"partial_json"`
			StopReason string `json:"stop_reason"`
		} `json:"delta"` // content_block_delta, message_delta
		Usage anthropicUsage `json:"usage"` // message_delta: of the whole message
	}
	anthropicError struct {
		Error struct {
			Message string `json:"message"`
		} `json:"error"`
	}
)

// body asks for the schema by having the model call a tool, which must be called, with
// its answer as the arguments.
func (m *Anthropic) body(r Request) anthropicRequest {
	b := anthropicRequest{Model: m.opts.Model, Stream: m.opts.Stream && !r.whole, MaxTokens: r.MaxTokens, System: r.System, Temperature: r.Temperature}
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

func (m *Anthropic) ask(ctx context.Context, r Request) (Reply, error) {
	body, err := json.Marshal(m.body(r))
	if err != nil {
		return Reply{}, garbled("%w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, m.url, bytes.NewReader(body))
	if err != nil {
		return Reply{}, garbled("%w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Anthropic-Version", "2023-06-01")
	if m.opts.APIKey != "" {
		req.Header.Set("X-Api-Key", m.opts.APIKey)
	}
	response, err := m.http.Do(req)
	if err != nil {
		return Reply{}, err
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusOK && isStream(response) {
		return readAnthropicStream(response.Body)
	}
	answer, err := io.ReadAll(response.Body)
	switch {
	case err != nil:
		return Reply{}, err
	case response.StatusCode != http.StatusOK:
		return Reply{}, &statusError{response.StatusCode, complaint(answer), retryAfter(response)}
	case !isJSON(response):
		return Reply{}, errNotJSON
	}
	return readAnthropic(answer)
}

func complaint(answer []byte) string {
	var e anthropicError
	if json.Unmarshal(answer, &e) == nil && e.Error.Message != "" {
		return e.Error.Message
	}
	return string(answer)
}

func readAnthropic(answer []byte) (Reply, error) {
	var a anthropicReply
	if err := json.Unmarshal(answer, &a); err != nil {
		return Reply{}, garbled("parsing the response: %w", err)
	}
	if a.Type != "message" {
		return Reply{}, garbled("the server sent no message: %s", answer)
	}
	return a.reply(), nil
}

// reply takes the arguments of the tool that was to be called, else the text.
func (a *anthropicReply) reply() Reply {
	u := a.Usage
	reply := Reply{Cut: a.StopReason == "max_tokens", Usage: Usage{Input: u.Input + u.CacheRead + u.CacheWrite, Output: u.Output, Cached: u.CacheRead}}
	for _, c := range a.Content {
		switch c.Type {
		case "tool_use":
			reply.Text = string(c.Input)
			return reply
		case "text":
			reply.Text += c.Text
		}
	}
	return reply
}

// readAnthropicStream puts a message together. One without a stop reason is not whole.
func readAnthropicStream(body io.Reader) (Reply, error) {
	var a anthropicReply
	for data, err := range events(body) {
		if err != nil {
			return Reply{}, err
		}
		var e anthropicEvent
		if err := json.Unmarshal(data, &e); err != nil {
			return Reply{}, garbled("parsing the stream: %w", err)
		}
		if e.Type == "error" {
			return Reply{}, errors.New(complaint(data))
		}
		if e.Type == "message_stop" {
			break
		}
		if err := a.add(&e); err != nil {
			return Reply{}, err
		}
	}
	if a.StopReason == "" {
		return Reply{}, errBroken
	}
	return a.reply(), nil
}

// add takes one event of a stream. The input of a tool's call comes as text in pieces.
func (a *anthropicReply) add(e *anthropicEvent) error {
	switch e.Type {
	case "message_start":
		a.Usage = e.Message.Usage
	case "content_block_start":
		a.Content = append(a.Content, anthropicContent{Type: e.Block.Type})
	case "content_block_delta":
		if e.Index < 0 || e.Index >= len(a.Content) {
			return garbled("the stream adds to a part that it did not begin")
		}
		c := &a.Content[e.Index]
		c.Text += e.Delta.Text
		c.Input = append(c.Input, e.Delta.JSON...)
	case "message_delta":
		a.StopReason = cmp.Or(e.Delta.StopReason, a.StopReason)
		a.Usage.Output = max(a.Usage.Output, e.Usage.Output)
	}
	return nil
}

var _ Model = (*Anthropic)(nil)
