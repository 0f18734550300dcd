package astra

// A Score is the reward of an episode and what decided it, clause by clause. An episode
// that cannot be judged has no score: it is invalid, never 0.
type Score struct {
	Reward    float64        `json:"reward"`    // in [0,1]
	Recall    float64        `json:"recall"`    // solved sub-tasks / sub-tasks that count
	Precision float64        `json:"precision"` // steps that solved something / steps
	Parts     []Part         `json:"parts"`     // f1, answer, then named verifiers by name
	Subtasks  []SubtaskScore `json:"subtasks,omitempty"`
	Verifier  string         `json:"verifier"` // version of the rules that judged
}

// A Part is one component of the reward, in [0,1].
type Part struct {
	Name    string   `json:"name"`
	Value   float64  `json:"value"`
	Weight  float64  `json:"weight"`
	Gate    bool     `json:"gate,omitempty"` // not averaged; unless it is 1 the reward is 0
	Reasons []Reason `json:"reasons,omitempty"`
}

// A SubtaskScore says whether a sub-task was solved, by which step, and why not.
type SubtaskScore struct {
	ID     string  `json:"id"`
	Solved bool    `json:"solved"`
	Step   int     `json:"step,omitempty"` // the step that solved it
	Reason *Reason `json:"reason,omitempty"`
}

// A Reason explains a clause without quoting anything hidden: a door may show it. Where
// it speaks of a verifier, Clause is the byte range of the deciding sub-expression in
// its source, so that whoever has the bundle can see the text.
type Reason struct {
	Text   string  `json:"text"`
	Clause *[2]int `json:"clause,omitempty"`
	Step   int     `json:"step,omitempty"`
}

// F1 is the harmonic mean of recall and precision, where n sub-tasks count, solved of
// them were solved, and useful of steps solved something. It is 0 when nothing was
// solved. (ASTRA §3.6 with precision held to at most 1.)
func F1(n, solved, steps, useful int) (f1, recall, precision float64) {
	if n == 0 || solved == 0 || steps == 0 {
		return 0, 0, 0
	}
	recall = float64(solved) / float64(n)
	precision = float64(useful) / float64(steps)
	return 2 * precision * recall / (precision + recall), recall, precision
}

// Combine averages the weighted parts and applies the gates; with no weighted part the
// average is 1.
func Combine(parts []Part) float64 {
	sum, weight := 0.0, 0.0
	for _, p := range parts {
		if p.Gate && p.Value != 1 {
			return 0
		}
		if !p.Gate {
			sum, weight = sum+p.Weight*p.Value, weight+p.Weight
		}
	}
	if weight == 0 {
		return 1
	}
	return sum / weight
}
