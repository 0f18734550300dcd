package ors_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
)

// Whatever is sent, the face answers in its own form, tells nothing hidden, and nothing that
// is the client's doing is told as trouble of ours.
func FuzzFace(f *testing.F) {
	h := newHouse(f, houseOptions{arenas: []string{shop, terms}})
	const open = "an open session"
	for _, seed := range [][4]string{
		{"GET", "/list_environments", "", ""},
		{"GET", "/tools", "terms.2", ""},
		{"POST", "/terms.1/task_range", "", `{"split":"train","start":-1,"stop":9}`},
		{"POST", "/create", "shop", `{"split":"train","index":0}`},
		{"POST", "/create", "", clause},
		{"POST", "/call", "", `{"name":"import_","input":{"from_":"a","class__":null},"task_id":"t"}`},
		{"POST", "/call", "", `{"name":"find","input":{"word":"rent","page":null}}`},
		{"POST", "/terms.1/call", "", `{"name":"episode_turn","input":{"reply":"x"},"task_id":"u"}`},
		{"POST", "/call", "", `{"name":"episode_submit","input":{"answer":null}}`},
		{"GET", "/terms.1/prompt", "", ""},
		{"POST", "/ping", "", ""},
		{"POST", "/delete", "", ""},
	} {
		f.Add(seed[0], seed[1], open, seed[2], seed[3])
	}
	var opened atomic.Int64
	f.Fuzz(func(t *testing.T, method, path, id, deployment, body string) {
		r, err := http.NewRequestWithContext(t.Context(), method, h.faces.URL, strings.NewReader(body))
		if err != nil {
			t.Skip("no request of HTTP")
		}
		if id == open {
			g := game{client{t, h.faces.URL}, strconv.FormatInt(opened.Add(1), 10)}
			g.expect("POST", "/create", clause, g.header())
			defer g.expect("POST", "/delete", "", g.header())
			id = g.id
		}
		r.URL.Path = "/" + strings.TrimPrefix(path, "/")
		r.Header["X-Session-Id"], r.Header["X-Deployment"] = []string{id}, []string{deployment}
		w := httptest.NewRecorder()
		h.faces.Config.Handler.ServeHTTP(w, r)
		got := w.Body.String()
		if w.Code >= 500 || strings.Contains(got, "its log says why") {
			t.Errorf("%s %q %q %q: %d %s", method, path, id, body, w.Code, got)
		}
		if strings.Contains(strings.ToLower(got+w.Header().Get("Location")), "canary") {
			t.Errorf("%s %q: hidden things are shown: %s", method, path, got)
		}
		if w.Header().Get("Content-Type") == "application/json" && !json.Valid(w.Body.Bytes()) {
			t.Errorf("%s %q: %s", method, path, got)
		}
	})
}
