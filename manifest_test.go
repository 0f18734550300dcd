package astra_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/astra-arenas/astra"
)

// Each case replaces one part of the inventory's arena.yaml.
func TestManifestRefused(t *testing.T) {
	for name, test := range map[string]struct{ old, new, want string }{
		"no YAML":             {"name: inventory", "name: [", `arena.yaml:`},
		"tab":                 {"name: inventory", "name:\n\t- x", `arena.yaml:2: found character that cannot start any token; mend the YAML`},
		"not UTF-8":           {"Warehouses and orders", "\xff", `arena.yaml:3: not UTF-8`},
		"two documents":       {"provenance:", "---\nprovenance:", `arena.yaml:24: more than one document`},
		"deep":                {"{author: someone}", strings.Repeat("{a: ", 70) + strings.Repeat("}", 70), `arena.yaml:24: nested more than 64 deep`},
		"very deep":           {"{author: someone}", strings.Repeat("[", 100_000), `arena.yaml:24: exceeded max depth`},
		"large":               {"{author: someone}", strings.Repeat("x", 600_000), `arena.yaml: 601`},
		"list":                {inventoryYAML, "- a\n", `arena.yaml:1: must be an object, not a list`},
		"empty":               {inventoryYAML, "# nothing\n", `arena.yaml: it is empty`},
		"duplicate key":       {"version: 1.0.0", "version: 1.0.0\nname: other", `arena.yaml:3: the key "name" comes twice; keep one`},
		"duplicate key below": {"fuel: 500000000", "fuel: 5, fuel: 6", `arena.yaml:10: the key "fuel" comes twice`},
		"unknown key":         {"domain: logistics", "klass: a", `arena.yaml:5: unknown key "klass"; known here: name, version, title, description, domain, license, runtime, entry, class, setup, match, upstreams, now, limits, failures, tools, provenance`},
		"class":               {"domain: logistics", "class: Shop", "arena.yaml:5: class: javascript has no classes; python has; leave it out"},
		"unknown key below":   {"fuel: 500000000", "fule: 5", `arena.yaml:10: limits: unknown key "fule"; known here: memory, fuel, wall, result, log, depth`},
		"unknown tool key":    {"    title: Find an item", "    titel: Find an item", `arena.yaml:13: tools[0]: unknown key "titel"`},
		"anchor":              {"title: Warehouses and orders", "title: &a Warehouses", `arena.yaml:3: anchors and aliases are not read; write the value out`},
		"alias":               {"provenance: {author: someone}", "provenance: {a: &x [1], b: *x}", `arena.yaml:24: anchors and aliases are not read`},
		"merge":               {"provenance: {author: someone}", "provenance: {<<: {a: 1}}", `arena.yaml:24: a key that is not plain text`},
		"tag":                 {"title: Warehouses and orders", "title: !!binary aGk=", `arena.yaml:3: the tag "!!binary" is not read`},
		"list as key":         {"provenance: {author: someone}", "provenance: {[1]: 2}", `arena.yaml:24: a key that is not plain text`},
		"name":                {"name: inventory", "name: Inventory", `arena.yaml:1: name: "Inventory" is no arena's name; use a-z`},
		"version as number":   {"version: 1.0.0", "version: 1.0", `arena.yaml:2: version: must be text, not a number; write it in quotes`},
		"no version":          {"version: 1.0.0\n", "", `arena.yaml:1: version: "" is no version`},
		"hex":                 {"fuel: 500000000", "fuel: 0x10", `arena.yaml:10: "0x10" is no plain number`},
		"not a number":        {"fuel: 500000000", "fuel: .nan", `arena.yaml:10: ".nan" is no plain number`},
		"runtime":             {"runtime: javascript", "runtime: cobol", `arena.yaml:7: runtime: "cobol" is no runtime; use javascript, python, wasm, upstream or emulated`},
		"entry":               {"entry: tools.js", "entry: ../tools.js", `arena.yaml:8: entry: there is no "../tools.js" in the bundle`},
		"default entry":       {"runtime: javascript\nentry: tools.js", "runtime: python", `arena.yaml:1: entry: there is no "tools.py" in the bundle`},
		"entry of upstream":   {"runtime: javascript", "runtime: upstream", `arena.yaml:8: entry: upstream runs no file of the bundle; leave it out`},
		"no upstreams":        {"runtime: javascript\nentry: tools.js", "runtime: upstream", `arena.yaml:1: upstreams: it names none; name the servers, such as [{alias: search}]`},
		"upstream twice":      {"runtime: javascript\nentry: tools.js", "runtime: upstream\nupstreams: [{alias: a}, {alias: a}]", `arena.yaml:8: upstreams[1].alias: the upstream a comes twice`},
		"upstream's alias":    {"runtime: javascript\nentry: tools.js", "runtime: upstream\nupstreams: [{alias: 'http://a'}]", `arena.yaml:8: upstreams[0].alias: "http://a" is no alias; use a-z`},
		"upstream's command":  {"runtime: javascript\nentry: tools.js", "runtime: upstream\nupstreams: [{alias: a, command: [sh]}]", `arena.yaml:8: upstreams[0]: unknown key "command"; known here: alias`},
		"which upstream":      {"runtime: javascript\nentry: tools.js", "runtime: upstream\nupstreams: [{alias: a}, {alias: b}]", `arena.yaml:12: tools[0].upstream: "" is not among the upstreams; write one of: a, b`},
		"upstreams elsewhere": {"entry: tools.js", "upstreams: [{alias: a}]", `arena.yaml:8: upstreams: javascript asks no upstream; leave it out, or write runtime: upstream`},
		"original elsewhere":  {"title: Find an item", "original: find-item", `arena.yaml:12: tools[0].upstream: javascript asks no upstream`},
		"match elsewhere":     {"entry: tools.js", "match: call", `arena.yaml:8: match: javascript needs no cassette: its tools are run again; leave it out`},
		"match":               {"runtime: javascript\nentry: tools.js", "runtime: upstream\nupstreams: [{alias: a}]\nmatch: tool", `arena.yaml:9: match: "tool" is no way to match calls; write episode, or call`},
		"now":                 {"now: 2026-03-02T09:00:00Z", "now: 2026-03-02", `arena.yaml:9: now: "2026-03-02" is no time of RFC 3339`},
		"memory":              {"memory: 64MiB", "memory: 65MiB", `arena.yaml:10: limits.memory: 68157440 is out of range; use 1048576 to 67108864`},
		"memory unit":         {"memory: 64MiB", "memory: 64MB", `arena.yaml:10: limits.memory: "\"64MB\"" is no size; write a size such as 64MiB`},
		"negative memory":     {"memory: 64MiB", "memory: -1", `arena.yaml:10: limits.memory:`},
		"wall":                {"wall: 10s", "wall: 10", `arena.yaml:10: limits.wall: "10" is no duration; write a duration such as 10s`},
		"long wall":           {"wall: 10s", "wall: 6m", `arena.yaml:10: limits.wall: 6m0s is out of range; use 1ms to 5m0s`},
		"fuel":                {"fuel: 500000000", "fuel: 0", `arena.yaml:10: limits.fuel: 0 is out of range`},
		"depth":               {"depth: 64", "depth: 1000", `arena.yaml:10: limits.depth: 1000 is out of range; use 1 to 256`},
		"failure rate":        {"provenance: {author: someone}", "failures: {rate: 2}", `arena.yaml:24: failures.rate: 2 is out of range; use a number from 0 to 1`},
		"failure kind":        {"provenance: {author: someone}", "failures: {rate: 0.2, kinds: [timeout, boredom]}", `arena.yaml:24: failures.kinds: "boredom" is no kind of failure; use timeout, unreachable, rate_limited or malformed`},
		"failures as number":  {"provenance: {author: someone}", "failures: 0.2", `arena.yaml:24: failures: must be an object, not a number`},
		"no tools":            {inventoryYAML, "name: a\nversion: 1.0.0\ntools: []\n", `arena.yaml:3: tools: 0 tools; an arena has 1 to 256`},
		"tools as object":     {inventoryYAML, "name: a\nversion: 1.0.0\ntools: {a: b}\n", `arena.yaml:3: tools: must be a list, not an object`},
		"tool twice":          {"name: stock_level", "name: find_item", `arena.yaml:18: tools[1].name: the tool "find_item" comes twice`},
		"tool name":           {"name: stock_level", "name: stock-level", `arena.yaml:18: tools[1].name: "stock-level" is no tool's name`},
		"long tool name":      {"name: stock_level", "name: " + strings.Repeat("a", 65), `arena.yaml:18: tools[1].name:`},
		"reserved prefix":     {"name: stock_level", "name: episode_stock", `arena.yaml:18: tools[1].name: "episode_stock" is reserved`},
		"arena prefix":        {"name: stock_level", "name: arena_x", `arena.yaml:18: tools[1].name: "arena_x" is reserved`},
		"no description":      {"description: Says how many are left.", "description: ''", `arena.yaml:18: tools[1].description: 0 bytes`},
		"contradiction":       {"destructive: false", "destructive: true", `arena.yaml:17: tools[0].annotations: read_only and destructive contradict`},
		"annotation":          {"read_only: true", "read_only: yes", `arena.yaml:17: tools[0].annotations.read_only: must be a boolean, not text; write true or false`},
		"provenance":          {"{author: someone}", "someone", `arena.yaml:24: provenance: must be an object, not text`},
	} {
		t.Run(name, func(t *testing.T) {
			yaml := strings.Replace(inventoryYAML, test.old, test.new, 1)
			if yaml == inventoryYAML {
				t.Fatalf("arena.yaml has no %s", test.old)
			}
			_, err := bundleOf(t, map[string]string{"arena.yaml": yaml}).Load()
			refusedWith(t, err, test.want)
		})
	}
	for _, name := range []string{"reset", "step", "state", "close", "verify", "seed_session", "close_session", "sandbox_access", "aggregate_metrics", "reverify_mode", "mcp"} {
		_, err := bundleOf(t, map[string]string{"arena.yaml": strings.Replace(inventoryYAML, "name: stock_level", "name: "+name, 1)}).Load()
		refusedWith(t, err, `arena.yaml:18: tools[1].name: "`+name+`" is reserved`)
	}
	_, err := bundleOf(t, map[string]string{"arena.yaml": ""}).Load()
	refusedWith(t, err, "arena.yaml: there is none in the bundle")
}

// Every alias stands for ten of the one before: refused before any is looked up.
func TestBillionLaughs(t *testing.T) {
	var yaml strings.Builder
	yaml.WriteString("provenance:\n  a0: &a0 [lol]\n")
	for i := range 20 {
		prev := string(rune('a' + i))
		next := string(rune('b' + i))
		yaml.WriteString("  " + next + "0: &" + next + "0 [" + strings.Repeat("*"+prev+"0, ", 10) + "]\n")
	}
	b := bundleOf(t, map[string]string{"arena.yaml": yaml.String()})
	if got := allocated(func() { _, err := b.Load(); refusedWith(t, err, "arena.yaml:2: anchors") }); got > 4<<20 {
		t.Errorf("took %d bytes of memory to refuse %d", got, yaml.Len())
	}
}

func TestManifestDefaults(t *testing.T) {
	a, err := bundleOf(t, map[string]string{"tasks.jsonl": "", "tools.wasm": "x",
		"arena.yaml": "name: least\nversion: '1'\nruntime: wasm\ntools:\n  - {name: look, description: Looks., annotations: {read_only: true}}\n  - {name: change, description: Changes.}\n"}).Load()
	if err != nil {
		t.Fatal(err)
	}
	if a.Title != "least" || a.Entry != "tools.wasm" || a.Limits != astra.DefaultLimits || !a.Now.Equal(astra.DefaultNow) || len(a.Tasks) != 0 {
		t.Errorf("defaults: %+v", a)
	}
	if got := a.Tool("look").Annotations; got != (astra.Annotations{ReadOnly: true, Idempotent: true}) {
		t.Errorf("a tool that only reads is %+v", got)
	}
	if got := a.Tool("change").Annotations; got != (astra.Annotations{Destructive: true}) {
		t.Errorf("a tool that says nothing is %+v", got)
	}
	if err := a.Tool("look").CheckArgs(nil); err != nil {
		t.Error(err)
	}
	if err := a.Tool("look").CheckArgs([]byte(`{"a":1}`)); err == nil {
		t.Error("a tool without an input schema took an argument")
	}
	up, err := bundleOf(t, map[string]string{"tasks.jsonl": "", "tools.js": "", "arena.yaml": "name: up\nversion: '1'\nruntime: upstream\nmatch: call\nupstreams: [{alias: eye}]\nlimits: {wall: 1m, memory: 2097152, result: 1KiB}\nnow: 2026-03-02T10:00:00+01:00\ntools:\n  - {name: look, description: Looks.}\n"}).Load()
	if err != nil {
		t.Fatal(err)
	}
	if !up.Tools[0].Annotations.OpenWorld || up.Entry != "" || up.Limits.Wall != time.Minute || up.Limits.Memory != 2<<20 || up.Limits.Result != 1024 {
		t.Errorf("upstream: %+v", up)
	}
	if got := up.Now.String(); got != "2026-03-02 09:00:00 +0000 UTC" {
		t.Errorf("now = %s", got)
	}
}

// TestDerivedInputs fills in what a Python arena leaves to its code.
func TestDerivedInputs(t *testing.T) {
	manifest := "name: shop\nversion: '1'\nruntime: python\nclass: Shop\nsetup: _load\ntools:\n  - {name: look, description: Looks.}\n  - {name: sell, description: Sells., input: {type: object}}\n"
	a, err := bundleOf(t, map[string]string{"tasks.jsonl": "", "tools.py": "pass", "arena.yaml": manifest}).Load()
	if err != nil {
		t.Fatal(err)
	}
	if a.Class != "Shop" || a.Setup != "_load" || !a.Derives() || !a.Tool("look").Derived || a.Tool("sell").Derived {
		t.Errorf("arena: %+v", a)
	}
	b, err := a.WithInputs(map[string]json.RawMessage{"look": json.RawMessage(`{"type":"object","properties":{"at":{"type":"string"}},"required":["at"]}`)})
	if err != nil {
		t.Fatal(err)
	}
	if b.Tool("look").CheckArgs([]byte(`{}`)) == nil || a.Tool("look").CheckArgs([]byte(`{}`)) != nil || b.Digest != a.Digest {
		t.Error("the schema is not held to, or the arena that it came from was changed")
	}
	for inputs, want := range map[string]string{`{}`: "the tool look has no input schema", `{"look":{"type":7}}`: "derived for the tool look"} {
		var m map[string]json.RawMessage
		if err := json.Unmarshal([]byte(inputs), &m); err != nil {
			t.Fatal(err)
		}
		if _, err := a.WithInputs(m); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("WithInputs(%s) = %v, want %s", inputs, err, want)
		}
	}
	for change, want := range map[[2]string]string{{"class: Shop\n", ""}: "setup: it is a method of a class that is not named", {"class: Shop", "class: 1a"}: "is no name"} {
		_, err := bundleOf(t, map[string]string{"tasks.jsonl": "", "tools.py": "pass", "arena.yaml": strings.Replace(manifest, change[0], change[1], 1)}).Load()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", change[1], err, want)
		}
	}
}

const mirroredYAML = `name: mirror
version: 1.0.0
runtime: upstream
upstreams: [{alias: left}, {alias: right}]
tools:
  - {name: get_sum, description: Adds., upstream: left, original: get-sum}
  - {name: echo, description: Echoes., upstream: right}
`

// A mirrored tool keeps what its server calls it, and there is one for each.
func TestManifestMirrors(t *testing.T) {
	a, err := loadFiles("arena.yaml", mirroredYAML)
	if err != nil {
		t.Fatal(err)
	}
	sum, echo := a.Tool("get_sum"), a.Tool("echo")
	if sum.Upstream != "left" || sum.Original != "get-sum" || echo.Upstream != "right" || echo.Original != "echo" || a.Match != astra.MatchEpisode {
		t.Errorf("match %q, tools %+v %+v", a.Match, sum, echo)
	}
	for _, test := range []struct{ old, new, want string }{
		{"upstream: right", "upstream: middle", `arena.yaml:7: tools[1].upstream: "middle" is not among the upstreams; write one of: left, right`},
		{"upstream: right", "upstream: left, original: get-sum", `arena.yaml:7: tools[1].original: it is mirrored by the tool get_sum already; keep one`},
		{"get-sum", strings.Repeat("x", 300), `arena.yaml:6: tools[0].original: 300 bytes; it may have 200`},
	} {
		if _, err := loadFiles("arena.yaml", strings.Replace(mirroredYAML, test.old, test.new, 1)); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %s", test.new, err, test.want)
		}
	}
}
