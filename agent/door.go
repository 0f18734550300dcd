package agent

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mark3labs/mcp-go/client"
	"github.com/mark3labs/mcp-go/client/transport"
	"github.com/mark3labs/mcp-go/mcp"

	"github.com/astra-arenas/astra"
)

// DoorOptions adjusts a Door. A zero field, or a nil *DoorOptions, means the default.
type DoorOptions struct {
	HTTPClient *http.Client  // default one of its own
	Timeout    time.Duration // of one request; default 1 min
	Retries    int           // of a request whose answer was lost; default 3, negative is none
	MaxBody    int64         // bytes of one answer; default 16 MiB
	Legacy     bool          // keep to the protocol before 2026-07-28
}

// A Door is a Session over MCP's Streamable HTTP.
type Door struct {
	client *client.Client
	tap    *tap
	opts   DoorOptions
	secret string // the episode's key, kept out of every error
	prefix string // of idempotency keys: a fork inherits its parent's, so each session has its own
	calls  atomic.Int64
}

// Dial enters an episode by its door's URL, with its key as bearer token; key is "" where
// the URL has it. It is astra.ErrNotFound if no episode is behind the door.
func Dial(ctx context.Context, url string, key astra.Key, opts *DoorOptions) (*Door, error) {
	d := &Door{secret: string(key), prefix: rand.Text()}
	if opts != nil {
		d.opts = *opts
	}
	d.opts.fill()
	headers := map[string]string{}
	if key != "" {
		headers["Authorization"] = "Bearer " + string(key)
	}
	http, err := transport.NewStreamableHTTP(url, transport.WithHTTPBasicClient(d.opts.http()), transport.WithHTTPHeaders(headers))
	if err != nil {
		return nil, d.explain(err)
	}
	d.tap = &tap{StreamableHTTP: http}
	var options []client.ClientOption
	if d.opts.Legacy {
		options = append(options, client.WithProtocolVersion(mcp.LATEST_LEGACY_PROTOCOL_VERSION))
	}
	d.client = client.NewClient(d.tap, options...)
	if err := d.enter(ctx); err != nil {
		d.client.Close()
		return nil, d.explain(err)
	}
	return d, nil
}

func (d *Door) enter(ctx context.Context) error {
	if err := d.client.Start(ctx); err != nil {
		return err
	}
	var hello mcp.InitializeRequest
	hello.Params.ClientInfo = mcp.Implementation{Name: "astra-agent", Version: "1"}
	_, err := d.client.Initialize(ctx, hello)
	return err
}

// Close leaves the door. The episode goes on.
func (d *Door) Close() error { return d.client.Close() }

// Tools lists the tools in view now.
func (d *Door) Tools(ctx context.Context) ([]astra.PublicTool, error) {
	var tools []astra.PublicTool
	err := d.retry(ctx, func(ctx context.Context) error {
		// The client's own Tool type loses what it does not know of a schema, so the
		// list is read from the bytes that it was given.
		d.tap.mu.Lock()
		defer d.tap.mu.Unlock()
		d.tap.pages = nil
		if _, err := d.client.ListTools(ctx, mcp.ListToolsRequest{}); err != nil {
			return err
		}
		var err error
		tools, err = publicTools(d.tap.pages)
		return err
	})
	return tools, err
}

// Call runs one tool. A call whose answer was lost is repeated under the same idempotency
// key, which makes no second step of it.
func (d *Door) Call(ctx context.Context, tool string, args json.RawMessage) (Outcome, error) {
	var request mcp.CallToolRequest
	request.Params.Name, request.Params.Arguments = tool, args
	key := d.prefix + "-" + strconv.FormatInt(d.calls.Add(1), 10)
	request.Params.Meta = &mcp.Meta{AdditionalFields: map[string]any{"dev.astra/idempotencyKey": key}}
	var out Outcome
	err := d.retry(ctx, func(ctx context.Context) error {
		result, err := d.client.CallTool(ctx, request)
		if errors.Is(err, mcp.ErrInvalidParams) || errors.Is(err, mcp.ErrMethodNotFound) {
			// An unknown tool. The client puts its own words before the door's.
			text := strings.TrimPrefix(err.Error(), mcp.ErrInvalidParams.Error()+": ")
			out = Outcome{Failed: true, Text: text}
			return nil
		}
		if err == nil {
			out, err = outcome(result)
		}
		return err
	})
	return out, err
}

// retry repeats what failed on the way, a little later each time.
func (d *Door) retry(ctx context.Context, do func(context.Context) error) error {
	for n := 0; ; n++ {
		err := d.once(ctx, do)
		var lost *transport.Error
		if err == nil || n >= d.opts.Retries || ctx.Err() != nil || gone(err) || !errors.As(err, &lost) {
			return d.explain(err)
		}
		select {
		case <-ctx.Done():
			return d.explain(context.Cause(ctx))
		case <-time.After(50 * time.Millisecond << n):
		}
	}
}

func (d *Door) once(ctx context.Context, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, d.opts.Timeout, fmt.Errorf("the door did not answer within %s", d.opts.Timeout))
	defer cancel()
	err := do(ctx)
	if err != nil && ctx.Err() != nil {
		err = transport.NewError(context.Cause(ctx))
	}
	return err
}

// gone reports whether the door's answer was 404. The client calls that the end of a
// session, or takes it for the sign of a very old server.
func gone(err error) bool {
	return errors.Is(err, transport.ErrSessionTerminated) || errors.Is(err, transport.ErrLegacySSEServer)
}

func (d *Door) explain(err error) error {
	if gone(err) {
		err = fmt.Errorf("no episode is behind this door, or no longer: %w", astra.ErrNotFound)
	}
	return mask(err, d.secret)
}

// outcome reads a tool's answer. Content that is not structured is read as DESIGN.md has
// it for upstreams: the single text.
func outcome(r *mcp.CallToolResult) (Outcome, error) {
	text := textOf(r.Content)
	if r.IsError {
		return Outcome{Failed: true, Text: text}, nil
	}
	value := r.RawStructuredContent
	if len(value) == 0 && r.StructuredContent != nil {
		var err error
		if value, err = json.Marshal(r.StructuredContent); err != nil {
			return Outcome{}, err
		}
	}
	return Outcome{Value: unwrap(value, text), Text: text}, nil
}

// unwrap undoes {"result": …}, in which older protocols carry what is no object. The text
// tells it from a tool whose object has just that key: it is the value itself.
func unwrap(value json.RawMessage, text string) json.RawMessage {
	if len(value) == 0 {
		if json.Valid([]byte(text)) {
			return json.RawMessage(text)
		}
		return quote(text)
	}
	var object map[string]json.RawMessage
	if json.Unmarshal(value, &object) != nil || len(object) != 1 || object["result"] == nil {
		return value
	}
	inner := object["result"]
	var s string
	if json.Unmarshal(inner, &s) == nil && s == text || sameJSON(inner, []byte(text)) {
		return inner
	}
	return value
}

func sameJSON(a, b []byte) bool {
	var x, y bytes.Buffer
	return json.Compact(&x, a) == nil && json.Compact(&y, b) == nil && bytes.Equal(x.Bytes(), y.Bytes())
}

func quote(s string) json.RawMessage {
	b, _ := json.Marshal(s) // a string always encodes
	return b
}

func textOf(content []mcp.Content) string {
	var parts []string
	for _, c := range content {
		if t, ok := c.(mcp.TextContent); ok {
			parts = append(parts, t.Text)
		}
	}
	return strings.Join(parts, "\n")
}

// A tap keeps the pages of the last tools/list as they came.
type tap struct {
	*transport.StreamableHTTP
	mu    sync.Mutex // held by Door.Tools for the whole of a listing
	pages []json.RawMessage
}

func (t *tap) SendRequest(ctx context.Context, r transport.JSONRPCRequest) (*transport.JSONRPCResponse, error) {
	response, err := t.StreamableHTTP.SendRequest(ctx, r)
	if err == nil && r.Method == string(mcp.MethodToolsList) {
		t.pages = append(t.pages, response.Result)
	}
	return response, err
}

func publicTools(pages []json.RawMessage) ([]astra.PublicTool, error) {
	var tools []astra.PublicTool
	for _, page := range pages {
		var list struct {
			Tools []struct {
				Name, Title, Description string
				InputSchema              json.RawMessage `json:"inputSchema"`
				OutputSchema             json.RawMessage `json:"outputSchema"`
			}
		}
		if err := json.Unmarshal(page, &list); err != nil {
			return nil, fmt.Errorf("tools/list: %w", err)
		}
		for _, t := range list.Tools {
			tools = append(tools, astra.PublicTool{Name: t.Name, Title: t.Title, Description: t.Description, Input: t.InputSchema, Output: t.OutputSchema})
		}
	}
	return tools, nil
}

func (o *DoorOptions) fill() {
	if o.Timeout == 0 {
		o.Timeout = time.Minute
	}
	if o.Retries == 0 {
		o.Retries = 3
	}
	if o.MaxBody == 0 {
		o.MaxBody = 16 << 20
	}
}

func (o *DoorOptions) http() *http.Client {
	c := http.Client{}
	if o.HTTPClient != nil {
		c = *o.HTTPClient
	}
	c.Transport = bounded{next: c.Transport, max: o.MaxBody}
	return &c
}

// bounded cuts off answers that pass its limit: what comes through a door is a stranger's.
type bounded struct {
	next http.RoundTripper
	max  int64
}

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	next := b.next
	if next == nil {
		next = http.DefaultTransport
	}
	response, err := next.RoundTrip(r)
	if err == nil {
		response.Body = http.MaxBytesReader(nil, response.Body, b.max)
	}
	return response, err
}

var _ io.Closer = (*Door)(nil)
