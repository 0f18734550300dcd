package certify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/agent"
)

// constants are answers that need no thought. What an arena's tasks most often expect
// is tried, too.
var constants = []string{"", "0", "1", "yes", "no", "true", "none", "[]"}

// agents plays agents that do not deserve a reward.
//
//   - The empty agent calls nothing and answers nothing: 0.
//   - The constant agent calls nothing and submits each of the constants: 0, or the share
//     that the weights give to the answer where sub-tasks count and a constant happens to be right.
//     With the expected answer itself it gets that share and no more.
//   - The random agent (agent.Random) plays with 20 seeds: see Options.
//   - The read-only agent plays gold without its writes: below 1 where gold writes.
//   - The sweeping agent calls each tool at its defaults and with every value of every
//     enum, as far as the budget goes: below 1.
func agents(ctx context.Context, t *trial, out *tally) error {
	for _, play := range []func(context.Context, *trial, *tally) error{idleAgents, randomAgent, readOnlyAgent, sweepingAgent} {
		if err := play(ctx, t, out); err != nil {
			return err
		}
	}
	return nil
}

// idle is a play of all turns without a call; the last reply is the answer.
func (t *trial) idle(ctx context.Context, answer string) (*play, error) {
	p, err := t.open(ctx, nil)
	if err != nil {
		return nil, err
	}
	if err = p.reach(ctx, len(t.task.Turns)); err == nil {
		_, err = p.Turn(ctx, answer)
	}
	if err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

// untouched is a play that has come to its last turn without a call.
func (t *trial) untouched(ctx context.Context) (*play, error) {
	p, err := t.open(ctx, nil)
	if err != nil {
		return nil, err
	}
	if err = p.reach(ctx, len(t.task.Turns)); err == nil {
		_, err = p.end(ctx) // looked at once for all forks
	}
	if err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

// reward is what an agent gets that says nothing but its answer from here on.
func (p *play) reward(ctx context.Context, answer *string, out *tally) (float64, error) {
	f, err := p.fork(ctx)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	reply := ""
	if answer != nil {
		reply = *answer
	}
	if _, err := f.Turn(ctx, reply); err != nil {
		return 0, err
	}
	out.add("plays", 1)
	score, err := f.Score(ctx, answer)
	if err != nil {
		return 0, err
	}
	return score.Reward, nil
}

func idleAgents(ctx context.Context, t *trial, out *tally) error {
	p, err := t.untouched(ctx)
	if err != nil {
		return err
	}
	defer p.Close()
	for _, idle := range []func(context.Context, *play, *tally) error{emptyAgent, constantAgent, expectedAlone} {
		if err := idle(ctx, p, out); err != nil {
			return err
		}
	}
	return nil
}

func emptyAgent(ctx context.Context, p *play, out *tally) error {
	reward, err := p.reward(ctx, nil, out)
	if err == nil && reward != 0 {
		out.find(p.t.finding("an agent that does nothing gets %.3f; a verifier without a weight is a gate and gives nothing by itself", reward))
	}
	return err
}

func constantAgent(ctx context.Context, p *play, out *tally) error {
	t, share := p.t, p.t.answerShare()
	list := constants
	if common := t.in.book.common(t.task); common != "" {
		list = append(list[:len(list):len(list)], common)
	}
	for _, answer := range list {
		reward, err := p.reward(ctx, &answer, out)
		if err != nil {
			return err
		}
		if reward > share {
			out.find(t.finding("an agent that calls nothing and always answers %q gets %.3f; ask for an answer that is not guessed, or let sub-tasks count", clip(answer, 60), reward))
			break
		}
	}
	return nil
}

// expectedAlone: who has the answer from elsewhere must still do the work.
func expectedAlone(ctx context.Context, p *play, out *tally) error {
	t, share, answer := p.t, p.t.answerShare(), agent.GoldAnswer(p.t.task)
	if answer == "" || !t.counts() {
		return nil
	}
	reward, err := p.reward(ctx, &answer, out)
	if err == nil && reward > share {
		out.find(t.finding("the expected answer without a call gets %.3f, more than the %.3f that weights give to the answer; give f1 a weight", reward, share))
	}
	return err
}

// answerShare is what a right answer alone may bring: nothing where sub-tasks count, unless
// the weights say so. An answer that nobody can guess may be all there is.
func (t *trial) answerShare() float64 {
	if !t.counts() {
		return 0
	}
	sum := 0.0
	for _, name := range sortedKeys(t.task.Weights) {
		sum += t.task.Weights[name]
	}
	if sum == 0 || t.task.Weights["f1"] == 0 {
		return 0
	}
	return t.task.Weights["answer"] / sum
}

// A door is a rehearsal as an agent sees it.
type door struct{ *play }

func (d door) Tools(context.Context) ([]astra.PublicTool, error) { return d.play.Tools() }

// Call tells of a spent budget as an agent's door does.
func (d door) Call(ctx context.Context, tool string, args json.RawMessage) (agent.Outcome, error) {
	step, err := d.play.Call(ctx, astra.Call{Tool: tool, Args: args})
	if errors.Is(err, astra.ErrBudget) {
		return agent.Outcome{Failed: true, Text: err.Error()}, nil
	}
	return agent.Outcome{Failed: !step.Result.OK(), Value: step.Result.Value, Text: text(step.Result)}, err
}

func randomAgent(ctx context.Context, t *trial, out *tally) error {
	n, sum, most := t.in.opts.RandomPlays, 0.0, 0.0
	h := fnv.New64a()
	fmt.Fprintf(h, "%s/%s", t.in.arena.Name, t.task.ID) // so that tasks meet different agents
	for i := range n {
		reward, err := t.random(ctx, h.Sum64()+uint64(i))
		if err != nil {
			return err
		}
		sum, most = sum+reward, max(most, reward)
	}
	out.add("random_plays", float64(n))
	out.add("random_reward", sum)
	switch mean := sum / float64(n); {
	case mean > t.in.opts.RandomMean:
		out.find(t.finding("a random agent gets %.3f on average, more than %.3f; ask for arguments that are not hit by chance", mean, t.in.opts.RandomMean))
	case most > t.in.opts.RandomMost:
		out.find(t.finding("one of %d random agents gets %.3f, more than %.3f; ask for arguments that are not hit by chance", n, most, t.in.opts.RandomMost))
	}
	return nil
}

func (t *trial) random(ctx context.Context, seed uint64) (float64, error) {
	p, err := t.open(ctx, nil)
	if err != nil {
		return 0, err
	}
	defer p.Close()
	player, reply := agent.NewRandom(&agent.RandomOptions{Seed: seed}), ""
	for range t.task.Turns {
		if reply, err = player.Play(ctx, door{p}, p.Message()); err != nil {
			return 0, fmt.Errorf("a random agent: %w", err)
		}
		if _, err := p.Turn(ctx, reply); err != nil {
			return 0, err
		}
	}
	score, err := p.Score(ctx, &reply)
	if err != nil {
		return 0, err
	}
	return score.Reward, nil
}

func readOnlyAgent(ctx context.Context, t *trial, out *tally) error {
	writes := false
	for k := range t.calls {
		writes = writes || t.writes(k)
	}
	if !writes || !t.playable(out) {
		return nil
	}
	p, err := t.open(ctx, nil)
	if err != nil {
		return err
	}
	defer p.Close()
	for k := range t.calls {
		if t.writes(k) {
			continue
		}
		if _, err := p.call(ctx, k); err != nil && !errors.Is(err, errNoValue) {
			return err
		}
	}
	if err := p.finish(ctx); err != nil {
		return err
	}
	out.add("plays", 1)
	score, err := p.Score(ctx, t.right())
	if err == nil && score.Reward >= 1 {
		out.find(t.finding("without the calls that write, gold still scores %v; let a sub-task with solved, or a verifier of the state, ask for what must be done", score.Reward))
	}
	return err
}

// maxSweep bounds the calls of one tool by the sweeping agent.
const maxSweep = 32

func sweepingAgent(ctx context.Context, t *trial, out *tally) error {
	p, err := t.idle(ctx, "")
	if err != nil {
		return err
	}
	defer p.Close()
	tools, err := p.Tools()
	if err != nil {
		return err
	}
	for i := range tools {
		for _, args := range sweep(t.in.tools[tools[i].Name]) {
			_, err := p.Call(ctx, astra.Call{Tool: tools[i].Name, Args: encode(args)})
			if err != nil && !errors.Is(err, astra.ErrBudget) {
				return err
			}
		}
	}
	out.add("plays", 1)
	score, err := p.Score(ctx, nil)
	if err == nil && score.Reward >= 1 {
		out.find(t.finding("calling every tool with every value of its enums scores %v; ask for an argument that must be known", score.Reward))
	}
	return err
}

// sweep are the calls of a tool that can be made without knowing anything: nothing at all
// but what is required, at defaults and first values; then each value of each enum.
func sweep(f *toolFacts) []map[string]any {
	base := map[string]any{}
	for _, p := range f.Params {
		switch {
		case p.Default != nil:
			base[p.Name] = p.Default
		case p.Required && len(p.Enum) > 0:
			base[p.Name] = p.Enum[0]
		case p.Required && len(p.Examples) > 0:
			base[p.Name] = p.Examples[0]
		case p.Required:
			return nil // it must be known
		}
	}
	calls, seen := []map[string]any{base}, map[string]bool{string(encode(base)): true}
	for _, p := range f.Params {
		for _, v := range p.Enum {
			args := with(base, p.Name, v)
			if key := string(encode(args)); !seen[key] && len(calls) < maxSweep {
				seen[key] = true
				calls = append(calls, args)
			}
		}
	}
	return calls
}
