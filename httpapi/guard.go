package httpapi

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
)

// guard refuses what a browser was tricked into sending, and whoever has no token. The
// loopback is no proof of anything: any page and any local user can reach it.
func (a *api) guard(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		if !a.hostServed(r.Host) {
			return fmt.Errorf("%w: Host must name the loopback, or one that the server was started with (--hosts)", errForbidden)
		}
		if origin := r.Header.Get("Origin"); origin != "" && !a.originServed(origin, r.Host) {
			return fmt.Errorf("%w: Origin must be this server's own, or one that it was started with (--origins)", errForbidden)
		}
		if c.Path() != healthPath && !a.authorized(r) {
			return fmt.Errorf("%w: that of the control side, which is in control.token of the store's directory", errUnauthorized)
		}
		return next(c)
	}
}

func (a *api) authorized(r *http.Request) bool {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	sum := sha256.Sum256([]byte(token)) // hashed, so that the time tells no length either
	return strings.EqualFold(scheme, "Bearer") && subtle.ConstantTimeCompare(sum[:], a.token[:]) == 1
}

// hostServed protects against DNS rebinding: a foreign name that resolves to us is refused.
func (a *api) hostServed(hostport string) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	host = strings.ToLower(strings.Trim(host, "[]"))
	if ip := net.ParseIP(host); host == "localhost" || ip != nil && ip.IsLoopback() {
		return true
	}
	return slices.ContainsFunc(a.opts.Hosts, func(h string) bool { return strings.EqualFold(h, host) })
}

func (a *api) originServed(origin, host string) bool {
	u, err := url.Parse(origin)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" {
		return false
	}
	return strings.EqualFold(u.Host, host) || slices.Contains(a.opts.Origins, origin)
}

// catch turns a panic into a problem; its stack goes to the log only.
func (a *api) catch(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) (err error) {
		defer func() {
			switch v := recover(); v {
			case nil:
			case http.ErrAbortHandler: // how a broken export says that it is broken
				panic(v)
			default:
				a.opts.Logger.ErrorContext(c.Request().Context(), "panic", "value", v, "stack", string(debug.Stack()))
				err = errInternal
			}
		}()
		return next(c)
	}
}

// slowLimit is how long the peer of a slow route may take over its part.
const slowLimit = 30 * time.Minute

// handle holds a route to its limits.
func (a *api) handle(r route) echo.HandlerFunc {
	return func(c echo.Context) error {
		cancel := a.limitTime(c, r)
		defer cancel()
		err := limitBody(c, r)
		if err == nil {
			err = knownQuery(c.Request(), r.query)
		}
		if err == nil {
			err = r.handle(a, c)
		}
		if err != nil {
			a.fail(err, c) // here, while the request still has its context
		}
		return nil
	}
}

// limitTime bounds the work of a request. That of a slow route ends by itself, and only
// its peer is held to a time.
func (a *api) limitTime(c echo.Context, r route) context.CancelFunc {
	if r.slow {
		// Not every writer has deadlines; a test's recorder has none.
		rc := http.NewResponseController(c.Response().Writer)
		_ = rc.SetReadDeadline(time.Now().Add(slowLimit))
		_ = rc.SetWriteDeadline(time.Now().Add(slowLimit))
		return func() {}
	}
	ctx, cancel := context.WithTimeoutCause(c.Request().Context(), a.opts.Timeout, errTimeout)
	c.SetRequest(c.Request().WithContext(ctx))
	return cancel
}

// limitBody refuses a body that says it is too large before any of it is read.
func limitBody(c echo.Context, r route) error {
	req, limit := c.Request(), r.maxBody()
	req.Body = http.MaxBytesReader(c.Response().Writer, req.Body, limit)
	if limit > 0 && req.ContentLength > limit {
		return bodyError(&http.MaxBytesError{Limit: limit})
	}
	return nil
}

// knownQuery refuses misspelt parameters, which would otherwise select everything.
func knownQuery(r *http.Request, known []param) error {
	if r.URL.RawQuery == "" {
		return nil
	}
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return fmt.Errorf("%w: the query is not well formed", errMalformed)
	}
	for name, v := range values {
		if !slices.ContainsFunc(known, func(p param) bool { return p.name == name }) {
			return fmt.Errorf("%w: there is no query parameter %q here", errMalformed, name)
		}
		if len(v) > 1 {
			return fmt.Errorf("%w: the query parameter %q is given twice", errMalformed, name)
		}
	}
	return nil
}
