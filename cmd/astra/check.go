package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/agent"
	"github.com/astra-arenas/astra/gateway"
)

func (a *app) checkCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "check ARENA", Short: "Load an arena, type-check its verifiers, and play every solution once", Args: args(1, 1, "an arena's directory or .arena file"),
		Long: `Loads and validates the bundle, type-checks every verifier, and plays each task's gold calls
once over MCP in a store that is thrown away. Gold must score 1. Errors say file and line.
Exit code 1: something is wrong with the arena.`,
		Example: "  astra check examples/arenas/inventory\n  astra check inventory.arena --json"}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		arena, err := a.findArena(args[0])
		if err != nil {
			return err
		}
		if arena == nil {
			return failf("Name a directory with an arena.yaml, or an .arena file.", "no arena %q", args[0])
		}
		return a.check(cmd.Context(), args[0], arena)
	}
	a.settings(cmd, emulatorSettings...)
	return a.wantsJSON(cmd)
}

// A finding is what checking a task found.
type finding struct {
	Task    string   `json:"task"`
	Line    int      `json:"line"` // in tasks.jsonl
	Turns   int      `json:"turns"`
	Calls   int      `json:"calls"` // of its gold solution
	Reward  *float64 `json:"reward"`
	Problem string   `json:"problem,omitempty"`
}

func (a *app) check(ctx context.Context, path string, arena *astra.Arena) (err error) {
	dir, err := os.MkdirTemp("", "astra-check-*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	apart := *a
	apart.config.Dir, apart.config.Certified = dir, false
	return apart.with(ctx, func(f *follower) error {
		if err := f.bring(ctx, path, arena); err != nil {
			return err
		}
		if err := a.bringNeighbours(ctx, f, path, arena); err != nil {
			return err
		}
		findings, err := a.playGold(ctx, f, arena)
		if err != nil {
			return err
		}
		return a.printCheck(path, arena, findings)
	})
}

// playGold plays the solution of every task that has one, whatever failures are planned:
// it is the task that is checked. The episodes are eval: those of all splits may be opened so.
func (a *app) playGold(ctx context.Context, f *follower, arena *astra.Arena) ([]finding, error) {
	var attempts []attempt
	findings := make([]finding, len(arena.Tasks))
	for i := range arena.Tasks {
		t := &arena.Tasks[i]
		calls, _ := t.GoldCalls()
		findings[i] = finding{Task: t.ID, Line: t.Line, Turns: len(t.Turns), Calls: len(calls)}
		if t.Gold != nil {
			attempts = append(attempts, attempt{Task: t.ID, Number: i})
		}
	}
	draw, end := a.progressBar(len(attempts))
	r := rollout{to: f, parallel: 4, progress: draw, seed: func(string) *int64 { return nil },
		open:   gateway.OpenRequest{Arena: arena.Ref(), Mode: astra.Eval, Policy: "gold", Failures: &astra.FailurePlan{}},
		player: func(task string, _ int) (agent.Player, error) { return agent.NewGold(arena.Task(task), nil), nil }}
	done := r.run(ctx, attempts)
	end()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	for i := range done {
		at := &done[i]
		found := &findings[at.Number]
		found.Reward, found.Problem = at.Reward, problemOf(at)
		if at.Reward != nil && *at.Reward != 1 {
			ep, err := f.Episode(ctx, at.Episode)
			if err != nil {
				return nil, err
			}
			found.Problem += whyNot1(ep.Score)
		}
	}
	return findings, nil
}

func problemOf(at *attempt) string {
	switch {
	case at.Error != "":
		return "gold does not play: " + at.Error
	case at.Reward == nil:
		return fmt.Sprintf("gold has no score: the episode is %s", cmp.Or(at.Status, "lost"))
	case *at.Reward != 1:
		return "gold must score 1"
	}
	return ""
}

// whyNot1 names the first thing that kept a score from being 1.
func whyNot1(s *astra.Score) string {
	for _, sub := range s.Subtasks {
		if !sub.Solved {
			return ": sub-task " + sub.ID + " is not solved" + because(sub.Reason)
		}
	}
	for _, p := range s.Parts {
		if p.Value != 1 {
			var r *astra.Reason
			if len(p.Reasons) > 0 {
				r = &p.Reasons[0]
			}
			return fmt.Sprintf(": %s is %.3f", p.Name, p.Value) + because(r)
		}
	}
	return ""
}

func because(r *astra.Reason) string {
	if r == nil {
		return ""
	}
	return ", " + r.Text
}

func (a *app) printCheck(path string, arena *astra.Arena, findings []finding) error {
	bad := 0
	t := newTable("task", "split", "turns", "gold calls", "reward")
	for i, f := range findings {
		t.row(f.Task, cmp.Or(arena.Tasks[i].Split, astra.SplitTrain), f.Turns, f.Calls, f.Reward)
		if f.Problem != "" {
			bad++
		}
	}
	if a.json {
		if err := a.printJSON(map[string]any{"arena": arena.Name, "version": arena.Version, "digest": arena.Digest, "ok": bad == 0, "tasks": findings}); err != nil {
			return err
		}
	} else if err := t.write(a.stdout); err != nil {
		return err
	}
	for _, f := range findings {
		if f.Problem != "" {
			a.note("%s:%d: task %s: %s", filepath.Join(path, "tasks.jsonl"), f.Line, plain(f.Task), clip(f.Problem, 600))
		}
	}
	if bad > 0 && arena.Runtime == astra.Emulated && a.config.Emulator.Model == "" {
		a.note("%s is emulated, and no emulator_model is set: only what %s knows is answered", arena.Name, astra.CassetteFile)
	}
	if bad > 0 {
		return failf("", "%s: %d of %d tasks are not right", path, bad, len(findings))
	}
	if !a.json {
		a.printf("%s %s is right: %s, %s  %s\n", arena.Name, plain(arena.Version), plural(len(arena.Tools), "tool"), plural(len(arena.Tasks), "task"), arena.Digest)
	}
	return nil
}
