package questions

import (
	"context"
	"strings"

	"github.com/astra-arenas/astra/synth"
	"github.com/astra-arenas/astra/synth/ask"
)

// A Quality is ASTRA's QS and what it is made of (§3.4). Each is in [0, 1].
type Quality struct {
	DC float64 `json:"dc"` // dependencies are what is needed and no more: mean over all sub-questions
	SA float64 `json:"sa"` // sub-questions are atomic: mean over all
	SR float64 `json:"sr"` // none is forced into a series: 1 - the share of those listed
	TC float64 `json:"tc"` // the whole question is answered: 0 or 1
	QS float64 `json:"qs"` // the mean of the four
}

// judgements are the reply on each sub-question of an instance.
type judgements struct {
	Analysis string `json:"analysis"`
	Nodes    []struct {
		ID      string `json:"id"`
		Verdict string `json:"verdict"`
		Reason  string `json:"reason"`
	} `json:"sub_questions"`
}

// A listed is the reply that names only what is wrong.
type listed struct {
	Analysis string `json:"analysis"`
	Problems []struct {
		ID     string `json:"id"`
		Reason string `json:"reason"`
	} `json:"problems"`
	Unsure []string `json:"unsure"`
}

// A completeness is the reply on the whole.
type completeness struct {
	Analysis string `json:"analysis"`
	Verdict  string `json:"verdict"`
	Reason   string `json:"reason"`
}

// verify makes the four validations (step c). What a program can tell has been told
// before: parents exist, there is no circle, levels and shape are right. A judgement that
// cannot be read, or that is unsure, makes the instance unknown.
func (a *Author) verify(ctx context.Context, d Draft) (synth.Result[Draft], error) {
	d.Spent = ask.Spent{}
	var q Quality
	for _, judge := range []func(context.Context, *Draft, *Quality) (*ask.Miss, error){a.judgeEach("dependency", func(q *Quality) *float64 { return &q.DC }),
		a.judgeEach("atomicity", func(q *Quality) *float64 { return &q.SA }), a.judgeSeries, a.judgeWhole} {
		if missed, err := judge(ctx, &d, &q); missed != nil || err != nil {
			return settle(d, missed, err)
		}
	}
	q.QS = (q.DC + q.SA + q.SR + q.TC) / 4
	d.Quality = &q
	return synth.Passed(d), nil
}

func (a *Author) judgeEach(step string, at func(*Quality) *float64) func(context.Context, *Draft, *Quality) (*ask.Miss, error) {
	return func(ctx context.Context, d *Draft, q *Quality) (*ask.Miss, error) {
		reply, missed, err := askModel(ctx, a, &d.Spent, about(step, d), func(j *judgements) error {
			var ids []string
			for _, n := range j.Nodes {
				if ids = append(ids, n.ID); !isVerdict(n.Verdict) {
					return ask.Misread(ask.NoVerdict, "sub-question %.40q: %.40q is no verdict: say yes, no or unsure", n.ID, n.Verdict)
				}
			}
			return each(&d.Instance, ids)
		})
		if missed != nil || err != nil {
			return missed, err
		}
		good := 0
		for _, n := range reply.Nodes {
			switch n.Verdict {
			case "yes":
				good++
			case "unsure":
				return ask.Unsure(step+": unsure", n.ID+": "+n.Reason), nil
			}
		}
		*at(q) = float64(good) / float64(len(d.Instance.Nodes))
		return nil, nil
	}
}

func isVerdict(s string) bool { return s == "yes" || s == "no" || s == "unsure" }

// judgeSeries asks which sub-questions wait for others without need.
func (a *Author) judgeSeries(ctx context.Context, d *Draft, q *Quality) (*ask.Miss, error) {
	in := &d.Instance
	reply, missed, err := askModel(ctx, a, &d.Spent, about("serialisation", d), func(l *listed) error {
		if l.Problems == nil || l.Unsure == nil { // silence is no pass
			return ask.Misread(ask.NoVerdict, `give "problems" and "unsure", empty if there are none`)
		}
		seen := map[string]bool{}
		for _, p := range l.Problems {
			if in.Node(p.ID) == nil || seen[p.ID] {
				return ask.Misread(ask.NoVerdict, "the sub-question %.40q does not exist or comes twice", p.ID)
			}
			seen[p.ID] = true
		}
		return nil
	})
	if missed != nil || err != nil {
		return missed, err
	}
	if len(reply.Unsure) > 0 {
		return ask.Unsure("serialisation: unsure", strings.Join(reply.Unsure, ", ")), nil
	}
	q.SR = 1 - float64(len(reply.Problems))/float64(len(in.Nodes))
	return nil, nil
}

func (a *Author) judgeWhole(ctx context.Context, d *Draft, q *Quality) (*ask.Miss, error) {
	reply, missed, err := askModel(ctx, a, &d.Spent, about("completeness", d), func(c *completeness) error {
		if !isVerdict(c.Verdict) {
			return ask.Misread(ask.NoVerdict, "%.40q is no verdict: say yes, no or unsure", c.Verdict)
		}
		return nil
	})
	switch {
	case missed != nil || err != nil:
		return missed, err
	case reply.Verdict == "unsure":
		return ask.Unsure("completeness: unsure", reply.Reason), nil
	case reply.Verdict == "yes":
		q.TC = 1
	}
	return nil, nil
}

// good holds an instance to the run's threshold.
func good(d Draft, cut float64) synth.Result[Draft] {
	d.Spent = ask.Spent{}
	if d.Quality.QS < cut {
		return spoiled(d, "below the threshold", "QS %.4f, threshold %.4f", d.Quality.QS, cut)
	}
	return synth.Passed(d)
}
