package upstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"reflect"
	"sync/atomic"

	"github.com/mark3labs/mcp-go/client"
	"github.com/mark3labs/mcp-go/client/transport"
	"github.com/mark3labs/mcp-go/mcp"

	"github.com/astra-arenas/astra"
)

const (
	maxMessage = 8 << 20 // bytes of one message: a result of MaxResult, as JSON in JSON and as text beside it
	maxPages   = 64      // of tools/list
)

// A session is a conversation with one server.
type session struct {
	*target
	client  *client.Client
	ear     *ear
	own     scratch
	hangUp  func()       // ends the process or the connections, once the client is closed
	tools   []astra.Tool // those that are mirrored
	limits  astra.Limits
	changed atomic.Bool // it said that its tools are others now
}

// open begins a session with a server that offers what the arena mirrors.
func (t *target) open(ctx context.Context, a *astra.Arena) (*session, error) {
	s, err := t.dial(ctx)
	if err != nil {
		return nil, err
	}
	s.limits = a.Limits
	for _, tool := range a.Tools {
		if tool.Upstream == t.alias {
			s.tools = append(s.tools, tool)
		}
	}
	if err := s.compare(ctx); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// dial begins a session.
func (t *target) dial(ctx context.Context) (*session, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, t.rt.opts.Connect, fmt.Errorf("it did not answer the handshake within %s", t.rt.opts.Connect))
	defer cancel()
	s := &session{target: t, ear: new(ear)}
	link, err := s.connect()
	if err != nil {
		return nil, s.trouble(err)
	}
	// A session is what keeps episodes apart, so the era that has them is tried first.
	err = s.greet(ctx, client.NewClient(link, client.WithProtocolVersion(mcp.LATEST_LEGACY_PROTOCOL_VERSION)))
	if err != nil && ctx.Err() == nil {
		err = s.greet(ctx, client.NewClient(link))
	}
	if err != nil {
		err = s.trouble(cause(ctx, err))
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *session) connect() (transport.Interface, error) {
	if s.url != nil {
		return s.visit()
	}
	return s.spawn()
}

func (s *session) greet(ctx context.Context, c *client.Client) error {
	s.client = c
	c.OnNotification(func(n mcp.JSONRPCNotification) {
		if n.Method == string(mcp.MethodNotificationToolsListChanged) {
			s.changed.Store(true)
		}
	})
	// The context of Start is the transport's for as long as it lives.
	if err := c.Start(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	var hello mcp.InitializeRequest
	hello.Params.ClientInfo = mcp.Implementation{Name: "astra", Version: "1"}
	_, err := c.Initialize(ctx, hello)
	return err
}

func (s *session) close() {
	if s.client != nil {
		_ = s.client.Close() // what it says of a server that is to end is of no use
	}
	s.hangUp()
}

// call runs one tool. That a server says no, in whatever form, is a result.
func (s *session) call(ctx context.Context, tool *astra.Tool, args json.RawMessage) (astra.Result, error) {
	if s.changed.Swap(false) {
		if err := s.compare(ctx); err != nil {
			return astra.Result{}, err
		}
	}
	limits := s.limits
	ctx, cancel := context.WithTimeoutCause(ctx, limits.Wall, fmt.Errorf("it did not answer within %s", limits.Wall))
	defer cancel()
	var r mcp.CallToolRequest
	args, err := s.own.meant(args)
	if err != nil {
		return astra.Result{}, s.trouble(err)
	}
	r.Params.Name, r.Params.Arguments = tool.Original, args
	_, err = s.client.CallTool(ctx, r)
	switch answer := s.ear.take(); {
	case errors.Is(err, errTooLong):
		return tooLarge(limits), nil
	case answer == nil:
		return astra.Result{}, s.trouble(cause(ctx, err))
	case answer.Error != nil:
		return failed(s.text(answer.Error.Message), limits), nil
	default:
		res, err := readResult(answer.Result, limits, s.text)
		if err != nil {
			err = s.trouble(err)
		}
		return res, err
	}
}

// text is what the server says, without secrets and with the name of its directory that
// agents know.
func (s *session) text(said string) string { return s.own.shown(s.clean.text(said)) }

// compare holds what the server offers to what the arena mirrors.
func (s *session) compare(ctx context.Context) error {
	offers, err := s.list(ctx)
	if err != nil {
		return err
	}
	byName := map[string]offer{}
	for _, o := range offers {
		byName[o.Name] = o
	}
	for _, tool := range s.tools {
		o, ok := byName[tool.Original]
		if !ok {
			return s.trouble(fmt.Errorf("it has no tool %q any more; mirror it again with `astra record DIR --mirror %s`", tool.Original, s.alias))
		}
		if !sameJSON(o.Input, tool.Input) {
			return s.trouble(fmt.Errorf("its tool %q takes other arguments than those mirrored; mirror it again with `astra record DIR --mirror %s`", tool.Original, s.alias))
		}
	}
	return nil
}

// An offer is a tool as a server lists it.
type offer struct {
	Name, Title, Description string
	Input                    json.RawMessage `json:"inputSchema"`
	Output                   json.RawMessage `json:"outputSchema"`
	Annotations              struct {
		Title           string
		ReadOnlyHint    *bool
		DestructiveHint *bool
		IdempotentHint  *bool
		OpenWorldHint   *bool
	}
}

// plain makes the schemas what they are in an arena.
func (o *offer) plain() (err error) {
	if o.Input, err = schemaOf(o.Input); err == nil {
		o.Output, err = schemaOf(o.Output)
	}
	return err
}

// list is what the server offers.
func (s *session) list(ctx context.Context) ([]offer, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, s.rt.opts.Connect, fmt.Errorf("it did not list its tools within %s", s.rt.opts.Connect))
	defer cancel()
	var all []offer
	var r mcp.ListToolsRequest
	for range maxPages {
		_, err := s.client.ListToolsByPage(ctx, r)
		answer := s.ear.take()
		if err != nil || answer == nil {
			return nil, s.trouble(cause(ctx, err))
		}
		var page struct {
			Tools      []offer
			NextCursor mcp.Cursor
		}
		if err := unmarshal(answer.Result, &page, s.text); err != nil {
			return nil, s.trouble(fmt.Errorf("its list of tools is none: %w", err))
		}
		for _, o := range page.Tools {
			if err := o.plain(); err != nil {
				return nil, s.trouble(fmt.Errorf("its tool %q has no schema that can be read: %w", o.Name, err))
			}
			all = append(all, o)
		}
		if r.Params.Cursor = page.NextCursor; page.NextCursor == "" {
			return all, nil
		}
	}
	return nil, s.trouble(fmt.Errorf("its list of tools has more than %d pages", maxPages))
}

// trouble is an error in words that may be kept: neither addresses nor secrets are in it.
func (s *session) trouble(err error) error {
	text := "it gave no answer"
	if err != nil {
		text = plain(err)
	}
	return fmt.Errorf("upstream %s: %s", s.alias, clip(s.text(text), 500))
}

// plain leaves out what the errors of a connection say of where it goes.
func plain(err error) string {
	if e, ok := errors.AsType[*transport.Error](err); ok {
		err = e.Err
	}
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return "its host is not found"
	}
	if e, ok := errors.AsType[*net.OpError](err); ok {
		err = e.Err
	}
	return err.Error()
}

func sameJSON(a, b json.RawMessage) bool {
	var x, y any
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && reflect.DeepEqual(x, y)
}
