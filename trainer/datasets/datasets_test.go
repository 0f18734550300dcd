package datasets_test

import (
	"encoding/json"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/trainer/datasets"
)

// talks are conversations of every sort that formats differ over, line by line.
func talks(t *testing.T) []astra.Trajectory {
	t.Helper()
	return load(t, "testdata/talks.jsonl")
}

func load(t *testing.T, path string) []astra.Trajectory {
	t.Helper()
	f, err := os.Open(path)
	must(t, err)
	defer f.Close()
	var all []astra.Trajectory
	for tr, err := range datasets.Read(path, f) {
		must(t, err)
		all = append(all, tr)
	}
	return all
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func sequence(all []astra.Trajectory) iter.Seq2[astra.Trajectory, error] {
	return func(yield func(astra.Trajectory, error) bool) {
		for _, tr := range all {
			if !yield(tr, nil) {
				return
			}
		}
	}
}

func write(t *testing.T, all []astra.Trajectory, o datasets.Options) (string, *datasets.Manifest) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "out")
	m, err := datasets.Write(dir, sequence(all), nil, o)
	must(t, err)
	return dir, m
}

func read(t *testing.T, dir, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
	must(t, err)
	return string(text)
}

// talk is a short conversation of its own words.
func talk(n int, arena string, others ...string) astra.Trajectory {
	words := ""
	for i := range 12 {
		words += fmt.Sprintf("w%dx%d ", n, i)
	}
	reward := 1.0
	return astra.Trajectory{
		Messages: json.RawMessage(fmt.Sprintf(`[{"role":"user","content":"%s"},{"role":"assistant","content":"done %d"}]`, strings.TrimSpace(words), n)),
		Metadata: astra.TrajectoryOf{ID: fmt.Sprintf("t-%03d", n), Arena: arena, Others: others, Reward: &reward},
	}
}
