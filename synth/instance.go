package synth

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
)

// A Language is what a question is asked in.
type Language string

// The languages that questions are asked in.
const (
	English Language = "en"
	Chinese Language = "zh"
)

// A Scenario is the shape of a decomposition (ASTRA §2.2).
type Scenario string

// The four scenario types. Shape says which a decomposition is of.
const (
	SingleHop         Scenario = "Single-Hop"          // one sub-question
	ParallelSingleHop Scenario = "Parallel Single-Hop" // several, none of which needs another
	MultiHop          Scenario = "Multi-Hop"           // a chain
	ParallelMultiHop  Scenario = "Parallel Multi-Hop"  // layers, one of them with several
)

// An Instance is a question with its decomposition: ASTRA's τ = {(q, a, d)}. Answers are
// JSON values: a number is a number, a list a list.
type Instance struct {
	ID       string          `json:"id"` // StableID, or what its file calls it
	Language Language        `json:"language"`
	Domain   string          `json:"domain,omitempty"`
	Scenario Scenario        `json:"scenario"`
	Question string          `json:"question"`
	Answer   json.RawMessage `json:"answer"`
	Nodes    []Node          `json:"nodes"` // parents before children
}

// A Node is one sub-question.
type Node struct {
	ID        string          `json:"id"` // unique in the instance
	Question  string          `json:"question"`
	Answer    json.RawMessage `json:"answer"`
	DependsOn []string        `json:"depends_on,omitempty"` // ids of direct parents
	Hop       int             `json:"hop"`                  // layer, from 1: 1 + the longest path from a root
	Parallel  bool            `json:"parallel"`             // others of its layer can be asked beside it
	Tool      bool            `json:"tool"`                 // it needs one: ASTRA's tool necessity
	Reason    string          `json:"reason,omitempty"`     // why it does, or does not
}

// Node returns the node of that id, or nil.
func (in *Instance) Node(id string) *Node {
	for i := range in.Nodes {
		if in.Nodes[i].ID == id {
			return &in.Nodes[i]
		}
	}
	return nil
}

// Tools is the number of nodes that need a tool: ASTRA's n.
func (in *Instance) Tools() int {
	n := 0
	for i := range in.Nodes {
		if in.Nodes[i].Tool {
			n++
		}
	}
	return n
}

// Hops is the number of sub-questions, which is what the paper counts as hops.
func (in *Instance) Hops() int { return len(in.Nodes) }

// StableID names an instance by its content: 16 hex digits. The ID itself is not part of it.
func (in *Instance) StableID() string {
	c := *in
	c.ID = ""
	b, err := json.Marshal(c)
	if err != nil { // an answer that is no JSON: Check refuses it
		b = []byte(in.Question)
	}
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:8])
}

// Layer sets what follows from the dependencies: order, hop levels, parallel, scenario. It
// is false, and nothing is changed, where the dependencies are no DAG.
func (in *Instance) Layer() bool {
	hops, ok := in.hops()
	if !ok {
		return false
	}
	width := map[int]int{}
	for i := range in.Nodes {
		in.Nodes[i].Hop = hops[in.Nodes[i].ID]
		width[in.Nodes[i].Hop]++
	}
	for i := range in.Nodes {
		in.Nodes[i].Parallel = width[in.Nodes[i].Hop] > 1
	}
	slices.SortStableFunc(in.Nodes, func(a, b Node) int { return a.Hop - b.Hop })
	in.Scenario = in.Shape()
	return true
}

// Shape is the scenario type that the dependencies make, whatever the instance says.
func (in *Instance) Shape() Scenario {
	hops, _ := in.hops()
	width, depth, widest := map[int]int{}, 0, 0
	for _, h := range hops {
		width[h]++
		depth, widest = max(depth, h), max(widest, width[h])
	}
	switch {
	case depth <= 1 && widest <= 1:
		return SingleHop
	case depth <= 1:
		return ParallelSingleHop
	case widest <= 1:
		return MultiHop
	}
	return ParallelMultiHop
}

// hops is each node's layer, from 1. It is false if there is a cycle, an unknown parent or
// an id that comes twice; what could be told is told.
func (in *Instance) hops() (hops map[string]int, ok bool) {
	hops, ok = make(map[string]int, len(in.Nodes)), true
	known := make(map[string]bool, len(in.Nodes))
	for i := range in.Nodes {
		ok = ok && !known[in.Nodes[i].ID]
		known[in.Nodes[i].ID] = true
	}
	for len(hops) < len(in.Nodes) {
		before := len(hops)
		for i := range in.Nodes {
			n := &in.Nodes[i]
			if _, done := hops[n.ID]; done {
				continue
			}
			if h, ready := layer(n, hops, known); ready {
				hops[n.ID] = h
			}
		}
		if len(hops) == before {
			return hops, false
		}
	}
	return hops, ok && in.parentsKnown(known)
}

// layer is 1 + that of the deepest parent. Unknown parents are another complaint.
func layer(n *Node, hops map[string]int, known map[string]bool) (h int, ready bool) {
	h = 1
	for _, p := range n.DependsOn {
		at, done := hops[p]
		if !done && known[p] {
			return 0, false
		}
		h = max(h, at+1)
	}
	return h, true
}

func (in *Instance) parentsKnown(known map[string]bool) bool {
	for i := range in.Nodes {
		for _, p := range in.Nodes[i].DependsOn {
			if !known[p] {
				return false
			}
		}
	}
	return true
}
