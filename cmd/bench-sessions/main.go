// Bench-sessions measures how many sessions at once astra serves, by each protocol that
// harnesses and agents come in with, beside the servers that these protocols come from: OpenEnv,
// NeMo Gym and FastMCP. All of them search the same catalogue, and give each session a world of
// its own. Ratios within one run are what is compared.
//
//	go run ./cmd/bench-sessions [-quick] [-only REGEXP] [-json] [-svg FILE]
//
// It runs in astra's source directory, after `make build peers-sessions`.
//
// The sessions of a level are all there at once: first each opens (connect and reset, all
// of them together), then each calls without a pause, then each ends. Levels double until fewer
// than 95 % of the sessions get right answers in time. The load comes from this process, on the
// same cores, over connections that every session has to itself. A server starts anew for each level.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"time"
)

func main() { os.Exit(Main()) }

// Main runs the command line until it is done or interrupted, and returns its exit status.
func Main() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "bench-sessions:", err)
		return 1
	}
	return 0
}

// patience is how long OpenEnv's client waits for a connection. For an answer it waits a
// minute, which is more than a level has.
const patience = 10 * time.Second

// enough is the share of sessions that must succeed for the next level to be tried, as in
// the tables that OpenEnv publishes.
const enough = 0.95

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	b := bench{levels: []int{256, 512, 1024, 2048, 4096, 8192, 16384}, level: level{calls: 3, patience: patience, limit: 30 * time.Second}, progress: stderr}
	flags := flag.NewFlagSet("bench-sessions", flag.ContinueOnError)
	quick := flags.Bool("quick", false, "few sessions: a look, not a measurement")
	only := flags.String("only", "", "only servers whose name matches this `REGEXP`")
	asJSON := flags.Bool("json", false, "print rows as JSON lines")
	svg := flags.String("svg", "", "draw the rows in this `FILE`")
	program := flags.String("astra", "bin/astra", "astra's `FILE`")
	python := flags.String("python", ".venv-sessions/bin/python", "the peers' Python")
	if err := flags.Parse(args); err != nil {
		return err
	}
	names, err := regexp.Compile(*only)
	if err != nil {
		return fmt.Errorf("-only: %w", err)
	}
	if *quick {
		b.levels, b.level.calls, b.level.limit = []int{16, 32}, 2, 10*time.Second
	}
	dir, err := os.MkdirTemp("", "astra-bench-sessions-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if b.lab, err = newLab(dir, *program, *python, b.levels[len(b.levels)-1]/group, b.level.calls); err != nil {
		return err
	}
	rows, notes, err := b.surveys(ctx, names)
	if err != nil {
		return err
	}
	if err := draw(*svg, rows); err != nil {
		return err
	}
	return report(stdout, b.lab.machine(ctx), b.level, rows, notes, *asJSON)
}

func newLab(dir, program, python string, tasks, calls int) (*lab, error) {
	const example = "examples/arenas/inventory"
	l := &lab{dir: dir, arena: filepath.Join(dir, arenaName)}
	var err error
	for to, from := range map[*string]string{&l.astra: program, &l.python: python, &l.peers: "cmd/bench-sessions/testdata", &l.data: example + "/data"} {
		if *to, err = filepath.Abs(from); err != nil {
			return nil, err
		}
	}
	if l.catalogue, err = loadCatalogue(l.data); err != nil {
		return nil, fmt.Errorf("%w (run this in astra's source directory)", err)
	}
	return l, writeArena(example, l.arena, tasks, calls)
}

// A bench plays levels with contestants.
type bench struct {
	lab      *lab
	levels   []int // sessions
	level    level // but for the sessions
	progress io.Writer
}

// surveys are the rows of the contestants whose name matches, and what else there is to say.
func (b *bench) surveys(ctx context.Context, only *regexp.Regexp) (rows []result, notes []string, err error) {
	files, err := openFiles(wantedFiles)
	if err != nil {
		return nil, nil, err
	}
	for _, c := range contestants {
		if !only.MatchString(c.name) {
			continue
		}
		more, note := b.survey(ctx, c, files)
		if ctx.Err() != nil {
			return nil, nil, ctx.Err()
		}
		rows = append(rows, more...)
		if note != "" {
			notes = append(notes, c.name+": "+note)
		}
	}
	return rows, notes, nil
}

// wantedFiles is as many as the largest level needs, with room to spare.
const wantedFiles = 65_536

// spare is how many files a process has open besides its sessions' sockets, generously.
const spare = 600

// survey plays levels with one contestant until it has enough. A contestant that cannot be
// had takes nothing away from others.
func (b *bench) survey(ctx context.Context, c contestant, files int) (rows []result, note string) {
	for _, n := range b.levels {
		if n+spare > files {
			return rows, fmt.Sprintf("%d sessions need more than the %d open files that a process may have here", n, files)
		}
		r, err := b.play(ctx, c, n)
		if err != nil {
			return rows, fmt.Sprintf("not measured with %d sessions: %v", n, err)
		}
		fmt.Fprintf(b.progress, "%s: %d sessions, %.1f %%, %.0f calls/s\n", c.name, n, 100*r.Success, r.Achieved)
		rows = append(rows, r)
		if r.Success < enough {
			break
		}
	}
	return rows, ""
}

// play starts a server and plays one level with it, after one session that nobody times:
// the first has to load what others find there.
func (b *bench) play(ctx context.Context, c contestant, sessions int) (result, error) {
	dir, err := os.MkdirTemp(b.lab.dir, "server-")
	if err != nil {
		return result{}, err
	}
	defer os.RemoveAll(dir)
	h, err := c.start(ctx, b.lab, dir)
	if err != nil {
		return result{}, err
	}
	defer h.stop()
	l := b.level
	l.sessions = 1
	if first := l.play(ctx, h, b.lab.catalogue); first.Success < 1 {
		return result{}, fmt.Errorf("a single session failed: %v; the server's last words: %s", first.Errors, h.lastWords())
	}
	l.sessions = sessions
	r := l.play(ctx, h, b.lab.catalogue)
	r.Server = c.name
	return r, ctx.Err()
}

func report(w io.Writer, machine string, l level, rows []result, notes []string, asJSON bool) error {
	if !asJSON {
		return markdown(w, machine, l, rows, notes)
	}
	e := json.NewEncoder(w)
	for _, r := range rows {
		if err := e.Encode(r); err != nil {
			return err
		}
	}
	for _, n := range notes {
		if err := e.Encode(object{"note": n}); err != nil {
			return err
		}
	}
	return e.Encode(object{"machine": machine})
}
