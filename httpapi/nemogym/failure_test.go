package nemogym

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
	"github.com/astra-arenas/astra/httpapi/harness"
)

type full struct{ *gateway.Gateway }

func (full) Open(context.Context, gateway.OpenRequest) (*gateway.Opening, error) {
	return nil, astra.ErrFull
}

// Who finds no room is told so at once, and when to come again.
func TestFull(t *testing.T) {
	h := newHouse(t, "", nil)
	shared, err := harness.New(full{h.Gateway}, harness.NewGate("", nil), []byte(secret), nil, nil)
	must(t, err)
	t.Cleanup(shared.Close)
	row := h.row("hinge-price")
	for path, body := range map[string]string{"/seed_session": row, "/reset": row, "/verify": with(row, responded(nil))} { // without a session it is played again
		w := httptest.NewRecorder()
		New(shared, nil).Handler().ServeHTTP(w, httptest.NewRequest("POST", path, strings.NewReader(body)))
		if w.Code != 429 || w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), `"failure_kind":"provider_quota_exhausted"`) {
			t.Errorf("%s: %d %v %s", path, w.Code, w.Header(), w.Body)
		}
	}
}

// What cannot be judged is masked, under NeMo Gym's own word, and told to be so to clients
// that do not read the mask.
func TestMask(t *testing.T) {
	h := newHouse(t, "", nil)
	row := h.row("hinge-price")
	seed := func() *client {
		c := h.client()
		var s seeded
		c.expect("/seed_session", row, &s)
		return c
	}
	lost := h.client()
	lost.cookie = cookieName + "=bm9uZQ"
	aborted := seed()
	must(t, h.face.sessions.Abort(t.Context(), sessionIn(aborted), "the session was idle"))
	for kind, c := range map[string]*client{"session_lost": lost, "cancelled": aborted} {
		cookie := c.cookie
		var got judged
		c.expect("/verify", with(row, responded([]map[string]any{message("assistant", "2.35")})), &got)
		if !got.Masked || !got.Config.Masked || got.Kind == nil || *got.Kind != kind || got.Reason == nil || len(got.Params) == 0 || len(got.Response) == 0 {
			t.Errorf("%s: %+v", kind, got)
		}
		c.cookie, c.edit = cookie, func(r *http.Request) { r.Header.Set("User-Agent", "python-httpx/0.28.1") }
		if status, text := c.do("POST", "/verify", with(row, responded(nil))); status < 400 || !strings.Contains(text, kind) {
			t.Errorf("%s, to a client that would read 0: %d %s", kind, status, text)
		}
		c.cookie, c.edit = cookie, nil
		asked := strings.Replace(row, `"verifier_metadata":{`, `"verifier_metadata":{"invalid":"error",`, 1)
		if status, text := c.do("POST", "/verify", with(asked, responded(nil))); status < 400 || !strings.Contains(text, kind) {
			t.Errorf("%s, for a row that asks for errors: %d %s", kind, status, text)
		}
	}
}

// NeMo RL's own way to be told is beside what a row has there already.
func TestMasked(t *testing.T) {
	for was, want := range map[string]string{
		``: `{"mask_sample":true}`, `null`: `{"mask_sample":true}`, `"x"`: `{"mask_sample":true}`, `{"a":1,"mask_sample":false}`: `{"a":1,"mask_sample":true}`,
	} {
		if got := mustJSON(t, masked(json.RawMessage(was), true)); got != want {
			t.Errorf("%s: %s, want %s", was, got, want)
		}
	}
	for was, want := range map[string]string{``: `{}`, `{"a":1}`: `{"a":1}`, `{"mask_sample":true}`: `{"mask_sample":false}`} {
		if got := mustJSON(t, masked(json.RawMessage(was), false)); got != want {
			t.Errorf("judged, %s: %s, want %s", was, got, want)
		}
	}
}

// Whatever ends an episode has its word, and none has a reward.
func TestLosses(t *testing.T) {
	invalid := func(f astra.Fault) *astra.Episode {
		return &astra.Episode{Status: astra.StatusInvalid, Ended: &astra.Ended{As: astra.StatusInvalid, Fault: f}}
	}
	for want, rec := range map[failureKind]*astra.Episode{
		sessionExpired:      {Status: astra.StatusExpired, Ended: &astra.Ended{As: astra.StatusExpired}},
		cancelled:           {Status: astra.StatusAborted, Ended: &astra.Ended{As: astra.StatusAborted}},
		verifierError:       invalid(astra.FaultVerifier),
		unreachable:         invalid(astra.FaultUpstream),
		persistenceFailed:   invalid(astra.FaultGateway),
		providerUnavailable: invalid(astra.FaultSandbox),
	} {
		l := lossOf(rec)
		if l == nil || l.kind != want {
			t.Errorf("%s: %+v, want %s", rec.Status, l, want)
			continue
		}
		b, err := json.Marshal(verdict{lost: l}.members())
		must(t, err)
		if got := string(b); !strings.Contains(got, `"mask_sample":true`) || !strings.Contains(got, `"failure_kind":"`+string(want)+`"`) {
			t.Errorf("%s: %s", want, got)
		}
	}
	if l := lossOf(&astra.Episode{Status: astra.StatusScored}); l != nil {
		t.Errorf("a score is lost: %+v", l)
	}
}

// What comes while too many large bodies do is refused as what finds no room for an episode.
func TestNoRoomForBodies(t *testing.T) {
	h := newHouse(t, "", nil)
	full, w := harness.Bodies(h.face.Handler(), 1), httptest.NewRecorder()
	full.ServeHTTP(w, httptest.NewRequest("POST", "/verify", strings.NewReader(strings.Repeat(" ", 1<<20))))
	if w.Code != 429 || w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), `"failure_kind":"provider_quota_exhausted"`) {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
}

// A harness that is killed breaks off thousands of requests, of which none is trouble of ours.
func TestGoneClientsAreNoTrouble(t *testing.T) {
	var log bytes.Buffer
	h := newHouse(t, "", &harness.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	gone, leave := context.WithCancel(t.Context())
	leave()
	w := httptest.NewRecorder()
	h.face.Handler().ServeHTTP(w, httptest.NewRequest("POST", "/seed_session", strings.NewReader(h.row("hinge-price"))).WithContext(gone))
	if w.Code != 500 || strings.Contains(log.String(), "ERROR") {
		t.Errorf("%d %s, log %s", w.Code, w.Body, log.String())
	}
}
