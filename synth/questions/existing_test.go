package questions_test

import (
	"iter"
	"strings"
	"testing"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/synth/questions"
	"github.com/astra-arenas/astra/synth/questions/authortest"
)

const shipPlan = `{"main_question": "What does the Borealis pay for a night where it lies now?", "final": "3", "sub_questions": [
	{"id": "1", "question": "In which harbour is the ship?", "depends_on": [], "tool": "find_ship", "args": {"name": "Borealis"}, "at": "/harbour"},
	{"id": "2", "question": "How long is the ship?", "depends_on": [], "tool": "find_ship", "args": {"name": "Borealis"}, "at": "/length"},
	{"id": "3", "question": "What is the fee there for a ship of that length?", "depends_on": ["1", "2"], "tool": "berth_fee", "args": {"harbour": "$1", "length": "$2"}, "at": "/fee"}]}`

func planning(plans ...string) authortest.Fault {
	return func(a *authortest.Asked, said authortest.Answer) authortest.Answer {
		if a.Step != "plan" {
			return said
		}
		next := plans[0]
		plans = plans[min(1, len(plans)-1):]
		return authortest.Answer{Text: next}
	}
}

func ships(t *testing.T) iter.Seq2[questions.Source, error] {
	t.Helper()
	arena, err := astra.Load("testdata/ships")
	if err != nil {
		t.Fatal(err)
	}
	return func(yield func(questions.Source, error) bool) { yield(questions.ToolsOf(arena, ""), nil) }
}

// Over tools that exist, answers are what the tools tell.
func TestToolsThatExist(t *testing.T) {
	d := newDesk(t, planning(strings.Replace(shipPlan, `"Borealis"}, "at": "/length"`, `"Bor"}, "at": "/length"`, 1), shipPlan), nil)
	arenas := d.mustWrite(ships(t))
	if len(arenas) != 1 {
		t.Fatalf("%d arenas; rejected: %v", len(arenas), d.reasons())
	}
	goldScores(t, d.runtime, arenas)
	a, err := arenas[0].Bundle.Load()
	if err != nil || a.Name != "ships" || len(a.Tasks) != 2 {
		t.Fatalf("arena %+v, %v", a, err)
	}
	in := arenas[0].Drafts[0].Instance
	if string(in.Answer) != "132.8125" || in.Scenario != "Parallel Multi-Hop" {
		t.Errorf("instance %+v", in)
	}
	if gold := string(a.Tasks[1].Gold[0][1].Args); gold != `{"harbour":"$1.value.harbour","length":"$1.value.length"}` || len(a.Tasks[1].Gold[0]) != 2 {
		t.Errorf("gold %s", gold)
	}
}

func TestPlansThatFail(t *testing.T) {
	for reason, plan := range map[string]string{
		"plan: call":    strings.Replace(shipPlan, "Borealis", "Caledonia", 3),
		"plan: acyclic": strings.Replace(shipPlan, `"depends_on": []`, `"depends_on": ["3"]`, 1),
		"plan: parents": strings.Replace(shipPlan, `"final": "3"`, `"final": "4"`, 1),
		"plan: leak":    strings.Replace(shipPlan, "where it lies now", "in Rønne", 1),
		"plan: hops":    `{"main_question": "Where?", "final": "1", "sub_questions": [{"id": "1", "question": "Where?", "depends_on": [], "tool": "find_ship", "args": {"name": "Aurora"}, "at": "/harbour"}]}`,
	} {
		d := newDesk(t, planning(plan), nil)
		if arenas := d.mustWrite(ships(t)); len(arenas) != 0 || d.reasons()[reason] != 1 {
			t.Errorf("%s: %d arenas; rejected: %v", reason, len(arenas), d.reasons())
		}
	}
}
