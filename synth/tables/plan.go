package tables

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/astra-arenas/astra/synth"
)

// A plan is a DAG of calls, in an order in which they can be made.
type plan struct {
	nodes []*node
}

// A node is one call: a sub-question.
type node struct {
	tool    *tool
	args    []argument // in the order of the tool's parameters, as far as given
	at      string     // where in the result the answer is: a JSON Pointer
	answer  any
	solved  string // of a write: CEL in the place of an answer
	asks    string // a noun phrase for what it finds
	parents []int
}

// An argument is known to the user, or what an earlier node found.
type argument struct {
	name  string
	value any
	shape any // what of value comes from other nodes: see splice; nil if nothing
}

// A from stands in an argument for what node found.
type from struct {
	node int
	path string // JSON Pointer into its result
}

// An operand is a value on its way into a call: where it comes from, and how people say it.
type operand struct {
	value any
	from  *from // nil: the user knows it
	np    string
	deep  int    // how many calls its phrase tells of
	of    string // what it measures, of a number
}

// shape is what an argument keeps of an operand: its value, or where it comes from.
func (o operand) shape() any {
	if o.from != nil {
		return *o.from
	}
	return o.value
}

// add makes a call a node of the plan and returns where it is. A call that is in the plan
// already is not made twice. It is false if the call fails, or finds nothing at at.
func (p *plan) add(t *tool, args []argument, at, asks string) (int, any, bool) {
	object := object{}
	for _, a := range args {
		object[a.name] = a.value
	}
	result, err := t.eval(object)
	if err != nil {
		return 0, nil, false
	}
	answer, ok := pointTo(result, at)
	if !ok {
		return 0, nil, false
	}
	n := &node{tool: t, args: args, at: at, answer: answer, asks: asks, parents: parentsOf(args)}
	for i, old := range p.nodes {
		if old.tool == t && old.at == at && sameArgs(old, n) {
			return i, answer, true
		}
	}
	p.nodes = append(p.nodes, n)
	return len(p.nodes) - 1, answer, true
}

func sameArgs(a, b *node) bool {
	return encode(argsOf(a)) == encode(argsOf(b))
}

func argsOf(n *node) object {
	o := object{}
	for _, a := range n.args {
		o[a.name] = a.value
	}
	return o
}

func encode(v any) string {
	b, err := synth.JSON(v)
	if err != nil {
		panic(err) // values of our own
	}
	return string(b)
}

func parentsOf(args []argument) []int {
	var parents []int
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case from:
			if !slices.Contains(parents, v.node) {
				parents = append(parents, v.node)
			}
		case []any:
			for _, x := range v {
				walk(x)
			}
		case object:
			for _, k := range sortedKeys(v) {
				walk(v[k])
			}
		}
	}
	for _, a := range args {
		walk(a.shape)
	}
	slices.Sort(parents)
	return parents
}

func sortedKeys[V any](m map[string]V) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// pointTo follows a JSON Pointer of plain tokens.
func pointTo(v any, at string) (any, bool) {
	for token := range strings.SplitSeq(strings.TrimPrefix(at, "/"), "/") {
		switch x := v.(type) {
		case object:
			next, ok := x[token]
			if !ok {
				return nil, false
			}
			v = next
		case []any:
			i := 0
			if _, err := fmt.Sscan(token, &i); err != nil || i >= len(x) {
				return nil, false
			}
			v = x[i]
		default:
			return nil, false
		}
	}
	return v, v != nil
}

// gold is a node's arguments as a gold call writes them: what comes from others as $N.value.
func (n *node) gold() json.RawMessage {
	var parts []string
	for _, a := range n.args {
		v := a.value
		if a.shape != nil {
			v = splice(a.shape)
		}
		parts = append(parts, encode(a.name)+": "+encode(v))
	}
	return json.RawMessage("{" + strings.Join(parts, ", ") + "}")
}

func splice(shape any) any {
	switch s := shape.(type) {
	case from:
		return fmt.Sprintf("$%d.value%s", s.node+1, strings.ReplaceAll(s.path, "/", "."))
	case []any:
		out := make([]any, len(s))
		for i, v := range s {
			out[i] = splice(v)
		}
		return out
	case object:
		out := object{}
		for k, v := range s {
			out[k] = splice(v)
		}
		return out
	case string:
		if strings.HasPrefix(s, "$") {
			return "$" + s
		}
	}
	return shape
}

// done is the answer of what is to be done, not found out: a verifier looks at the world.
const done = "done"

// instance is the plan as a decomposed question.
func (p *plan) instance(lang synth.Language, domain, question string, answer any) *synth.Instance {
	in := &synth.Instance{Language: lang, Domain: domain, Question: question, Answer: json.RawMessage(encode(answer))}
	for i, n := range p.nodes {
		sub := synth.Node{ID: fmt.Sprintf("s%d", i+1), Question: n.asks, Answer: json.RawMessage(encode(n.answer)), Tool: true}
		if n.solved != "" {
			sub.Answer = json.RawMessage(encode(done))
		}
		for _, parent := range n.parents {
			sub.DependsOn = append(sub.DependsOn, fmt.Sprintf("s%d", parent+1))
		}
		in.Nodes = append(in.Nodes, sub)
	}
	return in
}
