package store

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
)

// The disk that runs full is a small tmpfs, mounted by a child in namespaces of its own:
// that needs no privilege where user namespaces are allowed.
func TestFullDisk(t *testing.T) {
	cmd := child(t, "full", t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}}
	var said strings.Builder
	cmd.Stderr = &said
	err := cmd.Run()
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSPC) || strings.Contains(said.String(), errMount.Error()) {
		t.Skipf("user namespaces or mounts in them are not allowed here: %v: %s", err, said.String())
	}
	if err != nil {
		t.Fatalf("%v: %s", err, said.String())
	}
}

var errMount = errors.New("cannot mount")

func fullDisk(dir string) error {
	if err := unix.Mount("none", dir, "tmpfs", 0, "size=128m"); err != nil {
		return fmt.Errorf("%w: %w", errMount, err)
	}
	if err := refuseInTime(filepath.Join(dir, "a")); err != nil {
		return fmt.Errorf("with a reserve: %w", err)
	}
	os.RemoveAll(filepath.Join(dir, "a"))
	if err := dieOfIt(dir, filepath.Join(dir, "b")); err != nil {
		return fmt.Errorf("without a reserve: %w", err)
	}
	return nil
}

// refuseInTime writes until the store refuses, makes room, and goes on.
func refuseInTime(dir string) error {
	s, err := Open(dir, &Options{Memtable: 8 << 20, Cache: 1 << 20, Reserve: 64 << 20})
	if err != nil {
		return err
	}
	ballast, err := fillDisk(dir, 64<<20+1<<20)
	if err != nil {
		return err
	}
	n := 0
	for ; err == nil; n++ {
		err = s.Append(context.Background(), id(n), gateway.Synced, opened(id(n), n), called(1))
	}
	if !errors.Is(err, ErrNoSpace) || !strings.Contains(err.Error(), dir) {
		return fmt.Errorf("append %d: %w, want ErrNoSpace with the directory", n, err)
	}
	if err := os.Remove(ballast); err != nil {
		return err
	}
	if err := s.Append(context.Background(), id(n-1), gateway.Synced, opened(id(n-1), n), called(1)); err != nil {
		return fmt.Errorf("after making room: %w", err)
	}
	if err := s.Close(); err != nil {
		return err
	}
	acked := map[astra.EpisodeID]int{}
	for i := range n {
		acked[id(i)] = 2
	}
	return stillThere(dir, acked)
}

// fillDisk writes a file that leaves so many bytes free.
func fillDisk(dir string, leave int64) (path string, err error) {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return "", err
	}
	path = filepath.Join(dir, "ballast")
	return path, os.WriteFile(path, make([]byte, int64(fs.Bavail)*int64(fs.Bsize)-leave), 0o600)
}

// dieOfIt lets a process write, past all precaution, until the kernel kills it for
// writing to a map that the disk cannot back.
func dieOfIt(disk, dir string) error {
	ballast, err := fillDisk(disk, 3<<20)
	if err != nil {
		return err
	}
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), childEnv+"=writer", childDir+"="+dir)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return err
	}
	acked := map[astra.EpisodeID]int{}
	for in := bufio.NewScanner(out); in.Scan(); {
		var id astra.EpisodeID
		var n int
		if _, err := fmt.Sscan(in.Text(), &id, &n); err != nil {
			return err
		}
		acked[id] = max(acked[id], n)
	}
	if err := cmd.Wait(); err == nil || len(acked) == 0 {
		return fmt.Errorf("the writer of %d episodes did not die: %v", len(acked), err)
	}
	if err := os.Remove(ballast); err != nil {
		return err
	}
	return stillThere(dir, acked)
}

func stillThere(dir string, acked map[astra.EpisodeID]int) error {
	s, err := Open(dir, small)
	if err != nil {
		return err
	}
	defer s.Close()
	for id, n := range acked {
		if log, err := s.Log(context.Background(), id); err != nil || len(log) < n {
			return fmt.Errorf("episode %s has %d events of %d, %w", id, len(log), n, err)
		}
	}
	return nil
}

// A memtable that cannot be rotated leaves badger without one: it would end the process
// at the next write, and panic at the next read.
func TestFailedWriteIsFinal(t *testing.T) {
	s := openStore(t, t.TempDir())
	mems, _ := filepath.Glob(filepath.Join(s.dir, "db", "*.mem"))
	var n int
	fmt.Sscanf(filepath.Base(mems[len(mems)-1]), "%d.mem", &n)
	inTheWay := filepath.Join(s.dir, "db", fmt.Sprintf("%05d.mem", n+1))
	if err := os.Mkdir(inTheWay, 0o700); err != nil {
		t.Fatal(err)
	}
	acked := map[astra.EpisodeID]int{}
	var err error
	for i := 0; err == nil; i++ {
		big := called(1)
		big.Called.Tool = strings.Repeat("x", 100<<10)
		if err = s.Append(t.Context(), id(i), gateway.Handed, opened(id(i), i), big); err == nil {
			acked[id(i)] = 2
		}
	}
	_, logErr := s.Log(t.Context(), id(0))
	for what, err := range map[string]error{"first": err, "append": s.Append(t.Context(), "ep-z", gateway.Synced, opened("ep-z", 0)), "Log": logErr} {
		if !errors.Is(err, ErrFailed) || !strings.Contains(err.Error(), s.dir) {
			t.Errorf("%s error = %v, want ErrFailed with the directory", what, err)
		}
	}
	if err := errors.Join(s.Close(), os.Remove(inTheWay)); err != nil {
		t.Fatal(err)
	}
	if err := stillThere(s.dir, acked); err != nil || len(acked) < 10 {
		t.Errorf("of %d: %v", len(acked), err)
	}
}

func TestFailedSyncIsTold(t *testing.T) {
	s := openStore(t, t.TempDir())
	s.syncer.mark.Close()
	for range 2 {
		if err := s.Append(t.Context(), "ep-a", gateway.Synced, opened("ep-a", 0)); !errors.Is(err, ErrFailed) {
			t.Errorf("error = %v, want ErrFailed", err)
		}
	}
}
