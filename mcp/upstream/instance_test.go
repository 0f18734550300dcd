package upstream

import (
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
)

// step is a call of the counter's add and what came of it.
func step(n, sum string) astra.Step {
	return astra.Step{Tool: "add", Args: json.RawMessage(`{"n":` + n + `}`), Result: astra.Result{Value: json.RawMessage(sum)}}
}

func recorded(m astra.Match, steps ...astra.Step) []astra.Recording { return m.Recordings(nil, steps) }

// Without a mapping only the cassette answers; what it does not know is a failed step, which
// leaves no mark.
func TestCassetteAlone(t *testing.T) {
	a := counterArena(t, "", recorded(astra.MatchEpisode, step("1", "1"), step("2", "3"))...)
	for name, opts := range map[string]*Options{
		"no mapping": nil,
		"policy":     targets("counter", Target{Command: []string{"/no/such/program"}, Policy: CassetteOnly}),
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, a, opts)
			w.want("add", `{"n":1}`, "1")
			w.want("add", `{"n":7}`, astra.UnknownCall)
			if res := w.call("total", `{}`); res.Fault != astra.FaultTool || res.Breach {
				t.Errorf("an unknown call is %+v", res)
			}
			fork, err := w.Fork(t.Context())
			must(t, err)
			(&world{fork, t, a}).want("add", `{"n":2}`, "3")
			w.want("add", `{"n":2}`, "3")
			w.want("add", `{"n":2}`, astra.UnknownCall)
		})
	}
}

// A world that is started again knows where it was: misses do not count.
func TestCassetteAfterWaking(t *testing.T) {
	a := counterArena(t, "", recorded(astra.MatchEpisode, step("1", "1"), step("2", "3"))...)
	miss := astra.Step{Tool: "total", Args: json.RawMessage(`{}`), Result: astra.Failed(astra.FaultTool, astra.UnknownCall)}
	newWorld(t, a, nil, step("1", "1"), miss).want("add", `{"n":2}`, "3")
}

// What the cassette does not know goes through, to a server that was told what comes before.
func TestCassetteFirst(t *testing.T) {
	a := counterArena(t, "", recorded(astra.MatchEpisode, step("1", "1"), step("2", "3"))...)
	c := newCounter()
	w := newWorld(t, a, targets("counter", Target{URL: c.web(t, counterTools)}))
	w.want("add", `{"n":1}`, "1")
	w.want("add", `{"n":2}`, "3")
	if n := c.calls.Load(); n != 0 {
		t.Errorf("%d calls went through that the cassette knows", n)
	}
	w.want("add", `{"n":10}`, "13")
	w.want("total", `{}`, "13")
	if n := c.calls.Load(); n != 4 {
		t.Errorf("the server was called %d times, want twice to catch up and twice to go on", n)
	}
}

// Where the author says that tools only read, nothing is sent that was answered before.
func TestMatchCall(t *testing.T) {
	a := counterArena(t, "match: call", recorded(astra.MatchCall, step("1", "1"))...)
	c := newCounter()
	opts := targets("counter", Target{URL: c.web(t, counterTools)})
	w := newWorld(t, a, opts, step("5", "5"))
	w.want("add", `{"n":1}`, "1")
	w.want("add", `{"n":1}`, "1")
	w.want("total", `{}`, "0")
	if n := c.calls.Load(); n != 1 {
		t.Errorf("the server was called %d times, want once", n)
	}
}

// A server that has left sessions behind is spoken to as it wants.
func TestModernServer(t *testing.T) {
	modern := server.NewStreamableHTTPServer(newCounter().server(counterTools), server.WithStreamableHTTPProtocolVersions(mcp.LATEST_PROTOCOL_VERSION))
	s := httptest.NewServer(modern)
	t.Cleanup(s.Close)
	w := newWorld(t, counterArena(t, ""), targets("counter", Target{URL: s.URL + "/mcp"}))
	w.want("add", `{"n":1}`, "1")
	w.want("add", `{"n":1}`, "2")
}

func TestLive(t *testing.T) {
	a := counterArena(t, "", recorded(astra.MatchEpisode, step("1", "41"))...)
	w := newWorld(t, a, targets("counter", Target{URL: newCounter().web(t, counterTools), Policy: Live}))
	w.want("add", `{"n":1}`, "1")
}

// A cassette that tells of another server than the one there is is not mixed with it.
func TestRecordingContradicted(t *testing.T) {
	a := counterArena(t, "", recorded(astra.MatchEpisode, step("1", "41"))...)
	w := newWorld(t, a, targets("counter", Target{URL: newCounter().web(t, counterTools)}))
	w.want("add", `{"n":1}`, "41")
	w.fails("total", "call 1, add, gave another answer than before")
}

func (w *world) fails(tool, want string) {
	w.t.Helper()
	if res, err := w.Call(w.t.Context(), tool, json.RawMessage(`{}`)); err == nil || !strings.Contains(err.Error(), want) {
		w.t.Errorf("%s = %s %s, error %v; want %q", tool, res.Value, res.Error, err, want)
	}
}

// A session that was sent calls and is gone is made again only where that does no harm.
func TestSentAgain(t *testing.T) {
	a := counterArena(t, "")
	for name, again := range map[string]func(t *testing.T, opts *Options) *world{
		"woken": func(t *testing.T, opts *Options) *world { return newWorld(t, a, opts, step("4", "4")) },
		"forked": func(t *testing.T, opts *Options) *world {
			w := newWorld(t, a, opts)
			w.want("add", `{"n":4}`, "4")
			fork, err := w.Fork(t.Context())
			must(t, err)
			t.Cleanup(func() { must(t, fork.Close()) })
			return &world{fork, t, a}
		},
	} {
		t.Run(name, func(t *testing.T) {
			url := newCounter().web(t, counterTools)
			again(t, targets("counter", Target{URL: url})).fails("total", "`resend: true` in astra.yaml would send them again")
			again(t, targets("counter", Target{URL: url, Resend: true})).want("total", `{}`, "4")
		})
	}
}

// What the tool did with a result that was too large stands.
func TestLargeResultGoesOn(t *testing.T) {
	w := newWorld(t, counterArena(t, ""), targets("counter", Target{Command: self(t, "counter")}))
	w.want("add", `{"n":3}`, "3")
	if res := w.call("big", `{"bytes":70000}`); res.Fault != astra.FaultTool || res.Breach || !strings.Contains(res.Error, "more than 65536 bytes") {
		t.Errorf("big = %.200v", res)
	}
	if res := w.call("big", `{"bytes":9000000}`); res.Fault != astra.FaultTool || res.Breach || !strings.Contains(res.Error, "more than 65536 bytes") {
		t.Errorf("what is cut off while it arrives = %.200v", res)
	}
	w.want("total", `{}`, "3")
}

// A recording that the tools have outgrown is refused when it is loaded.
func TestLoadRefuses(t *testing.T) {
	rt, err := New(nil)
	must(t, err)
	for text, want := range map[string]string{
		`{"key":"k","tool":"gone","args":{},"result":{"value":1}}`:                                   `cassette.jsonl: there is no tool "gone" any more: record it again`,
		`{"key":"k","tool":"fine","args":{"a":1},"result":{"value":{"fine":"perhaps"}}}`:             `cassette.jsonl: fine {"a":1}: result`,
		`{"key":"k","tool":"fine","args":{},"result":{"value":{"fine":true}}}` + "\nnot a recording": `cassette.jsonl:2: `,
	} {
		a := arenaOf(t, astra.File{Path: "arena.yaml", Data: []byte(crookedYAML)}, astra.File{Path: astra.CassetteFile, Data: []byte(text)})
		if _, err := rt.Load(t.Context(), a); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	for want, target := range map[string]Target{
		"upstream x: write a command or a url, and not both":   {},
		"write a command or a url":                             {Command: []string{"a"}, URL: "http://a"},
		"a command has no headers":                             {Command: []string{"a"}, Headers: map[string]string{"A": "b"}},
		"a url has no env":                                     {URL: "http://a", Env: map[string]string{"A": "b"}},
		`"perhaps" is no policy; write one of [cassette-first`: {URL: "http://a", Policy: "perhaps"},
		"the url is none":                                      {URL: "file:///etc/passwd"},
		`the header "A:", or its value, cannot be sent`:        {URL: "http://a", Headers: map[string]string{"A:": "b"}},
		`the header "Token", or its value, cannot be sent`:     {URL: "http://a", Headers: map[string]string{"Token": "a\nB: c"}},
		`the variable "A=", or its value, cannot be set`:       {Command: []string{"a"}, Env: map[string]string{"A=": "b"}},
	} {
		_, err := New(targets("x", target))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %s", target, err, want)
		}
	}
	rt, err := New(nil)
	must(t, err)
	if got := rt.Unmapped(counterArena(t, "")); len(got) != 1 || got[0] != "counter" {
		t.Errorf("Unmapped = %v", got)
	}
}

var _ gateway.Runtime = (*Runtime)(nil)
