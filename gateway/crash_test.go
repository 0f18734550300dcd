package gateway_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"sync"
	"testing"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
	"github.com/astra-arenas/astra/gateway/gatewaytest"
	"github.com/astra-arenas/astra/sandbox"
	"github.com/astra-arenas/astra/store"
	"github.com/astra-arenas/astra/verifiers"
)

// The crash test runs this binary again, as a process that plays episodes in the store
// named by playerEnv until it is killed.
const playerEnv = "ASTRA_GATEWAY_TEST_PLAYER"

func TestMain(m *testing.M) {
	if dir := os.Getenv(playerEnv); dir != "" {
		if err := playUntilKilled(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// An ack is what a player was told, and tells its parent: an opening, a step or a score.
type ack struct {
	Episode astra.EpisodeID
	Key     astra.Key    `json:",omitempty"`
	Step    *astra.Step  `json:",omitempty"`
	Score   *astra.Score `json:",omitempty"`
}

// say is one write(2): what is said is in the pipe before the next thing is done.
func say(a ack) error {
	line, err := json.Marshal(a)
	if err == nil {
		_, err = os.Stdout.Write(append(line, '\n'))
	}
	return err
}

func playUntilKilled(dir string) error {
	ctx := context.Background()
	st, err := store.Open(dir, nil)
	if err != nil {
		return err
	}
	var left []astra.EpisodeID // by the process before
	for id, err := range st.Open(ctx) {
		if err != nil {
			return err
		}
		left = append(left, id)
	}
	g, err := bankOn(st)
	if err != nil {
		return err
	}
	fail := make(chan error)
	for w := range 4 {
		go func() {
			for i := w; i < len(left); i += 4 {
				if err := playOn(g, left[i], i); err != nil {
					fail <- err
				}
			}
			for i := w; ; i += 4 {
				if err := playNew(g, i); err != nil {
					fail <- err
				}
			}
		}()
	}
	return <-fail
}

// bankOn is a gateway on a store, over real parts, that serves the bank.
func bankOn(st *store.Store) (*gateway.Gateway, error) {
	js, err := sandbox.NewJavaScript(context.Background(), nil)
	if err != nil {
		return nil, err
	}
	judge, err := verifiers.New()
	if err != nil {
		return nil, err
	}
	g, err := gateway.New(context.Background(), st, judge, []gateway.Runtime{js}, nil)
	if err != nil {
		return nil, err
	}
	b, err := astra.ReadBundle("testdata/bank")
	if err == nil {
		_, err = g.AddArena(context.Background(), b)
	}
	return g, err
}

// playNew opens an episode and plays it; every fourth is forked, and the forks stay open.
func playNew(g *gateway.Gateway, i int) error {
	tasks := []string{"read", "pay", "short", ""}
	o, err := g.Open(context.Background(), gateway.OpenRequest{Arena: "bank", Task: tasks[i%len(tasks)]})
	if err == nil {
		err = say(ack{Episode: o.Episode, Key: o.Key})
	}
	if err != nil {
		return err
	}
	if i%4 == 1 {
		if err := playSome(g, o.Episode, i); err != nil {
			return err
		}
		forks, err := g.Fork(context.Background(), o.Episode, gateway.ForkRequest{N: 2})
		if err != nil {
			return err
		}
		for _, f := range forks {
			if err := say(ack{Episode: f.Episode, Key: f.Key}); err != nil {
				return err
			}
		}
	}
	return playOn(g, o.Episode, i)
}

// playOn goes on with an episode, and submits it or leaves it open.
func playOn(g *gateway.Gateway, id astra.EpisodeID, i int) error {
	if err := playSome(g, id, i); err != nil {
		return err
	}
	if i%3 == 0 {
		_, err := g.Turn(context.Background(), id, "I go on.")
		return ignore(err, astra.ErrRefused) // it was the last
	}
	score, err := g.Submit(context.Background(), id, astra.Submitted{})
	if err != nil || score == nil {
		return err
	}
	return say(ack{Episode: id, Score: score})
}

var someCalls = []astra.Call{
	{Tool: "deposit", Args: json.RawMessage(`{"account":"ada","amount":5}`)},
	{Tool: "misbehave", Args: json.RawMessage(`{"how":"throw"}`)},
	{Tool: "draw"},
	{Tool: "misbehave", Args: json.RawMessage(`{"how":"size"}`)},
	{Tool: "transfer", Args: json.RawMessage(`{"from":"ada","to":"bob","amount":1}`)},
	{Tool: "balance", Args: json.RawMessage(`{"account":"bob"}`)},
}

func playSome(g *gateway.Gateway, id astra.EpisodeID, i int) error {
	for n := range 4 {
		c := someCalls[(i+n)%len(someCalls)]
		c.Key = string(astra.NewKey())
		step, err := g.Call(context.Background(), id, c)
		if errors.Is(err, astra.ErrBudget) {
			return nil
		}
		if err == nil {
			err = say(ack{Episode: id, Step: &step})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func ignore(err, but error) error {
	if errors.Is(err, but) {
		return nil
	}
	return err
}

// A process that is killed at any moment loses nothing that it acknowledged: steps and
// scores are as they were said, open episodes go on, and every log replays byte for byte.
func TestKilledProcess(t *testing.T) {
	dir := t.TempDir()
	rng := rand.New(rand.NewPCG(7, 1))
	var all []ack
	for range 5 {
		fresh := killPlayer(t, dir, 20+rng.IntN(300))
		all = append(all, fresh...)
		checkAcks(t, dir, all, fresh)
	}
	if len(all) < 200 {
		t.Errorf("only %d things were acknowledged: the test shows little", len(all))
	}
}

// killPlayer kills a player once it said so much, and returns all it said before it died.
func killPlayer(t *testing.T, dir string, lines int) (acks []ack) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe)
	cmd.Env, cmd.Stderr = append(os.Environ(), playerEnv+"="+dir), os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(out)
	for {
		if len(acks) == lines {
			cmd.Process.Kill() // SIGKILL
		}
		line, err := in.ReadBytes('\n')
		if err == io.EOF {
			break
		}
		var a ack
		if err := errors.Join(err, json.Unmarshal(line, &a)); err != nil {
			t.Fatalf("line %q: %v", line, err)
		}
		acks = append(acks, a)
	}
	cmd.Wait()
	if cmd.ProcessState.Exited() {
		t.Fatalf("the player ended by itself: %v", cmd.ProcessState)
	}
	return acks
}

// checkAcks holds what is in the store to what was acknowledged, and plays on what the
// last process touched.
func checkAcks(t *testing.T, dir string, all, fresh []ack) {
	t.Helper()
	st := gatewaytest.Store(t, dir)
	defer st.Close()
	g := gatewaytest.Open(t, st, nil)
	defer g.Close()
	gatewaytest.Add(t, g, "testdata/bank")
	recs := map[astra.EpisodeID]*astra.Episode{}
	for _, a := range all {
		if recs[a.Episode] == nil {
			var err error
			if recs[a.Episode], err = g.Episode(t.Context(), a.Episode); err != nil {
				t.Fatalf("acknowledged episode %s: %v", a.Episode, err)
			}
		}
		checkAck(t, g, a, recs[a.Episode])
	}
	var wg sync.WaitGroup
	seen := map[astra.EpisodeID]bool{}
	for _, a := range fresh {
		if !seen[a.Episode] {
			seen[a.Episode] = true
			wg.Go(func() { goOn(t, g, recs[a.Episode]) })
		}
	}
	wg.Wait()
}

func checkAck(t *testing.T, g *gateway.Gateway, a ack, rec *astra.Episode) {
	t.Helper()
	switch {
	case a.Step != nil && (len(rec.Steps) < a.Step.Index || !sameJSON(rec.Steps[a.Step.Index-1], a.Step)):
		t.Errorf("episode %s of %d steps has not step %d as it was acknowledged", a.Episode, len(rec.Steps), a.Step.Index)
	case a.Score != nil && (rec.Status != astra.StatusScored || !sameJSON(rec.Score, a.Score)):
		t.Errorf("episode %s is %s and has not the score that was acknowledged", a.Episode, rec.Status)
	case a.Key != "":
		if id, err := g.Resolve(t.Context(), a.Key); id != a.Episode || err != nil {
			t.Errorf("the key of episode %s finds %q, %v", a.Episode, id, err)
		}
	}
}

// goOn plays an episode on after a crash: a repeat is known, a new call follows the last
// step, and the whole replays.
func goOn(t *testing.T, g *gateway.Gateway, rec *astra.Episode) {
	if n := len(rec.Steps); n > 0 {
		last := rec.Steps[n-1]
		again, err := g.Call(t.Context(), rec.Episode, astra.Call{Tool: last.Tool, Args: last.Args, Key: last.Key})
		if err != nil || !sameJSON(again, last) {
			t.Errorf("repeat of step %d of episode %s: %+v, %v", n, rec.Episode, again, err)
		}
	}
	if rec.Status == astra.StatusOpen && rec.Task != "short" {
		step, err := g.Call(t.Context(), rec.Episode, astra.Call{Tool: "deposit", Args: json.RawMessage(`{"account":"bob","amount":2}`)})
		if err != nil || step.Index != len(rec.Steps)+1 || !step.Result.OK() {
			t.Errorf("episode %s goes on with step %d %+v, %v", rec.Episode, step.Index, step.Result, err)
		}
	}
	if r, err := g.Replay(t.Context(), rec.Episode); err != nil || !r.Same {
		t.Errorf("Replay = %+v, %v", r, err)
	}
}

func sameJSON(a, b any) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}
