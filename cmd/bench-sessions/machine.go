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
	"syscall"
)

// wantedFiles is as many as the largest level needs, with room to spare.
const wantedFiles = 65_536

// openFiles is how many files this process and its children may have open, after asking for
// as many as are wanted: only root gets more than the hard limit.
func openFiles() (int, error) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0, err
	}
	if limit.Cur >= wantedFiles {
		return int(min(limit.Cur, 1<<30)), nil
	}
	if syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: wantedFiles, Max: max(wantedFiles, limit.Max)}) == nil {
		return wantedFiles, nil
	}
	// Said again, because children get what was there at the start unless something was set.
	limit.Cur = limit.Max
	return int(limit.Cur), syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
}

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
