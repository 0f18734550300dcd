package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/labstack/echo/v4"
)

// Media types.
const (
	plainJSON   = "application/json"
	problemJSON = "application/problem+json"
	jsonLines   = "application/jsonl"
	arenaFile   = "application/vnd.astra.arena"
	metricsText = "text/plain"
)

// read decodes a body strictly: unknown members are refused, an empty body is an empty object.
func (a *api) read(c echo.Context, v any) error {
	buf := a.buffer()
	defer a.buffers.Put(buf)
	r := c.Request()
	if _, err := buf.ReadFrom(r.Body); err != nil {
		return bodyError(err)
	}
	if buf.Len() == 0 {
		return nil
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != plainJSON {
		return fmt.Errorf("%w: send %s", errMediaType, plainJSON)
	}
	d := json.NewDecoder(buf)
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return fmt.Errorf("%w: %s", errMalformed, decodeReason(err))
	}
	if _, err := d.Token(); err != io.EOF {
		return fmt.Errorf("%w: something follows the JSON value", errMalformed)
	}
	return nil
}

// decodeReason leaves the names of our Go types out of what a caller reads.
func decodeReason(err error) string {
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Sprintf("%s cannot be a %s (at byte %d)", strconv.Quote(e.Field), e.Value, e.Offset)
	}
	return err.Error()
}

func bodyError(err error) error {
	if large, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return fmt.Errorf("%w: at most %d bytes are taken here", errTooLarge, large.Limit)
	}
	return fmt.Errorf("%w: the body ended early", errMalformed)
}

// ok answers with JSON.
func (a *api) ok(c echo.Context, v any) error { return a.write(c, http.StatusOK, plainJSON, v) }

// write sends v as it is: recorded bytes must arrive unchanged, so <, > and & are not escaped.
func (a *api) write(c echo.Context, status int, kind string, v any) error {
	buf := a.buffer()
	defer a.buffers.Put(buf)
	e := json.NewEncoder(buf)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err
	}
	w := c.Response()
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("Content-Length", strconv.Itoa(buf.Len()))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, err := w.Write(buf.Bytes())
	return err
}

// maxPooled keeps one large record from staying in the pool for ever.
const maxPooled = 1 << 20

func (a *api) buffer() *bytes.Buffer {
	buf := a.buffers.Get().(*bytes.Buffer)
	if buf.Cap() > maxPooled {
		buf = new(bytes.Buffer)
	}
	buf.Reset()
	return buf
}

// path returns a path parameter; echo leaves it escaped where the request had it so.
func path(c echo.Context, name string) string {
	raw := c.Param(name)
	if c.Request().URL.RawPath == "" {
		return raw
	}
	if s, err := url.PathUnescape(raw); err == nil {
		return s
	}
	return raw // names nothing
}

// oneOf reads a query parameter that has a few values; absent is "".
func oneOf[T ~string](c echo.Context, name string, values ...T) (T, error) {
	v := T(c.QueryParam(name))
	if v != "" && !slices.Contains(values, v) {
		return "", fmt.Errorf("%w: %s must be one of %v", errMalformed, name, values)
	}
	return v, nil
}
