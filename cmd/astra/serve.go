package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/trainer/batches"
	"github.com/astra-arenas/astra/trainer/groups"
)

// serveFlags are what `astra serve` adds to the settings: what trainers may take.
type serveFlags struct {
	batch    int
	queue    string
	delta    float64
	maxLag   int64
	lease    time.Duration
	maxAge   time.Duration
	baseline string
}

func (f *serveFlags) check() error {
	if f.batch < 0 || !(f.delta >= 0) || f.maxLag < 0 || f.lease <= 0 || f.maxAge < 0 {
		return &problem{err: errors.New("--batch, --delta, --max-lag, --lease and --max-age want to be above 0"), code: 2}
	}
	return oneOf("advantage", f.baseline, "mean", "std", "leave-one")
}

func (f *serveFlags) handout() *handoutOptions {
	if f.batch == 0 {
		return nil
	}
	return &handoutOptions{name: f.queue, baseline: groups.Baseline(f.baseline), batches: batches.Options{Size: f.batch, Delta: f.delta, MaxLag: f.maxLag, Lease: f.lease, MaxAge: f.maxAge}}
}

func (a *app) serveCommand() *cobra.Command {
	var f serveFlags
	cmd := &cobra.Command{Use: "serve [ARENA]...", Short: "Serve arenas to agents, harnesses and explorers", Args: args(0, -1, ""),
		Long: `Owns the store and serves it: agents over MCP on one listener, opening, scoring and
exporting on another, whose token is in DIR/control.token. With --practice, people come
in over MCP too, with the token in DIR/explorer.token. With --require-certificate, arenas are
certified when they are added or loaded, unless this store has done so before, and those
that do not pass are for practice alone. Without arguments, what is in the arena
directories is served, besides what the store has already.`,
		Example: "  astra serve\n  astra serve --practice examples/arenas/inventory\n  astra serve --agents 0.0.0.0:8080 --hosts arenas.example.com"}
	a.settings(cmd, append(emulatorSettings, "agents", "control", "faces", "practice", "policy_url", "policy_model", "policy_whole", "require_certificate", "hosts", "origins", "ttl", "max_open", "max_live", "max_memory")...)
	flags := cmd.Flags()
	flags.IntVar(&f.batch, "batch", 0, "hand out batches of so many episodes to trainers (default none)")
	flags.StringVar(&f.queue, "queue", "serve", "`NAME` of the queue that they wait in")
	flags.Float64Var(&f.delta, "delta", 0, "rewards of a group must spread by more than this (standard deviation)")
	flags.Int64Var(&f.maxLag, "max-lag", 0, "policy versions that a batch may be behind (default no bound)")
	flags.DurationVar(&f.maxAge, "max-age", 0, "`TIME` after which a batch is not handed out any more (default no bound)")
	flags.DurationVar(&f.lease, "lease", 10*time.Minute, "`TIME` after which a batch that was not acknowledged is handed out again")
	flags.StringVar(&f.baseline, "advantage", string(groups.Normalised), "what a reward is compared with: mean, std (mean, over the standard deviation) or leave-one")
	cmd.RunE = func(cmd *cobra.Command, refs []string) error {
		if err := f.check(); err != nil {
			return err
		}
		if !a.levelSet {
			a.config.LogLevel = slog.LevelInfo
		}
		arenas, err := a.arenasOf(refs)
		if err != nil {
			return err
		}
		h, err := a.own(cmd.Context(), a.config.Dir, doorways{agents: a.config.Agents, control: a.config.Control, faces: a.config.Faces, practice: a.config.Practice, batches: f.handout()}, arenas...)
		if err != nil {
			return err
		}
		return errors.Join(a.serve(cmd.Context(), h), h.close())
	}
	return a.wantsJSON(cmd)
}

// arenasOf loads the arenas named, or all.
func (a *app) arenasOf(refs []string) ([]*astra.Arena, error) {
	if len(refs) == 0 {
		return a.allArenas()
	}
	return a.findAll(refs)
}

// serve says where the doors are, and waits for the end.
func (a *app) serve(ctx context.Context, h *house) error {
	l, err := newLink(h)
	if err != nil {
		return err
	}
	if err := a.sayServing(ctx, l); err != nil {
		return err
	}
	failed := make(chan error, 1)
	go func() { failed <- h.servers.Wait() }() // ends when close ends the servers
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
		return nil
	}
}

func (a *app) sayServing(ctx context.Context, l *link) error {
	list, err := l.PublicArenas(ctx)
	if err != nil {
		return err
	}
	if a.json {
		said := map[string]any{"pid": os.Getpid(), "dir": a.config.Dir, "agents": l.house.Agents, "control": l.house.Control, "arenas": len(list)}
		if l.house.Faces != "" {
			said["faces"] = l.house.Faces
		}
		return a.printJSON(said)
	}
	if len(list) == 0 {
		a.note("%s", a.noArenas())
	}
	a.printf("serving %s from %s\n", plural(len(list), "arena"), a.config.Dir)
	a.printf("agents    %s/episode/mcp (MCP; an episode's key is the bearer token)\n", l.house.Agents)
	a.printf("control   %s/v1 (REST; token in %s)\n", l.house.Control, a.tokenPath(controlToken))
	if l.house.handout != nil {
		a.printf("batches   %s/v1/batches (REST; the same token)\n", l.house.Control)
	}
	if l.house.Faces != "" {
		a.sayFaces(l.house.Faces, l.house.atropos != nil)
	}
	if a.config.Practice {
		a.printf("practice  %s/mcp and /arenas/ARENA/mcp (MCP; token in %s)\n", l.house.Agents, a.tokenPath(explorerToken))
	}
	return nil
}
