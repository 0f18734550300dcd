package mcp

import (
	"context"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// nodeModules is where npm ci puts what package.json pins.
const nodeModules = "../node_modules"

// node returns the command line of Node 22 with a script of a module, or skips the test.
func node(t *testing.T, ctx context.Context, script string, args ...string) *exec.Cmd {
	t.Helper()
	if testing.Short() {
		t.Skip("short: starts Node")
	}
	bin := filepath.Join(nodeModules, ".bin", "node")
	for _, path := range []string{bin, script} {
		if _, err := os.Stat(path); err != nil {
			t.Skipf("%s is not there: run npm ci", path)
		}
	}
	cmd := exec.CommandContext(ctx, bin, append([]string{script}, args...)...)
	cmd.Env = append(os.Environ(), "NO_COLOR=1")
	return cmd
}

// TestConformance runs the official suite against its fixtures behind our chain.
func TestConformance(t *testing.T) {
	for _, revision := range []struct {
		name   string
		scored int
	}{{"2025-11-25", 30}, {"2026-07-28", 37}} {
		t.Run(revision.name, func(t *testing.T) {
			s, err := New(nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			web := httptest.NewServer(newFixtures(t, s))
			defer web.Close()
			ctx, cancel := context.WithTimeout(t.Context(), suiteTimeout)
			defer cancel()
			suite := node(t, ctx, filepath.Join(nodeModules, "@modelcontextprotocol/conformance/dist/index.js"),
				"server", "--url", web.URL+"/mcp", "--requirements", revision.name, "-o", t.TempDir())
			out, err := suite.CombinedOutput()
			r := readReport(string(out))
			t.Logf("%s: %d of %d scored scenarios pass, %s checks; %d not scored, %d of them fail",
				revision.name, len(r.passed), revision.scored, r.total, r.unscored, r.unscoredFailing)
			if err != nil || len(r.passed) != revision.scored || len(r.failed) != 0 {
				t.Errorf("exit: %v; failed: %v\n%s", err, r.failed, out)
			}
		})
	}
}

// A report is what the suite prints at its end.
type report struct {
	passed, failed            []string // scored scenarios; one that checked nothing has failed
	total                     string
	unscored, unscoredFailing int
}

var (
	scenarioLine = regexp.MustCompile(`^([✓✗]) (\S+): (\d+) passed, (\d+) failed$`)
	unscoredLine = regexp.MustCompile(`^([✓✗]) (\S+) \(\S+\)$`)
)

func readReport(out string) report {
	var r report
	_, summary, _ := strings.Cut(out, "=== SUMMARY ===")
	scored, rest, _ := strings.Cut(summary, "\nNot scored")
	unscored := map[string]bool{}
	for line := range strings.Lines(rest) {
		if m := unscoredLine.FindStringSubmatch(strings.TrimSpace(line)); m != nil {
			unscored[m[2]] = true
			r.unscored++
			if m[1] == "✗" {
				r.unscoredFailing++
			}
		}
	}
	for line := range strings.Lines(scored) {
		line = strings.TrimSpace(line)
		if total, ok := strings.CutPrefix(line, "Total: "); ok {
			r.total = total
		}
		m := scenarioLine.FindStringSubmatch(line)
		switch {
		case m == nil || unscored[m[2]]:
		case m[1] == "✓" && m[3] != "0":
			r.passed = append(r.passed, m[2])
		default:
			r.failed = append(r.failed, m[2])
		}
	}
	return r
}

// needModule skips a test whose npm package is not installed.
func needModule(t *testing.T, name string) {
	t.Helper()
	if _, err := os.Stat(filepath.Join(nodeModules, "@modelcontextprotocol", name)); err != nil {
		t.Skipf("%v: run npm ci", err)
	}
}
