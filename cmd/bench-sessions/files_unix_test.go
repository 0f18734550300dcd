//go:build linux || darwin

package main

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// Go raises the soft limit for this process alone. Servers in other languages must have as much.
func TestChildrenHaveFiles(t *testing.T) {
	const asked, soft = "ASTRA_TEST_FILES", 128
	if os.Getenv(asked) == "" {
		again := exec.CommandContext(t.Context(), "sh", "-c", `ulimit -Sn 128 && exec "$0" -test.run=^TestChildrenHaveFiles$`, os.Args[0])
		again.Env = append(os.Environ(), asked+"=1")
		if out, err := again.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return
	}
	for _, wanted := range []int{soft, 1 << 29} { // less and more than there is
		n, err := openFiles(wanted)
		if err != nil {
			t.Fatal(err)
		}
		out, err := exec.CommandContext(t.Context(), "sh", "-c", "ulimit -Sn").Output()
		if got := strings.TrimSpace(string(out)); err != nil || got != strconv.Itoa(n) && got != "unlimited" {
			t.Errorf("a child has %s files, want %d: %v", got, n, err)
		}
	}
}
