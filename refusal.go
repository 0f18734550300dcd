package astra

import (
	"fmt"
	"strings"
)

// maxRefusals is how many problems one load reports: enough to mend a bundle in one
// sitting, and a bound on what a hostile one makes us say.
const maxRefusals = 20

// A BundleError says what is wrong with a bundle, where, and what to do.
type BundleError struct {
	File string // path inside the bundle, or of the bundle itself; "" if neither applies
	Line int    // from 1; 0 if the whole file is meant
	Msg  string // what is wrong
	Fix  string // what to do
}

// Error reads "tasks.jsonl:3: what is wrong; what to do".
func (e *BundleError) Error() string {
	var b strings.Builder
	if e.File != "" {
		b.WriteString(e.File)
		if e.Line > 0 {
			fmt.Fprintf(&b, ":%d", e.Line)
		}
		b.WriteString(": ")
	}
	b.WriteString(e.Msg)
	if e.Fix != "" {
		b.WriteString("; ")
		b.WriteString(e.Fix)
	}
	return b.String()
}

// BundleErrors are the problems of one bundle in the order of its files and lines, at
// least one. errors.As finds each *BundleError in it.
type BundleErrors struct {
	List []*BundleError
	More int // problems found beyond those listed
}

// Error has one problem a line.
func (e *BundleErrors) Error() string {
	lines := make([]string, 0, len(e.List)+1)
	for _, p := range e.List {
		lines = append(lines, p.Error())
	}
	if e.More > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", e.More))
	}
	return strings.Join(lines, "\n")
}

// Unwrap makes each problem visible to errors.As.
func (e *BundleErrors) Unwrap() []error {
	errs := make([]error, len(e.List))
	for i, p := range e.List {
		errs[i] = p
	}
	return errs
}

// refusals collects problems while a bundle is read.
type refusals struct {
	list []*BundleError
	more int
}

func (r *refusals) add(file string, line int, fix, format string, args ...any) {
	if len(r.list) == maxRefusals {
		r.more++
		return
	}
	r.list = append(r.list, refusal(file, line, fix, format, args...))
}

func (r *refusals) err() error {
	if len(r.list) == 0 {
		return nil
	}
	return &BundleErrors{List: r.list, More: r.more}
}

func refusal(file string, line int, fix, format string, args ...any) *BundleError {
	return &BundleError{File: file, Line: line, Msg: fmt.Sprintf(format, args...), Fix: fix}
}

// clip quotes foreign text for a message: escaped, and no longer than people read.
func clip(s string) string {
	const most = 60
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return fmt.Sprintf("%q", s)
}
