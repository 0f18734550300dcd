package agent

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"github.com/astra-arenas/astra"
)

const testKey = "0123456789abcdef0123456789abcdef"

// A fakeDoor is an MCP server with a few tools, behind a bearer token, that remembers what was called.
type fakeDoor struct {
	*httptest.Server
	mu    sync.Mutex
	calls []string // "tool args"
	keys  []string // idempotency keys, in order
	drop  int      // answers of tools/call to lose
	fail  int      // calls that fail before others come through
}

func newDoor(t *testing.T) *fakeDoor {
	t.Helper()
	d := new(fakeDoor)
	s := server.NewMCPServer("door", "1")
	add := func(name, schema string, answer func(args map[string]any) *mcp.CallToolResult) {
		s.AddTool(mcp.Tool{Name: name, Description: name + " something", RawInputSchema: json.RawMessage(schema)},
			func(_ context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
				if d.record(r) {
					return mcp.NewToolResultError(name + " did not answer within 10 s"), nil
				}
				return answer(r.GetArguments()), nil
			})
	}
	add("find", `{"type":"object","properties":{"name":{"type":"string","minLength":2}},"required":["name"],"minProperties":1,"additionalProperties":false}`,
		func(args map[string]any) *mcp.CallToolResult {
			return mcp.NewToolResultStructured(map[string]any{"sku": "B8", "places": []any{map[string]any{"id": 7}}}, `{"places":[{"id":7}],"sku":"B8"}`)
		})
	add("stock", `{"type":"object","properties":{"sku":{"type":"string"},"place":{"type":"integer"}}}`,
		func(map[string]any) *mcp.CallToolResult { return mcp.NewToolResultStructured(41, "41") })
	add("fail", `{"type":"object"}`, func(map[string]any) *mcp.CallToolResult { return mcp.NewToolResultError("no such place") })
	h := server.NewStreamableHTTPServer(s)
	d.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+testKey {
			http.NotFound(w, r)
			return
		}
		if d.lose(r) {
			h.ServeHTTP(httptest.NewRecorder(), r) // it happens, and nobody hears of it
			panic(http.ErrAbortHandler)
		}
		h.ServeHTTP(w, r)
	}))
	d.Config.ErrorLog = nil
	t.Cleanup(d.Close)
	return d
}

// record reports whether the call is to fail.
func (d *fakeDoor) record(r mcp.CallToolRequest) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	args, _ := json.Marshal(r.Params.Arguments)
	d.calls = append(d.calls, r.Params.Name+" "+string(args))
	if r.Params.Meta != nil {
		key, _ := r.Params.Meta.AdditionalFields["dev.astra/idempotencyKey"].(string)
		d.keys = append(d.keys, key)
	}
	d.fail--
	return d.fail >= 0
}

// lose reports whether the answer to r is to be lost.
func (d *fakeDoor) lose(r *http.Request) bool {
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(strings.NewReader(string(body)))
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.drop == 0 || !strings.Contains(string(body), "tools/call") {
		return false
	}
	d.drop--
	return true
}

func (d *fakeDoor) enter(t *testing.T, opts *DoorOptions) *Door {
	t.Helper()
	s, err := Dial(t.Context(), d.URL, testKey, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestDoor(t *testing.T) {
	for name, opts := range map[string]*DoorOptions{"modern": nil, "legacy": {Legacy: true}} {
		t.Run(name, func(t *testing.T) {
			s := newDoor(t).enter(t, opts)
			tools, err := s.Tools(t.Context())
			if err != nil || len(tools) != 3 {
				t.Fatalf("Tools = %v, %v; want 3 tools", tools, err)
			}
			for _, tool := range tools { // what the client's own type would have lost
				if tool.Name == "find" && !strings.Contains(string(tool.Input), "minProperties") {
					t.Errorf("input schema of find = %s, want it whole", tool.Input)
				}
			}
			out, err := s.Call(t.Context(), "find", json.RawMessage(`{"name":"bolt"}`))
			if err != nil || out.Failed || string(out.Value) != `{"places":[{"id":7}],"sku":"B8"}` {
				t.Errorf("Call(find) = %+v %s, %v", out, out.Value, err)
			}
			out, err = s.Call(t.Context(), "stock", json.RawMessage(`{}`))
			if err != nil || string(out.Value) != `41` {
				t.Errorf("Call(stock) = %s, %v; want 41", out.Value, err)
			}
			out, err = s.Call(t.Context(), "fail", json.RawMessage(`{}`))
			if err != nil || !out.Failed || out.Text != "no such place" {
				t.Errorf("Call(fail) = %+v, %v; want a failed outcome", out, err)
			}
			out, err = s.Call(t.Context(), "nothing", json.RawMessage(`{}`))
			if err != nil || !out.Failed {
				t.Errorf("Call(nothing) = %+v, %v; want a failed outcome", out, err)
			}
		})
	}
}

func TestDoorRepeatsLostCalls(t *testing.T) {
	d := newDoor(t)
	s := d.enter(t, nil)
	d.drop = 2
	if out, err := s.Call(t.Context(), "stock", json.RawMessage(`{}`)); err != nil || string(out.Value) != "41" {
		t.Fatalf("Call = %+v, %v", out, err)
	}
	if len(d.keys) != 3 || d.keys[0] == "" || d.keys[0] != d.keys[2] {
		t.Errorf("idempotency keys = %q, want one key three times", d.keys)
	}
	if _, err := s.Call(t.Context(), "stock", json.RawMessage(`{}`)); err != nil {
		t.Fatal(err)
	}
	if d.keys[3] == d.keys[0] {
		t.Errorf("the next call had the same key %q", d.keys[3])
	}
}

func TestDoorHidesItsKey(t *testing.T) {
	d := newDoor(t)
	_, err := Dial(t.Context(), d.URL, "ffffffffffffffffffffffffffffffff", nil)
	if !errors.Is(err, astra.ErrNotFound) {
		t.Errorf("Dial with a foreign key: %v, want ErrNotFound", err)
	}
	s := d.enter(t, &DoorOptions{Retries: -1})
	d.Close()
	_, err = s.Call(t.Context(), "stock", json.RawMessage(`{}`))
	if err == nil {
		t.Error("Call at a closed door succeeded")
	}
	// A door's URL may hold the key.
	_, err = Dial(t.Context(), d.URL+"/episodes/"+testKey+"/mcp", testKey, nil)
	if err == nil || strings.Contains(err.Error(), testKey) {
		t.Errorf("Dial at a closed door: %v, want an error without the key", err)
	}
}

func TestDoorBoundsAnswers(t *testing.T) {
	s := newDoor(t).enter(t, &DoorOptions{MaxBody: 400, Retries: -1})
	if _, err := s.Tools(t.Context()); err == nil || !strings.Contains(err.Error(), "too large") {
		t.Errorf("Tools with a limit of 400 bytes: %v, want too large", err)
	}
}

func TestDoorTimesOut(t *testing.T) {
	stuck := make(chan struct{})
	silent := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { <-stuck }))
	defer silent.Close()
	defer close(stuck)
	ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, errors.New("too slow"))
	defer cancel()
	if _, err := Dial(ctx, silent.URL, testKey, nil); err == nil {
		t.Error("Dial at a silent door succeeded")
	}
}

func TestUnwrap(t *testing.T) {
	for _, c := range []struct{ value, text, want string }{
		{`{"result":5}`, `5`, `5`},
		{`{"result":5}`, `{"result":5}`, `{"result":5}`},
		{`{"result":"a b"}`, `a b`, `"a b"`},
		{`{"result":null}`, `null`, `null`},
		{`{"result":[1, 2]}`, `[1,2]`, `[1,2]`},
		{`{"a":1}`, `x`, `{"a":1}`},
		{``, `{"a":1}`, `{"a":1}`},
		{``, `plain`, `"plain"`},
	} {
		if got := unwrap(json.RawMessage(c.value), c.text); !sameJSON(got, json.RawMessage(c.want)) {
			t.Errorf("unwrap(%s, %q) = %s, want %s", c.value, c.text, got, c.want)
		}
	}
}
