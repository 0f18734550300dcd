package nemogym

import (
	"net/http"
	"net/http/httptest"
)

func newRecorder() *httptest.ResponseRecorder { return httptest.NewRecorder() }

// tokenTransport sends the token as NeMo Gym's MCP clients do, and nothing else of ours.
type tokenTransport string

func (t tokenTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Del("Authorization")
	r.Header.Set(tokenHeader, string(t))
	return http.DefaultTransport.RoundTrip(r)
}
