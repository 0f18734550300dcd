package tables_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/store"
	"github.com/astra-arenas/astra/synth"
	"github.com/astra-arenas/astra/synth/tables"
)

func world(t testing.TB) []*tables.Table {
	t.Helper()
	paths, err := filepath.Glob("/usr/share/iso-codes/json/iso_*.json")
	if err != nil {
		t.Fatal(err)
	}
	if len(paths) == 0 {
		t.Skip("iso-codes is not installed: apt-get install iso-codes tzdata")
	}
	all, err := tables.Read(append(paths, "/usr/share/zoneinfo/zone1970.tab"))
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open("../../examples/tables/world.yaml")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	labels, err := tables.ReadLabels(f)
	if err != nil {
		t.Fatal(err)
	}
	if err := tables.Profile(all, labels); err != nil {
		t.Fatal(err)
	}
	return all
}

type lenient struct{}

func (lenient) Certify(context.Context, *astra.Arena) (tables.Examination, error) {
	return tables.Examination{}, nil
}

func TestWorld(t *testing.T) {
	all := world(t)
	for _, tb := range all {
		t.Log(tb.Describe())
	}
	au, err := tables.NewAuthor(all, nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	id, _ := au.RunID()
	run := synth.NewRun(id, s, nil)
	for w, err := range au.Write(t.Context(), run, lenient{}) {
		if err != nil {
			t.Fatal(err)
		}
		t.Log(w.Name, len(w.Tasks))
		for _, tk := range w.Tasks[:min(len(w.Tasks), 8)] {
			t.Logf("%s\n   %s\n   %v", tk.ID, tk.Turns[0].Prompt, tk.Answer)
		}
		if dir := os.Getenv("OUT"); dir != "" {
			for _, f := range w.Files {
				p := filepath.Join(dir, w.Name, f.Path)
				os.MkdirAll(filepath.Dir(p), 0o755)
				os.WriteFile(p, f.Data, 0o644)
			}
		}
	}
	for _, y := range run.Yields() {
		t.Logf("%+v", y)
	}
}
