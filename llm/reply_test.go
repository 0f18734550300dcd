package llm

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/astra-arenas/astra"
)

// shop is an arena whose tools are documented and no more.
const shop = `name: shop
version: 1.0.0
title: A shop
description: Sells things.
domain: commerce
license: Apache-2.0
runtime: emulated
limits: {result: 1KiB, depth: 4}
tools:
  - name: stock
    title: Stock
    description: Says how many of an item are left.
    input: {type: object, properties: {item: {type: string}}, required: [item]}
    output: {type: object, properties: {item: {type: string}, left: {type: integer, minimum: 0}}, required: [item, left], additionalProperties: false}
    annotations: {read_only: true}
  - name: sell
    title: Sell
    description: Sells some of an item.
    input: {type: object, properties: {item: {type: string}, n: {type: integer}}, required: [item, n]}
`

func arena(t testing.TB, files ...astra.File) *astra.Arena {
	t.Helper()
	b, err := astra.NewBundle(append(files, astra.File{Path: "arena.yaml", Data: []byte(shop)}))
	if err != nil {
		t.Fatal(err)
	}
	a, err := b.Load()
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestReadReply(t *testing.T) {
	a := arena(t)
	const good = `{"result":{"item":"nut","left":3},"memory":{}}`
	for text, want := range map[string]string{
		good:                                `{"item":"nut","left":3}`,
		"```json\n" + good + "\n```":        `{"item":"nut","left":3}`,
		" \n" + good + "\n":                 `{"item":"nut","left":3}`,
		`{"error":"none left","memory":{}}`: "error: none left",
		`{"error":"none","result":null,"memory":{}}`:                         "error: none",
		`{"result":{"item":"nut", "left": 3},"error":null,"memory":{}}`:      `{"item":"nut","left":3}`,
		`{"result":{"item":"nut","left":3},"error":"","memory":{}}`:          `{"item":"nut","left":3}`,
		`{"result":{"item":"nut","left":3},"error":"none","memory":{}}`:      "refused: there are both",
		`{"result":{"item":"nut","left":3}}`:                                 `refused: "memory" is missing`,
		`{"memory":{}}`:                                                      `refused: there is neither`,
		`{"error":"  ","memory":{}}`:                                         `refused: "error" must be text`,
		`{"error":{"code":1},"memory":{}}`:                                   `refused: "error" must be text`,
		`{"result":{"item":"nut","left":-1},"memory":{}}`:                    `refused: result "left": must be at least 0`,
		`{"result":{"item":"nut","left":3,"left":3},"memory":{}}`:            "refused: result: ",
		`{"result":{"item":"nut","left":1e999},"memory":{}}`:                 "refused: result: ",
		`{"result":null,"memory":{}}`:                                        "refused: result: ",
		`{"result":{},"result":{"item":"nut","left":3},"memory":{}}`:         `refused: "result" comes twice`,
		`{"result":{"item":"nut","left":3},"memory":{},"thought":"mine"}`:    `refused: the answer has the key "thought"`,
		`[{"name":"stock","results":"3"}]`:                                   "refused: the answer must be one JSON object",
		`{"item":"nut","left":3}`:                                            `refused: the answer has the key "item"`,
		`Here it is: ` + good:                                                "refused: the answer must be one JSON object",
		good + " I hope this helps.":                                         "refused: the answer must be one JSON object",
		`{"result":{"item":"nut"`:                                            "refused: the answer is not JSON",
		"":                                                                   "refused: the answer must be one JSON object",
		"{\"error\":\"\xff\",\"memory\":{}}":                                 "refused: the answer is not UTF-8",
		`{"error":"x","memory":null}`:                                        "refused: memory: must be an object",
		`{"error":"x","memory":{"a":1}}`:                                     "refused: memory: what stands under",
		`{"error":"x","memory":{"a":{"b":1,"b":2}}}`:                         "refused: memory: column",
		`{"error":"x","memory":{"":{}}}`:                                     "refused: memory: an entity's id",
		`{"error":"x","memory":{"a":{"b":"` + long(maxMemory) + `"}}}`:       "breach: memory limit",
		`{"result":"` + long(2000) + `","memory":{}}`:                        "breach: result limit",
		`{"result":[[[[["]]]]]"]]]]],"memory":{}}`:                           "breach: nesting limit",
		`{"error":"` + long(maxReply) + `","memory":{}}`:                     "breach: answer limit",
		`{"error":"` + long(5000) + `","memory":{"b":{},"a":{"z":1,"y":2}}}`: "error: " + long(maxFailure),
	} {
		if got := readText(a, text); !strings.HasPrefix(got, want) {
			t.Errorf("%.100s\n got %.200s\nwant %.200s", text, got, want)
		}
	}
}

func long(n int) string { return strings.Repeat("x", n) }

// readText says in a line what a reply was taken for.
func readText(a *astra.Arena, text string) string {
	got, err := readReply(a.Tool("stock"), a.Limits, text)
	switch over, ok := errors.AsType[*tooMuch](err); {
	case ok:
		return "breach: " + over.Error()
	case err != nil:
		return "refused: " + err.Error()
	case got.value == nil:
		return "error: " + got.failure
	}
	return string(got.value)
}

func TestMemory(t *testing.T) {
	m, err := newMemory(map[string]any{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range [][2]string{
		{`{"W3":{"stock":4,"place":{"city":"Ulm","zip":"1"}}}`, `{"W3":{"place":{"city":"Ulm","zip":"1"},"stock":4}}`},
		{`{}`, `{"W3":{"place":{"city":"Ulm","zip":"1"},"stock":4}}`},
		{`{"W3":{"place":{"zip":null,"near":{"gone":null}},"stock":1.50},"A":{"<b>":[null]}}`, `{"A":{"<b>":[null]},"W3":{"place":{"city":"Ulm","near":{}},"stock":1.50}}`},
		{`{"W3":null,"none":null}`, `{"A":{"<b>":[null]}}`},
		{`{"A":{"<b>":{"x":10000000000000000000001}}}`, `{"A":{"<b>":{"x":10000000000000000000001}}}`},
	} {
		before := string(m.text)
		next, line := patched(t, m, c[0])
		if string(next.text) != c[1] {
			t.Errorf("after %s: %s, want %s", c[0], next.text, c[1])
		}
		if again, _ := canonical(m.entities); string(again) != before {
			t.Errorf("%s changed the memory before it: %s", c[0], again)
		}
		p, err := readLine(line)
		if reread, err2 := m.changed(p); err != nil || err2 != nil || string(reread.text) != c[1] {
			t.Errorf("from the log line %s: %s %v %v", line, reread.text, err, err2)
		}
		m = next
	}
	big, _ := patched(t, m, `{"a":{"x":"`+long(maxMemory/2)+`"}}`)
	p, err := readPatch(json.RawMessage(`{"b":{"x":"` + long(maxMemory/2) + `"}}`))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := big.changed(p); err == nil || !strings.Contains(err.Error(), "memory limit") {
		t.Errorf("a memory beyond its limit: %v", err)
	}
}

func patched(t *testing.T, m memory, text string) (memory, string) {
	t.Helper()
	p, err := readPatch(json.RawMessage(text))
	if err != nil {
		t.Fatal(err)
	}
	line, err := p.line("m")
	if err != nil {
		t.Fatal(err)
	}
	m, err = m.changed(p)
	if err != nil {
		t.Fatal(err)
	}
	return m, line
}

// FuzzReadReply: whatever a model says is a value that fits, a failure with a text, or
// refused; and what is kept of it can be read again.
func FuzzReadReply(f *testing.F) {
	for _, text := range []string{`{"result":{"item":"nut","left":3},"memory":{"a":{"b":null}}}`, "```json\n{\"error\":\"x\",\"memory\":{}}\n```",
		`{"result":3,"error":"","memory":{"a":{"b":[1e3,"\u2028\ud800"]},"\ud800":null}}`, `{"result":[[[[[]]]]],"memory":{}}`, "[", `{"result":`, ""} {
		f.Add(text)
	}
	a := arena(f)
	f.Fuzz(func(t *testing.T, text string) {
		for i := range a.Tools {
			tool := &a.Tools[i]
			got, err := readReply(tool, a.Limits, text)
			if err != nil {
				continue
			}
			if (got.value == nil) == (got.failure == "") {
				t.Fatalf("neither a value nor a failure: %+v", got)
			}
			if got.value != nil && (tool.CheckResult(got.value) != nil || int64(len(got.value)) > a.Limits.Result || nesting(got.value) > a.Limits.Depth) {
				t.Fatalf("the value %s does not fit", got.value)
			}
			res, err := got.result("m")
			if err != nil {
				t.Fatal(err)
			}
			p, err := readLine(res.Log)
			if err != nil {
				t.Fatalf("%s: %v", res.Log, err)
			}
			if again, err := p.line("m"); err != nil || again != res.Log {
				t.Fatalf("the log %s is read as %s, %v", res.Log, again, err)
			}
			was, err := newMemory(merge(nil, got.memory).(map[string]any))
			is, err2 := newMemory(merge(nil, p).(map[string]any))
			if err != nil || err2 != nil || string(was.text) != string(is.text) {
				t.Fatalf("memory %s became %s, %v %v", was.text, is.text, err, err2)
			}
		}
	})
}
