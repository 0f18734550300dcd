package certify

import (
	"context"

	"github.com/astra-arenas/astra"
)

// A check asks one thing of every task or of every tool.
type check struct {
	Name    string // stands in certificates; never changes its meaning
	Meaning string // in one line, for people
	figures []string
	rates   []rate
	task    func(context.Context, *trial, *tally) error
	tool    func(context.Context, *inspection, *astra.Tool, *tally) error
}

// A rate is one figure over another, shown after them.
type rate struct{ name, of, by string }

var checks = []check{
	{Name: "names", Meaning: "tools and distractors have names that cannot be confused",
		figures: []string{"names"}, task: names},
	{Name: "gold", Meaning: "gold plays twice byte for byte, fits the budget, scores 1, and every call solves something",
		figures: []string{"plays", "calls"}, task: gold},
	{Name: "agents", Meaning: "empty, constant, random, read-only and sweeping agents score what they should",
		figures: []string{"plays", "random_plays", "random_reward"}, rates: []rate{{"random_mean", "random_reward", "random_plays"}}, task: agents},
	{Name: "arguments", Meaning: "wrong, missing and default arguments yield no answer; other entities give other answers",
		figures: []string{"calls", "missing", "others", "refused", "same", "unconfirmed"}, task: arguments},
	{Name: "dependencies", Meaning: "every depends_on is real: without its parent's value the child is not solved",
		figures: []string{"dependencies", "by_value", "through", "by_order", "documented", "replaced"}, task: dependencies},
	{Name: "answers", Meaning: "mutants of every answer are refused by its verifier",
		figures: []string{"answers", "made", "refused"}, rates: []rate{{"mutation_score", "refused", "made"}}, task: answers},
	{Name: "leaks", Meaning: "no answer stands in a tool's document or in a prompt",
		figures: []string{"answers", "trivial"}, task: leaks},
	{Name: "prompts", Meaning: "prompts name no tool and keep one language",
		figures: []string{"prompts", "en", "zh", "other"}, task: prompts},
	{Name: "fuzz", Meaning: "fuzzed arguments end in results or in errors that an agent can read",
		figures: []string{"calls", "results", "refused", "failed"}, tool: fuzz},
	{Name: "order", Meaning: "reads between and independent calls swapped change nothing; dependent calls out of order lose",
		figures: []string{"reads", "swaps", "reversed"}, task: order},
	{Name: "leaf", Meaning: "no sub-task is solved by a leaf of a tool without arguments",
		figures: []string{"subtasks"}, task: leaf},
}

// Checks lists name and meaning of every check, in the order of certificates.
func Checks() (names, meanings []string) {
	for i := range checks {
		names, meanings = append(names, checks[i].Name), append(meanings, checks[i].Meaning)
	}
	return names, meanings
}

func (c *check) outcome(sum *tally) astra.CertificateCheck {
	k := astra.CertificateCheck{Name: c.Name, Unknown: sum.unknown, Findings: sum.findings, More: sum.more}
	k.Passed = len(k.Findings)+k.More+k.Unknown == 0
	for _, name := range c.figures {
		k.Figures = append(k.Figures, astra.Figure{Name: name, Value: round(sum.sums[name])})
	}
	for _, r := range c.rates {
		if by := sum.sums[r.by]; by > 0 {
			k.Figures = append(k.Figures, astra.Figure{Name: r.name, Value: round(sum.sums[r.of] / by)})
		}
	}
	return k
}
