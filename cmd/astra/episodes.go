package main

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/astra-arenas/astra"
)

func (a *app) episodesCommand() *cobra.Command {
	var q astra.Query
	cmd := &cobra.Command{Use: "episodes", Short: "List episodes, newest first", Args: args(0, 0, ""),
		Example: "  astra episodes\n  astra episodes --arena inventory --status invalid\n  astra episodes --mode train --limit 1000 --json"}
	flags := cmd.Flags()
	flags.StringVar(&q.Arena, "arena", "", "only of this arena (its `NAME`)")
	flags.StringVar(&q.Task, "task", "", "only of this task")
	flags.StringVar(&q.Group, "group", "", "only of this group")
	flags.StringVar((*string)(&q.Mode), "mode", "", "only of this `MODE`: practice, train or eval")
	flags.StringVar((*string)(&q.Status), "status", "", "only of this `STATUS`: open, submitted, scored, expired, aborted or invalid")
	flags.IntVar(&q.Limit, "limit", 50, "how many at most; 0 is all")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if q.Limit < 0 {
			return &problem{err: errors.New("--limit wants a whole number, 0 for all"), code: 2}
		}
		if err := errors.Join(oneOf("mode", string(q.Mode), "practice", "train", "eval"),
			oneOf("status", string(q.Status), "open", "submitted", "scored", "expired", "aborted", "invalid")); err != nil {
			return err
		}
		return a.look(cmd.Context(), func(f *follower) error {
			list, err := listEpisodes(cmd.Context(), f, q)
			if err != nil {
				return err
			}
			return a.printEpisodes(list)
		})
	}
	return a.wantsJSON(cmd)
}

// pageSize is the most that the control side gives at once.
const pageSize = 1000

// listEpisodes turns pages until there are q.Limit episodes, or no more.
func listEpisodes(ctx context.Context, f *follower, q astra.Query) ([]astra.Summary, error) {
	want, all := q.Limit, []astra.Summary{}
	for {
		q.Limit = pageSize
		if want > 0 {
			q.Limit = min(want-len(all), pageSize)
		}
		page, err := f.List(ctx, q)
		if err != nil {
			return nil, err
		}
		all = append(all, page.Episodes...)
		if q.Cursor = page.Next; q.Cursor == "" || want > 0 && len(all) >= want {
			return all, nil
		}
	}
}

func (a *app) printEpisodes(list []astra.Summary) error {
	if a.json {
		return a.printJSON(list)
	}
	if len(list) == 0 {
		a.note("astra: no episodes there, or none that these flags let through")
		return nil
	}
	t := newTable("episode", "arena", "task", "seed", "mode", "policy", "status", "steps", "reward", "opened", "")
	for _, s := range list {
		why := ""
		if s.Fault != "" {
			why = string(s.Fault) + ": " + s.Reason
		}
		seed := "" // 0, or the task's own, which no door shows
		if s.Seed != 0 {
			seed = strconv.FormatInt(s.Seed, 10)
		}
		t.row(s.Episode, s.Arena, s.Task, seed, s.Mode, s.Policy, s.Status, s.Steps, s.Reward, s.OpenedAt.Local().Format(time.DateTime), clip(why, 60))
	}
	return t.write(a.stdout)
}
