package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/astra-arenas/astra"
)

// arenaPaths lists what looks like an arena in the arena directories: those with an
// arena.yaml, and .arena files.
func (a *app) arenaPaths() ([]string, error) {
	var paths []string
	for _, dir := range a.config.Arenas {
		if isArena(dir) {
			paths = append(paths, dir)
			continue
		}
		entries, err := os.ReadDir(dir)
		if errors.Is(err, fs.ErrNotExist) && dir == defaults().Arenas[0] {
			continue // nobody asked for it
		}
		if err != nil {
			return nil, fmt.Errorf("arenas: %w", err)
		}
		for _, e := range entries {
			if path := filepath.Join(dir, e.Name()); !strings.HasPrefix(e.Name(), ".") && isArena(path) {
				paths = append(paths, path)
			}
		}
	}
	return paths, nil
}

func isArena(path string) bool {
	if strings.HasSuffix(path, ".arena") {
		info, err := os.Stat(path)
		return err == nil && info.Mode().IsRegular()
	}
	_, err := os.Stat(filepath.Join(path, "arena.yaml"))
	return err == nil
}

// loadArena reads an arena and names its file where something is wrong with it.
func loadArena(path string) (*astra.Arena, error) {
	arena, err := astra.Load(path)
	if err != nil {
		return nil, located(path, err)
	}
	return arena, nil
}

// located puts the bundle's path before the files in an error, so that an editor finds them.
func located(path string, err error) error {
	bad := bundleErrors(err)
	if bad == nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	moved := &astra.BundleErrors{More: bad.More}
	for _, e := range bad.List {
		at := *e
		if !strings.HasPrefix(e.File, path) {
			at.File = filepath.Join(path, e.File)
		}
		moved.List = append(moved.List, &at)
	}
	return moved
}

// fileLine finds where a refusal speaks of a line of a bundle's file.
var fileLine = regexp.MustCompile(`^(?:.*?: )??([\w./-]+\.(?:jsonl|yaml|js)):(\d+): (.*)$`)

// bundleErrors are the problems that an error tells of. A refusal by the owner has come
// over the wire as text.
func bundleErrors(err error) *astra.BundleErrors {
	if bad, ok := errors.AsType[*astra.BundleErrors](err); ok {
		return bad
	}
	if one, ok := errors.AsType[*astra.BundleError](err); ok {
		return &astra.BundleErrors{List: []*astra.BundleError{one}}
	}
	bad := new(astra.BundleErrors)
	for _, text := range strings.Split(err.Error(), "\n") {
		m := fileLine.FindStringSubmatch(text)
		if m == nil {
			return nil
		}
		line, _ := strconv.Atoi(m[2]) // 0 if it is none
		bad.List = append(bad.List, &astra.BundleError{File: m[1], Line: line, Msg: m[3]})
	}
	return bad
}

// allArenas loads everything in the arena directories.
func (a *app) allArenas() ([]*astra.Arena, error) {
	paths, err := a.arenaPaths()
	if err != nil {
		return nil, err
	}
	var all []*astra.Arena
	for _, path := range paths {
		arena, err := loadArena(path)
		if err != nil {
			return nil, err
		}
		all = append(all, arena)
	}
	return all, nil
}

// findArena finds the arena that an argument means on this machine's disk: a path, or the
// name (or name@digest) of one in the arena directories. It is nil if there is none; the
// store may still know the name.
func (a *app) findArena(ref string) (*astra.Arena, error) {
	if isArena(ref) {
		return loadArena(ref)
	}
	if strings.ContainsRune(ref, filepath.Separator) || strings.HasSuffix(ref, ".arena") {
		return nil, failf("An arena is a directory with an arena.yaml, or an .arena file.", "no arena at %s", ref)
	}
	name, digest, pinned := strings.Cut(ref, "@")
	paths, err := a.arenaPaths()
	if err != nil {
		return nil, err
	}
	var broken error
	for _, path := range paths {
		arena, err := loadArena(path)
		base := strings.TrimSuffix(filepath.Base(path), ".arena")
		switch {
		case err != nil && base == name:
			broken = err
		case err == nil && arena.Name == name && (!pinned || arena.Digest == astra.Digest(digest)):
			return arena, nil
		}
	}
	return nil, broken
}

// findAll finds arenas that must be there.
func (a *app) findAll(refs []string) ([]*astra.Arena, error) {
	var all []*astra.Arena
	for _, ref := range refs {
		arena, err := a.findArena(ref)
		if err != nil {
			return nil, err
		}
		if arena == nil {
			return nil, failf("Name a directory with an arena.yaml, an .arena file, or the name of one in the arena directories.", "no arena %q", ref)
		}
		all = append(all, arena)
	}
	return all, nil
}

// bringAll gives the owner arenas.
func (f *follower) bringAll(ctx context.Context, arenas []*astra.Arena) error {
	for _, arena := range arenas {
		if err := f.bring(ctx, arena.Name, arena); err != nil {
			return err
		}
	}
	return nil
}

// bring gives the owner an arena, if it does not have it, and names its files if it is refused.
func (f *follower) bring(ctx context.Context, path string, arena *astra.Arena) error {
	if _, err := f.PublicArena(ctx, arena.Ref()); err == nil {
		return nil
	}
	if _, err := f.AddArena(ctx, arena.Bundle); err != nil {
		return located(path, err)
	}
	return nil
}

// bringNeighbours gives the owner the arenas that an arena's distractors come from, if
// they are in the arena directories or beside it. Which are missing is said when an
// episode needs them.
func (a *app) bringNeighbours(ctx context.Context, f *follower, path string, arena *astra.Arena) error {
	near := *a
	near.config.Arenas = slices.Concat(a.config.Arenas, []string{filepath.Dir(path)})
	for _, name := range neighbours(arena) {
		if _, err := f.PublicArena(ctx, name); err == nil {
			continue
		}
		other, err := near.findArena(name)
		if err != nil {
			return err
		}
		if other == nil {
			a.note("astra: some tasks of %s borrow tools of arena %s, which is not in %s; --arenas names other directories", arena.Name, name, strings.Join(near.config.Arenas, ", "))
			continue
		}
		if err := f.bring(ctx, name, other); err != nil {
			return err
		}
	}
	return nil
}

// neighbours are the names of the arenas that distractors come from, in order.
func neighbours(arena *astra.Arena) []string {
	var names []string
	for i := range arena.Tasks {
		for _, d := range arena.Tasks[i].Distractors {
			name, _, _ := strings.Cut(d, "/")
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// bundleOf finds the arena of an episode in the arena directories: the one with its very
// digest, or nil.
func (a *app) bundleOf(name string, d astra.Digest) *astra.Arena {
	arena, err := a.findArena(name + "@" + string(d))
	if err != nil {
		return nil
	}
	return arena
}

// choice is an arena argument made out: its reference in the store and, if it is on this
// machine's disk, all of it.
type choice struct {
	ref   string // name@digest
	name  string
	arena *astra.Arena // nil: only the store has it
}

// choose makes out an arena argument and sees to it that the owner has the arena.
func (a *app) choose(ctx context.Context, f *follower, arg string) (choice, error) {
	arena, err := a.findArena(arg)
	if err != nil {
		return choice{}, err
	}
	if arena != nil {
		c := choice{ref: arena.Ref(), name: arena.Name, arena: arena}
		return c, errors.Join(f.bring(ctx, arg, arena), a.bringNeighbours(ctx, f, arg, arena))
	}
	p, err := f.PublicArena(ctx, arg)
	if errors.Is(err, astra.ErrNotFound) {
		return choice{}, failf("Name a directory with an arena.yaml, an .arena file, or one of `astra arenas`.", "no arena %q in %s or the store", arg, strings.Join(a.config.Arenas, ", "))
	}
	return choice{ref: p.Name + "@" + string(p.Digest), name: p.Name}, err
}

func (a *app) arenasCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "arenas", Short: "List the arenas of the store and of the arena directories", Args: args(0, 0, ""),
		Example: "  astra arenas\n  astra arenas --arenas ../more --json"}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		ctx := cmd.Context()
		local, err := a.allArenas()
		if err != nil {
			return err
		}
		return a.with(ctx, func(f *follower) error {
			if err := f.bringAll(ctx, local); err != nil {
				return err
			}
			list, err := f.PublicArenas(ctx)
			if err != nil {
				return err
			}
			return a.printArenas(list)
		})
	}
	return a.wantsJSON(cmd)
}

// noArenas tells a newcomer in the wrong directory.
func (a *app) noArenas() string {
	return fmt.Sprintf("astra: no arenas in %s or the store; --arenas names other directories", strings.Join(a.config.Arenas, ", "))
}

func (a *app) printArenas(list []astra.PublicArena) error {
	if a.json {
		return a.printJSON(list)
	}
	if len(list) == 0 {
		a.note("%s", a.noArenas())
		return nil
	}
	t := newTable("arena", "version", "tools", "train", "validation", "test", "title")
	for _, p := range list {
		t.row(p.Name, p.Version, len(p.Tools), p.Tasks[astra.SplitTrain], p.Tasks[astra.SplitValidation], p.Tasks[astra.SplitTest], clip(p.Title, 50))
	}
	return t.write(a.stdout)
}
