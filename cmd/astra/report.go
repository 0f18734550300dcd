package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"syscall"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/store"
)

// report tells the user what went wrong in a line, and in another what to do about it.
func report(w io.Writer, err error) int {
	if err == nil {
		return 0
	}
	if errors.Is(err, errQuiet) || errors.Is(err, syscall.EPIPE) {
		return 1
	}
	p, ok := errors.AsType[*problem](err)
	if !ok {
		p = &problem{remedy: remedy(err)}
	}
	text := err.Error()
	if bad, ok := errors.AsType[*astra.BundleErrors](err); ok && strings.Contains(text, "\n") {
		fmt.Fprintf(w, "astra: %s\n", plain(strings.SplitN(text, "\n", 2)[0]))
		for _, line := range strings.Split(bad.Error(), "\n")[1:] {
			fmt.Fprintf(w, "  %s\n", plain(line))
		}
	} else {
		fmt.Fprintf(w, "astra: %s\n", plain(text))
	}
	if p.remedy != "" {
		fmt.Fprintf(w, "  %s\n", p.remedy)
	}
	return max(p.code, 1)
}

// remedies say what to do about errors that other packages know, most telling first.
var remedies = []struct {
	is   error
	text string
}{
	{store.ErrOwned, "Stop that process, or use another directory with --dir."},
	{store.ErrNewer, "Use the astra that wrote it, or another directory with --dir."},
	{store.ErrNoSpace, "Make room on the disk."},
	{astra.ErrStoreCorrupt, "Keep a copy of the directory, and go on in a new one with --dir."},
	{astra.ErrNotFound, "`astra episodes` lists episodes, `astra arenas` arenas."},
	{astra.ErrFull, "Wait until some end, or raise max_open or max_memory."},
	{fs.ErrPermission, "Check who owns the file, and its mode."},
}

func remedy(err error) string {
	for _, r := range remedies {
		if errors.Is(err, r.is) {
			return r.text
		}
	}
	return ""
}

// plain keeps text that strangers wrote on one line and away from the terminal's controls.
func plain(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteByte(' ')
		case r < ' ' || r >= 0x7f && r < 0xa0 || hides(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// hides reports whether a rune can make text look like other text: marks of direction,
// and those that take no room.
func hides(r rune) bool {
	return r >= 0x200b && r <= 0x200f || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 || r == 0xfeff || r == 0x2028 || r == 0x2029
}

// plural counts things.
func plural(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// clip keeps at most n runes of one plain line.
func clip(s string, n int) string {
	r := []rune(plain(s))
	if len(r) <= n {
		return string(r)
	}
	return string(r[:n-1]) + "…"
}
