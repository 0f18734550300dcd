package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/astra-arenas/astra"
)

func TestPlain(t *testing.T) {
	for in, want := range map[string]string{
		"café 日本":               "café 日本",
		"a\nb\tc":               `a\nb c`,
		"\x1b[31mred\x07":       `\u001b[31mred\u0007`,
		"user\u202egnp.exe":     `user\u202egnp.exe`,
		"zero\u200bwidth\u0085": `zero\u200bwidth\u0085`,
		"bad \xff byte":         "bad \ufffd byte",
	} {
		if got := plain(in); got != want {
			t.Errorf("plain(%q) = %q, want %q", in, got, want)
		}
	}
	if got := clip("123456789", 5); got != "1234…" {
		t.Errorf("clip = %q", got)
	}
}

// TestTallies holds the summary to its one law: invalid is never 0.
func TestTallies(t *testing.T) {
	one, half := 1.0, 0.5
	attempts := []attempt{
		{Task: "b", Status: astra.StatusScored, Reward: &one, Recall: &one, Precision: &one, Steps: 4},
		{Task: "a", Status: astra.StatusInvalid, Steps: 2},
		{Task: "b", Status: astra.StatusScored, Reward: &half, Recall: &half, Precision: &one, Steps: 2},
		{Task: "b", Status: astra.StatusAborted, Error: "gone"},
	}
	list := tallies(attempts)
	if len(list) != 3 || list[0].Task != "b" || list[1].Task != "a" || list[2].Task != "all" {
		t.Fatalf("tallies = %v, want b, a, all", list)
	}
	if b := list[0]; *b.Reward != 0.75 || *b.Recall != 0.75 || *b.Precision != 1 || b.Steps != 2 || b.Scored != 2 || b.Failed != 1 {
		t.Errorf("b = %+v", b)
	}
	if a := list[1]; a.Reward != nil || a.Invalid != 1 || a.Failed != 0 {
		t.Errorf("a = %+v, want an invalid episode and no reward", a)
	}
	if all := list[2]; *all.Reward != 0.75 || all.Episodes != 4 {
		t.Errorf("all = %+v", all)
	}
	var b strings.Builder
	a := app{stdout: &b}
	if err := a.printTallies(list); err != nil || !strings.Contains(b.String(), "a            1       –       –          –") {
		t.Errorf("table:\n%s", b.String())
	}
}

func TestLocated(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{&astra.BundleErrors{List: []*astra.BundleError{{File: "tasks.jsonl", Line: 3, Msg: "wrong", Fix: "mend it"}}}, "dir/tasks.jsonl:3: wrong; mend it"},
		{&astra.BundleError{File: "arena.yaml", Msg: "missing"}, "dir/arena.yaml: missing"},
		{errors.New("refused: arena x: tasks.jsonl:1: task a: bad\ntasks.jsonl:9: task b: bad: worse"), "dir/tasks.jsonl:1: task a: bad\ndir/tasks.jsonl:9: task b: bad: worse"},
		{errors.New("refused: arena x is too large"), "dir: refused: arena x is too large"},
	} {
		if got := located("dir", c.err).Error(); got != c.want {
			t.Errorf("located(%v) = %q, want %q", c.err, got, c.want)
		}
	}
}

func TestCut(t *testing.T) {
	for in, want := range map[string]int{"short": 5, strings.Repeat("a", maxReply): maxReply, "ab" + strings.Repeat("é", maxReply): maxReply, "a" + strings.Repeat("é", maxReply): maxReply - 1} {
		if got := cut(in); len(got) != want || !strings.HasPrefix(in, got) {
			t.Errorf("cut(%d bytes) has %d bytes, want %d", len(in), len(got), want)
		}
	}
}

func TestClosed(t *testing.T) {
	reply := "done"
	open1 := &astra.Episode{Turns: []astra.Turn{{Index: 1}}}
	open2 := &astra.Episode{Turns: []astra.Turn{{Index: 1, Reply: &reply}, {Index: 2, Prompt: "next"}}}
	open2.View.Added = [][]string{nil, {"take"}}
	over1 := &astra.Episode{Turns: []astra.Turn{{Index: 1, Reply: &reply}}}
	if next := closed(open1, open1); next != nil {
		t.Errorf("a turn that is still open: %+v", next)
	}
	if next := closed(open1, open2); next == nil || next.Turn != 2 || next.Message != "next" || next.Done || !slices.Equal(next.ToolsAdded, []string{"take"}) {
		t.Errorf("a turn that was closed: %+v", next)
	}
	if next := closed(open1, over1); next == nil || !next.Done || next.Turn != 1 {
		t.Errorf("the last turn: %+v", next)
	}
	if next := closed(over1, over1); next != nil {
		t.Errorf("a turn that had been closed before: %+v", next)
	}
}

// fullDisk takes nothing.
type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

func TestOutputThatCannotBeWritten(t *testing.T) {
	for _, args := range [][]string{{"help", "config"}, {"version"}, {"mcp-config", "--client", "codex"}} {
		if err := run(t.Context(), args, nil, fullDisk{}, io.Discard); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("%q: %v, want to hear that the disk is full", args, err)
		}
	}
}

func TestToken(t *testing.T) {
	dir := t.TempDir()
	one, err := token(dir, controlToken)
	if err != nil || len(one) < 26 { // 128 bits in base 32
		t.Fatalf("token = %q, %v", one, err)
	}
	if two, err := token(dir, controlToken); err != nil || two != one {
		t.Errorf("the second time %q, %v; want %q", two, err, one)
	}
	if other, err := token(dir, explorerToken); err != nil || other == one {
		t.Errorf("explorers got %q, %v", other, err)
	}
	path := filepath.Join(dir, controlToken)
	for what, change := range map[string]func() error{
		"short": func() error { return os.WriteFile(path, []byte("short\n"), 0o600) },
		"open":  func() error { return errors.Join(os.WriteFile(path, []byte(one), 0o600), os.Chmod(path, 0o640)) },
	} {
		if err := change(); err != nil {
			t.Fatal(err)
		}
		if got, err := token(dir, controlToken); err == nil {
			t.Errorf("%s: token = %q, want an error", what, got)
		}
		if err := os.Chmod(path, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func FuzzPlain(f *testing.F) {
	f.Add("\x1b]0;title\x07", 3)
	f.Fuzz(func(t *testing.T, s string, n int) {
		for _, r := range plain(s) + clip(s, max(n%1000, 1)) {
			if r < ' ' || r >= 0x7f && r < 0xa0 || hides(r) {
				t.Fatalf("%q keeps %U", s, r)
			}
		}
	})
}
