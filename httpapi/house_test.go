package httpapi_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
	"github.com/astra-arenas/astra/gateway/gatewaytest"
	"github.com/astra-arenas/astra/httpapi"
	"github.com/astra-arenas/astra/httpapi/client"
	"github.com/astra-arenas/astra/trainer"
)

const token = "a-token-for-tests-only"

// A house is the control side over a gateway with real parts that serves testdata/shop.
type house struct {
	*gateway.Gateway
	t       testing.TB
	handler http.Handler
	server  *httptest.Server // of handler
	client  *client.Client   // of server
}

func newHouse(t testing.TB) *house { return newHouseWith(t, nil) }

func newHouseWith(t testing.TB, opts *gateway.Options) *house {
	t.Helper()
	h := &house{t: t, Gateway: newGateway(t, opts)}
	var err error
	h.handler, err = httpapi.New(h.Gateway, &httpapi.Options{Token: token, SFT: trainer.SFT{Episodes: h.Gateway}.Export})
	must(t, err)
	h.server = httptest.NewServer(h.handler)
	t.Cleanup(h.server.Close)
	h.client, err = client.New(h.server.URL, token, nil)
	must(t, err)
	return h
}

func newGateway(t testing.TB, opts *gateway.Options) *gateway.Gateway {
	t.Helper()
	return gatewaytest.New(t, opts, "testdata/shop")
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A reply is what came back, with its body read.
type reply struct {
	*http.Response
	body []byte
}

// problem reads a problem document and holds it to its form.
func (r reply) problem(t testing.TB) httpapi.Problem {
	t.Helper()
	var p httpapi.Problem
	if kind := r.Header.Get("Content-Type"); kind != "application/problem+json" {
		t.Errorf("%d with content type %q is no problem document: %s", r.StatusCode, kind, r.body)
	}
	if err := json.Unmarshal(r.body, &p); err != nil || p.Status != r.StatusCode || p.Type == "" || p.Title == "" || p.Detail == "" || p.Instance == "" {
		t.Errorf("problem %s of a reply with status %d: %v", r.body, r.StatusCode, err)
	}
	return p
}

// do sends a request straight to the handler, with the token unless edit takes it away.
// Whatever comes back must be as the OpenAPI document says.
func (h *house) do(method, path, body string, edit ...func(*http.Request)) reply {
	h.t.Helper()
	var in io.Reader
	if body != "" {
		in = strings.NewReader(body)
	}
	r := httptest.NewRequest(method, "http://localhost"+path, in).WithContext(h.t.Context())
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/json")
	for _, f := range edit {
		f(r)
	}
	w := httptest.NewRecorder()
	h.handler.ServeHTTP(w, r)
	got := reply{w.Result(), w.Body.Bytes()}
	s, err := theSpec()
	must(h.t, err)
	s.check(h.t, method, path, got)
	return got
}

// expect is do for what must succeed; it decodes the reply into v unless v is nil.
func (h *house) expect(v any, status int, method, path, body string, edit ...func(*http.Request)) {
	h.t.Helper()
	r := h.do(method, path, body, edit...)
	if r.StatusCode != status {
		h.t.Fatalf("%s %s = %d %s, want %d", method, path, r.StatusCode, r.body, status)
	}
	if v != nil {
		d := json.NewDecoder(bytes.NewReader(r.body))
		must(h.t, d.Decode(v))
	}
}

func header(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

// play opens an episode, makes the right calls and submits: reward 1 of a countable task.
func (h *house) play(req gateway.OpenRequest, calls ...astra.Call) astra.EpisodeID {
	h.t.Helper()
	ctx := h.t.Context()
	req.Arena = "shop"
	o, err := h.Open(ctx, req)
	must(h.t, err)
	for _, c := range calls {
		_, err := h.Call(ctx, o.Episode, c)
		must(h.t, err)
	}
	answer := "7"
	_, err = h.Submit(ctx, o.Episode, astra.Submitted{Answer: &answer})
	must(h.t, err)
	return o.Episode
}

func look(item string) astra.Call {
	return astra.Call{Tool: "stock", Args: json.RawMessage(`{"item":"` + item + `"}`)}
}

// at is a client of another server.
func (h *house) at(url string) *client.Client {
	h.t.Helper()
	c, err := client.New(url, token, nil)
	must(h.t, err)
	return c
}
