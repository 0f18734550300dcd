package astra_test

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/astra-arenas/astra"
)

func planned(task string, seed int64, rate float64, kinds ...astra.FailureKind) *astra.Opened {
	return &astra.Opened{Arena: "bank", Task: task, Seed: seed, Failures: astra.DecideFailures(&astra.FailurePlan{Rate: rate, Kinds: kinds})}
}

// hits are the planned failures of the first n steps, by step.
func hits(o *astra.Opened, n int) map[int]astra.Result {
	all := map[int]astra.Result{}
	for step := 1; step <= n; step++ {
		if res, hit := o.PlannedFailure(step, "find", 10*time.Second); hit {
			all[step] = res
		}
	}
	return all
}

// The draws are part of what a log means: they must never change.
func TestPlannedFailuresStay(t *testing.T) {
	var got []string
	for step := 1; step <= 12; step++ {
		if res, hit := planned("t", 7, 0.5).PlannedFailure(step, "find", 90*time.Second); hit {
			got = append(got, fmt.Sprint(step, " ", res.Error))
			if res.OK() || res.Fault != astra.FaultTool || !res.Injected || res.Breach || res.Value != nil {
				t.Errorf("step %d is %+v", step, res)
			}
		}
	}
	want := []string{
		`1 the answer of find could not be parsed: unexpected end of JSON after 16 bytes: {"data": [{"id":`,
		`3 the answer of find could not be parsed: unexpected end of JSON after 2 bytes: {"`,
		`5 too many requests: find takes no more calls now; try again in 4 s`,
		`6 the answer of find could not be parsed: unexpected end of JSON after 2 bytes: {"`,
		`11 find cannot be reached: connection refused`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// Over many seeds and steps the rate is what was asked for: within five standard deviations.
func TestFailureRate(t *testing.T) {
	const steps, seeds = 64, 400
	for _, rate := range []float64{0, 0.01, 0.2, 0.5, 0.97, 1} {
		n, first, kinds := 0, 0, map[string]int{}
		for seed := range int64(seeds) {
			for step, res := range hits(planned("t", seed-seeds/2, rate), steps) {
				n++
				if step == 1 {
					first++
				}
				kinds[strings.Join(strings.Fields(res.Error)[1:4], " ")]++
			}
		}
		for _, c := range []struct {
			what    string
			n, from int
			rate    float64
		}{{"all", n, steps * seeds, rate}, {"first", first, seeds, rate}} {
			bound := 5 * math.Sqrt(float64(c.from)*c.rate*(1-c.rate))
			if off := math.Abs(float64(c.n) - c.rate*float64(c.from)); off > bound {
				t.Errorf("rate %g: %d of %s %d steps fail", rate, c.n, c.what, c.from)
			}
		}
		for kind, k := range kinds {
			if bound := 5 * math.Sqrt(float64(n)*0.25*0.75); math.Abs(float64(k)-float64(n)/4) > bound {
				t.Errorf("rate %g: %d of %d failures say %q", rate, k, n, kind)
			}
		}
		if n > 100 && len(kinds) != 4 {
			t.Errorf("rate %g: the kinds are %v", rate, kinds)
		}
	}
}

// A higher rate hits the same steps and more; other seeds, tasks and kinds change what they should.
func TestPlannedFailuresDependOnLittle(t *testing.T) {
	low, high := hits(planned("t", 3, 0.2), 500), hits(planned("t", 3, 0.4), 500)
	for step, res := range low {
		if high[step].Error != res.Error {
			t.Errorf("step %d: %q at 0.2, %q at 0.4", step, res.Error, high[step].Error)
		}
	}
	same := func(a, b map[int]astra.Result) bool {
		for step := range 500 {
			if a[step].Error != b[step].Error {
				return false
			}
		}
		return true
	}
	if !same(low, hits(planned("t", 3, 0.2), 500)) {
		t.Error("the same plan hits other steps")
	}
	if same(low, hits(planned("t", 4, 0.2), 500)) || same(low, hits(planned("u", 3, 0.2), 500)) {
		t.Error("another seed or task hits the same steps")
	}
	one := hits(planned("t", 3, 0.2, astra.Unreachable), 500)
	if len(one) != len(low) {
		t.Errorf("one kind hits %d steps, all kinds %d", len(one), len(low))
	}
	for step, res := range one {
		if res.Error != "find cannot be reached: connection refused" {
			t.Errorf("step %d: %q", step, res.Error)
		}
	}
}

func TestDecideFailures(t *testing.T) {
	arena, task, off := &astra.FailurePlan{Rate: 0.1}, &astra.FailurePlan{Rate: 0.2, Kinds: []astra.FailureKind{astra.Malformed, astra.TimedOut}}, &astra.FailurePlan{}
	for _, c := range []struct {
		plans []*astra.FailurePlan
		want  string
	}{
		{nil, `null`},
		{[]*astra.FailurePlan{nil, nil, nil}, `null`},
		{[]*astra.FailurePlan{nil, nil, arena}, `{"rate":0.1,"kinds":["timeout","unreachable","rate_limited","malformed"]}`},
		{[]*astra.FailurePlan{nil, task, arena}, `{"rate":0.2,"kinds":["timeout","malformed"]}`},
		{[]*astra.FailurePlan{off, task, arena}, `null`},
		{[]*astra.FailurePlan{nil, off, arena}, `null`},
	} {
		got, err := json.Marshal(astra.DecideFailures(c.plans...))
		if err != nil || string(got) != c.want {
			t.Errorf("got %s, %v; want %s", got, err, c.want)
		}
	}
	if task.Kinds[0] != astra.Malformed {
		t.Error("deciding changed the task")
	}
}

func TestFailurePlanCheck(t *testing.T) {
	for _, c := range []struct {
		plan *astra.FailurePlan
		want string
	}{
		{nil, ""}, {&astra.FailurePlan{}, ""}, {&astra.FailurePlan{Rate: 1, Kinds: astra.FailureKinds()}, ""},
		{&astra.FailurePlan{Rate: 1.5}, "failures.rate: 1.5 is out of range; use a number from 0 to 1"},
		{&astra.FailurePlan{Rate: math.NaN()}, "failures.rate: NaN is out of range; use a number from 0 to 1"},
		{&astra.FailurePlan{Kinds: astra.FailureKinds()}, "failures.kinds: no call fails at rate 0; say how many with rate, or leave kinds out"},
		{&astra.FailurePlan{Rate: 1, Kinds: []astra.FailureKind{"timeout", "timeout"}}, `failures.kinds: "timeout" comes twice; keep one`},
		{&astra.FailurePlan{Rate: 1, Kinds: []astra.FailureKind{"boredom"}}, `failures.kinds: "boredom" is no kind of failure; use timeout, unreachable, rate_limited or malformed`},
	} {
		got := ""
		if err := c.plan.Check(); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("Check(%+v) = %q, want %q", c.plan, got, c.want)
		}
	}
}
