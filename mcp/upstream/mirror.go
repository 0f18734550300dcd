package upstream

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/astra-arenas/astra"
)

// Mirror asks an upstream what it offers, as tools of an arena. With namespaced, the alias
// is put before their names, as an arena with several upstreams needs it.
func (rt *Runtime) Mirror(ctx context.Context, alias string, namespaced bool) ([]astra.Tool, error) {
	t := rt.targets[alias]
	if t == nil {
		return nil, fmt.Errorf("upstream %s: astra.yaml does not say what it is; add it under upstreams", alias)
	}
	s, err := t.dial(ctx)
	if err != nil {
		return nil, err
	}
	defer s.close()
	offers, err := s.list(ctx)
	if err != nil {
		return nil, err
	}
	var tools []astra.Tool
	taken := map[string]bool{}
	for _, o := range offers {
		name := nameFor(alias, o.Name, namespaced, taken)
		taken[name] = true
		tools = append(tools, astra.Tool{Name: name, Title: cmp.Or(o.Title, o.Annotations.Title), Description: cmp.Or(strings.TrimSpace(o.Description), o.Title, o.Name),
			Input: o.Input, Output: o.Output, Annotations: o.annotations(), Upstream: alias, Original: o.Name})
	}
	return tools, nil
}

// annotations fills in the protocol's own defaults.
func (o *offer) annotations() astra.Annotations {
	or := func(p *bool, otherwise bool) bool {
		if p != nil {
			return *p
		}
		return otherwise
	}
	a := astra.Annotations{ReadOnly: or(o.Annotations.ReadOnlyHint, false), OpenWorld: or(o.Annotations.OpenWorldHint, true)}
	if !a.ReadOnly { // the other two mean nothing of a tool that only reads
		a.Destructive, a.Idempotent = or(o.Annotations.DestructiveHint, true), or(o.Annotations.IdempotentHint, false)
	} else {
		a.Idempotent = true
	}
	return a
}

// nameFor makes an identifier of what a server calls a tool: get-sum is get_sum. One that
// means something at our doors gets the alias before it, one that is taken a number behind.
func nameFor(alias, original string, namespaced bool, taken map[string]bool) string {
	whole := clip(identifier(original), maxName)
	if namespaced || astra.ToolNameError(whole) != nil {
		whole = clip(identifier(alias)+"_"+whole, maxName)
	}
	name := whole
	for n := 2; taken[name]; n++ {
		number := fmt.Sprintf("_%d", n)
		name = clip(whole, maxName-len(number)) + number
	}
	return name
}

const maxName = 64 // of a tool, as the root has it

func identifier(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < 0x80 && (r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9') {
			return r
		}
		return '_'
	}, s)
	if s == "" || s[0] >= '0' && s[0] <= '9' {
		s = "_" + s
	}
	return s
}
