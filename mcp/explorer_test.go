package mcp

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
	protocol "github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

// A played is what the episode tools return.
type played struct {
	Episode string   `json:"episode_id"`
	Message string   `json:"message"`
	Tools   []string `json:"tools"`
	Done    bool     `json:"done"`
	Added   []string `json:"tools_added"`
	Scored  bool     `json:"scored"`
	Status  string   `json:"status"`
	Calls   []any    `json:"calls"`
	Score   *struct {
		Reward float64 `json:"reward"`
		Parts  []any   `json:"parts"`
	} `json:"score"`
}

func (w *wire) play(tool, args string) played {
	w.t.Helper()
	v := w.call(tool, args)
	if v.Error != nil || v.Result.IsError {
		w.t.Fatalf("%s(%s) = %q", tool, args, v.text())
	}
	var p played
	must(w.t, json.Unmarshal(v.Result.Structured, &p))
	return p
}

func TestExplorerPlaysTask(t *testing.T) {
	h := newHouse(t, nil)
	bothEras(t, func(t *testing.T, e era) {
		w := dial(t, h.web.URL+"/arenas/shop/mcp", explorerToken, e)
		o := w.play("episode_open", `{"task":"sell-tea"}`)
		if o.Message != "How much tea is left?" || len(o.Tools) != 5 {
			t.Errorf("opened %+v", o)
		}
		with := fmt.Sprintf(`,"episode_id":%q}`, o.Episode)
		if v := w.call("stock", `{"thing":"tea"`+with); v.text() != `{"thing":"tea","left":7}` {
			t.Errorf("stock = %+v", v)
		}
		if next := w.play("episode_turn", `{"reply":"7"`+with); next.Done || len(next.Added) != 1 {
			t.Errorf("turn = %+v", next)
		}
		if v := w.call("sell", `{"thing":"tea","count":2`+with); v.text() != "5" {
			t.Errorf("sell = %+v", v)
		}
		if next := w.play("episode_turn", `{"reply":"5"`+with); !next.Done {
			t.Errorf("last turn = %+v", next)
		}
		if s := w.play("episode_status", `{"x":1`[:1]+with[1:]); s.Status != "open" || len(s.Calls) != 2 || s.Score != nil {
			t.Errorf("status = %+v", s)
		}
		if s := w.play("episode_submit", `{"answer":"CANARY-answer"`+with); !s.Scored || s.Score.Reward != 1 || len(s.Score.Parts) == 0 {
			t.Errorf("submit = %+v", s)
		}
		if v := w.call("stock", `{"thing":"tea"`+with); !strings.Contains(v.text(), "the episode is over") {
			t.Errorf("after the end: %q", v.text())
		}
		ep := h.record(astra.EpisodeID(o.Episode))
		if ep.Mode != astra.Practice || len(ep.Steps) != 2 || strings.Contains(string(ep.Steps[0].Args), "episode_id") {
			t.Errorf("recorded %s %+v", ep.Mode, ep.Steps)
		}
	})
}

// Without an id a session means its last episode; where there is no session, it must be said.
func TestWithoutID(t *testing.T) {
	h := newHouse(t, nil)
	old := dial(t, h.web.URL+"/arenas/shop/mcp", explorerToken, legacy)
	if v := old.call("sell", `{"thing":"tea","count":1}`); v.text() != "6" {
		t.Errorf("free play: %q", v.text())
	}
	if v := old.call("sell", `{"thing":"tea","count":1}`); v.text() != "5" {
		t.Errorf("the same episode: %q", v.text())
	}
	old.play("episode_open", `{}`)
	if v := old.call("sell", `{"thing":"tea","count":1}`); v.text() != "6" {
		t.Errorf("a new episode: %q", v.text())
	}
	if s := old.play("episode_submit", `{}`); s.Scored {
		t.Error("free play was scored")
	}
	now := dial(t, h.web.URL+"/arenas/shop/mcp", explorerToken, modern)
	for _, tool := range []string{"sell", "episode_submit", "episode_status", "episode_turn"} {
		args := `{}`
		if tool == "sell" {
			args = `{"thing":"tea","count":1}`
		}
		if v := now.call(tool, args); !v.Result.IsError || !strings.Contains(v.text(), "episode_open") {
			t.Errorf("%s without a session: %+v", tool, v)
		}
	}
}

// Calls that arrive together open one episode of free play, not one each.
func TestFreePlayOpensOnce(t *testing.T) {
	h := newHouse(t, nil)
	w := dial(t, h.web.URL+"/arenas/shop/mcp", explorerToken, legacy)
	var calls sync.WaitGroup
	for range 16 {
		calls.Go(func() { w.call("sell", `{"thing":"tea","count":1}`) })
	}
	calls.Wait()
	page, err := h.gateway.List(t.Context(), astra.Query{})
	must(t, err)
	if len(page.Episodes) != 1 || page.Episodes[0].Steps != 16 {
		t.Errorf("%d episodes: %+v", len(page.Episodes), page.Episodes)
	}
}

// manyTasks is an arena with more tasks than may be completed at once.
type manyTasks struct{ Episodes }

func (manyTasks) Tasks(context.Context, string, astra.Split) ([]astra.PublicTask, error) {
	var tasks []astra.PublicTask
	for i := range 3 * maxCompletions {
		tasks = append(tasks, astra.PublicTask{ID: fmt.Sprint("t", i)})
	}
	return tasks, nil
}

func TestManyCompletions(t *testing.T) {
	s, err := New(manyTasks{}, nil)
	must(t, err)
	c, err := completions{&explorers{Server: s, arena: "a@x"}}.complete(t.Context(), protocol.CompleteArgument{Name: "task", Value: "t"}, nil)
	must(t, err)
	if len(c.Values) != maxCompletions || c.Total != 3*maxCompletions || !c.HasMore {
		t.Errorf("%d values of %d, more: %v", len(c.Values), c.Total, c.HasMore)
	}
}

func TestLobby(t *testing.T) {
	h := newHouse(t, nil)
	bothEras(t, func(t *testing.T, e era) {
		w := dial(t, h.web.URL+"/mcp", explorerToken, e)
		if got := strings.Join(w.tools(), " "); got != "arena_search arena_describe episode_call episode_open episode_turn episode_submit episode_status" {
			t.Errorf("tools = %s", got)
		}
		if v := w.call("arena_search", `{"query":"corner things"}`); !strings.Contains(v.text(), `"shop"`) || strings.Contains(v.text(), `"geo"`) {
			t.Errorf("search = %s", v.text())
		}
		if v := w.call("arena_describe", `{"arena":"shop"}`); !strings.Contains(v.text(), `"sell-tea"`) || !strings.Contains(v.text(), `"total_tasks":3`) {
			t.Errorf("describe = %s", v.text())
		}
		o := w.play("episode_open", `{"arena":"shop","task":"short"}`)
		if v := w.call("episode_call", fmt.Sprintf(`{"tool":"shelf","args":{"thing":"milk"},"episode_id":%q}`, o.Episode)); v.text() != "S4" {
			t.Errorf("call = %+v", v)
		}
		if v := w.ask("tools/call", `{"name":"arena_search"}`).read(t); !strings.Contains(v.text(), `"total":2`) {
			t.Errorf("without arguments: %s", v.text())
		}
		for args, want := range map[string]string{
			`{"arena":"none"}`:                   "not found",
			`{}`:                                 "arena_search",
			`{"arena":"shop","task":"none"}`:     "not found",
			`{"arena":"shop","task_id":"short"}`: "task_id",
		} {
			if v := w.call("episode_open", args); !v.Result.IsError || !strings.Contains(v.text(), want) {
				t.Errorf("episode_open(%s) = %q, want %q", args, v.text(), want)
			}
		}
	})
}

// An episode of somebody else, a graded one and none at all are the same to an explorer.
func TestForeignEpisode(t *testing.T) {
	h := newHouse(t, nil)
	others, err := h.gateway.Open(t.Context(), gateway.OpenRequest{Arena: "shop", Principal: "somebody"})
	must(t, err)
	graded, err := h.gateway.Open(t.Context(), gateway.OpenRequest{Arena: "shop", Task: "short", Mode: astra.Eval, Principal: explorer})
	must(t, err)
	w := dial(t, h.web.URL+"/arenas/shop/mcp", explorerToken, modern)
	for _, tool := range []string{"episode_status", "episode_submit", "episode_turn", "shelf"} {
		rest := ""
		if tool == "shelf" {
			rest = `,"thing":"tea"`
		}
		want := w.call(tool, `{"episode_id":"ep-none"`+rest+`}`)
		if !want.Result.IsError || !strings.Contains(want.text(), "not found") {
			t.Errorf("%s: %+v", tool, want)
		}
		for _, o := range []*gateway.Opening{others, graded} {
			if got := w.call(tool, fmt.Sprintf(`{"episode_id":%q%s}`, o.Episode, rest)); got.text() != want.text() {
				t.Errorf("%s of an episode that is not the caller's: %q, want %q", tool, got.text(), want.text())
			}
		}
	}
	if r := w.ask("resources/read", fmt.Sprintf(`{"uri":"astra://episodes/%s"}`, others.Episode)).read(t); r.Error == nil {
		t.Error("a foreign episode was read")
	}
}

func TestPublicViews(t *testing.T) {
	h := newHouse(t, nil)
	bothEras(t, func(t *testing.T, e era) {
		w := dial(t, h.web.URL+"/arenas/shop/mcp", explorerToken, e)
		o := w.play("episode_open", `{"task":"short"}`)
		for uri, want := range map[string]string{
			"astra://arenas/shop":                 `\"sell-tea\"`,
			"astra://arenas/shop/tasks/short":     `\"id\":\"short\"`,
			"astra://episodes/" + o.Episode:       `\"status\":\"open\"`,
			"astra://arenas/geo":                  "not found",
			"astra://arenas/shop/tasks/none":      "not found",
			"astra://arenas/shop/tasks/%zz":       "not found",
			"astra://episodes/ep-none":            "not found",
			"file:///etc/passwd":                  "not found",
			"astra://arenas/shop/tasks/short/../": "not found",
		} {
			if r := w.ask("resources/read", fmt.Sprintf(`{"uri":%q}`, uri)); !strings.Contains(r.body, want) {
				t.Errorf("%s: %s", uri, r.body)
			}
		}
		for params, want := range map[string]string{
			`{"ref":{"type":"ref/prompt","name":"play_task"},"argument":{"name":"task","value":"se"}}`:                                     `"values":["sell-tea"]`,
			`{"ref":{"type":"ref/resource","uri":"astra://arenas/{arena}/tasks/{task}"},"argument":{"name":"arena","value":""}}`:           `"values":["shop"]`,
			`{"ref":{"type":"ref/resource","uri":"astra://episodes/{episode}"},"argument":{"name":"episode","value":"` + o.Episode + `"}}`: `"values":["` + o.Episode + `"]`,
			`{"ref":{"type":"ref/prompt","name":"play_task"},"argument":{"name":"other","value":""}}`:                                      `"values":[]`,
		} {
			if r := w.ask("completion/complete", params); !strings.Contains(r.body, want) {
				t.Errorf("completing %s: %s", params, r.body)
			}
		}
		if r := w.ask("prompts/get", `{"name":"play_task","arguments":{"task":"short"}}`); !strings.Contains(r.body, "episode_open") {
			t.Errorf("play_task: %s", r.body)
		}
		if r := w.ask("prompts/get", fmt.Sprintf(`{"name":"explain_episode","arguments":{"episode":%q}}`, o.Episode)); !strings.Contains(r.body, "astra://episodes/") {
			t.Errorf("explain_episode: %s", r.body)
		}
		lobby := dial(t, h.web.URL+"/mcp", explorerToken, e)
		if r := lobby.ask("resources/list", "{}"); !strings.Contains(r.body, "astra://arenas/geo") || !strings.Contains(r.body, "astra://arenas/shop") {
			t.Errorf("the lobby's resources: %s", r.body)
		}
	})
}

// No hidden field may be in any byte that a door answers.
func TestCanary(t *testing.T) {
	h := newHouse(t, nil)
	bothEras(t, func(t *testing.T, e era) {
		explorers := dial(t, h.web.URL+"/arenas/shop/mcp", explorerToken, e)
		practice := explorers.play("episode_open", `{"task":"sell-tea"}`).Episode
		graded := h.open("sell-tea")
		var seen strings.Builder
		for _, w := range []*wire{dial(t, h.door(graded.Key), "", e), explorers, dial(t, h.web.URL+"/mcp", explorerToken, e)} {
			in := fmt.Sprintf(`,"episode_id":%q}`, practice)
			for _, request := range [][2]string{
				{"tools/list", "{}"}, {"prompts/list", "{}"}, {"resources/list", "{}"}, {"resources/templates/list", "{}"}, {"server/discover", "{}"},
				{"prompts/get", `{"name":"messages"}`}, {"prompts/get", `{"name":"play_task","arguments":{"arena":"shop","task":"sell-tea"}}`},
				{"prompts/get", `{"name":"explain_episode","arguments":{"episode":"` + practice + `"}}`},
				{"resources/read", `{"uri":"astra://episode"}`}, {"resources/read", `{"uri":"astra://arenas/shop"}`},
				{"resources/read", `{"uri":"astra://arenas/shop/tasks/sell-tea"}`}, {"resources/read", `{"uri":"astra://episodes/` + practice + `"}`},
				{"tools/call", `{"name":"stock","arguments":{"thing":"tea"}}`}, {"tools/call", `{"name":"stock","arguments":{"thing":"gin"}}`},
				{"tools/call", `{"name":"stock","arguments":{"thing":"tea"` + in + `}`}, {"tools/call", `{"name":"sell","arguments":{"thing":"tea","count":1` + in + `}`},
				{"tools/call", `{"name":"episode_open","arguments":{"task":"sell-tea","seed":1}}`}, {"tools/call", `{"name":"episode_open","arguments":{"arena":"shop","task":"sell-tea","seed":1}}`},
				{"tools/call", `{"name":"arena_describe","arguments":{"arena":"shop"}}`}, {"tools/call", `{"name":"arena_search","arguments":{}}`},
				{"tools/call", `{"name":"episode_status","arguments":{"x":1}}`}, {"tools/call", `{"name":"episode_status","arguments":{` + in[1:] + `}`},
				{"tools/call", `{"name":"episode_submit","arguments":{"answer":"no"` + in + `}`}, {"tools/call", `{"name":"episode_status","arguments":{` + in[1:] + `}`},
			} {
				fmt.Fprintln(&seen, request, w.ask(request[0], request[1]).body)
			}
		}
		for line := range strings.Lines(seen.String()) {
			if strings.Contains(line, "\u202e") {
				t.Errorf("text of a bundle is shown as it is: %s", line)
			}
			if strings.Contains(line, "CANARY") || strings.Contains(line, "73571357") {
				t.Errorf("a hidden field is shown: %s", line)
			}
		}
		if !strings.Contains(seen.String(), `\"reward\"`) {
			t.Error("nothing was scored, so the score was not looked at")
		}
	})
}

// TestText is what of a bundle's text is shown.
func TestText(t *testing.T) {
	for in, want := range map[string]string{"a\x00b\x1b[31m\n\tc\u202ed\u200be": "ab[31m\n\tcde", "ü\xff": "ü"} {
		if got := clean(in); got != want {
			t.Errorf("clean(%q) = %q, want %q", in, got, want)
		}
	}
	if got := line("  a\n b ", 3); got != "a b" {
		t.Errorf("line = %q", got)
	}
	if got := cut(strings.Repeat("ü", 100), 20); len(got) > 20 || !strings.HasSuffix(got, "…") || strings.Contains(got, "\ufffd") {
		t.Errorf("cut = %q", got)
	}
}

// A talk is a client at the other end of stdio.
type talk struct {
	t    *testing.T
	in   *io.PipeWriter
	out  *bufio.Scanner
	done chan error
}

func (h *house) talk(t *testing.T, ref string) *talk {
	t.Helper()
	inR, inW := io.Pipe()
	outR, outW := io.Pipe()
	k := &talk{t: t, in: inW, out: bufio.NewScanner(outR), done: make(chan error, 1)}
	k.out.Buffer(nil, maxBody)
	go func() {
		err := h.ServeStdio(context.WithoutCancel(t.Context()), ref, inR, outW)
		_ = inR.CloseWithError(io.EOF)
		_ = outW.Close()
		k.done <- err
	}()
	return k
}

func (k *talk) say(message string) {
	k.t.Helper()
	_, err := io.WriteString(k.in, message+"\n")
	must(k.t, err)
}

func (k *talk) hear() string {
	k.t.Helper()
	if !k.out.Scan() {
		k.t.Fatalf("nothing more: %v", k.out.Err())
	}
	return k.out.Text()
}

func (k *talk) end() error {
	_ = k.in.Close()
	return <-k.done
}

const hello = `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}`

func stdioCall(id int, tool, args string, e era) string {
	meta := ""
	if e == modern {
		meta = `,"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}`
	}
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":%q,"arguments":%s%s}}`, id, tool, args, meta)
}

// Over stdio the process is the session, in both eras, and answers come in order.
func TestStdio(t *testing.T) {
	h := newHouse(t, nil)
	bothEras(t, func(t *testing.T, e era) {
		k := h.talk(t, "shop")
		if e == legacy {
			k.say(hello)
			if got := k.hear(); !strings.Contains(got, "Practice in the arena") {
				t.Errorf("initialize: %s", got)
			}
			k.say(`{"jsonrpc":"2.0","method":"notifications/initialized"}`)
		}
		const n = 200
		go func() {
			for i := range n {
				_, _ = io.WriteString(k.in, stdioCall(i, "sell", `{"thing":"tea","count":1}`, e)+"\n")
			}
		}()
		for i := range n {
			var got struct {
				ID int `json:"id"`
				reading
			}
			must(t, json.Unmarshal([]byte(k.hear()), &got))
			if got.ID != i || got.text() != fmt.Sprint(7-1-i) {
				t.Fatalf("answer %d has the id %d and says %q", i, got.ID, got.text())
			}
		}
		k.say(`{`)
		if got := k.hear(); !strings.Contains(got, "-32700") {
			t.Errorf("no JSON: %s", got)
		}
		must(t, k.end())
	})
}

func TestStdioEnds(t *testing.T) {
	h := newHouse(t, nil)
	if err := h.ServeStdio(t.Context(), "none", strings.NewReader(""), io.Discard); err == nil {
		t.Error("an arena that is not there was served")
	}
	k := h.talk(t, "")
	go func() { _, _ = io.WriteString(k.in, strings.Repeat("x", maxBody+10)) }()
	if err := <-k.done; err == nil || !strings.Contains(err.Error(), "4 MiB") {
		t.Errorf("a long message: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	in, out := io.Pipe()
	defer out.Close()
	done := make(chan error)
	go func() { done <- h.ServeStdio(ctx, "", in, io.Discard) }()
	cancel() // while it reads
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// A handler over stdio may notify, answer an error of its own, and panic.
func TestStdioHandlers(t *testing.T) {
	s, err := New(nil, nil)
	must(t, err)
	m := server.NewMCPServer("x", "1", server.WithToolCapabilities(false))
	m.AddTool(protocol.NewTool("x"), func(ctx context.Context, r protocol.CallToolRequest) (*protocol.CallToolResult, error) {
		must(t, notify(ctx, "notifications/progress", map[string]any{"progressToken": "p", "progress": 1}))
		if r.GetBool("panic", false) {
			panic("CANARY")
		}
		fail := missingCapability("roots")
		requestFrom(ctx).instead = fail
		return nil, fail
	})
	var out strings.Builder
	in := hello + "\n\n" + stdioCall(1, "x", "{}", legacy) + "\n" + stdioCall(2, "x", `{"panic":true}`, legacy) + "\n" + stdioCall(3, "x", "{}", legacy)
	must(t, s.servePipe(t.Context(), s.newDoor(m), strings.NewReader(in), &out))
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	for i, want := range []string{`"id":0`, "notifications/progress", `"id":1,"error":{"code":-32021`, "notifications/progress", `"id":2,"error":{"code":-32603`, "notifications/progress", `"id":3`} {
		if i >= len(lines) || !strings.Contains(lines[i], want) || strings.Contains(lines[i], "CANARY") {
			t.Errorf("line %d of %q, want %s", i, lines, want)
		}
	}
}

func TestLegacyOutput(t *testing.T) {
	for in, want := range map[string]string{
		`{"type":"object","properties":{"$x":{}}}`: `{"type":"object","properties":{"$x":{}}}`,
		`{"type":"integer"}`:                       `{"type":"object","properties":{"result":{"type":"integer"}},"required":["result"]}`,
		`{"type":"array","items":{"$ref":"#/x"}}`:  "",
		`{"type":["object","null"]}`:               "",
		`{"anyOf":[]}`:                             "",
		`true`:                                     "",
		``:                                         "",
	} {
		if got := string(legacyOutput(json.RawMessage(in))); got != want {
			t.Errorf("%s becomes %s, want %s", in, got, want)
		}
	}
}

// An argument may be added to any schema of an object.
func TestWithEpisode(t *testing.T) {
	for _, in := range []string{`{"type":"object"}`, `{"type":"object","properties":{ }}`, `{"properties":{"a":{"type":"string"}},"additionalProperties":false}`, `{"properties":null}`} {
		got, err := withEpisode(astra.PublicTool{Input: json.RawMessage(in)})
		must(t, err)
		var v struct{ Properties map[string]any }
		must(t, json.Unmarshal(got.Input, &v))
		if v.Properties["episode_id"] == nil || strings.Contains(in, `"a"`) && v.Properties["a"] == nil {
			t.Errorf("%s becomes %s", in, got.Input)
		}
	}
}

// Episodes opened over stdio outlive the process, and are not the explorers' over HTTP.
func TestStdioPrincipal(t *testing.T) {
	h := newHouse(t, nil)
	k := h.talk(t, "")
	k.say(stdioCall(1, "episode_open", `{"arena":"shop"}`, modern))
	var got reading
	must(t, json.Unmarshal([]byte(k.hear()), &got))
	var o played
	must(t, json.Unmarshal(got.Result.Structured, &o))
	must(t, k.end())

	again := h.talk(t, "shop")
	again.say(stdioCall(1, "stock", `{"thing":"tea","episode_id":"`+o.Episode+`"}`, modern))
	if got := again.hear(); !strings.Contains(got, `"left":7`) {
		t.Errorf("from another process: %s", got)
	}
	must(t, again.end())
	w := dial(t, h.web.URL+"/arenas/shop/mcp", explorerToken, modern)
	if v := w.call("stock", `{"thing":"tea","episode_id":"`+o.Episode+`"}`); !v.Result.IsError {
		t.Errorf("over HTTP: %+v", v)
	}
}
