package tables

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway/gatewaytest"
	"github.com/astra-arenas/astra/synth"
)

// lenient passes everything. It implements Certifier.
type lenient struct{}

func (lenient) Certify(context.Context, *astra.Arena) (Examination, error) {
	return Examination{}, nil
}

// Tables of countries, currencies, languages, scripts and time zones, as a distribution has
// them, give tasks of every kind. Certifying them takes a minute: `make bench` does.
func TestWorld(t *testing.T) {
	paths, err := filepath.Glob("/usr/share/iso-codes/json/iso_*.json")
	if err != nil || len(paths) < 5 {
		t.Skip("iso-codes is not installed: apt-get install iso-codes tzdata")
	}
	all, err := Read(append(paths, "/usr/share/zoneinfo/zone1970.tab"))
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open("../../examples/tables/world.yaml")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	labels, err := ReadLabels(f)
	if err == nil {
		err = Profile(all, labels)
	}
	if err != nil {
		t.Fatal(err)
	}
	au, err := NewAuthor(all, nil)
	if err != nil {
		t.Fatal(err)
	}
	st := gatewaytest.Store(t, t.TempDir())
	run := synth.NewRun("world", st, nil)
	scenarios, languages := map[synth.Scenario]int{}, map[synth.Language]int{}
	arenas, tasks, writes := 0, 0, 0
	for w, err := range au.Write(t.Context(), run, lenient{}) {
		if err != nil {
			t.Fatal(err)
		}
		arenas++
		for i, in := range w.Instances {
			scenarios[in.Scenario]++
			languages[in.Language]++
			if tasks++; w.Tasks[i].Verify != nil {
				writes++
			}
		}
	}
	if arenas < 5 || tasks < 200 || len(scenarios) != 4 || len(languages) != 2 || writes < 10 {
		t.Errorf("%d arenas, %d tasks, %d of them write, %v, %v; yields %+v", arenas, tasks, writes, scenarios, languages, run.Yields())
	}
}
