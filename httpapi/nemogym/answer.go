package nemogym

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/httpapi/harness"
)

const (
	cookieName  = "astra_session"
	tokenHeader = "X-NeMo-Gym-Session-Token"
)

func keyOf(token string) astra.Key { return astra.Key(token) }

// sessionOf is the session that a request's cookie names, "" if none. Ids that harnesses
// choose may have any characters, so cookies carry them in base64.
func sessionOf(r *http.Request) string {
	c, err := r.Cookie(cookieName)
	if err != nil {
		return ""
	}
	id, err := base64.RawURLEncoding.DecodeString(c.Value)
	if err != nil || len(id) > harness.MaxID {
		return ""
	}
	return string(id)
}

// InSession reports whether a request names a session, as all do after seed_session.
func InSession(r *http.Request) bool { return sessionOf(r) != "" }

// setSession has the client come back with a session: one cookie, whatever was set before.
func setSession(w http.ResponseWriter, id string) {
	c := http.Cookie{Name: cookieName, Value: base64.RawURLEncoding.EncodeToString([]byte(id)), Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode}
	w.Header().Set("Set-Cookie", c.String())
}

// maxBody bounds a body: a verify has the tokens and log-probabilities of a whole rollout.
const maxBody = 64 << 20

// readBody reads a body of JSON.
func readBody(r *http.Request, most int64, into any) error {
	b, err := harness.ReadBody(r, most)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, into); err != nil {
		return harness.Refuse(http.StatusUnprocessableEntity, "the body is not as it should be: %.200s", err)
	}
	return nil
}

// fail answers as FastAPI does, {"detail": …}, and says which kind of failure it was.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	p := s.problem(r.Context(), err)
	if p.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(p.RetryAfter))
	}
	_ = writeJSON(w, p.status, p) // the client is gone if this fails
}

func writeJSON(w http.ResponseWriter, status int, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_ = write(w, status, "application/json", b) // the client is gone if this fails
	return nil
}

func write(w http.ResponseWriter, status int, kind string, body []byte) error {
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, err := w.Write(body)
	if err != nil {
		return err
	}
	// What stays in a buffer was not sent. A writer that has none cannot be flushed.
	if err := http.NewResponseController(w).Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	return nil
}
