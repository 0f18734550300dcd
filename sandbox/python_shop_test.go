package sandbox

import (
	"encoding/json"
	"testing"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
)

const pyShop = `
import math
users = {f'u{i}': {'id': f'u{i}', 'name': f'User {i}', 'city': ['Paris', 'Rome', 'Oslo'][i % 3]} for i in range(50)}
orders = []

def get_user(id):
    if id not in users:
        raise KeyError('no such user ' + id)
    return users[id]

def create_order(user, total=None):
    order = {'id': f'o{len(orders)}', 'user': user, 'total': total}
    orders.append(order)
    return order

def run(code):
    space = {}
    exec(code, space)
    return space.get('result')

def nothing():
    pass

def spin(n):
    x = 0
    for i in range(n):
        x += i
    return x

def state():
    return {'orders': orders}
`

func pyArena(tb testing.TB, code string, tools ...string) *astra.Arena {
	tb.Helper()
	b, err := astra.NewBundle([]astra.File{
		{Path: "arena.yaml", Data: []byte("name: shop\n")},
		{Path: "data/rates.json", Data: []byte(`{"EUR": 1, "USD": 1.25}`)},
		{Path: "secret.txt", Data: []byte("canary")},
		{Path: "tools.py", Data: []byte(code)},
	})
	if err != nil {
		tb.Fatal(err)
	}
	a := &astra.Arena{Name: "shop", Runtime: astra.Python, Entry: "tools.py", Limits: testLimits, Bundle: b, Now: testNow}
	for _, name := range tools {
		a.Tools = append(a.Tools, astra.Tool{Name: name})
	}
	return a
}

func loadPy(tb testing.TB, o Options, a *astra.Arena) *program {
	tb.Helper()
	p, err := newTestPython(tb, o).Load(tb.Context(), a)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { p.Close() })
	return p.(*program)
}

func BenchmarkPython(b *testing.B) {
	p := loadPy(b, Options{}, pyArena(b, pyShop, "get_user", "create_order", "nothing", "spin"))
	b.Logf("image %d KiB", len(p.image.bytes)>>10)
	b.Run("start", func(b *testing.B) {
		for b.Loop() {
			i, err := p.Start(b.Context(), gateway.World{Seed: 1, Now: testNow})
			if err != nil {
				b.Fatal(err)
			}
			i.Close()
		}
	})
	b.Run("start, first call, close", func(b *testing.B) {
		for b.Loop() {
			i, err := p.Start(b.Context(), gateway.World{Seed: 1, Now: testNow})
			if err != nil {
				b.Fatal(err)
			}
			mustCall(b, i, "get_user", json.RawMessage(`{"id":"u4"}`))
			i.Close()
		}
	})
	b.Run("fork", func(b *testing.B) {
		i := start(b, p, 1)
		for range 5 {
			mustCall(b, i, "create_order", json.RawMessage(`{"user":"u4","total":3}`))
		}
		for b.Loop() {
			f, err := i.Fork(b.Context())
			if err != nil {
				b.Fatal(err)
			}
			b.StopTimer()
			f.Close()
			b.StartTimer()
		}
	})
	b.Run("read", func(b *testing.B) {
		i := start(b, p, 1)
		for b.Loop() {
			mustCall(b, i, "get_user", json.RawMessage(`{"id":"u4"}`))
		}
	})
	b.Run("nothing", func(b *testing.B) {
		i := start(b, p, 1)
		for b.Loop() {
			mustCall(b, i, "nothing", nil)
		}
	})
	b.Run("loop100k", func(b *testing.B) {
		p.limits.Fuel = 1 << 40
		i := start(b, p, 1)
		for b.Loop() {
			mustCall(b, i, "spin", json.RawMessage(`{"n":100000}`))
		}
	})
}
