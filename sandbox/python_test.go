package sandbox

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/astra-arenas/astra/gateway"
)

// pythonEngine is where make puts the engine.
const pythonEngine = "../bin/python.wasm"

func newTestPython(tb testing.TB, o Options) *Python {
	tb.Helper()
	if _, err := os.Stat(pythonEngine); err != nil {
		tb.Skip("the Python engine is not there: make python")
	}
	o.Python = pythonEngine
	rt := NewPython(&o)
	tb.Cleanup(func() {
		if err := rt.Close(); err != nil {
			tb.Error(err)
		}
	})
	return rt
}

// pyTools is what the tests of Python's world call.
const pyTools = `
import random, time, os, datetime, decimal, enum, dataclasses, uuid, collections, json, logging, sys, math, asyncio
logging.basicConfig(level=logging.INFO)
log = logging.getLogger('shop')
orders = []
loaded = [random.random(), time.time()]

def create_order(user, total=0):
    orders.append(user)
    return f'o{len(orders) - 1}'

def run(code, **more):
    space = dict(globals())
    exec(code, space)
    return space.get('result')

async def later(n):
    async def inner(): return n
    return await inner() + 1

async def forever():
    class Never:
        def __await__(self): yield
    await Never()

def state():
    return {'orders': orders}
`

func newPyShop(tb testing.TB, o Options) *program {
	a := pyArena(tb, pyTools, "create_order", "run", "later", "forever")
	a.Limits.Fuel = 1_000_000_000 // what it imports is compiled first
	p := loadPy(tb, o, a)
	p.limits.Fuel = 20_000_000
	return p
}

// runs calls run with code, which puts its result into result.
func runs(tb testing.TB, i gateway.Instance, code string) string {
	tb.Helper()
	args, _ := json.Marshal(map[string]string{"code": code})
	return call(tb, i, "run", string(args))
}

// TestPythonResults is the rule for what is no JSON.
func TestPythonResults(t *testing.T) {
	i := start(t, newPyShop(t, Options{}), 7)
	for _, c := range []struct{ value, want string }{
		{`None`, `null`},
		{`[1, 2.5, True, 'é€😀', {'a': ()}]`, `[1,2.5,true,"é€😀",{"a":[]}]`},
		{`(1, (2,))`, `[1,[2]]`},
		{`{3, 1, 2}`, `[1,2,3]`},
		{`frozenset({'b', 'a', 1})`, `["a","b",1]`},
		{`{float('nan'): float('inf')}`, `{"nan":null}`},
		{`[float('nan'), -float('inf'), 1e300]`, `[null,null,1e+300]`},
		{`datetime.datetime(2024, 2, 29, 12)`, `"2024-02-29T12:00:00"`},
		{`[datetime.date(2024, 2, 29), datetime.time(1, 2), datetime.timedelta(minutes=1)]`, `["2024-02-29","01:02:00",60.0]`},
		{`[decimal.Decimal('12.50'), decimal.Decimal('3'), decimal.Decimal('NaN')]`, `[12.5,3,null]`},
		{`{(1, 2): 3, None: 4, True: 5, 6: 7}`, `{"(1, 2)":3,"null":4,"true":5,"6":7}`},
		{`enum.Enum('E', 'a b').b`, `2`},
		{`collections.Counter('aab')`, `{"a":2,"b":1}`},
		{`collections.namedtuple('P', 'x y')(1, 2)`, `[1,2]`},
		{`dataclasses.make_dataclass('D', [('x', int), ('_y', int)])(1, 2)`, `{"x":1}`},
		{`(n * n for n in range(4))`, `[0,1,4,9]`},
		{`{'a': 1}.keys()`, `["a"]`},
		{`b'abc'`, `"abc"`},
		{`[__import__('pathlib').Path('/data/a'), 1j]`, `["/data/a","1j"]`},
		{`uuid.UUID(int=1)`, `"00000000-0000-0000-0000-000000000001"`},
		{`'\ud800'`, `"\ud800"`},
		{`2 ** 100`, `1267650600228229401496703205376`},
		{`type('O', (), {'__init__': lambda self: self.__dict__.update(a=1, _b=2)})()`, `{"a":1}`},
		{`object()`, `tool: TypeError: it returned a object, which is no JSON: return a dict, a list, text or a number`},
		{`run`, `tool: TypeError: it returned a function, which is no JSON: return a dict, a list, text or a number`},
	} {
		if got := runs(t, i, "result = "+c.value); got != c.want {
			t.Errorf("%s = %s, want %s", c.value, got, c.want)
		}
	}
}

func TestPythonFailures(t *testing.T) {
	i := start(t, newPyShop(t, Options{}), 7)
	for _, c := range []struct{ code, want string }{
		{`{}['x']`, `tool: KeyError: 'x'`},
		{`raise ValueError`, `tool: ValueError`},
		{`sys.exit(3)`, `tool: SystemExit: the tool called sys.exit (3)`},
		{`exit()`, `tool: NameError: name 'exit' is not defined`},
		{`raise KeyboardInterrupt`, `tool: KeyboardInterrupt`},
		{`input()`, `tool: EOFError: EOF when reading a line`},
		{`def f(): f()` + "\nf()", `tool: RecursionError: maximum recursion depth exceeded`},
		{`a = []; a.append(a); result = a`, `tool: RecursionError: maximum recursion depth exceeded while encoding a JSON object`},
		{`raise type('E', (Exception,), {'__str__': lambda self: 1 / 0})()`, `tool: an exception that cannot be read`},
		{`1 +`, `tool: SyntaxError: invalid syntax (<string>, line 1)`},
		{`open('/data/none.txt')`, `tool: FileNotFoundError: [Errno 44] No such file or directory: '/data/none.txt'`},
		{`import socket; socket.create_connection(('127.0.0.1', 80))`, `tool: `},
		{`import subprocess; subprocess.run(['ls'])`, `tool: `},
		{`import threading; threading.Thread(target=print).start()`, `tool: RuntimeError: can't start new thread`},
	} {
		if got := runs(t, i, c.code); !strings.HasPrefix(got, c.want) {
			t.Errorf("%s = %s, want %s", c.code, got, c.want)
		}
	}
	for _, c := range [][3]string{
		{"later", `{"n":4}`, "5"},
		{"later", `{"m":4}`, "tool: TypeError: later() got an unexpected keyword argument 'm'"},
		{"forever", `{}`, "tool: RuntimeError: it awaits what never comes: there are no timers and no input here"},
		{"run", `{bad`, "agent: the arguments are not JSON"},
		{"gone", `{}`, `agent: there is no tool "gone"`},
		{"create_order", `{"user":"u"}`, `"o0"`},
	} {
		if got := call(t, i, c[0], c[1]); got != c[2] {
			t.Errorf("%s(%s) = %s, want %s", c[0], c[1], got, c[2])
		}
	}
	r, err := i.Call(t.Context(), "run", json.RawMessage(`{"code":"print('hello'); log.info('there'); {}['x']"}`))
	if want := "hello\nINFO:shop:there\nKeyError: 'x'\ntools.py:14 in run\n"; err != nil || r.Log != want {
		t.Errorf("the log is %q, %v, want %q", r.Log, err, want)
	}
}

// TestPythonBreaches ends what would never end, and looks at the neighbours.
func TestPythonBreaches(t *testing.T) {
	p := newPyShop(t, Options{})
	for _, c := range []struct{ code, want string }{
		{"while True: pass", "fuel"},
		{"while True:\n  try:\n    while True: pass\n  except BaseException: pass", "fuel"},
		{"import re; re.match('(a+)+$', 'a' * 40 + 'b')", "fuel"},
		{"('a' * 100000 + 'b') in ('a' * 200000)", ""},
		{"10 ** 10 ** 8", "fuel"},
		{"[0] * (1 << 28)", "memory"},
		{"a = 'x'\nwhile True: a += a", "memory"},
		{"try:\n  a = []\n  while True: a.append(bytearray(1 << 20))\nexcept MemoryError: pass", "memory"},
		{"os._exit(0)", "ended its process"},
		{"os.abort()", "broke the engine"},
		{"sys.setrecursionlimit(1 << 30)\ndef f(n): return f(n + 1)\nf(0)", ""},
		{"sys.setrecursionlimit(1 << 30)\nclass A:\n  def __getattr__(self, n): return getattr(self, n + 'x')\nA().x", ""},
		{"f = lambda: 0\nfor _ in range(100000): f = f.__call__\nf()", ""},
		{"result = 'x' * 300000", "result size"},
		{"a = []\nfor _ in range(80): a = [a]\nresult = a", "nesting"},
		{"while True: print('x' * 1000)", "fuel"},
		{"while True: open('/data/rates.json').read()", "fuel"},
		{"result = (x for x in iter(int, 1))", ""},
		{"sum(iter(int, 1))", "fuel"},
		{"sorted(range(10 ** 9))", ""},
		{"time.sleep(1e9)", "null"},
		{"raise Exception('x' * 10 ** 6)", "Exception: xxx"},
		{"import gc; [o.clear() for o in gc.get_objects() if type(o) is dict and 'call' in o]", ""},
		{"sys.modules.clear(); import json", ""},
		{"json.dumps = None; import builtins; builtins.str = builtins.type = builtins.isinstance = None", ""},
	} {
		t.Run(c.code, func(t *testing.T) {
			i := start(t, p, 1)
			args, _ := json.Marshal(map[string]string{"code": c.code})
			r, err := i.Call(t.Context(), "run", args)
			if err != nil || !strings.Contains(show(r), c.want) {
				t.Errorf("Call = %.300s, %v, want %s", show(r), err, c.want)
			}
			i.Close()
			if got := call(t, start(t, p, 1), "create_order", `{"user":"u1"}`); got != `"o0"` {
				t.Errorf("the next world: %s", got)
			}
		})
	}
}

// TestPythonWorld looks at what a tool knows besides its arguments.
func TestPythonWorld(t *testing.T) {
	p := newPyShop(t, Options{})
	i := start(t, p, 42)
	for _, c := range []struct{ value, want string }{
		{"time.time()", "1772442000.0"},
		{"[time.monotonic() - time.monotonic(), time.perf_counter_ns() - time.perf_counter_ns()]", "[0.0,0]"},
		{"str(datetime.datetime.now())", `"2026-03-02 09:00:00"`},
		{"time.strftime('%Z %H:%M')", `"UTC 09:00"`},
		{"open('data/rates.json').read()", `"{\"EUR\": 1, \"USD\": 1.25}"`},
		{"json.load(open('/data/rates.json'))['USD']", "1.25"},
		{"__import__('pathlib').Path('data/rates.json').read_text()[:6]", `"{\"EUR\""`},
		{"__import__('astra').data('rates.json')[:6]", `"{\"EUR\""`},
		{"sorted(os.listdir('/data'))", `["rates.json"]`},
		{"[os.path.exists('/data/rates.json'), os.path.exists('/secret.txt'), os.path.exists('/data/../secret.txt'), os.path.exists('/tools.py')]", "[true,false,false,false]"},
		{"os.stat('/data/rates.json').st_size", "23"},
		{"[sorted(f) for _, _, f in os.walk('/data')]", `[["rates.json"]]`},
		{"__import__('astra').seed()", "42"},
		{"hash('a') == hash('a') and hash('abc')", "hash"},
		{"loaded[1]", "1772442000.0"},
		{"list(os.environ)", `["PYTHONHASHSEED","PYTHONDONTWRITEBYTECODE","PYTHONNOUSERSITE","PYTHONUTF8","HOME","TZ"]`},
		{"sys.argv", `["-c"]`},
	} {
		got := runs(t, i, "result = "+c.value)
		if c.want == "hash" {
			c.want = runs(t, start(t, p, 1), "result = "+c.value)
		}
		if got != c.want {
			t.Errorf("%s = %s, want %s", c.value, got, c.want)
		}
	}
	for _, write := range []string{"open('/data/new.txt', 'w')", "open('/data/rates.json', 'a')", "os.remove('/data/rates.json')", "os.mkdir('/data/x')", "open('/tmp/x', 'w')", "os.rename('/data/rates.json', '/data/y')"} {
		if got := runs(t, i, write); !strings.HasPrefix(got, "tool: ") {
			t.Errorf("%s = %s", write, got)
		}
	}
	for _, draw := range []string{"random.random()", "random.randint(0, 10 ** 9)", "uuid.uuid4().hex", "os.urandom(8).hex()"} {
		draw = "result = " + draw
		a, b, c := runs(t, start(t, p, 1), draw), runs(t, start(t, p, 1), draw), runs(t, start(t, p, 2), draw)
		if a != b || a == c {
			t.Errorf("%s: seed 1 draws %s and %s, seed 2 %s", draw, a, b, c)
		}
	}
}

// TestPythonOpenFile holds that a file that was opened is part of the world: a fork reads
// on from where it stood.
func TestPythonOpenFile(t *testing.T) {
	p := newPyShop(t, Options{})
	i := start(t, p, 1)
	runs(t, i, "import builtins; builtins.f = open('/data/rates.json', 'rb', buffering=0); f.read(7)")
	fork, err := i.Fork(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer fork.Close()
	for _, want := range []string{`" 1,"`, `" \"U"`} {
		for who, world := range map[string]gateway.Instance{"parent": i, "fork": fork} {
			if got := runs(t, world, "result = f.read(3)"); got != want {
				t.Errorf("the %s reads %s, want %s", who, got, want)
			}
		}
	}
	for range 3 { // more than may be open at once, each closed again
		if got := runs(t, i, "for _ in range(60): open('/data/rates.json').close()"); got != "null" {
			t.Error(got)
		}
	}
	if got := runs(t, i, "held = [open('/data/rates.json') for _ in range(100)]"); !strings.Contains(got, "OSError: [Errno 33]") {
		t.Errorf("100 open files: %s", got)
	}
}

// TestPythonClass serves the methods of a class, as stateful benchmarks have them.
func TestPythonClass(t *testing.T) {
	const code = `
import random
class Account:
    made = 0
    def __init__(self):
        self.balance, self._secret, self.luck = 0, 1, random.random()
    def _load_scenario(self, scenario, long_context=False):
        self.balance = scenario.get('balance', 0)
    def deposit(self, amount: float) -> float:
        self.balance += amount
        return self.balance
    @staticmethod
    def currency(): return 'EUR'
`
	a := pyArena(t, code, "deposit", "currency")
	a.Class, a.Setup = "Account", "_load_scenario"
	p := loadPy(t, Options{}, a)
	for _, scenario := range []string{`{"balance":100}`, `{"balance":100}`, `{"balance":100}`} { // the third is a kept world
		i, err := p.Start(t.Context(), gateway.World{Seed: 3, Now: testNow, Scenario: json.RawMessage(scenario)})
		if err != nil {
			t.Fatal(err)
		}
		defer i.Close()
		if got := call(t, i, "deposit", `{"amount":5}`) + call(t, i, "currency", `{}`); got != `105"EUR"` {
			t.Error(got)
		}
		r, err := i.State(t.Context())
		if want := `{"balance":105,"luck":0.23796462709189137}`; err != nil || show(r) != want {
			t.Errorf("state %s, %v, want %s", show(r), err, want)
		}
	}
}

func TestPythonLoadRefuses(t *testing.T) {
	rt := newTestPython(t, Options{})
	hidden := pyArena(t, "class Shop:\n  def _reset(self): pass", "_reset")
	hidden.Class = "Shop"
	if _, err := rt.Load(t.Context(), hidden); err == nil || !strings.Contains(err.Error(), "a tool is a public method") {
		t.Errorf("Load of a private method = %v", err)
	}
	for _, c := range []struct{ code, class, want string }{
		{"def get_user(:\n  pass", "", "tools.py:1: SyntaxError: invalid syntax"},
		{"x = 1\nraise ValueError('no')", "", "tools.py:2: ValueError: no"},
		{"import numpy", "", "tools.py:1: ModuleNotFoundError: No module named 'numpy'"},
		{"while True: pass", "", "tools.py: module code used more than its fuel (40000000 units): do less there"},
		{"a = []\nwhile True: a.append(bytearray(9 << 20))", "", "tools.py: module code used more than its memory (33554432 bytes)"},
		{"def getUser(): pass", "", "tools.py: no function get_user for the tool of that name in arena.yaml: did you mean getUser?"},
		{"get_user = 7", "", "get_user is a int"},
		{"", "", "write `def get_user(…):`"},
		{"", "Shop", "tools.py: there is no class Shop, which arena.yaml names"},
		{"class Shop: pass", "Shop", "class Shop has no method get_user"},
		{"x = '\xff'", "", "tools.py: not UTF-8: save it as UTF-8"},
		{"x = '\x00'", "", "source code string cannot contain null bytes"},
		{"import os; os._exit(1)", "", "the tool ended its process"},
	} {
		a := pyArena(t, c.code, "get_user")
		a.Class, a.Limits.Fuel = c.class, 40_000_000
		if _, err := rt.Load(t.Context(), a); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("Load(%q) = %v, want %s", c.code, err, c.want)
		}
	}
}

// TestPythonSchemas derives input schemas from signatures.
func TestPythonSchemas(t *testing.T) {
	const code = `
from typing import Literal, Optional, Annotated
import enum, datetime
class Colour(enum.Enum):
    red = 'red'
    blue = 'blue'

def find(name: str, limit: int = 10, *, kind: Literal['a', 'b'] = 'a', tags: list[str] | None = None, price: float | int = 0) -> list:
    """Finds things.

    Args:
        name: What to look for,
            as the user says it.
        limit (int): How many at most.
    """

def paint(colour: Colour, when: Optional[datetime.date] = None, size: Annotated[int, 'in cm'] = 3, **more):
    """Paints.

    :param colour: which one
    :param when: the day
    """

def loose(a, b=1.5, *args): pass
def strange(x: 'Nowhere' = None): pass
`
	a := pyArena(t, code, "find", "paint", "loose", "strange")
	for i := range a.Tools {
		a.Tools[i].Derived = true
	}
	got := loadPy(t, Options{}, a).Schemas()
	for tool, want := range map[string]string{
		"find": `{"type":"object","properties":{"name":{"type":"string","description":"What to look for, as the user says it."},"limit":{"type":"integer","description":"How many at most.","default":10},` +
			`"kind":{"enum":["a","b"],"default":"a"},"tags":{"anyOf":[{"type":"array","items":{"type":"string"}},{"type":"null"}]},"price":{"type":["number","integer"],"default":0}},"additionalProperties":false,"required":["name"]}`,
		"paint": `{"type":"object","properties":{"colour":{"enum":["red","blue"],"description":"which one"},"when":{"anyOf":[{"type":"string","format":"date"},{"type":"null"}],"description":"the day"},` +
			`"size":{"type":"integer","description":"in cm","default":3}},"additionalProperties":true,"required":["colour"]}`,
		"loose":   `{"type":"object","properties":{"a":{},"b":{"type":"number","default":1.5}},"additionalProperties":false,"required":["a"]}`,
		"strange": `{"type":"object","properties":{"x":{}},"additionalProperties":false}`,
	} {
		if string(got[tool]) != want {
			t.Errorf("%s:\n%s, want\n%s", tool, got[tool], want)
		}
	}
}

func TestPythonEngineIsChecked(t *testing.T) {
	file := filepath.Join(t.TempDir(), "python.wasm")
	a := pyArena(t, "")
	if _, err := NewPython(&Options{Python: file}).Load(t.Context(), a); !errors.Is(err, ErrNoPython) {
		t.Errorf("Load without an engine = %v", err)
	}
	if err := os.WriteFile(file, []byte(wasmHeader), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := NewPython(&Options{Python: file}).Load(t.Context(), a); err == nil || !strings.Contains(err.Error(), "not the pinned") {
		t.Errorf("Load with another engine = %v", err)
	}
}
