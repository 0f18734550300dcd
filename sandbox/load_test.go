package sandbox

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/astra-arenas/astra"
)

func TestLoadRefuses(t *testing.T) {
	rt := newTestRuntime(t, Options{})
	for _, c := range []struct {
		code string
		tool string
		want string
	}{
		{"export const x = ;", "", "tools.js:1:18: SyntaxError: "},
		{"export const x = 1;\nfunction f() {\n  throw new TypeError('top');\n}\nf();", "", "tools.js:3:13: TypeError: top"},
		{"import fs from 'fs';", "", "tools.js: ReferenceError: could not load module 'fs'"},
		{"await new Promise(() => {});", "", "tools.js: the module's top-level await waits for what never comes"},
		{"for (;;);", "", "tools.js: module code used more than its fuel (4000000 units): do less there"},
		{"const a = []; for (;;) a.push(new Uint8Array(1 << 20));", "", "tools.js: module code used more than its memory (33554432 bytes)"},
		{"export function findItem() {}\nexport function other() {}", "find_item", "tools.js: no exported function find_item for the tool of that name in arena.yaml: did you mean findItem?"},
		{"export function gte_user() {}", "get_user", "did you mean gte_user?"},
		{"export const get_user = 7;", "get_user", "write `export function get_user(args, host) { … }`"},
		{"", "get_user", "write `export function get_user(args, host)"},
		{"export function state() {}", "state", "a tool cannot be called state"},
		{"Math.random();", "", "Error: randomness is not known while module code runs"},
		{"const r = Date.now();", "", "tools.js:1:15: Error: the clock is not known while module code runs"},
		{"new Date();", "", "Error: the clock is not known"},
		{"Date();", "", "Error: the clock is not known"},
		{"performance.now();", "", "Error: the clock is not known"},
		{"host.random();", "", "Error: randomness is not known"},
		{"host.seed;", "", "Error: the seed is not known"},
		{"host.now();", "", "Error: the clock is not known"},
		{"console.log('hello');", "", "Error: the log is not known"},
		{"host.data('none.json');", "", "tools.js:1:5: RangeError: no file none.json in data/"},
	} {
		a := testArena(t, c.code)
		if c.tool != "" {
			a.Tools = []astra.Tool{{Name: c.tool}}
		}
		_, err := rt.Load(t.Context(), a)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("Load(%q) = %v, want %s", c.code, err, c.want)
		}
	}
}

func TestLoadTakes(t *testing.T) {
	rt := newTestRuntime(t, Options{})
	for code, want := range map[string]string{
		"const x = await Promise.resolve(5); export function f() { return {x} }":                      `{"x":5}`,
		"const r = JSON.parse(host.data('rates.json')); export const f = () => r.EUR":                 `1`,
		"const D = Date, r = Math.random; export const f = () => [D.now() > 0, r() < 1]":              `[true,true]`,
		"const day = new Date(2024, 0, 1); export const f = () => day":                                `"2024-01-01T00:00:00.000Z"`,
		"let early; try { host.random() } catch (e) { early = e.name } export const f = () => early;": `"Error"`,
		"export default 1; export { g as f }; function g(a, h) { return h === host }":                 `true`,
	} {
		if got := call(t, start(t, load(t, rt, testArena(t, code, "f")), 1), "f", `{}`); got != want {
			t.Errorf("%s: f() = %s, want %s", code, got, want)
		}
	}
}

func TestLoadChecksTheArena(t *testing.T) {
	rt := newTestRuntime(t, Options{})
	for want, change := range map[string]func(*astra.Arena){
		"at most 67108864 (64MiB)":           func(a *astra.Arena) { a.Limits.Memory = slotSize + 1 },
		"the engine alone takes":             func(a *astra.Arena) { a.Limits.Memory = wasmPage },
		"limits must all be above zero":      func(a *astra.Arena) { a.Limits.Fuel = 0 },
		"none.js: no such file in the arena": func(a *astra.Arena) { a.Entry = "none.js" },
		"is for the runtime python":          func(a *astra.Arena) { a.Runtime = astra.Python },
		"has no files":                       func(a *astra.Arena) { a.Bundle = nil },
	} {
		a := testArena(t, shop, shopTools...)
		change(a)
		if _, err := rt.Load(t.Context(), a); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Load = %v, want %s", err, want)
		}
	}
}

func TestEngineIsChecked(t *testing.T) {
	b, err := readEngine()
	if err != nil {
		t.Fatal(err)
	}
	b = append([]byte(nil), b...)
	b[len(b)/2] ^= 1
	want, _ := engines.ReadFile("engine/quickjs.wasm.sha256")
	if err := checkEngine(b, string(want)); err == nil || !strings.Contains(err.Error(), "not the pinned") {
		t.Errorf("checkEngine(changed) = %v", err)
	}
}

// TestCacheDir starts with a cache that is made, found, and in the way.
func TestCacheDir(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	made := filepath.Join(dir, "a", "b")
	var digests []string
	for _, d := range []string{made, made, file} {
		digests = append(digests, newTestRuntime(t, Options{CacheDir: d}).Digest())
	}
	if digests[0] != digests[1] || digests[0] != digests[2] || !strings.HasPrefix(digests[0], "sha256:") {
		t.Errorf("digests %v", digests)
	}
	if kept, _ := os.ReadDir(made); len(kept) != 1 {
		t.Errorf("%d entries in the cache, want 1", len(kept))
	}
}

// TestExecutorAfterStop loads what is stopped in the middle; the executor is used again.
func TestExecutorAfterStop(t *testing.T) {
	rt := newTestRuntime(t, Options{Executors: 1})
	if _, err := rt.Load(t.Context(), testArena(t, "(function f(n) { for (;;) if (n) f(n - 1); })(20)")); err == nil {
		t.Fatal("an endless module was loaded")
	}
	x, err := rt.acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := x.globals[0].Get(); got != x.rest[0] || len(x.globals) != 1 {
		t.Errorf("the stack pointer rests at %#x, want %#x", got, x.rest[0])
	}
	rt.giveBack(x)
	if got := call(t, start(t, load(t, rt, testArena(t, shop, shopTools...)), 1), "nothing", `{}`); got != "null" {
		t.Error(got)
	}
}
