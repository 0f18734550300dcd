package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/astra-arenas/astra/synth"
	"github.com/astra-arenas/astra/synth/graph"
	"github.com/astra-arenas/astra/synth/servers"
)

// synthRows measure the whole command: certified tasks over the tables of countries,
// currencies, languages, scripts and time zones, or over the example's where those are not
// installed. bin/astra must have been built.
func synthRows(ctx context.Context, l *lab) ([]row, error) {
	inputs, err := filepath.Glob("/usr/share/iso-codes/json/iso_*.json")
	if err != nil {
		return nil, err
	}
	world := len(inputs) > 0
	args := append(inputs, "/usr/share/zoneinfo/zone1970.tab", "--labels", "examples/tables/world.yaml")
	if !world {
		args = []string{"examples/tables/ferries"}
	}
	dir, err := os.MkdirTemp("", "astra-bench-*")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	args = append([]string{"--dir", filepath.Join(dir, "store"), "synth", "tables", "--json", "--out", filepath.Join(dir, "out"), "--tasks", fmt.Sprint(l.n(240))}, args...)
	begun := time.Now()
	out, err := exec.CommandContext(ctx, "bin/astra", args...).Output()
	took := time.Since(begun)
	if err != nil {
		return nil, fmt.Errorf("bin/astra synth tables: %w", err)
	}
	var report synth.Report
	if err := json.Unmarshal(out, &report); err != nil {
		return nil, err
	}
	said := fmt.Sprintf("%d tasks, %d arenas in %.1f s", report.Tasks, len(report.Arenas), took.Seconds())
	if !world {
		return []row{info("certified tasks over the example's tables", said)}, nil
	}
	return []row{judged("certified tasks over the world's tables", said, "≥ 200, ≥ 5 in 60 s", report.Tasks >= 200 && len(report.Arenas) >= 5 && took < time.Minute)}, nil
}

// walkRows measures walks over the worst graph there is: every tool can follow every other,
// of which the chains of five tools alone are some 3·10¹¹.
func walkRows(context.Context, *lab) ([]row, error) {
	s := servers.Server{Name: "complete"}
	for i := range 200 {
		s.Tools = append(s.Tools, servers.Tool{Name: fmt.Sprintf("tool_%d", i)})
	}
	g := graph.New([]servers.Server{s}, nil)
	for _, a := range g.Nodes() {
		for _, b := range g.Nodes() {
			g.AddChain([]graph.Node{a, b})
		}
	}
	var chains [][]graph.Node
	spent := 0
	took := timed(func() { chains, spent = g.Walk(graph.Walks{Count: 1000, Budget: 10_000}) })
	return []row{judged("1,000 chains over a complete graph of 200 tools", fmt.Sprintf("%d chains, %d steps in %.0f ms", len(chains), spent, took.Seconds()*1e3), "≤ 10,000 steps, ≤ 1 s",
		len(chains) == 1000 && spent <= 10_000 && took < time.Second)}, nil
}

// timed is how long f takes.
func timed(f func()) time.Duration {
	begun := time.Now()
	f()
	return time.Since(begun)
}
