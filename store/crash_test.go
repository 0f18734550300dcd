package store

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
)

// Some tests run this binary again as a process of its own, named by childEnv.
const childEnv, childDir = "ASTRA_STORE_TEST_CHILD", "ASTRA_STORE_TEST_DIR"

func TestMain(m *testing.M) {
	children := map[string]func(dir string) error{"writer": writer, "full": fullDisk, "owner": ownerChild}
	if child := children[os.Getenv(childEnv)]; child != nil {
		if err := child(os.Getenv(childDir)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func child(t *testing.T, name, dir string) *exec.Cmd {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe)
	cmd.Env = append(os.Environ(), childEnv+"="+name, childDir+"="+dir)
	cmd.Stderr = os.Stderr
	return cmd
}

// writer appends to episodes for ever, and says on stdout what was acknowledged: the
// episode and how many events its log has.
func writer(dir string) error {
	s, err := Open(dir, small)
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for {
				writeEpisode(s, astra.NewEpisodeID(), w)
			}
		})
	}
	wg.Wait()
	return nil
}

func writeEpisode(s *Store, id astra.EpisodeID, w int) {
	big := called(1)
	// Up to 56 KiB, so that memtables are rotated and flushed, too.
	big.Called.Result.Value = json.RawMessage(`"` + strings.Repeat("y", w*8<<10) + `"`)
	events := []astra.Event{opened(id, w), big, called(2), called(3), submitted, scored}
	for i, ev := range events {
		if err := s.Append(context.Background(), id, gateway.Sync(i == 0 || i > 3), ev); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Printf("%s %d\n", id, i+1) // one write(2): it is in the pipe before the next append
	}
}

func TestKilledProcessLosesNothingAcknowledged(t *testing.T) {
	dir := t.TempDir()
	rng := rand.New(rand.NewPCG(2, 9))
	acked := map[astra.EpisodeID]int{}
	for round := range 10 {
		killWriter(t, dir, 50+rng.IntN(1500), acked)
		s, err := Open(dir, small)
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		checkAcked(t, s, acked)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if len(acked) < 200 {
		t.Errorf("only %d episodes were written: the test shows little", len(acked))
	}
}

// killWriter runs a writer until it has acknowledged so much, kills it, and takes down
// all it said before it died.
func killWriter(t *testing.T, dir string, lines int, acked map[astra.EpisodeID]int) {
	cmd := child(t, "writer", dir)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(out)
	for n := 0; ; n++ {
		if n == lines {
			cmd.Process.Kill() // SIGKILL
		}
		line, err := in.ReadString('\n')
		if err == io.EOF {
			break
		}
		var id astra.EpisodeID
		var events int
		if _, scanErr := fmt.Sscan(line, &id, &events); err != nil || scanErr != nil {
			t.Fatalf("line %q: %v, %v", line, err, scanErr)
		}
		acked[id] = max(acked[id], events)
	}
	cmd.Wait()
	if cmd.ProcessState.Success() || cmd.ProcessState.ExitCode() == 1 {
		t.Fatalf("the writer ended by itself: %v", cmd.ProcessState)
	}
}

func checkAcked(t *testing.T, s *Store, acked map[astra.EpisodeID]int) {
	t.Helper()
	open := map[astra.EpisodeID]bool{}
	for _, id := range openIDs(t, s) {
		open[id] = true
	}
	for id, n := range acked {
		log, err := s.Log(t.Context(), id)
		if err != nil {
			t.Fatalf("acknowledged episode %s: %v", id, err)
		}
		e, err := astra.Replay(log)
		if err != nil || len(log) < n {
			t.Fatalf("episode %s has %d events, %d were acknowledged; %v", id, len(log), n, err)
		}
		if open[id] != (e.Status == astra.StatusOpen || e.Status == astra.StatusSubmitted) {
			t.Errorf("episode %s is %s, listed as open: %v", id, e.Status, open[id])
		}
		if byKey, err := s.ByKey(t.Context(), e.KeyHash); byKey != id || err != nil {
			t.Errorf("ByKey = %s, %v; want %s", byKey, err, id)
		}
	}
}
