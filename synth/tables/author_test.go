package tables

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
	"github.com/astra-arenas/astra/gateway/certify"
	"github.com/astra-arenas/astra/gateway/gatewaytest"
	"github.com/astra-arenas/astra/synth"
	"github.com/astra-arenas/astra/verifiers"
)

// real certifies with the real parts. It implements Certifier.
type real struct{ t testing.TB }

func (r *real) Certify(ctx context.Context, a *astra.Arena) (Examination, error) {
	st := gatewaytest.Store(r.t, r.t.TempDir())
	defer st.Close()
	judge, err := verifiers.New()
	if err != nil {
		return Examination{}, err
	}
	gw, err := gateway.New(ctx, st, judge, []gateway.Runtime{gatewaytest.JavaScript(r.t)}, nil)
	if err != nil {
		return Examination{}, err
	}
	defer gw.Close()
	if _, err := gw.AddArena(ctx, a.Bundle); err != nil {
		return Examination{}, err
	}
	cert, err := certify.Arena(ctx, gw, a.Ref(), &certify.Options{RandomPlays: 3, Fuzzed: 20})
	if err != nil {
		return Examination{}, err
	}
	found := Examination{Findings: map[string]string{}, Certificate: cert.JSON()}
	for _, c := range cert.Checks {
		for _, f := range c.Findings {
			found.Findings[f.Task] = c.Name + ": " + f.Text
		}
	}
	return found, nil
}

// write runs an author to its end, or to trouble, and returns all that came out, as text.
func write(t testing.TB, dir string, c Certifier, opts *Options) (string, []*Written, error) {
	t.Helper()
	au, err := NewAuthor(ferries(t), opts)
	if err != nil {
		t.Fatal(err)
	}
	id, err := au.RunID()
	if err != nil {
		t.Fatal(err)
	}
	st := gatewaytest.Store(t, dir)
	defer st.Close()
	var b strings.Builder
	var all []*Written
	run := synth.NewRun(id, st, nil)
	for w, err := range au.Write(t.Context(), run, c) {
		if err != nil {
			return "", nil, err
		}
		for _, f := range w.Files {
			fmt.Fprintf(&b, "== %s/%s\n%s\n", w.Name, f.Path, f.Data)
		}
		all = append(all, w)
	}
	yields, err := json.Marshal(run.Yields())
	if err != nil {
		t.Fatal(err)
	}
	return b.String() + string(yields), all, nil
}

// Certified tasks of all scenario types come out, in both languages, some of which change
// something; nearly everything that is drawn is certified.
func TestAuthor(t *testing.T) {
	_, all, err := write(t, t.TempDir(), &real{t}, &Options{Tasks: 60, PerArena: 30})
	if err != nil {
		t.Fatal(err)
	}
	scenarios, languages, hops, writes, tasks := map[synth.Scenario]int{}, map[synth.Language]int{}, 0, 0, 0
	for _, w := range all {
		for i, in := range w.Instances {
			if bad := in.Check(); len(bad) > 0 {
				t.Errorf("%s: %v", w.Tasks[i].ID, bad)
			}
			scenarios[in.Scenario]++
			languages[in.Language]++
			hops, tasks = max(hops, in.Hops()), tasks+1
			if w.Tasks[i].Verify != nil {
				writes++
			}
			if p := w.Tasks[i].Turns[0].Prompt; in.Language == synth.Chinese != strings.ContainsFunc(p, func(r rune) bool { return unicode.Is(unicode.Han, r) }) {
				t.Errorf("asked in the wrong language: %s", p)
			}
		}
	}
	if len(all) < 2 || len(scenarios) != 4 || len(languages) != 2 || writes == 0 || hops < 8 || tasks < 50 {
		t.Errorf("%d arenas, %d tasks, %d of them write, up to %d sub-questions, %v, %v", len(all), tasks, writes, hops, scenarios, languages)
	}
}

// A gloomy certifier finds fault with some tasks, always the same, and gives up at last.
type gloomy struct{ left int }

var errTrouble = errors.New("the lights went out")

func (g *gloomy) Certify(_ context.Context, a *astra.Arena) (Examination, error) {
	if g.left--; g.left < 0 {
		return Examination{}, errTrouble
	}
	for _, task := range a.Tasks {
		if strings.HasSuffix(task.ID, "a") {
			return Examination{Findings: map[string]string{task.ID: "letter: it ends in a"}}, nil
		}
	}
	return Examination{Certificate: []byte(a.Digest)}, nil
}

// Equal input and options give equal bytes; another seed gives others; and a run that
// broke off gives the same as one that did not.
func TestAuthorIsDeterministic(t *testing.T) {
	opts := &Options{Tasks: 80, PerArena: 20}
	want, all, err := write(t, t.TempDir(), &gloomy{100}, opts)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range all {
		for _, task := range w.Tasks {
			if strings.HasSuffix(task.ID, "a") {
				t.Errorf("%s was found fault with, and came out", task.ID)
			}
		}
	}
	other, _, err := write(t, t.TempDir(), &gloomy{100}, &Options{Tasks: 80, PerArena: 20, Seed: 1})
	if err != nil || other == want {
		t.Errorf("another seed made no difference, or %v", err)
	}
	dir := t.TempDir()
	broken := 0
	for left := 0; ; left++ {
		got, _, err := write(t, dir, &gloomy{left}, opts)
		if errors.Is(err, errTrouble) {
			broken++
			continue
		}
		if err != nil || got != want {
			t.Errorf("after %d interruptions: %v, and %d bytes instead of %d", broken, err, len(got), len(want))
		}
		break
	}
	if broken < 2 {
		t.Errorf("interrupted %d times only", broken)
	}
}

// Tables about which nothing can be asked are refused, and it says why.
func TestAuthorRefuses(t *testing.T) {
	all, err := Read([]string{file(t, "notes.csv", "text\na b\na b\n")})
	if err == nil {
		err = Profile(all, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := NewAuthor(all, nil); err == nil || !strings.Contains(err.Error(), "values are unique") {
		t.Errorf("NewAuthor: %v", err)
	}
}

// Tables and columns may be called like words of the tools' own code.
func TestAuthorOfReservedWords(t *testing.T) {
	var b strings.Builder
	b.WriteString("name,class,limit,rank,episode_id,new,date\n")
	for i := range 40 {
		fmt.Fprintf(&b, "n%02d,Word %c,%d,%d,e%d,%s,2026-01-%02d\n", i, 'A'+i, i%5, i*7, i, []string{"if", "in", "var"}[i%3], 1+i%28)
	}
	all, err := Read([]string{file(t, "class.csv", b.String()), file(t, "dates.csv", b.String()), file(t, "date.csv", b.String())})
	if err == nil {
		err = Profile(all, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	au, err := NewAuthor(all, &Options{Tasks: 12})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range au.plans {
		world(t, au.arena(p), nil)
	}
}
