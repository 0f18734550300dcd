package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/httpapi"
)

func get[T any](ctx context.Context, c *Client, path string) (T, error) {
	return fetch[T](ctx, c, http.MethodGet, path, "", nil)
}

// post sends body as JSON; nil sends none.
func post[T any](ctx context.Context, c *Client, path string, body any) (T, error) {
	if body == nil {
		return fetch[T](ctx, c, http.MethodPost, path, "", nil)
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // arguments are recorded as they were sent
	if err := e.Encode(body); err != nil {
		var none T // messages that are no JSON
		return none, fmt.Errorf("%w: %v", astra.ErrRefused, err)
	}
	return fetch[T](ctx, c, http.MethodPost, path, "application/json", &b)
}

// fetch sends a request and decodes the reply; no content leaves the zero value.
func fetch[T any](ctx context.Context, c *Client, method, path, kind string, body io.Reader) (v T, err error) {
	res, err := c.send(ctx, method, path, kind, body)
	if err != nil {
		return v, err
	}
	defer res.Body.Close()
	raw, err := readAll(res)
	if err != nil || len(raw) == 0 {
		return v, err
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		return v, fmt.Errorf("%s %s: the reply is not what astra sends: %w", method, path, err)
	}
	return v, nil
}

// readAll reads a reply in one go where its length is known.
func readAll(res *http.Response) ([]byte, error) {
	if res.ContentLength > maxReply {
		return nil, fmt.Errorf("the reply has %d bytes; at most %d are read", res.ContentLength, maxReply)
	}
	var b bytes.Buffer
	if res.ContentLength > 0 {
		b.Grow(int(res.ContentLength) + bytes.MinRead)
	}
	n, err := b.ReadFrom(io.LimitReader(res.Body, maxReply+1))
	if n > maxReply {
		return nil, fmt.Errorf("the reply has more than %d bytes", maxReply)
	}
	return b.Bytes(), err
}

// send returns a successful reply, whose body the caller closes.
func (c *Client) send(ctx context.Context, method, path, kind string, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	res, err := c.http.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, fmt.Errorf("%v: %w", c, err)
	}
	if res.StatusCode >= 200 && res.StatusCode < 300 {
		return res, nil
	}
	defer res.Body.Close()
	return nil, problem(res)
}

// problem is the error that a failed reply stands for.
func problem(res *http.Response) error {
	var p httpapi.Problem
	raw, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err == nil && json.Unmarshal(raw, &p) == nil && p.Type != "" {
		return p.Err()
	}
	return errors.New("the control address answered " + res.Status + ", which is not astra's: is it the right one?")
}
