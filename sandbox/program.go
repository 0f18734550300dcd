package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
)

// A program is a loaded arena: the image that its module code left, and where its
// functions are in it. It implements gateway.Program.
type program struct {
	rt     *Runtime
	limits astra.Limits
	entry  string // file name in messages
	bundle *astra.Bundle
	files  func(path string) ([]byte, bool) // data, bound once: a call should not allocate it
	image  *image
	tools  map[string]jsValue
	setup  jsValue // 0: none
	state  jsValue // 0: none
	worlds worlds  // if there is a setup
	closed atomic.Bool
}

// Load runs an arena's module code, once, and keeps the memory that it leaves. Tools are
// the exported functions of the arena's entry, an ES module; it imports nothing.
func (rt *Runtime) Load(ctx context.Context, a *astra.Arena) (gateway.Program, error) {
	p := &program{rt: rt, limits: a.Limits, entry: a.Entry, bundle: a.Bundle, tools: map[string]jsValue{}, worlds: worlds{from: rt.memories}}
	p.files = p.data
	if err := p.load(ctx, a); err != nil {
		return nil, err
	}
	return p, nil
}

func (p *program) load(ctx context.Context, a *astra.Arena) error {
	if a.Runtime != astra.JavaScript {
		return fmt.Errorf("arena %s is for the runtime %s, not javascript", a.Name, a.Runtime)
	}
	if err := checkLimits(p.limits); err != nil {
		return err
	}
	if p.bundle == nil {
		return fmt.Errorf("arena %s has no files", a.Name)
	}
	source, ok := p.bundle.File(p.entry)
	if !ok {
		return fmt.Errorf("%s: no such file in the arena: entry in arena.yaml names the tools' code", p.entry)
	}
	rt := p.rt
	m, err := rt.memories.begin(rt.base)
	if err != nil {
		return err
	}
	defer rt.memories.release(m)
	if int64(len(m.buf)) > p.limits.Memory {
		return fmt.Errorf("limits.memory is %d bytes, and the JavaScript engine alone takes %d", p.limits.Memory, len(m.buf))
	}
	x, err := rt.acquire(ctx)
	if err != nil {
		return err
	}
	defer rt.release(x)
	x.begin(ctx, m, p.limits, p.files)
	err = p.evaluate(x, string(source), a.Tools)
	if stop := x.end(); stop != nil {
		err = p.stopped("module code", stop)
	}
	if err != nil {
		return err
	}
	p.image, err = rt.memories.freeze(m)
	return err
}

// stopped words why the author's code was stopped where no agent is concerned.
func (p *program) stopped(what string, stop error) error {
	if b, ok := errors.AsType[*breach](stop); ok {
		return fmt.Errorf("%s: %s used more than its %s (%d %s): do less there, or raise limits in arena.yaml", p.entry, what, b.what, b.limit, b.unit)
	}
	return fmt.Errorf("%s: %s: %w", p.entry, what, stop)
}

// data reads a file under data/.
func (p *program) data(name string) ([]byte, bool) {
	if name == "" || path.Clean("/"+name) != "/"+name {
		return nil, false
	}
	return p.bundle.File("data/" + name)
}

// evaluate runs the module and finds the arena's functions among its exports.
func (p *program) evaluate(x *executor, source string, tools []astra.Tool) error {
	l := &p.rt.layout
	namespace := x.eval(l, p.entry, source, evalModule)
	if !isException(namespace) {
		var err error
		if namespace, err = x.settle(l, namespace); err != nil {
			return fmt.Errorf("%s: the module's top-level await waits for what never comes: there are no timers and no input here", p.entry)
		}
	}
	if isException(namespace) {
		return p.authorError(x.thrown(l))
	}
	if err := p.find(x, namespace, tools); err != nil {
		return err
	}
	x.do(jsFreeValue, l.ctx, namespace)
	x.do(runGC)
	x.do(setGCThreshold, gcThreshold)
	return nil
}

// place is where a stack line points to: file:line:column.
var place = regexp.MustCompile(`([^\s()]+:\d+:\d+)\)?$`)

// authorError says where in the author's code an exception came from.
func (p *program) authorError(err error) error {
	t, ok := errors.AsType[*thrown](err)
	if !ok {
		return err
	}
	for line := range strings.Lines(t.stack) {
		at := place.FindStringSubmatch(strings.TrimSpace(line))
		if at != nil && strings.HasPrefix(at[1], p.entry+":") {
			return fmt.Errorf("%s: %s", at[1], t.message)
		}
	}
	return fmt.Errorf("%s: %s", p.entry, t.message)
}

// find looks up the arena's tools, setup and state among what the module exports.
func (p *program) find(x *executor, namespace jsValue, tools []astra.Tool) error {
	l := &p.rt.layout
	x.putU64(l.cell+cellArgs, namespace)
	list := x.do(jsCall, l.ctx, l.functions, jsUndefined, 1, l.cell)
	if isException(list) {
		return p.authorError(x.thrown(l))
	}
	names, _, _ := x.text(l, list, 1<<20)
	x.do(jsFreeValue, l.ctx, list)
	exported := strings.Split(string(names), ",")
	for _, t := range tools {
		if !slices.Contains(exported, t.Name) {
			return p.missing(t.Name, exported)
		}
		if t.Name == "setup" || t.Name == "state" {
			return fmt.Errorf("arena.yaml: a tool cannot be called %s: that name is for what astra calls itself", t.Name)
		}
		p.tools[t.Name] = x.property(l, namespace, t.Name)
	}
	if slices.Contains(exported, "setup") {
		p.setup = x.property(l, namespace, "setup")
	}
	if slices.Contains(exported, "state") {
		p.state = x.property(l, namespace, "state")
	}
	return nil
}

// missing says that a tool has no function, and what may have been meant.
func (p *program) missing(name string, exported []string) error {
	near := slices.DeleteFunc(slices.Clone(exported), func(e string) bool { return e == "" || !alike(e, name) })
	hint := fmt.Sprintf("write `export function %s(args, host) { … }`", name)
	if len(near) > 0 {
		hint = "did you mean " + strings.Join(near, " or ") + "?"
	}
	return fmt.Errorf("%s: no exported function %s for the tool of that name in arena.yaml: %s", p.entry, name, hint)
}

// alike reports whether two names are the same but for case and underscores, or for two
// edits.
func alike(a, b string) bool {
	fold := func(s string) string { return strings.ToLower(strings.ReplaceAll(s, "_", "")) }
	a, b = fold(a), fold(b)
	return a == b || edits(a, b) <= 2
}

// edits is the Levenshtein distance.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}

// HasState reports whether the module exports state().
func (p *program) HasState() bool { return p.state != 0 }

// Start makes a world: the image, with seed and clock, after setup(scenario, host) if
// the module exports it. Without a scenario setup gets an empty object. What setup
// returns and logs is dropped.
func (p *program) Start(ctx context.Context, w gateway.World) (gateway.Instance, error) {
	if p.closed.Load() {
		return nil, errClosed
	}
	var m *memory
	var err error
	if p.setup == 0 {
		m, err = p.beforeSetup(w)
	} else {
		m, err = p.afterSetup(ctx, w)
	}
	if err != nil {
		return nil, err
	}
	return &instance{prog: p, mem: m}, nil
}

func (p *program) beforeSetup(w gateway.World) (*memory, error) {
	m, err := p.rt.memories.begin(p.image)
	if err == nil {
		p.rt.layout.seed(m.buf, w.Seed, milliseconds(w.Now))
	}
	return m, err
}

func milliseconds(t time.Time) float64 { return float64(t.UnixMicro()) / 1e3 }

func (p *program) runSetup(ctx context.Context, m *memory, scenario json.RawMessage) error {
	if len(bytes.TrimSpace(scenario)) == 0 {
		scenario = json.RawMessage("{}")
	}
	x, err := p.rt.acquire(ctx)
	if err != nil {
		return err
	}
	defer p.rt.release(x)
	x.begin(ctx, m, p.limits, p.files)
	err = x.command(&p.rt.layout, p.setup, scenario)
	if stop := x.end(); stop != nil {
		return p.stopped("setup", stop)
	}
	if err != nil {
		return fmt.Errorf("setup: %w", p.authorError(err))
	}
	return nil
}

// Close gives the image up. Worlds that are still live keep it until they are closed.
func (p *program) Close() error {
	if !p.closed.Swap(true) {
		p.worlds.close()
		p.rt.memories.drop(p.image)
	}
	return nil
}

var _ gateway.Runtime = (*Runtime)(nil)
