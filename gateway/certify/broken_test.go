package certify_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway/certify"
)

// files reads the arena that everything is right with.
func files(t testing.TB) map[string]string {
	t.Helper()
	b, err := astra.ReadBundle("testdata/harbour")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, f := range b.Files() {
		all[f.Path] = string(f.Data)
	}
	return all
}

func bundle(t testing.TB, all map[string]string) *astra.Bundle {
	t.Helper()
	var list []astra.File
	for path, text := range all {
		list = append(list, astra.File{Path: path, Data: []byte(text)})
	}
	b, err := astra.NewBundle(list)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestGoodArenaPasses(t *testing.T) {
	c, err := certify.Arena(t.Context(), serve(t, bundle(t, files(t))), "harbour", nil)
	if err != nil {
		t.Fatal(err)
	}
	if check, f := c.First(); !c.Passed || f != nil {
		t.Errorf("%s: %+v\n%s", check, f, c.JSON())
	}
	if c.Mutation.Made < 100 || c.Mutation.Score() != 1 {
		t.Errorf("mutants: %+v", c.Mutation)
	}
}

// Each archive is the good arena with something spoilt, and what must be found: no more
// checks, and no fewer. A section is a file of the arena: text to be replaced once, "====" and
// what replaces it, or a line to be added.
func TestBrokenArenas(t *testing.T) {
	paths, err := filepath.Glob("testdata/broken/*.txtar")
	if err != nil || len(paths) < 30 {
		t.Fatalf("%d archives, %v", len(paths), err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			all, wants := spoil(t, path)
			c, err := certify.Arena(t.Context(), serve(t, bundle(t, all)), "harbour", nil)
			if err != nil {
				t.Fatal(err)
			}
			compare(t, c, wants)
		})
	}
}

func spoil(t *testing.T, path string) (all map[string]string, wants []string) {
	t.Helper()
	archive, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	all = files(t)
	for _, f := range archive.Files {
		text := strings.TrimSuffix(string(f.Data), "\n")
		before, after, replace := strings.Cut(text, "\n====\n")
		switch {
		case f.Name == "want":
			wants = strings.Split(text, "\n")
		case !replace:
			all[f.Name] += text + "\n"
		case strings.Count(all[f.Name], before) != 1:
			t.Fatalf("%s has %d times %q, want once", f.Name, strings.Count(all[f.Name], before), before)
		default:
			all[f.Name] = strings.Replace(all[f.Name], before, after, 1)
		}
	}
	return all, wants
}

func compare(t *testing.T, c *astra.Certificate, wants []string) {
	t.Helper()
	if c.Passed {
		t.Errorf("it passes")
	}
	found := map[string]string{}
	for _, k := range c.Checks {
		for _, f := range k.Findings {
			found[k.Name] += fmt.Sprintf("%s %s %s: %s\n", f.Task, f.Tool, f.Subtask, f.Text)
		}
	}
	var checks []string
	for _, want := range wants {
		check, text, _ := strings.Cut(want, ": ")
		checks = append(checks, check)
		if !strings.Contains(found[check], text) {
			t.Errorf("%s does not find %q; it finds\n%s", check, text, found[check])
		}
	}
	for check, text := range found {
		if !slices.Contains(checks, check) {
			t.Errorf("%s finds, too:\n%s", check, text)
		}
	}
}
