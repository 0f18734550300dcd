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
