package astra_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/astra-arenas/astra"
)

func TestSame(t *testing.T) {
	loose := &astra.Compare{Tolerance: 0.5}
	share := &astra.Compare{Tolerance: 0.1, Relative: true}
	set := &astra.Compare{As: "set"}
	cased := &astra.Compare{Case: true}
	for _, test := range []struct {
		want, got string
		compare   *astra.Compare
		same      bool
	}{
		// Numbers, within 1e-6·max(1,|expected|).
		{`1240.5`, `1240.5`, nil, true},
		{`1240.5`, `1240.501`, nil, true},
		{`1240.5`, `1240.502`, nil, false},
		{`0`, `0.0000009`, nil, true},
		{`0`, `0.0000011`, nil, false},
		{`0.5`, `0.5000011`, nil, false},
		{`-2`, `2`, nil, false},
		{`1e3`, `1000`, nil, true},
		{`7`, `"7"`, nil, true},
		{`"7"`, `7`, nil, true},
		{`"7.0"`, `"7"`, nil, true},
		{`7`, `" 7 "`, nil, true},
		{`7`, `"7"`, nil, true}, // full-width
		{`7`, `"7 pieces"`, nil, false},
		{`7`, `"7,0"`, nil, false},
		{`7`, `"NaN"`, nil, false},
		{`"Inf"`, `"inf"`, nil, true}, // text
		{`"Inf"`, `"Infinity"`, nil, false},
		{`"1e999"`, `"1e998"`, nil, false},
		{`"0x10"`, `16`, nil, false},
		{`"1_000"`, `1000`, nil, false},
		{`"007"`, `7`, nil, false},
		{`"007"`, `"7"`, nil, false},
		{`"+7"`, `7`, nil, false},
		{`7`, `true`, nil, false},
		{`1`, `[1]`, nil, false},
		// Whole numbers that a double cannot tell apart.
		{`9007199254740993`, `9007199254740993`, nil, true},
		{`9007199254740993`, `9007199254740992`, nil, false},
		{`"12345678901234567890"`, `12345678901234567891`, nil, false},
		{`12345678901234567890`, `"12345678901234567890"`, nil, true},
		{`12345678901234567890`, `12345678901234567891`, share, true},
		// With a tolerance.
		{`10`, `10.5`, loose, true},
		{`10`, `10.6`, loose, false},
		{`"10"`, `"9.5"`, loose, true},
		{`10`, `11`, share, true},
		{`10`, `11.2`, share, false},
		{`-10`, `-11`, share, true},
		{`0`, `0.0001`, share, false},
		// Text.
		{`"Main  Street"`, `" main street\n"`, nil, true},
		{`"straße"`, `"STRASSE"`, nil, true},
		{`"ﬁle"`, `"file"`, nil, true},
		{`"é"`, `"e\u0301"`, nil, true},
		{`"a b"`, `"a\u00a0b"`, nil, true},
		{`"ab"`, `"a b"`, nil, false},
		{`"Main"`, `"main"`, cased, false},
		{`"Main "`, `"Main"`, cased, true},
		{`""`, `" "`, nil, true},
		{`"a"`, `null`, nil, false},
		// Booleans and null only with themselves.
		{`true`, `true`, nil, true},
		{`true`, `false`, nil, false},
		{`true`, `"true"`, nil, false},
		{`true`, `1`, nil, false},
		{`null`, `null`, nil, true},
		{`null`, `""`, nil, false},
		{`null`, `false`, nil, false},
		{`"null"`, `null`, nil, false},
		// Lists in order, objects by key.
		{`[1,"A"]`, `["1","a"]`, nil, true},
		{`[1,2]`, `[2,1]`, nil, false},
		{`[1,2]`, `[1,2,2]`, nil, false},
		{`[]`, `[]`, nil, true},
		{`[]`, `{}`, nil, false},
		{`{"a":1,"b":[2]}`, `{"b":["2"],"a":1.0}`, nil, true},
		{`{"a":1}`, `{"a":1,"b":null}`, nil, false},
		{`{"a":1,"b":1}`, `{"a":1}`, nil, false},
		{`{"a":1}`, `{"A":1}`, nil, false},
		// As sets.
		{`[1,2]`, `[2,1,2]`, set, true},
		{`[1,2,1]`, `[2,1]`, set, true},
		{`["a","B"]`, `["b","A"]`, set, true},
		{`[1,2]`, `[1]`, set, false},
		{`[1]`, `[1,2]`, set, false},
		{`[]`, `[1]`, set, false},
		{`{"x":[1,[2,3]]}`, `{"x":[["3","2"],1]}`, set, true},
		{`[1.0,2]`, `["2","1"]`, set, true},
		// What is no strict JSON is the same as nothing.
		{`1`, ``, nil, false},
		{`{"a":1}`, `{"a":1,"a":1}`, nil, false},
		{`nope`, `nope`, nil, false},
	} {
		if got := astra.Same(json.RawMessage(test.want), json.RawMessage(test.got), test.compare); got != test.same {
			t.Errorf("Same(%s, %s, %+v) = %v", test.want, test.got, test.compare, got)
		}
	}
}

func TestSameAnswer(t *testing.T) {
	for _, test := range []struct {
		want, answer string
		compare      *astra.Compare
		same         bool
	}{
		{`"W3"`, "w3", nil, true},
		{`"W3"`, "The warehouse is W3.", nil, false},
		{`"W3"`, `"W3"`, nil, false}, // text is taken as it is
		{`200`, "200", nil, true},
		{`200`, "200.0001", nil, true},
		{`200`, "about 200", nil, false},
		{`["a",2]`, `["A", "2"]`, nil, true},
		{`["a",2]`, `[2, "a"]`, nil, false},
		{`["a",2]`, `[2, "a"]`, &astra.Compare{As: "set"}, true},
		{`["a"]`, `a`, nil, false},
		{`{"a":1}`, ` {"a": 1} `, nil, true},
		{`{"a":1}`, `{"a": 1`, nil, false},
		{`false`, "false", nil, true},
		{`false`, "0", nil, false},
		{`""`, "", nil, true},
	} {
		if got := astra.SameAnswer(json.RawMessage(test.want), test.answer, test.compare); got != test.same {
			t.Errorf("SameAnswer(%s, %q, %+v) = %v", test.want, test.answer, test.compare, got)
		}
	}
}

func TestAnyLeaf(t *testing.T) {
	const value = `{"items": [{"sku": "B-8", "left": 1240.5}, {"sku": "B-9", "tags": ["red", null]}], "ok": true}`
	for _, test := range []struct {
		want string
		same bool
	}{
		{`"b-9"`, true}, {`1240.5`, true}, {`"1240.5"`, true}, {`"red"`, true}, {`null`, true}, {`true`, true},
		{`"sku"`, false}, {`["red",null]`, false}, {`1241`, false}, {value, true},
	} {
		if got := astra.AnyLeaf(json.RawMessage(test.want), json.RawMessage(value), nil); got != test.same {
			t.Errorf("AnyLeaf(%s) = %v", test.want, got)
		}
	}
	if !astra.AnyLeaf(json.RawMessage(`"W3"`), json.RawMessage(`"w3"`), nil) {
		t.Error("text that is the whole value was not found")
	}
}

func TestAt(t *testing.T) {
	const value = `{"a": [10, {"b/c": "x", "~": 1.50, "": null}], "01": true, "long": 12345678901234567890}`
	for pointer, want := range map[string]string{
		"":          `{"a":[10,{"b/c":"x","~":1.50,"":null}],"01":true,"long":12345678901234567890}`,
		"/a/0":      `10`,
		"/a/1/b~1c": `"x"`,
		"/a/1/~0":   `1.50`,
		"/a/1/":     `null`,
		"/01":       `true`,
		"/long":     `12345678901234567890`,
		"/a/2":      "", "/a/-": "", "/a/00": "", "/a/+1": "", "/a/-1": "", "/b": "", "/a/0/x": "", "a": "", "/a/1/b~2c": "", "/a/1/~": "",
	} {
		got, ok := astra.At(json.RawMessage(value), pointer)
		if string(got) != want || ok != (want != "") {
			t.Errorf("At(%q) = %s, %v, want %s", pointer, got, ok, want)
		}
	}
	if _, ok := astra.At(nil, ""); ok {
		t.Error("something was found in no value")
	}
}

// An agent may submit a list as long as it likes: comparing it as a set must end.
func TestSetsAreBounded(t *testing.T) {
	list := func(n int, format string) string {
		parts := make([]string, n)
		for i := range parts {
			parts[i] = fmt.Sprintf(format, i)
		}
		return "[" + strings.Join(parts, ",") + "]"
	}
	set := &astra.Compare{As: "set"}
	if astra.SameAnswer(json.RawMessage(list(5000, `"w%d"`)), list(8000, `"g%d"`), set) {
		t.Error("different sets are the same")
	}
	// Equal as written, in another order: found without trying pairs.
	want := list(30_000, `"w%d"`)
	got := "[" + strings.TrimPrefix(want, `["w0",`)
	got = strings.TrimSuffix(got, "]") + `,"w0"]`
	if !astra.SameAnswer(json.RawMessage(want), got, set) {
		t.Error("equal sets of 30,000 differ")
	}
}

func TestInterpolate(t *testing.T) {
	values := []json.RawMessage{
		json.RawMessage(`{"sku": "B-8", "items": [{"id": 12345678901234567890, "ok": true}], "0": "zero", "$": "$1.value"}`),
		json.RawMessage(`1240.50`),
		nil, // a failed call
	}
	for _, test := range []struct{ args, want string }{
		{`{"sku": "$1.value.sku"}`, `{"sku":"B-8"}`},
		{`{"id": "$1.value.items.0.id", "n": "$2.value"}`, `{"id":12345678901234567890,"n":1240.50}`},
		{`{"deep": [{"x": ["$1.value.items.0"]}]}`, `{"deep":[{"x":[{"id":12345678901234567890,"ok":true}]}]}`},
		{`{"a": "$1.value.0"}`, `{"a":"zero"}`},
		{`{"a": "$1.value.$"}`, `{"a":"$1.value"}`}, // what is put in is not looked at again
		{`{"a": "$$1.value.sku", "b": "$$", "c": "a$$"}`, `{"a":"$1.value.sku","b":"$","c":"a$$"}`},
		{`{"a": "$", "b": "$5", "c": "x $1.value", "d": "$1.value x", "e": "$0.value", "f": "$1.valueless", "g": "$01.value"}`,
			`{"a":"$","b":"$5","c":"x $1.value","d":"$1.value x","e":"$0.value","f":"$1.valueless","g":"$01.value"}`},
		{`{"$1.value": 1}`, `{"$1.value":1}`}, // keys stay
		{`{"b": 2, "a": 1}`, `{"b":2,"a":1}`},
		{`{"a": "$1.value.none"}`, `error: "$1.value.none": there is no "none" in what call 1 returned`},
		{`{"a": "$1.value.items.1"}`, `error: "$1.value.items.1": there is no "1" in what call 1 returned`},
		{`{"a": "$2.value.x"}`, `error: "$2.value.x": there is no "x" in what call 2 returned`},
		{`{"a": "$3.value"}`, `error: "$3.value": call 3 returned no value`},
		{`{"a": "$4.value"}`, `error: "$4.value": only 3 calls come before`},
		{`{"a": `, `error: gold arguments: column 7: the value is cut off`},
	} {
		out, err := astra.Interpolate(json.RawMessage(test.args), values)
		got := string(out)
		if err != nil {
			got = "error: " + err.Error()
		}
		if got != test.want {
			t.Errorf("Interpolate(%s)\n got %s\nwant %s", test.args, got, test.want)
		}
	}
}

// Eight bytes may stand for a whole result, many times over.
func TestInterpolateIsBounded(t *testing.T) {
	large := json.RawMessage(`"` + strings.Repeat("x", 200_000) + `"`)
	args := `{"a": [` + strings.Repeat(`"$1.value",`, 10_000) + `0]}`
	if _, err := astra.Interpolate(json.RawMessage(args), []json.RawMessage{large}); err == nil || !strings.Contains(err.Error(), "grow beyond") {
		t.Errorf("error = %v, want that the arguments grow", err)
	}
}

func BenchmarkAnyLeaf(b *testing.B) {
	value := json.RawMessage(`{"items": [{"sku": "B-8", "left": 1240.5}, {"sku": "B-9", "tags": ["red", null]}], "where": "Straße 7"}`)
	b.ReportAllocs()
	for b.Loop() {
		if astra.AnyLeaf(json.RawMessage(`"W3"`), value, nil) {
			b.Fatal("found")
		}
	}
}
