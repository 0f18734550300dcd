package synth

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/astra-arenas/astra"
)

// What an instance may hold; the paper's largest has 20 sub-questions.
const (
	MaxNodes = 64
	maxText  = 16 << 10
)

// A Complaint is one rule that an instance breaks.
type Complaint struct {
	Rule string `json:"rule"` // stable: what reports count by
	Node string `json:"node,omitempty"`
	Text string `json:"text"`
}

func (c Complaint) Error() string {
	if c.Node == "" {
		return c.Rule + ": " + c.Text
	}
	return fmt.Sprintf("%s: sub-question %s: %s", c.Rule, c.Node, c.Text)
}

// Check holds the decomposition to the rules that need no judgement (ASTRA §2.2.2; the
// paper leaves them to a model). It returns what is broken, nothing if all is right:
//
//	size          1 to MaxNodes sub-questions, with texts of bounded length
//	ids           each is there and unique
//	parents       dependencies exist, once each
//	acyclic       no sub-question depends on itself, however far
//	hop_level     is 1 + the longest path from a root
//	parallel      is set where a layer has several, and only there
//	scenario      is the shape
//	leaf          what needs no tool is nobody's parent
//	answer        every answer is JSON with something in it
//	tool          at least one sub-question needs one
//	reachable     the final answer says what a last sub-question found
func (in *Instance) Check() []Complaint {
	c := instanceChecker{in: in}
	c.texts()
	if len(c.found) > 0 { // what is not even there cannot be ordered
		return c.found
	}
	c.graph()
	if len(c.found) == 0 {
		c.shape()
		c.reachable()
	}
	return c.found
}

type instanceChecker struct {
	in    *Instance
	found []Complaint
}

func (c *instanceChecker) add(rule, node, format string, args ...any) {
	c.found = append(c.found, Complaint{rule, node, fmt.Sprintf(format, args...)})
}

func (c *instanceChecker) texts() {
	in := c.in
	if n := len(in.Nodes); n < 1 || n > MaxNodes {
		c.add("size", "", "%d sub-questions; an instance has 1 to %d", n, MaxNodes)
		return
	}
	if strings.TrimSpace(in.Question) == "" || len(in.Question) > maxText {
		c.add("size", "", "the main question has %d bytes", len(in.Question))
	}
	c.answer("", in.Answer)
	for i := range in.Nodes {
		n := &in.Nodes[i]
		if strings.TrimSpace(n.Question) == "" || len(n.Question) > maxText {
			c.add("size", n.ID, "the question has %d bytes", len(n.Question))
		}
		c.answer(n.ID, n.Answer)
	}
	if in.Tools() == 0 {
		c.add("tool", "", "no sub-question needs a tool")
	}
}

func (c *instanceChecker) answer(node string, a json.RawMessage) {
	switch {
	case !json.Valid(a):
		c.add("answer", node, "it is no JSON")
	case empty(a):
		c.add("answer", node, "there is nothing in it")
	case len(a) > maxText:
		c.add("answer", node, "it has %d bytes", len(a))
	}
}

func empty(a json.RawMessage) bool {
	switch t := string(bytes.TrimSpace(a)); t {
	case "null", `""`, "[]", "{}":
		return true
	default:
		var s string
		return json.Unmarshal(a, &s) == nil && strings.TrimSpace(s) == ""
	}
}

func (c *instanceChecker) graph() {
	seen := map[string]bool{}
	for i := range c.in.Nodes {
		id := c.in.Nodes[i].ID
		if id == "" || seen[id] {
			c.add("ids", id, "the id is missing or comes twice")
		}
		seen[id] = true
	}
	for i := range c.in.Nodes {
		n := &c.in.Nodes[i]
		for j, p := range n.DependsOn {
			if !seen[p] || slices.Contains(n.DependsOn[:j], p) {
				c.add("parents", n.ID, "it depends on %q, which is not there or named twice", p)
			}
		}
	}
	hops, _ := c.in.hops()
	for i := range c.in.Nodes {
		if _, ok := hops[c.in.Nodes[i].ID]; !ok {
			c.add("acyclic", c.in.Nodes[i].ID, "it waits for itself")
		}
	}
}

func (c *instanceChecker) shape() {
	hops, _ := c.in.hops()
	width := map[int]int{}
	for _, h := range hops {
		width[h]++
	}
	for i := range c.in.Nodes {
		n := &c.in.Nodes[i]
		if h := hops[n.ID]; n.Hop != h {
			c.add("hop_level", n.ID, "it says %d; by its dependencies it is %d", n.Hop, h)
		} else if n.Parallel != (width[h] > 1) {
			c.add("parallel", n.ID, "it says %t; its layer has %d", n.Parallel, width[h])
		}
		if !n.Tool && !c.in.sink(n.ID) {
			c.add("leaf", n.ID, "it needs no tool, and others depend on it")
		}
	}
	if s := c.in.Shape(); c.in.Scenario != s {
		c.add("scenario", "", "it says %q; by its shape it is %q", c.in.Scenario, s)
	}
}

// sink reports whether nothing depends on a node.
func (in *Instance) sink(id string) bool {
	for i := range in.Nodes {
		if slices.Contains(in.Nodes[i].DependsOn, id) {
			return false
		}
	}
	return true
}

// reachable wants the final answer to hold what some sink found: the same value, a part of
// it, or, in prose, its words.
func (c *instanceChecker) reachable() {
	for i := range c.in.Nodes {
		n := &c.in.Nodes[i]
		if c.in.sink(n.ID) && (holds(c.in.Answer, n.Answer) || holds(n.Answer, c.in.Answer)) {
			return
		}
	}
	c.add("reachable", "", "the final answer says nothing that a last sub-question found")
}

func holds(whole, part json.RawMessage) bool {
	return astra.Same(part, whole, nil) || astra.AnyLeaf(part, whole, nil) || strings.Contains(words(whole), words(part))
}

// words is JSON as running text: letters and digits in lower case, apart by single spaces.
func words(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		s = string(raw)
	}
	return " " + strings.Join(strings.FieldsFunc(strings.ToLower(s), notWord), " ") + " "
}

func notWord(r rune) bool {
	return strings.ContainsRune(" \t\r\n\"'`.,;:!?()[]{}<>，。；：！？（）【】《》“”‘’、", r)
}
