package exports

import (
	"errors"
	"fmt"
	"math"

	"github.com/astra-arenas/astra/trainer/datasets"
	"github.com/astra-arenas/astra/trainer/samples"
	"github.com/astra-arenas/astra/trainer/sequences"
)

// A group is one on its way to rows.
type group struct {
	ordinal   int // among the groups that came, from 0; those that are left out leave gaps
	samples   []samples.Sample
	options   *Options
	told      [][]bool // by sample and sequence: whether rows have its tokens
	out, lost datasets.Tally
}

// check refuses what no group of scored episodes has. It is an error, and not left out: the
// advantages of the rest would be of another group.
func (g *group) check() error {
	for i := range g.samples {
		s := &g.samples[i]
		if err := checkSample(s, g.samples[0].Group); err != nil {
			return fmt.Errorf("group %.64q: episode %.64s: %w", g.samples[0].Group, s.Episode, err)
		}
	}
	return nil
}

func checkSample(s *samples.Sample, group string) error {
	switch {
	case s.Group == "" || s.Episode == "":
		return errors.New("an episode without a name, or without a group")
	case s.Group != group:
		return fmt.Errorf("it is of the group %.64q", s.Group)
	case !(s.Reward >= 0 && s.Reward <= 1):
		return fmt.Errorf("the reward is %g: want 0 to 1", s.Reward)
	case math.IsNaN(s.Advantage) || math.IsInf(s.Advantage, 0):
		return fmt.Errorf("the advantage is %g", s.Advantage)
	}
	for k := range s.Sequences {
		if err := checkSequence(&s.Sequences[k]); err != nil {
			return fmt.Errorf("sequence %d: %w", k, err)
		}
	}
	return nil
}

func checkSequence(s *sequences.Sequence) error {
	n := len(s.Tokens)
	if len(s.Mask) != n || s.Logprobs != nil && len(s.Logprobs) != n {
		return fmt.Errorf("%d tokens, with %d in the mask and %d log-probabilities", n, len(s.Mask), len(s.Logprobs))
	}
	for i, p := range s.Logprobs {
		if math.IsNaN(p) || math.IsInf(p, 0) { // no format can say it, and no loss is finite with it
			return fmt.Errorf("token %d has the log-probability %g", i, p)
		}
	}
	return nil
}

// flat reports that all rewards are equal: there is nothing to learn from comparing them.
func (g *group) flat() bool {
	for i := range g.samples {
		if g.samples[i].Reward != g.samples[0].Reward {
			return false
		}
	}
	return true
}

// leave counts a sample that makes no row, and lose one whose row says less than it did. Of
// err the text up to the first colon is the kind that is counted.
func (g *group) leave(i int, err error) { g.out.Add(g.place(i, err)) }
func (g *group) lose(i int, err error)  { g.lost.Add(g.place(i, err)) }

func (g *group) place(i int, err error) string {
	return fmt.Sprintf("%s, episode %s", err, g.samples[i].Episode)
}

// because is a kind, and an example of it.
func because(kind, format string, args ...any) error {
	return fmt.Errorf("%s: "+format, append([]any{kind}, args...)...)
}

// hasChat reports whether a sample's messages were kept.
func hasChat(s *samples.Sample) bool { return s.Trajectory != nil && len(s.Trajectory.Messages) > 0 }

// loseTokens and loseChat tell of what the rows of a sample do not have.
func (g *group) loseTokens(i int) {
	if len(g.samples[i].Sequences) > 0 {
		g.lose(i, because("token ids and log-probabilities are left out", "%s has none", g.options.Format))
	}
}

func (g *group) loseChat(i int) {
	if hasChat(&g.samples[i]) {
		g.lose(i, because("messages and tools are left out", "%s has tokens alone", g.options.Format))
	}
}

// eachSequence calls f for the sequences that can be trained on, as indices of sample and
// sequence, and tells of the others.
func (g *group) eachSequence(f func(i, k int)) {
	for i := range g.samples {
		s, some := &g.samples[i], false
		for k := range s.Sequences {
			if err := trainable(&s.Sequences[k]); err != nil {
				g.lose(i, err)
				continue
			}
			g.told[i][k], some = true, true
			f(i, k)
		}
		if !some {
			g.leave(i, because("no tokens to train on", "%d sequences", len(s.Sequences)))
			continue
		}
		g.loseChat(i)
	}
}

func trainable(s *sequences.Sequence) error {
	switch {
	case s.Sampled() == 0:
		return because("a sequence is left out in which nothing was sampled", "%d tokens", len(s.Tokens))
	case s.Mask[0]:
		return because("a sequence is left out that has no prompt", "its first token was sampled")
	case s.Logprobs == nil: // losses weigh by it
		return because("a sequence is left out whose log-probabilities are not known", "%d tokens", len(s.Tokens))
	}
	return nil
}

// prompt is how many tokens of a sequence come before all that was sampled.
func prompt(s *sequences.Sequence) int {
	for i, sampled := range s.Mask {
		if sampled {
			return i
		}
	}
	return len(s.Mask)
}
