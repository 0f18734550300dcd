package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/trainer/batches"
)

// What only this door says; the rest are the gateway's errors.
var (
	errMalformed    = errors.New("the request cannot be read")
	errUnauthorized = errors.New("a bearer token is required")
	errForbidden    = errors.New("this host or origin is not served")
	errMethod       = errors.New("this method is not allowed here")
	errTooLarge     = errors.New("the body is too large")
	errMediaType    = errors.New("the body has another content type than this route takes")
	errTimeout      = errors.New("the request took too long")
	errInternal     = errors.New("internal error")
)

// A kind is one row of the table between our errors and problem documents.
type kind struct {
	err    error
	name   string // ends the problem's type
	status int
}

// kinds is that table. The first row that an error is decides, so what wraps others comes
// first. Titles are the errors' own texts.
var kinds = []kind{
	{astra.ErrInvalid, "invalid", http.StatusUnprocessableEntity},
	{astra.ErrNotFound, "not-found", http.StatusNotFound},
	{astra.ErrEnded, "ended", http.StatusConflict},
	{astra.ErrBudget, "budget", http.StatusConflict},
	{astra.ErrBusy, "busy", http.StatusTooManyRequests},
	{astra.ErrConflict, "idempotency", http.StatusUnprocessableEntity},
	{astra.ErrUnscored, "unscored", http.StatusConflict},
	{astra.ErrFull, "full", http.StatusTooManyRequests},
	{astra.ErrDisagrees, "disagrees", http.StatusUnprocessableEntity},
	{batches.ErrLease, "lease", http.StatusConflict},
	{astra.ErrRefused, "refused", http.StatusUnprocessableEntity},
	{astra.ErrUnsupported, "unsupported", http.StatusNotImplemented},
	{astra.ErrToolTimeout, "tool-timeout", http.StatusGatewayTimeout},
	{astra.ErrStoreCorrupt, "store-corrupt", http.StatusInternalServerError},
	{errMalformed, "malformed", http.StatusBadRequest},
	{errUnauthorized, "unauthorized", http.StatusUnauthorized},
	{errForbidden, "forbidden", http.StatusForbidden},
	{errMethod, "method", http.StatusMethodNotAllowed},
	{errTooLarge, "too-large", http.StatusRequestEntityTooLarge},
	{errMediaType, "media-type", http.StatusUnsupportedMediaType},
	{errTimeout, "timeout", http.StatusGatewayTimeout},
	{errInternal, "internal", http.StatusInternalServerError},
}

// ProblemType begins the type of every problem document.
const ProblemType = "urn:astra:problem:"

// A Problem is an error as a document of RFC 9457 (application/problem+json).
type Problem struct {
	Type     string      `json:"type"`
	Title    string      `json:"title"`
	Status   int         `json:"status"`
	Detail   string      `json:"detail"`
	Instance string      `json:"instance"`          // path of the request
	Fault    astra.Fault `json:"fault,omitempty"`   // whose doing it was, where that is known
	Step     int         `json:"step,omitempty"`    // of a call that could not be completed
	Message  *int        `json:"message,omitempty"` // where submitted messages part from the log, from 0
}

// maxDetail keeps foreign text in errors from filling a response.
const maxDetail = 4000

// maxInstance is more than any path of ours has.
const maxInstance = 1000

func problemOf(err error) Problem {
	err = routing(err)
	k := kindOf(err)
	p := Problem{Type: ProblemType + k.name, Title: k.err.Error(), Status: k.status, Detail: k.err.Error()}
	if k.err != errInternal { // what an unforeseen error says is for the log only
		p.Detail = clip(err.Error(), maxDetail)
	}
	if e, ok := errors.AsType[*astra.StepError](err); ok {
		p.Fault, p.Step = e.Fault, e.Step
	} else if e, ok := errors.AsType[*astra.ScoreError](err); ok {
		p.Fault = e.Fault
	}
	if d, ok := errors.AsType[*astra.Disagreement](err); ok {
		p.Message = &d.Message
	}
	return p
}

func kindOf(err error) kind {
	for _, k := range kinds {
		if errors.Is(err, k.err) {
			return k
		}
	}
	return kindOf(translate(err))
}

// routing puts the router's errors into our words.
func routing(err error) error {
	he, _ := errors.AsType[*echo.HTTPError](err)
	switch {
	case he == nil:
		return err
	case he.Code == http.StatusMethodNotAllowed:
		return fmt.Errorf("%w: the header Allow lists those that are", errMethod)
	}
	return fmt.Errorf("%w: there is no such route; %s lists them all", astra.ErrNotFound, openapiPath)
}

// translate names the errors that are no sentinels of ours. It never fails to find a row.
func translate(err error) error {
	_, large := errors.AsType[*http.MaxBytesError](err)
	_, score := errors.AsType[*astra.ScoreError](err)
	_, bundle := errors.AsType[*astra.BundleError](err)
	switch {
	case large:
		return errTooLarge
	case score:
		return astra.ErrInvalid
	case bundle:
		return astra.ErrRefused
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return errTimeout
	}
	return errInternal
}

// Err turns a problem back into the error it was made of, as far as callers can tell:
// errors.Is finds the sentinel, errors.As the StepError, ScoreError or Disagreement.
func (p *Problem) Err() error { return &remoteError{p} }

type remoteError struct{ p *Problem }

func (e *remoteError) Error() string { return e.p.Detail }

func (e *remoteError) Unwrap() []error {
	var errs []error
	for _, k := range kinds {
		if ProblemType+k.name == e.p.Type {
			errs = append(errs, k.err)
		}
	}
	text := errors.New(e.p.Detail)
	switch {
	case e.p.Step > 0:
		errs = append(errs, &astra.StepError{Step: e.p.Step, Fault: e.p.Fault, Err: text})
	case e.p.Fault != "":
		errs = append(errs, &astra.ScoreError{Fault: e.p.Fault, Err: text})
	case e.p.Message != nil:
		errs = append(errs, &astra.Disagreement{Message: *e.p.Message, Reason: e.p.Detail})
	}
	return errs
}

// fail answers with a problem document; it is echo's error handler.
func (a *api) fail(err error, c echo.Context) {
	r, w := c.Request(), c.Response()
	if cause := context.Cause(r.Context()); cause != nil && errors.Is(err, r.Context().Err()) {
		err = cause
	}
	p := problemOf(err)
	p.Instance = clip(r.URL.EscapedPath(), maxInstance)
	if p.Status >= 500 && r.Context().Err() != context.Canceled { // a caller that left is no failure
		a.opts.Logger.ErrorContext(r.Context(), "request failed", "method", r.Method, "path", c.Path(), "status", p.Status, "reason", err)
	}
	if w.Committed {
		return
	}
	switch p.Status {
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", `Bearer realm="astra control"`)
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", strconv.Itoa(a.retryAfter(err)))
	}
	// A write that fails has lost its reader; there is nobody to tell.
	_ = a.write(c, p.Status, problemJSON, p)
}

// retryAfter is how many seconds a caller should wait: where an episode's queue is too long,
// or a route's own, that is a short time.
func (a *api) retryAfter(err error) int {
	if errors.Is(err, astra.ErrFull) {
		return max(1, a.eps.Capacity().RetryAfter)
	}
	return 1
}

func clip(s string, most int) string {
	if len(s) > most {
		s = s[:most] + "…"
	}
	return strings.ToValidUTF8(s, "")
}
