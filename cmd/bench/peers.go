package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// peerRows compare whole episodes, a start, five calls and the end, with what others do for
// one: an instance of the Extism framework, and a python3 process.
func peerRows(ctx context.Context, l *lab) ([]row, error) {
	process, err := l.processes(ctx)
	rows := []row{episodeRow("episode of five calls in a python3 process", process, 0, err)}
	rate, err := l.extism()
	rows = append(rows, episodeRow("  a fresh instance of Extism, Go plug-in", rate, process, err))
	for _, e := range l.engines() {
		rate, err := l.episodes(ctx, &e)
		rows = append(rows, episodeRow("  "+e.name, rate, process, err))
	}
	return rows, nil
}

// episodeRow is a rate, and how many times the process's it is. A process that could not be
// measured has none, which takes the comparison away but not the rate.
func episodeRow(what string, rate, process float64, err error) row {
	switch {
	case err != nil:
		return info(what, "not measured: "+err.Error())
	case process == 0:
		return info(what, fmt.Sprintf("%.0f/s", rate))
	}
	return info(what, fmt.Sprintf("%.0f/s, %.0f × that", rate, rate/process))
}

// episodes is how many there are in a second, one after another.
func (l *lab) episodes(ctx context.Context, e *engine) (float64, error) {
	b, err := e.load(ctx, false)
	if err != nil {
		return 0, err
	}
	defer b.close()
	n := l.n(4000)
	t := time.Now()
	for range n {
		inst, err := b.start(ctx)
		if err != nil {
			return 0, err
		}
		for range 5 {
			if err := good(inst.Call(ctx, "get_user", getUser)); err != nil {
				return 0, err
			}
		}
		inst.Close()
	}
	return since(t, n), nil
}

// processes is the same with an interpreter started for each.
func (l *lab) processes(ctx context.Context) (float64, error) {
	// What is found on the path may be a script that looks for the interpreter.
	python, err := exec.Command("python3", "-c", "import sys; print(sys.executable, end='')").Output()
	if err != nil {
		return 0, err
	}
	n := l.n(200)
	t := time.Now()
	for range n {
		if err := process(ctx, string(python)); err != nil {
			return 0, err
		}
	}
	return since(t, n), nil
}

func process(ctx context.Context, python string) error {
	dir := filepath.Join("cmd", "bench", "testdata")
	cmd := exec.CommandContext(ctx, python, filepath.Join(dir, "subprocess.py"), dir)
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	call, _ := json.Marshal(map[string]any{"tool": "get_user", "args": getUser})
	answers := bufio.NewScanner(out)
	for range 5 {
		if _, err = fmt.Fprintf(in, "%s\n", call); err != nil || !answers.Scan() || !strings.Contains(answers.Text(), "User 42") {
			err = fmt.Errorf("get_user answered %.100q, %v", answers.Text(), err)
			break
		}
	}
	return errors.Join(err, in.Close(), cmd.Wait())
}

// extism is the same in the framework of that name, which is a module of its own: whoever
// wants astra should not have to take it.
func (l *lab) extism() (float64, error) {
	dir := filepath.Join("cmd", "bench", "extism")
	if _, err := l.build(dir, "./plugin"); err != nil {
		return 0, err
	}
	n := l.n(400)
	cmd := exec.Command("go", "run", "-C", dir, ".", filepath.Join(l.dir, "guest.wasm"), strconv.Itoa(n))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return 0, fmt.Errorf("it does not run: %w", err)
	}
	seconds, err := strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
	if err != nil {
		return 0, err
	}
	return float64(n) / seconds, nil
}
