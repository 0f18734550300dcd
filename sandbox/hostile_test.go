package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
)

// hostile is code that would run forever or take all memory, and how its call ends: a
// breach of the named limit, an exception, or somehow ("").
var hostile = []struct{ name, code, want string }{
	{"loop", `while(true){}`, "fuel"},
	{"loop that swallows", `for(;;){ try { for(;;){} } catch(e){} finally { for(;;){} } }`, "fuel"},
	{"regexp backtracking", `/^(a+)+$/.test('a'.repeat(40)+'b')`, "fuel"},
	{"stringify 2^40 nodes", `let a=[]; for(let i=0;i<40;i++) a=[a,a]; JSON.stringify(a).length`, "fuel"},
	{"result of 2^40 nodes", `let a=[]; for(let i=0;i<40;i++) a=[a,a]; a`, "fuel"},
	{"hostile comparator", `Array.from({length:2000},(_, i)=>i).sort((a,b)=>{ for(;;); })`, "fuel"},
	{"repeat", `'x'.repeat(1e9).length`, "memory"},
	{"string doubling", `let s='x'; for(;;) s+=s;`, "string too long"},
	{"memory", `const a=[]; for(;;) a.push(new Uint8Array(1<<20))`, "memory"},
	{"memory, swallowed", `const a=[]; try { for(;;) a.push(new Uint8Array(1<<20)) } catch {} 1`, "memory"},
	{"deep recursion", `function f(n){ return f(n+1)+1 } f(0)`, "RangeError: Maximum call stack size exceeded"},
	{"deep JSON.parse", `JSON.parse('['.repeat(1e5))`, "RangeError: Maximum call stack size exceeded"},
	{"deep regexp", `new RegExp('('.repeat(1e5))`, "SyntaxError: too many captures"},
	{"Array fill", `Array(1e9).fill(0).length`, "fuel"},
	{"indexOf of 2^53", `Array.prototype.indexOf.call({length:2**53-1}, 1)`, "fuel"},
	{"join of 2^32", `Array.prototype.join.call({length:2**32-1}, '')`, "fuel"},
	{"reverse of 2^53", `Array.prototype.reverse.call({length:2**53-1})`, "fuel"},
	{"String.indexOf n*m", `'a'.repeat(2e5).indexOf('a'.repeat(1e5)+'b')`, "fuel"},
	{"BigInt multiply", `const x=(1n<<500000n)-1n; for(;;) x*x`, "fuel"},
	{"BigInt toString", `((1n<<1000000n)-1n).toString().length`, "fuel"},
	{"typed array sort", `const a=new Float64Array(2e6); for(;;) a.sort()`, "fuel"},
	{"typed array fill", `const a=new Uint8Array(16<<20); for(;;) a.fill(1)`, "fuel"},
	{"typed array set", `const a=new Uint8Array(8<<20), b=a.slice(); for(;;) a.set(b)`, "fuel"},
	{"microtasks", `(async()=>{ for(;;) await 0 })()`, "fuel"},
	{"Map fill", `const m=new Map(); for(let i=0;;i++) m.set(i,i)`, "fuel"},
	{"getter in the result", `({get x(){ for(;;); }})`, "fuel"},
	{"toJSON", `({toJSON(){ for(;;); }})`, "fuel"},
	{"exception that loops", `throw {toString(){ for(;;); }, toJSON(){ for(;;); }}`, "fuel"},
	{"exception whose name loops", `const e=new Error('m'); Object.defineProperty(e,'name',{get(){ for(;;); }}); throw e`, "fuel"},
	{"exception that throws", `const e=new Error('m'); Object.defineProperty(e,'name',{get(){ throw e }}); throw e`, "an exception that cannot be read"},
	{"normalize", `const s='e\u0301'.repeat(2e5); for(;;) s.normalize('NFC')`, "fuel"},
	{"source", `for(;;) (0,eval)('0'+';x=1'.repeat(1e5))`, "fuel"},
	{"large result", `'x'.repeat(300000)`, "result size"},
	{"deep result", `let a=[]; for(let i=0;i<80;i++) a=[a]; a`, "nesting"},
	{"log without end", `for(;;) host.log('x'.repeat(1000))`, "fuel"},
	{"files without end", `for(;;) host.data('rates.json')`, "fuel"},
	{"proxy of itself", `const p=new Proxy({}, {get(){ return p }, ownKeys(){ for(;;); }}); p`, "fuel"},
	{"Atomics.wait", `Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1e9)`, "Error"},
	{"reviver", `JSON.parse('[1]', () => { for(;;); })`, "fuel"},
	{"reviver that grows what it walks", `JSON.parse('[[1]]', function(k, v) { this.push([1]); return v })`, ""},
	{"allocation of 2^31", `new ArrayBuffer(2 ** 31)`, ""},
	{"huge string", `'x'.padEnd(2 ** 30).length`, "invalid string length"},
	{"promise storm", `(function storm() { for (let i = 0; i < 1000; i++) Promise.resolve().then(storm) })()`, ""},
	{"thenable that loops", `({then(r){ for(;;); }})`, ""},
	{"prototype pollution", `Object.prototype.user = 'evil'; Array.prototype.push = () => { throw 1 }; Object.freeze(Object.prototype); 1`, ""},
	{"world's functions replaced", `globalThis.JSON = Math.random = Date = undefined; String.prototype.slice = () => { for(;;); }; 1`, ""},
	{"message without end", `throw new Error('x'.repeat(1e6))`, "Error: xxx"},
}

func TestHostile(t *testing.T) {
	for way, o := range ways {
		t.Run(way, func(t *testing.T) {
			p := load(t, newTestRuntime(t, o), testArena(t, shop, shopTools...))
			for _, h := range hostile {
				t.Run(h.name, func(t *testing.T) { endsCleanly(t, p, h.code, h.want) })
			}
		})
	}
}

func endsCleanly(t *testing.T, p *program, code, want string) {
	args, _ := json.Marshal(map[string]string{"code": code})
	i := start(t, p, 1)
	r, err := i.Call(t.Context(), "run", args)
	if err != nil || want != "" && (r.Fault != astra.FaultTool || !strings.Contains(r.Error, want)) {
		t.Errorf("Call = %s, %v, want %s", show(r), err, want)
	}
	if len(r.Error) > maxMessage+10 || len(r.Log) > int(testLimits.Log)+100 {
		t.Errorf("%d bytes of error, %d of log", len(r.Error), len(r.Log))
	}
	after, err := i.Call(t.Context(), "nothing", nil)
	if r.Breach != (err != nil) {
		t.Errorf("the next call on it = %s, %v after breach %v", show(after), err, r.Breach)
	}
	i.Close()
	if got := call(t, start(t, p, 1), "create_order", `{"user":"u1"}`); got != `{"id":"o0","user":"u1"}` {
		t.Errorf("the next world: %s", got)
	}
}

// TestFuelIsExact finds the least fuel that a call needs, and that one unit less ends it.
func TestFuelIsExact(t *testing.T) {
	rt := newTestRuntime(t, Options{})
	enough := func(fuel int64) bool {
		a := testArena(t, shop, shopTools...)
		p := load(t, rt, a)
		p.limits.Fuel = fuel
		i := start(t, p, 1)
		defer i.Close()
		return call(t, i, "spin", `{"n":20000}`) == "199990000"
	}
	low, high := int64(200_000), int64(2_000_000) // setup takes less than low
	for high-low > 1 {
		if middle := (low + high) / 2; enough(middle) {
			high = middle
		} else {
			low = middle
		}
	}
	for range 3 {
		if enough(high-1) || !enough(high) {
			t.Fatalf("fuel of %d is not the limit every time", high)
		}
	}
}

// ticking is a clock that moves a second each time it is read.
func ticking(read func(n int)) func() time.Time {
	n := 0
	return func() time.Time {
		n++
		read(n)
		return testNow.Add(time.Duration(n) * time.Second)
	}
}

func TestWallClock(t *testing.T) {
	rt, err := NewJavaScript(t.Context(), &Options{now: ticking(func(int) {})})
	if err != nil {
		t.Fatal(err)
	}
	defer rt.Close()
	a := testArena(t, shop, shopTools...)
	a.Limits.Fuel, a.Limits.Wall = 1<<40, 30*time.Second
	i := start(t, load(t, rt, a), 1)
	_, err = i.Call(t.Context(), "run", json.RawMessage(`{"code":"for(;;);"}`))
	if !errors.Is(err, astra.ErrToolTimeout) {
		t.Errorf("Call = %v, want ErrToolTimeout", err)
	}
	if _, err := i.Call(t.Context(), "nothing", nil); err == nil {
		t.Error("a world that was stopped took another call")
	}
}

func TestCancellation(t *testing.T) {
	reason := errors.New("the server is going down")
	ctx, cancel := context.WithCancelCause(t.Context())
	begun := false
	rt, err := NewJavaScript(t.Context(), &Options{now: func() time.Time {
		if begun {
			cancel(reason)
		}
		return testNow
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer rt.Close()
	a := testArena(t, shop, shopTools...)
	a.Limits.Fuel = 1 << 40
	i := start(t, load(t, rt, a), 1)
	begun = true
	if _, err = i.Call(ctx, "run", json.RawMessage(`{"code":"for(;;);"}`)); !errors.Is(err, reason) {
		t.Errorf("Call = %v, want %v", err, reason)
	}
}

func TestMemoryLimit(t *testing.T) {
	for way, o := range ways {
		t.Run(way, func(t *testing.T) {
			p := load(t, newTestRuntime(t, o), testArena(t, shop, shopTools...))
			i := start(t, p, 1)
			const hold = `{"code":"globalThis.held = new Uint8Array(20 << 20).fill(7); held.length"}`
			if got := call(t, i, "run", hold); got != "20971520" {
				t.Fatalf("20 MB of 32: %s", got)
			}
			f, err := i.Fork(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			for _, w := range []gateway.Instance{f, i} {
				if got := call(t, w, "run", `{"code":"[held[0], held[held.length - 1]]"}`); got != "[7,7]" {
					t.Errorf("what was held: %s", got)
				}
				if got := call(t, w, "run", `{"code":"new Uint8Array(20 << 20).length"}`); got != "!tool: the tool used more than its memory (33554432 bytes)" {
					t.Errorf("20 MB more: %s", got)
				}
				w.Close()
			}
			if got := call(t, start(t, p, 1), "run", `{"code":"typeof held"}`); got != `"undefined"` {
				t.Errorf("a world in the same slot: %s", got)
			}
		})
	}
}

func TestLargeArguments(t *testing.T) {
	i := start(t, load(t, newTestRuntime(t, Options{}), testArena(t, shop, shopTools...)), 1)
	for _, n := range []int{inputRoom - 11, inputRoom - 10, inputRoom - 9, 1 << 20} {
		args := `{"code":"` + strings.Repeat("1", n) + `"}`
		r, err := i.Call(t.Context(), "create_order", json.RawMessage(args))
		if err != nil || !r.OK() {
			t.Errorf("%d bytes: %s, %v", len(args), show(r), err)
		}
	}
	deep := `{"a":` + strings.Repeat("[", 64) + strings.Repeat("]", 64) + `}`
	if got := call(t, i, "nothing", deep); got != "agent: the arguments are nested 65 deep; 64 is allowed" {
		t.Error(got)
	}
}

func TestLog(t *testing.T) {
	i := start(t, load(t, newTestRuntime(t, Options{}), testArena(t, shop, shopTools...)), 1)
	log := func(tool, args string) string {
		r, err := i.Call(t.Context(), tool, json.RawMessage(args))
		if err != nil {
			t.Fatal(err)
		}
		return r.Log
	}
	if got, want := log("chat", `{"n":2}`), "line 0 {\"i\":0}\nline 1 {\"i\":1}\n"; got != want {
		t.Errorf("log = %q, want %q", got, want)
	}
	if got, want := log("run", `{"code":"const a = {}; a.a = a; console.log(a, 1n, undefined, Symbol('s'), new TypeError('t')); 1"}`), "[object that is no JSON] 1 undefined Symbol(s) TypeError: t\n"; got != want {
		t.Errorf("log = %q, want %q", got, want)
	}
	if got := log("nothing", `{}`); got != "" {
		t.Errorf("the log of a silent call = %q", got)
	}
	got := log("chat", `{"n":2000}`)
	if want := "\n[the log was cut here]"; len(got) != 4096 || !strings.HasSuffix(got, want) {
		t.Errorf("%d bytes of log ending %q", len(got), got[len(got)-40:])
	}
	if got := log("get_user", `{"id":"?"}`); !strings.Contains(got, "RangeError: no such user ?\n") || !strings.Contains(got, "get_user (tools.js:7:") {
		t.Errorf("the log of an exception lacks its stack: %q", got)
	}
}

// TestBusy waits for an executor no longer than the caller's context.
func TestBusy(t *testing.T) {
	rt := newTestRuntime(t, Options{Executors: 1})
	i := start(t, load(t, rt, testArena(t, shop, shopTools...)), 1)
	x, err := rt.acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	reason := errors.New("the agent hung up")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(reason)
	if _, err := i.Call(ctx, "nothing", nil); !errors.Is(err, reason) {
		t.Errorf("Call = %v, want %v", err, reason)
	}
	rt.giveBack(x)
	if got := call(t, i, "nothing", `{}`); got != "null" {
		t.Errorf("a call that waited in vain harmed the world: %s", got)
	}
}

// TestTrap has the engine itself end a call, which is the tool's doing and a breach.
func TestTrap(t *testing.T) {
	p := load(t, newTestRuntime(t, Options{Executors: 1}), testArena(t, shop, shopTools...))
	const noFunction = 0xffffffff_00000010 // an object where there is none
	m, err := p.memories.begin(p.image)
	if err != nil {
		t.Fatal(err)
	}
	copy(m.buf[:1<<16], bytes.Repeat([]byte{0xff}, 1<<16))
	x, err := p.acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	x.begin(t.Context(), m, p.limits, p.files)
	value, failure := x.invoke(x.js, noFunction, []byte(`{}`))
	r, err := p.end(x, value, failure)
	if err != nil || !r.Breach || r.Fault != astra.FaultTool {
		t.Errorf("run = %s, %v, want a breach", show(r), err)
	}
	p.release(m)
	if got := call(t, start(t, p, 1), "create_order", `{"user":"u1"}`); got != `{"id":"o0","user":"u1"}` {
		t.Errorf("the next world: %s", got)
	}
}
