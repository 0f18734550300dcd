package upstream

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
)

const token = `s3cret/"tøken"+&=`

func crookedArena(t testing.TB) *astra.Arena {
	return arenaOf(t, astra.File{Path: "arena.yaml", Data: []byte(crookedYAML)})
}

// ways are how a crook is reached. Each test below holds for all of them.
func ways(t *testing.T, f func(t *testing.T, opts *Options)) {
	ways := map[string]func(t *testing.T) Target{
		"process": func(t *testing.T) Target {
			return Target{Command: self(t, "crooked"), Env: map[string]string{"TOKEN": token}}
		},
		"json": func(t *testing.T) Target { return webTarget(t, false) },
		"sse":  func(t *testing.T) Target { return webTarget(t, true) },
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) { f(t, targets("crook", way(t))) })
	}
}

func webTarget(t *testing.T, stream bool) Target {
	return Target{URL: crookedWeb(t, "token-of-the-web", stream), Headers: map[string]string{"Authorization": "Bearer token-of-the-web"}}
}

// What a server answers, be it nonsense, is a step that an agent can read.
func TestCrookedAnswers(t *testing.T) {
	ways(t, func(t *testing.T, opts *Options) {
		w := newWorld(t, crookedArena(t), opts)
		for _, tt := range []struct{ tool, value, err string }{
			{tool: "fine", value: `{"fine":true}`},
			{tool: "no", err: "no, and the token is [redacted]"},
			{tool: "ask", err: "the tool asks for input that nobody here can give"},
			{tool: "deep", err: "the result is nested more than 8 deep"},
			{tool: "huge", err: "the result has more than 4096 bytes, which is all that this arena takes; ask for less"},
			{tool: "schema", value: `{"fine":"perhaps"}`}, // the gateway's to judge
			{tool: "fine", value: `{"fine":true}`},
		} {
			res := w.call(tt.tool, `{}`)
			if string(res.Value) != tt.value || res.Error != tt.err || res.Breach || (tt.err != "") != (res.Fault == astra.FaultTool) {
				t.Errorf("%s = %s %q %s, want %s %q", tt.tool, res.Value, res.Error, res.Fault, tt.value, tt.err)
			}
		}
	})
}

// What is no answer makes no step.
func TestCrookedSilence(t *testing.T) {
	ways(t, func(t *testing.T, opts *Options) {
		_, web := opts.Targets["crook"].Headers["Authorization"]
		for tool, want := range map[string]string{
			"empty": "its answer has no content",
			"twice": `its answer cannot be read: the key "a" comes twice`,
			"die":   map[bool]string{false: "its process ended: exit status 3; its last words: I am out of [redacted]", true: "EOF"}[web],
		} {
			w := newWorld(t, crookedArena(t), opts)
			w.want("fine", `{}`, `{"fine":true}`)
			w.fails(tool, "upstream crook: "+want)
			if web || tool != "die" {
				continue
			}
			w.fails("fine", "the session that knew the calls before is gone")
		}
	})
}

func TestCrookedWeb(t *testing.T) {
	for tool, want := range map[string]string{
		"away":    "upstream crook: it redirects to another host, which is refused",
		"broken":  "upstream crook: it answered 500 Internal Server Error",
		"garbage": "upstream crook: failed to decode response: invalid character '<'",
	} {
		w := newWorld(t, crookedArena(t), targets("crook", webTarget(t, false)))
		w.fails(tool, want)
	}
	closed := targets("crook", Target{URL: "http://user:password@127.0.0.1:1/mcp"})
	w := newWorld(t, crookedArena(t), closed)
	w.fails("fine", "upstream crook: connect: connection refused")
	if _, err := w.Call(t.Context(), "fine", json.RawMessage(`{}`)); strings.Contains(err.Error(), "127.0.0.1") {
		t.Errorf("the error tells where the upstream is: %v", err)
	}
}

// A server that does not answer, or does not even read, is waited for as long as the
// arena says.
func TestCrookedHangs(t *testing.T) {
	ways(t, func(t *testing.T, opts *Options) {
		for _, tool := range []string{"hang", "garbage"} {
			if _, web := opts.Targets["crook"].Headers["Authorization"]; web && tool == "garbage" {
				continue // that is noticed at once
			}
			a := crookedArena(t)
			a.Limits.Wall = 50 * time.Millisecond
			w := newWorld(t, a, opts)
			w.fails(tool, "upstream crook: it did not answer within 50ms")
		}
	})
	deaf := targets("crook", Target{Command: []string{"sh", "-c", "exec sleep 600"}})
	deaf.Connect = 50 * time.Millisecond
	newWorld(t, crookedArena(t), deaf).fails("fine", "upstream crook: it did not answer the handshake within 50ms")
}

// Why a request was given up is told, and not what the library or a killed process made of it.
func TestCrookedGivenUp(t *testing.T) {
	ways(t, func(t *testing.T, opts *Options) {
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(errors.New("nobody waits any more"))
		fresh, open, listing := newWorld(t, crookedArena(t), opts), newWorld(t, crookedArena(t), opts), newWorld(t, crookedArena(t), opts)
		open.want("fine", `{}`, `{"fine":true}`)
		listing.want("change", `{}`, `1`) // so that its tools are asked for again
		for _, w := range []*world{fresh, open, listing} {
			if _, err := w.Call(ctx, "fine", json.RawMessage(`{}`)); err == nil || err.Error() != "upstream crook: nobody waits any more" {
				t.Errorf("error = %v", err)
			}
		}
	})
}

// A caller who gives up gets a reason, and a process that does not read its input is ended.
func TestCrookedDoesNotRead(t *testing.T) {
	w := newWorld(t, crookedArena(t), targets("crook", Target{Command: self(t, "crooked")}))
	w.want("fine", `{}`, `{"fine":true}`)
	must(t, syscall.Kill(w.pid(), syscall.SIGSTOP))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	args := json.RawMessage(`{"x":"` + strings.Repeat("x", 200<<10) + `"}`) // more than a pipe holds
	if _, err := w.Call(ctx, "leak", args); err == nil || !strings.Contains(err.Error(), "deadline") {
		t.Errorf("error = %v", err)
	}
}

// The tools that a server offers are held to those mirrored, and again when it says that
// they have changed.
func TestCrookedList(t *testing.T) {
	missing := targets("crook", Target{Command: self(t, "crooked", "twice")})
	newWorld(t, crookedArena(t), missing).fails("fine", "upstream crook: it has no tool \"twice\" any more; mirror it again with `astra record DIR --mirror crook`")
	w := newWorld(t, crookedArena(t), targets("crook", Target{Command: self(t, "crooked")}))
	w.want("change", `{}`, `1`)
	w.fails("fine", `upstream crook: its tool "fine" takes other arguments than those mirrored`)
}

// Not a byte of a secret is in what a server says, wherever it goes.
func TestCrookedLeaks(t *testing.T) {
	ways(t, func(t *testing.T, opts *Options) {
		var log safeBuffer
		opts.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		w := newWorld(t, crookedArena(t), opts)
		res := w.call("leak", `{}`)
		target := opts.Targets["crook"]
		_, err := w.Call(t.Context(), "die", json.RawMessage(`{}`))
		if err == nil {
			t.Error("a dead server answers")
		}
		said := string(res.Value) + err.Error() + log.String()
		for _, secret := range append(secretsOf(target), formsOf(token)...) {
			if strings.Contains(said, secret) {
				t.Errorf("%q is in %s", secret, said)
			}
		}
		if !strings.Contains(string(res.Value), redacted) || target.Env != nil && !strings.Contains(log.String(), "my token is [redacted]") {
			t.Errorf("nothing was said: %s %s", res.Value, log.String())
		}
		for _, name := range []string{"GOCACHE", "USER", "ASTRA_CONTROL"} {
			// The one that is visited is this very process.
			if target.Command != nil && strings.Contains(string(res.Value), name+"=") {
				t.Errorf("the server has our %s", name)
			}
		}
	})
}

type safeBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.String()
}

// Whatever a server started is gone when the program is closed, though it does not want to.
func TestNothingIsLeft(t *testing.T) {
	for _, nature := range []string{"family", "stubborn"} {
		t.Run(nature, func(t *testing.T) {
			before := runtime.NumGoroutine()
			var log safeBuffer
			opts := targets("crook", Target{Command: self(t, "crooked", nature)})
			opts.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
			a := crookedArena(t)
			rt, err := New(opts)
			must(t, err)
			p, err := rt.Load(t.Context(), a)
			must(t, err)
			inst, err := p.Start(t.Context(), gateway.World{})
			must(t, err)
			pids := []int{(&world{inst, t, a}).pid()}
			must(t, inst.Close())
			must(t, p.Close())
			if child := regexp.MustCompile(`child (\d+)`).FindStringSubmatch(log.String()); child != nil {
				n, _ := strconv.Atoi(child[1])
				pids = append(pids, n)
			} else if nature == "family" {
				t.Fatalf("the server told of no child: %s", log.String())
			}
			soon(t, "its processes end", func() bool { return !slices.ContainsFunc(pids, runs) })
			soon(t, "its goroutines end", func() bool { return runtime.NumGoroutine() <= before })
		})
	}
}

// soon waits for what was set off already.
func soon(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !done(); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

// runs reports whether a process does, and is not just a name that nobody has asked for.
func runs(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(rest, "Z")
}

// Opening a world costs nothing, and many at once do not get in each other's way.
func TestManyWorlds(t *testing.T) {
	a := counterArena(t, "")
	rt, err := New(targets("counter", Target{URL: newCounter().web(t, counterTools)}))
	must(t, err)
	p, err := rt.Load(t.Context(), a)
	must(t, err)
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			inst, err := p.Start(t.Context(), gateway.World{})
			if err != nil {
				t.Error(err)
				return
			}
			for _, want := range []string{"2", "4", "6"} {
				res, err := inst.Call(t.Context(), "add", json.RawMessage(`{"n":2}`))
				if err != nil || string(res.Value) != want {
					t.Errorf("add = %s, %v; want %s", res.Value, err, want)
				}
			}
			if err := inst.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	must(t, p.Close())
}
