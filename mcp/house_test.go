package mcp

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
	"github.com/astra-arenas/astra/gateway/gatewaytest"
	protocol "github.com/mark3labs/mcp-go/mcp"
)

const explorerToken = "an explorer's token"

// A house is the doors to a gateway over real parts.
type house struct {
	*Server
	t       testing.TB
	gateway *gateway.Gateway
	web     *httptest.Server
	clock   *gatewaytest.Clock
}

func newHouse(t testing.TB, opts *Options) *house {
	t.Helper()
	h := &house{t: t, clock: gatewaytest.NewClock()}
	h.gateway = gatewaytest.New(t, &gateway.Options{Now: h.clock.Now}, "testdata/geo", "testdata/shop")
	if opts == nil {
		opts = &Options{Practice: true, Token: explorerToken}
	}
	var err error
	h.Server, err = New(h.gateway, opts)
	must(t, err)
	h.gateway.OnToolsAdded(h.ToolsAdded)
	h.web = httptest.NewServer(h.AgentHandler())
	t.Cleanup(h.web.Close)
	t.Cleanup(func() { must(t, h.Server.Close(context.Background())) })
	return h
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// open opens an episode on the control side.
func (h *house) open(task string) *gateway.Opening {
	h.t.Helper()
	o, err := h.gateway.Open(context.Background(), gateway.OpenRequest{Arena: "shop", Task: task, Mode: astra.Eval})
	must(h.t, err)
	return o
}

func (h *house) record(id astra.EpisodeID) *astra.Episode {
	h.t.Helper()
	ep, err := h.gateway.Episode(context.Background(), id)
	must(h.t, err)
	return ep
}

// An era is how requests are sent: with what the protocol of its time wants.
type era string

const (
	legacy era = protocol.LATEST_LEGACY_PROTOCOL_VERSION
	modern era = protocol.LATEST_PROTOCOL_VERSION
)

// A wire sends single messages and shows what comes back, byte for byte.
type wire struct {
	t       testing.TB
	url     string
	era     era
	session string // legacy
	header  http.Header
}

// dial opens a legacy session; a modern wire needs nothing.
func dial(t testing.TB, url, token string, e era) *wire {
	t.Helper()
	w := &wire{t: t, url: url, era: e, header: http.Header{}}
	if token != "" {
		w.header.Set("Authorization", "Bearer "+token)
	}
	if e == legacy {
		r := w.post(`{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"` + string(legacy) + `","capabilities":{},"clientInfo":{"name":"test","version":"1"}}}`)
		if r.status != http.StatusOK {
			t.Fatalf("initialize: %d %s", r.status, r.body)
		}
		w.session = r.header.Get("Mcp-Session-Id")
	}
	return w
}

type response struct {
	status int
	header http.Header
	body   string
}

func (w *wire) do(method, body string) response {
	w.t.Helper()
	q, err := http.NewRequestWithContext(context.Background(), method, w.url, strings.NewReader(body))
	must(w.t, err)
	for k, v := range w.header {
		q.Header[k] = v
	}
	q.Header.Set("Content-Type", "application/json")
	q.Header.Set("Accept", "application/json, text/event-stream")
	q.Header.Set("Mcp-Protocol-Version", string(w.era))
	if w.session != "" {
		q.Header.Set("Mcp-Session-Id", w.session)
	}
	r, err := http.DefaultClient.Do(q)
	must(w.t, err)
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	must(w.t, err)
	return response{r.StatusCode, r.Header, string(b)}
}

func (w *wire) post(body string) response {
	w.t.Helper()
	return w.do(http.MethodPost, body)
}

// ask sends a request with the metadata and headers of its era.
func (w *wire) ask(method, params string) response {
	w.t.Helper()
	if w.era == legacy {
		return w.post(`{"jsonrpc":"2.0","id":1,"method":"` + method + `","params":` + params + `}`)
	}
	p := map[string]json.RawMessage{}
	must(w.t, json.Unmarshal([]byte(params), &p))
	meta := map[string]any{"io.modelcontextprotocol/protocolVersion": w.era, "io.modelcontextprotocol/clientCapabilities": struct{}{}}
	if p["_meta"] != nil {
		must(w.t, json.Unmarshal(p["_meta"], &meta))
	}
	m, err := json.Marshal(meta)
	must(w.t, err)
	p["_meta"] = m
	name := ""
	for _, key := range []string{"name", "uri"} {
		if p[key] != nil {
			must(w.t, json.Unmarshal(p[key], &name))
		}
	}
	all, err := json.Marshal(p)
	must(w.t, err)
	named := *w
	named.header = w.header.Clone()
	named.header.Set("Mcp-Method", method)
	if name != "" {
		named.header.Set("Mcp-Name", name)
	}
	return named.post(`{"jsonrpc":"2.0","id":1,"method":"` + method + `","params":` + string(all) + `}`)
}

// A reading is a response to a tool call.
type reading struct {
	Result struct {
		Content []struct {
			Text string `json:"text"`
		} `json:"content"`
		Structured json.RawMessage `json:"structuredContent"`
		IsError    bool            `json:"isError"`
	} `json:"result"`
	Error *struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
}

func (r response) read(t testing.TB) reading {
	t.Helper()
	body := r.body
	if i := strings.LastIndex(body, "data: "); i >= 0 { // the response ends a stream
		body = body[i+len("data: "):]
	}
	var v reading
	if err := json.Unmarshal([]byte(body), &v); err != nil {
		t.Fatalf("%d %q: %v", r.status, r.body, err)
	}
	return v
}

func (v reading) text() string {
	if v.Error != nil {
		return v.Error.Message
	}
	if len(v.Result.Content) == 0 {
		return ""
	}
	return v.Result.Content[0].Text
}

func (w *wire) call(tool, args string) reading {
	w.t.Helper()
	return w.ask("tools/call", `{"name":"`+tool+`","arguments":`+args+`}`).read(w.t)
}

// tools lists names in order.
func (w *wire) tools() []string {
	w.t.Helper()
	var v struct {
		Result struct {
			Tools []struct{ Name string } `json:"tools"`
		} `json:"result"`
	}
	r := w.ask("tools/list", "{}")
	body := r.body
	if i := strings.LastIndex(body, "data: "); i >= 0 {
		body = body[i+len("data: "):]
	}
	if err := json.Unmarshal([]byte(body), &v); err != nil {
		w.t.Fatalf("%s: %v", r.body, err)
	}
	var names []string
	for _, t := range v.Result.Tools {
		names = append(names, t.Name)
	}
	return names
}

func bothEras(t *testing.T, do func(t *testing.T, e era)) {
	for _, e := range []era{legacy, modern} {
		t.Run(string(e), func(t *testing.T) { do(t, e) })
	}
}

// door is the URL of an episode.
func (h *house) door(k astra.Key) string { return h.web.URL + "/episodes/" + string(k) + "/mcp" }
