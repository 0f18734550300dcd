package gateway_test

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
)

// flaky has a plan of its own and a task with another.
const flaky = `
-- arena.yaml --
name: flaky
version: 1.0.0
title: A flaky arena
description: For tests of planned failures.
domain: trouble
license: Apache-2.0
runtime: javascript
entry: tools.js
limits: {wall: 15s}
failures: {rate: 1, kinds: [timeout]}
tools:
  - {name: count, title: Count, description: Counts., input: {type: object}}
-- tools.js --
let n = 0;
export function count() { return ++n; }
export function state() { return n; }
-- tasks.jsonl --
{"id": "arenas", "turns": [{"prompt": "Count."}], "answer": {"expected": "1"}}
{"id": "own", "turns": [{"prompt": "Count."}], "answer": {"expected": "1"}, "failures": {"rate": 1, "kinds": ["unreachable"]}}
{"id": "sure", "turns": [{"prompt": "Count."}], "answer": {"expected": "1"}, "failures": {"rate": 0}}
{"id": "gold", "turns": [{"prompt": "Count."}], "gold": [[{"tool": "count"}]], "verify": {"played": "gold.state == 1 && state == 0 && steps.all(s, s.injected)"}}
`

// The episode's plan wins over the task's, and that over the arena's; the gold play knows none.
func TestWhoseFailures(t *testing.T) {
	h := newHouse(t, nil)
	h.serve(flaky)
	for _, c := range []struct {
		task string
		plan *astra.FailurePlan
		want string
	}{
		{"", nil, "count did not answer within 15 s"},
		{"arenas", nil, "count did not answer within 15 s"},
		{"own", nil, "count cannot be reached: connection refused"},
		{"sure", nil, "1"},
		{"arenas", &astra.FailurePlan{}, "1"},
		{"own", &astra.FailurePlan{}, "1"},
		{"sure", &astra.FailurePlan{Rate: 1, Kinds: []astra.FailureKind{astra.Unreachable}}, "count cannot be reached: connection refused"},
	} {
		o, err := h.Open(t.Context(), gateway.OpenRequest{Arena: "flaky", Task: c.task, Failures: c.plan})
		must(t, err)
		s, err := h.Call(t.Context(), o.Episode, astra.Call{Tool: "count"})
		if err != nil || s.Result.Text() != c.want || s.Result.Injected == s.Result.OK() {
			t.Errorf("task %q, plan %+v: %+v, %v; want %s", c.task, c.plan, s.Result, err, c.want)
		}
	}
	o, err := h.Open(t.Context(), gateway.OpenRequest{Arena: "flaky", Task: "gold"})
	must(t, err)
	_, err = h.Call(t.Context(), o.Episode, astra.Call{Tool: "count"})
	must(t, err)
	if score, err := h.Submit(t.Context(), o.Episode, astra.Submitted{}); err != nil || score.Reward != 1 {
		t.Errorf("gold: %+v, %v", score, err)
	}
}

// The same seed, plan and calls fail at the same steps; as many do as the rate says, and
// who tries again gets through, with a world that knows nothing of it.
func TestFailuresAreReproducible(t *testing.T) {
	const rate, calls = 0.3, 60
	h := newHouse(t, nil)
	hits, steps := 0, 0
	for seed := range int64(12) {
		var first []string
		for range 2 {
			o, err := h.Open(t.Context(), gateway.OpenRequest{Arena: "bank", Seed: &seed, Failures: &astra.FailurePlan{Rate: rate}})
			must(t, err)
			var results []string
			paid := 0
			for range calls {
				s, err := h.deposit(o.Episode, 1)
				must(t, err)
				if steps++; s.Result.Injected {
					hits++
				} else if paid++; string(s.Result.Value) != fmt.Sprintf(`{"account":"ada","balance":%d}`, 100+paid) {
					t.Errorf("seed %d: deposit %d gave %s", seed, paid, s.Result.Value)
				}
				results = append(results, stepText(s))
			}
			if first == nil {
				first = results
			} else if strings.Join(first, "\n") != strings.Join(results, "\n") {
				t.Errorf("seed %d failed otherwise the second time", seed)
			}
			if paid == 0 {
				t.Errorf("seed %d: %d tries, and none got through", seed, calls)
			}
		}
	}
	hits, steps = hits/2, steps/2 // each was played twice
	if bound := 4 * math.Sqrt(float64(steps)*rate*(1-rate)); math.Abs(float64(hits)-rate*float64(steps)) > bound {
		t.Errorf("%d of %d steps failed at rate %g", hits, steps, rate)
	}
}

// An impure tool is not asked when its call is planned to fail, and the call is not
// announced; replay decides again, and sees a log that says otherwise.
func TestFailuresOfImpure(t *testing.T) {
	rt := newGated()
	rt.impure = true
	close(rt.gate)
	h := newHouseOn(t, nil, rt)
	o, err := h.Open(t.Context(), gateway.OpenRequest{Arena: "bank", Failures: &astra.FailurePlan{Rate: 0.5}})
	must(t, err)
	hits := 0
	for range 20 {
		s, err := h.deposit(o.Episode, 1)
		must(t, err)
		if s.Result.Injected {
			hits++
		}
	}
	log, err := h.store.Log(t.Context(), o.Episode)
	must(t, err)
	if n := int(rt.waiting.Load()); hits == 0 || n != 20-hits || len(log) != 1+20+n {
		t.Errorf("%d of 20 calls failed by plan, %d were made, %d events", hits, n, len(log))
	}
	if r, err := h.Replay(t.Context(), o.Episode); err != nil || !r.Same {
		t.Errorf("Replay = %+v, %v", r, err)
	}
	e, err := h.Episode(t.Context(), o.Episode)
	must(t, err)
	next := 21
	for ; ; next++ { // to a step that is not planned to fail
		if _, hit := e.PlannedFailure(next, "deposit", 0); !hit {
			break
		}
		_, err := h.deposit(o.Episode, 1)
		must(t, err)
	}
	other := astra.Step{Index: next, Turn: 1, Tool: "deposit", Args: json.RawMessage(`{"account":"ada","amount":1}`),
		Result: astra.Result{Error: "not as planned", Fault: astra.FaultTool, Injected: true}}
	must(t, h.store.Append(t.Context(), o.Episode, gateway.Handed, h.at(astra.Event{Called: &other})))
	if r, err := h.Replay(t.Context(), o.Episode); err != nil || r.Same || r.Step != next {
		t.Errorf("Replay of a failure that was not planned = %+v, %v", r, err)
	}
}

func (h *house) at(ev astra.Event) astra.Event {
	ev.Schema, ev.Time = astra.EventSchema, h.clock.Now()
	return ev
}

// What was decided is in the log and in listings, with the kinds spelled out; forks keep it.
func TestFailuresAreInTheLog(t *testing.T) {
	h := newHouse(t, nil)
	o, err := h.Open(t.Context(), gateway.OpenRequest{Arena: "bank", Failures: &astra.FailurePlan{Rate: 0.5, Kinds: []astra.FailureKind{astra.Malformed, astra.TimedOut}}})
	must(t, err)
	forks, err := h.Fork(t.Context(), o.Episode, gateway.ForkRequest{})
	must(t, err)
	h.restart()
	for _, id := range []astra.EpisodeID{o.Episode, forks[0].Episode} {
		e, err := h.Episode(t.Context(), id)
		must(t, err)
		if b, _ := json.Marshal(e.Failures); string(b) != `{"rate":0.5,"kinds":["timeout","malformed"]}` {
			t.Errorf("the record says %s", b)
		}
	}
	page, err := h.List(t.Context(), astra.Query{})
	if err != nil || len(page.Episodes) != 2 || page.Episodes[0].Failures == nil || page.Episodes[1].Failures.Rate != 0.5 {
		t.Errorf("List = %+v, %v", page, err)
	}
}
