package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
)

// machine says what this ran on.
func (l *lab) machine(ctx context.Context) string {
	parts := []string{fmt.Sprintf("%d cores", runtime.NumCPU())}
	if model := field("/proc/cpuinfo", "model name"); model != "" {
		parts[0] += " (" + model + ")"
	}
	if kib, err := strconv.ParseFloat(strings.TrimSuffix(field("/proc/meminfo", "MemTotal"), " kB"), 64); err == nil {
		parts = append(parts, fmt.Sprintf("%.0f GiB", kib/(1<<20)))
	}
	parts = append(parts, runtime.GOOS+"/"+runtime.GOARCH, runtime.Version())
	if python := l.pythons(ctx); python != "" {
		parts = append(parts, python)
	}
	return strings.Join(parts, ", ")
}

// field is the value of a name in a file of the kernel's, "" if there is none.
func field(path, name string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if k, v, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(k) == name {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// pythons are the versions of the peers' Python and of what they are made of, "" without them.
func (l *lab) pythons(ctx context.Context) string {
	const script = `import platform
from importlib.metadata import version
print("Python", platform.python_version(), *(f", {p} {version(p)}" for p in ("openenv-core", "nemo-gym", "fastmcp", "uvicorn")), sep="", end="")`
	b, _ := exec.CommandContext(ctx, l.python, "-c", script).Output()
	return strings.Replace(string(b), "Python", "Python ", 1)
}
