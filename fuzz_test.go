package astra_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/astra-arenas/astra"
)

// A bundle that is taken is taken again after packing, under the same name.
func FuzzUnpack(f *testing.F) {
	f.Add(pack(f, bundleOf(f, nil)))
	f.Add([]byte("PK\x05\x06" + strings.Repeat("\x00", 18)))
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := astra.UnpackBundle(data)
		if err != nil {
			mustBeRefusal(t, err)
			return
		}
		again, err := astra.UnpackBundle(pack(t, b))
		if err != nil || again.Digest() != b.Digest() {
			t.Fatalf("packed again: %v", err)
		}
		if _, err := b.Load(); err != nil {
			mustBeRefusal(t, err)
		}
	})
}

func mustBeRefusal(t *testing.T, err error) {
	t.Helper()
	var all *astra.BundleErrors
	if !errors.As(err, &all) || len(all.List) == 0 || len(all.List) > 20 {
		t.Fatalf("error is no list of refusals: %v", err)
	}
	for _, p := range all.List {
		if p.Fix == "" || len(p.Error()) > 3000 || !utf8.ValidString(p.Error()) {
			t.Fatalf("a refusal without remedy, or one of %d bytes: %.300q", len(p.Error()), p)
		}
	}
}

func FuzzManifest(f *testing.F) {
	f.Add(inventoryYAML)
	f.Add("name: a\nversion: '1'\ntools: [{name: a, description: b, input: {type: object, $ref: '#'}}]\n")
	f.Add(mirroredYAML)
	f.Add("a: &a [*a]\n? [b]\n: c\n--- !!x\n<<: {}\n")
	f.Fuzz(func(t *testing.T, yaml string) {
		a, err := loadFiles("arena.yaml", yaml, "tools.js", "", "tools.py", "", "tools.wasm", "")
		if err != nil {
			mustBeRefusal(t, err)
			return
		}
		for i := range a.Tools {
			if !json.Valid(a.Tools[i].Input) {
				t.Fatalf("input schema is no JSON: %s", a.Tools[i].Input)
			}
		}
	})
}

func loadFiles(kv ...string) (*astra.Arena, error) {
	b, err := astra.NewBundle(files(kv...))
	if err != nil {
		return nil, err
	}
	return b.Load()
}

// What is taken can be asked for all that the gateway asks of a task.
func FuzzTask(f *testing.F) {
	f.Add(restock)
	f.Add(`{"id":"a","turns":[{"prompt":"Do."}],"verify":{"done":"true"}}`)
	f.Add(`{"id":"a","turns":[{"prompt":"x","tools_added":["find_item"]}],"gold":[[{"tool":"find_item","args":{"name":"$$"}}]],"answer":{"expected":[1e5]}}`)
	f.Fuzz(func(t *testing.T, line string) {
		if len(line) > 1<<16 {
			return
		}
		a, err := loadFiles("arena.yaml", inventoryYAML, "tools.js", "", "tasks.jsonl", line)
		if err != nil {
			mustBeRefusal(t, err)
			return
		}
		for i := range a.Tasks {
			task := &a.Tasks[i]
			calls, turns := task.GoldCalls()
			if len(calls) != len(turns) || len(calls) > task.Calls() {
				t.Fatalf("%d gold calls in %d turns, budget %d", len(calls), len(turns), task.Calls())
			}
			for n, c := range calls {
				values := make([]json.RawMessage, n)
				for j := range values {
					values[j] = json.RawMessage(`{"sku":"a"}`)
				}
				if args, err := astra.Interpolate(c.Args, values); err == nil && !json.Valid(args) {
					t.Fatalf("interpolated to %s", args)
				}
			}
			task.Public(a)
		}
	})
}

// Verdict and words depend on the arguments alone, and the words are short.
func FuzzCheckArgs(f *testing.F) {
	tool := toolWith(f, orderInput, `{"type": "object"}`)
	f.Add(`{"sku":"AB-1","quantity":2,"notes":["a"],"ship":null}`)
	f.Add(`{"sku":"\ud800","quantity":1e400,"notes":[[]]}`)
	f.Add(`{"a":1,"a":2}`)
	f.Fuzz(func(t *testing.T, args string) {
		err := tool.CheckArgs(json.RawMessage(args))
		if err == nil {
			if args != "" && !json.Valid([]byte(args)) {
				t.Fatalf("took what is no JSON: %q", args)
			}
			return
		}
		if again := tool.CheckArgs(json.RawMessage(args)); again == nil || again.Error() != err.Error() {
			t.Fatalf("%v, then %v", err, again)
		}
		if len(err.Error()) > 2000 || !utf8.ValidString(err.Error()) {
			t.Fatalf("an error of %d bytes: %.200q", len(err.Error()), err)
		}
	})
}

func FuzzInterpolate(f *testing.F) {
	f.Add(`{"a":"$1.value.b.0","c":["$$x",{"d":"$2.value"}]}`, `{"b":[{"c":1e2}]}`, `"$1.value"`)
	f.Add(`{"a":"$1.value..b"}`, `{"":1}`, ``)
	f.Fuzz(func(t *testing.T, args, first, second string) {
		out, err := astra.Interpolate(json.RawMessage(args), []json.RawMessage{json.RawMessage(first), json.RawMessage(second)})
		if err == nil && (!json.Valid(out) || !utf8.Valid(out)) {
			t.Fatalf("Interpolate(%q) = %q", args, out)
		}
	})
}

func FuzzAt(f *testing.F) {
	f.Add(`{"a":[1,{"b/c":"x"}]}`, "/a/1/b~1c")
	f.Add(`[[[]]]`, "/0/0")
	f.Fuzz(func(t *testing.T, value, pointer string) {
		got, ok := astra.At(json.RawMessage(value), pointer)
		if ok && !json.Valid(got) {
			t.Fatalf("At(%q, %q) = %q", value, pointer, got)
		}
		if ok && !astra.Same(got, got, nil) {
			t.Fatalf("%s is not the same as itself", got)
		}
	})
}

// The same is reflexive, and keeping the case only tells more apart.
func FuzzSame(f *testing.F) {
	f.Add("ﬁle", "FILE")
	f.Add("9007199254740993", "9007199254740992")
	f.Add("straße", "STRASSE")
	f.Fuzz(func(t *testing.T, a, b string) {
		want, _ := json.Marshal(a)
		got, _ := json.Marshal(b)
		if !astra.Same(want, want, nil) || !astra.Same(got, got, &astra.Compare{Case: true}) {
			t.Fatalf("%q or %q is not the same as itself", a, b)
		}
		if astra.Same(want, got, &astra.Compare{Case: true}) && !astra.Same(want, got, nil) {
			t.Fatalf("%q and %q are the same only with their case", a, b)
		}
	})
}

// A cassette that is read is read again from what it writes, with the same answers.
func FuzzReadCassette(f *testing.F) {
	f.Add(`{"key":"k","tool":"t","args":{"a":1},"result":{"value":[1,"é"]}}` + "\n\n" + `{"key":"l","tool":"t","args":{},"result":{"error":"no","fault":"tool"}}`)
	f.Add(`{"key":"","result":{"value":null}}`)
	f.Add("{\"key\":\"\xff\",\"args\":null,\"result\":{\"value\": 1e999 }}")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := cassetteOf(text)
		if err != nil {
			if !strings.HasPrefix(err.Error(), astra.CassetteFile+":") || len(err.Error()) > 3000 {
				t.Fatalf("a refusal without its place, or a long one: %.300q", err)
			}
			return
		}
		again, err := c.Bytes()
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		d, err := cassetteOf(string(again))
		if err != nil || d.Len() != c.Len() {
			t.Fatalf("read again: %v, %d entries of %d", err, d.Len(), c.Len())
		}
	})
}

func cassetteOf(text string) (*astra.Cassette, error) {
	b, err := astra.NewBundle([]astra.File{{Path: astra.CassetteFile, Data: []byte(text)}})
	if err != nil {
		return nil, err
	}
	return astra.ReadCassette(b)
}

// Whatever a harness sends as messages, a chat that is read has an answer for each call, ids
// of their own among the calls of a message, and reads the same again.
func FuzzChat(f *testing.F) {
	f.Add([]byte(`[{"role":"user","content":"hi"},{"role":"assistant","content":null,"tool_calls":[{"id":"a","function":{"name":"f","arguments":{"x":1}}}]},{"role":"tool","tool_call_id":"a","content":[{"type":"text","text":"y"}]}]`))
	f.Add([]byte(`[{"role":"tool","content":"x"}]`))
	f.Add([]byte("[{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":{\"x\xff\":1}}}]},{\"role\":\"tool\",\"tool_call_id\":\"a\",\"content\":\"y\"}]"))
	f.Fuzz(func(t *testing.T, messages []byte) {
		chat, err := (&astra.Trajectory{Messages: messages}).Chat()
		if err != nil {
			return
		}
		open := map[string]bool{}
		for _, m := range chat {
			if m.Role != "tool" {
				if len(open) > 0 {
					t.Fatalf("calls without an answer: %v", open)
				}
				for _, c := range m.ToolCalls {
					open[c.ID] = true
				}
				continue
			}
			if !open[m.ToolCallID] {
				t.Fatalf("an answer to no call: %q", m.ToolCallID)
			}
			delete(open, m.ToolCallID)
		}
		text, err := json.Marshal(chat)
		if err != nil {
			t.Fatal(err)
		}
		again, err := (&astra.Trajectory{Messages: text}).Chat()
		if err != nil || !reflect.DeepEqual(chat, again) {
			t.Errorf("read again: %v\n%+v\n%+v", err, chat, again)
		}
	})
}
