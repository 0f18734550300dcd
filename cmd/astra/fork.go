package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
	"github.com/astra-arenas/astra/httpapi"
)

const forkKeys = `The key of each is printed here and nowhere else: it opens the agents' door of
whoever owns the store, /episodes/KEY/mcp.`

func (a *app) forkCommand() *cobra.Command {
	var req gateway.ForkRequest
	var at int
	cmd := &cobra.Command{Use: "fork EPISODE", Short: "Make episodes that share another's history up to a step", Args: args(1, 1, "an episode"),
		Long: `Opens copies of an episode, a finished one too, as it was after a step. They inherit its
world, steps, turns and planned failures, but not its group. ` + forkKeys,
		Example: "  astra fork ep-abcdefgh\n  astra fork ep-abcdefgh --at 3 -n 8 --group again"}
	flags := cmd.Flags()
	flags.IntVar(&at, "at", 0, "after this `STEP`; 0 is before the first (default the last)")
	flags.IntVarP(&req.N, "number", "n", 1, "how many, at most 64")
	flags.StringVar(&req.Group, "group", "", "`GROUP` to record")
	a.settings(cmd, "ttl")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if req.N < 1 {
			return &problem{err: errors.New("--number wants a whole number above 0"), code: 2}
		}
		if flags.Changed("at") {
			req.At = &at
		}
		req.TTL = a.config.TTL
		return a.look(cmd.Context(), func(f *follower) error {
			made, err := f.Fork(cmd.Context(), astra.EpisodeID(args[0]), req)
			if err != nil {
				return err
			}
			return a.printForks(made)
		})
	}
	return a.wantsJSON(cmd)
}

func (a *app) rewindCommand() *cobra.Command {
	var req gateway.RewindRequest
	cmd := &cobra.Command{Use: "rewind EPISODE", Short: "Take an episode up again after one of its steps", Args: args(1, 1, "an episode"),
		Long: `Goes back to a step of an episode, a finished one too. A log only grows, so this is a fork
made at that step; the episode itself stays as it is. ` + forkKeys,
		Example: "  astra rewind ep-abcdefgh --to 3"}
	cmd.Flags().IntVar(&req.Step, "to", 0, "the `STEP` after which to go on; 0 is before the first")
	a.settings(cmd, "ttl")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if !cmd.Flags().Changed("to") {
			return &problem{err: errors.New("rewind wants --to STEP"), remedy: "`astra show EPISODE` numbers the steps.", code: 2}
		}
		req.TTL = a.config.TTL
		return a.look(cmd.Context(), func(f *follower) error {
			made, err := f.Rewind(cmd.Context(), astra.EpisodeID(args[0]), req)
			if err != nil {
				return err
			}
			return a.printForks([]*gateway.Opening{made})
		})
	}
	return a.wantsJSON(cmd)
}

func (a *app) printForks(made []*gateway.Opening) error {
	if a.json {
		return a.printJSON(httpapi.ForkReply{Episodes: made})
	}
	t := newTable("episode", "key", "expires")
	for _, o := range made {
		t.row(o.Episode, o.Key, o.Expires.UTC().Format("2006-01-02 15:04:05 MST"))
	}
	return t.write(a.stdout)
}
