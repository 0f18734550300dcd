package distractors_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/synth/distractors"
)

// planar embeds a tool whose description says an angle, such as 0.6, as the cosine to 1 in
// the plane. It implements distractors.Embedder.
type planar struct{}

func (planar) Embed(_ context.Context, texts []string) ([][]float32, error) {
	var all [][]float32
	for _, text := range texts {
		var x, y float32
		_, rest, _ := strings.Cut(text, "at ")
		if _, err := fmt.Sscanf(rest, "%g %g", &x, &y); err != nil {
			return nil, err
		}
		all = append(all, []float32{x, y})
	}
	return all, nil
}

// arena has tools at places of the plane: "name x y".
func arena(t *testing.T, name, domain string, tools ...string) *astra.Arena {
	t.Helper()
	manifest := fmt.Sprintf("name: %s\nversion: 1.0.0\ndescription: For tests.\ndomain: %s\ntools:\n", name, domain)
	code := ""
	for _, tool := range tools {
		id, at, _ := strings.Cut(tool, " ")
		manifest += fmt.Sprintf("  - {name: %s, description: at %s}\n", id, at)
		code += fmt.Sprintf("export function %s() { return 1; }\n", id)
	}
	first, _, _ := strings.Cut(tools[0], " ")
	b, err := astra.NewBundle([]astra.File{{Path: "arena.yaml", Data: []byte(manifest)}, {Path: "tools.js", Data: []byte(code)},
		{Path: "tasks.jsonl", Data: fmt.Appendf(nil, `{"id": "one", "turns": [{"prompt": "Go < on."}], "gold": [[{"tool": %q}]], "answer": {"expected": "x"}}`, first)},
		{Path: "CERTIFICATE.json", Data: []byte("{}")}})
	if err != nil {
		t.Fatal(err)
	}
	a, err := b.Load()
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// The home tool points along x. Its row reaches from 1, its twin of the same domain, to -1.
func house(t *testing.T) (home *astra.Arena, all []*astra.Arena) {
	home = arena(t, "home", "living", "home 1 0", "twin 1 0")
	return home, []*astra.Arena{
		arena(t, "shop", "trade", "near_a 0.9 0.3", "near_b 0.9 0.35", "near_c 0.9 0.4", "between_a 0 1", "twin 1 0.01"),
		arena(t, "lab", "science", "between_b 0.1 1", "between_c 0.2 -1", "far_a -1 0.1", "far_b -1 0", "far_c -1 0.2"),
		home,
		arena(t, "flat", "living", "cushion 0.95 0.3"),
	}
}

func TestBands(t *testing.T) {
	_, all := house(t)
	x, err := distractors.NewIndex(t.Context(), all, planar{})
	if err != nil || x.Len() != 12 {
		t.Fatalf("%d tools, %v", x.Len(), err)
	}
	got := x.Row("home", map[string]bool{"living": true})
	want := map[distractors.Band][]string{distractors.High: {"near_a", "near_b", "near_c"}, distractors.Medium: {"between_a", "between_b", "between_c"}, distractors.Low: {"far_a", "far_b", "far_c"}}
	if !maps.EqualFunc(got, want, slices.Equal) {
		t.Errorf("bands %v, want %v", got, want)
	}
	if x.Row("nobody", nil) != nil {
		t.Error("an unknown tool has a row")
	}
}

func TestChoose(t *testing.T) {
	home, all := house(t)
	x, err := distractors.NewIndex(t.Context(), all, planar{})
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(all)
	again, err := distractors.NewIndex(t.Context(), all, planar{})
	if err != nil {
		t.Fatal(err)
	}
	task := &home.Tasks[0]
	seen := map[string]bool{}
	for seed := range int64(40) {
		got := x.Choose(home, task, &distractors.Options{Seed: seed})
		if other := again.Choose(home, task, &distractors.Options{Seed: seed}); !slices.Equal(got, other) {
			t.Fatalf("the order of arenas changed %v to %v", got, other)
		}
		for _, band := range []string{"/near_", "/between_", "/far_"} {
			if n := strings.Count(strings.Join(got, " "), band); n != 2 {
				t.Errorf("%v has %d of %s", got, n, band)
			}
		}
		for _, name := range got {
			seen[name] = true
		}
	}
	if len(seen) != 9 {
		t.Errorf("only %v were ever drawn", slices.Sorted(maps.Keys(seen)))
	}
	if got := x.Choose(home, task, &distractors.Options{Mode: distractors.None}); len(got) != 0 {
		t.Errorf("none is %v", got)
	}
	for seed := range int64(20) {
		got := x.Choose(home, task, &distractors.Options{Mode: distractors.Random, Seed: seed})
		if len(got) < 5 || len(got) > 9 || slices.Contains(got, "flat/cushion") || strings.Contains(strings.Join(got, " "), "twin") {
			t.Errorf("random is %v", got)
		}
	}
}

// A rewritten arena is the same but for its distractors, and has no certificate of another's.
func TestRewrite(t *testing.T) {
	home, all := house(t)
	x, err := distractors.NewIndex(t.Context(), all, planar{})
	if err != nil {
		t.Fatal(err)
	}
	files, err := x.Rewrite(home, nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := astra.NewBundle(files)
	if err != nil {
		t.Fatal(err)
	}
	fresh, err := b.Load()
	if err != nil || len(fresh.Tasks[0].Distractors) != 6 || fresh.Tasks[0].Turns[0].Prompt != "Go < on." {
		t.Errorf("%+v, %v", fresh, err)
	}
	if _, ok := b.File("CERTIFICATE.json"); ok {
		t.Error("it kept a certificate")
	}
}

// By their words, tools about the same thing are nearer than others, and equal texts are
// the same vector.
func TestLexical(t *testing.T) {
	texts := []string{"Finds a ferry by its port of departure.", "Finds a ferry by its port of arrival.", "Adds two numbers.", "Finds a ferry by its port of departure."}
	v, err := distractors.Lexical{}.Embed(t.Context(), texts)
	if err != nil {
		t.Fatal(err)
	}
	dot := func(a, b []float32) (sum float64) {
		for i := range a {
			sum += float64(a[i]) * float64(b[i])
		}
		return sum
	}
	if dot(v[0], v[1]) <= dot(v[0], v[2]) || !slices.Equal(v[0], v[3]) {
		t.Errorf("%g to the like, %g to the unlike", dot(v[0], v[1]), dot(v[0], v[2]))
	}
}

type crooked [][]float32

func (c crooked) Embed(context.Context, []string) ([][]float32, error) { return c, nil }

func TestNewIndexRefuses(t *testing.T) {
	home, _ := house(t)
	for _, c := range []crooked{{{1, 0}}, {{1, 0}, {1}}, {{}, {}}} {
		if _, err := distractors.NewIndex(t.Context(), []*astra.Arena{home}, c); err == nil {
			t.Errorf("%v was taken", c)
		}
	}
}
