package trajectories

import (
	"context"
	"fmt"
	"iter"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/synth"
	"github.com/astra-arenas/astra/synth/ask"
	"github.com/astra-arenas/astra/synth/scores"
	"github.com/astra-arenas/astra/synth/tasks"
)

// Playable are the tasks that their arenas can have.
func (p *Player) Playable(ctx context.Context, run *synth.Run, c *Collection, list iter.Seq2[tasks.Task, error]) iter.Seq2[tasks.Task, error] {
	return ask.Stage(ctx, run, p.tally, "arenas", list, func(t tasks.Task) string { return t.ID }, func(_ context.Context, t tasks.Task) (synth.Result[tasks.Task], error) {
		t.Spent = ask.Spent{}
		why, err := p.loads(c, &t)
		if why == "" || err != nil {
			return synth.Passed(t), err
		}
		r := synth.Rejected[tasks.Task]("does not load", "%s", ask.Clip(why, 1000))
		r.Value = t
		return r, nil
	})
}

// Conversations are what agents made of tasks, in their order: those that came to an end.
func (p *Player) Conversations(ctx context.Context, run *synth.Run, bundles map[string]*astra.Bundle, list []tasks.Task) iter.Seq2[Conversation, error] {
	return ask.Stage(ctx, run, p.tally, "conversations", p.attempts(bundles, list), attempt.key, p.play)
}

func (p *Player) attempts(bundles map[string]*astra.Bundle, list []tasks.Task) iter.Seq2[attempt, error] {
	return func(yield func(attempt, error) bool) {
		for i := range list {
			var need []*astra.Bundle
			for _, name := range list[i].Servers() {
				need = append(need, bundles[name])
			}
			for n := range p.opts.Samples {
				if !yield(attempt{list[i], n, need}, nil) {
					return
				}
			}
		}
	}
}

// Judged gives conversations their seven scores. One of which any score is unknown goes no
// further.
func (p *Player) Judged(ctx context.Context, run *synth.Run, list iter.Seq2[Conversation, error]) iter.Seq2[Conversation, error] {
	return ask.Stage(ctx, run, p.tally, "scores", list, func(c Conversation) string { return c.key() }, p.score)
}

var expected = map[tasks.Kind]scores.Expected{tasks.Decline: scores.ToDecline, tasks.Clarify: scores.ToClarify}

func (p *Player) score(ctx context.Context, c Conversation) (synth.Result[Conversation], error) {
	chat, err := c.Trajectory.Chat()
	if err != nil {
		return synth.Result[Conversation]{}, err
	}
	given, spent, err := p.judge.Score(ctx, scores.Input{ID: c.ID, Language: c.Task.Language, Chat: chat, Tools: c.Trajectory.Tools, Steps: c.Calls,
		Expected: expected[c.Task.Kind]})
	if err != nil {
		return synth.Result[Conversation]{}, err
	}
	c.Spent, c.Scores = spent, &given
	if given.Mean == nil {
		name, why := given.Unknown()
		return c.settled("unknown: "+name, why), nil
	}
	c.Trajectory.Metadata.Scores = given.Map()
	return synth.Passed(c), nil
}

// Accepted are the conversations that are good enough. A percentile needs every mean before
// the first is taken: the conversations, which a run keeps, are gone through twice then.
func (p *Player) Accepted(ctx context.Context, run *synth.Run, judged func(*Player, *synth.Run) iter.Seq2[Conversation, error]) iter.Seq2[Conversation, error] {
	if p.opts.Percentile == 0 {
		return p.above(ctx, run, p.opts.Thresholds, judged(p, run))
	}
	first := judged(p, run)
	return func(yield func(Conversation, error) bool) {
		cut := p.opts.Thresholds
		var means []float64
		for c, err := range first {
			if err != nil {
				yield(Conversation{}, err)
				return
			}
			means = append(means, *c.Scores.Mean)
		}
		cut.Mean = synth.Percentile(means, p.opts.Percentile)
		again := *p
		again.tally = new(ask.Tally)
		p.above(ctx, run, cut, judged(&again, run.Again()))(yield)
	}
}

func (p *Player) above(ctx context.Context, run *synth.Run, cut scores.Thresholds, list iter.Seq2[Conversation, error]) iter.Seq2[Conversation, error] {
	key := func(c Conversation) string { return fmt.Sprint(c.key(), " ", cut) } // another cut is another question
	return ask.Stage(ctx, run, p.tally, "acceptance", list, key, func(_ context.Context, c Conversation) (synth.Result[Conversation], error) {
		c.Spent = ask.Spent{}
		verdict, reason := cut.Judge(c.Scores)
		return synth.Result[Conversation]{Verdict: verdict, Reason: reason, Detail: c.ID, Value: c}, nil
	})
}
