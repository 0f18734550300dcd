package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"

	"github.com/mark3labs/mcp-go/client/transport"
)

// visit begins a session with a server behind a URL.
func (s *session) visit() (transport.Interface, error) {
	next := http.DefaultTransport.(*http.Transport).Clone()
	s.hangUp = next.CloseIdleConnections
	c := &http.Client{Transport: &courier{next, s.target, s.ear}, CheckRedirect: func(r *http.Request, via []*http.Request) error {
		if len(via) > 5 {
			return errors.New("it redirects again and again")
		}
		return s.refuseElsewhere(r)
	}}
	web, err := transport.NewStreamableHTTP(s.url.String(), transport.WithHTTPBasicClient(c), transport.WithHTTPLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		return nil, err
	}
	return &line{web, s.ear}, nil
}

// refuseElsewhere keeps requests, and the credentials on them, with the host that the
// operator named.
func (t *target) refuseElsewhere(r *http.Request) error {
	if r.URL.Host != t.url.Host || r.URL.Scheme != t.url.Scheme {
		return errors.New("it redirects to another host, which is refused")
	}
	return nil
}

// A line is the library's transport to a URL, with our ear on it.
type line struct {
	*transport.StreamableHTTP
	ear *ear
}

// SendRequest implements the library's transport.
func (l *line) SendRequest(ctx context.Context, r transport.JSONRPCRequest) (*transport.JSONRPCResponse, error) {
	return l.ear.hear(ctx, l.StreamableHTTP.SendRequest, r)
}

// A courier carries every request of a session, the one that ends it too, which the
// library would send without the headers.
type courier struct {
	next *http.Transport
	*target
	ear *ear
}

// RoundTrip implements http.RoundTripper.
func (c *courier) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := c.refuseElsewhere(r); err != nil {
		return nil, err
	}
	r = r.Clone(r.Context())
	for name, v := range c.Headers {
		r.Header.Set(name, v)
	}
	response, err := c.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if err := refuseStatus(response.StatusCode); err != nil {
		response.Body.Close()
		return nil, err
	}
	response.Body = &bounded{response.Body, maxMessage, c.ear}
	return response, nil
}

// refuseStatus tells the server's own trouble from an answer. What such a response has in
// its body may look like the answer to the call.
func refuseStatus(code int) error {
	switch {
	case code == http.StatusUnauthorized, code == http.StatusForbidden, code == http.StatusProxyAuthRequired:
		return fmt.Errorf("it does not let us in (%d %s); check its headers in astra.yaml", code, http.StatusText(code))
	case code == http.StatusTooManyRequests, code == http.StatusRequestTimeout, code >= 500:
		return fmt.Errorf("it answered %d %s", code, http.StatusText(code))
	}
	return nil
}

// bounded cuts off a body that passes its limit.
type bounded struct {
	io.ReadCloser
	left int
	ear  *ear
}

// Read implements io.Reader.
func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.left -= n; b.left < 0 {
		b.ear.giveUp()
		return 0, errTooLong
	}
	return n, err
}
