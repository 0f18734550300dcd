package datasets

import (
	"cmp"
	"maps"
	"slices"
)

// Statistics are what the paper tells of its SFT data (A.1.1), and what it does not.
type Statistics struct {
	Conversations int      `json:"conversations"`
	Messages      int      `json:"messages"`
	Calls         int      `json:"calls"`
	OneToFive     int      `json:"one_to_five_calls"` // conversations
	WithCalls     int      `json:"with_calls"`        // conversations
	Functions     int      `json:"functions"`         // that were called, by arena and name
	Learned       int      `json:"learned"`           // assistant messages with loss
	Roles         []Share  `json:"roles"`
	Domains       []Share  `json:"domains"`
	Languages     []Share  `json:"languages"`
	Kinds         []Share  `json:"kinds"`
	MessagesEach  []int    `json:"messages_each"` // conversations by their messages; the last counts all beyond
	CallsEach     []int    `json:"calls_each"`    // by their calls
	Scores        []Scores `json:"scores"`
}

// A Share is how many there are of one kind; "" is not known.
type Share struct {
	Name  string  `json:"name"`
	Count int     `json:"count"`
	Share float64 `json:"share"`
}

// Scores are how one score, or the reward, is spread over those that have it.
type Scores struct {
	Name  string  `json:"name"`
	Count int     `json:"count"`
	Mean  float64 `json:"mean"`
	Tenth [10]int `json:"tenths"` // [0, 0.1), …, [0.9, 1]; what is beyond counts at the end
}

// statistics adds up.
type statistics struct {
	s         Statistics
	functions map[[2]string]bool
	roles     map[string]int
	domains   map[string]int
	languages map[string]int
	kinds     map[string]int
	scores    map[string]*Scores
}

const (
	mostMessages = 40
	mostCalls    = 20
	mostScores   = 32 // ASTRA has seven; names are strangers', and each gets a plot
)

func (a *statistics) add(c *conversation) {
	if a.roles == nil {
		*a = statistics{functions: map[[2]string]bool{}, roles: map[string]int{}, domains: map[string]int{},
			languages: map[string]int{}, kinds: map[string]int{}, scores: map[string]*Scores{}}
		a.s.MessagesEach, a.s.CallsEach = make([]int, mostMessages+1), make([]int, mostCalls+1)
	}
	a.s.Conversations++
	a.s.Messages += len(c.chat)
	calls := c.calls()
	a.s.Calls += calls
	if calls > 0 {
		a.s.WithCalls++
	}
	if calls >= 1 && calls <= 5 {
		a.s.OneToFive++
	}
	a.s.MessagesEach[min(len(c.chat), mostMessages)]++
	a.s.CallsEach[min(calls, mostCalls)]++
	a.messages(c)
	a.domains[c.of.Domain]++
	a.languages[c.of.Language]++
	a.kinds[c.of.Kind]++
	a.score(c)
}

func (a *statistics) messages(c *conversation) {
	for i, m := range c.chat {
		a.roles[m.Role]++
		a.s.Learned += c.weights[i]
		for _, call := range m.ToolCalls {
			a.functions[[2]string{c.of.Arena, call.Function.Name}] = true
		}
	}
}

func (a *statistics) score(c *conversation) {
	all := maps.Clone(c.of.Scores)
	if c.of.Reward != nil {
		if all == nil {
			all = map[string]float64{}
		}
		all["reward"] = *c.of.Reward
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		v := all[name]
		if a.scores[name] == nil && len(a.scores) == mostScores {
			continue
		}
		if a.scores[name] == nil {
			a.scores[name] = &Scores{Name: name}
		}
		s := a.scores[name]
		s.Count++
		s.Mean += v // a sum until the end; rows come in one order
		s.Tenth[max(min(int(v*10), 9), 0)]++
	}
}

func (a *statistics) sum() *Statistics {
	s := a.s
	s.Functions = len(a.functions)
	s.Roles, s.Domains = shares(a.roles), shares(a.domains)
	s.Languages, s.Kinds = shares(a.languages), shares(a.kinds)
	s.Scores = []Scores{}
	for _, name := range slices.Sorted(maps.Keys(a.scores)) {
		one := *a.scores[name]
		one.Mean /= float64(one.Count)
		s.Scores = append(s.Scores, one)
	}
	return &s
}

// shares has the most frequent first.
func shares(counts map[string]int) []Share {
	total := 0
	for _, n := range counts {
		total += n
	}
	all := []Share{}
	for name, n := range counts {
		all = append(all, Share{name, n, float64(n) / float64(total)})
	}
	slices.SortFunc(all, func(a, b Share) int { return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Name, b.Name)) })
	return all
}

// A figure is a number beside the paper's, where it has one.
type figure struct {
	Name  string
	Value string
	Paper string // ASTRA's SFT data, A.1.1; "" if it says nothing
}

func (s *Statistics) figures() []figure {
	each := func(n int) string { return decimal(float64(n) / float64(s.Conversations)) }
	share := func(n int) string { return percent(float64(n) / float64(s.Conversations)) }
	role := func(name string) string {
		for _, r := range s.Roles {
			if r.Name == name {
				return percent(r.Share)
			}
		}
		return percent(0)
	}
	return []figure{
		{"conversations", whole(s.Conversations), whole(54_885)},
		{"messages", whole(s.Messages), whole(580_983)},
		{"messages a conversation", each(s.Messages), "10.59"},
		{"tool calls a conversation", each(s.Calls), "4.42"},
		{"conversations with 1 to 5 calls", share(s.OneToFive), "72.2 %"},
		{"conversations with calls", share(s.WithCalls), "100.0 %"},
		{"messages of tools", role("tool"), "41.8 %"},
		{"messages of the assistant", role("assistant"), "39.3 %"},
		{"messages of the user", role("user"), ""},
		{"messages of the system", role("system"), ""},
		{"functions that are called", whole(s.Functions), whole(6_765)},
		{"assistant messages learned from", whole(s.Learned), ""},
	}
}

// Low is how many are below 0.5.
func (s Scores) Low() int {
	n := 0
	for _, count := range s.Tenth[:5] {
		n += count
	}
	return n
}
