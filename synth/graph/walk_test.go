package graph_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/astra-arenas/astra/synth/graph"
	"github.com/astra-arenas/astra/synth/servers"
)

// complete is a graph of n tools each of which can follow each.
func complete(n int) *graph.Graph {
	var tools []servers.Tool
	for i := range n {
		tools = append(tools, tool(fmt.Sprintf("t%d", i), ""))
	}
	g := graph.New([]servers.Server{server("s", tools...)}, nil)
	for i := range n {
		for j := range n {
			g.AddChain(nodes("s", tools[i].Name, tools[j].Name))
		}
	}
	return g
}

func TestWalk(t *testing.T) {
	g := complete(200)
	if n := len(g.Edges()); n != 200*199 {
		t.Fatalf("%d edges", n)
	}
	for _, w := range []graph.Walks{{}, {Seed: 7, Count: 1000, Acyclic: true}, {Min: 3, Max: 3, Count: 50}, {Count: 1000, Budget: 90}} {
		chains, spent := g.Walk(w)
		count, budget, least, most := w.Count, w.Budget, max(w.Min, 2), 5
		if count == 0 {
			count = 100
		}
		if budget == 0 {
			budget = 200 * count
		}
		if w.Max > 0 {
			most = w.Max
		}
		if spent > budget || len(chains) > count || w.Budget == 0 && len(chains) != count {
			t.Errorf("%+v: %d chains for %d steps", w, len(chains), spent)
		}
		seen := map[string]bool{}
		for _, c := range chains {
			if seen[fmt.Sprint(c)] || len(c) < least || len(c) > most {
				t.Errorf("%+v: %v", w, c)
			}
			seen[fmt.Sprint(c)] = true
			for i, n := range c {
				if w.Acyclic && slices.Contains(c[:i], n) || i > 0 && c[i-1] == n {
					t.Errorf("%+v: %v has %v again", w, c, n)
				}
			}
		}
		again, _ := complete(200).Walk(w)
		if fmt.Sprint(again) != fmt.Sprint(chains) {
			t.Errorf("%+v: another graph of the same edges walks elsewhere", w)
		}
	}
	one, _ := g.Walk(graph.Walks{Seed: 1})
	two, _ := g.Walk(graph.Walks{Seed: 2})
	if fmt.Sprint(one) == fmt.Sprint(two) {
		t.Error("two seeds walk alike")
	}
	first, _ := g.Walk(graph.Walks{Seed: 1, Count: 10, Budget: 20_000})
	if fmt.Sprint(first) != fmt.Sprint(one[:10]) {
		t.Error("fewer chains are not the first of more")
	}
}

// Edges are taken as often as their weights say, and a first tool as its edges'.
func TestWalkWeights(t *testing.T) {
	g := graph.New([]servers.Server{server("s", tool("a", ""), tool("b", ""), tool("c", ""))}, nil)
	for range 9 {
		g.AddChain(nodes("s", "a", "b"))
	}
	g.AddChain(nodes("s", "a", "c"))
	count := map[string]int{}
	for seed := range int64(1000) {
		chains, _ := g.Walk(graph.Walks{Seed: seed, Count: 1, Budget: 5})
		count[fmt.Sprint(chains)]++
	}
	if b := count["[[s/a s/b]]"]; b < 850 || b > 950 || len(count) != 2 {
		t.Errorf("%v; of 1000, 900 should end at b", count)
	}
}

// A graph that has fewer chains than wanted gives those, and its dead ends are no chains.
func TestWalkFew(t *testing.T) {
	g := graph.New([]servers.Server{server("s", tool("a", ""), tool("b", ""), tool("c", ""))}, nil)
	if chains, spent := g.Walk(graph.Walks{}); chains != nil || spent != 0 {
		t.Errorf("without edges: %v, %d", chains, spent)
	}
	g.AddChain(nodes("s", "a", "b", "c"))
	chains, spent := g.Walk(graph.Walks{Budget: 1000})
	if len(chains) != 3 || spent != 1000 {
		t.Errorf("%v for %d steps", chains, spent)
	}
	if chains, _ := g.Walk(graph.Walks{Min: 4, Budget: 1000}); chains != nil {
		t.Errorf("%v are no chains of 4", chains)
	}
	g.AddChain(nodes("s", "c", "a"))
	if chains, _ := g.Walk(graph.Walks{Acyclic: true, Budget: 10_000}); len(chains) != 6 {
		t.Errorf("a circle of three has %d chains without a tool twice, want 6: %v", len(chains), chains)
	}
}

// A complete graph of 200 tools has 3·10¹¹ chains of 2 to 5.
func BenchmarkWalk(b *testing.B) {
	g := complete(200)
	for _, acyclic := range []bool{false, true} {
		b.Run(fmt.Sprintf("acyclic=%t", acyclic), func(b *testing.B) {
			steps := 0
			for b.Loop() {
				chains, spent := g.Walk(graph.Walks{Count: 1000, Acyclic: acyclic})
				if steps += spent; len(chains) != 1000 {
					b.Fatal(len(chains))
				}
			}
			b.ReportMetric(float64(steps)/float64(b.N), "steps/op")
		})
	}
}
