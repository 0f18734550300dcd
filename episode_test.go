package astra_test

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/astra-arenas/astra"
)

// The rows are those of the paper's formula, 2n̂/(n+c), where each solving step solves one; the last two are ours.
func TestF1(t *testing.T) {
	for _, test := range []struct {
		n, solved, steps, useful int
		want                     float64
	}{
		{4, 4, 4, 4, 1},
		{4, 4, 6, 4, .80},
		{4, 3, 4, 3, .75},
		{4, 3, 3, 3, .857},
		{4, 2, 2, 2, .667},
		{4, 1, 1, 1, .40},
		{4, 4, 8, 4, .667},
		{4, 0, 5, 0, 0},
		{4, 0, 0, 0, 0},
		{0, 0, 3, 0, 0},
		{4, 4, 2, 2, 1}, // one step solves two: the paper's precision would be 2
		{4, 4, 4, 2, .667},
	} {
		f1, recall, precision := astra.F1(test.n, test.solved, test.steps, test.useful)
		if math.Abs(f1-test.want) > 0.0005 {
			t.Errorf("F1(%d, %d, %d, %d) = %.4f, want %.3f", test.n, test.solved, test.steps, test.useful, f1, test.want)
		}
		if recall < 0 || recall > 1 || precision < 0 || precision > 1 {
			t.Errorf("recall %v or precision %v is out of [0,1]", recall, precision)
		}
		if test.useful == test.solved && test.solved > 0 {
			if paper := 2 * float64(test.solved) / float64(test.n+test.steps); math.Abs(f1-paper) > 1e-12 {
				t.Errorf("F1 = %v, the paper's closed form gives %v", f1, paper)
			}
		}
	}
}

func TestCombine(t *testing.T) {
	part := func(value, weight float64) astra.Part { return astra.Part{Value: value, Weight: weight} }
	gate := func(value float64) astra.Part { return astra.Part{Value: value, Gate: true} }
	for _, test := range []struct {
		parts []astra.Part
		want  float64
	}{
		{nil, 1},
		{[]astra.Part{part(.5, 1)}, .5},
		{[]astra.Part{part(1, .8), part(0, .2)}, .8},
		{[]astra.Part{part(1, 3), part(0, 1)}, .75},
		{[]astra.Part{part(.5, 1), part(1, 0)}, .5},
		{[]astra.Part{part(.5, 1), gate(1)}, .5},
		{[]astra.Part{part(.5, 1), gate(0)}, 0},
		{[]astra.Part{part(1, 1), gate(.999)}, 0},
		{[]astra.Part{gate(1), gate(1)}, 1},
		{[]astra.Part{gate(1), gate(0)}, 0},
	} {
		if got := astra.Combine(test.parts); math.Abs(got-test.want) > 1e-12 {
			t.Errorf("Combine(%+v) = %v, want %v", test.parts, got, test.want)
		}
	}
}

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// event stamps a record with its schema and a time that grows with its place in the log.
func event(n int, ev astra.Event) astra.Event {
	ev.Schema, ev.Time = astra.EventSchema, noon.Add(time.Duration(n)*time.Second)
	return ev
}

func opened() astra.Event {
	return event(0, astra.Event{Opened: &astra.Opened{Episode: "ep-1", Arena: "inventory", Task: "restock-7", FirstInput: "Which?"}})
}

func called(n int) astra.Event {
	return event(n, astra.Event{Called: &astra.Step{Index: n, Turn: 1, Tool: "find_item", Key: "k" + string(rune('0'+n)), Args: json.RawMessage(`{}`)}})
}

func ptr[T any](v T) *T { return &v }

func TestReplay(t *testing.T) {
	log := []astra.Event{
		opened(),
		event(1, astra.Event{Calling: &astra.Calling{N: 1, Tool: "find_item"}}),
		called(1),
		event(3, astra.Event{Turned: &astra.Turned{Turn: 1, Reply: "W3", Next: ptr("Order.")}}),
		called(2),
		event(5, astra.Event{Refused: &astra.Refused{Tool: "find_item", Reason: "budget"}}),
		event(6, astra.Event{Turned: &astra.Turned{Turn: 2, Reply: "done"}}),
		event(7, astra.Event{Submitted: &astra.Submitted{Answer: ptr("W3")}}),
		event(8, astra.Event{Scored: &astra.Score{Reward: .5}}),
		event(9, astra.Event{Scored: &astra.Score{Reward: .75}}),
	}
	e, err := astra.Replay(log)
	if err != nil {
		t.Fatal(err)
	}
	if len(e.Steps) != 2 || e.ByKey("k2") != &e.Steps[1] || e.ByKey("") != nil || e.ByKey("k9") != nil {
		t.Errorf("steps = %+v", e.Steps)
	}
	if len(e.Turns) != 2 || e.Turns[0].Prompt != "Which?" || *e.Turns[0].Reply != "W3" || e.Turns[1].Prompt != "Order." || *e.Turns[1].Reply != "done" {
		t.Errorf("turns = %+v", e.Turns)
	}
	if e.Refused != 1 || e.AnswerText() != "W3" || e.Pending != nil {
		t.Errorf("refused %d, answer %q, pending %v", e.Refused, e.AnswerText(), e.Pending)
	}
	if e.Status != astra.StatusScored || e.Score.Reward != .5 || len(e.Rescored) != 1 || e.Rescored[0].Reward != .75 {
		t.Errorf("a re-score changed the score: %+v, %+v", e.Score, e.Rescored)
	}
	if !e.EndedAt.Equal(noon.Add(8*time.Second)) || !e.OpenedAt.Equal(noon) {
		t.Errorf("opened %v, ended %v", e.OpenedAt, e.EndedAt)
	}
	if s := e.Summary(); s.Steps != 2 || *s.Reward != .5 || s.Task != "restock-7" {
		t.Errorf("summary = %+v", s)
	}
}

// A call that was sent and not recorded is what recovery looks for.
func TestReplayLeavesPendingCall(t *testing.T) {
	e, err := astra.Replay([]astra.Event{opened(), event(1, astra.Event{Calling: &astra.Calling{N: 1, Tool: "find_item"}})})
	if err != nil || e.Pending == nil || e.Over() {
		t.Errorf("episode %+v, error %v, want a pending call", e, err)
	}
}

func TestReplayRefuses(t *testing.T) {
	newer := called(1)
	newer.Schema = astra.EventSchema + 1
	for name, test := range map[string]struct {
		log  []astra.Event
		want string
	}{
		"no opening":    {[]astra.Event{called(1)}, "log record 1: a log begins with opened"},
		"opened twice":  {[]astra.Event{opened(), opened()}, "log record 2: a log begins with opened, once"},
		"gap":           {[]astra.Event{opened(), called(1), called(3)}, "log record 3: step 3 follows 1 steps"},
		"repeat":        {[]astra.Event{opened(), called(1), called(1)}, "log record 3: step 1 follows 1 steps"},
		"newer schema":  {[]astra.Event{opened(), newer}, "log record 2: log record of schema 2"},
		"empty record":  {[]astra.Event{opened(), event(1, astra.Event{})}, "log record 2: empty"},
		"no schema":     {[]astra.Event{{Opened: &astra.Opened{Episode: "ep-1"}}}, "log record 1: log record of schema 0"},
		"nothing at it": {[]astra.Event{event(0, astra.Event{})}, "log record 1: a log begins"},
	} {
		_, err := astra.Replay(test.log)
		if err == nil || !strings.HasPrefix(err.Error(), test.want) {
			t.Errorf("%s: error = %v, want %q", name, err, test.want)
		}
	}
}

func TestEnded(t *testing.T) {
	e, err := astra.Replay([]astra.Event{opened(), event(5, astra.Event{Ended: &astra.Ended{As: astra.StatusInvalid, Fault: astra.FaultSandbox, Reason: "wall clock"}})})
	if err != nil {
		t.Fatal(err)
	}
	if s := e.Summary(); !e.Over() || s.Status != astra.StatusInvalid || s.Fault != astra.FaultSandbox || s.Reward != nil {
		t.Errorf("summary = %+v", s)
	}
}

func TestViewAt(t *testing.T) {
	v := astra.View{Tools: []string{"a"}, Added: [][]string{nil, {"b"}, {"c"}}, Distractors: []astra.Distractor{{Arena: "geo", Tool: "d"}}}
	for turn, want := range map[int][]string{1: {"a", "d"}, 2: {"a", "b", "d"}, 3: {"a", "b", "c", "d"}, 9: {"a", "b", "c", "d"}} {
		if got := v.At(turn); !slices.Equal(got, want) {
			t.Errorf("At(%d) = %v, want %v", turn, got, want)
		}
	}
}

func TestIdsAndKeys(t *testing.T) {
	if a, b := astra.NewEpisodeID(), astra.NewEpisodeID(); a == b || len(a) != 19 || !strings.HasPrefix(string(a), "ep-") {
		t.Errorf("ids %s and %s", a, b)
	}
	k := astra.NewKey()
	if len(k) != 32 || k == astra.NewKey() || strings.Contains(k.Hash(), string(k)) || len(k.Hash()) != 64 {
		t.Errorf("key of %d characters, hash of %d", len(k), len(k.Hash()))
	}
}
