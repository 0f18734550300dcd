package agent

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/astra-arenas/astra"
)

func TestGold(t *testing.T) {
	d := newDoor(t)
	task := &astra.Task{
		Turns: []astra.TaskTurn{{Prompt: "where?"}, {Prompt: "how many?"}},
		Gold: [][]astra.GoldCall{
			{{Tool: "find", Args: json.RawMessage(`{"name":"bolt"}`)}},
			{{Tool: "stock", Args: json.RawMessage(`{"sku":"$1.value.sku","place":"$1.value.places.0.id"}`)}},
		},
		Answer: &astra.Answer{Expected: json.RawMessage(`41`)},
	}
	s, g := d.enter(t, nil), NewGold(task, nil)
	first, err := g.Play(t.Context(), s, "where?")
	if err != nil {
		t.Fatal(err)
	}
	last, err := g.Play(t.Context(), s, "how many?")
	if err != nil || first != "Done." || last != "41" {
		t.Errorf("replies %q, %q, %v; want Done. and 41", first, last, err)
	}
	want := []string{`find {"name":"bolt"}`, `stock {"place":7,"sku":"B8"}`}
	if !slices.Equal(d.calls, want) {
		t.Errorf("calls = %q, want %q", d.calls, want)
	}
}

// TestGoldAlwaysReplies: an assistant message without content would be taught to models.
func TestGoldAlwaysReplies(t *testing.T) {
	d := newDoor(t)
	for _, answer := range []*astra.Answer{nil, {Verify: "true"}, {Expected: json.RawMessage(`""`)}} {
		task := &astra.Task{Turns: []astra.TaskTurn{{Prompt: "order it"}}, Answer: answer}
		if reply, err := NewGold(task, nil).Play(t.Context(), d.enter(t, nil), "order it"); err != nil || reply != "Done." {
			t.Errorf("answer %+v: reply %q, %v; want Done.", answer, reply, err)
		}
	}
}

func TestGoldThatFails(t *testing.T) {
	task := &astra.Task{Turns: []astra.TaskTurn{{}}, Gold: [][]astra.GoldCall{{{Tool: "fail"}}}}
	_, err := NewGold(task, nil).Play(t.Context(), newDoor(t).enter(t, nil), "")
	if err == nil || err.Error() != "gold call 1, fail: failed: no such place" {
		t.Errorf("error = %v", err)
	}
}

// Where failures are planned the gold agent makes the same call again, and not for ever.
func TestGoldRepeats(t *testing.T) {
	for repeats, want := range map[int]string{0: "", 1: "", 2: "Done.", 9: "Done."} {
		d := newDoor(t)
		d.fail = 2
		task := &astra.Task{Turns: []astra.TaskTurn{{}}, Gold: [][]astra.GoldCall{{{Tool: "stock", Args: json.RawMessage(`{"place":1}`)}}}}
		reply, err := NewGold(task, &GoldOptions{Repeats: repeats}).Play(t.Context(), d.enter(t, nil), "")
		if reply != want || (err == nil) != (want != "") {
			t.Errorf("with %d repeats: %q, %v", repeats, reply, err)
		}
		if n := min(repeats, 2) + 1; !slices.Equal(d.calls, slices.Repeat([]string{`stock {"place":1}`}, n)) {
			t.Errorf("with %d repeats the calls are %q", repeats, d.calls)
		}
		if keys := slices.Compact(slices.Sorted(slices.Values(d.keys))); len(keys) != len(d.calls) {
			t.Errorf("%d calls under %d keys: a repeat would get the recorded failure", len(d.calls), len(keys))
		}
	}
}

func TestRandomIsDeterministic(t *testing.T) {
	play := func(seed uint64) []string {
		d := newDoor(t)
		if _, err := NewRandom(&RandomOptions{Seed: seed, Calls: 20}).Play(t.Context(), d.enter(t, nil), ""); err != nil {
			t.Fatal(err)
		}
		return d.calls
	}
	one := play(5)
	if two := play(5); !slices.Equal(one, two) {
		t.Errorf("seed 5 gave\n%q and then\n%q", one, two)
	}
	if other := play(6); slices.Equal(one, other) {
		t.Errorf("seeds 5 and 6 both gave %q", one)
	}
}

func TestArguments(t *testing.T) {
	schemas := []string{
		`{"type":"object"}`,
		`true`,
		`{"type":"object","properties":{"n":{"type":"integer","minimum":3,"maximum":5}},"required":["n"],"additionalProperties":false}`,
		`{"type":"object","properties":{"n":{"type":"number","exclusiveMinimum":0,"exclusiveMaximum":1}},"required":["n"]}`,
		`{"type":"object","properties":{"n":{"type":"integer","multipleOf":7,"minimum":100}},"required":["n"]}`,
		`{"type":"object","properties":{"s":{"type":"string","pattern":"^[A-Z]{2}-\\d{3,}$"}},"required":["s"]}`,
		`{"type":"object","properties":{"s":{"enum":["a",2,null]},"c":{"const":{"x":1}}},"required":["s","c"]}`,
		`{"type":"object","properties":{"l":{"type":"array","items":{"enum":[1,2,3]},"minItems":2,"uniqueItems":true}},"required":["l"]}`,
		`{"type":"object","properties":{"l":{"type":"array","prefixItems":[{"type":"string"},{"type":"boolean"}],"minItems":2}},"required":["l"]}`,
		`{"type":"object","properties":{"d":{"type":"string","format":"date"},"t":{"type":["string","null"],"maxLength":3}},"required":["d","t"]}`,
		`{"type":"object","properties":{"x":{"$ref":"#/$defs/x"}},"required":["x"],"$defs":{"x":{"type":"object","properties":{"y":{"type":"string"}},"required":["y"]}}}`,
		`{"type":"object","properties":{"tree":{"$ref":"#"}}}`,
		`{"type":"object","anyOf":[{"required":["a"]},{"required":["b"]}],"properties":{"a":{"type":"string"},"b":{"type":"integer"}}}`,
		`{"type":"object","allOf":[{"properties":{"a":{"type":"integer"}},"required":["a"]},{"properties":{"b":{"type":"boolean"}},"required":["b"]}]}`,
		`{"type":"object","oneOf":[{"properties":{"kind":{"const":"p"}},"required":["kind"]},{"properties":{"kind":{"const":"q"},"n":{"type":"integer"}},"required":["kind","n"]}]}`,
		`{"type":"object","minProperties":1,"properties":{"a":{"type":"string"},"b":{"type":"string"}}}`,
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for _, schema := range schemas {
		for range 50 { // valid is what Arguments promises; here it must also find something
			args, err := Arguments(rng, json.RawMessage(schema))
			if err != nil {
				t.Fatalf("%s: %v", schema, err)
			}
			if !strings.HasPrefix(string(args), "{") {
				t.Fatalf("%s: %s is no object", schema, args)
			}
		}
	}
}

// TestArgumentsAreDeterministic has many properties, because a map of few is often in order.
func TestArgumentsAreDeterministic(t *testing.T) {
	properties := map[string]any{}
	for i := range 12 {
		properties[fmt.Sprint("p", i)] = map[string]any{"type": "string"}
	}
	schema, err := json.Marshal(map[string]any{"type": "object", "properties": properties, "required": []string{"p1", "extra"}})
	if err != nil {
		t.Fatal(err)
	}
	var first string
	for i := range 20 {
		args, err := Arguments(rand.New(rand.NewPCG(3, 4)), schema)
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			first = string(args)
		} else if string(args) != first {
			t.Fatalf("drew %s and then %s", first, args)
		}
	}
}

func TestArgumentsBeyondReach(t *testing.T) {
	for _, schema := range []string{
		`false`,
		`{`,
		`{"type":"object","properties":{"s":{"type":"string","minLength":1000000000}},"required":["s"]}`,
		`{"type":"object","properties":{"l":{"type":"array","minItems":1000000000}},"required":["l"]}`,
		`{"$ref":"file:///etc/passwd"}`,
		`{"$ref":"#"}`,
		`{"type":"object","properties":{"t":{"$ref":"#"}},"required":["t"]}`,
	} {
		if args, err := Arguments(rand.New(rand.NewPCG(1, 2)), json.RawMessage(schema)); err == nil {
			t.Errorf("%s: drew %s, want an error", schema, args)
		}
	}
}

func FuzzArguments(f *testing.F) {
	f.Add([]byte(`{"type":"object","properties":{"s":{"pattern":"(a{9}){9}"},"n":{"multipleOf":1e-300,"maximum":1e308}}}`), uint64(1))
	f.Add([]byte(`{"allOf":[{"$ref":"#/allOf/0"}]}`), uint64(2))
	f.Add([]byte(`{"type":"object","properties":{"n":{"multipleOf":1e-322222201}}}`), uint64(11))
	f.Fuzz(func(t *testing.T, schema []byte, seed uint64) {
		args, err := Arguments(rand.New(rand.NewPCG(seed, 0)), schema)
		if err != nil {
			return
		}
		again, _ := Arguments(rand.New(rand.NewPCG(seed, 0)), schema)
		if string(args) != string(again) {
			t.Errorf("seed %d drew %s and then %s", seed, args, again)
		}
	})
}

func ExampleArguments() {
	schema := json.RawMessage(`{"type":"object","properties":{"warehouse":{"enum":["W1"]},"quantity":{"type":"integer","minimum":1,"maximum":1}},"required":["warehouse","quantity"]}`)
	args, err := Arguments(rand.New(rand.NewPCG(7, 0)), schema)
	fmt.Println(string(args), err)
	// Output: {"quantity":1,"warehouse":"W1"} <nil>
}
