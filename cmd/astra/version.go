package main

import (
	"context"
	"errors"
	"maps"
	"runtime"
	"runtime/debug"
	"slices"

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
		runtimes, err := a.runtimeDigests(cmd.Context())
		if err != nil {
			return err
		}
		if a.json {
			return a.printJSON(map[string]any{"version": version(), "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH, "runtimes": runtimes})
		}
		a.printf("astra %s\n  %-11s %s %s/%s\n", version(), "go", runtime.Version(), runtime.GOOS, runtime.GOARCH)
		for _, kind := range slices.Sorted(maps.Keys(runtimes)) {
			a.printf("  %-11s %s\n", kind, runtimes[kind])
		}
		return nil
	}
	return a.wantsJSON(cmd)
}

// runtimeDigests are by kind. A binary without an engine is one too, and says so.
func (a *app) runtimeDigests(ctx context.Context) (map[string]string, error) {
	digests := map[string]string{}
	h := &house{}
	runtimes, err := a.runtimes(ctx, h, sandbox.NewPool(nil))
	if errors.Is(err, sandbox.ErrNotBuilt) {
		digests["javascript"], err = "not built in: run make build", nil
	}
	for _, rt := range runtimes {
		digests[string(rt.Kind())] = rt.Digest()
	}
	return digests, errors.Join(err, h.close())
}
