package main

import (
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/astra-arenas/astra/trainer/curves"
)

// markdown writes the machine, a summary, all rows, and what there is to say of them.
func markdown(w io.Writer, machine string, l level, rows []result, notes []string) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s. The load comes from the same cores. Groups of %d sessions have the same world; %d calls a session; %v to connect, %v for a level.\n\n", machine, group, l.calls, l.patience, l.limit)
	summary(&b, rows)
	b.WriteString("\n| server | sessions | success | connect p50 / p99 | reset p50 / p99 | call p50 / p99 | opened/s | calls/s, offered → achieved | KiB a session, idle / active | MiB before | files | MB sent / received | lag p50 / p99 | collector stops, in all / longest | CPU a session |\n")
	b.WriteString("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	for _, r := range rows {
		fmt.Fprintf(&b, "| %s | %d | %.1f %% | %v | %v | %v | %.0f | %.0f → %.0f | %.0f / %.0f | %.0f | %d | %.1f / %.1f | %v | %s / %s | %s |\n", r.Server, r.Sessions, 100*r.Success,
			r.Connect, r.Reset, r.Call, r.Opened, r.Offered, r.Achieved, r.Idle, r.Active, r.Base, r.Files, float64(r.Sent)/1e6, float64(r.Received)/1e6,
			r.Lag, duration(r.Stops.Total), duration(r.Stops.Longest), duration(1000*r.Busy/float64(r.Sessions)))
	}
	remarks(&b, rows, notes)
	_, err := io.WriteString(w, b.String())
	return err
}

// summary is the last row of each server with enough success.
func summary(b *strings.Builder, rows []result) {
	b.WriteString("| server | most sessions with ≥ 95 % success | calls/s | call p99 | KiB a session, idle |\n|---|--:|--:|--:|--:|\n")
	for i, r := range rows {
		last := i+1 == len(rows) || rows[i+1].Server != r.Server || rows[i+1].Success < enough
		if r.Success >= enough && last {
			fmt.Fprintf(b, "| %s | %d | %.0f | %s | %.0f |\n", r.Server, r.Sessions, r.Achieved, duration(r.Call.P99), r.Idle)
		}
	}
}

// remarks are what ended sessions, and what else is to be said.
func remarks(b *strings.Builder, rows []result, notes []string) {
	for _, r := range rows {
		for _, what := range slices.Sorted(maps.Keys(r.Errors)) {
			notes = append(notes, fmt.Sprintf("%s, %d sessions: %d × %s", r.Server, r.Sessions, r.Errors[what], what))
		}
	}
	if len(notes) > 0 {
		b.WriteString("\n- " + strings.Join(notes, "\n- ") + "\n")
	}
}

func (q quantiles) String() string { return duration(q.P50) + " / " + duration(q.P99) }

// duration shows milliseconds as people read them.
func duration(ms float64) string {
	switch {
	case ms == 0:
		return "–"
	case ms < 10:
		return fmt.Sprintf("%.1f ms", ms)
	case ms < 1000:
		return fmt.Sprintf("%.0f ms", ms)
	}
	return fmt.Sprintf("%.1f s", ms/1000)
}

// draw draws the rows over the logarithm of their sessions; "" is no file.
func draw(file string, rows []result) error {
	if file == "" {
		return nil
	}
	charts := []struct {
		name string
		of   func(result) float64
	}{
		{"sessions that succeed, %", func(r result) float64 { return 100 * r.Success }},
		{"calls/s", func(r result) float64 { return r.Achieved }},
		{"call p99, ms", func(r result) float64 { return r.Call.P99 }},
		{"KiB per idle session", func(r result) float64 { return r.Idle }},
	}
	var lines []curves.Curve
	for _, c := range charts {
		for i, r := range rows {
			if i == 0 || rows[i-1].Server != r.Server {
				lines = append(lines, curves.Curve{Chart: c.name + " (over log₂ of the sessions)", Name: r.Server})
			}
			lines[len(lines)-1].Add(log2(r.Sessions), c.of(r))
		}
	}
	return os.WriteFile(file, []byte(curves.SVG("Sessions at once", lines)), 0o644)
}

func log2(n int) (l int) {
	for ; n > 1; n /= 2 {
		l++
	}
	return l
}
