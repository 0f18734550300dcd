package questions

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/synth"
	"github.com/astra-arenas/astra/synth/ask"
)

// A shownTool is a tool of an arena as the model is shown it.
type shownTool struct {
	Name        string          `json:"name"`
	Description string          `json:"description"`
	Input       json.RawMessage `json:"input"`
	Output      json.RawMessage `json:"output,omitempty"`
}

// A plan is a question over tools that exist: its sub-questions are calls, and what they
// answer is found out, not claimed.
type plan struct {
	Analysis string        `json:"analysis"`
	Question string        `json:"main_question"`
	Final    string        `json:"final"` // the sub-question whose answer is the final one
	Nodes    []plannedCall `json:"sub_questions"`
}

type plannedCall struct {
	ID        string          `json:"id"`
	Question  string          `json:"question"`
	DependsOn []string        `json:"depends_on"`
	Tool      string          `json:"tool"`
	Args      json.RawMessage `json:"args"` // "$ID" stands for that sub-question's answer
	At        string          `json:"at"`
}

// arenaOf finds the arena of a source's tools, or of a draft that was made of them.
func (a *Author) arenaOf(d astra.Digest) *astra.Arena {
	v, _ := a.arenasKnown.Load(d)
	arena, _ := v.(*astra.Arena)
	return arena
}

func madeOfCalls(d *Draft) bool { return d.Arena != "" }

// proposeCalls has the model write a question over tools that there are.
func (a *Author) proposeCalls(ctx context.Context, o order) (synth.Result[Draft], error) {
	arena := o.source.Arena
	if arena == nil || arena.Runtime != a.runtime.Kind() {
		return synth.Result[Draft]{}, fmt.Errorf("tools of an arena for the runtime %s are wanted", a.runtime.Kind())
	}
	l, f, err := a.lab(ctx, arena.Bundle)
	if err == nil && f != nil {
		err = fmt.Errorf("arena %s: %s", arena.Name, f.text)
	}
	if err != nil {
		return synth.Result[Draft]{}, err
	}
	defer l.close()
	d := Draft{Source: o.source.key(), Arena: arena.Digest}
	doc := instanceDocument{Step: "plan", Source: o.source, Hops: hops{a.opts.MinHops, a.opts.MaxHops}, Sample: o.sample + 1}
	for i := range arena.Tools {
		t := &arena.Tools[i]
		doc.Tools = append(doc.Tools, shownTool{t.Name, t.Description, t.Input, t.Output})
	}
	var trouble error
	_, missed, err := askModel(ctx, a, &d.Spent, ask.Question{Step: "plan", Language: o.source.Language, Place: []any{d.Source, o.sample}, Document: doc}, func(p *plan) error {
		var wrong error
		if wrong, trouble = a.carryOut(ctx, l, p, &o.source, &d); trouble != nil {
			return nil // ends the asking; trouble is told below
		}
		return wrong
	})
	if trouble != nil {
		return synth.Result[Draft]{}, trouble
	}
	return settle(d, missed, err)
}

// carryOut makes a plan's calls in one world, and an instance of what they tell. wrong is
// for the model.
func (a *Author) carryOut(ctx context.Context, l *lab, p *plan, s *Source, d *Draft) (wrong, trouble error) {
	in, wrong := p.instance(s)
	if wrong != nil {
		return wrong, nil
	}
	d.Environments = nil
	w, err := l.begin(ctx, 0)
	if err != nil {
		return nil, err
	}
	defer w.close()
	for i := range in.Nodes {
		n := &in.Nodes[i]
		e, wrong, trouble := w.planned(ctx, in, p.call(n.ID))
		if wrong != nil || trouble != nil {
			return wrong, trouble
		}
		d.Environments = append(d.Environments, *e)
	}
	last := in.Node(p.Final)
	if last == nil {
		return ask.Misread("parents", `"final" is %.40q, which is no sub-question`, p.Final), nil
	}
	in.Answer = last.Answer
	for i := range in.Nodes {
		if n := &in.Nodes[i]; l.tells(n.Answer) {
			return ask.Misread("leak", "the tools' documents tell the answer of %s", n.ID), nil
		}
	}
	if wrong = a.checkInstance(in, s); wrong == nil {
		d.Instance = *in
	}
	return wrong, nil
}

func (l *lab) tells(answer json.RawMessage) bool {
	for i := range l.arena.Tools {
		t := &l.arena.Tools[i]
		if (&Document{Description: t.Description, Title: t.Title, Input: t.Input, Output: t.Output}).tells(answer) != "" {
			return true
		}
	}
	return false
}

func (p *plan) call(id string) *plannedCall {
	for i := range p.Nodes {
		if p.Nodes[i].ID == id {
			return &p.Nodes[i]
		}
	}
	return nil
}

// instance is a plan in order, without answers.
func (p *plan) instance(s *Source) (*synth.Instance, error) {
	in := &synth.Instance{Language: s.Language, Domain: s.Domain, Question: strings.TrimSpace(p.Question)}
	for _, n := range p.Nodes {
		if !nodeID.MatchString(n.ID) {
			return nil, ask.Misread("ids", "the id %.40q: use letters and digits, at most 16", n.ID)
		}
		in.Nodes = append(in.Nodes, synth.Node{ID: n.ID, Question: strings.TrimSpace(n.Question), DependsOn: n.DependsOn, Tool: true})
	}
	if !in.Layer() {
		return nil, ask.Misread("acyclic", "the dependencies are no DAG of these sub-questions")
	}
	return in, nil
}

// planned makes one call of a plan and takes its answer.
func (w *world) planned(ctx context.Context, in *synth.Instance, c *plannedCall) (e *Environment, wrong, trouble error) {
	n := in.Node(c.ID)
	if w.lab.arena.Tool(c.Tool) == nil {
		return nil, ask.Misread("call", "sub-question %s: there is no tool %.64q", c.ID, c.Tool), nil
	}
	if !plainPointer.MatchString(c.At) {
		return nil, ask.Misread("call", `sub-question %s: "at" must be a JSON Pointer such as "/price"`, c.ID), nil
	}
	args, wrong := answered(in, n, c.Args)
	if wrong != nil {
		return nil, wrong, nil
	}
	r, err := w.call(ctx, c.Tool, args)
	if err != nil {
		return nil, nil, err
	}
	if !r.OK() {
		return nil, ask.Misread("call", "sub-question %s: the call %s %s fails: %s", c.ID, c.Tool, ask.Clip(string(args), 300), ask.Clip(r.Error, 500)), nil
	}
	v, ok := astra.At(r.Value, c.At)
	if !ok {
		return nil, ask.Misread("call", "sub-question %s: there is nothing at %s in %s", c.ID, c.At, ask.Clip(string(r.Value), 500)), nil
	}
	n.Answer = v
	return &Environment{Node: c.ID, Tool: Document{Name: c.Tool}, At: c.At, Args: args}, nil, nil
}

// answered puts parents' answers into a call. Each parent must be used.
func answered(in *synth.Instance, n *synth.Node, raw json.RawMessage) (json.RawMessage, error) {
	args, err := decode(raw)
	if _, ok := args.(map[string]any); !ok || err != nil {
		return nil, ask.Misread("call", `sub-question %s: "args" must be an object`, n.ID)
	}
	used := map[string]bool{}
	var wrong error
	var fill func(v any) any
	fill = func(v any) any {
		switch v := v.(type) {
		case string:
			for _, p := range n.DependsOn {
				if v == "$"+p {
					used[p] = true
					answer, err := decode(in.Node(p).Answer)
					if err != nil {
						wrong = err
					}
					return answer
				}
			}
		case []any:
			for i := range v {
				v[i] = fill(v[i])
			}
		case map[string]any:
			for k := range v {
				v[k] = fill(v[k])
			}
		}
		return v
	}
	args = fill(args)
	for _, p := range n.DependsOn {
		if !used[p] {
			return nil, ask.Misread("call", `sub-question %s depends on %s, and no argument is "$%s"`, n.ID, p, p)
		}
	}
	if wrong != nil {
		return nil, wrong
	}
	return synth.JSON(args)
}

// withTasks is an arena that there was, with more tasks.
func withTasks(base *astra.Arena, tasks []*astra.Task) (*astra.Bundle, error) {
	var lines bytes.Buffer
	var files []astra.File
	for _, f := range base.Bundle.Files() {
		switch f.Path {
		case "tasks.jsonl":
			lines.Write(append(bytes.TrimSpace(f.Data), '\n'))
		case "CERTIFICATE.json":
		default:
			files = append(files, f)
		}
	}
	for _, t := range tasks {
		line, err := synth.JSON(t)
		if err != nil {
			return nil, err
		}
		lines.Write(append(line, '\n'))
	}
	return astra.NewBundle(append(files, astra.File{Path: "tasks.jsonl", Data: lines.Bytes()}))
}
