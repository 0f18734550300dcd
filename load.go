package astra

import (
	"bytes"
	"errors"
	"reflect"
)

// What tasks.jsonl may hold.
const (
	MaxTasks     = 50_000    // a bundle is read whole; larger sets are several arenas
	MaxTaskBytes = 256 << 10 // one line
	maxTaskDepth = 64
)

// Load reads and validates the arena at a path: a directory or an .arena file. A refusal is a
// *BundleErrors, which lists what is wrong, where, and what to do.
func Load(path string) (*Arena, error) {
	b, err := ReadBundle(path)
	if err != nil {
		return nil, err
	}
	return b.Load()
}

// Load parses and validates the arena in the bundle. A refusal is a *BundleErrors. Whether the verifiers are
// CEL is not looked at here.
func (b *Bundle) Load() (*Arena, error) {
	var bad refusals
	a := &Arena{Digest: b.Digest(), Bundle: b}
	text, ok := b.File(manifestFile)
	if !ok {
		bad.add(manifestFile, 0, "write one: it says what the arena is", "there is none in the bundle")
		return nil, bad.err()
	}
	readManifest(&bad, a, text)
	if err := bad.err(); err != nil {
		return nil, err // tasks cannot be held to tools that are in doubt
	}
	if lines, ok := b.File(tasksFile); ok {
		readTasks(&bad, a, lines)
	}
	if err := bad.err(); err != nil {
		return nil, err
	}
	return a, nil
}

// readTasks reads tasks.jsonl into a, and stops when enough has been refused.
func readTasks(bad *refusals, a *Arena, b []byte) {
	if n := bytes.Count(b, []byte("\n")); n > MaxTasks {
		bad.add(tasksFile, 0, "make several arenas of it", "%d lines; it may have %d tasks", n, MaxTasks)
		return
	}
	seen := map[string]int{}
	number := 0
	for line := range bytes.Lines(b) {
		number++
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		t, ok := readTask(bad, a, line, number)
		if !ok {
			if bad.more > 0 {
				return
			}
			continue
		}
		if first := seen[t.ID]; first > 0 {
			bad.add(tasksFile, number, "rename one", "id: %s is the task of line %d already", clip(t.ID), first)
		}
		seen[t.ID] = number
		a.Tasks = append(a.Tasks, *t)
	}
}

// readTask reads and checks one line; ok is false if it was refused.
func readTask(bad *refusals, a *Arena, b []byte, number int) (t *Task, ok bool) {
	before := len(bad.list) + bad.more
	if len(b) > MaxTaskBytes {
		bad.add(tasksFile, number, "move tables into data/", "%d bytes; a task may have %d", len(b), MaxTaskBytes)
		return nil, false
	}
	v, err := parseJSON(b, maxTaskDepth)
	if err != nil {
		var at *jsonError
		errors.As(err, &at)
		bad.add(tasksFile, number, "write one JSON object a line", "%v", at)
		return nil, false
	}
	t = &Task{Line: number}
	v.setLine(number)
	(&filler{bad, tasksFile}).fill(v, "", reflect.ValueOf(t).Elem())
	if len(bad.list)+bad.more == before {
		if t.Split == "" {
			t.Split = SplitTrain
		}
		(&taskChecker{bad: bad, a: a, t: t}).check()
	}
	return t, len(bad.list)+bad.more == before
}

func (v *value) setLine(line int) {
	v.line = line
	for i := range v.items {
		v.items[i].setLine(line)
	}
}
