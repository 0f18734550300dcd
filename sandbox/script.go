package sandbox

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
)

// A script is an arena's JavaScript module in its image: where its functions are. It
// implements guest.
type script struct {
	rt      *JavaScript
	entry   string // file name in messages
	tools   map[string]jsValue
	setupFn jsValue // 0: none
	stateFn jsValue // 0: none
}

func (s *script) has(tool string) bool {
	_, ok := s.tools[tool]
	return ok
}
func (s *script) hasSetup() bool { return s.setupFn != 0 }
func (s *script) hasState() bool { return s.stateFn != 0 }

func (s *script) begin(mem []byte, w gateway.World) {
	s.rt.layout.seed(mem, w.Seed, milliseconds(w.Now))
}

// setup runs setup(scenario, host). What it returns and logs is dropped.
func (s *script) setup(x *executor, scenario []byte) error {
	if err := x.command(&s.rt.layout, s.setupFn, scenario); err != nil {
		return s.authorError(err)
	}
	return nil
}

func (s *script) call(x *executor, tool string, args []byte) ([]byte, error) {
	return x.invoke(&s.rt.layout, s.tools[tool], args)
}

func (s *script) state(x *executor) ([]byte, error) {
	return x.invoke(&s.rt.layout, s.stateFn, []byte("{}"))
}

// evaluate runs the module and finds the arena's functions among its exports.
func (s *script) evaluate(x *executor, source string, tools []astra.Tool) error {
	l := &s.rt.layout
	namespace := x.eval(l, s.entry, source, evalModule)
	if !isException(namespace) {
		var err error
		if namespace, err = x.settle(l, namespace); err != nil {
			return fmt.Errorf("%s: the module's top-level await waits for what never comes: there are no timers and no input here", s.entry)
		}
	}
	if isException(namespace) {
		return s.authorError(x.thrown(l))
	}
	if err := s.find(x, namespace, tools); err != nil {
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
func (s *script) authorError(err error) error {
	t, ok := errors.AsType[*thrown](err)
	if !ok {
		return err
	}
	for line := range strings.Lines(t.stack) {
		at := place.FindStringSubmatch(strings.TrimSpace(line))
		if at != nil && strings.HasPrefix(at[1], s.entry+":") {
			return fmt.Errorf("%s: %s", at[1], t.message)
		}
	}
	return fmt.Errorf("%s: %s", s.entry, t.message)
}

// find looks up the arena's tools, setup and state among what the module exports.
func (s *script) find(x *executor, namespace jsValue, tools []astra.Tool) error {
	l := &s.rt.layout
	x.putU64(l.cell+cellArgs, namespace)
	list := x.do(jsCall, l.ctx, l.functions, jsUndefined, 1, l.cell)
	if isException(list) {
		return s.authorError(x.thrown(l))
	}
	names, _, _ := x.text(l, list, 1<<20)
	x.do(jsFreeValue, l.ctx, list)
	exported := strings.Split(string(names), ",")
	for _, t := range tools {
		if !slices.Contains(exported, t.Name) {
			return s.missing(t.Name, exported)
		}
		if t.Name == "setup" || t.Name == "state" {
			return errOwnName(t.Name)
		}
		s.tools[t.Name] = x.property(l, namespace, t.Name)
	}
	if slices.Contains(exported, "setup") {
		s.setupFn = x.property(l, namespace, "setup")
	}
	if slices.Contains(exported, "state") {
		s.stateFn = x.property(l, namespace, "state")
	}
	return nil
}

// missing says that a tool has no function, and what may have been meant.
func (s *script) missing(name string, exported []string) error {
	near := slices.DeleteFunc(slices.Clone(exported), func(e string) bool { return e == "" || !alike(e, name) })
	hint := fmt.Sprintf("write `export function %s(args, host) { … }`", name)
	if len(near) > 0 {
		hint = "did you mean " + strings.Join(near, " or ") + "?"
	}
	return fmt.Errorf("%s: no exported function %s for the tool of that name in arena.yaml: %s", s.entry, name, hint)
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
