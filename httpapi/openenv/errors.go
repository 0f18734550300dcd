package openenv

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/httpapi/harness"
)

// Codes of errors, as OpenEnv's WSErrorCode has them.
const (
	invalidJSON     = "INVALID_JSON"
	unknownType     = "UNKNOWN_TYPE"
	validationError = "VALIDATION_ERROR"
	executionFailed = "EXECUTION_ERROR"
	capacityReached = "CAPACITY_REACHED"
	factoryFailed   = "FACTORY_ERROR"
	sessionFailed   = "SESSION_ERROR"
)

// A problem is an error as clients read it: the data of a message over a WebSocket.
type problem struct {
	Message string  `json:"message"`
	Code    string  `json:"code"`
	Errors  invalid `json:"errors,omitempty"`
	*limits
	Factory string `json:"factory_name,omitempty"`

	status     int // of HTTP
	retryAfter int // seconds
}

// limits are told where there is no room.
type limits struct {
	Active int `json:"active_sessions"`
	Max    int `json:"max_sessions"`
}

// A fullError is that there is no room for another session, or for its episode.
type fullError struct {
	limits
	why string // "" where the limits say it
}

func (e *fullError) Error() string {
	text := fmt.Sprintf("Server at capacity: %d/%d sessions active", e.Active, e.Max)
	if e.why != "" {
		text += "; " + e.why
	}
	return text
}

func (e *fullError) Unwrap() error { return astra.ErrFull }

// A sessionError is that there is no such session, or no more.
type sessionError struct{ text string }

func (e *sessionError) Error() string { return e.text }

// A frameError is a message that is none.
type frameError struct{ code, text string }

func (e *frameError) Error() string { return e.text }

// A factoryError is that no episode can be made: the arena's doing.
type factoryError struct {
	name string
	err  error
}

func (e *factoryError) Error() string { return e.err.Error() }

// A noScore is that an episode ended, and not by being submitted.
type noScore struct {
	as    astra.Status
	ended *astra.Ended
}

func (e *noScore) Error() string {
	as := string(e.as)
	if e.ended != nil && e.ended.Fault != "" {
		as += ", fault " + string(e.ended.Fault)
	}
	return "the episode has no score (" + as + "): do not train on it; reset begins another"
}

// full says in the face's words that there is no room.
func (s *Server) full(err error) *fullError {
	c := s.house.Capacity()
	return &fullError{limits{c.Open, c.MaxOpen}, err.Error()}
}

// openError says in the face's words why an episode was not opened.
func (s *session) openError(err error) error {
	switch {
	case errors.Is(err, astra.ErrFull): // of the sandbox's room, too, for want of which the gateway refuses
		return s.server.full(err)
	case errors.Is(err, astra.ErrRefused):
		return &factoryError{s.name, err}
	}
	return err
}

// shown are the gateway's errors that tell of nothing hidden, with their texts.
var shown = []error{astra.ErrBusy, astra.ErrConflict, astra.ErrEnded, astra.ErrBudget}

// problemOf puts an error into OpenEnv's words. What none of them is for is logged, and not
// shown: it may name what is hidden.
func (s *Server) problemOf(ctx context.Context, err error) *problem {
	if _, said := errors.AsType[*fullError](err); errors.Is(err, astra.ErrFull) && !said {
		err = s.full(err)
	}
	p := &problem{Message: err.Error(), Code: executionFailed, status: http.StatusInternalServerError}
	if e, ok := errors.AsType[invalid](err); ok {
		p.Message, p.Code, p.Errors, p.status = e.Error(), validationError, e, http.StatusUnprocessableEntity
	} else if e, ok := errors.AsType[*fullError](err); ok {
		p.Code, p.limits, p.status, p.retryAfter = capacityReached, &e.limits, http.StatusTooManyRequests, max(1, s.house.Capacity().RetryAfter)
	} else if e, ok := errors.AsType[*factoryError](err); ok {
		p.Code, p.Factory = factoryFailed, e.name
	} else if e, ok := errors.AsType[*frameError](err); ok {
		p.Code, p.status = e.code, http.StatusBadRequest
	} else if _, ok := errors.AsType[*sessionError](err); ok {
		p.Code, p.status = sessionFailed, http.StatusConflict
	} else if e, ok := errors.AsType[*harness.Refusal](err); ok {
		p.status = e.Status
	} else if _, ok := errors.AsType[*noScore](err); !ok {
		s.explain(ctx, p, err)
	}
	return p
}

// explain is problemOf for the gateway's own errors.
func (s *Server) explain(ctx context.Context, p *problem, err error) {
	if errors.Is(err, astra.ErrInvalid) {
		p.Message = (&noScore{astra.StatusInvalid, &astra.Ended{Fault: faultOf(err)}}).Error()
		return
	}
	if errors.Is(err, astra.ErrNotFound) {
		p.Message, p.status = "there is no such environment, or no more; /openenv/ARENA names one that is served", http.StatusNotFound
		return
	}
	for _, is := range shown {
		if errors.Is(err, is) {
			p.Message, p.status = is.Error(), http.StatusConflict
			return
		}
	}
	if ctx.Err() == nil { // else the client is gone
		s.house.Logger().ErrorContext(ctx, "request failed", "face", face, "reason", err)
	}
	p.Message = "astra could not do this; its log says why"
}

// faultOf says whose doing it was that an episode is invalid.
func faultOf(err error) astra.Fault {
	if e, ok := errors.AsType[*astra.StepError](err); ok {
		return e.Fault
	}
	if e, ok := errors.AsType[*astra.ScoreError](err); ok {
		return e.Fault
	}
	return astra.FaultGateway
}
