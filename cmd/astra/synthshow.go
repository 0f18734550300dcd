package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/astra-arenas/astra/synth"
	"github.com/astra-arenas/astra/synth/servers"
	"github.com/astra-arenas/astra/synth/tasks"
	"github.com/astra-arenas/astra/synth/trajectories"
)

func (a *app) synthShowCommand() *cobra.Command {
	what := ""
	cmd := &cobra.Command{Use: "show DIR [ID]", Short: "Show what a synthesis of trajectories has made so far", Args: args(1, 2, "a directory that astra synth trajectories wrote"),
		Long: `Without more, counts what each stage made, and why the rest was left out. With --list, shows
one line each of servers, chains, tasks, conversations or trajectories (the accepted ones).
With the ID of a chain, a task or a conversation, shows all of it.`,
		Example: "  astra synth show trajectories\n  astra synth show trajectories --list tasks\n  astra synth show trajectories t3f2a91bc04d7e688"}
	cmd.Flags().StringVar(&what, "list", "", "`WHAT` to list: servers, chains, tasks, conversations or trajectories")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		s := &shower{a, args[0]}
		switch {
		case len(args) == 2:
			return s.one(args[1])
		case what != "":
			return s.list(what)
		}
		return s.stages()
	}
	return a.wantsJSON(cmd)
}

// A shower shows what is in a directory of a synthesis.
type shower struct {
	*app
	dir string
}

// mostLine bounds a line of what a synthesis wrote: a conversation with all its messages.
const mostLine = 16 << 20

// readRows yields the values of a file, which may not be there yet.
func readRows[T any](s *shower, name string) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		path := filepath.Join(s.dir, name)
		f, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			return
		}
		if err != nil {
			yield(none, err)
			return
		}
		defer f.Close()
		lines := bufio.NewScanner(f)
		lines.Buffer(nil, mostLine)
		for n := 1; lines.Scan(); n++ {
			var v T
			if err := json.Unmarshal(lines.Bytes(), &v); err != nil {
				yield(none, fmt.Errorf("%s:%d: %w", path, n, err))
				return
			}
			if !yield(v, nil) {
				return
			}
		}
		if err := lines.Err(); err != nil {
			yield(none, fmt.Errorf("%s: %w", path, err))
		}
	}
}

// stages tells the report, which a synthesis writes wherever it stops.
func (s *shower) stages() error {
	b, err := os.ReadFile(filepath.Join(s.dir, "report.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return failf("Name the directory given with --out; one that was interrupted has no report: run the command again.", "%s has no report.json", s.dir)
	}
	if err != nil {
		return err
	}
	var r synth.Report
	if err := json.Unmarshal(b, &r); err != nil {
		return fmt.Errorf("%s: %w", filepath.Join(s.dir, "report.json"), err)
	}
	if s.json {
		return s.printJSON(r)
	}
	t := newTable("stage", "items", "passed", "failed", "unknown", "most often for")
	for _, y := range r.Yields {
		why := ""
		if reasons := sortedReasons(y.Rejected); len(reasons) > 0 {
			why = reasons[0]
		}
		t.row(y.Stage, y.Items, y.Passed, y.Failed, y.Unknown, plain(why))
	}
	if err := t.write(s.stdout); err != nil {
		return err
	}
	if u := r.Usage; u != nil {
		s.printf("\n%s, %d of them to mend a reply; %d tokens in, %d out; cost %.2f\n", plural(int(u.Calls), "completion"), u.Repairs, u.Input, u.Output, u.Cost)
	}
	return nil
}

func (s *shower) list(what string) error {
	switch what {
	case "servers":
		return listed(s, "servers.jsonl", newTable("server", "tools", "domain", "reached", "description"), func(v servers.Server) []any {
			return []any{v.Name, len(v.Tools), plain(v.Domain), cmp.Or(v.Upstream, "documents"), clip(v.Description, 60)}
		})
	case "chains":
		return listed(s, "chains.jsonl", newTable("chain", "server", "tools", "purpose"), func(v tasks.Chain) []any {
			return []any{v.ID, v.Server, arrows(v), clip(v.Purpose, 60)}
		})
	case "tasks":
		return listed(s, "tasks.jsonl", newTable("task", "kind", "augmented", "server", "request"), func(v tasks.Task) []any {
			return []any{v.ID, v.Kind, v.Mode, v.Server, clip(v.Question, 80)}
		})
	case "conversations":
		return listed(s, "conversations.jsonl", newTable("conversation", "kind", "calls", "mean", "request"), conversationRow)
	case "trajectories":
		return s.listAccepted()
	}
	return oneOf("list", what, "servers", "chains", "tasks", "conversations", "trajectories")
}

func conversationRow(v trajectories.Conversation) []any {
	mean := "none yet"
	if v.Scores != nil {
		mean = "unknown"
		if v.Scores.Mean != nil {
			mean = fmt.Sprintf("%.2f", *v.Scores.Mean)
		}
	}
	return []any{v.ID, v.Task.Kind, len(v.Calls), mean, clip(v.Task.Question, 80)}
}

func arrows(c tasks.Chain) string {
	names := make([]string, len(c.Tools))
	for i, n := range c.Tools {
		names[i] = n.Tool
	}
	return strings.Join(names, " → ")
}

func (s *shower) listAccepted() error {
	accepted, err := s.accepted()
	if err != nil {
		return err
	}
	all := func(yield func(trajectories.Conversation, error) bool) {
		for c, err := range readRows[trajectories.Conversation](s, "conversations.jsonl") {
			if (err != nil || accepted[c.ID]) && !yield(c, err) {
				return
			}
		}
	}
	return tabulate(s, newTable("trajectory", "kind", "calls", "mean", "request"), all, conversationRow)
}

// accepted are the names of what was accepted.
func (s *shower) accepted() (map[string]bool, error) {
	names := map[string]bool{}
	for t, err := range readRows[struct {
		Metadata struct {
			ID string `json:"id"`
		} `json:"metadata"`
	}](s, "trajectories.jsonl") {
		if err != nil {
			return nil, err
		}
		names[t.Metadata.ID] = true
	}
	return names, nil
}

func listed[T any](s *shower, file string, t *table, row func(T) []any) error {
	return tabulate(s, t, readRows[T](s, file), row)
}

func tabulate[T any](s *shower, t *table, all iter.Seq2[T, error], row func(T) []any) error {
	n := 0
	for v, err := range all {
		if err != nil {
			return err
		}
		if n++; s.json {
			if err := s.printJSON(v); err != nil {
				return err
			}
			continue
		}
		t.row(row(v)...)
	}
	if n == 0 {
		s.note("astra: there is none so far")
	}
	if n == 0 || s.json {
		return nil
	}
	return t.write(s.stdout)
}

// one shows a chain, a task or a conversation.
func (s *shower) one(id string) error {
	for c, err := range readRows[trajectories.Conversation](s, "conversations.jsonl") {
		if err != nil || c.ID == id {
			return errors.Join(err, s.conversation(&c))
		}
	}
	for t, err := range readRows[tasks.Task](s, "tasks.jsonl") {
		if err != nil || t.ID == id {
			return errors.Join(err, s.task(&t))
		}
	}
	for c, err := range readRows[tasks.Chain](s, "chains.jsonl") {
		if err != nil || c.ID == id {
			return errors.Join(err, s.chain(&c))
		}
	}
	return failf("`astra synth show "+s.dir+" --list tasks` lists those there are.", "%s has no chain, task or conversation %q", s.dir, id)
}

func (s *shower) chain(c *tasks.Chain) error {
	if s.json {
		return s.printJSON(c)
	}
	s.printf("%s  %s\n%s\n%s\n", c.ID, c.Server, arrows(*c), plain(c.Purpose))
	if c.Votes != nil {
		s.printf("votes: %d yes, %d no, %d unsure\n", c.Votes.Yes, c.Votes.No, c.Votes.Unsure)
	}
	return nil
}

func (s *shower) task(t *tasks.Task) error {
	if s.json {
		return s.printJSON(t)
	}
	s.printf("%s  %s  %s\n\n%s\n", t.ID, t.Kind, t.Server, plainLines(t.Question))
	for _, n := range t.Targets {
		s.printf("  needs %s/%s\n", n.Server, n.Tool)
	}
	if u := t.User; u != nil {
		s.printf("  wants %s\n", plain(u.Goal))
		for _, name := range slices.Sorted(maps.Keys(u.Facts)) {
			s.printf("  knows %s: %s\n", plain(name), plain(u.Facts[name]))
		}
		for _, next := range u.Next {
			s.printf("  then: %s\n", plain(next))
		}
	}
	if q := t.Quality; q != nil {
		s.printf("  question quality %.2f, scenario realism %.2f, tool necessity %.2f\n", q.Question, q.Realism, q.Necessity)
	}
	return nil
}

func (s *shower) conversation(c *trajectories.Conversation) error {
	if s.json {
		return s.printJSON(c)
	}
	chat, err := c.Trajectory.Chat()
	if err != nil {
		return err
	}
	s.printf("%s  %s  %s\n", c.ID, c.Task.Kind, c.Task.Server)
	for _, m := range chat {
		if m.Content != "" {
			s.printf("\n%s: %s\n", m.Role, plainLines(m.Content))
		}
		for _, call := range m.ToolCalls {
			s.printf("\ncalls %s %s\n", plain(call.Function.Name), plain(call.Function.Arguments))
		}
	}
	if c.Scores == nil {
		return nil
	}
	s.printf("\n")
	for _, p := range c.Scores.Parts() {
		value := "unknown: " + plain(p.Reason)
		if p.Value != nil {
			value = fmt.Sprintf("%.2f", *p.Value)
		}
		s.printf("%-20s %s\n", p.Name, value)
		for _, n := range p.Notes {
			if n.Why != "" {
				s.printf("  %d: %s\n", n.Of, plain(n.Why))
			}
		}
	}
	return nil
}

// plainLines are a text's, each plain.
func plainLines(text string) string {
	all := strings.Split(strings.TrimSpace(text), "\n")
	for i := range all {
		all[i] = plain(all[i])
	}
	return strings.Join(all, "\n")
}
