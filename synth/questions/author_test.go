package questions_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
	"github.com/astra-arenas/astra/gateway/gatewaytest"
	"github.com/astra-arenas/astra/llm"
	"github.com/astra-arenas/astra/store"
	"github.com/astra-arenas/astra/synth"
	"github.com/astra-arenas/astra/synth/questions"
	"github.com/astra-arenas/astra/synth/questions/authortest"
)

// A desk is an author with real parts, and a scripted model.
type desk struct {
	t       *testing.T
	server  *authortest.Server
	store   *store.Store
	runtime gateway.Runtime
	author  *questions.Author
	run     *synth.Run
	meter   *llm.Meter
	told    told

	certify questions.Certifier // nil: whatever plays passes
}

// told counts the answers that reached us, by request.
type told struct {
	llm.Model
	mu      sync.Mutex
	answers map[string]int
}

func (m *told) Complete(ctx context.Context, r llm.Request) (llm.Reply, error) {
	reply, err := m.Model.Complete(ctx, r)
	key, _ := json.Marshal(r)
	m.mu.Lock()
	defer m.mu.Unlock()
	if err == nil {
		m.answers[string(key)]++
	}
	return reply, err
}

func newDesk(t *testing.T, fault authortest.Fault, opts *questions.Options) *desk {
	t.Helper()
	d := &desk{t: t, server: authortest.New(t, fault), store: gatewaytest.Store(t, t.TempDir()), runtime: gatewaytest.JavaScript(t), meter: llm.NewMeter(llm.Prices{Input: 1, Output: 4})}
	d.sit(opts)
	return d
}

// sit begins, or goes on, with what the store has.
func (d *desk) sit(opts *questions.Options) {
	d.t.Helper()
	m, err := llm.NewOpenAI(llm.Options{BaseURL: d.server.URL + "/v1", Model: "author", Stream: true, Idle: 100 * time.Millisecond, Retries: 3, Meter: d.meter})
	if err != nil {
		d.t.Fatal(err)
	}
	if d.told.Model = m; d.told.answers == nil {
		d.told.answers = map[string]int{}
	}
	if d.author, err = questions.New(llm.NewNotedCache(d.store, "", &d.told), d.runtime, d.certify, opts); err != nil {
		d.t.Fatal(err)
	}
	id, err := synth.RunID(d.author.Settings()...)
	if err != nil {
		d.t.Fatal(err)
	}
	d.run = synth.NewRun(id, d.store, &synth.RunOptions{Parallel: 2})
}

var english = questions.FileSources("testdata/questions.en.jsonl", "")

func only(n int, sources iter.Seq2[questions.Source, error]) iter.Seq2[questions.Source, error] {
	return func(yield func(questions.Source, error) bool) {
		left := n
		for s, err := range sources {
			if left--; left < 0 || !yield(s, err) {
				return
			}
		}
	}
}

// write makes all arenas.
func (d *desk) write(ctx context.Context, sources iter.Seq2[questions.Source, error]) ([]questions.Arena, error) {
	var all []questions.Arena
	for a, err := range d.author.Write(ctx, d.run, sources) {
		if err != nil {
			return all, err
		}
		all = append(all, a)
	}
	return all, nil
}

func (d *desk) mustWrite(sources iter.Seq2[questions.Source, error]) []questions.Arena {
	d.t.Helper()
	all, err := d.write(d.t.Context(), sources)
	if err != nil {
		d.t.Fatal(err)
	}
	return all
}

// three are questions of three shapes.
var three = only(3, english)

func taxonomy(t *testing.T) []questions.Source {
	t.Helper()
	f, err := os.Open("testdata/taxonomy.json")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	all, err := questions.ReadTaxonomy(f, "")
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// reasons are what was rejected, and how often, over all stages.
func (d *desk) reasons() map[string]int {
	sum := map[string]int{}
	for _, y := range d.run.Yields() {
		for reason, n := range y.Rejected {
			sum[reason] += n
		}
	}
	return sum
}

func (d *desk) unknown() (n int) {
	for _, y := range d.run.Yields() {
		n += y.Unknown
	}
	return n
}

// goldScores plays every task's gold calls through a real gateway.
func goldScores(t *testing.T, rt gateway.Runtime, arenas []questions.Arena) {
	t.Helper()
	g := gatewaytest.Open(t, gatewaytest.Store(t, t.TempDir()), nil, rt)
	defer g.Close() // before its runtime, which the caller may close
	for _, a := range arenas {
		arena, err := g.AddArena(t.Context(), a.Bundle)
		if err != nil {
			t.Fatalf("%v", err)
		}
		for i := range arena.Tasks {
			if score := playGold(t, g, arena, &arena.Tasks[i]); score.Reward != 1 {
				t.Errorf("gold of %s scores %v: %+v", arena.Tasks[i].ID, score.Reward, score)
			}
		}
	}
}

func playGold(t *testing.T, g *gateway.Gateway, arena *astra.Arena, task *astra.Task) *astra.Score {
	t.Helper()
	o, err := g.Open(t.Context(), gateway.OpenRequest{Arena: arena.Ref(), Task: task.ID})
	if err != nil {
		t.Fatal(err)
	}
	var values []json.RawMessage
	calls, _ := task.GoldCalls()
	for _, c := range calls {
		args, err := astra.Interpolate(c.Args, values)
		if err != nil {
			t.Fatal(err)
		}
		step, err := g.Call(t.Context(), o.Episode, astra.Call{Tool: c.Tool, Args: args})
		if err != nil || !step.Result.OK() {
			t.Fatalf("%s %s: %+v, %v", c.Tool, args, step.Result, err)
		}
		values = append(values, step.Result.Value)
	}
	answer := string(task.Answer.Expected)
	score, err := g.Submit(t.Context(), o.Episode, astra.Submitted{Answer: &answer})
	if err != nil {
		t.Fatal(err)
	}
	return score
}

func packed(t *testing.T, arenas []questions.Arena) []string {
	t.Helper()
	var all []string
	for _, a := range arenas {
		var b bytes.Buffer
		if err := a.Bundle.Pack(&b); err != nil {
			t.Fatal(err)
		}
		all = append(all, b.String())
	}
	return all
}

func TestCompetentAuthor(t *testing.T) {
	d := newDesk(t, nil, nil)
	arenas := d.mustWrite(english)
	if len(arenas) != 6 {
		t.Fatalf("%d arenas of 6 questions; rejected: %v", len(arenas), d.reasons())
	}
	goldScores(t, d.runtime, arenas)
	merged, free := false, false
	for _, a := range arenas {
		in := &a.Drafts[0].Instance
		if bad := in.Check(); len(bad) > 0 || in.ID != a.Drafts[0].Instance.ID {
			t.Errorf("instance %s: %v", in.ID, bad)
		}
		for _, e := range a.Drafts[0].Environments {
			merged = merged || e.Merged
		}
		free = free || in.Tools() < in.Hops()
	}
	if !merged || !free {
		t.Errorf("merged %v, without a tool %v: the catalogue should have both", merged, free)
	}
	for _, s := range d.author.Spent() {
		if s.Stage == "environments" && (s.Calls == 0 || s.Usage.Output == 0) {
			t.Errorf("spent %+v", s)
		}
	}
	if total := d.meter.Total(); total.Cost == 0 || total.Failures != 0 || int(total.Calls) != len(d.server.Asked()) {
		t.Errorf("meter %+v, asked %d", total, len(d.server.Asked()))
	}
}

func TestOtherSources(t *testing.T) {
	d := newDesk(t, nil, &questions.Options{Samples: 2})
	sources := func(yield func(questions.Source, error) bool) {
		for s, err := range questions.FileSources("testdata/domains.zh.jsonl", "") {
			if !yield(s, err) {
				return
			}
		}
		for _, s := range taxonomy(t) {
			if !yield(s, nil) {
				return
			}
		}
	}
	arenas := d.mustWrite(sources)
	if len(arenas) != 10 {
		t.Fatalf("%d arenas of 5 sources, twice each; rejected: %v", len(arenas), d.reasons())
	}
	goldScores(t, d.runtime, arenas)
	if in := arenas[0].Drafts[0].Instance; in.Language != synth.Chinese || !strings.Contains(in.Question, "公共图书馆") {
		t.Errorf("instance %+v", in)
	}
}

func TestArenasOfSeveral(t *testing.T) {
	d := newDesk(t, nil, &questions.Options{Samples: 3, PerArena: 2})
	arenas := d.mustWrite(only(2, questions.FileSources("testdata/domains.zh.jsonl", "")))
	var sizes []int
	for _, a := range arenas {
		sizes = append(sizes, len(a.Drafts))
	}
	if fmt.Sprint(sizes) != "[2 2 1 1]" {
		t.Errorf("arenas of %v tasks; rejected: %v", sizes, d.reasons())
	}
	goldScores(t, d.runtime, arenas)
}

// A certifier's word is the last, and what it says is counted.
func TestCertifier(t *testing.T) {
	d := newDesk(t, nil, nil)
	m, err := llm.NewOpenAI(llm.Options{BaseURL: d.server.URL + "/v1", Model: "author"})
	if err != nil {
		t.Fatal(err)
	}
	var seen []string
	var mu sync.Mutex
	certify := func(_ context.Context, b *astra.Bundle) (bool, []string, error) {
		a, err := b.Load()
		if err != nil {
			return false, nil, err
		}
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, a.Name)
		return a.Domain == "rail", []string{"mutants: 3 of 9 pass", "more"}, nil
	}
	if d.author, err = questions.New(m, d.runtime, certify, nil); err != nil {
		t.Fatal(err)
	}
	arenas := d.mustWrite(english)
	if len(arenas) != 1 || d.reasons()["certificate: mutants"] != 5 || len(seen) != 6 {
		t.Errorf("%d arenas, %v, asked about %v", len(arenas), d.reasons(), seen)
	}
}

// A run that is stopped at any request goes on where it was: nothing that was answered is
// asked again, and what comes out is the same to the byte.
func TestResume(t *testing.T) {
	sources := three
	whole := newDesk(t, nil, nil)
	want := packed(t, whole.mustWrite(sources))
	wantSpent := fmt.Sprint(whole.author.Spent())
	total := len(whole.server.Asked())
	for k := 1; k < total; k += 3 {
		ctx, cancel := context.WithCancelCause(t.Context())
		stopped := errors.New("stopped")
		var n atomic.Int64
		d := newDesk(t, func(_ *authortest.Asked, said authortest.Answer) authortest.Answer {
			if n.Add(1) == int64(k) {
				cancel(stopped)
			}
			return said
		}, nil)
		if _, err := d.write(ctx, sources); !errors.Is(err, stopped) {
			t.Fatalf("stopped at request %d: %v", k, err)
		}
		d.sit(nil)
		if got := packed(t, d.mustWrite(sources)); !slices.Equal(got, want) {
			t.Errorf("stopped at request %d: other arenas", k)
		}
		if spent := fmt.Sprint(d.author.Spent()); spent != wantSpent {
			t.Errorf("stopped at request %d: spent\n%s, want\n%s", k, spent, wantSpent)
		}
		for request, n := range d.told.answers {
			if n > 1 {
				t.Errorf("stopped at request %d: answered %d times: %.300s", k, n, request)
			}
		}
		if len(d.told.answers) != total {
			t.Errorf("stopped at request %d: %d requests were answered, want %d", k, len(d.told.answers), total)
		}
	}
}
