package main

import (
	"fmt"

	"github.com/astra-arenas/astra"
)

// A tally is the attempts of one task, or of all, put together. The means are of scored
// episodes alone, and nil where there are none.
type tally struct {
	Task      string   `json:"task"`
	Episodes  int      `json:"episodes"`
	Scored    int      `json:"scored"`
	Invalid   int      `json:"invalid"`
	Failed    int      `json:"failed"` // could not be played to the end
	Reward    *float64 `json:"reward"`
	Recall    *float64 `json:"recall"`
	Precision *float64 `json:"precision"`
	Steps     float64  `json:"steps"` // mean of all that were opened
}

func (t *tally) add(at *attempt) {
	t.Steps = (t.Steps*float64(t.Episodes) + float64(at.Steps)) / float64(t.Episodes+1)
	t.Episodes++
	switch {
	case at.Reward != nil:
		mean(&t.Reward, *at.Reward, t.Scored)
		mean(&t.Recall, *at.Recall, t.Scored)
		mean(&t.Precision, *at.Precision, t.Scored)
		t.Scored++
	case at.Status == astra.StatusInvalid:
		t.Invalid++
	default:
		t.Failed++
	}
}

// mean takes one more into the mean of n.
func mean(m **float64, v float64, n int) {
	if *m == nil {
		*m = new(float64)
	}
	**m += (v - **m) / float64(n+1)
}

// tallies are in the order in which tasks first appear; the last is of all.
func tallies(attempts []attempt) []*tally {
	byTask := map[string]*tally{}
	var list []*tally
	total := &tally{Task: "all"}
	for i := range attempts {
		t := byTask[attempts[i].Task]
		if t == nil {
			t = &tally{Task: attempts[i].Task}
			byTask[t.Task], list = t, append(list, t)
		}
		t.add(&attempts[i])
		total.add(&attempts[i])
	}
	return append(list, total)
}

// printRun shows what came of a rollout. The error is errQuiet if an attempt did not get a
// score: what went wrong has then been shown.
func (a *app) printRun(c choice, f *runFlags, attempts []attempt) error {
	list := tallies(attempts)
	total := list[len(list)-1]
	if a.json {
		if err := a.printJSON(map[string]any{"arena": c.ref, "agent": f.agent, "tasks": list[:len(list)-1], "total": total, "episodes": attempts}); err != nil {
			return err
		}
	} else if err := a.printTallies(list); err != nil {
		return err
	}
	if total.Scored == total.Episodes {
		return nil
	}
	a.complain(attempts)
	return errQuiet
}

func (a *app) printTallies(list []*tally) error {
	t := newTable("task", "episodes", "reward", "recall", "precision", "steps", "invalid", "failed")
	for _, x := range list {
		t.row(x.Task, x.Episodes, x.Reward, x.Recall, x.Precision, fmt.Sprintf("%.1f", x.Steps), x.Invalid, x.Failed)
	}
	return t.write(a.stdout)
}

// maxComplaints is how many attempts without a score are told of one by one.
const maxComplaints = 5

func (a *app) complain(attempts []attempt) {
	told := 0
	for _, at := range attempts {
		if at.Reward != nil {
			continue
		}
		if told++; told > maxComplaints {
			continue
		}
		why := at.Error
		if why == "" {
			why = string(at.Status)
		}
		name := fmt.Sprintf("task %s, attempt %d", plain(at.Task), at.Number)
		if at.Episode != "" {
			name += ", " + string(at.Episode)
		}
		a.note("astra: %s: %s", name, clip(why, 400))
	}
	if told > maxComplaints {
		a.note("astra: and %d more without a score; `astra episodes --status invalid` lists the invalid ones", told-maxComplaints)
	}
}
