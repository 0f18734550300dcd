package graph

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/astra-arenas/astra/synth"
)

// Walks adjusts Walk. A zero field means the default.
type Walks struct {
	Seed    int64
	Min     int  // tools of a chain at least; default 2
	Max     int  // tools of a chain at most; default 5, or Min if that is more
	Count   int  // chains wanted; default 100
	Acyclic bool // no tool twice in a chain
	Budget  int  // steps drawn at most; default 200 for each chain wanted
}

func (w *Walks) fill() {
	w.Min = max(w.Min, 2) // one tool is no chain
	if w.Max <= 0 {
		w.Max = 5
	}
	w.Max = max(w.Max, w.Min)
	if w.Count <= 0 {
		w.Count = 100
	}
	if w.Budget <= 0 {
		w.Budget = 200 * w.Count
	}
}

// Walk draws chains of tools (ASTRA §2.1.2): a length, evenly between Min and Max, a first
// tool by the weight of its outgoing edges, then edge by edge by their weights. A walk that
// ends before its length is a chain if it has Min tools; one that was drawn before is not
// returned again. It stops when it has Count chains or has drawn Budget steps, so that a
// graph with few chains, or with more than there are stars, takes its time and no more.
// Chains are in the order in which they were drawn, and the same for equal graphs and Walks;
// spent is how many steps were drawn.
func (g *Graph) Walk(w Walks) (chains [][]Node, spent int) {
	w.fill()
	d := g.dice(w)
	seen := map[string]bool{}
	for len(chains) < w.Count && d.left > 0 && d.starts.total > 0 {
		chain := d.chain(w.Min + d.rng.IntN(w.Max-w.Min+1))
		if key := fmt.Sprint(chain); len(chain) >= w.Min && !seen[key] {
			seen[key] = true
			chains = append(chains, g.named(chain))
		}
	}
	return chains, w.Budget - d.left
}

func (g *Graph) named(chain []int) []Node {
	all := make([]Node, len(chain))
	for i, at := range chain {
		all[i] = g.nodes[at]
	}
	return all
}

// Dice draw from a graph as long as there are steps left.
type dice struct {
	rng     *rand.Rand
	starts  choice
	next    []choice // by node
	left    int
	acyclic bool
}

// A choice is nodes with their weights.
type choice struct {
	nodes   []int
	weights []int
	total   int
}

func (c *choice) add(node, weight int) {
	c.nodes, c.weights, c.total = append(c.nodes, node), append(c.weights, weight), c.total+weight
}

// draw is a node by weight, of those that are not left out; -1 if there is none.
func (c *choice) draw(rng *rand.Rand, without []int) int {
	total := c.total
	for i, node := range c.nodes {
		if slices.Contains(without, node) {
			total -= c.weights[i]
		}
	}
	if total <= 0 {
		return -1
	}
	at := rng.IntN(total)
	for i, node := range c.nodes {
		if slices.Contains(without, node) {
			continue
		}
		if at -= c.weights[i]; at < 0 {
			return node
		}
	}
	return -1
}

func (g *Graph) dice(w Walks) *dice {
	d := &dice{rng: synth.Rand(w.Seed, "walks"), next: make([]choice, len(g.nodes)), left: w.Budget, acyclic: w.Acyclic}
	for _, e := range g.Edges() {
		d.next[e.From].add(e.To, e.Weight)
	}
	for node := range d.next {
		if total := d.next[node].total; total > 0 {
			d.starts.add(node, total)
		}
	}
	return d
}

// chain draws one of at most n tools.
func (d *dice) chain(n int) []int {
	d.left--
	chain := []int{d.starts.draw(d.rng, nil)}
	for len(chain) < n && d.left > 0 {
		var without []int
		if d.acyclic {
			without = chain
		}
		d.left--
		next := d.next[chain[len(chain)-1]].draw(d.rng, without)
		if next < 0 {
			break
		}
		chain = append(chain, next)
	}
	return chain
}
