package llm

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/shared"
)

// An OpenAI is a model behind a server that speaks OpenAI's chat protocol.
type OpenAI struct {
	caller
	chat openai.ChatCompletionService
}

// NewOpenAI returns a model; the base URL is by default https://api.openai.com/v1/.
func NewOpenAI(opts Options) (*OpenAI, error) {
	opts, err := opts.ready("https://api.openai.com/v1/")
	if err != nil {
		return nil, err
	}
	settings := []option.RequestOption{option.WithBaseURL(strings.TrimSuffix(opts.BaseURL, "/") + "/"), option.WithHTTPClient(opts.client()), option.WithMaxRetries(0)}
	if opts.APIKey != "" {
		settings = append(settings, option.WithAPIKey(opts.APIKey))
	}
	// The service is made by itself: openai.NewClient would look for keys in the environment.
	m := &OpenAI{chat: openai.NewChatCompletionService(settings...)}
	m.caller = caller{opts: opts, once: m.ask}
	return m, nil
}

// Name is what the server calls the model.
func (m *OpenAI) Name() string { return m.opts.Model }

func (m *OpenAI) ask(ctx context.Context, r Request) (Reply, error) {
	var response *http.Response
	settings := []option.RequestOption{option.WithResponseBodyInto(&response)}
	if m.opts.Stream && !r.whole {
		settings = append(settings, option.WithJSONSet("stream", true), option.WithJSONSet("stream_options", map[string]bool{"include_usage": true}))
	}
	_, err := m.chat.New(ctx, m.params(r), settings...)
	var api *openai.Error
	switch {
	case errors.As(err, &api):
		return Reply{}, &statusError{api.StatusCode, cmp.Or(api.Message, api.RawJSON()), retryAfter(api.Response)}
	case err != nil:
		return Reply{}, err
	}
	defer response.Body.Close()
	switch {
	case isStream(response):
		return readOpenAIStream(response.Body)
	case isJSON(response):
		return readOpenAI(response.Body)
	}
	return Reply{}, errNotJSON
}

func readOpenAI(body io.Reader) (Reply, error) {
	b, err := io.ReadAll(body)
	if err != nil {
		return Reply{}, err
	}
	var completion openai.ChatCompletion
	if err := json.Unmarshal(b, &completion); err != nil {
		return Reply{}, garbled("parsing the response: %w", err)
	}
	// A server's trouble told as success must not become a model's silence.
	if len(completion.Choices) == 0 || !completion.Choices[0].JSON.Message.Valid() {
		return Reply{}, garbled("the completion has no message: %s", b)
	}
	choice := &completion.Choices[0]
	if said := choice.Message.JSON.Content; said.Raw() != "" && said.Raw() != "null" && !said.Valid() {
		return Reply{}, garbled("the message's content is no text: %s", choice.Message.RawJSON())
	}
	return Reply{Text: choice.Message.Content + choice.Message.Refusal, Cut: choice.FinishReason == "length", Usage: openaiUsage(completion.Usage)}, nil
}

// readOpenAIStream puts a reply together. One without a finish reason is not whole.
func readOpenAIStream(body io.Reader) (Reply, error) {
	var reply Reply
	var text strings.Builder
	finished := false
	for data, err := range events(body) {
		if err != nil {
			return Reply{}, err
		}
		if string(data) == "[DONE]" {
			break
		}
		var chunk openai.ChatCompletionChunk
		if err := json.Unmarshal(data, &chunk); err != nil {
			return Reply{}, garbled("parsing the stream: %w", err)
		}
		if len(chunk.Choices) == 0 && !chunk.JSON.Choices.Valid() {
			return Reply{}, garbled("the stream has no message: %s", data)
		}
		for _, c := range chunk.Choices {
			text.WriteString(c.Delta.Content + c.Delta.Refusal)
			finished = finished || c.FinishReason != ""
			reply.Cut = reply.Cut || c.FinishReason == "length"
		}
		if chunk.Usage.TotalTokens > 0 {
			reply.Usage = openaiUsage(chunk.Usage)
		}
	}
	if reply.Text = text.String(); !finished {
		return Reply{}, errBroken
	}
	return reply, nil
}

func openaiUsage(u openai.CompletionUsage) Usage {
	return Usage{Input: u.PromptTokens, Output: u.CompletionTokens, Cached: u.PromptTokensDetails.CachedTokens, Reasoning: u.CompletionTokensDetails.ReasoningTokens}
}

func (m *OpenAI) params(r Request) openai.ChatCompletionNewParams {
	p := openai.ChatCompletionNewParams{Model: m.opts.Model}
	if r.System != "" {
		p.Messages = append(p.Messages, openai.SystemMessage(r.System))
	}
	for _, said := range r.Messages {
		if said.Role == Assistant {
			p.Messages = append(p.Messages, openai.AssistantMessage(said.Text))
		} else {
			p.Messages = append(p.Messages, openai.UserMessage(said.Text))
		}
	}
	if r.MaxTokens > 0 {
		p.MaxCompletionTokens = openai.Int(r.MaxTokens)
	}
	if r.Temperature != nil {
		p.Temperature = openai.Float(*r.Temperature)
	}
	if r.Seed != nil {
		p.Seed = openai.Int(*r.Seed)
	}
	if r.Schema != nil {
		// Not strict: that would refuse most schemas of tools. Servers of open models hold to it anyway.
		p.ResponseFormat.OfJSONSchema = &shared.ResponseFormatJSONSchemaParam{
			JSONSchema: shared.ResponseFormatJSONSchemaJSONSchemaParam{Name: answerName, Schema: r.Schema}}
	}
	return p
}

// answerName is what servers are told that a reply with a schema is called.
const answerName = "answer"

var _ Model = (*OpenAI)(nil)
