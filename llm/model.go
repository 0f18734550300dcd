package llm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// A Model completes chats. It is safe for concurrent use.
type Model interface {
	// Name is what its server calls it.
	Name() string
	// Complete asks for the next message. An error is ErrModel, or the context's cause.
	Complete(ctx context.Context, r Request) (Reply, error)
}

// A Request is a chat to be continued. A zero field but Messages leaves it to the server.
type Request struct {
	System      string          `json:"system,omitempty"`
	Messages    []Message       `json:"messages"` // the first and the last are the user's
	Schema      json.RawMessage `json:"schema,omitempty"`
	MaxTokens   int64           `json:"max_tokens,omitempty"` // of the reply
	Temperature *float64        `json:"temperature,omitempty"`
	Seed        *int64          `json:"seed,omitempty"`
}

// A Message is one message of a chat.
type Message struct {
	Role Role   `json:"role"`
	Text string `json:"text"`
}

// A Role says who speaks.
type Role string

// The two who take turns.
const (
	User      Role = "user"
	Assistant Role = "assistant"
)

// A Reply is what the model said.
type Reply struct {
	Text  string `json:"text"`
	Cut   bool   `json:"cut,omitempty"` // it had more to say than MaxTokens
	Usage Usage  `json:"usage"`
}

// Usage is what a reply cost, as its server counts.
type Usage struct {
	Input  int64 `json:"input"`
	Output int64 `json:"output"`
}

// ErrModel says that the model could not be asked, or that its server sent no message. The
// text of such an error may quote the request: it is for the operator.
var ErrModel = errors.New("the model did not answer")

// maxCompletion bounds what a model's server may send for one completion.
const maxCompletion = 8 << 20

// Options says where a model is and how long to wait for it. Model is needed; a zero field
// otherwise means the default.
type Options struct {
	BaseURL    string        // default the vendor's
	Model      string        // as the API names it
	APIKey     string        // "" for servers that ask for none
	Timeout    time.Duration // of one attempt; default 2 min
	Retries    int           // of a failed request; default 2, negative is none
	HTTPClient *http.Client  // default one of its own
}

// ready fills in what was left open, and refuses what cannot be asked.
func (o Options) ready(baseURL string) (Options, error) {
	if o.Model == "" {
		return o, errors.New("llm: no model is named")
	}
	if o.BaseURL == "" {
		o.BaseURL = baseURL
	}
	if u, err := url.Parse(o.BaseURL); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return o, fmt.Errorf("llm: %q is no URL of a model: want one such as http://localhost:8000/v1", o.BaseURL)
	}
	if o.Timeout == 0 {
		o.Timeout = 2 * time.Minute
	}
	if o.Retries == 0 {
		o.Retries = 2
	}
	o.Retries = max(o.Retries, 0)
	return o, nil
}

// client bounds what comes back, and follows no redirect: the next host was not named by
// the operator, and would be sent the key.
func (o *Options) client() *http.Client {
	var c http.Client
	if o.HTTPClient != nil {
		c = *o.HTTPClient
	}
	c.Transport = bounded{c.Transport}
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &c
}

// bounded cuts off answers that pass the limit.
type bounded struct{ next http.RoundTripper }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	next := b.next
	if next == nil {
		next = http.DefaultTransport
	}
	response, err := next.RoundTrip(r)
	if err == nil {
		response.Body = http.MaxBytesReader(nil, response.Body, maxCompletion)
	}
	return response, err
}

// trouble is what kept a model from answering, without its key, which some servers repeat.
func (o *Options) trouble(ctx context.Context, err error) error {
	text := err.Error()
	switch {
	case ctx.Err() != nil:
		err = context.Cause(ctx)
		text = err.Error()
	case errors.Is(err, context.DeadlineExceeded):
		text = fmt.Sprintf("no completion within %s", o.Timeout)
	}
	if len(o.APIKey) >= 4 { // a shorter one is no secret, and would blot out ordinary words
		text = strings.ReplaceAll(text, o.APIKey, "****")
	}
	return &modelError{err: err, text: clip(text, 1000)} // cut last: half a key is no less secret
}

type modelError struct {
	err  error
	text string
}

func (e *modelError) Error() string   { return ErrModel.Error() + ": " + e.text }
func (e *modelError) Unwrap() []error { return []error{ErrModel, e.err} }

// A statusError is an answer that is none: what HTTP says of it, and the server's words.
type statusError struct {
	status int
	said   string
}

func (e *statusError) Error() string {
	return fmt.Sprintf("%d %s: %s", e.status, http.StatusText(e.status), e.said)
}

var errNotJSON = errors.New("the server sent something else where JSON was due: is the base URL right? Many end in /v1")

func isJSON(r *http.Response) bool {
	return strings.HasPrefix(r.Header.Get("Content-Type"), "application/json")
}

// A fallback asks for less where a server refuses what not every server, or not every
// model, can do: first for an answer that is not held to the schema, then for one without
// temperature and seed. What was refused for nothing else is not asked for again.
type fallback struct {
	schemas  sync.Map // refused ones, as text
	sampling atomic.Bool
}

func (f *fallback) complete(ctx context.Context, r Request, ask func(context.Context, Request) (Reply, error)) (Reply, error) {
	if _, refused := f.schemas.Load(string(r.Schema)); refused {
		r.Schema = nil
	}
	if f.sampling.Load() {
		r.Temperature, r.Seed = nil, nil
	}
	reply, err := ask(ctx, r)
	if schema := r.Schema; schema != nil && refused(err) {
		r.Schema = nil
		if reply, err = ask(ctx, r); err == nil {
			f.schemas.Store(string(schema), true)
		}
	}
	if (r.Temperature != nil || r.Seed != nil) && refused(err) {
		r.Temperature, r.Seed = nil, nil
		if reply, err = ask(ctx, r); err == nil {
			f.sampling.Store(true)
		}
	}
	return reply, err
}

// refused reports whether a server found fault with the request itself.
func refused(err error) bool {
	var s *statusError
	return errors.As(err, &s) && (s.status == http.StatusBadRequest || s.status == http.StatusUnprocessableEntity)
}
