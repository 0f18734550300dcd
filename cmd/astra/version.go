package main

import (
	"context"
	"errors"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/astra-arenas/astra/sandbox"
)

// version is the module's, with the commit where the build knows it.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "dev"
	}
	return info.Main.Version
}

func (a *app) versionCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "version", Short: "Print the version, the runtimes and what built it", Args: args(0, 0, ""),
		Long: "Prints the version of astra, and the digest of each runtime: episodes replay byte for byte where both\nthe arena's and the runtime's digest are the same."}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		runtimes, err := runtimeDigests(cmd.Context())
		if err != nil {
			return err
		}
		if a.json {
			return a.printJSON(map[string]any{"version": version(), "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH, "runtimes": runtimes})
		}
		a.printf("astra %s\n  go          %s %s/%s\n  javascript  %s\n", version(), runtime.Version(), runtime.GOOS, runtime.GOARCH, runtimes["javascript"])
		return nil
	}
	return a.wantsJSON(cmd)
}

// runtimeDigests are by kind. A binary without an engine is one too, and says so.
func runtimeDigests(ctx context.Context) (map[string]string, error) {
	rt, err := sandbox.New(ctx, nil)
	if errors.Is(err, sandbox.ErrNotBuilt) {
		return map[string]string{"javascript": "not built in: run make build"}, nil
	}
	if err != nil {
		return nil, err
	}
	return map[string]string{"javascript": rt.Digest()}, rt.Close()
}
