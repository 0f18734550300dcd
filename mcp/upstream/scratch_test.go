package upstream

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Each session has its own copy of a directory, knows it as /scratch, and leaves nothing.
func TestScratch(t *testing.T) {
	template, temp := t.TempDir(), t.TempDir()
	t.Setenv("TMPDIR", temp)
	must(t, os.WriteFile(filepath.Join(template, "notes.txt"), []byte("seven"), 0o600))
	target := peer(t, "server-filesystem", placeholder)
	target.Scratch = template
	opts := targets("files", target)
	a, _ := mirrored(t, opts, "files", "read_text_file", "write_file", "list_allowed_directories")
	text := func(w *world, tool, args string) string {
		t.Helper()
		res := w.call(tool, args)
		return string(res.Value) + res.Error
	}
	t.Run("sessions", func(t *testing.T) { // closes its worlds
		first := newWorld(t, a, opts)
		if got := text(first, "list_allowed_directories", `{}`); !strings.Contains(got, shownAs) || strings.Contains(got, temp) {
			t.Errorf("allowed are %s", got)
		}
		if got := text(first, "read_text_file", `{"path":"/scratch/notes.txt"}`); !strings.Contains(got, "seven") {
			t.Errorf("notes = %s", got)
		}
		if got := text(first, "write_file", `{"path":"/scratch/notes.txt","content":"eight"}`); !strings.Contains(got, "/scratch/notes.txt") {
			t.Errorf("writing = %s", got)
		}
		if got := text(newWorld(t, a, opts), "read_text_file", `{"path":"/scratch/notes.txt"}`); !strings.Contains(got, "seven") {
			t.Errorf("another session reads %s", got)
		}
	})
	if b, err := os.ReadFile(filepath.Join(template, "notes.txt")); err != nil || string(b) != "seven" {
		t.Errorf("the template is %q, %v", b, err)
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestScratchIsRefused(t *testing.T) {
	for name, target := range map[string]Target{
		"no placeholder": {Command: []string{"server"}, Scratch: t.TempDir()},
		"no directory":   {Command: []string{"server", placeholder}, Scratch: filepath.Join(t.TempDir(), "none")},
		"a url":          {URL: "http://localhost/mcp", Scratch: t.TempDir()},
	} {
		if _, err := New(targets("files", target)); err == nil || !strings.Contains(err.Error(), "scratch") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestMeant(t *testing.T) {
	d := scratch("/tmp/real")
	for args, want := range map[string]string{
		`{"path":"/scratch/a","paths":["/scratch"],"uri":"file:///scratch/b"}`: `{"path":"/tmp/real/a","paths":["/tmp/real"],"uri":"file:///tmp/real/b"}`,
		`{"path":"/scratchpad","text":"see /scratch/a"}`:                       `{"path":"/scratchpad","text":"see /scratch/a"}`,
	} {
		if got, err := d.meant(json.RawMessage(args)); err != nil || string(got) != want {
			t.Errorf("meant(%s) = %s, %v", args, got, err)
		}
	}
	if got := d.shown("in /tmp/real/a"); got != "in /scratch/a" {
		t.Errorf("shown = %s", got)
	}
	if got, err := scratch("").meant(json.RawMessage(`{"path": "/scratch"}`)); err != nil || string(got) != `{"path": "/scratch"}` {
		t.Errorf("without a directory: %s, %v", got, err)
	}
}
