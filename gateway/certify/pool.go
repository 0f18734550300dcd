package certify

import (
	"encoding/json"
)

// A pool holds the values that gold calls take and return, all over the arena, in the order
// of tasks and calls: the entities that there are to be confused.
type pool struct {
	byTool  map[string]*bag // "tool/param" -> values that gold gives it
	byParam map[string]*bag // param, of any tool
	byKey   map[string]*bag // key in a result
}

// maxBag bounds what is kept of one kind of value.
const maxBag = 400

// A bag is different values in the order they came.
type bag struct {
	values []any
	seen   map[string]bool
}

func (b *bag) add(v any) {
	if b.seen == nil {
		b.seen = map[string]bool{}
	}
	text := string(encode(v))
	if len(b.values) == maxBag || len(text) > 256 || b.seen[text] {
		return
	}
	b.seen[text] = true
	b.values = append(b.values, v)
}

func (b *bag) all() []any {
	if b == nil {
		return nil
	}
	return b.values
}

func newPool(trials []*trial) *pool {
	p := &pool{byTool: map[string]*bag{}, byParam: map[string]*bag{}, byKey: map[string]*bag{}}
	for _, t := range trials {
		for _, s := range t.goldSteps() {
			p.args(s.Tool, s.Args)
			leaves(decode(s.Result.Value), "", func(key string, leaf any) { bagOf(p.byKey, key).add(leaf) })
		}
	}
	return p
}

func (p *pool) args(tool string, raw json.RawMessage) {
	args, _ := decode(raw).(map[string]any)
	for name, v := range args { // each goes to bags of its own: the order of the map does not show
		bagOf(p.byTool, tool+"/"+name).add(v)
		bagOf(p.byParam, name).add(v)
	}
}

func bagOf(bags map[string]*bag, name string) *bag {
	if bags[name] == nil {
		bags[name] = new(bag)
	}
	return bags[name]
}

// others are values that could stand where v stands, at most n, spread over all that there
// are: those given to the same parameter first, then to parameters of that name, then what
// the schema lists, then what results have under that name.
func (p *pool) others(f *toolFacts, name string, v any, n int) []any {
	var all bag
	sources := [][]any{p.byTool[f.Name+"/"+name].all(), p.byParam[name].all(), nil, p.byKey[name].all()}
	if known := f.param(name); known != nil {
		sources[2] = append(append([]any{}, known.Enum...), known.Examples...)
	}
	for _, list := range sources {
		for _, other := range list {
			if kindOf(other) == kindOf(v) && string(encode(other)) != string(encode(v)) {
				all.add(other)
			}
		}
	}
	return spread(all.values, n)
}

// spread takes n of a list, evenly.
func spread[T any](list []T, n int) []T {
	if len(list) <= n {
		return list
	}
	some := make([]T, n)
	for i := range some {
		some[i] = list[i*len(list)/n]
	}
	return some
}
