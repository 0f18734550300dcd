package trajectories

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/astra-arenas/astra/synth"
)

// What the paper says of its SFT data (ASTRA A.1.1).
const (
	paperMessages  = 10.59 // of a conversation
	paperCalls     = 4.42
	paperOneToFive = 0.722 // of conversations have 1 to 5 calls
	paperTool      = 0.418 // of messages
	paperAssistant = 0.393
)

// A Tally collects what a report says of conversations.
type Tally struct {
	n, messages, calls, oneToFive, injected int
	roles                                   map[string]int
	called                                  map[string]bool
	by                                      map[string]map[string]int
	tasks                                   map[string]bool
}

// Add counts a conversation.
func (t *Tally) Add(c *Conversation) {
	if t.by == nil {
		t.roles, t.called, t.by, t.tasks = map[string]int{}, map[string]bool{}, map[string]map[string]int{}, map[string]bool{}
	}
	chat, err := c.Trajectory.Chat()
	if err != nil {
		return // it was read when it was played
	}
	t.n++
	t.messages += len(chat)
	for _, m := range chat {
		t.roles[m.Role]++
		for _, call := range m.ToolCalls {
			t.called[c.Task.Server+"/"+call.Function.Name] = true
		}
	}
	calls := len(c.Calls)
	t.calls += calls
	t.injected += c.Injected
	if calls >= 1 && calls <= 5 {
		t.oneToFive++
	}
	t.tasks[c.Task.ID] = true
	t.count("kind", string(c.Task.Kind))
	t.count("augmentation", cmp.Or(string(c.Task.Mode), "none"))
	t.count("language", string(c.Task.Language))
	t.count("domain", cmp.Or(c.Task.Domain, "none"))
	t.count("server", c.Task.Server)
	t.count("tool calls", strconv.Itoa(calls))
	t.count("user messages", strconv.Itoa(c.Turns))
	if c.Scores != nil {
		for name, v := range c.Scores.Map() {
			t.count("score: "+name, fmt.Sprintf("%.1f", v))
		}
	}
}

// Len is how many were counted.
func (t *Tally) Len() int { return t.n }

func (t *Tally) count(name, label string) {
	if t.by[name] == nil {
		t.by[name] = map[string]int{}
	}
	t.by[name][label]++
}

// Fill writes the figures and distributions into a report.
func (t *Tally) Fill(r *synth.Report) {
	if r.Kept = t.n; t.n == 0 {
		return
	}
	paper := func(f float64) *float64 { return &f }
	n, messages := float64(t.n), float64(t.messages)
	r.Figures = []synth.Figure{
		{Name: "messages of a conversation, mean", Value: messages / n, Paper: paper(paperMessages)},
		{Name: "tool calls of a conversation, mean", Value: float64(t.calls) / n, Paper: paper(paperCalls)},
		{Name: "conversations with 1 to 5 calls, share", Value: float64(t.oneToFive) / n, Paper: paper(paperOneToFive)},
		{Name: "messages of tools, share", Value: float64(t.roles["tool"]) / messages, Paper: paper(paperTool)},
		{Name: "messages of the assistant, share", Value: float64(t.roles["assistant"]) / messages, Paper: paper(paperAssistant)},
		{Name: "different tools that were called", Value: float64(len(t.called))},
		{Name: "calls that were planned to fail, share", Value: share(t.injected, t.calls)},
	}
	for _, name := range slices.Sorted(maps.Keys(t.by)) {
		r.Breakdown = append(r.Breakdown, t.distribution(name))
	}
}

func share(n, of int) float64 {
	if of == 0 {
		return 0
	}
	return float64(n) / float64(of)
}

func (t *Tally) distribution(name string) synth.Distribution {
	d := synth.Distribution{Name: name}
	for label, count := range t.by[name] {
		d.Parts = append(d.Parts, synth.Part{Label: label, Count: count, Share: share(count, t.n)})
	}
	slices.SortFunc(d.Parts, func(a, b synth.Part) int {
		x, errX := strconv.ParseFloat(a.Label, 64)
		y, errY := strconv.ParseFloat(b.Label, 64)
		if errX == nil && errY == nil {
			return cmp.Compare(x, y)
		}
		return cmp.Or(b.Count-a.Count, cmp.Compare(a.Label, b.Label))
	})
	return d
}
