package tasks

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/astra-arenas/astra/synth"
	"github.com/astra-arenas/astra/synth/ask"
	"github.com/astra-arenas/astra/synth/graph"
)

// An open argument is one of which its document does not tell where its value comes from.
type open struct {
	Call     int    `json:"call"` // in the chain, from 1
	Argument string `json:"argument"`
}

// A property is what is looked at of an argument's schema.
type property struct {
	Type    any             `json:"type"`
	Format  string          `json:"format"`
	Enum    []any           `json:"enum"`
	Const   json.RawMessage `json:"const"`
	Default json.RawMessage `json:"default"`
}

// known reports whether anybody could give the value without being told.
func (p *property) known() bool {
	return len(p.Enum) > 0 || p.Const != nil || p.Default != nil || p.Type == "boolean"
}

// internal reports whether nobody but a server could know the value.
func (p *property) internal(name string) bool {
	if p.Format == "uuid" {
		return true
	}
	for _, mark := range []string{"_cursor_", "_page_token_", "_next_token_", "_session_id_", "_request_id_", "_etag_", "_e_tag_"} {
		if strings.Contains("_"+snake(name)+"_", mark) { // a metagenome has an etag, but only in letters
			return true
		}
	}
	return false
}

// snake is a name in lower case, its parts joined by _: sessionID is session_id.
func snake(name string) string {
	var b strings.Builder
	lower := false // the letter before
	for _, r := range name {
		upper := r >= 'A' && r <= 'Z'
		if upper && lower {
			b.WriteByte('_')
		}
		if lower = !upper && r != '-' && r != '_'; upper {
			r += 'a' - 'A'
		}
		if r == '-' {
			r = '_'
		}
		b.WriteRune(r)
	}
	return b.String()
}

// openArguments are the required arguments that have to be asked about; an internal value
// that the first call needs has no source at all.
func openArguments(b *book, chain []graph.Node) (all []open, impossible string) {
	for i, n := range chain {
		var input struct {
			Properties map[string]property `json:"properties"`
			Required   []string            `json:"required"`
		}
		if json.Unmarshal(b.tool(n).Input, &input) != nil {
			return nil, fmt.Sprintf("the arguments of %s cannot be told from its schema", n.Tool)
		}
		for _, name := range input.Required {
			p := input.Properties[name]
			switch {
			case p.known():
			case i == 0 && p.internal(name):
				return nil, fmt.Sprintf("%s of %s, the first call, is a server's own, and no user's", name, n.Tool)
			default:
				all = append(all, open{i + 1, name})
			}
		}
	}
	return all, ""
}

type chainDocument struct {
	Step  string      `json:"step"`
	Calls []shownCall `json:"calls"`
	Open  []open      `json:"open"`
}

type shownCall struct {
	Call int `json:"call"`
	shownTool
}

// A sourcing is the reply on where arguments come from.
type sourcing struct {
	Analysis  string `json:"analysis"`
	Arguments []struct {
		open
		Source string `json:"source"`
		From   int    `json:"from"`
	} `json:"arguments"`
}

// arguments asks where each required argument comes from, after looking where no model is
// needed (the paper's dependency check).
func (a *Author) arguments(ctx context.Context, b *book, c Chain) (synth.Result[Chain], error) {
	if name := b.collision(&c); name != "" {
		return spoiled(c, "names collide", "several of its servers have a tool %s", name), nil
	}
	wanted, impossible := openArguments(b, c.Tools)
	if impossible != "" {
		return spoiled(c, "no source", "%s", impossible), nil
	}
	if len(wanted) == 0 {
		return synth.Passed(c), nil
	}
	doc := chainDocument{Step: "arguments", Open: wanted}
	for i, n := range c.Tools {
		doc.Calls = append(doc.Calls, shownCall{i + 1, showTool(b.tool(n), true)})
	}
	reply, missed, err := ask.Ask(ctx, &a.asker, &c.Spent, ask.Question{Step: "arguments", Language: c.Language, Place: []any{c.ID}, Document: doc},
		func(s *sourcing) error { return s.check(wanted) })
	if missed != nil || err != nil {
		return settle(c, missed, err)
	}
	for _, arg := range reply.Arguments {
		where := fmt.Sprintf("%s of call %d, %s", arg.Argument, arg.Call, c.Tools[arg.Call-1].Tool)
		switch arg.Source {
		case "none":
			return spoiled(c, "no source", "%s", where), nil
		case "unsure":
			return settle(c, ask.Unsure("arguments: unsure", where), nil)
		}
	}
	return synth.Passed(c), nil
}

// collision is a name that several servers of a chain have for a tool; "" if none: an agent
// could not tell them apart.
func (b *book) collision(c *Chain) string {
	seen := map[string]bool{}
	for _, name := range c.servers() {
		for i := range b.byName[name].Tools {
			tool := b.byName[name].Tools[i].Name
			if seen[tool] {
				return tool
			}
			seen[tool] = true
		}
	}
	return ""
}

func (s *sourcing) check(wanted []open) error {
	seen := map[open]bool{}
	for _, arg := range s.Arguments {
		switch {
		case !slices.Contains(wanted, arg.open) || seen[arg.open]:
			return ask.Misread(ask.NoVerdict, "%.60q of call %d is not in \"open\", or comes twice", arg.Argument, arg.Call)
		case !slices.Contains([]string{"user", "call", "none", "unsure"}, arg.Source):
			return ask.Misread(ask.NoVerdict, "%.40q is no source: say user, call, none or unsure", arg.Source)
		case arg.Source == "call" && (arg.From < 1 || arg.From >= arg.Call):
			return ask.Misread("later source", "%.60q of call %d cannot come from call %d: name an earlier one", arg.Argument, arg.Call, arg.From)
		}
		seen[arg.open] = true
	}
	if len(seen) != len(wanted) {
		return ask.Misread(ask.NoVerdict, "%d of %d open arguments were judged", len(seen), len(wanted))
	}
	return nil
}

// A coherence is the reply on the sense of a chain.
type coherence struct {
	Analysis string   `json:"analysis"`
	Verdict  string   `json:"verdict"`
	Reason   string   `json:"reason"`
	Task     string   `json:"task"`
	Query    string   `json:"query"`
	Plan     []string `json:"plan"`
}

func isVerdict(s string) bool { return s == "yes" || s == "no" || s == "unsure" }

// vote has several judges look for a purpose. More than half of them must find one; if
// those who could not tell decide, nothing is known.
func (a *Author) vote(ctx context.Context, b *book, c Chain) (synth.Result[Chain], error) {
	c.Spent, c.Votes = ask.Spent{}, new(Votes)
	why := ""
	for n := range a.opts.Votes {
		reply, missed, err := ask.Ask(ctx, &a.asker, &c.Spent, ask.Question{Step: "coherence", Language: c.Language, Place: []any{c.ID, n}, Document: a.about(b, &c, "coherence", n)},
			func(r *coherence) error { return r.check(b, &c) })
		switch {
		case err != nil:
			return synth.Result[Chain]{}, err
		case missed != nil || reply.Verdict == "unsure":
			c.Votes.Unsure++
		case reply.Verdict == "no":
			c.Votes.No++
			why = reply.Reason
		default:
			if c.Votes.Yes++; c.Votes.Yes == 1 {
				c.Purpose, c.Query, c.Plan = reply.Task, reply.Query, reply.Plan
			}
		}
	}
	return c.count(a.opts.Votes, why)
}

func (c Chain) count(votes int, why string) (synth.Result[Chain], error) {
	switch v := c.Votes; {
	case 2*v.Yes > votes:
		return synth.Passed(c), nil
	case 2*(v.Yes+v.Unsure) > votes && v.Unsure > 0:
		return settle(c, ask.Unsure("coherence: unsure", fmt.Sprintf("%d yes, %d no, %d unsure", v.Yes, v.No, v.Unsure)), nil)
	}
	return spoiled(c, "incoherent", "%d of %d: %s", c.Votes.No, votes, why), nil
}

func (r *coherence) check(b *book, c *Chain) error {
	if !isVerdict(r.Verdict) {
		return ask.Misread(ask.NoVerdict, "%.40q is no verdict: say yes, no or unsure", r.Verdict)
	}
	if r.Verdict != "yes" {
		return nil
	}
	if strings.TrimSpace(r.Task) == "" {
		return ask.Misread(ask.NoVerdict, `a "yes" has a "task": the purpose of the calls`)
	}
	return checkText(b, c.servers(), c.Language, "query", r.Query)
}

// about is the document of a question on a chain. The sample makes one judge another.
func (a *Author) about(b *book, c *Chain, step string, sample int) serverDocument {
	s := b.byName[c.Server]
	doc := serverDocument{Step: step, Server: show(s), Sample: sample + 1}
	for _, name := range c.servers() {
		doc.Tools = append(doc.Tools, showTools(b.byName[name], false)...)
	}
	for _, n := range c.Tools {
		doc.Chain = append(doc.Chain, n.Tool)
	}
	return doc
}

// back asks which tools serve the request that a judge thought of: they must be the chain.
func (a *Author) back(ctx context.Context, b *book, c Chain) (synth.Result[Chain], error) {
	c.Spent = ask.Spent{}
	same, other := 0, ""
	for n := range a.opts.Backs {
		doc := a.about(b, &c, "back", n)
		doc.Chain, doc.Query = nil, c.Query
		reply, missed, err := ask.Ask(ctx, &a.asker, &c.Spent, ask.Question{Step: "back", Language: c.Language, Place: []any{c.ID, n}, Document: doc}, func(p *planned) error { return p.check(b, &c) })
		if missed != nil || err != nil {
			return settle(c, missed, err)
		}
		if slices.Equal(reply.Tools, a.about(b, &c, "back", n).Chain) {
			same++
		} else {
			other = strings.Join(reply.Tools, " → ")
		}
	}
	if 2*same <= a.opts.Backs && a.opts.Backs > 0 {
		return spoiled(c, "another way", "the request %q is served by %s", ask.Clip(c.Query, 200), other), nil
	}
	return synth.Passed(c), nil
}

// A planned is the reply of a planner.
type planned struct {
	Analysis string   `json:"analysis"`
	Tools    []string `json:"tools"`
}

func (p *planned) check(b *book, c *Chain) error {
	if p.Tools == nil {
		return ask.Misread(ask.NoVerdict, `give "tools", empty if none serves the request`)
	}
	for _, name := range p.Tools {
		if !slices.ContainsFunc(c.servers(), func(s string) bool { return b.tool(graph.Node{Server: s, Tool: name}) != nil }) {
			return ask.Misread("unknown tool", "there is no tool %.64q", name)
		}
	}
	return nil
}
