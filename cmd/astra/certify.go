package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway/certify"
)

// certifyHelp tells what is asked. It lists the checks from the table that runs them.
func certifyHelp() string {
	var b strings.Builder
	b.WriteString(`Finds out whether an arena can be solved, is deterministic, gives no answer away and is hard
to cheat, and writes what it found into the arena as CERTIFICATE.json. That file is no part
of the digest. The checks, each of which must pass:

`)
	names, meanings := certify.Checks()
	for i := range names {
		fmt.Fprintf(&b, "  %-13s %s\n", names[i], meanings[i])
	}
	b.WriteString(`
Every task is played some hundred times in memory: with gold as it is, with arguments left
out and replaced, in another order, by agents that deserve nothing, and with wrong answers.
What is wrong is told with file and line, and what to do about it. Equal arenas get equal
certificates. Only arenas of the runtimes javascript, python and wasm can be certified.

A certificate is a claim: astra serve --require-certificate believes none that it did not
make itself. Exit code 1: the arena does not pass; the certificate is written all the same.`)
	return b.String()
}

func (a *app) certifyCommand() *cobra.Command {
	var opts certify.Options
	var out string
	cmd := &cobra.Command{Use: "certify ARENA", Short: "Check that an arena is solvable, deterministic, leak-free and hard to cheat", Args: args(1, 1, "an arena's directory or .arena file"),
		Long:    certifyHelp(),
		Example: "  astra certify examples/arenas/inventory\n  astra certify inventory.arena --json\n  astra certify inventory --out report.json --random-mean 0.1"}
	cmd.Flags().StringVarP(&out, "out", "o", "", "write the certificate to `FILE` and leave the arena as it is")
	cmd.Flags().Float64Var(&opts.RandomMean, "random-mean", 0, "reward that a random agent may have on average (default 0.2)")
	cmd.Flags().Float64Var(&opts.RandomMost, "random-most", 0, "reward that one play of a random agent may have (default 0.7)")
	cmd.Flags().IntVar(&opts.RandomPlays, "random-plays", 0, "plays of each task by a random agent (default 20)")
	cmd.Flags().IntVar(&opts.Fuzzed, "fuzzed", 0, "fuzzed calls of each tool (default 100)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		path, arena, err := a.arenaAt(args[0])
		if err != nil {
			return err
		}
		c, err := a.certify(cmd.Context(), arena, opts)
		if err != nil {
			return err
		}
		if err := writeCertificate(path, out, arena, c); err != nil {
			return err
		}
		return a.printCertificate(path, arena, c)
	}
	return a.wantsJSON(cmd)
}

// arenaAt is findArena for commands that write to where the arena is.
func (a *app) arenaAt(ref string) (path string, arena *astra.Arena, err error) {
	if arena, err = a.findArena(ref); err != nil {
		return "", nil, err
	}
	if arena == nil {
		return "", nil, failf("Name a directory with an arena.yaml, or an .arena file.", "no arena %q", ref)
	}
	if isArena(ref) {
		return ref, arena, nil
	}
	paths, err := a.arenaPaths()
	for _, path := range paths {
		if other, bad := loadArena(path); bad == nil && other.Digest == arena.Digest {
			return path, arena, nil
		}
	}
	return ref, arena, err
}

// certify plays in a store that is thrown away.
func (a *app) certify(ctx context.Context, arena *astra.Arena, opts certify.Options) (*astra.Certificate, error) {
	c, err := a.newCertifier(ctx)
	if err != nil {
		return nil, err
	}
	draw, end := a.certifyBar()
	defer end()
	opts.Progress = draw
	cert, err := c.certificate(ctx, arena, &opts)
	return cert, errors.Join(err, c.close())
}

// certifyBar is a progress bar that learns its length when it is first drawn.
func (a *app) certifyBar() (draw func(done, all int), end func()) {
	var mu sync.Mutex
	var bar func(int, int, int)
	end = func() {}
	draw = func(done, all int) {
		mu.Lock()
		defer mu.Unlock()
		if bar == nil {
			bar, end = a.progressBar(all)
		}
		bar(done, 0, 0)
	}
	return draw, func() { end() }
}

// writeCertificate puts it into the arena, or where the caller wants it instead.
func writeCertificate(path, out string, arena *astra.Arena, c *astra.Certificate) error {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return err
	case out == "" && !info.IsDir():
		b, err := arena.Bundle.WithCertificate(c)
		if err != nil {
			return err
		}
		return writeWhole(path, b.Pack)
	case out == "":
		out = filepath.Join(path, astra.CertificateFile)
	}
	return writeWhole(out, func(w io.Writer) error {
		_, err := w.Write(c.JSON())
		return err
	})
}

func (a *app) printCertificate(path string, arena *astra.Arena, c *astra.Certificate) error {
	if a.json {
		if err := a.printJSON(c); err != nil {
			return err
		}
	} else if err := checkTable(c).write(a.stdout); err != nil {
		return err
	}
	failed := 0
	for i := range c.Checks {
		k := &c.Checks[i]
		if !k.Passed {
			failed++
		}
		for j := range k.Findings {
			a.note("%s", findingLine(path, arena, k.Name, &k.Findings[j]))
		}
		if k.More > 0 {
			a.note("%s: and %d more of the check %s", path, k.More, k.Name)
		}
	}
	if failed > 0 {
		return failf("", "%s: %d of %d checks do not pass", path, failed, len(c.Checks))
	}
	if !a.json {
		a.printf("%s %s passes: %s, %d of %d mutants refused  %s\n", arena.Name, plain(arena.Version), plural(c.Tasks, "task"), c.Mutation.Refused, c.Mutation.Made, c.Digest)
	}
	return nil
}

func checkTable(c *astra.Certificate) *table {
	t := newTable("check", "passed", "findings", "figures")
	for i := range c.Checks {
		k := &c.Checks[i]
		passed := "no"
		switch {
		case k.Passed:
			passed = "yes"
		case len(k.Findings) == 0:
			passed = "unknown"
		}
		var figures []string
		if k.Unknown > 0 {
			figures = append(figures, fmt.Sprintf("unknown %d", k.Unknown))
		}
		for _, f := range k.Figures {
			figures = append(figures, fmt.Sprintf("%s %v", f.Name, f.Value))
		}
		t.row(k.Name, passed, len(k.Findings)+k.More, strings.Join(figures, ", "))
	}
	return t
}

// findingLine names file and line, so that an editor finds the task.
func findingLine(path string, arena *astra.Arena, check string, f *astra.Finding) string {
	place := filepath.Join(path, "arena.yaml")
	if t := arena.Task(f.Task); t != nil {
		place = fmt.Sprintf("%s:%d", filepath.Join(path, "tasks.jsonl"), t.Line)
	}
	who := []string{check}
	for _, part := range []struct{ what, name string }{{"task", f.Task}, {"sub-task", f.Subtask}, {"tool", f.Tool}} {
		if part.name != "" {
			who = append(who, part.what+" "+plain(part.name))
		}
	}
	return fmt.Sprintf("%s: %s: %s", place, strings.Join(who, ", "), plain(f.Text))
}
