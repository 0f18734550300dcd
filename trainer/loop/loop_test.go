package loop

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
	"github.com/astra-arenas/astra/gateway/gatewaytest"
	"github.com/astra-arenas/astra/store"
	"github.com/astra-arenas/astra/trainer/batches"
	"github.com/astra-arenas/astra/trainer/groups"
	"github.com/astra-arenas/astra/trainer/samples"
)

// dice-and-doors is an arena in which some tasks are told by what the agent does, and one,
// `given`, comes out the same whatever it does.
func bundle(t *testing.T) *astra.Bundle {
	t.Helper()
	tasks := ""
	for i := range 5 {
		tasks += fmt.Sprintf(`{"id":"t%d","turns":[{"prompt":"Open door %d."}],"subtasks":[{"id":"s","tool":"open","solved":"step.args.door == %d"}],"gold":[[{"tool":"open","args":{"door":%d}}]]}`+"\n", i, i, i, i)
	}
	tasks += `{"id":"given","turns":[{"prompt":"Do as you like."}],"verify":{"always":"true"},"weights":{"always":1}}` + "\n"
	tasks += `{"id":"held","split":"validation","turns":[{"prompt":"Open door 7."}],"subtasks":[{"id":"s","tool":"open","solved":"step.args.door == 7"}],"gold":[[{"tool":"open","args":{"door":7}}]]}` + "\n"
	b, err := astra.NewBundle([]astra.File{
		{Path: "arena.yaml", Data: []byte("name: doors\nversion: 1.0.0\ntitle: Doors\ndescription: For tests of the loop.\ndomain: tests\nlicense: Apache-2.0\nruntime: javascript\nentry: tools.js\n" +
			"tools:\n  - {name: open, title: Open, description: Opens a door., input: {type: object, properties: {door: {type: integer}}, required: [door]}, output: {type: string}}\n")},
		{Path: "tools.js", Data: []byte(`export function open({door}) { return "door " + door + " is open" }`)},
		{Path: "tasks.jsonl", Data: []byte(tasks)},
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A house is a store and a gateway, and a trainer beside them. Every operation on any of
// them may be the last one before a kill.
type house struct {
	t   *testing.T
	st  *store.Store
	gw  *gateway.Gateway
	ref string
	dir string // the trainer's weights

	mu      sync.Mutex
	left    int // operations until the kill; below 0 is none
	lease   time.Duration
	maxLag  int64
	weights string
	version int64
}

func newHouse(t *testing.T) *house {
	t.Helper()
	st := gatewaytest.Store(t, t.TempDir())
	gw := gatewaytest.Open(t, st, nil)
	arena, err := gw.AddArena(t.Context(), bundle(t))
	if err != nil {
		t.Fatal(err)
	}
	return &house{t: t, st: st, gw: gw, ref: arena.Ref(), dir: t.TempDir(), left: -1}
}

var errKilled = errors.New("killed")

func (h *house) operation() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.left == 0 {
		return errKilled
	}
	h.left--
	return nil
}

func (h *house) Note(ctx context.Context, key string) ([]byte, error) { return h.st.Note(ctx, key) }

func (h *house) PutNote(ctx context.Context, key string, value []byte) error {
	if err := h.operation(); err != nil {
		return err
	}
	return h.st.PutNote(ctx, key, value)
}

// The trainer: its weights are a digest of all that it was trained on, in order.
func (h *house) Update(_ context.Context, batch []samples.Sample) (map[string]float64, error) {
	if err := h.operation(); err != nil {
		return nil, err
	}
	text := h.weights
	for _, s := range batch {
		text += fmt.Sprint(s.Group, s.Task, s.Reward, s.Advantage)
	}
	sum := sha256.Sum256([]byte(text))
	h.weights = hex.EncodeToString(sum[:])
	return map[string]float64{"loss": float64(sum[0])}, nil
}

func (h *house) Publish(_ context.Context, version int64) error {
	h.version = version
	return h.operation()
}

func (h *house) Save(_ context.Context, version int64) (string, error) {
	if err := h.operation(); err != nil {
		return "", err
	}
	path := filepath.Join(h.dir, fmt.Sprint(version))
	return path, os.WriteFile(path, []byte(h.weights), 0o600)
}

func (h *house) Load(_ context.Context, path string) error {
	b, err := os.ReadFile(path)
	h.weights = string(b)
	return errors.Join(err, h.operation())
}

// play opens the right door with a chance that grows with the version, after some wrong ones.
func (h *house) play(ctx context.Context, req gateway.OpenRequest, seed int64, opened func(astra.EpisodeID) error) error {
	o, err := h.gw.Open(ctx, req)
	if err != nil {
		return err
	}
	if err := opened(o.Episode); err != nil {
		return err
	}
	d, door := dice(seed, "player", 0), 0
	fmt.Sscanf(o.Message, "Open door %d.", &door)
	for d.Float64() > 0.4+0.1*float64(h.version) {
		if err := h.open(ctx, o.Episode, 100); err != nil {
			return err
		}
	}
	if err := h.open(ctx, o.Episode, door); err != nil {
		return err
	}
	if err := h.operation(); err != nil {
		return err
	}
	answer := ""
	_, err = h.gw.Submit(ctx, o.Episode, astra.Submitted{Answer: &answer})
	return err
}

func (h *house) open(ctx context.Context, id astra.EpisodeID, door int) error {
	_, err := h.gw.Call(ctx, id, astra.Call{Tool: "open", Args: json.RawMessage(fmt.Sprintf(`{"door":%d}`, door))})
	return err
}

func (h *house) samples(_ context.Context, g groups.Group) (all []samples.Sample, err error) {
	worth, err := groups.Advantages(g.Rewards, groups.Mean)
	for i, id := range g.Members {
		all = append(all, samples.Sample{Episode: id, Group: g.Name, Reward: g.Rewards[i], Advantage: worth[i], Policy: g.Policy})
	}
	return all, err
}

func (h *house) options(rows map[int]Row) Options {
	return Options{Name: "r", Seed: 5, Steps: 4, G: 3, Parallel: 2, EvalEvery: 2, Curriculum: true, Roll: h.play, Eval: []Prompt{{Arena: h.ref, Task: "held"}},
		Arenas: []Arena{{Ref: h.ref, Name: "doors", Tasks: []string{"t0", "t1", "t2", "t3", "t4", "given"}}},
		Told:   func(r Row) { rows[r.Step] = r }}
}

func (h *house) loop(ctx context.Context, o Options) (*Loop, *batches.Queue, error) {
	q, err := batches.Open(ctx, h, o.Name, &batches.Options{Size: 6, Lease: h.lease, MaxLag: h.maxLag})
	if err != nil {
		return nil, nil, err
	}
	l, err := New(ctx, House{Episodes: h.gw, Notes: h, Queue: q, Samples: h.samples, Updater: h}, o)
	return l, q, err
}

func (h *house) run(ctx context.Context, o Options) error {
	l, _, err := h.loop(ctx, o)
	if err != nil {
		return err
	}
	return l.Run(ctx, func(context.Context) error { h.weights = "begun"; return nil })
}

func TestRun(t *testing.T) {
	h, rows := newHouse(t), map[int]Row{}
	if err := h.run(t.Context(), h.options(rows)); err != nil {
		t.Fatal(err)
	}
	if got := slices.Sorted(maps.Keys(rows)); !slices.Equal(got, []int{0, 1, 2, 3, 4}) {
		t.Fatalf("rows of the steps %v", got)
	}
	for step, r := range rows {
		if r.Version != int64(step) || (r.Eval != nil) != (step%2 == 0) {
			t.Errorf("row %d = %+v", step, r)
		}
		if step > 0 && (r.Samples != 6 || r.Rollout == nil || r.Kept < 2 || r.Groups < r.Kept || r.Unseen != 6) {
			t.Errorf("row %d = %+v, rollout %+v", step, r, r.Rollout)
		}
	}
	if rows[4].Rollout.Reward <= rows[1].Rollout.Reward {
		t.Errorf("the reward does not rise with the version: %g, then %g", rows[1].Rollout.Reward, rows[4].Rollout.Reward)
	}
	// All is done: to run again makes nothing and tells the same.
	again, weights := map[int]Row{}, h.weights
	if err := h.run(t.Context(), h.options(again)); err != nil || !reflect.DeepEqual(rows, again) || h.weights != weights {
		t.Errorf("run again: %v, rows equal: %v", err, reflect.DeepEqual(rows, again))
	}
}

// Killed before any of its operations and begun again, a loop comes to the same weights and
// tells the same rows.
func TestKilledAnywhere(t *testing.T) {
	for _, every := range []int{1, 3} {
		h, want := newHouse(t), map[int]Row{}
		h.maxLag = 1
		o := h.options(want)
		o.Checkpoint = every
		if err := h.run(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		weights := h.weights
		for kill := 0; ; kill += 2 * every {
			h, got := newHouse(t), map[int]Row{}
			h.left, h.maxLag = kill, 1
			o := h.options(got)
			o.Checkpoint = every
			err := h.run(t.Context(), o)
			if err == nil {
				break // there was no such operation
			}
			if !errors.Is(err, errKilled) {
				t.Fatalf("kill %d: %v", kill, err)
			}
			h.left, h.weights = -1, ""
			if err := h.run(t.Context(), o); err != nil {
				t.Fatalf("after kill %d: %v", kill, err)
			}
			if h.weights != weights || !reflect.DeepEqual(got, want) {
				t.Fatalf("checkpoints every %d, after kill %d: weights %.8s, want %.8s\nrows %+v\nwant %+v", every, kill, h.weights, weights, got, want)
			}
		}
	}
}

// However long an update takes, its batch is not handed out again, and counts as done.
func TestUpdateOutlastsLease(t *testing.T) {
	h, want := newHouse(t), map[int]Row{}
	if err := h.run(t.Context(), h.options(want)); err != nil {
		t.Fatal(err)
	}
	slow, got := newHouse(t), map[int]Row{}
	slow.lease = time.Nanosecond // has run out whenever it is looked at
	o := slow.options(got)
	o.Checkpoint = 3
	if err := slow.run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if slow.weights != h.weights || !reflect.DeepEqual(got, want) {
		t.Errorf("weights %.8s, want %.8s\nrows %+v\nwant %+v", slow.weights, h.weights, got, want)
	}
}

// Trainers that take batches themselves find some ready, each once, of the versions that
// they publish.
func TestFeed(t *testing.T) {
	h, rows := newHouse(t), map[int]Row{}
	l, q, err := h.loop(t.Context(), h.options(rows))
	if err != nil {
		t.Fatal(err)
	}
	var g errgroup.Group
	g.Go(func() error { return l.Feed(t.Context(), 1) })
	seen := map[string]bool{}
	for n := range int64(4) {
		b, err := q.Wait(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, group := range b.Groups {
			if seen[group.Name] || group.Policy < n-1 {
				t.Errorf("batch %d has the group %s of version %d", n, group.Name, group.Policy)
			}
			seen[group.Name] = true
		}
		h.version = n + 1
		if err := errors.Join(q.Publish(t.Context(), n+1, ""), q.Ack(t.Context(), b.Lease)); err != nil {
			t.Fatal(err)
		}
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	if r := rows[4]; r.Step != 4 || len(rows) == 0 {
		t.Errorf("rows %+v", rows)
	}
	again := map[int]Row{}
	if l, _, err = h.loop(t.Context(), h.options(again)); err == nil {
		err = l.Feed(t.Context(), 1)
	}
	if err != nil || !reflect.DeepEqual(again, rows) {
		t.Errorf("told again: %v\nrows %+v\nwant %+v", err, again, rows)
	}
}

// diverging is a trainer whose loss becomes no number.
type diverging struct{ *house }

func (diverging) Update(context.Context, []samples.Sample) (map[string]float64, error) {
	return map[string]float64{"grad": 1, "loss": math.NaN()}, nil
}

// Weights that have gone are not published, and the error says what is to be done.
func TestDiverges(t *testing.T) {
	h, rows := newHouse(t), map[int]Row{}
	l, _, err := h.loop(t.Context(), h.options(rows))
	if err != nil {
		t.Fatal(err)
	}
	l.updater = diverging{h}
	if err := l.Run(t.Context(), nil); err == nil || !strings.Contains(err.Error(), `step 1: update: "loss" is NaN`) || h.version != 0 || len(rows) != 1 {
		t.Errorf("error %v, version %d, %d rows", err, h.version, len(rows))
	}
}

func TestDry(t *testing.T) {
	h := newHouse(t)
	o := h.options(map[int]Row{})
	o.Arenas[0].Tasks, o.Eval = []string{"given"}, nil
	if err := h.run(t.Context(), o); !errors.Is(err, ErrDry) {
		t.Errorf("error = %v, want ErrDry", err)
	}
}

// A policy that has learned all there is ends the loop too, whoever takes its batches.
func TestRunsDry(t *testing.T) {
	for name, run := range map[string]func(*Loop, context.Context) error{
		"run":  func(l *Loop, ctx context.Context) error { return l.Run(ctx, nil) },
		"feed": func(l *Loop, ctx context.Context) error { return l.Feed(ctx, 1) },
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			h, n := newHouse(t), 0
			o := h.options(map[int]Row{})
			o.Parallel, o.Eval = 1, nil
			o.Roll = func(ctx context.Context, req gateway.OpenRequest, seed int64, opened func(astra.EpisodeID) error) error {
				if n++; n > 2000 {
					cancel(errors.New("it goes on for ever"))
				}
				h.version = 6 // opens the right door at once
				if n == 1 {
					h.version = -3 // opens others first
				}
				return h.play(ctx, req, seed, opened)
			}
			l, _, err := h.loop(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			if err := run(l, ctx); !errors.Is(err, ErrDry) {
				t.Errorf("error = %v, want ErrDry", err)
			}
		})
	}
}

// An agent that cannot play ends the loop, and its episodes have no reward.
func TestAgentGone(t *testing.T) {
	h := newHouse(t)
	o := h.options(map[int]Row{})
	o.Failed = 3
	gone := errors.New("no answer")
	o.Roll = func(ctx context.Context, req gateway.OpenRequest, _ int64, opened func(astra.EpisodeID) error) error {
		made, err := h.gw.Open(ctx, req)
		return errors.Join(err, opened(made.Episode), h.gw.Abort(ctx, made.Episode, "gone"), gone)
	}
	if err := h.run(t.Context(), o); !errors.Is(err, gone) || !errors.Is(err, errGone) {
		t.Errorf("error = %v, want what the agent said", err)
	}
}

// An agent that fails now and then, and plays in between, ends nothing.
func TestAgentFailsNowAndThen(t *testing.T) {
	h := newHouse(t)
	o := h.options(map[int]Row{})
	o.Failed, o.Parallel = 2, 1
	gone, n := errors.New("no answer"), 0
	o.Roll = func(ctx context.Context, req gateway.OpenRequest, seed int64, opened func(astra.EpisodeID) error) error {
		if n++; n%3 > 0 {
			return h.play(ctx, req, seed, opened)
		}
		made, err := h.gw.Open(ctx, req)
		return errors.Join(err, opened(made.Episode), h.gw.Abort(ctx, made.Episode, "gone"), gone)
	}
	if err := h.run(t.Context(), o); err != nil {
		t.Error(err)
	}
}

func TestNothingToDraw(t *testing.T) {
	h := newHouse(t)
	for name, arenas := range map[string][]Arena{"no arena": nil, "no tasks": {{Ref: "a", Tasks: []string{"t"}}, {Ref: "b"}}} {
		o := h.options(nil)
		o.Arenas = arenas
		if _, _, err := h.loop(t.Context(), o); !errors.Is(err, astra.ErrRefused) {
			t.Errorf("%s: %v, want ErrRefused", name, err)
		}
	}
}

func TestAnotherRun(t *testing.T) {
	h := newHouse(t)
	o := h.options(map[int]Row{})
	if err := h.run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	o.Arenas = append(o.Arenas, Arena{Ref: "other", Tasks: []string{"t"}})
	if err := h.run(t.Context(), o); !errors.Is(err, astra.ErrRefused) || !strings.Contains(err.Error(), "run r") {
		t.Errorf("error = %v, want ErrRefused that names the run", err)
	}
}
