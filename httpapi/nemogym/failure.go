package nemogym

import (
	"context"
	"errors"
	"net/http"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/httpapi/harness"
)

// A failureKind is a word of NeMo Gym's for what went wrong (nemo_gym/failure_kinds.py).
type failureKind string

const (
	sessionLost         failureKind = "session_lost"
	sessionExpired      failureKind = "session_expired"
	cancelled           failureKind = "cancelled"
	verifierError       failureKind = "verifier_error"
	providerUnavailable failureKind = "provider_unavailable"
	providerQuota       failureKind = "provider_quota_exhausted"
	persistenceFailed   failureKind = "persistence_failed"
	unreachable         failureKind = "transport_unreachable"
)

// kindOf says in NeMo Gym's words whose doing it was that an episode has no score.
func kindOf(f astra.Fault) failureKind {
	switch f {
	case astra.FaultVerifier:
		return verifierError
	case astra.FaultUpstream:
		return unreachable
	case astra.FaultGateway:
		return persistenceFailed
	}
	return providerUnavailable // the sandbox
}

// A loss is why a rollout cannot be judged. Its reward is not 0: there is none.
type loss struct {
	kind   failureKind
	reason string
}

func (l *loss) Error() string { return l.reason }

var errLost = &loss{sessionLost, "there is no such session: it was never seeded here, or ended long ago"}

// lossOf says why an episode that is over has no score, nil if it has one.
func lossOf(rec *astra.Episode) *loss {
	switch rec.Status {
	case astra.StatusExpired:
		return &loss{sessionExpired, "the session's time ran out before it was verified"}
	case astra.StatusAborted:
		return &loss{cancelled, "the session was ended before it was verified: " + rec.Ended.Reason}
	case astra.StatusInvalid:
		return &loss{kindOf(rec.Ended.Fault), "the episode is invalid, whose doing: " + string(rec.Ended.Fault)}
	}
	return nil
}

// A problem is the body of an answer that is an error.
type problem struct {
	Detail     string      `json:"detail"`
	Kind       failureKind `json:"failure_kind,omitempty"`
	RetryAfter int         `json:"-"` // seconds
	status     int
}

// problem is the one table from our errors to NeMo Gym's.
func (s *Server) problem(ctx context.Context, err error) problem {
	if f, ok := errors.AsType[*harness.Refusal](err); ok {
		return problem{Detail: f.Text, status: f.Status}
	}
	if l, ok := errors.AsType[*loss](err); ok {
		return problem{Detail: l.reason, Kind: l.kind, status: http.StatusGone}
	}
	for _, c := range []struct {
		is     error
		status int
		kind   failureKind
	}{
		{astra.ErrFull, http.StatusTooManyRequests, providerQuota},
		{astra.ErrBusy, http.StatusTooManyRequests, providerQuota},
		{astra.ErrNotFound, http.StatusNotFound, ""},
		{astra.ErrConflict, http.StatusConflict, ""},
		{astra.ErrEnded, http.StatusGone, sessionLost},
		{astra.ErrBudget, http.StatusUnprocessableEntity, ""},
		{astra.ErrRefused, http.StatusUnprocessableEntity, ""},
	} {
		if errors.Is(err, c.is) {
			p := problem{Detail: err.Error(), Kind: c.kind, status: c.status}
			if c.status == http.StatusTooManyRequests {
				p.RetryAfter = max(1, s.house.Capacity().RetryAfter)
			}
			return p
		}
	}
	if ctx.Err() == nil { // else the client is gone
		s.house.Logger().ErrorContext(ctx, "request failed", "face", "nemo-gym", "reason", err)
	}
	if f, ok := faultIn(err); ok {
		return problem{Detail: "the episode is invalid, whose doing: " + string(f), Kind: kindOf(f), status: http.StatusInternalServerError}
	}
	return problem{Detail: "astra could not do this; its log says why", Kind: persistenceFailed, status: http.StatusInternalServerError}
}

func faultIn(err error) (astra.Fault, bool) {
	if e, ok := errors.AsType[*astra.ScoreError](err); ok {
		return e.Fault, true
	}
	if e, ok := errors.AsType[*astra.StepError](err); ok {
		return e.Fault, true
	}
	return "", false
}
