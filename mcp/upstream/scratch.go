package upstream

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// A server that keeps files would carry what one episode did into the next. Where a command
// or its env has {scratch}, each session has a directory of its own there, which is a copy
// of the target's Scratch, and goes when the session ends. Its real path is another each
// time, so agents know it as /scratch: what the server says is told with that name, and
// arguments that begin with it mean the directory.
const (
	placeholder = "{scratch}"
	shownAs     = "/scratch"
)

// scratch is a session's own directory; "" if it has none.
type scratch string

// hasScratch reports whether sessions have directories of their own.
func (t *Target) hasScratch() bool {
	all := strings.Join(t.Command, "\n")
	for _, v := range t.Env {
		all += "\n" + v
	}
	return strings.Contains(all, placeholder)
}

// checkScratch holds a target to what it says of directories.
func (t *Target) checkScratch() error {
	if t.Scratch == "" {
		return nil
	}
	if !t.hasScratch() {
		return fmt.Errorf("there is a scratch, and neither command nor env has %s", placeholder)
	}
	if info, err := os.Stat(t.Scratch); err != nil || !info.IsDir() {
		return errors.New("the scratch is no directory; name one that is copied for each session")
	}
	return nil
}

// newScratch makes a session's directory.
func (t *target) newScratch() (scratch, error) {
	if !t.hasScratch() {
		return "", nil
	}
	dir, err := os.MkdirTemp("", "astra-scratch-*")
	if err != nil {
		return "", err
	}
	if real, err := filepath.EvalSymlinks(dir); err == nil { // servers resolve it
		dir = real
	}
	if t.Scratch != "" {
		if err := os.CopyFS(dir, os.DirFS(t.Scratch)); err != nil {
			return "", errors.Join(errors.New("its scratch cannot be copied"), withoutPath(err), os.RemoveAll(dir))
		}
	}
	return scratch(dir), nil
}

func withoutPath(err error) error {
	if failed, ok := errors.AsType[*fs.PathError](err); ok {
		return failed.Err
	}
	return err
}

// fill puts the directory where a command or its env has the placeholder.
func (d scratch) fill(s string) string { return strings.ReplaceAll(s, placeholder, string(d)) }

// shown is what the server says, with the name that agents know.
func (d scratch) shown(s string) string {
	if d == "" {
		return s
	}
	return strings.ReplaceAll(s, string(d), shownAs)
}

// meant is what an agent says, with the directory that it means.
func (d scratch) meant(args json.RawMessage) (json.RawMessage, error) {
	if d == "" || len(args) == 0 {
		return args, nil
	}
	return rewrite(args, maxDeep, func(s string) string {
		for _, scheme := range []string{"", "file://"} {
			rest, ok := strings.CutPrefix(s, scheme+shownAs)
			if ok && (rest == "" || rest[0] == '/') {
				return scheme + string(d) + rest
			}
		}
		return s
	})
}

func (d scratch) remove() {
	if d != "" {
		os.RemoveAll(string(d)) // what cannot be removed is the system's to clean up
	}
}
