package graph

import "fmt"

// AddTypes adds the edges that follow from types: what one tool returns is a required
// argument of the other, by its name and what it is the name of, type, format and values; or
// the argument's description says its name. Where a tool does not say what it returns, as
// most do not, its name and description must: who finds or makes an order gives its id.
//
// It is careful rather than complete. Words that any field may have (query, limit, name)
// make no edge unless the tool or the object around them says of what; a tool that needs a
// thing does not give it; and what many tools give is nobody's in particular. Calling it
// again changes nothing.
func (g *Graph) AddTypes() {
	for p, e := range g.edges {
		if e.Weight, e.Typed, e.Why = e.Proposed, 0, nil; e.Weight == 0 {
			delete(g.edges, p)
		}
	}
	for _, scope := range g.scopes() {
		g.typed(scope)
	}
}

// scopes are the nodes between which there may be edges.
func (g *Graph) scopes() (all [][]int) {
	for i, n := range g.nodes {
		if i == 0 || !g.across && n.Server != g.nodes[i-1].Server {
			all = append(all, nil)
		}
		all[len(all)-1] = append(all[len(all)-1], i)
	}
	return all
}

// A given is a gift of one tool.
type given struct {
	gift
	node int
}

// givers is how many tools of n may give what is still somebody's in particular: a third, but
// in a small server some (a thing is searched, listed, read and made), and in a large one no
// more than make a choice.
func givers(n int) int { return max(4, min(n/3, 12)) }

func (g *Graph) typed(scope []int) {
	needs := map[int][]need{}
	byKey := map[string][]given{}
	for _, i := range scope {
		needs[i] = needsOf(g.tools[i])
		passed := brought(g.tools[i])
		for _, gift := range giftsOf(g.tools[i]) {
			if !passed[gift.key] {
				byKey[gift.key] = append(byKey[gift.key], given{gift, i})
			}
		}
	}
	for _, i := range scope {
		for _, n := range needs[i] {
			g.fill(i, &n, byKey, givers(len(scope)))
		}
	}
}

// fill adds an edge from each tool that gives what a tool needs.
func (g *Graph) fill(to int, n *need, byKey map[string][]given, most int) {
	filled := map[int]bool{to: true}
	for _, key := range n.keys {
		all := byKey[key]
		if tools(all) > most {
			continue
		}
		for _, from := range all {
			if filled[from.node] || !from.fits(&n.described) {
				continue
			}
			filled[from.node] = true
			e := g.edge(from.node, to)
			e.Typed++
			e.Weight++
			e.Why = append(e.Why, fmt.Sprintf("%s needs %s; %s %s", g.nodes[to].Tool, n.name, g.nodes[from.node].Tool, from.how))
		}
	}
}

// tools counts the tools among what is given, which is in their order.
func tools(all []given) int {
	n, before := 0, -1
	for _, one := range all {
		if one.node != before {
			n, before = n+1, one.node
		}
	}
	return n
}
