package llm

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
)

// A shopkeeper is an emulated shop with one world open.
type shopkeeper struct {
	*testing.T
	arena   *astra.Arena
	program gateway.Program
	inst    gateway.Instance
	world   gateway.World
	steps   []astra.Step
}

func openShop(t *testing.T, model Model, opts *EmulatorOptions, files ...astra.File) *shopkeeper {
	t.Helper()
	s := &shopkeeper{T: t, arena: arena(t, files...), world: gateway.World{Seed: 7, Now: astra.DefaultNow,
		Scenario: json.RawMessage(`{"entities":{"nut":{"left":5}},"note":"the till sticks"}`)}}
	p, err := NewEmulated(model, opts).Load(t.Context(), s.arena)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	s.program = p
	s.start()
	return s
}

// start makes the world anew, as the past left it.
func (s *shopkeeper) start() {
	s.Helper()
	w := s.world
	w.Past = s.steps
	inst, err := s.program.Start(s.Context(), w)
	if err != nil {
		s.Fatal(err)
	}
	s.inst = inst
	s.Cleanup(func() { inst.Close() })
}

// call makes a step, as the gateway would keep it.
func (s *shopkeeper) call(tool, args string) astra.Result {
	s.Helper()
	res, err := s.inst.Call(s.Context(), tool, json.RawMessage(args))
	if err != nil {
		s.Fatalf("%s %s: %v", tool, args, err)
	}
	if res.Fault != astra.FaultAgent && !res.Breach { // see gateway.reached
		s.steps = append(s.steps, astra.Step{Index: len(s.steps) + 1, Turn: 1, Tool: tool, Args: json.RawMessage(args), Result: res})
	}
	return res
}

func (s *shopkeeper) want(tool, args, value string) {
	s.Helper()
	if res := s.call(tool, args); string(res.Value) != value {
		s.Errorf("%s %s = %s %q, want %s", tool, args, res.Value, res.Error, value)
	}
}

func (s *shopkeeper) state(want string) {
	s.Helper()
	res, err := s.inst.State(s.Context())
	if err != nil || string(res.Value) != want {
		s.Errorf("state = %s %v, want %s", res.Value, err, want)
	}
}

// shopTool is a model that keeps shop.
func shopTool(t *testing.T) func(*chat) string {
	return func(c *chat) string {
		d := c.document(t)
		var memory map[string]struct{ Left int }
		var args struct {
			Item string
			N    int
		}
		if err := errors.Join(json.Unmarshal(d.Memory, &memory), json.Unmarshal(d.Arguments, &args)); err != nil {
			t.Error(err)
		}
		item, ok := memory[args.Item]
		name, _ := json.Marshal(args.Item)
		left := func(n int) string {
			b, _ := json.Marshal(n)
			return string(b)
		}
		switch {
		case !ok:
			return `{"error":"there is no such item","memory":{}}`
		case d.Tool.Name == "stock":
			return `{"result":{"item":` + string(name) + `,"left":` + left(item.Left) + `},"memory":{}}`
		}
		return `{"result":` + left(item.Left-args.N) + `,"memory":{` + string(name) + `:{"left":` + left(item.Left-args.N) + `},"sale <&>":{"of":` + string(name) + `}}}`
	}
}

func TestEmulated(t *testing.T) {
	bothWays(t, func(t *testing.T, way string) {
		fake := newFake(t, shopTool(t))
		s := openShop(t, fake.model(way), nil)
		s.state(`{"entities":{"nut":{"left":5}}}`)
		s.want("sell", `{"item":"nut","n":2}`, `3`)
		s.want("stock", `{"item":"nut"}`, `{"item":"nut","left":3}`)
		if res := s.call("stock", `{"item":"bolt"}`); res.Error != "there is no such item" || res.Fault != astra.FaultTool || res.Breach {
			t.Errorf("a failing tool: %+v", res)
		}
		s.state(`{"entities":{"nut":{"left":3},"sale <&>":{"of":"nut"}}}`)
		if want := `{"memory":{"nut":{"left":3},"sale <&>":{"of":"nut"}},"model":"m"}`; s.steps[0].Result.Log != want {
			t.Errorf("log = %s, want %s", s.steps[0].Result.Log, want)
		}
		for _, c := range fake.asked() {
			d := c.document(t)
			if d.Environment.Title != "A shop" || d.Environment.Description != "Sells things." || d.Tool.Description == "" || !d.Now.Equal(astra.DefaultNow) ||
				d.Seed != 7 || !strings.Contains(string(d.Scenario), "the till sticks") || c.System != instructions ||
				c.Temperature == nil || *c.Temperature != 0 || c.MaxTokens != 8192 || !json.Valid(c.Schema) {
				t.Errorf("asked %+v: %s", c, c.Messages[0].Text)
			}
			if way == "openai" && (c.Seed == nil || *c.Seed != 7) {
				t.Errorf("seed = %v", c.Seed)
			}
			if shown := strings.Contains(c.Messages[0].Text, "Sells some of"); shown != (d.Tool.Name == "sell") {
				t.Errorf("a call of %s is shown another tool: %s", d.Tool.Name, c.Messages[0].Text)
			}
		}
		if s := string(fake.asked()[1].Schema); !strings.Contains(s, `"minimum":0`) {
			t.Errorf("the reply's schema has not the tool's: %s", s)
		}
	})
}

// TestWake: a world that is told its past is the world that it was.
func TestWake(t *testing.T) {
	fake := newFake(t, shopTool(t))
	s := openShop(t, fake.model("openai"), nil)
	s.want("sell", `{"item":"nut","n":2}`, `3`)
	s.call("sell", `{"item":"bolt","n":2}`)
	before := s.inst.(*instance)
	asked := len(fake.asked())
	s.start()
	if after := s.inst.(*instance); string(after.known.text) != string(before.known.text) || after.key != before.key {
		t.Errorf("woken as %s %s, was %s %s", after.known.text, after.key, before.known.text, before.key)
	}
	if len(fake.asked()) != asked {
		t.Error("the model was asked to wake a world")
	}
	s.want("sell", `{"item":"nut","n":1}`, `2`)
	s.steps[0].Result.Log = "hello"
	w := s.world
	w.Past = s.steps
	if _, err := s.program.Start(t.Context(), w); err == nil || !strings.Contains(err.Error(), "step 1 of the log") {
		t.Errorf("Start with a log that is none: %v", err)
	}
}

func TestForkIsApart(t *testing.T) {
	fake := newFake(t, shopTool(t))
	s := openShop(t, fake.model("openai"), nil)
	s.want("sell", `{"item":"nut","n":1}`, `4`)
	fork, err := s.inst.Fork(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer fork.Close()
	s.want("sell", `{"item":"nut","n":1}`, `3`)
	res, err := fork.Call(t.Context(), "sell", json.RawMessage(`{"item":"nut","n":4}`))
	if err != nil || string(res.Value) != `0` {
		t.Errorf("in the fork: %s %v", res.Value, err)
	}
	s.state(`{"entities":{"nut":{"left":3},"sale <&>":{"of":"nut"}}}`)
}

// TestRepair: one wrong answer is sent back with what is wrong, a second is an error.
func TestRepair(t *testing.T) {
	const good = `{"result":{"item":"nut","left":3},"memory":{}}`
	bothWays(t, func(t *testing.T, way string) {
		fake := newFake(t, script(t, `{"result":{"item":"nut","left":"three"},"memory":{"nut":{"left":3}}}`, good))
		s := openShop(t, fake.model(way), nil)
		s.want("stock", `{"item":"nut"}`, `{"item":"nut","left":3}`)
		s.state(`{"entities":{"nut":{"left":5}}}`)
		c := fake.asked()[1]
		if len(c.Messages) != 3 || c.Messages[0] != fake.asked()[0].Messages[0] || !strings.Contains(c.Messages[1].Text, "three") ||
			!strings.Contains(c.Messages[2].Text, `result "left": must be an integer`) {
			t.Errorf("sent back as %q", c.Messages)
		}
	})
	for name, says := range map[string][]string{
		"never fits":  {`{"result":{"item":"nut"},"memory":{"nut":{"left":3}}}`, `{"result":{"item":"nut","left":-1},"memory":{"nut":{"left":3}}}`},
		"no JSON":     {"I cannot do that.", ""},
		"cannot read": {`{"result":`, `{"memory":{}}`},
		"takes back":  {`{"result":{"item":"nut","left":3},"memory":{"nut":{"left":3}}}`, `{"result":{"item":"nut","left":0},"memory":{"nut":null}}`},
	} {
		fake := newFake(t, script(t, says...))
		s := openShop(t, fake.model("openai"), nil)
		res, err := s.inst.Call(t.Context(), "stock", json.RawMessage(`{"item":"nut"}`))
		if !errors.Is(err, errUnfit) || res.Value != nil {
			t.Errorf("%s: %+v, %v", name, res, err)
		}
		s.state(`{"entities":{"nut":{"left":5}}}`) // and none of the patches
	}
}

// TestReadOnlyAdds: a tool that only reads may make up what was not known.
func TestReadOnlyAdds(t *testing.T) {
	s := openShop(t, newFake(t, script(t, `{"result":{"item":"nut","left":5},"memory":{"nut":{"left":5,"colour":"red"},"none":null,"bolt":{"left":1}}}`)).model("openai"), nil)
	s.want("stock", `{"item":"nut"}`, `{"item":"nut","left":5}`)
	s.state(`{"entities":{"bolt":{"left":1},"nut":{"colour":"red","left":5}}}`)
}

// TestHammer: worlds of one program know nothing of each other.
func TestHammer(t *testing.T) {
	s := openShop(t, newFake(t, shopTool(t)).model("openai"), nil)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			inst, err := s.program.Start(t.Context(), s.world)
			if err != nil {
				t.Error(err)
				return
			}
			defer inst.Close()
			for left := 4; left >= 0; left-- {
				res, err := inst.Call(t.Context(), "sell", json.RawMessage(`{"item":"nut","n":1}`))
				if err != nil || string(res.Value) != fmt.Sprint(left) {
					t.Errorf("%s %v, want %d left", res.Value, err, left)
				}
			}
		})
	}
	all.Wait()
}

// TestBreach: what an agent can make a model do too much of is a failed step that changes nothing.
func TestBreach(t *testing.T) {
	for says, want := range map[string]string{
		`{"result":"` + long(1100) + `","memory":{"nut":null}}`:            "result limit: more than 1024 bytes",
		`{"result":[[[[[]]]]],"memory":{"nut":null}}`:                      "nesting limit: more than 4 levels",
		`{"result":1,"memory":{"nut":{"x":"` + long(maxMemory-20) + `"}}}`: "memory limit: more than 65536 bytes",
		`{"result":"and so on` + cutMark:                                   "answer limit: more than 8192 tokens",
	} {
		s := openShop(t, newFake(t, script(t, says)).model("openai"), nil)
		res := s.call("sell", `{"item":"nut","n":1}`)
		if !res.Breach || res.Fault != astra.FaultTool || res.Error != want || res.Log != "" {
			t.Errorf("%.60s: %+v, want %s", says, res, want)
		}
		s.state(`{"entities":{"nut":{"left":5}}}`)
	}
	s := openShop(t, newFake(t, script(t)).model("openai"), nil) // is not asked
	if res := s.call("sell", `{"item":"`+long(maxAsked)+`","n":1}`); res.Fault != astra.FaultAgent {
		t.Errorf("large arguments: %+v", res)
	}
}

// TestTrouble: a model that is gone is an error, whose words for agents quote nothing.
func TestTrouble(t *testing.T) {
	var log bytes.Buffer
	opts := &EmulatorOptions{Logger: slog.New(slog.NewTextHandler(&log, nil))}
	s := openShop(t, newFake(t, script(t, "HTTP 403 text/plain the-till-sticks")).model("openai"), opts)
	_, err := s.inst.Call(t.Context(), "stock", json.RawMessage(`{"item":"nut"}`))
	if !errors.Is(err, ErrModel) || strings.Contains(err.Error(), "sticks") || strings.Contains(err.Error(), "403") {
		t.Errorf("error = %v", err)
	}
	if !strings.Contains(log.String(), "403 Forbidden") || !strings.Contains(log.String(), "tool=stock") || strings.Contains(log.String(), testAPIKey) {
		t.Errorf("the operator is told %s", log.String())
	}

	stuck := make(chan struct{})
	s = openShop(t, newFake(t, func(*chat) string { <-stuck; return "HTTP 404" }).model("anthropic"), opts)
	defer close(stuck)
	s.arena.Limits.Wall = 20 * time.Millisecond
	_, err = s.inst.Call(t.Context(), "stock", json.RawMessage(`{"item":"nut"}`))
	if !errors.Is(err, astra.ErrToolTimeout) || !strings.Contains(err.Error(), "limits.wall is 20ms") {
		t.Errorf("error = %v, want that the wall clock ran out", err)
	}
}

// TestCassette: a cassette made of an episode's steps answers byte for byte alike, without a model.
func TestCassette(t *testing.T) {
	fake := newFake(t, shopTool(t))
	live := openShop(t, fake.model("openai"), nil)
	calls := [][2]string{{"sell", `{"item":"nut","n":2}`}, {"stock", `{"item":"nut"}`}, {"sell", `{"item":"bolt","n":1}`}, {"sell", `{"item":"nut","n":2}`}, {"stock", `{"item":"nut"}`}}
	var c astra.Cassette
	key := astra.CassetteStart(live.world.Scenario)
	for i, call := range calls {
		live.call(call[0], call[1])
		key = astra.MatchEpisode.Next(key, call[0], json.RawMessage(call[1]))
		c.Add(astra.Recording{Key: key, Tool: call[0], Args: json.RawMessage(call[1]), Result: live.steps[i].Result})
	}
	state, err := live.inst.State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	text, err := c.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	file := astra.File{Path: astra.CassetteFile, Data: text}

	replay := openShop(t, nil, nil, file)
	for i, call := range calls {
		if i == 2 { // what nobody knows changes nothing, and no later key
			res := replay.call("sell", `{"item":"nut","n":1}`)
			if res.OK() || res.Fault != astra.FaultTool || res.Breach || res.Error != unknownCall {
				t.Errorf("an unknown call: %+v", res)
			}
			replay.start()
		}
		res := replay.call(call[0], call[1])
		was, _ := json.Marshal(live.steps[i].Result)
		if is, _ := json.Marshal(res); !bytes.Equal(was, is) {
			t.Errorf("call %d is %s, was %s", i+1, is, was)
		}
	}
	replay.state(string(state.Value))
	if res := replay.call("sell", `{"item":"nut","n":2}`); res.Error != unknownCall {
		t.Errorf("the first call again: %+v", res)
	}

	// With a model too the cassette is asked first.
	asked := len(fake.asked())
	both := openShop(t, fake.model("openai"), nil, file)
	both.want("sell", `{"item":"nut","n":2}`, `3`)
	if len(fake.asked()) != asked {
		t.Error("the model was asked what the cassette knows")
	}
	both.want("sell", `{"item":"nut","n":1}`, `2`)
	if len(fake.asked()) != asked+1 {
		t.Error("the model was not asked what the cassette does not know")
	}
}

func TestLoadRefuses(t *testing.T) {
	entry := `{"key":"k","tool":"sell","args":{},"result":{"value":1,"log":"hello"}}`
	for text, want := range map[string]string{
		entry: `cassette.jsonl: the answer of "sell": the log is no note of an emulated tool`,
		"[]":  "cassette.jsonl:1: ",
	} {
		_, err := NewEmulated(nil, nil).Load(t.Context(), arena(t, astra.File{Path: astra.CassetteFile, Data: []byte(text)}))
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("Load = %v, want %s", err, want)
		}
	}
	p, err := NewEmulated(nil, nil).Load(t.Context(), arena(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, scenario := range []string{`{"entities":[]}`, `{"entities":{"a":1}}`, `{"entities":{"a":{"x":"` + long(maxMemory) + `"}}}`} {
		if _, err := p.Start(t.Context(), gateway.World{Scenario: json.RawMessage(scenario)}); err == nil || !strings.Contains(err.Error(), "the scenario's entities") {
			t.Errorf("Start(%.40s) = %v", scenario, err)
		}
	}
	for _, scenario := range []string{"", `null`, `4`, `{"shops":2}`} {
		if _, err := p.Start(t.Context(), gateway.World{Scenario: json.RawMessage(scenario)}); err != nil {
			t.Errorf("Start(%s): %v", scenario, err)
		}
	}
}
