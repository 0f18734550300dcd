package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/astra-arenas/astra"
)

func (a *app) showCommand() *cobra.Command {
	full, state, at := false, false, 0
	cmd := &cobra.Command{Use: "show EPISODE", Short: "Show what happened in an episode, and why it scored what it did", Args: args(1, 1, "an episode"),
		Long: `Shows the turns and steps of an episode, and its score clause by clause. Where the arena
is in the arena directories, unchanged, the deciding text of each verifier is shown too.
With --state it shows the world instead, as the arena's state() tells it after a step.`,
		Example: "  astra show ep-abcdefgh\n  astra show ep-abcdefgh --full\n  astra show ep-abcdefgh --state --at 3\n  astra show ep-abcdefgh --json | jq .score"}
	cmd.Flags().BoolVar(&full, "full", false, "do not shorten arguments and results")
	cmd.Flags().BoolVar(&state, "state", false, "show the state of the world")
	cmd.Flags().IntVar(&at, "at", 0, "with --state: after this `STEP`; 0 is before the first (default the last)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var step *int
		if cmd.Flags().Changed("at") {
			step = &at
		}
		switch {
		case state:
			return a.look(cmd.Context(), func(f *follower) error { return a.showState(cmd.Context(), f, astra.EpisodeID(args[0]), step) })
		case step != nil:
			return &problem{err: errors.New("--at goes with --state"), code: 2}
		}
		return a.look(cmd.Context(), func(f *follower) error {
			ep, err := f.Episode(cmd.Context(), astra.EpisodeID(args[0]))
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(ep)
			}
			s := show{app: a, ep: ep, width: 160}
			if full {
				s.width = 1 << 20
			}
			if arena := a.bundleOf(ep.Arena, ep.Digest); arena != nil {
				s.task = arena.Task(ep.Task)
			}
			s.print()
			return nil
		})
	}
	return a.wantsJSON(cmd)
}

func (a *app) showState(ctx context.Context, f *follower, id astra.EpisodeID, at *int) error {
	s, err := f.StateAt(ctx, id, at)
	if err != nil {
		return err
	}
	if a.json {
		return a.printJSON(s)
	}
	where := fmt.Sprintf("after step %d", s.At)
	if s.At == 0 {
		where = "before the first step"
	}
	if s.Error != "" {
		a.printf("%s  no state %s: %s\n", s.Episode, where, clip(s.Error, 1000))
		return nil
	}
	a.printf("%s  state %s\n", s.Episode, where)
	var text bytes.Buffer
	if err := json.Indent(&text, s.State, "", "  "); err != nil {
		return err
	}
	for line := range strings.Lines(text.String()) {
		a.printf("%s\n", plain(strings.TrimSuffix(line, "\n")))
	}
	return nil
}

// show prints one episode.
type show struct {
	*app
	ep    *astra.Episode
	task  *astra.Task // nil if its bundle is not here
	width int         // of arguments and results
}

func (s *show) print() {
	s.head()
	for _, turn := range s.ep.Turns {
		if turn.Prompt != "" || len(s.ep.Turns) > 1 {
			s.printf("\nturn %d  %s\n", turn.Index, clip(turn.Prompt, s.width))
		} else {
			s.printf("\n")
		}
		for _, step := range s.ep.Steps {
			if step.Turn == turn.Index {
				s.step(step)
			}
		}
		if turn.Reply != nil {
			s.printf("  reply   %s\n", clip(*turn.Reply, s.width))
		}
	}
	if s.ep.Submission != nil {
		s.printf("\nanswer  %s\n", clip(s.ep.AnswerText(), s.width))
	}
	s.end()
}

func (s *show) head() {
	ep := s.ep
	task := "free play"
	if ep.Task != "" {
		task = "task " + plain(ep.Task)
	}
	s.printf("%s  %s  %s  %s  %s\n", ep.Episode, task, s.seed(), ep.Mode, ep.Status)
	s.printf("  arena   %s@%s\n  runtime %s\n  opened  %s", plain(ep.Arena), ep.Digest, plain(ep.Runtime), ep.OpenedAt.UTC().Format("2006-01-02 15:04:05 MST"))
	for _, fact := range []struct{ name, value string }{{"policy", ep.Policy}, {"group", ep.Group}, {"by", ep.Principal}, {"fork of", s.parent()}, {"failures", s.failures()}} {
		if fact.value != "" {
			s.printf("  %s %s", fact.name, plain(fact.value))
		}
	}
	if ep.Status == astra.StatusOpen {
		s.printf("  expires %s", ep.Expires.UTC().Format("2006-01-02 15:04:05 MST"))
	}
	s.printf("\n")
}

func (s *show) parent() string {
	if s.ep.Parent == "" {
		return ""
	}
	return fmt.Sprintf("%s at step %d", s.ep.Parent, s.ep.At)
}

// failures are those planned for calls.
func (s *show) failures() string {
	p := s.ep.Failures
	if p == nil {
		return ""
	}
	text := fmt.Sprintf("%g", p.Rate)
	if len(p.Kinds) == len(astra.FailureKinds()) {
		return text
	}
	for _, k := range p.Kinds {
		text += " " + string(k)
	}
	return text
}

// seed is the world's. The record leaves out one that is the task's own.
func (s *show) seed() string {
	switch {
	case s.task != nil && s.task.Seed != nil:
		return fmt.Sprintf("seed %d (the task's)", *s.task.Seed)
	case s.task == nil && s.ep.Task != "" && s.ep.Seed == 0:
		return "seed 0 or the task's"
	}
	return fmt.Sprintf("seed %d", s.ep.Seed)
}

func (s *show) step(step astra.Step) {
	s.printf("  %3d  %s %s\n", step.Index, plain(step.Tool), clip(string(step.Args), s.width))
	if step.Result.OK() {
		s.printf("       → %s\n", clip(string(step.Result.Value), s.width))
	} else {
		fault := string(step.Result.Fault)
		if step.Result.Injected {
			fault += ", planned"
		}
		s.printf("       ✗ %s: %s\n", fault, clip(step.Result.Error, s.width))
	}
	for _, line := range strings.Split(strings.TrimRight(step.Result.Log, "\n"), "\n") {
		if line != "" {
			s.printf("       log %s\n", clip(line, s.width))
		}
	}
}

func (s *show) end() {
	if s.ep.Refused > 0 {
		s.printf("\n%d calls were refused: the budget was spent\n", s.ep.Refused)
	}
	if s.ep.Ended != nil {
		s.printf("\n%s", s.ep.Ended.As)
		if s.ep.Ended.Fault != "" {
			s.printf(" (%s)", s.ep.Ended.Fault)
		}
		s.printf("  %s\n", clip(s.ep.Ended.Reason, 1000))
	}
	if s.ep.Score != nil {
		s.score("reward", s.ep.Score)
	}
	for i := range s.ep.Rescored {
		s.score(fmt.Sprintf("re-score %d: reward", i+1), &s.ep.Rescored[i])
	}
}

func (s *show) score(title string, score *astra.Score) {
	s.printf("\n%s %.3f  recall %.3f  precision %.3f  (verifier %s)\n", title, score.Reward, score.Recall, score.Precision, plain(score.Verifier))
	for _, p := range score.Parts {
		as := fmt.Sprintf("weight %g", p.Weight)
		if p.Gate {
			as = "gate"
		} else if p.Weight == 0 {
			as = "reported only"
		}
		s.printf("  %-16s %.3f  %s\n", plain(p.Name), p.Value, as)
		for i := range p.Reasons {
			s.reason(&p.Reasons[i], s.verifierOf(p.Name))
		}
		if p.Name == "f1" {
			s.subtasks(score.Subtasks)
		}
	}
}

func (s *show) subtasks(list []astra.SubtaskScore) {
	for i := range list {
		sub := &list[i]
		if sub.Solved {
			s.printf("    ✓ %s solved by step %d\n", plain(sub.ID), sub.Step)
			continue
		}
		s.printf("    ✗ %s not solved\n", plain(sub.ID))
		if sub.Reason != nil {
			s.reason(sub.Reason, s.solvedOf(sub.ID))
		}
	}
}

// reason prints a reason and, where its verifier's source is here, the clause it speaks of.
func (s *show) reason(r *astra.Reason, source string) {
	s.printf("      %s", clip(r.Text, 1000))
	if r.Step > 0 && !strings.Contains(r.Text, fmt.Sprintf("step %d", r.Step)) {
		s.printf(" (step %d)", r.Step)
	}
	if c := r.Clause; c != nil && 0 <= c[0] && c[0] < c[1] && c[1] <= len(source) {
		s.printf(": %s", clip(source[c[0]:c[1]], 400))
	}
	s.printf("\n")
}

func (s *show) verifierOf(part string) string {
	switch {
	case s.task == nil:
		return ""
	case part == "answer" && s.task.Answer != nil:
		return s.task.Answer.Verify
	}
	return s.task.Verify[part]
}

func (s *show) solvedOf(subtask string) string {
	if s.task != nil {
		for _, t := range s.task.Subtasks {
			if t.ID == subtask {
				return t.Solved
			}
		}
	}
	return ""
}
