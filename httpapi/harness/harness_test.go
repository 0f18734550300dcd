package harness_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
	"github.com/astra-arenas/astra/gateway/gatewaytest"
	"github.com/astra-arenas/astra/httpapi/harness"
)

// open puts a house over a gateway of a store that serves the shop.
func open(t *testing.T, dir string, now func() time.Time, agents http.Handler) (*harness.House, *gateway.Gateway) {
	t.Helper()
	gw := gatewaytest.Open(t, gatewaytest.Store(t, dir), &gateway.Options{Now: now})
	gatewaytest.Add(t, gw, "../testdata/shop")
	h, err := harness.New(gw, harness.NewGate("", nil), []byte("sixteen bytes of secret"), agents, &harness.Options{Now: now})
	must(t, err)
	t.Cleanup(h.Close)
	return h, gw
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func firstTask(t *testing.T, h *harness.House) harness.Choice {
	t.Helper()
	a, list, err := h.Tasks(t.Context(), "shop")
	must(t, err)
	return harness.Choice{Arena: a.Name, Task: list[0].Task.ID}
}

func TestSessions(t *testing.T) {
	h, gw := open(t, t.TempDir(), nil, nil)
	s, other := h.Sessions("one", 0), h.Sessions("two", 0)
	choice := firstTask(t, h)
	id := s.NewID()
	if !s.Minted(id) || other.Minted(id) || s.Minted(id[:len(id)-1]) || s.Minted("") || s.Minted(strings.Repeat("a", len(id))) {
		t.Error("an id is known as minted by its own face alone")
	}
	if _, err := s.Find(t.Context(), id); !errors.Is(err, astra.ErrNotFound) {
		t.Errorf("found before it was opened: %v", err)
	}
	o, err := s.Open(t.Context(), id, choice)
	must(t, err)
	again, err := s.Open(t.Context(), id, choice)
	must(t, err)
	if again.Episode != o.Episode || s.Active() != 1 || other.Key(id) == o.Key || s.Key(id) != o.Key {
		t.Errorf("again %s, first %s, %d active", again.Episode, o.Episode, s.Active())
	}
	ep, err := gw.Episode(t.Context(), o.Episode)
	must(t, err)
	if ep.Mode != astra.Train || ep.Principal != "one" {
		t.Errorf("opened as %s by %s", ep.Mode, ep.Principal)
	}
	if _, err := s.Open(t.Context(), s.NewID(), harness.Choice{Arena: "shop", Task: "none"}); err == nil {
		t.Error("a task that is not there was opened")
	}
	must(t, s.Abort(t.Context(), id, "enough"))
	must(t, s.Abort(t.Context(), id, "enough"))
	if _, err := s.Open(t.Context(), id, choice); !errors.Is(err, astra.ErrEnded) {
		t.Errorf("opened after its end: %v", err)
	}
}

// A session is known to another process of the same secret.
func TestSessionsSurvive(t *testing.T) {
	dir := t.TempDir()
	var id string
	var was *gateway.Opening
	t.Run("before", func(t *testing.T) {
		h, _ := open(t, dir, nil, nil)
		s := h.Sessions("face", 0)
		id = s.NewID()
		var err error
		was, err = s.Open(t.Context(), id, firstTask(t, h))
		must(t, err)
	})
	h, _ := open(t, dir, nil, nil)
	s := h.Sessions("face", 0)
	if got, err := s.Find(t.Context(), id); err != nil || got != was.Episode {
		t.Errorf("found %s, %v; want %s", got, err, was.Episode)
	}
	if !s.Minted(id) {
		t.Error("the id is not known as minted any more")
	}
}

func TestIdleSessions(t *testing.T) {
	c := gatewaytest.NewClock()
	h, gw := open(t, t.TempDir(), c.Now, nil)
	s, patient := h.Sessions("face", 15*time.Minute), h.Sessions("patient", 0)
	choice := firstTask(t, h)
	ids := map[string]astra.EpisodeID{}
	for _, id := range []string{"idle", "used", "busy"} {
		o, err := s.Open(t.Context(), id, choice)
		must(t, err)
		ids[id] = o.Episode
	}
	o, err := patient.Open(t.Context(), "idle", choice)
	must(t, err)
	ids["patient"] = o.Episode
	_, done, err := s.Use(t.Context(), "busy")
	must(t, err)
	c.Pass(10 * time.Minute)
	_, err = s.Find(t.Context(), "used")
	must(t, err)
	c.Pass(10 * time.Minute)
	h.Sweep(t.Context())
	status := func(id string) astra.Status {
		ep, err := gw.Episode(t.Context(), ids[id])
		must(t, err)
		return ep.Status
	}
	for id, want := range map[string]astra.Status{"idle": astra.StatusAborted, "used": astra.StatusOpen, "busy": astra.StatusOpen, "patient": astra.StatusOpen} {
		if got := status(id); got != want {
			t.Errorf("%s is %s, want %s", id, got, want)
		}
	}
	done()
	c.Pass(16 * time.Minute)
	h.Sweep(t.Context())
	if got := status("busy"); got != astra.StatusAborted || s.Active() != 0 {
		t.Errorf("after its use it is %s, %d active", got, s.Active())
	}
}

// A session that is over for one request and found by another ends when it is idle, as any.
func TestForgottenWhileUsed(t *testing.T) {
	c := gatewaytest.NewClock()
	h, _ := open(t, t.TempDir(), c.Now, nil)
	s := h.Sessions("face", 15*time.Minute)
	_, err := s.Open(t.Context(), "id", firstTask(t, h))
	must(t, err)
	_, done, err := s.Use(t.Context(), "id")
	must(t, err)
	s.Forget("id")
	_, err = s.Find(t.Context(), "id")
	must(t, err)
	done()
	c.Pass(16 * time.Minute)
	h.Sweep(t.Context())
	if s.Active() != 0 {
		t.Errorf("%d sessions are kept", s.Active())
	}
}

// early is a gateway that knows keys of episodes whose log is not written yet.
type early struct{ *gateway.Gateway }

func (early) Resolve(context.Context, astra.Key) (astra.EpisodeID, error) {
	return astra.NewEpisodeID(), nil
}

// A session that is being opened is not there yet.
func TestFindBeforeOpened(t *testing.T) {
	_, gw := open(t, t.TempDir(), nil, nil)
	h, err := harness.New(early{gw}, harness.NewGate("", nil), []byte("sixteen bytes of secret"), nil, nil)
	must(t, err)
	t.Cleanup(h.Close)
	s := h.Sessions("face", time.Minute)
	for range 2 {
		if _, _, err := s.Use(t.Context(), "id"); !errors.Is(err, astra.ErrNotFound) || s.Knows("id") {
			t.Errorf("found: %v, known %v", err, s.Knows("id"))
		}
	}
	must(t, s.Abort(t.Context(), "id", "enough"))
}

// comeback is a gateway whose records are looked at while somebody comes back.
type comeback struct {
	*gateway.Gateway
	now func()
}

func (c *comeback) Episode(ctx context.Context, id astra.EpisodeID) (*astra.Episode, error) {
	c.now()
	return c.Gateway.Episode(ctx, id)
}

// Ending a thousand idle sessions takes seconds. One that is used meanwhile goes on.
func TestIdleUntilNow(t *testing.T) {
	c := gatewaytest.NewClock()
	_, gw := open(t, t.TempDir(), c.Now, nil)
	eps := &comeback{gw, func() {}}
	h, err := harness.New(eps, harness.NewGate("", nil), []byte("sixteen bytes of secret"), nil, &harness.Options{Now: c.Now})
	must(t, err)
	t.Cleanup(h.Close)
	s := h.Sessions("face", 15*time.Minute)
	ids := []string{"called", "pinged"}
	for _, id := range ids {
		_, err := s.Open(t.Context(), id, firstTask(t, h))
		must(t, err)
	}
	c.Pass(16 * time.Minute)
	eps.now = func() {
		eps.now = func() {}
		_, done, err := s.Use(t.Context(), ids[0])
		must(t, err)
		t.Cleanup(done)
		_, err = s.Find(t.Context(), ids[1])
		must(t, err)
	}
	h.Sweep(t.Context())
	for _, id := range ids {
		ep, err := s.Find(t.Context(), id)
		must(t, err)
		rec, err := gw.Episode(t.Context(), ep)
		must(t, err)
		if rec.Status != astra.StatusOpen {
			t.Errorf("%s is %s", id, rec.Status)
		}
	}
}

// An agent that plays over MCP uses the session of its harness, which waits.
func TestSessionsPlayedOverMCP(t *testing.T) {
	c := gatewaytest.NewClock()
	h, gw := open(t, t.TempDir(), c.Now, nil)
	s := h.Sessions("face", 15*time.Minute)
	o, err := s.Open(t.Context(), "id", firstTask(t, h))
	must(t, err)
	for _, want := range []astra.Status{astra.StatusOpen, astra.StatusOpen, astra.StatusAborted} {
		if want == astra.StatusOpen {
			c.Pass(10 * time.Minute)
			_, err = gw.Call(t.Context(), o.Episode, astra.Call{Tool: "stock", Args: []byte(`{"item":"bolt"}`)})
			must(t, err)
		}
		c.Pass(10 * time.Minute)
		h.Sweep(t.Context())
		ep, err := gw.Episode(t.Context(), o.Episode)
		must(t, err)
		if ep.Status != want {
			t.Errorf("%v after the start it is %s, want %s", c.Now().Sub(ep.OpenedAt), ep.Status, want)
		}
	}
}

// Whoever asks for the end and leaves at once must not leave an episode that nobody ends.
func TestAbortBrokenOff(t *testing.T) {
	c := gatewaytest.NewClock()
	h, gw := open(t, t.TempDir(), c.Now, nil)
	s := h.Sessions("face", 15*time.Minute)
	o, err := s.Open(t.Context(), "id", firstTask(t, h))
	must(t, err)
	gone, leave := context.WithCancel(t.Context())
	leave()
	if err := s.Abort(gone, "id", "enough"); !errors.Is(err, context.Canceled) {
		t.Fatalf("Abort = %v, want it to be broken off", err)
	}
	c.Pass(16 * time.Minute)
	h.Sweep(t.Context())
	ep, err := gw.Episode(t.Context(), o.Episode)
	must(t, err)
	if ep.Status != astra.StatusAborted || s.Active() != 0 {
		t.Errorf("it is %s, %d active", ep.Status, s.Active())
	}
}

func TestSessionsAtOnce(t *testing.T) {
	h, gw := open(t, t.TempDir(), nil, nil)
	s := h.Sessions("face", time.Minute)
	choice := firstTask(t, h)
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() {
			id := string(rune('a' + i%4))
			if _, err := s.Open(t.Context(), id, choice); err != nil {
				t.Error(err)
				return
			}
			_, done, err := s.Use(t.Context(), id)
			if err != nil {
				t.Error(err)
				return
			}
			done()
			h.Sweep(t.Context())
		})
	}
	wg.Wait()
	if n := gw.Stats().Opened; n != 4 {
		t.Errorf("%d episodes of 4 sessions", n)
	}
}

// Agents get in with the key of the episode, whatever else the request bears.
func TestServeMCP(t *testing.T) {
	var got *http.Request
	agents := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r })
	h, _ := open(t, t.TempDir(), nil, agents)
	r := httptest.NewRequest("POST", "/nemo-gym/shop/mcp", strings.NewReader("{}"))
	r.Header.Set("Authorization", "Bearer the-faces-key")
	r.Header.Set("Cookie", "session=x")
	h.ServeMCP(httptest.NewRecorder(), r, "the-episode's")
	if got.URL.Path != "/episode/mcp" || got.Header.Get("Authorization") != "Bearer the-episode's" || got.Header.Get("Cookie") != "" {
		t.Errorf("passed on %s with %v", got.URL, got.Header)
	}
	if r.URL.Path != "/nemo-gym/shop/mcp" || r.Header.Get("Cookie") == "" {
		t.Error("the request itself was changed")
	}
}

func TestGate(t *testing.T) {
	local := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8082}
	public := &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 8082}
	for name, c := range map[string]struct {
		token  string
		at     net.Addr
		host   string
		header []string
		want   int
	}{
		"plain":            {at: local, host: "127.0.0.1:8082"},
		"a name":           {at: local, host: "localhost:8082"},
		"version 6":        {at: local, host: "[::1]:8082"},
		"configured":       {at: local, host: "Arenas.example.com"},
		"rebound":          {at: local, host: "evil.example.com", want: 403},
		"not the loopback": {at: public, host: "anything"},
		"page":             {at: local, host: "localhost", header: []string{"Origin", "http://localhost"}, want: 403},
		"image":            {at: local, host: "localhost", header: []string{"Sec-Fetch-Site", "cross-site"}, want: 403},
		"by hand":          {at: local, host: "localhost", header: []string{"Sec-Fetch-Site", "none"}},
		"no token":         {token: "t", at: local, host: "localhost", want: 401},
		"bearer":           {token: "t", at: local, host: "localhost", header: []string{"Authorization", "bearer t"}},
		"other scheme":     {token: "t", at: local, host: "localhost", header: []string{"Authorization", "Digest t"}, want: 401},
		"of a URL":         {token: "t", at: local, host: "localhost", header: []string{"Authorization", "Basic a2V5OnQ="}},
		"of another URL":   {token: "t", at: local, host: "localhost", header: []string{"Authorization", "Basic a2V5OnU="}, want: 401},
		"API key":          {token: "t", at: local, host: "localhost", header: []string{"X-API-Key", "t"}},
		"wrong":            {token: "t", at: local, host: "localhost", header: []string{"X-API-Key", "tt"}, want: 401},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Host = c.host
		r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, c.at))
		if c.header != nil {
			r.Header.Set(c.header[0], c.header[1])
		}
		got := 0
		refusal, refused := errors.AsType[*harness.Refusal](harness.NewGate(c.token, []string{"arenas.example.com"}).Admit(r))
		if refused {
			got = refusal.Status
		}
		if got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

// A trainer in a container, whose host has a name, is told what to do about it.
func TestGateNamesTheHost(t *testing.T) {
	r := httptest.NewRequest("GET", "http://host.example.com:8082/", nil)
	local := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8082}
	r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, local))
	err := harness.NewGate("", nil).Admit(r)
	if err == nil || !strings.Contains(err.Error(), `"host.example.com:8082"`) || !strings.Contains(err.Error(), "--hosts") {
		t.Errorf("of another host: %v, want its name and --hosts", err)
	}
}

// What a task's view begins with depends on which other arenas are served.
func TestTasksAfterAnArenaCame(t *testing.T) {
	h, gw := open(t, t.TempDir(), nil, nil)
	tools := func() int {
		_, list, err := h.Tasks(t.Context(), "one")
		must(t, err)
		return len(list[0].Tools)
	}
	addArena(t, gw, "one", "look", `{"id":"t","turns":[{"prompt":"P"}],"distractors":["two/find"],"answer":{"expected":"x"}}`)
	if n := tools(); n != 1 {
		t.Errorf("%d tools before the distractor's arena came, want 1", n)
	}
	addArena(t, gw, "two", "find", `{"id":"t","turns":[{"prompt":"P"}],"answer":{"expected":"x"}}`)
	if n := tools(); n != 2 {
		t.Errorf("%d tools with the distractor, want 2", n)
	}
}

// A task whose user is simulated cannot be played by harnesses that know no user.
func TestTasksWithAUser(t *testing.T) {
	h, gw := open(t, t.TempDir(), nil, nil)
	addArena(t, gw, "desk", "look", `{"id":"alone","turns":[{"prompt":"P"}],"answer":{"expected":"x"}}`+"\n"+
		`{"id":"talk","turns":[{"prompt":"P"}],"user":{"turns":3,"goal":"G"},"answer":{"expected":"x"}}`)
	_, list, err := h.Tasks(t.Context(), "desk")
	must(t, err)
	if len(list) != 1 || list[0].Task.ID != "alone" {
		t.Errorf("%d tasks: %+v", len(list), list)
	}
	if _, err := h.Sessions("face", 0).Open(t.Context(), "s", harness.Choice{Arena: "desk", Task: "talk"}); err == nil {
		t.Error("a session plays a task without its user")
	}
}

func addArena(t *testing.T, gw *gateway.Gateway, name, tool, task string) {
	t.Helper()
	dir := t.TempDir()
	for file, text := range map[string]string{
		"arena.yaml":  "name: " + name + "\nversion: 1.0.0\ntitle: T\ndescription: D.\ndomain: " + name + "\nlicense: Apache-2.0\nruntime: javascript\nentry: tools.js\ntools:\n  - {name: " + tool + ", title: T, description: D., input: {type: object}}\n",
		"tools.js":    "export function " + tool + "() { return 1; }\n",
		"tasks.jsonl": task + "\n",
	} {
		must(t, os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644))
	}
	b, err := astra.ReadBundle(dir)
	must(t, err)
	_, err = gw.AddArena(t.Context(), b)
	must(t, err)
}
