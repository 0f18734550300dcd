package main

import (
	"github.com/spf13/cobra"

	"github.com/astra-arenas/astra"
)

func (a *app) replayCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "replay EPISODE", Short: "Play an episode's log again and compare it byte for byte", Args: args(1, 1, "an episode"),
		Long: `An episode is a pure function of its log, so playing it again must give the same bytes:
every result, and the reward. Exit code 1: it does not.`,
		Example: "  astra replay ep-abcdefgh"}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.look(cmd.Context(), func(f *follower) error {
			r, err := f.Replay(cmd.Context(), astra.EpisodeID(args[0]))
			if err != nil {
				return err
			}
			if a.json {
				err = a.printJSON(r)
			} else if r.Same {
				a.printf("%s: %s, the same byte for byte\n", r.Episode, plural(r.Steps, "step"))
			} else {
				a.printf("%s: step %d differs\n  recorded  %s\n  replayed  %s\n", r.Episode, r.Step, clip(r.Recorded, 2000), clip(r.Replayed, 2000))
			}
			if err == nil && !r.Same {
				err = errQuiet
			}
			return err
		})
	}
	return a.wantsJSON(cmd)
}
