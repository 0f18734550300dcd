package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
	"github.com/astra-arenas/astra/sandbox"
	"github.com/astra-arenas/astra/store"
	"github.com/astra-arenas/astra/verifiers"
)

// A lab is the real parts that are measured, over a store in a temporary folder.
type lab struct {
	quick   bool
	open    int // episodes held open at once; 0: 20,000
	dir     string
	runtime *sandbox.JavaScript
	judge   *verifiers.Judge
	arena   *astra.Arena // the program below
	program gateway.Program
}

// The measured arena: 500 users in its image, a read, a write, and state.
const code = `
const users = {};
for (let i = 0; i < 500; i++) users["u" + i] = { id: "u" + i, name: "User " + i, city: ["Paris", "Rome", "Oslo"][i % 3], balance: i * 10 };
let orders = [];
export function get_user({ id }) { const u = users[id]; if (!u) throw new RangeError("there is no user " + id); return u; }
export function create_order({ user, total }) { const o = { id: "o" + orders.length, user, total }; orders.push(o); return o; }
export function state() { return { orders }; }
`

// ballast makes the image some 6 MiB larger.
const ballast = `const ballast = Array.from({ length: 6 }, (_, i) => new Uint8Array(1 << 20).fill(i + 1));
`

const manifest = `name: bench
version: 1.0.0
title: Bench
description: What the budgets are measured with.
domain: bench
license: Apache-2.0
runtime: javascript
entry: tools.js
tools:
  - name: get_user
    title: Get a user
    description: Reads a user.
    input: {type: object, properties: {id: {type: string}}, required: [id], additionalProperties: false}
    output: {type: object, properties: {id: {type: string}, name: {type: string}, city: {type: string}, balance: {type: number}}, required: [id, name, city, balance]}
  - name: create_order
    title: Create an order
    description: Writes an order.
    input: {type: object, properties: {user: {type: string}, total: {type: number}}, required: [user, total], additionalProperties: false}
    output: {type: object, properties: {id: {type: string}, user: {type: string}, total: {type: number}}, required: [id]}
`

// tasks has one task of five sub-tasks, the last of which reads the end state.
func tasks() string {
	var subs, gold []string
	for i := range 4 {
		subs = append(subs, fmt.Sprintf(`{"id":"s%d","tool":"get_user","answer":"User %d","at":"/name"}`, i, i+100))
		gold = append(gold, fmt.Sprintf(`{"tool":"get_user","args":{"id":"u%d"}}`, i+100))
	}
	subs = append(subs, `{"id":"s4","tool":"create_order","solved":"step.value.total == 5 && step.value.user == 'u1'"}`)
	gold = append(gold, `{"tool":"create_order","args":{"user":"u1","total":5}}`)
	return fmt.Sprintf(`{"id":"five","turns":[{"prompt":"Look up four users and order."}],"subtasks":[%s],"gold":[[%s]],"verify":{"one":"size(state.orders) == 1"},"budget":{"calls":10000}}`+"\n",
		strings.Join(subs, ","), strings.Join(gold, ","))
}

func newLab(ctx context.Context, quick bool, open int) (*lab, error) {
	dir, err := os.MkdirTemp("", "astra-bench-")
	if err != nil {
		return nil, err
	}
	l := &lab{quick: quick, open: open, dir: dir}
	if l.runtime, err = sandbox.NewJavaScript(ctx, nil); err != nil {
		return l, err
	}
	if l.judge, err = verifiers.New(); err != nil {
		return l, err
	}
	l.arena, l.program, err = l.load(ctx, code)
	return l, err
}

func (l *lab) load(ctx context.Context, code string) (*astra.Arena, gateway.Program, error) {
	b, err := bundle(code)
	if err != nil {
		return nil, nil, err
	}
	a, err := b.Load()
	if err != nil {
		return nil, nil, err
	}
	p, err := l.runtime.Load(ctx, a)
	return a, p, err
}

func bundle(code string) (*astra.Bundle, error) {
	return astra.NewBundle([]astra.File{
		{Path: "arena.yaml", Data: []byte(manifest)},
		{Path: "tools.js", Data: []byte(code)},
		{Path: "tasks.jsonl", Data: []byte(tasks())},
	})
}

func (l *lab) close() error {
	return errors.Join(l.program.Close(), l.runtime.Close(), os.RemoveAll(l.dir))
}

// n is how often something is done.
func (l *lab) n(full int) int {
	if l.quick {
		return max(full/20, 1)
	}
	return full
}

func (l *lab) start(ctx context.Context) (gateway.Instance, error) {
	return l.program.Start(ctx, gateway.World{Seed: 1, Now: astra.DefaultNow})
}

// A house is a gateway over a store of its own.
type house struct {
	*gateway.Gateway
	store *store.Store
}

func (l *lab) house(ctx context.Context, name string, opts *gateway.Options) (*house, error) {
	return l.houseOn(ctx, name, nil, opts)
}

func (l *lab) houseOn(ctx context.Context, name string, kept *store.Options, opts *gateway.Options) (*house, error) {
	st, err := store.Open(filepath.Join(l.dir, name), kept)
	if err != nil {
		return nil, err
	}
	g, err := gateway.New(ctx, st, l.judge, []gateway.Runtime{l.runtime}, opts)
	if err != nil {
		return nil, err
	}
	b, err := bundle(code)
	if err == nil {
		_, err = g.AddArena(ctx, b)
	}
	return &house{g, st}, err
}

func (h *house) close() error { return errors.Join(h.Gateway.Close(), h.store.Close()) }

func heap() float64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

// since is a rate per second.
func since(t time.Time, n int) float64 { return float64(n) / time.Since(t).Seconds() }
