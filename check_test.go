package astra_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/astra-arenas/astra"
)

// toolWith loads an arena of one tool with these schemas.
func toolWith(t testing.TB, input, output string) *astra.Tool {
	t.Helper()
	yaml := fmt.Sprintf("name: one\nversion: 1.0.0\ntools:\n  - name: try\n    description: Tries.\n    input: %s\n    output: %s\n", input, output)
	a, err := bundleOf(t, map[string]string{"arena.yaml": yaml, "tasks.jsonl": ""}).Load()
	if err != nil {
		t.Fatal(err)
	}
	return a.Tool("try")
}

const orderInput = `{"type": "object", "additionalProperties": false, "required": ["sku", "quantity"], "properties": {` +
	`"sku": {"type": "string", "pattern": "^[A-Z]{2}-[0-9]+$"}, "quantity": {"type": "integer", "minimum": 1, "maximum": 999},` +
	`"unit": {"enum": ["piece", "box"]}, "notes": {"type": "array", "maxItems": 2, "items": {"type": "string", "maxLength": 5}},` +
	`"ship": {"anyOf": [{"type": "string"}, {"type": "null"}]}}}`

func TestCheckArgsTellsTheAgent(t *testing.T) {
	tool := toolWith(t, orderInput, `{"type": "object"}`)
	for _, test := range []struct{ args, want string }{
		{`{"sku":"AB-1","quantity":2}`, ""},
		{`{"sku":"AB-1","quantity":2.0,"unit":"box","notes":["a","b"],"ship":null}`, ""},
		{`{"sku":"AB-1","quantity":"ten"}`, `argument "quantity": must be an integer, got "ten"`},
		{`{"sku":"AB-1","quantity":2.5}`, `argument "quantity": must be an integer, got 2.5`},
		{`{"sku":"AB-1","quantity":0}`, `argument "quantity": must be at least 1, got 0`},
		{`{"sku":"AB-1","quantity":1e3}`, `argument "quantity": must be at most 999, got 1e3`},
		{`{"sku":"AB-1"}`, `arguments: "quantity" is missing`},
		{``, `arguments: "sku" is missing; arguments: "quantity" is missing`},
		{`{"sku":"x","quantity":1}`, `argument "sku": must match "^[A-Z]{2}-[0-9]+$", got "x"`},
		{`{"sku":"AB-1","quantity":1,"unit":"ton"}`, `argument "unit": must be one of "piece", "box", got "ton"`},
		{`{"sku":"AB-1","quantity":1,"colour":"red"}`, `arguments: there is no "colour" here`},
		{`{"sku":"AB-1","quantity":1,"notes":["a","too long"]}`, `argument "notes[1]": may have at most 5 characters, has 8`},
		{`{"sku":"AB-1","quantity":1,"ship":7}`, `argument "ship": must be a string or null, got 7`},
		{`[]`, `arguments: must be an object, got a list of 0`},
		{`{"sku":1,"sku":2}`, `arguments: column 10: the key "sku" comes twice`},
		{`{"sku":"AB-1","quantity":1} {}`, `arguments: column 29: more follows the value`},
		{`{"sku":"` + "\xff" + `"}`, `arguments: column 9: not UTF-8`},
		{`{"quantity":1e999}`, `arguments: column 13: a number beyond the range of a double`},
		{`{"quantity":1e-999999999}`, `arguments: column 13: a number beyond the range of a double`},
		{`{"quantity":01}`, `arguments: column 14: expected , or } in an object`},
		{`{"notes":` + strings.Repeat("[", 64) + strings.Repeat("]", 64) + `}`, `arguments: column 73: nested more than 64 deep`},
	} {
		got := ""
		if err := tool.CheckArgs(json.RawMessage(test.args)); err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("CheckArgs(%s)\n got %s\nwant %s", test.args, got, test.want)
		}
	}
}

// What an agent sends comes back in a message only in part.
func TestCheckArgsDoesNotEcho(t *testing.T) {
	tool := toolWith(t, orderInput, `{"type": "object"}`)
	long := strings.Repeat("x", 200_000)
	var keys []string
	for i := range 5000 {
		keys = append(keys, fmt.Sprintf(`"%s%d":1`, long[:20], i))
	}
	for _, args := range []string{
		`{"sku":"` + long + `","quantity":"` + long + `"}`,
		`{"` + long + `":1}`,
		`{` + strings.Join(keys, ",") + `}`,
	} {
		err := tool.CheckArgs(json.RawMessage(args))
		if err == nil || len(err.Error()) > 2000 {
			t.Errorf("error of %d bytes for arguments of %d", len(fmt.Sprint(err)), len(args))
		}
	}
}

func TestCheckResult(t *testing.T) {
	tool := toolWith(t, `{"type": "object"}`, `{"type": "object", "properties": {"left": {"type": "number"}}, "required": ["left"]}`)
	if err := tool.CheckResult(json.RawMessage(`{"left": 3}`)); err != nil {
		t.Error(err)
	}
	err := tool.CheckResult(json.RawMessage(`{"left": "3"}`))
	if want := `result "left": must be a number, got "3"`; err == nil || err.Error() != want {
		t.Errorf("error = %v, want %s", err, want)
	}
	free := toolWith(t, `{"type": "object"}`, `true`)
	if err := free.CheckResult(json.RawMessage(`"anything"`)); err != nil {
		t.Error(err)
	}
}

// Each of these schemas costs the library's own check, or a naive one, more time than anybody has.
func TestCheckIsBounded(t *testing.T) {
	nested := strings.Repeat(`{"x":`, 60) + `1` + strings.Repeat(`}`, 60)
	for name, test := range map[string]struct{ input, args string }{
		"branching recursion": {
			`{"type":"object","$defs":{"n":{"anyOf":[{"properties":{"x":{"$ref":"#/$defs/n"}},"required":["y"]},{"properties":{"x":{"$ref":"#/$defs/n"}},"required":["z"]}]}},"allOf":[{"$ref":"#/$defs/n"}]}`,
			nested,
		},
		"all of twice": {
			`{"type":"object","properties":{"x":{"allOf":[{"$ref":"#"},{"$ref":"#"}]}}}`, nested,
		},
		"pattern times text": {
			`{"type":"object","properties":{"x":{"items":{"pattern":"(a?){900}b$"}}}}`,
			`{"x":[` + strings.Repeat(`"`+strings.Repeat("a", 5000)+`",`, 200) + `""]}`,
		},
	} {
		tool := toolWith(t, test.input, `true`)
		err := tool.CheckArgs(json.RawMessage(test.args))
		if err == nil || !strings.Contains(err.Error(), "takes too long") {
			t.Errorf("%s: error = %.200v, want that it takes too long", name, err)
		}
	}
}

func TestSchemasRefused(t *testing.T) {
	deep := strings.Repeat(`{"items":`, 40) + `true` + strings.Repeat(`}`, 40)
	for name, test := range map[string]struct{ input, want string }{
		"file":          {`{"type":"object","properties":{"a":{"$ref":"file:///etc/passwd"}}}`, "load nothing from outside"},
		"relative":      {`{"type":"object","properties":{"a":{"$ref":"other.json"}}}`, "load nothing from outside"},
		"http":          {`{"type":"object","properties":{"a":{"$ref":"http://127.0.0.1:1/schema"}}}`, "load nothing from outside"},
		"meta":          {`{"type":"object","$schema":"file:///etc/hostname"}`, "load nothing from outside"},
		"older draft":   {`{"type":"object","$schema":"http://json-schema.org/draft-07/schema#"}`, "2020-12"},
		"no object":     {`{"type":"string"}`, `must be "object"`},
		"no type":       {`{"properties":{}}`, `must be "object"`},
		"wrong":         {`{"type":"object","properties":{"a":{"type":"text"}}}`, "/properties/a/type: "},
		"look-ahead":    {`{"type":"object","properties":{"a":{"pattern":"(?=a)"}}}`, "regex"},
		"huge pattern":  {`{"type":"object","properties":{"a":{"pattern":"((a{1,100}){1,9}){1,1}((a{1,100}){1,10})((a{1,100}){1,10})((a{1,100}){1,10})((a{1,100}){1,10})"}}}`, "instructions"},
		"many patterns": {`{"type":"object","patternProperties":{` + manyPatterns() + `}}`, "instructions together"},
		"circle":        {`{"type":"object","$ref":"#"}`, "refers to itself"},
		"circle of 2":   {`{"type":"object","properties":{"a":{"$ref":"#/$defs/b"}},"$defs":{"b":{"anyOf":[{"$ref":"#/$defs/c"}]},"c":{"not":{"$ref":"#/$defs/b"}}}}`, "refers to itself"},
		"dynamic":       {`{"type":"object","properties":{"a":{"$dynamicRef":"#x"}},"$defs":{"b":{"$dynamicAnchor":"x"}}}`, "$dynamicRef"},
		"deep":          {`{"type":"object","properties":{"a":` + deep + `}}`, "deep"},
		"dangling":      {`{"type":"object","properties":{"a":{"$ref":"#/$defs/none"}}}`, "not found"},
		"bad name":      {`{"type":"object","properties":{"a-b":true}}`, "is no argument's name"},
		"long name":     {`{"type":"object","properties":{"` + strings.Repeat("a", 65) + `":true}}`, "is no argument's name"},
		"episode_id":    {`{"type":"object","properties":{"episode_id":true}}`, "reserved"},
		"hidden name":   {`{"type":"object","allOf":[{"properties":{"episode_id":true}}]}`, "reserved"},
	} {
		yaml := "name: one\nversion: 1.0.0\ntools:\n  - name: try\n    description: Tries.\n    input: " + test.input + "\n"
		_, err := bundleOf(t, map[string]string{"arena.yaml": yaml, "tasks.jsonl": ""}).Load()
		if err == nil || !strings.HasPrefix(err.Error(), "arena.yaml:6: tools[0].input: ") || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error = %v, want one that says %q", name, err, test.want)
		}
	}
}

// manyPatterns are small as text, and some 150 MB as programs.
func manyPatterns() string {
	list := make([]string, 2000)
	for i := range list {
		list[i] = fmt.Sprintf(`"(a{900}){1}%d": true`, i)
	}
	return strings.Join(list, ",")
}

func TestCheckTogether(t *testing.T) {
	tool := toolWith(t, orderInput, `{"type": "object"}`)
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			for range 200 {
				if tool.CheckArgs(json.RawMessage(`{"sku":"AB-1","quantity":2}`)) != nil || tool.CheckArgs(json.RawMessage(`{"sku":"x"}`)) == nil {
					t.Error("the verdict differs when many check at once")
				}
			}
		})
	}
	wait.Wait()
}

func BenchmarkCheck(b *testing.B) {
	tool := toolWith(b, orderInput, `{"type": "object", "properties": {"order": {"type": "string"}, "left": {"type": "number"}}, "required": ["order"]}`)
	args := json.RawMessage(`{"sku":"AB-1","quantity":200,"unit":"box"}`)
	result := json.RawMessage(`{"order":"O-17","left":1040.5}`)
	b.ReportAllocs()
	for b.Loop() {
		if tool.CheckArgs(args) != nil || tool.CheckResult(result) != nil {
			b.Fatal("refused")
		}
	}
}
