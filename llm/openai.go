package llm

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/shared"
)

// An OpenAI is a model behind a server that speaks OpenAI's chat protocol.
type OpenAI struct {
	opts Options
	chat openai.ChatCompletionService
	less fallback
}

// NewOpenAI returns a model; the base URL is by default https://api.openai.com/v1/.
func NewOpenAI(opts Options) (*OpenAI, error) {
	opts, err := opts.ready("https://api.openai.com/v1/")
	if err != nil {
		return nil, err
	}
	settings := []option.RequestOption{option.WithBaseURL(strings.TrimSuffix(opts.BaseURL, "/") + "/"), option.WithHTTPClient(opts.client()),
		option.WithMaxRetries(opts.Retries), option.WithMaxRetryDelay(maxRetryDelay), option.WithRequestTimeout(opts.Timeout)}
	if opts.APIKey != "" {
		settings = append(settings, option.WithAPIKey(opts.APIKey))
	}
	// The service is made by itself: openai.NewClient would look for keys in the environment.
	return &OpenAI{opts: opts, chat: openai.NewChatCompletionService(settings...)}, nil
}

// maxRetryDelay is the longest that a server may have us wait before another attempt.
const maxRetryDelay = 30 * time.Second

// Name is what the server calls the model.
func (m *OpenAI) Name() string { return m.opts.Model }

// Complete asks for the next message.
func (m *OpenAI) Complete(ctx context.Context, r Request) (Reply, error) {
	reply, err := m.less.complete(ctx, r, m.ask)
	if err != nil {
		return Reply{}, m.opts.trouble(ctx, err)
	}
	return reply, nil
}

func (m *OpenAI) ask(ctx context.Context, r Request) (Reply, error) {
	var response *http.Response
	completion, err := m.chat.New(ctx, m.params(r), option.WithResponseInto(&response))
	var api *openai.Error
	switch {
	case errors.As(err, &api):
		return Reply{}, &statusError{api.StatusCode, cmp.Or(api.Message, api.RawJSON())}
	case err != nil && response != nil && response.StatusCode == http.StatusOK && !isJSON(response):
		return Reply{}, errNotJSON
	case err != nil:
		return Reply{}, err
	}
	// A server's trouble told as success must not become a model's silence.
	if len(completion.Choices) == 0 || !completion.Choices[0].JSON.Message.Valid() {
		return Reply{}, fmt.Errorf("the completion has no message: %s", completion.RawJSON())
	}
	choice := &completion.Choices[0]
	if said := choice.Message.JSON.Content; said.Raw() != "" && said.Raw() != "null" && !said.Valid() {
		return Reply{}, fmt.Errorf("the message's content is no text: %s", choice.Message.RawJSON())
	}
	return Reply{Text: choice.Message.Content + choice.Message.Refusal, Cut: choice.FinishReason == "length",
		Usage: Usage{Input: completion.Usage.PromptTokens, Output: completion.Usage.CompletionTokens}}, nil
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
