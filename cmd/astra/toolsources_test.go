package main

import (
	"slices"
	"testing"

	"github.com/astra-arenas/astra/mcp/upstream"
)

func TestShellWords(t *testing.T) {
	for text, want := range map[string][]string{
		"":                          nil,
		"  npx\t-y  pkg ":           {"npx", "-y", "pkg"},
		`a 'b c' "d \"e\" \x" f\ g`: {"a", "b c", `d "e" \x`, "f g"},
		`a '' ""`:                   {"a", "", ""},
		`a'b'"c"`:                   {"abc"},
		`$HOME * ; | 'it is'`:       {"$HOME", "*", ";", "|", "it is"},
		`'a\b'`:                     {`a\b`},
	} {
		if got, err := shellWords(text); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %q, %v, want %q", text, got, err, want)
		}
	}
	for _, text := range []string{`"a`, `'a`, `a\`} {
		if got, err := shellWords(text); err == nil {
			t.Errorf("%s: %q", text, got)
		}
	}
}

func TestCalled(t *testing.T) {
	for want, target := range map[string]upstream.Target{
		"server-everything": {Command: []string{"npx", "-y", "@modelcontextprotocol/server-everything@2026.8.31"}},
		"server-files":      {Command: []string{"/usr/bin/node", "x/server-files/dist/index.js", "/srv"}},
		"mcp-git":           {Command: []string{"docker", "run", "-i", "mcp/mcp-git"}},
		"pantry":            {Command: []string{"/opt/pantry", "--fast"}},
		"node":              {Command: []string{"node"}},
		"x.example.com":     {URL: "https://x.example.com:8443/mcp"},
	} {
		if got := called(target); got != want {
			t.Errorf("%v is called %s, want %s", target, got, want)
		}
	}
}
