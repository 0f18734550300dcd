package questions

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/synth"
	"github.com/astra-arenas/astra/synth/ask"
)

// A Draft is an instance on its way to an arena.
type Draft struct {
	Source       string         `json:"source,omitempty"` // the key of what it was made from
	Instance     synth.Instance `json:"instance"`
	Arena        astra.Digest   `json:"arena,omitempty"` // whose tools it uses, if these were there before
	Quality      *Quality       `json:"quality,omitempty"`
	Environments []Environment  `json:"environments,omitempty"` // in the order of the nodes that need a tool
	Spent        ask.Spent      `json:"spent"`                  // by the stage that made this
}

// Cost is what the stage that made it took.
func (d Draft) Cost() ask.Spent { return d.Spent }

// An order asks for one instance of a source.
type order struct {
	source Source
	sample int
}

// instanceDocument is what the model is shown of a source.
type instanceDocument struct {
	Step string `json:"step"`
	Source
	Hops   hops        `json:"sub_questions"`
	Sample int         `json:"sample"` // several are made of one source, and should differ
	Tools  []shownTool `json:"tools,omitempty"`
}

type hops struct {
	Min int `json:"min"`
	Max int `json:"max"`
}

// A proposal is the model's reply.
type proposal struct {
	Analysis string          `json:"analysis"`
	Question string          `json:"main_question"`
	Answer   json.RawMessage `json:"final_answer"`
	Scenario synth.Scenario  `json:"scenario_type"`
	Nodes    []proposedNode  `json:"sub_questions"`
}

type proposedNode struct {
	ID        string          `json:"id"`
	Question  string          `json:"question"`
	Answer    json.RawMessage `json:"answer"`
	DependsOn []string        `json:"depends_on"`
	Hop       int             `json:"hop_level"`
	Parallel  bool            `json:"parallel"`
}

// propose has the model write an instance (step a).
func (a *Author) propose(ctx context.Context, o order) (synth.Result[Draft], error) {
	if o.source.Mode == FromTools {
		return a.proposeCalls(ctx, o)
	}
	d := Draft{Source: o.source.key()}
	q := ask.Question{Step: "instance", Language: o.source.Language, Place: []any{d.Source, o.sample},
		Document: instanceDocument{Step: "instance", Source: o.source, Hops: hops{a.opts.MinHops, a.opts.MaxHops}, Sample: o.sample + 1}}
	_, missed, err := askModel(ctx, a, &d.Spent, q, func(p *proposal) error {
		in, err := p.instance(&o.source)
		if err == nil {
			err = a.checkInstance(in, &o.source)
		}
		if err == nil {
			d.Instance = *in
		}
		return err
	})
	return settle(d, missed, err)
}

// settle makes a result of what asking came to.
func settle(d Draft, missed *ask.Miss, err error) (synth.Result[Draft], error) {
	if err != nil {
		return synth.Result[Draft]{}, err
	}
	if missed == nil {
		return synth.Passed(d), nil
	}
	return failing(missed).result(d), nil
}

func (p *proposal) instance(s *Source) (*synth.Instance, error) {
	in := &synth.Instance{Language: s.Language, Domain: s.Domain, Scenario: p.Scenario, Question: strings.TrimSpace(p.Question), Answer: p.Answer}
	if s.Mode == FromQuestion {
		in.Question = s.Question
	}
	for _, n := range p.Nodes {
		if !nodeID.MatchString(n.ID) {
			return nil, ask.Misread("ids", "the id %.40q: use letters and digits, at most 16", n.ID)
		}
		in.Nodes = append(in.Nodes, synth.Node{ID: n.ID, Question: strings.TrimSpace(n.Question), Answer: n.Answer, DependsOn: n.DependsOn, Hop: n.Hop, Parallel: n.Parallel, Tool: true})
	}
	return in, nil
}

// checkInstance holds an instance to what can be known without asking. Parents are put
// before children.
func (a *Author) checkInstance(in *synth.Instance, s *Source) error {
	if bad := in.Check(); len(bad) > 0 {
		return ask.Misread(bad[0].Rule, "%s", complaints(bad))
	}
	in.Layer()
	if n := in.Hops(); n < a.opts.MinHops || n > a.opts.MaxHops {
		return ask.Misread("hops", "there are %d sub-questions: %d to %d are asked for", n, a.opts.MinHops, a.opts.MaxHops)
	}
	if err := checkLanguage(in); err != nil {
		return err
	}
	for i := range in.Nodes {
		if told(in.Question, in.Nodes[i].Answer) {
			return ask.Misread("leak", "the main question tells the answer of sub-question %s", in.Nodes[i].ID)
		}
	}
	in.ID = in.StableID()
	return nil
}

func complaints(bad []synth.Complaint) string {
	var all []string
	for _, b := range bad[:min(len(bad), 5)] {
		all = append(all, b.Error())
	}
	return strings.Join(all, "; ")
}

// checkLanguage wants Chinese where it is due, and nowhere else.
func checkLanguage(in *synth.Instance) error {
	texts := []string{in.Question}
	for i := range in.Nodes {
		texts = append(texts, in.Nodes[i].Question)
	}
	for _, t := range texts {
		if hasHan(t) != (in.Language == synth.Chinese) {
			return ask.Misread("language", "%.80q is not in the language %s", t, in.Language)
		}
	}
	return nil
}

// A shownNode is a sub-question as later steps see it.
type shownNode struct {
	ID        string          `json:"id"`
	Question  string          `json:"question"`
	Answer    json.RawMessage `json:"answer"`
	DependsOn []string        `json:"depends_on"`
}

func showNodes(in *synth.Instance) []shownNode {
	var all []shownNode
	for i := range in.Nodes {
		n := &in.Nodes[i]
		all = append(all, shownNode{n.ID, n.Question, n.Answer, append([]string{}, n.DependsOn...)})
	}
	return all
}

// each holds a list of remarks to one for each sub-question.
func each(in *synth.Instance, ids []string) error {
	seen := map[string]bool{}
	for _, id := range ids {
		if in.Node(id) == nil || seen[id] {
			return ask.Misread(ask.NoVerdict, "the sub-question %.40q does not exist or comes twice", id)
		}
		seen[id] = true
	}
	if len(seen) != len(in.Nodes) {
		return ask.Misread(ask.NoVerdict, "there are %d sub-questions, and remarks on %d", len(in.Nodes), len(seen))
	}
	return nil
}

// instanceAsked is what the model is shown of an instance that it is to judge.
type instanceAsked struct {
	Step     string          `json:"step"`
	Question string          `json:"main_question"`
	Answer   json.RawMessage `json:"final_answer"`
	Nodes    []shownNode     `json:"sub_questions"`
}

func about(step string, d *Draft) ask.Question {
	in := &d.Instance
	return ask.Question{Step: step, Language: in.Language, Place: []any{in.ID}, Document: instanceAsked{step, in.Question, in.Answer, showNodes(in)}}
}

// A needs is the reply on tool necessity.
type needs struct {
	Analysis string `json:"analysis"`
	Nodes    []struct {
		ID     string `json:"id"`
		Tool   *bool  `json:"tool"`
		Reason string `json:"reason"`
	} `json:"sub_questions"`
}

// necessity asks which sub-questions need a tool (step b). Only leaves may do without.
func (a *Author) necessity(ctx context.Context, d Draft) (synth.Result[Draft], error) {
	d.Spent = ask.Spent{}
	if madeOfCalls(&d) { // each has its tool
		return synth.Passed(d), nil
	}
	reply, missed, err := askModel(ctx, a, &d.Spent, about("necessity", &d), func(n *needs) error {
		var ids []string
		for _, r := range n.Nodes {
			if ids = append(ids, r.ID); r.Tool == nil {
				return ask.Misread(ask.NoJSON, "sub-question %.40q: say true or false", r.ID)
			}
		}
		return each(&d.Instance, ids)
	})
	if err != nil || missed != nil {
		return settle(d, missed, err)
	}
	for _, r := range reply.Nodes {
		n := d.Instance.Node(r.ID)
		n.Tool, n.Reason = *r.Tool, ask.Clip(r.Reason, 500)
	}
	if bad := d.Instance.Check(); len(bad) > 0 {
		r := synth.Rejected[Draft]("necessity: "+bad[0].Rule, "%s", complaints(bad))
		r.Value.Spent = d.Spent
		return r, nil
	}
	return synth.Passed(d), nil
}

// spoiled is a failed result that still tells what it cost.
func spoiled(d Draft, reason, format string, args ...any) synth.Result[Draft] {
	r := synth.Rejected[Draft](reason, "%s", ask.Clip(fmt.Sprintf(format, args...), 2000))
	r.Value.Spent = d.Spent
	return r
}
