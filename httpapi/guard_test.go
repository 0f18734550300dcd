package httpapi_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
	"github.com/astra-arenas/astra/httpapi"
)

// TestAgentsAreRefused tries every route with what an agent has, and with other wrong
// credentials.
func TestAgentsAreRefused(t *testing.T) {
	h := newHouse(t)
	o, err := h.Open(t.Context(), gateway.OpenRequest{Arena: "shop", Task: "count"})
	must(t, err)
	for _, auth := range []string{"", "Bearer", "Bearer ", "Bearer " + string(o.Key), "Bearer " + string(o.Episode), "Basic " + token, token,
		"Bearer " + token + " ", "Bearer  " + token, "Bearer " + token[1:], "Bearer " + strings.ToUpper(token)} {
		for _, r := range h.handler.(*echo.Echo).Routes() {
			path := strings.NewReplacer(":id", string(o.Episode), ":arena", "shop", ":task", "count").Replace(r.Path)
			got := h.do(r.Method, path, "", header("Authorization", auth))
			if path == "/healthz" {
				if got.StatusCode != 200 {
					t.Errorf("/healthz = %d", got.StatusCode)
				}
				continue
			}
			if p := got.problem(t); p.Status != 401 || got.Header.Get("WWW-Authenticate") == "" {
				t.Errorf("%s %s with %q = %+v, want 401", r.Method, path, auth, p)
			}
		}
		// What there is not is not told either.
		if got := h.do("GET", "/v1/nothing", "", header("Authorization", auth)); got.StatusCode != 401 {
			t.Errorf("unknown route with %q = %d, want 401", auth, got.StatusCode)
		}
	}
	ep, err := h.Episode(t.Context(), o.Episode)
	must(t, err)
	if ep.Over() {
		t.Error("a refused request ended the episode")
	}
}

func TestHostsAndOrigins(t *testing.T) {
	g := newGateway(t, nil)
	handler, err := httpapi.New(g, &httpapi.Options{Token: token, Hosts: []string{"astra.example"}, Origins: []string{"https://console.example"}})
	must(t, err)
	h := &house{t: t, Gateway: g, handler: handler}
	for _, tc := range []struct {
		host, origin string
		want         int
	}{
		{"localhost", "", 200}, {"LOCALHOST:80", "", 200}, {"127.0.0.1:9", "", 200}, {"127.8.8.8", "", 200}, {"[::1]:7", "", 200}, {"[::1]", "", 200},
		{"astra.example:443", "", 200}, {"ASTRA.example", "", 200},
		{"", "", 403}, {"evil.example", "", 403}, {"localhost.evil.example", "", 403}, {"10.0.0.1", "", 403}, {"0.0.0.0", "", 403}, {"127.0.0.1.evil.example", "", 403},
		{"localhost:9", "http://localhost:9", 200}, {"localhost", "https://console.example", 200},
		{"localhost:9", "http://localhost:8", 403}, {"localhost", "null", 403}, {"localhost", "https://evil.example", 403}, {"localhost", "file://localhost", 403},
		{"localhost", "https://console.example.evil.example", 403}, {"localhost", "%", 403},
	} {
		got := h.do("GET", "/v1/stats", "", func(r *http.Request) {
			r.Host = tc.host
			if tc.origin != "" {
				r.Header.Set("Origin", tc.origin)
			}
		})
		if got.StatusCode != tc.want {
			t.Errorf("Host %q, Origin %q = %d, want %d", tc.host, tc.origin, got.StatusCode, tc.want)
		}
	}
}

func TestTokenIsNeeded(t *testing.T) {
	for _, o := range []*httpapi.Options{nil, {}, {Token: "short"}} {
		if _, err := httpapi.New(nil, o); err == nil {
			t.Errorf("New with %+v made a door that anyone can open", o)
		}
	}
}

// TestProblems has one request for each thing that a caller can get wrong.
func TestProblems(t *testing.T) {
	h := newHouse(t)
	o, err := h.Open(t.Context(), gateway.OpenRequest{Arena: "shop", Task: "restock"})
	must(t, err)
	at := "/v1/episodes/" + string(o.Episode)
	h.expect(nil, 200, "POST", at+"/calls", `{"tool":"stock","args":{"item":"nut"},"idempotency_key":"k"}`)
	huge := `{"reply":"` + strings.Repeat("x", 2<<20) + `"}`
	for _, tc := range []struct {
		method, path, body string
		status             int
		kind               string
	}{
		{"GET", "/nothing", "", 404, "not-found"},
		{"GET", "/v1/episodes/ep-unknown", "", 404, "not-found"},
		{"GET", "/v1/episodes/%00", "", 404, "not-found"},
		{"GET", "/v1/arenas/none", "", 404, "not-found"},
		{"GET", "/v1/arenas/%zz", "", 404, "not-found"},
		{"DELETE", at, "", 405, "method"},
		{"POST", "/v1/keys/resolve", `{"key":"00"}`, 404, "not-found"},
		{"POST", "/v1/episodes", `{`, 400, "malformed"},
		{"POST", "/v1/episodes", `[]`, 400, "malformed"},
		{"POST", "/v1/episodes", `{} {}`, 400, "malformed"},
		{"POST", "/v1/episodes", `{"arena":"shop","colour":"red"}`, 400, "malformed"},
		{"POST", "/v1/episodes", `{"arena":7}`, 400, "malformed"},
		{"POST", "/v1/episodes", `{"arena":"shop","Principal_":"x"}`, 400, "malformed"},
		{"POST", "/v1/episodes", `{"arena":"shop","seed":1.5}`, 400, "malformed"},
		{"POST", "/v1/episodes", `{"arena":"shop","ttl":-1}`, 422, "refused"},
		{"POST", "/v1/episodes", `{"arena":"shop","ttl":9000000000000000000}`, 422, "refused"},
		{"POST", "/v1/episodes", `{"arena":"shop","task":"held","mode":"train"}`, 422, "refused"},
		{"POST", "/v1/episodes", `{"arena":"shop","task":"none"}`, 404, "not-found"},
		{"POST", at + "/calls", `{"tool":"stock","args":{"item":"bolt"},"idempotency_key":"k"}`, 422, "idempotency"},
		{"POST", at + "/turns", huge, 413, "too-large"},
		{"POST", at + "/rescore", "", 409, "unscored"},
		{"GET", at + "/score", "", 409, "unscored"},
		{"POST", at + "/submit", `{"messages":{"role":"user"}}`, 422, "disagrees"},
		{"GET", "/v1/episodes?limit=0", "", 400, "malformed"},
		{"GET", "/v1/episodes?limit=1001", "", 400, "malformed"},
		{"GET", "/v1/episodes?mode=other", "", 400, "malformed"},
		{"GET", "/v1/episodes?statsu=scored", "", 400, "malformed"},
		{"GET", "/v1/episodes?mode=train&mode=eval", "", 400, "malformed"},
		{"GET", "/v1/episodes?x=%zz", "", 400, "malformed"},
		{"GET", "/v1/arenas/shop/tasks?split=half", "", 400, "malformed"},
		{"GET", "/v1/export/sft?min_reward=NaN", "", 400, "malformed"},
		{"GET", "/v1/export/sft?min_reward=2", "", 400, "malformed"},
	} {
		target := tc.path
		if strings.Contains(target, "%zz") || strings.Contains(target, "%00") {
			target = "/"
		}
		got := h.do(tc.method, target, tc.body, func(r *http.Request) {
			if target != tc.path {
				r.URL.Path, r.URL.RawQuery, _ = strings.Cut(tc.path, "?")
			}
		})
		p := got.problem(t)
		if p.Status != tc.status || p.Type != httpapi.ProblemType+tc.kind {
			t.Errorf("%s %s %.60s = %d %s (%s), want %d %s", tc.method, tc.path, tc.body, p.Status, p.Type, p.Detail, tc.status, tc.kind)
		}
		if strings.Contains(p.Detail, "goroutine") || strings.Contains(p.Detail, "httpapi.") || strings.Contains(p.Detail, "struct") || strings.Contains(p.Detail, "code=") {
			t.Errorf("%s %s shows what is inside: %s", tc.method, tc.path, p.Detail)
		}
	}
	if got := h.do("PUT", at, ""); !strings.Contains(got.Header.Get("Allow"), "GET") {
		t.Errorf("405 allows %q", got.Header.Get("Allow"))
	}
	if p := h.do("POST", "/v1/episodes", `{}`, header("Content-Type", "text/plain")).problem(t); p.Status != 415 {
		t.Errorf("a form's content type: %+v", p)
	}
	if p := h.do("POST", at+"/calls", `{"tool":"stock","idempotency_key":"a"}`, header("Idempotency-Key", "b")).problem(t); p.Status != 400 {
		t.Errorf("two idempotency keys: %+v", p)
	}
}

// broken is a gateway whose every answer is the same error, or a panic.
type broken struct {
	*gateway.Gateway
	err error
}

func (b broken) List(context.Context, astra.Query) (astra.Page, error) {
	if b.err == nil {
		panic("a bug, with secrets in it")
	}
	return astra.Page{}, b.err
}

// What nobody foresaw is told to the log and not to the caller.
func TestInternalErrorsAreKept(t *testing.T) {
	for _, err := range []error{errors.New("secrets in it"), nil} {
		handler, newErr := httpapi.New(broken{newGateway(t, nil), err}, &httpapi.Options{Token: token})
		must(t, newErr)
		h := &house{t: t, handler: handler}
		got := h.do("GET", "/v1/episodes", "")
		if p := got.problem(t); p.Status != 500 || strings.Contains(string(got.body), "secrets") {
			t.Errorf("internal error = %s", got.body)
		}
	}
}

// TestSecretsAreNotLogged plays, errs and panics before a logger that writes everything.
func TestSecretsAreNotLogged(t *testing.T) {
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	handler, err := httpapi.New(broken{Gateway: newGateway(t, nil)}, &httpapi.Options{Token: token, Logger: logger})
	must(t, err)
	h := &house{t: t, handler: handler}
	var o gateway.Opening
	h.expect(&o, 201, "POST", "/v1/episodes", `{"arena":"shop","task":"broken","mode":"train"}`)
	h.expect(nil, 200, "POST", "/v1/keys/resolve", `{"key":"`+string(o.Key)+`"}`)
	h.do("POST", "/v1/keys/resolve", `{"key":"`+string(o.Key)+`x"}`)
	h.do("POST", "/v1/keys/resolve", `{"key":"`+string(o.Key))
	h.do("POST", "/v1/episodes/"+string(o.Episode)+"/submit", "")
	if h.do("GET", "/v1/episodes", "").StatusCode != 500 || !strings.Contains(log.String(), "a bug") {
		t.Errorf("the panic is not in the log: %s", &log)
	}
	if strings.Contains(log.String(), string(o.Key)) || strings.Contains(log.String(), token) || strings.Contains(log.String(), o.Key.Hash()) {
		t.Errorf("a secret is in the log: %s", &log)
	}
}

// TestExportBreaksOff: half an export must not look like a whole one.
func TestExportBreaksOff(t *testing.T) {
	h := newHouse(t)
	h.play(gateway.OpenRequest{Task: "count", Mode: astra.Train}, look("nut"))
	sft := func(ctx context.Context, w io.Writer, _ astra.Query, _ float64) error {
		_, err := w.Write(bytes.Repeat([]byte("{}\n"), 100_000))
		return errors.Join(err, errors.New("the disk is gone"))
	}
	handler, err := httpapi.New(h.Gateway, &httpapi.Options{Token: token, SFT: sft})
	must(t, err)
	server := httptest.NewServer(handler)
	defer server.Close()
	if err := h.at(server.URL).ExportSFT(t.Context(), new(strings.Builder), astra.Query{}, 0); err == nil {
		t.Error("a broken export passed for a whole one")
	}
	handler, err = httpapi.New(h.Gateway, &httpapi.Options{Token: token})
	must(t, err)
	if p := (&house{t: t, handler: handler}).do("GET", "/v1/export/sft", "").problem(t); p.Status != 501 {
		t.Errorf("export without an exporter: %+v", p)
	}
}

// An export that fails before anything was sent is an ordinary problem.
func TestExportFailsEarly(t *testing.T) {
	sft := func(_ context.Context, w io.Writer, _ astra.Query, _ float64) error {
		_, err := io.WriteString(w, "{}\n")
		return errors.Join(err, astra.ErrStoreCorrupt)
	}
	handler, err := httpapi.New(broken{}, &httpapi.Options{Token: token, SFT: sft})
	must(t, err)
	got := (&house{t: t, handler: handler}).do("GET", "/v1/export/sft", "")
	if p := got.problem(t); p.Status != 500 || strings.Contains(string(got.body), "{}") {
		t.Errorf("early failure = %s", got.body)
	}
}

// untouched fails the test when a byte of it is read.
type untouched struct{ t *testing.T }

func (u untouched) Read([]byte) (int, error) {
	u.t.Error("a body that says it is too large was read")
	return 0, io.EOF
}

func TestHugeUploadIsRefusedUnread(t *testing.T) {
	h := newHouse(t)
	got := h.do("POST", "/v1/arenas", "", func(r *http.Request) {
		r.Body, r.ContentLength = io.NopCloser(untouched{t}), 300<<20
	})
	if p := got.problem(t); p.Status != 413 || !strings.Contains(p.Detail, "268435456") {
		t.Errorf("huge upload: %+v", p)
	}
}

// hang is a gateway that answers only when it is told to stop.
type hang struct{ *gateway.Gateway }

func (hang) List(ctx context.Context, _ astra.Query) (astra.Page, error) {
	<-ctx.Done()
	return astra.Page{}, ctx.Err()
}

func TestRequestsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // two minutes pass on a fake clock
		handler, err := httpapi.New(hang{}, &httpapi.Options{Token: token})
		must(t, err)
		start := time.Now()
		p := (&house{t: t, handler: handler}).do("GET", "/v1/episodes", "").problem(t)
		if p.Status != 504 || time.Since(start) != httpapi.DefaultTimeout {
			t.Errorf("after %v: %+v", time.Since(start), p)
		}
	})
}

// FuzzRequest sends any body to any route: there is an answer, and it is none of ours to
// be ashamed of.
func FuzzRequest(f *testing.F) {
	h := newHouse(f)
	o, err := h.Open(f.Context(), gateway.OpenRequest{Arena: "shop", Task: "restock"})
	must(f, err)
	routes := h.handler.(*echo.Echo).Routes()
	for i := range routes {
		f.Add(uint8(i), "", `{}`, "")
		f.Add(uint8(i), string(o.Episode), `{"tool":"stock","args":{"item":"nut"},"answer":1,"messages":[],"arena":"shop","key":"x"}`, "limit=1")
	}
	f.Fuzz(func(t *testing.T, route uint8, id, body, query string) {
		r := routes[int(route)%len(routes)]
		if id == "" {
			id = string(o.Episode)
		}
		path := strings.NewReplacer(":id", id, ":arena", id, ":task", id).Replace(r.Path)
		req := httptest.NewRequest(r.Method, "http://localhost/", strings.NewReader(body))
		req.URL.Path, req.URL.RawQuery = path, query
		req.Header.Set("Authorization", "Bearer "+token)
		req.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		h.handler.ServeHTTP(w, req)
		if w.Code >= 500 && w.Code != http.StatusNotImplemented {
			t.Errorf("%s %q ?%q %q = %d %s", r.Method, path, query, body, w.Code, w.Body)
		}
	})
}
