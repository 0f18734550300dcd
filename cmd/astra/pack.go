package main

import (
	"io"

	"github.com/spf13/cobra"
)

func (a *app) packCommand() *cobra.Command {
	out := ""
	cmd := &cobra.Command{Use: "pack ARENA", Short: "Write an arena as one reproducible .arena file", Args: args(1, 1, "an arena's directory"),
		Long: `Writes the bundle as one file: equal bundles give equal bytes. The arena is loaded and
validated first; ` + "`astra check`" + ` does more.`,
		Example: "  astra pack examples/arenas/inventory\n  astra pack examples/arenas/inventory -o inventory-1.0.0.arena"}
	cmd.Flags().StringVarP(&out, "out", "o", "", "`FILE` to write (default NAME.arena)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		arena, err := a.findArena(args[0])
		if err != nil {
			return err
		}
		if arena == nil {
			return failf("Name a directory with an arena.yaml.", "no arena %q", args[0])
		}
		if out == "" {
			out = arena.Name + ".arena"
		}
		if err := writeWhole(out, func(w io.Writer) error { return arena.Bundle.Pack(w) }); err != nil {
			return err
		}
		if a.json {
			return a.printJSON(map[string]any{"arena": arena.Name, "version": arena.Version, "digest": arena.Digest, "file": out})
		}
		a.printf("%s  %s %s  %s\n", out, arena.Name, plain(arena.Version), arena.Digest)
		return nil
	}
	return a.wantsJSON(cmd)
}
