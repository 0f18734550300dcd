package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/mcp"
)

func (a *app) mcpCommand() *cobra.Command {
	arena := ""
	cmd := &cobra.Command{Use: "mcp [--arena ARENA]", Short: "Play in practice mode over stdio: what an IDE starts", Args: args(0, 0, ""),
		Long: `Speaks MCP on standard input and output. Episodes are practice: they show their score
and never reach a trainer. Without --arena there is a lobby, from which arenas are found.
Several of these, and a server, may share one store; if its owner ends, another takes over.`,
		Example: "  astra mcp\n  astra mcp --arena inventory\n  astra mcp-config --client claude-code   # how to start it from there"}
	cmd.Flags().StringVar(&arena, "arena", "", "`ARENA` to play in: a path, a name, or name@digest")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return a.stdio(cmd.Context(), arena) }
	return cmd
}

func (a *app) stdio(ctx context.Context, arg string) error {
	ref, arenas := "", []*astra.Arena(nil)
	var err error
	if arg == "" {
		arenas, err = a.allArenas()
	} else {
		ref, arenas, err = a.arenaRef(arg)
	}
	if err != nil {
		return err
	}
	return a.with(ctx, func(f *follower) error {
		if err := f.bringAll(ctx, arenas); err != nil {
			return err
		}
		if arg != "" && len(arenas) == 1 {
			if err := a.bringNeighbours(ctx, f, arg, arenas[0]); err != nil {
				return err
			}
		}
		return a.converse(ctx, f, ref)
	})
}

// arenaRef makes out an argument without asking the store, which may know it still.
func (a *app) arenaRef(arg string) (string, []*astra.Arena, error) {
	arena, err := a.findArena(arg)
	if err != nil || arena == nil {
		return arg, nil, err
	}
	return arena.Ref(), []*astra.Arena{arena}, nil
}

func (a *app) converse(ctx context.Context, f *follower, ref string) error {
	doors, err := mcp.New(f, &mcp.Options{Version: version(), Logger: a.logger()})
	if err != nil {
		return err
	}
	defer doors.Close(context.WithoutCancel(ctx))
	// Reading standard input cannot be interrupted, so a pipe stands between, which can
	// be closed; the copying goroutine ends with the input or the process.
	in, feed := io.Pipe()
	go func() {
		_, err := io.Copy(feed, a.stdin)
		feed.CloseWithError(err)
	}()
	defer context.AfterFunc(ctx, func() { feed.Close() })()
	// What is running when the first ^C comes may finish.
	return doors.ServeStdio(context.WithoutCancel(ctx), ref, in, a.stdout)
}
