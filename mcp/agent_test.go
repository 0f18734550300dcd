package mcp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
	protocol "github.com/mark3labs/mcp-go/mcp"
)

func TestAgentPlays(t *testing.T) {
	h := newHouse(t, nil)
	bothEras(t, func(t *testing.T, e era) {
		o := h.open("sell-tea")
		w := dial(t, h.door(o.Key), "", e)
		if got, want := w.tools(), []string{"stock", "shelf", "all", "echo", "find_place"}; !slices.Equal(got, want) {
			t.Errorf("tools = %v, want %v", got, want)
		}
		if v := w.call("stock", `{"thing":"tea"}`); v.text() != `{"thing":"tea","left":7}` || string(v.Result.Structured) != `{"thing":"tea","left":7}` {
			t.Errorf("stock = %+v", v.Result)
		}
		if v := w.call("find_place", `{"name":"Rome"}`); v.text() != `{"name":"Rome"}` {
			t.Errorf("the distractor = %+v %+v", v.Result, v.Error)
		}
		_, err := h.gateway.Turn(t.Context(), o.Episode, "seven")
		must(t, err)
		if got, want := w.tools(), []string{"stock", "shelf", "all", "echo", "sell", "find_place"}; !slices.Equal(got, want) {
			t.Errorf("tools in turn 2 = %v, want %v", got, want)
		}
		if v := w.call("sell", `{"thing":"tea","count":2}`); v.text() != "5" {
			t.Errorf("sell = %+v %+v", v.Result, v.Error)
		}
		if n := len(h.record(o.Episode).Steps); n != 3 {
			t.Errorf("%d steps, want 3", n)
		}
	})
}

func TestValues(t *testing.T) {
	h := newHouse(t, nil)
	for _, tt := range []struct{ tool, args, text, legacy, modern string }{
		{"shelf", `{"thing":"tea"}`, "S3", `{"result":"S3"}`, `"S3"`},
		{"all", `{}`, `["tea","milk"]`, `{"result":["tea","milk"]}`, `["tea","milk"]`},
		{"echo", `{"value":{"b":[1,2.50,9007199254740993],"a":"ü"}}`, "", "", ""},
	} {
		bothEras(t, func(t *testing.T, e era) {
			o := h.open("short")
			v := dial(t, h.door(o.Key), "", e).call(tt.tool, tt.args)
			want := map[era]string{legacy: tt.legacy, modern: tt.modern}[e]
			if tt.text != "" && (v.text() != tt.text || string(v.Result.Structured) != want) {
				t.Errorf("%s = %q, %s; want %q, %s", tt.tool, v.text(), v.Result.Structured, tt.text, want)
			}
			if got := string(h.record(o.Episode).Steps[0].Args); got != tt.args {
				t.Errorf("arguments reached the gateway as %s, want %s", got, tt.args)
			}
		})
	}
}

func TestOutputSchemaFitsEra(t *testing.T) {
	h := newHouse(t, nil)
	for e, want := range map[era]string{
		legacy: `"outputSchema":{"type":"object","properties":{"result":{"type":"string"}},"required":["result"]}`,
		modern: `"outputSchema":{"type":"string"}`,
	} {
		r := dial(t, h.door(h.open("short").Key), "", e).ask("tools/list", "{}")
		if !strings.Contains(strings.ReplaceAll(r.body, " ", ""), want) {
			t.Errorf("%s: %s does not have %s", e, r.body, want)
		}
		if e == modern && !strings.Contains(r.body, `"ttlMs":0`) {
			t.Errorf("a list may be cached: %s", r.body)
		}
	}
}

// A tool that is unknown and one that is not yet in view must look the same.
func TestUnknownToolIsAStep(t *testing.T) {
	h := newHouse(t, nil)
	bothEras(t, func(t *testing.T, e era) {
		o := h.open("sell-tea")
		w := dial(t, h.door(o.Key), "", e)
		hidden, unknown := w.call("sell", `{"thing":"tea","count":1}`), w.call("no_such", `{"a":1}`)
		if hidden.Error == nil || hidden.Error.Code != -32602 || unknown.Error == nil || unknown.Error.Code != -32602 {
			t.Fatalf("hidden: %+v, unknown: %+v, want -32602", hidden.Error, unknown.Error)
		}
		if a, b := strings.ReplaceAll(hidden.Error.Message, "sell", "X"), strings.ReplaceAll(unknown.Error.Message, "no_such", "X"); a != b {
			t.Errorf("they can be told apart: %q and %q", a, b)
		}
		steps := h.record(o.Episode).Steps
		if len(steps) != 2 || steps[0].Tool != "sell" || steps[0].Result.Fault != astra.FaultAgent || steps[1].Tool != "no_such" || string(steps[1].Args) != `{"a":1}` {
			t.Errorf("steps = %+v, want two failed ones", steps)
		}
	})
}

// What an agent is told of a tool that is not there is what the log says, whichever way its
// call takes and whatever else it is told, so that a transcript agrees with the log.
func TestUnknownToolIsToldAsLogged(t *testing.T) {
	h := newHouse(t, nil)
	bothEras(t, func(t *testing.T, e era) {
		o := h.open("sell-tea")
		w := dial(t, h.door(o.Key), "", e)
		status := map[era]int{legacy: http.StatusOK, modern: http.StatusBadRequest}[e]
		for i, params := range []string{`{"name":"no_such"}`, `{"name":"no_such","_meta":{"progressToken":"p"}}`} {
			r := w.ask("tools/call", params)
			told, logged := r.read(t), h.record(o.Episode).Steps[i].Result.Error
			if r.status != status || told.Error == nil || told.Error.Code != -32602 || told.Error.Message != logged {
				t.Errorf("%s: %d %s, the log has %q", params, r.status, r.body, logged)
			}
			messages, err := json.Marshal([]any{
				map[string]any{"role": "assistant", "tool_calls": []any{map[string]any{"id": "1", "type": "function", "function": map[string]any{"name": "no_such", "arguments": "{}"}}}},
				map[string]any{"role": "tool", "tool_call_id": "1", "content": told.text()}})
			must(t, err)
			ep := h.record(o.Episode)
			ep.Steps = ep.Steps[i : i+1]
			if err := astra.Agree(ep, messages); err != nil {
				t.Error(err)
			}
		}
		_, err := h.gateway.Submit(t.Context(), o.Episode, astra.Submitted{})
		must(t, err)
		if v := w.call("no_such", "{}"); !strings.Contains(v.text(), "the episode is over") {
			t.Errorf("after the end: %+v", v)
		}
	})
}

// A notification that waits for the response of an unknown tool is not lost to it.
func TestUnknownToolKeepsNotification(t *testing.T) {
	h := newHouse(t, nil)
	o := h.open("sell-tea")
	w := dial(t, h.door(o.Key), "", legacy)
	_, err := h.gateway.Turn(t.Context(), o.Episode, "seven")
	must(t, err)
	r := w.ask("tools/call", `{"name":"no_such"}`)
	v, logged := r.read(t), h.record(o.Episode).Steps[0].Result.Error
	if !strings.Contains(r.body, "list_changed") || v.Error == nil || v.Error.Message != logged {
		t.Errorf("%s, the log has %q", r.body, logged)
	}
}

// A distractor is a tool of another arena, and else like any other: its headers must agree
// with its arguments, and nobody else is told of it.
func TestDistractors(t *testing.T) {
	h := newHouse(t, nil)
	other := dial(t, h.door(h.open("long").Key), "", legacy)
	bothEras(t, func(t *testing.T, e era) {
		o := h.open("long")
		w := dial(t, h.door(o.Key), "", e)
		for i, params := range []string{`{"name":"near","arguments":{"name":"Rome"}}`, `{"name":"near","arguments":{"name":"Rome"},"_meta":{"progressToken":"p"}}`} {
			if e == modern {
				w.header.Set("Mcp-Param-Place", "Roma")
				if r := w.ask("tools/call", params); r.status != http.StatusBadRequest || !strings.Contains(r.body, "-32020") {
					t.Errorf("%s with another header: %d %s", params, r.status, r.body)
				}
				w.header.Set("Mcp-Param-Place", "Rome")
			}
			r := w.ask("tools/call", params)
			if v := r.read(t); r.status != http.StatusOK || v.text() != `{"near":"Rome"}` || len(h.record(o.Episode).Steps) != i+1 {
				t.Errorf("%s: %d %s, %d steps", params, r.status, r.body, len(h.record(o.Episode).Steps))
			}
		}
	})
	if r := other.ask("tools/call", `{"name":"stock","_meta":{"progressToken":"p"}}`); strings.Contains(r.body, "list_changed") {
		t.Errorf("another agent was told: %s", r.body)
	}
}

func TestBadArgumentsAreAStep(t *testing.T) {
	h := newHouse(t, nil)
	o := h.open("sell-tea")
	w := dial(t, h.door(o.Key), "", modern)
	for _, args := range []string{`{"thing":1}`, `[]`, `"x"`, `{}`} {
		if v := w.call("stock", args); !v.Result.IsError {
			t.Errorf("stock(%s) = %+v, want a tool error", args, v)
		}
	}
	if n := len(h.record(o.Episode).Steps); n != 4 {
		t.Errorf("%d steps, want 4", n)
	}
}

func TestIdempotency(t *testing.T) {
	h := newHouse(t, nil)
	bothEras(t, func(t *testing.T, e era) {
		o := h.open("sell-tea")
		w := dial(t, h.door(o.Key), "", e)
		params := `{"name":"stock","arguments":{"thing":%q},"_meta":{"dev.astra/idempotencyKey":%s}}`
		first := w.ask("tools/call", fmt.Sprintf(params, "tea", `"k1"`)).read(t)
		again := w.ask("tools/call", fmt.Sprintf(params, "tea", `"k1"`)).read(t)
		other := w.ask("tools/call", fmt.Sprintf(params, "milk", `"k1"`)).read(t)
		wrong := w.ask("tools/call", fmt.Sprintf(params, "tea", `7`)).read(t)
		if first.text() != again.text() || !other.Result.IsError || !wrong.Result.IsError {
			t.Errorf("first %q, again %q, other arguments %q, no string %q", first.text(), again.text(), other.text(), wrong.text())
		}
		if n := len(h.record(o.Episode).Steps); n != 1 {
			t.Errorf("%d steps, want 1", n)
		}
	})
}

func TestBudgetAndEnd(t *testing.T) {
	h := newHouse(t, nil)
	bothEras(t, func(t *testing.T, e era) {
		o := h.open("short")
		w := dial(t, h.door(o.Key), "", e)
		for range 2 {
			w.call("shelf", `{"thing":"milk"}`)
		}
		if v := w.call("shelf", `{"thing":"milk"}`); !v.Result.IsError || !strings.Contains(v.text(), "budget") {
			t.Errorf("beyond the budget: %+v", v)
		}
		_, err := h.gateway.Submit(t.Context(), o.Episode, astra.Submitted{})
		must(t, err)
		if v := w.call("shelf", `{"thing":"milk"}`); !v.Result.IsError || !strings.Contains(v.text(), "the episode is over") {
			t.Errorf("after the end: %+v", v)
		}
		h.clock.Pass(time.Hour)
		must(t, h.gateway.Sweep(t.Context()))
		if r := w.ask("tools/call", `{"name":"shelf","arguments":{"thing":"milk"}}`); r.status != http.StatusNotFound {
			t.Errorf("long after the end: %d, want 404", r.status)
		}
	})
}

func TestAgentSeesNothingElse(t *testing.T) {
	h := newHouse(t, nil)
	bothEras(t, func(t *testing.T, e era) {
		o := h.open("sell-tea")
		w := dial(t, h.door(o.Key), "", e)
		w.call("stock", `{"thing":"tea"}`)
		prompts, resources := w.ask("prompts/list", "{}").body, w.ask("resources/list", "{}").body
		if strings.Count(prompts, `"name":`) != 1+strings.Count(prompts, "astra/shop") || !strings.Contains(prompts, `"messages"`) {
			t.Errorf("prompts = %s, want one", prompts)
		}
		if strings.Count(resources, `"uri":`) != 1 || !strings.Contains(resources, `astra://episode"`) {
			t.Errorf("resources = %s, want one", resources)
		}
		said := w.ask("prompts/get", `{"name":"messages"}`).body
		if !strings.Contains(said, "How much tea is left?") || strings.Contains(said, "Sell two") {
			t.Errorf("messages = %s", said)
		}
		seen := w.ask("resources/read", `{"uri":"astra://episode"}`).body
		if !strings.Contains(seen, `\"tool\":\"stock\"`) || !strings.Contains(seen, `\"left\":7`) {
			t.Errorf("transcript = %s", seen)
		}
		if r := w.ask("resources/read", `{"uri":"astra://arenas/shop"}`).read(t); r.Error == nil {
			t.Error("an agent read an arena")
		}
		if v := w.call("episode_submit", `{}`); v.Error == nil {
			t.Error("an agent submitted")
		}
	})
}

// A client that hangs up is no failure of ours, however often it does.
func TestHangUpIsNotLogged(t *testing.T) {
	var log bytes.Buffer
	s, err := New(nil, &Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	must(t, err)
	for _, err := range []error{context.Canceled, fmt.Errorf("waiting: %w", context.Canceled)} {
		if r := s.toolError(err); !r.IsError || log.Len() != 0 {
			t.Errorf("%v: %+v, logged %s", err, r, &log)
		}
	}
	if s.toolError(errors.New("disk")); !strings.Contains(log.String(), "disk") {
		t.Errorf("logged %s", &log)
	}
}

func TestAnnotationsAndTitles(t *testing.T) {
	h := newHouse(t, nil)
	for _, url := range []string{h.door(h.open("short").Key), h.web.URL + "/arenas/shop/mcp", h.web.URL + "/mcp"} {
		var v struct {
			Result struct{ Tools []map[string]any }
		}
		must(t, json.Unmarshal([]byte(dial(t, url, explorerTokenFor(url), modern).ask("tools/list", "{}").body), &v))
		for _, tool := range v.Result.Tools {
			hints, _ := tool["annotations"].(map[string]any)
			for _, hint := range []string{"title", "readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"} {
				if _, ok := hints[hint]; !ok {
					t.Errorf("%v has no %s", tool["name"], hint)
				}
			}
			if tool["title"] == nil || tool["description"] == nil {
				t.Errorf("%v has no title or description", tool["name"])
			}
		}
		if len(v.Result.Tools) == 0 {
			t.Errorf("%s lists no tools", url)
		}
	}
}

func explorerTokenFor(url string) string {
	if strings.Contains(url, "/episodes/") {
		return ""
	}
	return explorerToken
}

func TestInstructions(t *testing.T) {
	h := newHouse(t, nil)
	for _, url := range []string{h.door(h.open("short").Key), h.web.URL + "/arenas/shop/mcp", h.web.URL + "/mcp"} {
		var old, new struct {
			Result struct{ Instructions string }
		}
		w := dial(t, url, explorerTokenFor(url), legacy)
		must(t, json.Unmarshal([]byte(w.post(`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}`).body), &old))
		must(t, json.Unmarshal([]byte(dial(t, url, explorerTokenFor(url), modern).ask("server/discover", "{}").body), &new))
		if old.Result.Instructions == "" || old.Result.Instructions != new.Result.Instructions || len(old.Result.Instructions) > maxInstructions {
			t.Errorf("%s: instructions of %d bytes %q, and of %d", url, len(old.Result.Instructions), old.Result.Instructions, len(new.Result.Instructions))
		}
	}
}

// An agent does not see a score, not even of practice.
func TestAgentSeesNoScore(t *testing.T) {
	h := newHouse(t, nil)
	o, err := h.gateway.Open(t.Context(), gateway.OpenRequest{Arena: "shop", Task: "short"})
	must(t, err)
	w := dial(t, h.door(o.Key), "", modern)
	_, err = h.gateway.Submit(t.Context(), o.Episode, astra.Submitted{})
	must(t, err)
	if r := w.ask("resources/read", `{"uri":"astra://episode"}`); !strings.Contains(r.body, "scored") || strings.Contains(r.body, "reward") {
		t.Errorf("the episode shows %s", r.body)
	}
}

// The one table of errors: each says what happened and what to do, and nothing that is
// wrapped inside.
func TestToolErrors(t *testing.T) {
	s, err := New(nil, nil)
	must(t, err)
	for _, tt := range []struct {
		err  error
		want string
	}{
		{fmt.Errorf("%w: %w", astra.ErrInvalid, &astra.StepError{Step: 3, Fault: astra.FaultSandbox, Err: errors.New("HIDDEN")}), "not yours"},
		{fmt.Errorf("%w: HIDDEN", astra.ErrEnded), "the episode is over"},
		{fmt.Errorf("%w: HIDDEN", astra.ErrBudget), "budget"},
		{fmt.Errorf("%w: HIDDEN", astra.ErrBusy), "try again"},
		{fmt.Errorf("%w: HIDDEN", astra.ErrConflict), "new key"},
		{fmt.Errorf("%w: HIDDEN", astra.ErrFull), "later"},
		{fmt.Errorf("seed: %w", astra.ErrRefused), "seed"},
		{errors.New("HIDDEN"), "not your doing"},
	} {
		got := s.toolError(tt.err)
		text := got.Content[0].(protocol.TextContent).Text
		if !got.IsError || !strings.Contains(text, tt.want) || strings.Contains(text, "HIDDEN") {
			t.Errorf("%v is told as %q, want %q", tt.err, text, tt.want)
		}
		if text := s.readError(tt.err).Error(); strings.Contains(text, "HIDDEN") {
			t.Errorf("%v is read as %q", tt.err, text)
		}
	}
}
