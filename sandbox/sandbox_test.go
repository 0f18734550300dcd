package sandbox

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
)

// shop is the arena of most tests.
const shop = `
const db = { users: {}, orders: [] };
const rates = JSON.parse(host.data('rates.json'));
export function setup(s, host) {
  for (let i = 0; i < (s.users || 50); i++) db.users['u' + i] = {id: 'u' + i, name: 'User ' + i, city: ['Paris', 'Rome', 'Oslo'][i % 3]};
}
export function get_user(a) { const u = db.users[a.id]; if (!u) throw new RangeError('no such user ' + a.id); return u; }
export async function get_later(a) { await null; await 0; return get_user(a); }
export function never() { return new Promise(() => {}); }
export function create_order(a) { const o = {id: 'o' + db.orders.length, user: a.user, total: a.total}; db.orders.push(o); return o; }
export function rate(a) { return rates[a.currency]; }
export function nothing() {}
export function world(a, host) {
  return [host.seed, host.now(), host.random(), Math.random(), Date.now(), new Date().toISOString(), Date(), new Date(2024, 0, 1).getTimezoneOffset(), performance.now()];
}
export function rand(a, host) { return [host.random(), Math.random()]; }
export function chat(a, host) { for (let i = 0; i < a.n; i++) host.log('line', i, {i}); return 1; }
export function run(a, host) { return (0, eval)(a.code); }
export function spin(a) { let x = 0; for (let i = 0; i < a.n; i++) x += i; return x; }
export function state() { return {orders: db.orders}; }
`

var testNow = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// testLimits keep hostile programs short.
var testLimits = astra.Limits{Memory: 32 << 20, Fuel: 4_000_000, Wall: time.Minute, Result: 256 << 10, Log: 4 << 10, Depth: 64}

func testArena(tb testing.TB, code string, tools ...string) *astra.Arena {
	tb.Helper()
	b, err := astra.NewBundle([]astra.File{
		{Path: "arena.yaml", Data: []byte("name: shop\n")},
		{Path: "data/rates.json", Data: []byte(`{"EUR": 1, "USD": 1.25}`)},
		{Path: "secret.txt", Data: []byte("canary")},
		{Path: "tools.js", Data: []byte(code)},
	})
	if err != nil {
		tb.Fatal(err)
	}
	a := &astra.Arena{Name: "shop", Runtime: astra.JavaScript, Entry: "tools.js", Limits: testLimits, Bundle: b}
	for _, name := range tools {
		a.Tools = append(a.Tools, astra.Tool{Name: name})
	}
	return a
}

var shopTools = strings.Fields("get_user get_later never create_order rate nothing world rand chat run spin")

// ways are the two kinds of memory; every test of episodes runs on both.
var ways = map[string]Options{"mapped": {}, "copied": {Copy: true}}

func newTestRuntime(tb testing.TB, o Options) *JavaScript {
	tb.Helper()
	rt, err := NewJavaScript(tb.Context(), &o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := rt.Close(); err != nil {
			tb.Error(err)
		}
	})
	return rt
}

func load(tb testing.TB, rt *JavaScript, a *astra.Arena) *program {
	tb.Helper()
	p, err := rt.Load(tb.Context(), a)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { p.Close() })
	return p.(*program)
}

func start(tb testing.TB, p gateway.Program, seed int64) gateway.Instance {
	tb.Helper()
	i, err := p.Start(tb.Context(), gateway.World{Seed: seed, Now: testNow})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { i.Close() })
	return i
}

// call returns the value as JSON, or the failure as "fault: message", "!" before a breach.
func call(tb testing.TB, i gateway.Instance, tool, args string) string {
	tb.Helper()
	r, err := i.Call(tb.Context(), tool, json.RawMessage(args))
	if err != nil {
		tb.Fatalf("%s(%s): %v", tool, args, err)
	}
	return show(r)
}

func show(r astra.Result) string {
	s := string(r.Value)
	if !r.OK() {
		s = fmt.Sprintf("%s: %s", r.Fault, r.Error)
	}
	if r.Breach {
		s = "!" + s
	}
	return s
}

func TestCall(t *testing.T) {
	for way, o := range ways {
		t.Run(way, func(t *testing.T) {
			rt := newTestRuntime(t, o)
			if rt.memories.String() != way {
				t.Fatalf("memory is %s", rt.memories)
			}
			testCalls(t, load(t, rt, testArena(t, shop, shopTools...)))
		})
	}
}

func testCalls(t *testing.T, p *program) {
	i := start(t, p, 7)
	for _, c := range []struct{ tool, args, want string }{
		{"get_user", `{"id":"u4"}`, `{"id":"u4","name":"User 4","city":"Rome"}`},
		{"get_user", `{"id":"u9999"}`, `tool: RangeError: no such user u9999`},
		{"get_later", `{"id":"u7"}`, `{"id":"u7","name":"User 7","city":"Rome"}`},
		{"get_later", `{"id":"zz"}`, `tool: RangeError: no such user zz`},
		{"never", `{}`, "tool: " + errPending.Error()},
		{"nothing", ``, `null`},
		{"rate", `{"currency":"USD"}`, `1.25`},
		{"create_order", `{"user":"u1","total":5}`, `{"id":"o0","user":"u1","total":5}`},
		{"create_order", `{"user":"ü😀","total":1e3}`, `{"id":"o1","user":"ü😀","total":1000}`},
		{"get_user", `{bad`, `agent: the arguments are not JSON`},
		{"gone", `{}`, `agent: there is no tool "gone"`},
		{"run", `{"code":"1n"}`, `tool: TypeError: BigInt are forbidden in JSON.stringify`},
		{"run", `{"code":"const a = {}; a.a = a; a"}`, `tool: TypeError: circular reference`},
		{"run", `{"code":"({n: NaN, i: Infinity, u: undefined, d: new Date(0), s: '\\ud800', f(){} })"}`, `{"n":null,"i":null,"d":"1970-01-01T00:00:00.000Z","s":"\ud800"}`},
		{"run", `{"code":"throw 'just text'"}`, `tool: just text`},
		{"run", `{"code":"throw {code: 7}"}`, `tool: {"code":7}`},
		{"run", `{"code":"throw undefined"}`, `tool: undefined`},
		{"run", `{"code":"Promise.resolve().then(() => { globalThis.later = 1 }); throw new Error('now')"}`, `tool: Error: now`},
		{"run", `{"code":"typeof later"}`, `"number"`}, // the job ran within the call that began it
		{"run", `{"code":"host.data('rates.json').length"}`, `23`},
		{"run", `{"code":"import('fs').then(() => 1, e => e.name)"}`, `"ReferenceError"`},
	} {
		if got := call(t, i, c.tool, c.args); got != c.want {
			t.Errorf("%s(%s) = %s, want %s", c.tool, c.args, got, c.want)
		}
	}
	r, err := i.State(t.Context())
	if want := `{"orders":[{"id":"o0","user":"u1","total":5},{"id":"o1","user":"ü😀","total":1000}]}`; err != nil || show(r) != want {
		t.Errorf("State = %s, %v, want %s", show(r), err, want)
	}
}
