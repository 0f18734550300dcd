// Package runtimetest is the contract of gateway.Runtime as a test, like testing/fstest:
// every runtime passes the same Run.
package runtimetest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
)

// Manifest is the arena.yaml of the arena that a runtime is tested with; the caller adds
// the lines `runtime:` and `entry:` and the implementation of its tools:
//
//	setup(scenario)  total = scenario.total, or 0
//	add {n}          adds n to the total and returns it
//	total {}         returns the total
//	roll {}          returns a random number in [0,1)
//	clock {}         returns the time as milliseconds since 1970
//	seed {}          returns the seed
//	note {text}      logs text and returns null
//	echo {value}     returns value
//	fail {message}   adds 1 to the total, then fails with message
//	burn {}          loops for ever
//	hog {}           allocates for ever
//	big {bytes}      returns a string of so many bytes
//	state()          {"total": total}
const Manifest = `name: contract
version: 1.0.0
title: Contract
description: What every runtime must do alike.
domain: test
license: Apache-2.0
now: 2026-03-02T09:00:00Z
limits: {memory: 16MiB, fuel: 20000000, wall: 60s, result: 64KiB, log: 1KiB, depth: 32}
tools:
  - {name: add, title: Add, description: Adds to the total., input: {type: object, properties: {n: {type: number}}, required: [n]}}
  - {name: total, title: Total, description: Reads the total., input: {type: object}}
  - {name: roll, title: Roll, description: Draws a number., input: {type: object}}
  - {name: clock, title: Clock, description: Tells the time., input: {type: object}}
  - {name: seed, title: Seed, description: Tells the seed., input: {type: object}}
  - {name: note, title: Note, description: Logs a text., input: {type: object, properties: {text: {type: string}}, required: [text]}}
  - {name: echo, title: Echo, description: Gives back a value., input: {type: object, properties: {value: {}}, required: [value]}}
  - {name: fail, title: Fail, description: Fails., input: {type: object, properties: {message: {type: string}}, required: [message]}}
  - {name: burn, title: Burn, description: Never ends., input: {type: object}}
  - {name: hog, title: Hog, description: Takes memory., input: {type: object}}
  - {name: big, title: Big, description: Returns much., input: {type: object, properties: {bytes: {type: integer}}, required: [bytes]}}
`

// Arena makes the contract's arena from an implementation; a runtime that runs no file of
// the bundle has the entry "".
func Arena(t testing.TB, kind astra.RuntimeKind, entry string, code []byte) *astra.Arena {
	t.Helper()
	manifest := fmt.Sprintf("%sruntime: %s\n", Manifest, kind)
	var files []astra.File
	if entry != "" {
		manifest += "entry: " + entry + "\n"
		files = append(files, astra.File{Path: entry, Data: code})
	}
	if kind == astra.Upstream {
		manifest += "upstreams: [{alias: contract}]\n"
	}
	b, err := astra.NewBundle(append(files, astra.File{Path: "arena.yaml", Data: []byte(manifest)}))
	if err != nil {
		t.Fatal(err)
	}
	a, err := b.Load()
	if err != nil {
		t.Fatal(err)
	}
	return a
}

type contract struct {
	*testing.T
	program gateway.Program
	pure    bool
	strange bool // the tools are a stranger's: they are not told of the world, and what they did is not undone
}

var now = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// Run checks that rt keeps its promises, with an arena that implements Manifest.
func Run(t *testing.T, rt gateway.Runtime, arena *astra.Arena) {
	if rt.Kind() != arena.Runtime || rt.Digest() == "" {
		t.Errorf("runtime says kind %q, digest %q", rt.Kind(), rt.Digest())
	}
	p, err := rt.Load(t.Context(), arena)
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	defer func() {
		if err := p.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}()
	tests := map[string]func(*contract){
		"values": values, "failures": failures, "limits": limits, "isolation": isolation,
		"determinism": determinism, "forks": forks, "branches": branches, "state": state, "logs": logs, "close": closing,
	}
	for name, f := range tests {
		t.Run(name, func(t *testing.T) { f(&contract{t, p, rt.Pure(), rt.Kind() == astra.Upstream}) })
	}
}

func (c *contract) start(seed int64, scenario string) gateway.Instance {
	c.Helper()
	w := gateway.World{Seed: seed, Now: now}
	if scenario != "" {
		w.Scenario = json.RawMessage(scenario)
	}
	inst, err := c.program.Start(c.Context(), w)
	if err != nil {
		c.Fatalf("Start: %v", err)
	}
	c.Cleanup(func() { inst.Close() })
	return inst
}

func (c *contract) call(inst gateway.Instance, tool, args string) astra.Result {
	c.Helper()
	res, err := inst.Call(c.Context(), tool, json.RawMessage(args))
	if err != nil {
		c.Fatalf("%s %s: %v", tool, args, err)
	}
	if res.OK() == (res.Fault != "") || res.OK() != (res.Value != nil) {
		c.Errorf("%s %s: result is neither a value nor a failure: %+v", tool, args, res)
	}
	return res
}

func (c *contract) want(inst gateway.Instance, tool, args, value string) {
	c.Helper()
	if res := c.call(inst, tool, args); string(res.Value) != value {
		c.Errorf("%s %s = %s %q, want %s", tool, args, res.Value, res.Error, value)
	}
}

func values(c *contract) {
	inst := c.start(1, "")
	for _, v := range []string{`null`, `true`, `0`, `-1.5`, `"é€😀\n"`, `[]`, `{}`, `[1,[2,{"a":null}]]`, `{"b":1,"a":2}`} {
		c.want(inst, "echo", `{"value":`+v+`}`, v)
	}
	if c.strange {
		return
	}
	c.want(inst, "clock", `{}`, fmt.Sprint(now.UnixMilli()))
	c.want(inst, "seed", `{}`, "1")
}

func failures(c *contract) {
	inst := c.start(1, "")
	res := c.call(inst, "fail", `{"message":"no such thing"}`)
	if res.Fault != astra.FaultTool || res.Breach || !strings.Contains(res.Error, "no such thing") {
		c.Errorf("fail: %+v", res)
	}
	c.want(inst, "total", `{}`, "1") // an exception keeps what was changed before it
}

// limits: each breach is a failed step, and a world started anew is sound.
func limits(c *contract) {
	for _, call := range [][2]string{{"burn", `{}`}, {"hog", `{}`}, {"big", `{"bytes":70000}`}} {
		if !c.pure && call[0] != "big" {
			continue // what runs elsewhere is not ours to stop
		}
		inst := c.start(1, "")
		res := c.call(inst, call[0], call[1])
		if res.OK() || res.Fault != astra.FaultTool || res.Breach == c.strange {
			c.Errorf("%s: want a breach, got %+.200v", call[0], res)
		}
		inst.Close()
		c.want(c.start(1, ""), "add", `{"n":2}`, "2")
	}
}

func isolation(c *contract) {
	a, b := c.start(1, ""), c.start(1, `{"total":40}`)
	c.want(a, "add", `{"n":1}`, "1")
	if c.strange { // it never heard of the scenario
		c.want(b, "add", `{"n":2}`, "2")
	} else {
		c.want(b, "add", `{"n":2}`, "42")
	}
	c.want(a, "total", `{}`, "1")
}

func determinism(c *contract) {
	if !c.pure {
		return
	}
	draw := func(seed int64) string {
		inst := c.start(seed, "")
		var all []string
		for range 5 {
			all = append(all, string(c.call(inst, "roll", `{}`).Value))
		}
		return strings.Join(all, " ")
	}
	if a, b := draw(7), draw(7); a != b {
		c.Errorf("equal seeds draw %s and %s", a, b)
	}
	if a, b := draw(7), draw(8); a == b {
		c.Errorf("seeds 7 and 8 both draw %s", a)
	}
}

func forks(c *contract) {
	inst := c.start(3, "")
	c.call(inst, "add", `{"n":5}`)
	c.call(inst, "roll", `{}`)
	fork, err := inst.Fork(c.Context())
	if err != nil {
		c.Fatalf("Fork: %v", err)
	}
	defer fork.Close()
	if a, b := c.call(inst, "roll", `{}`), c.call(fork, "roll", `{}`); c.pure && !bytes.Equal(a.Value, b.Value) {
		c.Errorf("after a fork the parent draws %s, the fork %s", a.Value, b.Value)
	}
	c.want(fork, "add", `{"n":1}`, "6")
	c.want(inst, "total", `{}`, "5")
	inst.Close()
	c.want(fork, "total", `{}`, "6")
}

func state(c *contract) {
	if !c.program.HasState() {
		return
	}
	inst := c.start(1, "")
	c.call(inst, "add", `{"n":3}`)
	last := ""
	for range 2 {
		res, err := inst.State(c.Context())
		is := string(res.Value) // an impure runtime's has a form of its own
		if err != nil || is == "" || c.pure && is != `{"total":3}` || last != "" && is != last {
			c.Errorf("state = %s %q %v", res.Value, res.Error, err)
		}
		last = is
	}
}

func logs(c *contract) {
	if !c.pure {
		return // the log is the runtime's own
	}
	inst := c.start(1, "")
	if res := c.call(inst, "note", `{"text":"hello"}`); !strings.Contains(res.Log, "hello") {
		c.Errorf("log = %q", res.Log)
	}
	if res := c.call(inst, "total", `{}`); res.Log != "" {
		c.Errorf("the next call inherits the log %q", res.Log)
	}
	long := strings.Repeat("x", 4000)
	if res := c.call(inst, "note", `{"text":"`+long+`"}`); len(res.Log) > 1<<10 {
		c.Errorf("the log has %d bytes", len(res.Log))
	}
}

func closing(c *contract) {
	inst := c.start(1, "")
	if err := inst.Close(); err != nil {
		c.Errorf("Close: %v", err)
	}
	if err := inst.Close(); err != nil {
		c.Errorf("Close twice: %v", err)
	}
	if _, err := inst.Call(c.Context(), "total", json.RawMessage(`{}`)); err == nil {
		c.Error("a closed world answers")
	}
}
