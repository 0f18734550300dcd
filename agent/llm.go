package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/packages/param"

	"github.com/astra-arenas/astra"
)

// LLMOptions says which model plays, and how far it may go. Model is needed; a zero field
// otherwise means the default.
type LLMOptions struct {
	BaseURL     string        // of an OpenAI-compatible API; default https://api.openai.com/v1/
	Model       string        // as the API names it
	APIKey      string        // "" for servers that ask for none
	System      string        // system message; default none
	Rounds      int           // completions for one user message; default 32
	MaxTokens   int64         // of one completion; default the server's
	TotalTokens int64         // of the whole episode, as the server counts them; default unlimited
	Temperature *float64      // default the server's
	Seed        *int64        // sent along, for servers that can repeat themselves
	Timeout     time.Duration // of one completion; default 5 min
	Retries     int           // of a failed request; default 2, negative is none
	HTTPClient  *http.Client  // default one of its own
}

// LLM is a chat model that plays one episode.
type LLM struct {
	opts     LLMOptions
	chat     openai.ChatCompletionService
	messages []openai.ChatCompletionMessageParamUnion
	thoughts map[int]string  // reasoning by message: kept for trainers, and not sent back
	ids      map[string]bool // of tool calls so far
	spent    Spent
	stopped  Stop
}

// Spent is what a player's model was asked, as its server counts. What it does not tell is 0.
type Spent struct {
	Calls  int
	Input  int64 // tokens
	Output int64
}

// A Stop is what ended a turn before the model did.
type Stop string

// The stops.
const (
	OutOfRounds Stop = "rounds"
	OutOfTokens Stop = "tokens"
	CutShort    Stop = "cut" // the server broke the answer off: its length, or a filter
)

// ErrModel says that the model could not be asked, or that its answer could not be read.
var ErrModel = errors.New("the model did not answer")

// ErrRequest is an ErrModel of this one request, which its server refuses, such as a chat
// that is too long for it: other episodes may well go on.
var ErrRequest = errors.New("the request was refused")

// maxCompletion bounds what a model server may send for one completion.
const maxCompletion = 32 << 20

// NewLLM returns a player for one episode. Nothing is read from the environment.
func NewLLM(opts LLMOptions) (*LLM, error) {
	if opts.Model == "" {
		return nil, errors.New("llm: no model is named")
	}
	opts.fill()
	if !strings.HasSuffix(opts.BaseURL, "/") {
		opts.BaseURL += "/"
	}
	transport := bounded{max: maxCompletion}
	hc := http.Client{}
	if opts.HTTPClient != nil {
		hc = *opts.HTTPClient
		transport.next = hc.Transport
	}
	hc.Transport = transport
	settings := []option.RequestOption{option.WithBaseURL(opts.BaseURL), option.WithHTTPClient(&hc), option.WithMaxRetries(max(opts.Retries, 0)),
		option.WithMaxRetryDelay(30 * time.Second), option.WithRequestTimeout(opts.Timeout)}
	if opts.APIKey != "" {
		settings = append(settings, option.WithAPIKey(opts.APIKey))
	}
	// The service is made by itself: openai.NewClient would look for keys in the environment.
	l := &LLM{opts: opts, thoughts: map[int]string{}, ids: map[string]bool{}, chat: openai.NewChatCompletionService(settings...)}
	if opts.System != "" {
		l.messages = append(l.messages, openai.SystemMessage(opts.System))
	}
	return l, nil
}

func (o *LLMOptions) fill() {
	if o.BaseURL == "" {
		o.BaseURL = "https://api.openai.com/v1/"
	}
	if o.Rounds <= 0 {
		o.Rounds = 32
	}
	if o.Timeout == 0 {
		o.Timeout = 5 * time.Minute
	}
	if o.Retries == 0 {
		o.Retries = 2
	}
}

// Play hands the message to the model and runs the tools it asks for, one after another in
// its order, until it answers without asking. When its rounds or tokens are spent, what it
// said last is the reply.
func (l *LLM) Play(ctx context.Context, s Session, message string) (string, error) {
	tools, err := s.Tools(ctx)
	if err != nil {
		return "", err
	}
	l.messages = append(l.messages, openai.UserMessage(message))
	l.stopped = ""
	reply := ""
	for range l.opts.Rounds {
		said, cut, err := l.complete(ctx, tools)
		if err != nil {
			return "", err
		}
		if said.Content+said.Refusal != "" {
			reply = said.Content + said.Refusal
		}
		if len(said.ToolCalls) == 0 {
			if cut {
				l.stopped = CutShort
			}
			return said.Content + said.Refusal, nil
		}
		if err := l.run(ctx, s, said.ToolCalls); err != nil {
			return "", err
		}
		if l.opts.TotalTokens > 0 && l.spent.Input+l.spent.Output >= l.opts.TotalTokens {
			l.stopped = OutOfTokens
			return reply, nil
		}
	}
	l.stopped = OutOfRounds
	return reply, nil
}

// complete asks for one message and keeps it; cut says that the server broke it off.
func (l *LLM) complete(ctx context.Context, tools []astra.PublicTool) (said openai.ChatCompletionMessage, cut bool, err error) {
	params := openai.ChatCompletionNewParams{Model: l.opts.Model, Messages: l.messages, Tools: functions(tools)}
	if l.opts.MaxTokens > 0 {
		params.MaxCompletionTokens = openai.Int(l.opts.MaxTokens)
	}
	if l.opts.Temperature != nil {
		params.Temperature = openai.Float(*l.opts.Temperature)
	}
	if l.opts.Seed != nil {
		params.Seed = openai.Int(*l.opts.Seed)
	}
	var response *http.Response
	completion, err := l.chat.New(ctx, params, option.WithResponseInto(&response))
	if err == nil {
		err = unreadable(completion)
	} else if kind := contentType(response); kind != "application/json" && response != nil && response.StatusCode == http.StatusOK {
		err = fmt.Errorf("the server sent %q where JSON was due: is the base URL right? Many end in /v1", kind)
	}
	if err != nil {
		return said, false, l.explain(ctx, err)
	}
	l.spent.Calls++
	l.spent.Input += completion.Usage.PromptTokens
	l.spent.Output += completion.Usage.CompletionTokens
	choice := &completion.Choices[0]
	said = choice.Message
	for i := range said.ToolCalls {
		said.ToolCalls[i].ID = l.callID(said.ToolCalls[i].ID, i+1)
	}
	if thought := reasoning(&said); thought != "" {
		l.thoughts[len(l.messages)] = thought
	}
	l.messages = append(l.messages, spoken(said))
	return said, choice.FinishReason == "length" || choice.FinishReason == "content_filter", nil
}

// callID is an id that no call of the episode had: some servers leave them out, or count
// anew in each completion, and the answers need them.
func (l *LLM) callID(id string, n int) string {
	if id == "" || l.ids[id] {
		id = fmt.Sprintf("call_%d_%d", len(l.messages), n)
	}
	l.ids[id] = true
	return id
}

// reasoning is what the model thought, where its server tells: the field is no part of
// OpenAI's protocol, and has two names.
func reasoning(said *openai.ChatCompletionMessage) string {
	for _, name := range []string{"reasoning_content", "reasoning"} {
		var text string
		if json.Unmarshal([]byte(said.JSON.ExtraFields[name].Raw()), &text) == nil && text != "" {
			return text
		}
	}
	return ""
}

// unreadable says what keeps a completion from being a message. A server's trouble must not
// become a model's silence, which would score 0.
func unreadable(c *openai.ChatCompletion) error {
	if len(c.Choices) == 0 {
		return fmt.Errorf("the completion has no choices: %.300s", c.RawJSON())
	}
	choice := &c.Choices[0]
	if choice.FinishReason == "abort" || choice.FinishReason == "error" { // of vLLM and SGLang, for new weights
		return fmt.Errorf("the server broke the completion off (%s)", choice.FinishReason)
	}
	if !choice.JSON.Message.Valid() {
		return fmt.Errorf("the completion has no message: %.300s", choice.RawJSON())
	}
	if said := &choice.Message; said.JSON.Content.Raw() != "" && said.JSON.Content.Raw() != "null" && !said.JSON.Content.Valid() {
		return fmt.Errorf("the message's content is no text: %.300s", said.RawJSON())
	}
	return nil
}

func contentType(r *http.Response) string {
	if r == nil {
		return ""
	}
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return kind
}

// spoken is the model's message as it is sent back to it. It is put together by hand: the
// library's own conversion goes by the bytes that came, and would lose ids added to them.
func spoken(said openai.ChatCompletionMessage) openai.ChatCompletionMessageParamUnion {
	var m openai.ChatCompletionAssistantMessageParam
	if said.Content != "" || len(said.ToolCalls) == 0 {
		m.Content.OfString = openai.String(said.Content)
	}
	if said.Refusal != "" {
		m.Refusal = openai.String(said.Refusal)
	}
	for _, c := range said.ToolCalls {
		m.ToolCalls = append(m.ToolCalls, openai.ChatCompletionMessageToolCallUnionParam{OfFunction: &openai.ChatCompletionMessageFunctionToolCallParam{
			ID: c.ID, Function: openai.ChatCompletionMessageFunctionToolCallFunctionParam{Name: c.Function.Name, Arguments: c.Function.Arguments}}})
	}
	return openai.ChatCompletionMessageParamUnion{OfAssistant: &m}
}

// run answers each tool call, as the API wants it. What no door could carry, arguments
// that are no JSON object, is answered here and makes no step.
func (l *LLM) run(ctx context.Context, s Session, calls []openai.ChatCompletionMessageToolCallUnion) error {
	for _, c := range calls {
		text, err := l.call(ctx, s, c.Function.Name, c.Function.Arguments)
		if err != nil {
			return err
		}
		l.messages = append(l.messages, openai.ToolMessage(text, c.ID))
	}
	return nil
}

func (l *LLM) call(ctx context.Context, s Session, tool, arguments string) (string, error) {
	if strings.TrimSpace(arguments) == "" {
		arguments = "{}" // how several models call a tool without parameters
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal([]byte(arguments), &object); err != nil || object == nil {
		return "the arguments are not a JSON object; call again with one", nil
	}
	if tool == "" {
		return "the call names no tool", nil
	}
	out, err := s.Call(ctx, tool, json.RawMessage(arguments))
	if err != nil {
		return "", fmt.Errorf("%s: %w", maskText(tool, l.opts.APIKey), err)
	}
	return out.Text, nil // unadorned: submitted messages are held to the log
}

// explain says what the server said, without the key, which some servers repeat.
func (l *LLM) explain(ctx context.Context, err error) error {
	text := err.Error()
	var api *openai.Error
	if errors.As(err, &api) {
		if api.Message != "" {
			text += ": " + api.Message
		}
		if slices.Contains([]int{http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity}, api.StatusCode) {
			err = errors.Join(ErrRequest, err)
		}
	}
	if errors.Is(err, context.DeadlineExceeded) {
		text = fmt.Sprintf("no completion within %s", l.opts.Timeout)
	}
	if ctx.Err() != nil {
		err, text = context.Cause(ctx), context.Cause(ctx).Error()
	}
	return mask(&modelError{err: err, text: text}, l.opts.APIKey)
}

type modelError struct {
	err  error
	text string
}

func (e *modelError) Error() string   { return ErrModel.Error() + ": " + e.text }
func (e *modelError) Unwrap() []error { return []error{ErrModel, e.err} }

// Messages returns the conversation so far, with what the model thought.
func (l *LLM) Messages() json.RawMessage {
	told := slices.Clone(l.messages)
	for i, thought := range l.thoughts {
		m := *told[i].OfAssistant
		m.SetExtraFields(map[string]any{"reasoning_content": thought})
		told[i].OfAssistant = &m
	}
	b, err := json.Marshal(told)
	if err != nil {
		return nil
	}
	return b
}

// Spent is what the model was asked so far.
func (l *LLM) Spent() Spent { return l.spent }

// Stopped is the limit that ended the last turn; "" if the model did.
func (l *LLM) Stopped() Stop { return l.stopped }

// functions are the tools in the API's words. Schemas are passed on byte for byte: a policy
// that was fine-tuned on these tools must read what it has read.
func functions(tools []astra.PublicTool) []openai.ChatCompletionToolUnionParam {
	var list []openai.ChatCompletionToolUnionParam
	for _, t := range astra.ChatTools(tools) {
		if !bytes.HasPrefix(bytes.TrimSpace(t.Function.Parameters), []byte("{")) {
			t.Function.Parameters = json.RawMessage(`{}`) // a door lists objects; what is none becomes a tool without parameters
		}
		raw, err := json.Marshal(t)
		if err != nil {
			continue // JSON that a door sent is JSON
		}
		var f openai.ChatCompletionFunctionToolParam
		param.SetJSON(raw, &f)
		list = append(list, openai.ChatCompletionToolUnionParam{OfFunction: &f})
	}
	return list
}
