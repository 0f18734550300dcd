package certify_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
	"github.com/astra-arenas/astra/gateway/certify"
	"github.com/astra-arenas/astra/gateway/gatewaytest"
)

// serve is a gateway over real parts that serves the bundles.
func serve(t testing.TB, bundles ...*astra.Bundle) *gateway.Gateway {
	t.Helper()
	return serveOn(t, gatewaytest.JavaScript(t), bundles...)
}

func serveOn(t testing.TB, rt gateway.Runtime, bundles ...*astra.Bundle) *gateway.Gateway {
	t.Helper()
	gw := gatewaytest.Open(t, gatewaytest.Store(t, t.TempDir()), nil, rt)
	for _, b := range bundles {
		if _, err := gw.AddArena(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	return gw
}

// Equal arenas get equal certificates, whatever runs side by side and in whatever order.
func TestCertificatesAreEqual(t *testing.T) {
	all := files(t)
	all["tools.js"] = strings.Replace(all["tools.js"], "  known(ship);\n", "", 1) // something to find
	all["tasks.jsonl"] = strings.Replace(all["tasks.jsonl"], `"SH-6934'`, "x", 1)
	b := bundle(t, all)
	var first []byte
	for _, procs := range []int{1, 2, 5} {
		before := runtime.GOMAXPROCS(procs)
		c, err := certify.Arena(t.Context(), serve(t, b), "harbour", nil)
		runtime.GOMAXPROCS(before)
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = c.JSON()
		}
		if !bytes.Equal(first, c.JSON()) {
			t.Errorf("with %d processors:\n%s\nwas\n%s", procs, c.JSON(), first)
		}
		if _, err := astra.ReadCertificate(c.JSON()); err != nil {
			t.Error(err)
		}
	}
}

// A wobbly runtime is the real one, but that it spoils results: of gold's call of keeper_of,
// whose number it is told, and of state(). It may say that it is not pure.
type wobbly struct {
	gateway.Runtime
	impure bool
	call   func(n int64, r *astra.Result)
	state  func(n int64, r *astra.Result)
	n      *atomic.Int64
}

func (r wobbly) Pure() bool { return !r.impure }

func (r wobbly) Load(ctx context.Context, a *astra.Arena) (gateway.Program, error) {
	p, err := r.Runtime.Load(ctx, a)
	return wobblyProgram{p, r}, err
}

type wobblyProgram struct {
	gateway.Program
	r wobbly
}

func (p wobblyProgram) Start(ctx context.Context, w gateway.World) (gateway.Instance, error) {
	i, err := p.Program.Start(ctx, w)
	return wobblyInstance{i, p.r}, err
}

type wobblyInstance struct {
	gateway.Instance
	r wobbly
}

func (i wobblyInstance) Call(ctx context.Context, tool string, args json.RawMessage) (astra.Result, error) {
	res, err := i.Instance.Call(ctx, tool, args)
	if tool == "keeper_of" && string(args) == `{"berth":"Fish Quay"}` && i.r.call != nil {
		i.r.call(i.r.n.Add(1), &res)
	}
	return res, err
}

func (i wobblyInstance) State(ctx context.Context) (astra.Result, error) {
	res, err := i.Instance.State(ctx)
	if i.r.state != nil {
		i.r.state(i.r.n.Add(1), &res)
	}
	return res, err
}

func (i wobblyInstance) Fork(ctx context.Context) (gateway.Instance, error) {
	f, err := i.Instance.Fork(ctx)
	return wobblyInstance{f, i.r}, err
}

// The sandbox leaves tools no way to differ from play to play, so the runtime has to.
func TestGoldThatDiffers(t *testing.T) {
	number := func(n int64, r *astra.Result) { r.Log = strconv.FormatInt(n, 10) }
	for want, rt := range map[string]wobbly{
		"gold: gold call 2: played twice it returned":   {call: number},
		"gold: played twice, gold ended in the states ": {state: number},
		"gold: gold plays with seed 0, and played again it does not: gold call 2, keeper_of: it failed: tired": {call: func(n int64, r *astra.Result) {
			if n == 3 { // the first was to see what there is
				*r = astra.Failed(astra.FaultTool, "tired")
			}
		}},
	} {
		rt.Runtime, rt.n = gatewaytest.JavaScript(t), new(atomic.Int64)
		c, err := certify.Arena(t.Context(), serveOn(t, rt, bundle(t, files(t))), "harbour", nil)
		if err != nil {
			t.Fatal(err)
		}
		compare(t, c, []string{want})
	}
}

func TestImpureArenaIsRefused(t *testing.T) {
	gw := serveOn(t, wobbly{Runtime: gatewaytest.JavaScript(t), impure: true}, bundle(t, files(t)))
	_, err := certify.Arena(t.Context(), gw, "harbour", nil)
	if !errors.Is(err, astra.ErrUnsupported) || !strings.Contains(err.Error(), "javascript, python, wasm") {
		t.Errorf("error = %v", err)
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	gw := serve(t, bundle(t, files(t)))
	enough := errors.New("enough")
	_, err := certify.Arena(ctx, gw, "harbour", &certify.Options{Progress: func(done, _ int) {
		if done == 6 {
			cancel(enough)
		}
	}})
	if !errors.Is(err, enough) {
		t.Errorf("error = %v, want %v", err, enough)
	}
}

// The thresholds are asked for, and stand in the certificate.
func TestOptions(t *testing.T) {
	all, _ := spoil(t, "testdata/broken/agents_random.txtar")
	gw := serve(t, bundle(t, all))
	c, err := certify.Arena(t.Context(), gw, "harbour", &certify.Options{RandomMean: 1, RandomMost: 1, RandomPlays: 3, Fuzzed: 7})
	if err != nil {
		t.Fatal(err)
	}
	compare(t, c, []string{"agents: calling every tool with every value of its enums scores 1"})
	for _, k := range c.Checks {
		for _, f := range k.Findings {
			if strings.Contains(f.Text, "random agent") {
				t.Errorf("in spite of the options: %s", f.Text)
			}
		}
	}
	want := []astra.Figure{{Name: "random_plays", Value: 3}, {Name: "random_mean", Value: 1}, {Name: "random_most", Value: 1}, {Name: "fuzzed", Value: 7}}
	if !slices.Equal(c.Limits, want) {
		t.Errorf("limits = %v, want %v", c.Limits, want)
	}
}
