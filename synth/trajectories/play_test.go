package trajectories_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
	"github.com/astra-arenas/astra/gateway/gatewaytest"
	"github.com/astra-arenas/astra/llm"
	"github.com/astra-arenas/astra/mcp"
	"github.com/astra-arenas/astra/mcp/upstream"
	"github.com/astra-arenas/astra/store"
	"github.com/astra-arenas/astra/synth"
	"github.com/astra-arenas/astra/synth/graph"
	"github.com/astra-arenas/astra/synth/scores"
	"github.com/astra-arenas/astra/synth/scores/scorestest"
	"github.com/astra-arenas/astra/synth/servers"
	"github.com/astra-arenas/astra/synth/tasks"
	"github.com/astra-arenas/astra/synth/trajectories"
	"github.com/astra-arenas/astra/synth/trajectories/modeltest"
	"github.com/astra-arenas/astra/verifiers"
)

// A stage is where conversations are played in these tests: real parts but for the model.
type stage struct {
	t        *testing.T
	store    *store.Store
	server   *modeltest.Server
	runtimes []gateway.Runtime
	player   *trajectories.Player
	run      *synth.Run
	opened   atomic.Int64 // houses
}

func newStage(t *testing.T, model *modeltest.Options, opts *trajectories.Options, runtimes ...gateway.Runtime) *stage {
	t.Helper()
	if model == nil {
		model = &modeltest.Options{}
	}
	model.Judge = scorestest.Judge
	s := &stage{t: t, server: modeltest.New(t, model), store: gatewaytest.Store(t, t.TempDir()), runtimes: runtimes}
	s.begin(http.DefaultTransport, opts)
	return s
}

// begin makes a player with a model behind next; nil replays.
func (s *stage) begin(next http.RoundTripper, opts *trajectories.Options) {
	s.t.Helper()
	var m llm.Model
	if next != nil {
		var err error
		if m, err = llm.NewOpenAI(llm.Options{BaseURL: s.server.URL + "/v1", Model: "scripted"}); err != nil {
			s.t.Fatal(err)
		}
	}
	m = llm.NewNotedCache(s.store, "scripted", m)
	policy := trajectories.Policy{BaseURL: s.server.URL + "/v1", Model: "scripted", Client: &http.Client{Transport: llm.NewTransport(s.store, next, nil)}}
	var err error
	if s.player, err = trajectories.New(policy, m, scores.New(m, nil), s.open, opts); err != nil {
		s.t.Fatal(err)
	}
	id, err := synth.RunID(s.player.Settings())
	if err != nil {
		s.t.Fatal(err)
	}
	s.run = synth.NewRun(id, s.store, &synth.RunOptions{Parallel: 4})
}

// open is a house with real doors.
func (s *stage) open(ctx context.Context, arenas []*astra.Bundle, emulator llm.Model, f func(trajectories.House) error) (err error) {
	s.opened.Add(1)
	st, err := store.Open(s.t.TempDir(), nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	judge, err := verifiers.New()
	if err != nil {
		return err
	}
	gw, err := gateway.New(ctx, st, judge, append(slices.Clone(s.runtimes), llm.NewEmulated(emulator, nil)), nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, gw.Close()) }()
	for _, b := range arenas {
		if _, err := gw.AddArena(ctx, b); err != nil {
			return err
		}
	}
	doors, err := mcp.New(gw, nil)
	if err != nil {
		return err
	}
	listener := httptest.NewServer(doors.AgentHandler())
	defer listener.Close()
	return f(trajectories.House{Gateway: gw, Door: listener.URL + "/episode/mcp"})
}

// accepted plays tasks from their arenas to what is accepted.
func (s *stage) accepted(c *trajectories.Collection, list []tasks.Task) (all []trajectories.Conversation) {
	s.t.Helper()
	var playable []tasks.Task
	for t, err := range s.player.Playable(s.t.Context(), s.run, c, each(list)) {
		if err != nil {
			s.t.Fatal(err)
		}
		playable = append(playable, t)
	}
	bundles, err := s.player.Bundles(c, playable)
	if err != nil {
		s.t.Fatal(err)
	}
	for conv, err := range s.player.Accepted(s.t.Context(), s.run, func(p *trajectories.Player, run *synth.Run) iter.Seq2[trajectories.Conversation, error] {
		return p.Judged(s.t.Context(), run, p.Conversations(s.t.Context(), run, bundles, playable))
	}) {
		if err != nil {
			s.t.Fatal(err)
		}
		all = append(all, conv)
	}
	return all
}

func each(list []tasks.Task) iter.Seq2[tasks.Task, error] {
	return func(yield func(tasks.Task, error) bool) {
		for _, t := range list {
			if !yield(t, nil) {
				return
			}
		}
	}
}

func (s *stage) reasons() map[string]int {
	sum := map[string]int{}
	for _, y := range s.run.Yields() {
		for why, n := range y.Rejected {
			sum[y.Stage+"/"+why] += n
		}
	}
	return sum
}

// shop is documents alone.
var shop = servers.Server{Name: "shop", Title: "Shop", Description: "Items and orders of a shop.", Domain: "trade", Language: synth.English, Tools: []servers.Tool{
	{Name: "find_item", Description: "Finds an item by its name.", Input: json.RawMessage(`{"type":"object","properties":{"name":{"type":"string"}},"required":["name"]}`), Annotations: astra.Annotations{ReadOnly: true}},
	{Name: "stock_level", Description: "Says how many of an item are left.", Input: json.RawMessage(`{"type":"object","properties":{"sku":{"type":"string"}},"required":["sku"]}`), Annotations: astra.Annotations{ReadOnly: true}},
	{Name: "create_order", Description: "Orders some of an item.", Input: json.RawMessage(`{"type":"object","properties":{"sku":{"type":"string"},"quantity":{"type":"integer"}},"required":["sku","quantity"]}`)}}}

func onlyShop() *trajectories.Collection {
	return &trajectories.Collection{Servers: []servers.Server{shop}}
}

func targets(server string, tools ...string) (all []graph.Node) {
	for _, t := range tools {
		all = append(all, graph.Node{Server: server, Tool: t})
	}
	return all
}

// task is one that the scripted model knows what to do with: it is told by a reference.
func task(id string, kind tasks.Kind, question string, user *astra.User, tools ...string) tasks.Task {
	t := tasks.Task{ID: id, Kind: kind, Server: "shop", Language: synth.English, Domain: "trade", Question: question, User: user, Targets: targets("shop", tools...)}
	if kind == tasks.Decline {
		t.Targets = nil
	}
	return t
}

func several() []tasks.Task {
	ref := modeltest.Reference
	return []tasks.Task{
		task("t1", tasks.FromChain, "See to it "+ref("", "find_item", "create_order"), nil, "find_item", "create_order"),
		task("t2", tasks.FollowUp, "See to it "+ref("", "find_item"), &astra.User{Turns: 4, Goal: "bolts", Next: []string{"And now this " + ref("", "stock_level")}}, "find_item", "stock_level"),
		task("t3", tasks.Clarify, "See to the other "+ref("?", "find_item"), &astra.User{Turns: 4, Goal: "bolts", Facts: map[string]string{"which": "lot 4417"}}, "find_item"),
		task("t4", tasks.Decline, "Delete all there is "+ref("!"), &astra.User{Turns: 2, Goal: "nobody may"}),
	}
}

func TestConversations(t *testing.T) {
	s := newStage(t, nil, nil)
	all := s.accepted(onlyShop(), several())
	if len(all) != 4 {
		t.Fatalf("%d of 4 were accepted: %v", len(all), s.reasons())
	}
	for i, want := range []struct {
		turns, calls int
		roles        string
	}{
		{1, 2, "system user assistant tool assistant tool assistant"},
		{2, 2, "system user assistant tool assistant user assistant tool assistant"},
		{2, 1, "system user assistant user assistant tool assistant"},
		{1, 0, "system user assistant"},
	} {
		c := all[i]
		chat, err := c.Trajectory.Chat()
		if err != nil {
			t.Fatal(err)
		}
		var roles []string
		ids := map[string]bool{}
		for _, m := range chat {
			roles = append(roles, m.Role)
			for _, call := range m.ToolCalls {
				if ids[call.ID] {
					t.Errorf("%s: the id %s comes twice", c.ID, call.ID)
				}
				ids[call.ID] = true
			}
		}
		if c.Turns != want.turns || len(c.Calls) != want.calls || strings.Join(roles, " ") != want.roles {
			t.Errorf("%s: %d turns, %d calls, %v; want %+v", c.ID, c.Turns, len(c.Calls), roles, want)
		}
		m := c.Trajectory.Metadata
		if m.Reward == nil || *m.Reward != 1 || m.Scores["mean"] != 1 || m.Episode != "" || m.ID != c.ID || m.Arena != "shop" || m.Domain != "trade" || m.Digest == "" {
			t.Errorf("%s: metadata %+v", c.ID, m)
		}
	}
	for _, spent := range s.player.Spent() {
		if spent.Usage.Output == 0 || spent.Calls < 8 {
			t.Errorf("spent %+v", spent)
		}
	}
}

// What is there is not played again, asks nobody, and is the same to the byte.
func TestConversationsResume(t *testing.T) {
	opts := &trajectories.Options{Samples: 2, Failures: astra.FailurePlan{Rate: 0.3}, Percentile: 0.4}
	s := newStage(t, nil, opts)
	first, spent, asked := s.accepted(onlyShop(), several()), s.player.Spent(), s.server.Asked()
	if len(first) < 4 {
		t.Fatalf("%d were accepted: %v", len(first), s.reasons())
	}
	compare := func(what string) {
		t.Helper()
		second := s.accepted(onlyShop(), several())
		a, _ := json.Marshal(first)
		b, _ := json.Marshal(second)
		if !bytes.Equal(a, b) {
			t.Errorf("%s: other conversations:\n%s\n%s", what, a, b)
		}
		if fmt.Sprint(s.player.Spent()) != fmt.Sprint(spent) || !maps.Equal(s.server.Asked(), asked) {
			t.Errorf("%s: spent %v, then %v; asked %v, then %v", what, spent, s.player.Spent(), asked, s.server.Asked())
		}
	}
	houses := s.opened.Load()
	s.begin(nil, opts)
	compare("resumed")
	if s.opened.Load() != houses {
		t.Errorf("%d conversations were played again", s.opened.Load()-houses)
	}
	// A process that was killed in each conversation has what was said, and no result.
	s.begin(nil, opts)
	s.run = synth.NewRun("another-run", s.store, nil)
	compare("played again")
	if s.opened.Load() != 2*houses {
		t.Errorf("%d houses, then %d", houses, s.opened.Load())
	}
}

// What is kept of a conversation in one arena is not taken for one in another: a run whose
// thresholds leave other tasks makes an arena of another digest.
func TestAnotherArena(t *testing.T) {
	s := newStage(t, nil, nil)
	first := s.accepted(onlyShop(), several()[:2])
	s.begin(http.DefaultTransport, nil)
	second := s.accepted(onlyShop(), several()[:1])
	if len(first) != 2 || len(second) != 1 {
		t.Fatalf("%d and %d were accepted", len(first), len(second))
	}
	bundles, err := s.player.Bundles(onlyShop(), several()[:1])
	if err != nil {
		t.Fatal(err)
	}
	if got, want := second[0].Trajectory.Metadata.Digest, bundles["shop"].Digest(); got != want || got == first[0].Trajectory.Metadata.Digest {
		t.Errorf("the digest is %s, want %s", got, want)
	}
}

func TestOptions(t *testing.T) {
	for name, o := range map[string]trajectories.Options{
		"samples":    {Samples: -1},
		"time":       {Time: -1},
		"percentile": {Percentile: 1},
		"failures":   {Failures: astra.FailurePlan{Rate: 2}},
		"mean":       {Thresholds: scores.Thresholds{Mean: math.NaN()}},
		"minimum":    {Thresholds: scores.Thresholds{Min: map[string]float64{"answer": 1}}},
	} {
		if _, err := trajectories.New(trajectories.Policy{}, llm.NewNotedCache(nil, "none", nil), nil, nil, &o); err == nil {
			t.Errorf("%s: %+v was taken", name, o)
		}
	}
}

// Planned failures happen, are tried again, and are nobody's fault.
func TestFailures(t *testing.T) {
	s := newStage(t, nil, &trajectories.Options{Samples: 12, Failures: astra.FailurePlan{Rate: 0.3}})
	injected, calls := 0, 0
	for _, c := range s.accepted(onlyShop(), several()[:1]) {
		injected += c.Injected
		calls += len(c.Calls)
		if c.Trajectory.Metadata.Scores["tool_success"] != 1 {
			t.Errorf("%s: planned failures count: %v", c.ID, c.Trajectory.Metadata.Scores)
		}
	}
	if injected < 3 || injected > calls/2 {
		t.Errorf("%d of %d calls failed as planned", injected, calls)
	}
}

// A bad run is rejected or unknown, for a reason that fits.
func TestBadRuns(t *testing.T) {
	for name, c := range map[string]struct {
		fault modeltest.Fault
		opts  trajectories.Options
		want  string
	}{
		"never comes to an end": {func(a *modeltest.Asked, said modeltest.Answer) modeltest.Answer {
			if a.Step == "agent" {
				said = modeltest.Answer{Calls: []modeltest.Call{{Tool: "find_item", Args: fmt.Sprintf(`{"name":"n%d"}`, a.Number)}}}
			}
			return said
		}, trajectories.Options{Rounds: 4}, "conversations/rounds"},
		"too many tokens": {nil, trajectories.Options{Tokens: 150}, "conversations/tokens"},
		"an answer that breaks off": {func(a *modeltest.Asked, said modeltest.Answer) modeltest.Answer {
			if a.Step == "agent" && said.Calls == nil {
				said.Text, said.Finish = "The order is", "length"
			}
			return said
		}, trajectories.Options{}, "conversations/cut"},
		"a chat that is too long for the model": {func(a *modeltest.Asked, said modeltest.Answer) modeltest.Answer {
			if a.Step == "agent" && a.Number > 1 {
				said = modeltest.Answer{Status: 400, Text: "context length exceeded"}
			}
			return said
		}, trajectories.Options{}, "conversations/refused by the server"},
		"a reply that is too long for the log": {func(a *modeltest.Asked, said modeltest.Answer) modeltest.Answer {
			if a.Step == "agent" && said.Calls == nil {
				said.Text = strings.Repeat("word ", 20_000)
			}
			return said
		}, trajectories.Options{}, "conversations/refused by the gateway"},
		"an emulator that makes no sense": {func(a *modeltest.Asked, said modeltest.Answer) modeltest.Answer {
			if a.Step == "emulator" {
				said.Text = "forty-one"
			}
			return said
		}, trajectories.Options{}, "conversations/invalid: upstream"},
		"a tool that is not there": {func(a *modeltest.Asked, said modeltest.Answer) modeltest.Answer {
			if a.Step == "agent" && a.Number == 1 {
				said = modeltest.Answer{Calls: []modeltest.Call{{Tool: "buy", Args: `{}`}}}
			}
			return said
		}, trajectories.Options{Thresholds: scores.Thresholds{Mean: 0.99}}, "acceptance/below: mean"},
		"arguments that are no JSON": {func(a *modeltest.Asked, said modeltest.Answer) modeltest.Answer {
			if a.Step == "agent" && a.Number == 1 {
				said = modeltest.Answer{Calls: []modeltest.Call{{Tool: "find_item", Args: `{"name":`}}}
			}
			return said
		}, trajectories.Options{Thresholds: scores.Thresholds{Min: map[string]float64{"tool_success": 1}}}, "acceptance/below: tool_success"},
		"an answer of nothing": {func(a *modeltest.Asked, said modeltest.Answer) modeltest.Answer {
			if a.Step == "agent" && said.Calls == nil {
				said.Text = ""
			}
			return said
		}, trajectories.Options{}, "conversations/no answer"},
		"a judge who cannot tell": {func(a *modeltest.Asked, said modeltest.Answer) modeltest.Answer {
			if a.Step == "summary" {
				said.Text = `{"grade":"unsure","reason":""}`
			}
			return said
		}, trajectories.Options{}, "scores/unknown: final_answer"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, &modeltest.Options{Fault: c.fault}, &c.opts)
			if all := s.accepted(onlyShop(), several()[:1]); len(all) != 0 || s.reasons()[c.want] != 1 {
				t.Errorf("%d were accepted; reasons are %v, want %s", len(all), s.reasons(), c.want)
			}
		})
	}
}

// A user who talks nonsense makes the conversation unknown; one who never ends is cut off.
func TestBadUser(t *testing.T) {
	for said, want := range map[string]string{
		`{"done":true,"message":"one more thing"}`:            "conversations/user: no verdict",
		`{"done":false,"message":"one \ud800 more thing"}`:    "conversations/user: text",
		`{"done":false,"message":"one \u0000 more thing"}`:    "conversations/user: text",
		`{"done":false,"message":"and one more thing"}`:       "",
		`{"done":false,"done":true,"message":"one more day"}`: "conversations/user: no JSON",
	} {
		s := newStage(t, &modeltest.Options{Fault: func(a *modeltest.Asked, answer modeltest.Answer) modeltest.Answer {
			if a.Step == "user" {
				answer.Text = said
			}
			return answer
		}}, nil)
		all := s.accepted(onlyShop(), several()[1:2])
		if want != "" && (len(all) != 0 || s.reasons()[want] != 1) || want == "" && (len(all) != 1 || all[0].Turns != 4) {
			t.Errorf("%s: %d were accepted: %v", said, len(all), s.reasons())
		}
	}
}

// A model that is down ends the run, and is no verdict on anybody.
func TestDown(t *testing.T) {
	s := newStage(t, &modeltest.Options{Fault: func(a *modeltest.Asked, said modeltest.Answer) modeltest.Answer {
		return modeltest.Answer{Status: 503, Text: "down"}
	}}, nil)
	bundles, err := s.player.Bundles(onlyShop(), several())
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range s.player.Conversations(t.Context(), s.run, bundles, several()) {
		if err == nil {
			t.Fatal("a conversation with nobody")
		}
		return
	}
	t.Fatal("no error was told")
}

// That a replay knows no answer is no verdict either, whoever asks; what is unknown is tried
// again where that is asked for.
func TestReplayAndRetry(t *testing.T) {
	for _, from := range []string{"agent", "emulator", "user"} {
		s := newStage(t, &modeltest.Options{Fault: func(a *modeltest.Asked, said modeltest.Answer) modeltest.Answer {
			if a.Step == from {
				return modeltest.Answer{Status: 401, Text: "who are you"}
			}
			return said
		}}, nil)
		bundles, err := s.player.Bundles(onlyShop(), several())
		if err != nil {
			t.Fatal(err)
		}
		play := func() (err error) {
			for _, err = range s.player.Conversations(t.Context(), s.run, bundles, several()[1:2]) {
				if err != nil {
					return err
				}
			}
			return nil
		}
		if err := play(); err == nil {
			t.Errorf("%s: nobody answered, and that was a verdict: %v", from, s.reasons())
		}
		s.begin(nil, nil)
		if err := play(); !errors.Is(err, llm.ErrReplay) {
			t.Errorf("%s: replayed: %v, want ErrReplay", from, err)
		}
	}
	down := true
	s := newStage(t, &modeltest.Options{Fault: func(a *modeltest.Asked, said modeltest.Answer) modeltest.Answer {
		if a.Step == "agent" && down {
			return modeltest.Answer{Status: 400, Text: "not now"}
		}
		return said
	}}, nil)
	if all := s.accepted(onlyShop(), several()[:1]); len(all) != 0 {
		t.Fatal("accepted what nobody played")
	}
	down = false
	if s.begin(http.DefaultTransport, nil); len(s.accepted(onlyShop(), several()[:1])) != 0 {
		t.Error("what is kept was tried again without being asked for")
	}
	s.run = synth.NewRun(s.run.ID(), s.store, &synth.RunOptions{Retry: true})
	if len(s.accepted(onlyShop(), several()[:1])) != 1 {
		t.Errorf("what was unknown is still: %v", s.reasons())
	}
}

// Tasks that an arena cannot have are left out, with the reason.
func TestPlayable(t *testing.T) {
	s := newStage(t, nil, nil)
	long := task("t9", tasks.FromChain, strings.Repeat("long ", 20_000), nil, "find_item")
	if all := s.accepted(onlyShop(), []tasks.Task{long}); len(all) != 0 || s.reasons()["arenas/does not load"] != 1 {
		t.Errorf("%d were accepted: %v", len(all), s.reasons())
	}
}

// One task may need a real MCP server, documents and an arena in the sandbox at once.
func TestHybrid(t *testing.T) {
	everything := peer(t, "server-everything", "stdio")
	rt, err := upstream.New(&upstream.Options{Targets: map[string]upstream.Target{"everything": everything}})
	if err != nil {
		t.Fatal(err)
	}
	tools, err := rt.Mirror(t.Context(), "everything", false)
	if err != nil {
		t.Fatal(err)
	}
	b, err := astra.ReadBundle(filepath.Join("..", "..", "examples", "arenas", "inventory"))
	if err != nil {
		t.Fatal(err)
	}
	inventory, err := b.Load()
	if err != nil {
		t.Fatal(err)
	}
	c := &trajectories.Collection{Servers: []servers.Server{shop, servers.FromTools("everything", "Everything", "Many small tools.", tools), servers.FromArena(inventory)},
		Arenas: map[astra.Digest]*astra.Arena{inventory.Digest: inventory}}
	c.Servers[0].Tools = c.Servers[0].Tools[1:2] // find_item and create_order are inventory's too
	s := newStage(t, nil, &trajectories.Options{Thresholds: scores.Thresholds{Mean: 0.1}}, rt, gatewaytest.JavaScript(t))
	hybrid := task("t1", tasks.FromChain, "See to it "+"in three places", nil, "stock_level")
	hybrid.Targets = append(hybrid.Targets, targets("everything", "get_sum")...)
	own := inventory.Tools[0].Name
	hybrid.Question = "See to it " + modeltest.Reference("", "stock_level", "get_sum", own)
	hybrid.Targets = append(hybrid.Targets, targets(inventory.Name, own)...)
	all := s.accepted(c, []tasks.Task{hybrid})
	if len(all) != 1 || len(all[0].Trajectory.Metadata.Others) != 2 {
		t.Fatalf("%d were accepted: %v", len(all), s.run.Yields())
	}
	if text := string(all[0].Trajectory.Messages); !strings.Contains(text, "The sum of 2 and 2 is 4") {
		t.Errorf("the real server was not called: %s", text)
	}
}

func peer(t *testing.T, name string, args ...string) upstream.Target {
	t.Helper()
	if testing.Short() {
		t.Skip("short: starts Node")
	}
	var command []string
	for _, path := range []string{".bin/node", "@modelcontextprotocol/" + name + "/dist/index.js"} {
		path, err := filepath.Abs(filepath.Join("..", "..", "node_modules", path))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(path); err != nil {
			t.Skipf("%s is not there: run npm ci", path)
		}
		command = append(command, path)
	}
	return upstream.Target{Command: append(command, args...)}
}
