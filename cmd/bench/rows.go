package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
	"github.com/astra-arenas/astra/store"
)

var (
	getUser     = json.RawMessage(`{"id":"u42"}`)
	createOrder = json.RawMessage(`{"user":"u1","total":5}`)
)

// good turns a failed result into an error: a figure of failures is no figure.
func good(res astra.Result, err error) error {
	if err == nil && !res.OK() {
		err = fmt.Errorf("a call failed: %s", res.Error)
	}
	return err
}

func sandboxRows(ctx context.Context, l *lab) ([]row, error) {
	var open herd
	start, err := measure(l.n(20000), func(int) error { return open.add(l.start(ctx)) }, open.turnOver)
	open.close()
	if err != nil {
		return nil, err
	}
	cycles, err := l.cycles(ctx, runtime.GOMAXPROCS(0))
	if err != nil {
		return nil, err
	}
	inst, err := l.start(ctx)
	if err != nil {
		return nil, err
	}
	defer inst.Close()
	bare, err := measure(l.n(50000), func(int) error { return good(inst.Call(ctx, "get_user", getUser)) })
	if err != nil {
		return nil, err
	}
	tool := l.arena.Tool("get_user")
	checked, err := measure(l.n(50000), func(int) error { return l.checkedCall(ctx, tool, inst) })
	return []row{
		judged("start an instance (in groups of 8)", start.String(), "≤ 2 p50, ≤ 10 p99 µs", start.at(.5) <= 2 && start.at(.99) <= 10),
		judged("start + call + close, all cores", fmt.Sprintf("%.0f/s", cycles), "≥ 100,000/s", cycles >= 100_000),
		info("tool call in the sandbox, no validation", bare.String()),
		judged("tool call with validation of arguments and result", checked.String(), "≤ 8 µs p50", checked.at(.5) <= 8),
	}, err
}

func (l *lab) checkedCall(ctx context.Context, tool *astra.Tool, inst gateway.Instance) error {
	if err := tool.CheckArgs(getUser); err != nil {
		return err
	}
	res, err := inst.Call(ctx, tool.Name, getUser)
	if err := good(res, err); err != nil {
		return err
	}
	return tool.CheckResult(res.Value)
}

func (l *lab) cycles(ctx context.Context, workers int) (float64, error) {
	n := l.n(50000)
	var wg sync.WaitGroup
	var failed atomic.Pointer[error]
	t := time.Now()
	for range workers {
		wg.Go(func() {
			for range n {
				inst, err := l.start(ctx)
				if err == nil {
					err = good(inst.Call(ctx, "create_order", createOrder))
					inst.Close()
				}
				if err != nil {
					failed.Store(&err)
					return
				}
			}
		})
	}
	wg.Wait()
	if err := failed.Load(); err != nil {
		return 0, *err
	}
	return since(t, n*workers), nil
}

// privateDirty is the process's own written memory in KiB, mappings included.
func privateDirty() (float64, error) {
	b, err := os.ReadFile("/proc/self/smaps_rollup")
	if err != nil {
		return 0, fmt.Errorf("memory is read from the kernel: %w", err)
	}
	for line := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(line, "Private_Dirty:"); ok {
			return strconv.ParseFloat(strings.Fields(v)[0], 64)
		}
	}
	return 0, fmt.Errorf("the kernel does not tell private memory")
}

func memoryRows(ctx context.Context, l *lab) ([]row, error) {
	n := l.n(4000)
	heap()
	before, err := privateDirty()
	if err != nil {
		return []row{info("memory per live JavaScript episode", err.Error())}, nil
	}
	live := make([]gateway.Instance, n)
	for i := range live {
		if live[i], err = l.start(ctx); err != nil {
			return nil, err
		}
		if err := good(live[i].Call(ctx, "create_order", createOrder)); err != nil {
			return nil, err
		}
		if err := good(live[i].Call(ctx, "get_user", getUser)); err != nil {
			return nil, err
		}
	}
	heap()
	after, err := privateDirty()
	for _, i := range live {
		i.Close()
	}
	each := (after - before) / float64(n)
	return []row{judged("memory per live JavaScript episode, two calls in", fmt.Sprintf("%.0f KiB", each), "≤ 140 KiB", each <= 140)}, err
}

func forkRows(ctx context.Context, l *lab) ([]row, error) {
	small, err := l.forkTimes(ctx, l.program)
	if err != nil {
		return nil, err
	}
	_, heavy, err := l.load(ctx, ballast+code)
	if err != nil {
		return nil, err
	}
	defer heavy.Close()
	large, err := l.forkTimes(ctx, heavy)
	return []row{
		judged("fork of a running episode, five calls in", small.String(), "≤ 50 µs p50", small.at(.5) <= 50),
		judged("the same with 6 MiB more in its image", large.String(), "≤ 150 µs p50", large.at(.5) <= 150),
	}, err
}

func (l *lab) forkTimes(ctx context.Context, p gateway.Program) (times, error) {
	inst, err := p.Start(ctx, gateway.World{Seed: 1, Now: astra.DefaultNow})
	if err != nil {
		return nil, err
	}
	defer inst.Close()
	for range 5 {
		if err := good(inst.Call(ctx, "create_order", createOrder)); err != nil {
			return nil, err
		}
	}
	var forks herd
	defer forks.close()
	return measure(l.n(8000), func(int) error { return forks.add(inst.Fork(ctx)) }, forks.turnOver)
}

// A herd is up to eight instances, as a group of rollouts has them; then their slots are
// used again.
type herd []gateway.Instance

func (h *herd) add(inst gateway.Instance, err error) error {
	if err != nil {
		return err
	}
	*h = append(*h, inst)
	return nil
}

func (h *herd) turnOver() {
	if len(*h) == 8 {
		h.close()
	}
}

func (h *herd) close() {
	for _, inst := range *h {
		inst.Close()
	}
	*h = (*h)[:0]
}

func verdictRows(ctx context.Context, l *lab) ([]row, error) {
	if err := l.judge.Check(l.arena, true); err != nil {
		return nil, err
	}
	inst, err := l.start(ctx)
	if err != nil {
		return nil, err
	}
	defer inst.Close()
	ev := astra.Evidence{Arena: l.arena, Task: &l.arena.Tasks[0], Turns: []astra.Turn{{Index: 1}}}
	calls, _ := ev.Task.GoldCalls()
	for i, c := range calls {
		res, err := inst.Call(ctx, c.Tool, c.Args)
		if err := good(res, err); err != nil {
			return nil, err
		}
		ev.Steps = append(ev.Steps, astra.Step{Index: i + 1, Turn: 1, Tool: c.Tool, Args: c.Args, Result: res})
	}
	if ev.State, err = inst.State(ctx); err != nil {
		return nil, err
	}
	ts, err := measure(l.n(20000), func(int) error {
		score, err := l.judge.Score(ctx, ev)
		if err == nil && score.Reward != 1 {
			err = fmt.Errorf("gold scores %v", score.Reward)
		}
		return err
	})
	return []row{judged("verdict for a task of 5 sub-tasks and a verifier", ts.String(), "≤ 50 µs p50", ts.at(.5) <= 50)}, err
}

// manyRows holds many episodes open, most of them put away, and calls them at random, twice
// as often as there are episodes: in the second half nothing may grow any more.
func manyRows(ctx context.Context, l *lab) ([]row, error) {
	n := l.open
	if n == 0 {
		n = l.n(20000)
	}
	live := min(max(n/20, 1), 20_000)
	h, err := l.house(ctx, "many", &gateway.Options{MaxOpen: n + 1, MaxLive: live, MaxBytes: 3 << 30, TTL: 24 * time.Hour})
	if err != nil {
		return nil, err
	}
	defer h.close()
	before := heap()
	ids, err := h.openAll(ctx, n)
	if err != nil {
		return nil, err
	}
	rng := rand.New(rand.NewPCG(1, 2))
	calls := min(n, 100_000)
	round := func() (times, error) {
		return measure(calls, func(int) error {
			step, err := h.Call(ctx, ids[rng.IntN(n)], astra.Call{Tool: "get_user", Args: getUser})
			return good(step.Result, err)
		})
	}
	if _, err := round(); err != nil {
		return nil, err
	}
	resting, first := (heap()-before)/float64(n)/1024, residentSet()
	ts, err := round()
	if err != nil {
		return nil, err
	}
	st, second := h.Stats(), residentSet()
	many := fmt.Sprintf("among %d open, %d live", n, live)
	return []row{
		judged("Go heap per open episode "+many, fmt.Sprintf("%.1f KiB", resting), "≤ 8 KiB", resting <= 8),
		judged("call at random "+many, ts.String(), "≤ 50 µs p50, of 1,000,000", n >= 1_000_000 && ts.at(.5) <= 50),
		info("  errors; worlds woken, replayed", fmt.Sprintf("0; %d, %d", st.Resumed, st.Replayed)),
		judged("  resident memory after as many calls again", fmt.Sprintf("%.0f → %.0f MiB", first, second), "steady (within 10 %)", second <= first*1.1),
	}, nil
}

// residentSet is the memory of this process in MiB, 0 where the system does not tell.
func residentSet() float64 {
	b, _ := os.ReadFile("/proc/self/statm")
	if f := strings.Fields(string(b)); len(f) > 1 {
		pages, _ := strconv.Atoi(f[1])
		return float64(pages*os.Getpagesize()) / (1 << 20)
	}
	return 0
}

// openAll opens n episodes, many at once: durable opens share their wait for the disk.
func (h *house) openAll(ctx context.Context, n int) ([]astra.EpisodeID, error) {
	ids := make([]astra.EpisodeID, n)
	return ids, inParallel(64, n, func(i int) error {
		o, err := h.Open(ctx, gateway.OpenRequest{Arena: "bench", Task: "five", Mode: astra.Train})
		if err == nil {
			ids[i] = o.Episode
		}
		return err
	})
}

// inParallel does f(0) … f(n-1) on so many goroutines and returns the first error.
func inParallel(workers, n int, f func(i int) error) error {
	var next atomic.Int64
	var failed atomic.Pointer[error]
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && failed.Load() == nil; i = int(next.Add(1)) - 1 {
				if err := f(i); err != nil {
					failed.Store(&err)
				}
			}
		})
	}
	wg.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}

// settled is the heap once the store has come to rest: while it merges tables it holds
// some hundred MiB for them.
func settled() float64 {
	low, still := heap(), 0
	for range 120 {
		time.Sleep(500 * time.Millisecond)
		now := heap()
		if still++; now < low*.99 {
			low, still = now, 0
		}
		if still == 20 {
			break
		}
	}
	return low
}

func heapRows(ctx context.Context, l *lab) ([]row, error) {
	// A store's cache of blocks fills up to its bound; that is no growth, so it is kept small.
	h, err := l.houseOn(ctx, "heap", &store.Options{Cache: 1 << 20}, &gateway.Options{KeyGrace: time.Nanosecond})
	if err != nil {
		return nil, err
	}
	defer h.close()
	n := l.n(50000)
	cycle := func() error {
		return inParallel(64, n, func(int) error {
			o, err := h.Open(ctx, gateway.OpenRequest{Arena: "bench", Task: "five", Mode: astra.Train})
			if err != nil {
				return err
			}
			return h.Abort(ctx, o.Episode, "bench")
		})
	}
	if err := cycle(); err != nil {
		return nil, err
	}
	if err := h.Sweep(ctx); err != nil {
		return nil, err
	}
	before := settled()
	if err := cycle(); err != nil {
		return nil, err
	}
	if err := h.Sweep(ctx); err != nil {
		return nil, err
	}
	grown := (settled() - before) / 1024
	perEpisode := grown * 1024 / float64(n)
	return []row{judged(fmt.Sprintf("heap after %d more episodes opened and closed", n), fmt.Sprintf("%+.0f KiB (%.0f B each)", grown, perEpisode), "no growth (< 16 B each)", perEpisode < 16)}, nil
}

func postJSON(client poster, url string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	return client.post(url, bytes.NewReader(body), out)
}
