package questions_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/astra-arenas/astra/gateway/gatewaytest"
	"github.com/astra-arenas/astra/llm"
	"github.com/astra-arenas/astra/synth"
	"github.com/astra-arenas/astra/synth/questions"
	"github.com/astra-arenas/astra/synth/questions/authortest"
)

// The percentile is over the whole run, and looking twice counts once.
func TestPercentileOfARun(t *testing.T) {
	strict := authortest.Faults["strict-judge"]
	judge := func(a *authortest.Asked, said authortest.Answer) authortest.Answer {
		if question, _ := a.Document["main_question"].(string); strings.Contains(question, "ferry") || strings.Contains(question, "parcel") {
			return strict(a, said)
		}
		return said
	}
	for percentile, want := range map[float64]int{0.9: 4, 0.3: 6} {
		d := newDesk(t, judge, &questions.Options{Percentile: percentile})
		arenas := d.mustWrite(english)
		if len(arenas) != want || d.reasons()["below the threshold"] != 6-want {
			t.Errorf("percentile %g: %d arenas, want %d; rejected: %v", percentile, len(arenas), want, d.reasons())
		}
		for _, y := range d.run.Yields() {
			if y.Stage == "verification" && (y.Items != 6 || y.Resumed != 0) {
				t.Errorf("percentile %g: yield %+v", percentile, y)
			}
		}
		for _, s := range d.author.Spent() {
			if s.Stage == "verification" && s.Calls != 24 {
				t.Errorf("percentile %g: spent %+v", percentile, s)
			}
		}
	}
}

// How many are worked on at a time decides nothing.
func TestParallel(t *testing.T) {
	var want []string
	for _, parallel := range []int{1, 7} {
		d := newDesk(t, nil, nil)
		d.run = synth.NewRun(d.run.ID(), d.store, &synth.RunOptions{Parallel: parallel})
		got := packed(t, d.mustWrite(english))
		if want == nil {
			want = got
		}
		if !slices.Equal(got, want) {
			t.Errorf("with %d at a time the arenas differ", parallel)
		}
	}
}

// A server that is down is no verdict: the run ends, and goes on when it is up again.
func TestServerDown(t *testing.T) {
	want := packed(t, newDesk(t, nil, nil).mustWrite(three))
	var up atomic.Bool
	d := newDesk(t, func(a *authortest.Asked, said authortest.Answer) authortest.Answer {
		if a.Step == "code" && !up.Load() {
			return authortest.Answer{Status: http.StatusServiceUnavailable, Text: "closed"}
		}
		return said
	}, nil)
	if _, err := d.write(t.Context(), three); !errors.Is(err, llm.ErrModel) || !strings.Contains(err.Error(), "closed") {
		t.Fatalf("with the server down: %v", err)
	}
	up.Store(true)
	d.sit(nil)
	if got := packed(t, d.mustWrite(three)); !slices.Equal(got, want) {
		t.Error("after the server came up again: other arenas")
	}
}

// What was recorded is replayed without a server, by a run that knows nothing; what was not ends the run.
func TestReplay(t *testing.T) {
	d := newDesk(t, nil, nil)
	want := packed(t, d.mustWrite(three))
	d.server.Close()
	replay := func(opts *questions.Options) ([]string, error) {
		author, err := questions.New(llm.NewNotedCache(d.store, "author", nil), d.runtime, nil, opts)
		if err != nil {
			t.Fatal(err)
		}
		again := &desk{t: t, author: author, run: synth.NewRun(d.run.ID(), gatewaytest.Store(t, t.TempDir()), nil)}
		arenas, err := again.write(t.Context(), three)
		return packed(t, arenas), err
	}
	if got, err := replay(nil); err != nil || !slices.Equal(got, want) {
		t.Errorf("the replay made other arenas, %v", err)
	}
	if got, err := replay(&questions.Options{Seed: 1}); len(got) != 0 || !errors.Is(err, llm.ErrReplay) {
		t.Errorf("with another seed: %d arenas, %v; want ErrReplay, which is no verdict", len(got), err)
	}
}

func TestBudget(t *testing.T) {
	d := newDesk(t, nil, &questions.Options{Calls: 9})
	if arenas := d.mustWrite(three); len(arenas) != 0 || d.reasons()["budget"] != 3 {
		t.Errorf("%d arenas, %v", len(arenas), d.reasons())
	}
	for _, s := range d.author.Spent() {
		if s.Stage == "environments" && s.Calls != 27 {
			t.Errorf("spent %+v, want 9 calls for each of three", s)
		}
	}
}

func TestOptions(t *testing.T) {
	js := gatewaytest.JavaScript(t)
	for want, o := range map[string]questions.Options{"hops": {MinHops: 4, MaxHops: 2}, "threshold": {Threshold: 2}, "percentile": {Percentile: 90}, "negative": {Samples: -1}, "instances an arena": {PerArena: 100}} {
		if _, err := questions.New(llm.NewNotedCache(nil, "m", nil), js, nil, &o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", o, err, want)
		}
	}
}
