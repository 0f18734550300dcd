package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/astra-arenas/astra/gateway"
)

func TestWorld(t *testing.T) {
	i := start(t, load(t, newTestRuntime(t, Options{}), testArena(t, shop, shopTools...)), 42)
	var got []any
	if err := json.Unmarshal([]byte(call(t, i, "world", `{}`)), &got); err != nil {
		t.Fatal(err)
	}
	ms := float64(testNow.UnixMilli())
	want := []any{42.0, ms, got[2], got[3], ms, "2026-03-02T09:00:00.000Z", "Mon Mar 02 2026 09:00:00 GMT+0000", 0.0, 0.0}
	for k := range want {
		if got[k] != want[k] {
			t.Errorf("world()[%d] = %v, want %v", k, got[k], want[k])
		}
	}
	for _, c := range []struct{ code, want string }{
		{"new Date().constructor === Date && new Date() instanceof Date", "true"},
		{"class D extends Date {}; new D(0).toISOString()", `"1970-01-01T00:00:00.000Z"`},
		{"new Date(2024, 1, 29, 12).toISOString()", `"2024-02-29T12:00:00.000Z"`},
		{"Date.UTC(2024, 0) === +new Date('2024-01-01')", "true"},
		{"'use strict'; try { host.now = () => 1 } catch (e) { e.name }", `"TypeError"`},
		{"[typeof process, typeof require, typeof fetch, typeof setTimeout, typeof std, typeof os]", `["undefined","undefined","undefined","undefined","undefined","undefined"]`},
		{"host.data('../secret.txt')", "tool: RangeError: no file ../secret.txt in data/"},
		{"host.data('')", "tool: RangeError: no file  in data/"},
		{"host.data('./rates.json')", "tool: RangeError: no file ./rates.json in data/"},
		{"host.data('/rates.json')", "tool: RangeError: no file /rates.json in data/"},
		{"host.data(7)", "tool: TypeError: host.data takes the path of a file, as a string"},
		{"globalThis.host === host && Object.isFrozen(host)", "true"},
	} {
		args, _ := json.Marshal(map[string]string{"code": c.code})
		if got := call(t, i, "run", string(args)); got != c.want {
			t.Errorf("%s = %s, want %s", c.code, got, c.want)
		}
	}
}

func TestClockBefore1970(t *testing.T) {
	p := load(t, newTestRuntime(t, Options{}), testArena(t, shop, shopTools...))
	i, err := p.Start(t.Context(), gateway.World{Now: time.Date(1931, 5, 1, 0, 0, 0, 0, time.UTC)})
	if err != nil {
		t.Fatal(err)
	}
	defer i.Close()
	if got := call(t, i, "run", `{"code":"new Date().toISOString()"}`); got != `"1931-05-01T00:00:00.000Z"` {
		t.Error(got)
	}
}

// history is some calls and what they returned, state included.
func history(t *testing.T, i gateway.Instance, n int) string {
	var b strings.Builder
	for k := range n {
		b.WriteString(call(t, i, "rand", `{}`))
		b.WriteString(call(t, i, "create_order", `{"user":"u1","total":`+string(rune('0'+k%10))+`}`))
		b.WriteString(call(t, i, "get_later", `{"id":"u3"}`))
		b.WriteString(call(t, i, "get_user", `{"id":"nobody"}`))
	}
	r, err := i.State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b.WriteString(show(r))
	return b.String()
}

func TestEqualWorldsGiveEqualResults(t *testing.T) {
	var first string
	var images [][]byte
	for _, o := range []Options{{}, {Copy: true}, {Executors: 1}} {
		rt := newTestRuntime(t, o)
		for range 2 {
			p := load(t, rt, testArena(t, shop, shopTools...))
			images = append(images, bytes.Clone(p.image.bytes))
			for range 3 {
				i := start(t, p, 5)
				got := history(t, i, 6)
				i.Close()
				if first == "" {
					first = got
				}
				if got != first {
					t.Fatalf("%+v: one history is\n%s\nanother\n%s", o, first, got)
				}
			}
		}
	}
	for k, img := range images {
		if !bytes.Equal(img, images[0]) {
			t.Errorf("image %d differs from the first", k)
		}
	}
	other := start(t, load(t, newTestRuntime(t, Options{}), testArena(t, shop, shopTools...)), 6)
	if history(t, other, 6) == first {
		t.Error("another seed gave the same history")
	}
}

// TestSeeds draws from many neighbouring seeds: all different, and none stuck.
func TestSeeds(t *testing.T) {
	p := load(t, newTestRuntime(t, Options{}), testArena(t, strings.Replace(shop, "export function setup", "function setup", 1), shopTools...))
	seen := map[string]int64{}
	for seed := int64(-500); seed < 500; seed++ {
		i := start(t, p, seed)
		got := call(t, i, "rand", `{}`)
		i.Close()
		if was, ok := seen[got]; ok {
			t.Fatalf("seeds %d and %d both draw %s", was, seed, got)
		}
		seen[got] = seed
	}
}

func TestFork(t *testing.T) {
	for way, o := range ways {
		t.Run(way, func(t *testing.T) {
			p := load(t, newTestRuntime(t, o), testArena(t, shop, shopTools...))
			a, straight := start(t, p, 9), start(t, p, 9)
			history(t, a, 3)
			history(t, straight, 3)
			b, err := a.Fork(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			call(t, a, "create_order", `{"user":"only in a"}`)
			call(t, a, "rand", `{}`)
			if got, want := history(t, b, 3), history(t, straight, 3); got != want {
				t.Errorf("the fork went on with\n%s\nnot\n%s", got, want)
			}
			a.Close()
			if got := call(t, b, "get_user", `{"id":"u1"}`); !strings.Contains(got, "User 1") {
				t.Errorf("the fork after its parent was closed: %s", got)
			}
		})
	}
}

func TestStateLeavesTheWorldAsItWas(t *testing.T) {
	code := shop + `export function bump() { return ++db.bumped; } db.bumped = 0;`
	code = strings.Replace(code, "return {orders", "db.bumped += 100; Math.random(); return {orders", 1)
	p := load(t, newTestRuntime(t, Options{}), testArena(t, code, append(shopTools, "bump")...))
	i, quiet := start(t, p, 3), start(t, p, 3)
	for range 3 {
		if r, err := i.State(t.Context()); err != nil || show(r) != `{"orders":[]}` {
			t.Fatalf("State = %s, %v", show(r), err)
		}
	}
	if got := call(t, i, "bump", `{}`); got != "1" {
		t.Errorf("bump after State = %s, want 1", got)
	}
	if call(t, i, "rand", `{}`) != call(t, quiet, "rand", `{}`) {
		t.Error("State drew from the world's random numbers")
	}
}

func TestStateThatFails(t *testing.T) {
	rt := newTestRuntime(t, Options{})
	p := load(t, rt, testArena(t, `export function state() { for(;;); } export function f() { return 1 }`, "f"))
	i := start(t, p, 1)
	if r, err := i.State(t.Context()); err != nil || !r.Breach {
		t.Errorf("State = %s, %v", show(r), err)
	}
	if got := call(t, i, "f", `{}`); got != "1" {
		t.Errorf("a call after it = %s", got)
	}
	p = load(t, rt, testArena(t, `export function f() { return 1 }`, "f"))
	if r, err := start(t, p, 1).State(t.Context()); err != nil || r.Value != nil || p.HasState() {
		t.Errorf("without state(): %s, %v, HasState %v", show(r), err, p.HasState())
	}
}

// TestIsolation has one episode break everything it can reach.
func TestIsolation(t *testing.T) {
	for way, o := range ways {
		t.Run(way, func(t *testing.T) {
			o.Executors = 1
			p := load(t, newTestRuntime(t, o), testArena(t, shop, shopTools...))
			fresh := history(t, start(t, p, 4), 2)
			for _, code := range []string{
				`JSON.stringify = () => 'broken'; JSON.parse = null; 1`,
				`Object.prototype.polluted = 1; Object.prototype.toJSON = () => 'mine'; 1`,
				`Array.prototype.push = () => { throw 1 }; Promise.prototype.then = null; 1`,
				`Math.random = () => 4; Date = null; globalThis.host2 = host; 1`,
				`String = Error = TypeError = Reflect = Proxy = undefined; Function.prototype.call = null; 1`,
				`Error.prototype.toString = null; Object.defineProperty(Error.prototype, 'name', {get() { throw 1 }}); 1`,
				`for (const k of Object.getOwnPropertyNames(globalThis)) try { delete globalThis[k] } catch {} 1`,
			} {
				args, _ := json.Marshal(map[string]string{"code": code})
				i := start(t, p, 4)
				call(t, i, "run", string(args))
				call(t, i, "get_user", `{"id":"nobody"}`) // must not bring the host down either
				i.Close()
				after := start(t, p, 4)
				if got := history(t, after, 2); got != fresh {
					t.Errorf("after %s a new world says\n%s\nnot\n%s", code, got, fresh)
				}
				after.Close()
			}
		})
	}
}

func TestSetup(t *testing.T) {
	rt := newTestRuntime(t, Options{})
	p := load(t, rt, testArena(t, shop, shopTools...))
	i, err := p.Start(t.Context(), gateway.World{Now: testNow, Scenario: json.RawMessage(`{"users": 2}`)})
	if err != nil {
		t.Fatal(err)
	}
	defer i.Close()
	if got := call(t, i, "get_user", `{"id":"u2"}`); got != "tool: RangeError: no such user u2" {
		t.Error(got)
	}
	for code, want := range map[string]string{
		"export function setup(s) { throw new TypeError('no ' + s.k) }": "setup: tools.js:1:56: TypeError: no v",
		"export async function setup() { for(;;); }":                    "tools.js: setup used more than its fuel (4000000 units): do less there, or raise limits in arena.yaml",
		"export const setup = () => new Promise(() => {})":              "setup: " + errPending.Error(),
	} {
		p := load(t, rt, testArena(t, code))
		if _, err := p.Start(t.Context(), gateway.World{Scenario: json.RawMessage(`{"k":"v"}`)}); err == nil || err.Error() != want {
			t.Errorf("%s: Start = %v, want %s", code, err, want)
		}
	}
}

func TestClosed(t *testing.T) {
	rt := newTestRuntime(t, Options{})
	p := load(t, rt, testArena(t, shop, shopTools...))
	i, j := start(t, p, 1), start(t, p, 1)
	for range 2 {
		if err := i.Close(); err != nil {
			t.Error(err)
		}
	}
	refused := func(what string, i gateway.Instance) {
		if _, err := i.Call(t.Context(), "nothing", nil); err == nil {
			t.Error(what, "took a call")
		}
		if _, err := i.State(t.Context()); err == nil {
			t.Error(what, "told its state")
		}
		if _, err := i.Fork(t.Context()); err == nil {
			t.Error(what, "was forked")
		}
	}
	refused("a closed world", i)
	for range 2 {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
	refused("a world of a closed arena", j)
	if _, err := p.Start(t.Context(), gateway.World{}); err == nil {
		t.Error("a closed arena started a world")
	}
	q := load(t, rt, testArena(t, shop, shopTools...))
	k := start(t, q, 1)
	for range 2 {
		if err := rt.Close(); err != nil {
			t.Error(err)
		}
	}
	refused("a world of a closed runtime", k)
	if _, err := rt.Load(t.Context(), testArena(t, shop)); err == nil {
		t.Error("a closed runtime loaded an arena")
	}
	for _, w := range []gateway.Instance{j, k} {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestKeptWorlds starts more equal worlds than setup runs for, and more worlds than are kept.
func TestKeptWorlds(t *testing.T) {
	for way, o := range ways {
		t.Run(way, func(t *testing.T) {
			p := load(t, newTestRuntime(t, o), testArena(t, shop, shopTools...))
			var want string
			for range 4 {
				i := start(t, p, 5)
				got := history(t, i, 3)
				i.Close()
				if want == "" {
					want = got
				}
				if got != want {
					t.Fatalf("a kept world says\n%s\nnot\n%s", got, want)
				}
			}
			if p.worlds.ready.Front().Value.(*keptWorld).mem == nil {
				t.Error("a world that was asked for four times was not kept")
			}
			for seed := range int64(keptWorlds + 10) {
				i, other := start(t, p, seed), start(t, p, seed)
				if a, b := call(t, i, "rand", `{}`), call(t, other, "rand", `{}`); a != b {
					t.Errorf("seed %d draws %s and %s", seed, a, b)
				}
				i.Close()
				other.Close()
			}
			if n := p.worlds.ready.Len(); n != keptWorlds {
				t.Errorf("%d worlds are ready, want %d", n, keptWorlds)
			}
			p.Close()
			if p.image.out != 0 {
				t.Errorf("%d memories were not released", p.image.out)
			}
		})
	}
}

// counted is a guest whose first setup waits for something.
type counted struct {
	guest
	wait   func()
	first  sync.Once
	setups atomic.Int64
}

func (c *counted) setup(x *executor, scenario []byte) error {
	c.setups.Add(1)
	c.first.Do(c.wait)
	return c.guest.setup(x, scenario)
}

// The episodes of a group are opened together, before any has left its world to the others,
// and so are more groups than there are kept worlds.
func TestOneSetupForAGroup(t *testing.T) {
	p := load(t, newTestRuntime(t, Options{}), testArena(t, shop, shopTools...))
	const members, seeds = 4, keptWorlds + 10
	asked := func() (n int64) {
		p.worlds.mu.Lock()
		defer p.worlds.mu.Unlock()
		for _, w := range p.worlds.byKey {
			n += w.asked.Load()
		}
		return n
	}
	c := &counted{guest: p.guest, wait: func() {
		for asked() < members*seeds {
			runtime.Gosched()
		}
	}}
	p.guest = c
	var group errgroup.Group
	for k := range members * seeds {
		group.Go(func() error {
			i, err := p.Start(t.Context(), gateway.World{Seed: int64(k % seeds), Now: testNow})
			if err != nil {
				return err
			}
			return i.Close()
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	if n := c.setups.Load(); n != seeds {
		t.Errorf("setup ran %d times for %d worlds, each asked for %d times at once", n, seeds, members)
	}
	if n := p.worlds.ready.Len(); n != keptWorlds {
		t.Errorf("%d worlds are ready when all are open, want %d", n, keptWorlds)
	}
}

// Groups whose episodes are opened one at a time, each after one of every other group, find
// their world put away: after the second setup, or the first where that was dear.
func TestWorldsPutAway(t *testing.T) {
	busy := strings.Replace(shop, "setup(s, host) {", "setup(s, host) { for (let i = 0; i < 100000; i++);", 1)
	for name, tc := range map[string]struct {
		way    Options
		source string
		setups int64
	}{
		"mapped": {ways["mapped"], shop, 2}, "copied": {ways["copied"], shop, 2}, "dear": {Options{}, busy, 1},
	} {
		t.Run(name, func(t *testing.T) {
			p := load(t, newTestRuntime(t, tc.way), testArena(t, tc.source, shopTools...))
			c := &counted{guest: p.guest, wait: func() {}}
			p.guest = c
			const members, seeds = 4, keptWorlds + 10
			want := map[int64]string{}
			for k := range int64(members * seeds) {
				seed := k % seeds
				i := start(t, p, seed)
				got := history(t, i, 3)
				i.Close()
				if want[seed] == "" {
					want[seed] = got
				}
				if got != want[seed] {
					t.Fatalf("the world of seed %d, asked for again, says\n%s\nnot\n%s", seed, got, want[seed])
				}
			}
			if n := c.setups.Load(); n != tc.setups*seeds {
				t.Errorf("setup ran %d times for %d worlds, each asked for %d times", n, seeds, members)
			}
			p.Close()
			if p.image.out != 0 {
				t.Errorf("%d memories were not released", p.image.out)
			}
		})
	}
}

// What is put away is bounded, keys of worlds that were asked for once too.
func TestWorldsBounded(t *testing.T) {
	p := load(t, newTestRuntime(t, Options{}), testArena(t, shop, shopTools...))
	p.worlds.most = (keptWorlds + 20) * entryBytes
	for seed := range int64(keptWorlds + 100) {
		start(t, p, seed).Close()
	}
	for seed := range int64(keptWorlds + 100) {
		start(t, p, seed).Close()
		start(t, p, seed).Close()
	}
	sum := 0
	for _, w := range p.worlds.byKey {
		sum += w.bytes
	}
	if ws := &p.worlds; ws.bytes > ws.most || sum != ws.bytes || len(ws.byKey) != ws.ready.Len()+ws.away.Len() {
		t.Errorf("%d bytes, %d by sum, of at most %d; %d entries, %d ready and %d away", ws.bytes, sum, ws.most, len(ws.byKey), ws.ready.Len(), ws.away.Len())
	}
}

// Who opens the first episode of a group and leaves during its setup leaves the others theirs.
func TestSetupGivenUp(t *testing.T) {
	p := load(t, newTestRuntime(t, Options{}), testArena(t, shop, shopTools...))
	ctx, leave := context.WithCancel(t.Context())
	waiting := p.worlds.find(worldKey{5, milliseconds(testNow), ""})
	p.worlds.leave(waiting)
	const members = 4
	c := &counted{guest: p.guest, wait: func() {
		for waiting.asked.Load() < 1+members {
			runtime.Gosched()
		}
		leave()
	}}
	p.guest = c
	open := func(ctx context.Context) error {
		i, err := p.Start(ctx, gateway.World{Seed: 5, Now: testNow})
		if err != nil {
			return err
		}
		return i.Close()
	}
	var group errgroup.Group
	group.Go(func() error { _ = open(ctx); return nil }) // it may have been done in time
	for c.setups.Load() == 0 {
		runtime.Gosched()
	}
	for range members - 1 {
		group.Go(func() error { return open(t.Context()) })
	}
	if err := group.Wait(); err != nil {
		t.Errorf("another member: %v", err)
	}
	if n := c.setups.Load(); n > 2 {
		t.Errorf("setup ran %d times", n)
	}
}
