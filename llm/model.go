package llm

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
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
	Purpose     string          `json:"-"` // what meters count it under; no part of what is asked
	System      string          `json:"system,omitempty"`
	Messages    []Message       `json:"messages"` // the first and the last are the user's
	Schema      json.RawMessage `json:"schema,omitempty"`
	MaxTokens   int64           `json:"max_tokens,omitempty"` // of the reply
	Temperature *float64        `json:"temperature,omitempty"`
	Seed        *int64          `json:"seed,omitempty"`

	whole bool // not as a stream
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

// Usage is the tokens of a reply, as its server counts. What it does not tell is 0.
type Usage struct {
	Input     int64 `json:"input"`
	Output    int64 `json:"output"`
	Cached    int64 `json:"cached,omitempty"`    // of Input, what the server had read before
	Reasoning int64 `json:"reasoning,omitempty"` // of Output, what was thought and not said
}

// ErrModel says that the model could not be asked, or that its server sent no message. The
// text of such an error may quote the request: it is for the operator.
var ErrModel = errors.New("the model did not answer")

// ErrRequest is an ErrModel of this one request, which its server refuses: others may well
// be answered, and asking again would not help.
var ErrRequest = errors.New("the request was refused")

// ErrReplay is an ErrModel of a replay that knows no answer to this request. It says nothing
// of the request: with its model at hand it would have been asked.
var ErrReplay = errors.New("no answer to this request was kept: record it first, with the same model and settings")

// maxCompletion bounds what a model's server may send for one completion.
const maxCompletion = 8 << 20

// Options says where a model is and how long to wait for it. Model is needed; a zero field
// otherwise means the default.
type Options struct {
	BaseURL    string        // default the vendor's
	Model      string        // as the API names it
	APIKey     string        // "" for servers that ask for none
	Stream     bool          // ask for replies in pieces, so that one that stalls is noticed; servers that do not stream may answer whole
	Timeout    time.Duration // of one attempt; default 2 min
	Idle       time.Duration // between two pieces of a reply; default 30 s
	Patience   time.Duration // with one completion, all attempts and waits together; default 15 min
	Retries    int           // of a failed attempt; default 2, negative is none
	Limiter    *Limiter      // how fast the server may be asked; may be shared; nil is as fast as can be
	Meter      *Meter        // counts what is asked; may be shared
	HTTPClient *http.Client  // default one of its own
}

// ready fills in what was left open, and refuses what cannot be asked.
func (o Options) ready(baseURL string) (Options, error) {
	if o.Model == "" {
		return o, errors.New("llm: no model is named")
	}
	o.BaseURL = cmp.Or(o.BaseURL, baseURL)
	if u, err := url.Parse(o.BaseURL); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return o, fmt.Errorf("llm: %q is no URL of a model: want one such as http://localhost:8000/v1", o.BaseURL)
	}
	o.Timeout = cmp.Or(o.Timeout, 2*time.Minute)
	o.Idle = cmp.Or(o.Idle, 30*time.Second)
	o.Patience = cmp.Or(o.Patience, 15*time.Minute)
	o.Retries = max(cmp.Or(o.Retries, 2), 0)
	return o, nil
}

// client bounds what comes back, and follows no redirect: the next host was not named by
// the operator, and would be sent the key.
func (o *Options) client() *http.Client {
	var c http.Client
	if o.HTTPClient != nil {
		c = *o.HTTPClient
	}
	c.Transport = bounded{c.Transport, o.Idle}
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &c
}

// bounded cuts off answers that pass the limit, and streams that stand still.
type bounded struct {
	next http.RoundTripper
	idle time.Duration
}

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	next := b.next
	if next == nil {
		next = http.DefaultTransport
	}
	response, err := next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if isStream(response) {
		response.Body = watch(response.Body, b.idle)
	}
	response.Body = http.MaxBytesReader(nil, response.Body, maxCompletion)
	return response, nil
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
	if refused(err) {
		err = errors.Join(ErrRequest, err)
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
