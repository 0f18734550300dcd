package questions

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/astra-arenas/astra/synth"
	"github.com/astra-arenas/astra/synth/ask"
)

type clustersAsked struct {
	Step  string        `json:"step"`
	Tools []clusterTool `json:"tools"`
}

type clusterTool struct {
	ID       string   `json:"id"`
	Question string   `json:"question"`
	Tool     Document `json:"tool"`
	At       string   `json:"at"`
}

type clustersReply struct {
	Analysis string `json:"analysis"`
	Clusters []struct {
		IDs    []string `json:"ids"`
		Intent string   `json:"intent"`
	} `json:"clusters"`
}

// merge lets sub-questions of one intent share a tool (step e). What cannot be merged keeps
// its own tool under a name of its own: nothing is lost.
func (a *Author) merge(ctx context.Context, d Draft) (synth.Result[Draft], error) {
	d.Spent = ask.Spent{}
	if d.Instance.Nodes == nil || madeOfCalls(&d) {
		return synth.Passed(d), nil
	}
	renameApart(d.Environments, map[string]bool{}) // from here on one name means one tool
	r := synth.Passed(d)
	if a.opts.NoMerging || len(d.Environments) < 2 {
		return r, nil
	}
	b := &builder{a, &r.Value, map[string]*Environment{}}
	clusters, missed, err := b.clusters(ctx)
	if err != nil {
		return synth.Result[Draft]{}, err
	}
	if missed != nil {
		r.Detail = "not merged: " + missed.Reason
	}
	for i, members := range clusters {
		kept, err := b.mergeCluster(ctx, i, members)
		if err != nil {
			return synth.Result[Draft]{}, err
		}
		for _, f := range kept {
			r.Detail += fmt.Sprintf("not merged: %s: %s\n", f.reason, f.text)
		}
	}
	return r, nil
}

// clusters are sub-questions whose tools do the same, by their places in Environments.
// The model says which; those whose documents differ in what they need or where they tell
// it are left alone.
func (b *builder) clusters(ctx context.Context) ([][]int, *ask.Miss, error) {
	asked := clustersAsked{Step: "clusters"}
	place := map[string]int{}
	for i := range b.draft.Environments {
		e := &b.draft.Environments[i]
		place[e.Node] = i
		asked.Tools = append(asked.Tools, clusterTool{e.Node, b.draft.Instance.Node(e.Node).Question, e.Tool, e.At})
	}
	q := ask.Question{Step: "clusters", Language: b.draft.Instance.Language, Place: []any{b.draft.Instance.ID}, Document: asked}
	reply, missed, err := askModel(ctx, b.Author, &b.draft.Spent, q, func(r *clustersReply) error {
		seen := map[string]bool{}
		for _, c := range r.Clusters {
			for _, id := range c.IDs {
				if _, known := place[id]; !known || seen[id] {
					return ask.Misread("ids", "the tool of %.40q does not exist or comes twice", id)
				}
				seen[id] = true
			}
		}
		return nil
	})
	if missed != nil || err != nil {
		return nil, missed, err
	}
	var clusters [][]int
	for _, c := range reply.Clusters {
		var members []int
		for _, id := range c.IDs {
			i := place[id]
			if len(members) == 0 || alike(&b.draft.Environments[members[0]], &b.draft.Environments[i]) {
				members = append(members, i)
			}
		}
		if slices.Sort(members); len(members) > 1 {
			clusters = append(clusters, members)
		}
	}
	return clusters, nil, nil
}

func alike(x, y *Environment) bool {
	rx, ry := required(x.Tool.Input), required(y.Tool.Input)
	slices.Sort(rx)
	slices.Sort(ry)
	return x.At == y.At && slices.Equal(rx, ry)
}

type insertionAsked struct {
	Step     string          `json:"step"`
	Runtime  string          `json:"runtime"`
	Tool     Document        `json:"tool"`
	At       string          `json:"at"`
	Code     string          `json:"code"`
	Data     json.RawMessage `json:"data"`
	Calls    []solvedCall    `json:"calls"` // which must go on to tell the same
	Member   memberAsked     `json:"member"`
	Try      int             `json:"try"`
	Feedback string          `json:"feedback,omitempty"`
}

type solvedCall struct {
	Question string          `json:"question,omitempty"`
	Args     json.RawMessage `json:"args"`
	Answer   json.RawMessage `json:"answer"`
}

type memberAsked struct {
	solvedCall
	Tool Document        `json:"tool"`
	Data json.RawMessage `json:"data"`
}

type insertionReply struct {
	Analysis string          `json:"analysis"`
	Data     json.RawMessage `json:"data"`
	Args     json.RawMessage `json:"args"`
}

// mergeCluster begins with a member drawn by lot, and puts the data of one other after
// another into its tool; all calls so far are made again each time (ASTRA §2.2.4). It
// returns why members were left as they are.
func (b *builder) mergeCluster(ctx context.Context, number int, members []int) ([]*failed, error) {
	first := synth.Rand(b.opts.Seed, "merge", b.draft.Instance.ID, number).IntN(len(members))
	base := &b.draft.Environments[members[first]]
	inside := []*Environment{base}
	var apart []*failed
	for i, m := range members {
		if i == first {
			continue
		}
		e := &b.draft.Environments[m]
		f, err := b.insert(ctx, inside, e)
		if err != nil {
			return nil, err
		}
		if f != nil {
			apart = append(apart, f)
			continue
		}
		inside = append(inside, e)
	}
	return apart, nil
}

// insert puts one member's data into the tool that the others share. The failure is told
// to the next try, and none changes anything but the data and the member's call.
func (b *builder) insert(ctx context.Context, inside []*Environment, e *Environment) (*failed, error) {
	base := inside[0]
	n := b.draft.Instance.Node(e.Node)
	asked := insertionAsked{Step: "insertion", Runtime: string(b.runtime.Kind()), Tool: base.Tool, At: base.At, Code: base.Code, Data: base.Data,
		Member: memberAsked{solvedCall{n.Question, e.Args, n.Answer}, e.Tool, e.Data}}
	for _, m := range inside {
		node := b.draft.Instance.Node(m.Node)
		asked.Calls = append(asked.Calls, solvedCall{node.Question, m.Args, node.Answer})
	}
	for _, o := range base.Others {
		asked.Calls = append(asked.Calls, solvedCall{"", o.Args, o.Answer})
	}
	var last *failed
	for try := range b.opts.MergeTries {
		asked.Try = try + 1
		asked.Feedback = last.String()
		q := ask.Question{Step: "insertion", Language: b.draft.Instance.Language, Place: []any{b.draft.Instance.ID, e.Node, try}, Document: asked}
		merged := *base
		merged.Node = e.Node
		reply, missed, err := askModel(ctx, b.Author, &b.draft.Spent, q, func(r *insertionReply) error {
			if r.Data == nil || len(r.Data) > maxData {
				return ask.Misread("code", "the data has %d bytes: want JSON of 1 to %d", len(r.Data), maxData)
			}
			return b.checkCall(n, &merged, r.Args)
		})
		if missed != nil || err != nil {
			return failing(missed), err
		}
		merged.Data, merged.Args = ask.Compact(reply.Data), ask.Compact(reply.Args)
		if last, err = b.tryMerged(ctx, inside, &merged); err != nil {
			return nil, err
		}
		if last == nil {
			share(inside, e, &merged)
			return nil, nil
		}
	}
	return last, nil
}

// share makes the merged tool that of all.
func share(inside []*Environment, e, merged *Environment) {
	*e = *merged
	for _, m := range append(inside, e) {
		m.Data, m.Merged = merged.Data, true
	}
}

// tryMerged makes every call of those inside again, then the new one's.
func (b *builder) tryMerged(ctx context.Context, inside []*Environment, merged *Environment) (*failed, error) {
	bun, err := bundle(&arenaDraft{runtime: b.runtime.Kind(), name: "trial", title: "trial", environments: []Environment{*merged}})
	if err != nil {
		return fault("does not load", "%v", err), nil
	}
	l, f, err := b.lab(ctx, bun)
	if f != nil || err != nil {
		return f, err
	}
	defer l.close()
	for _, m := range append(slices.Clone(inside), merged) {
		e := *merged
		e.Args = m.Args
		t := &trial{b.Author, l, &e, b.draft.Instance.Node(m.Node).Answer}
		for _, check := range []func(context.Context) (*failed, error){t.answers, t.steady, t.wrong} {
			if f, err := check(ctx); f != nil || err != nil {
				return f, err
			}
		}
	}
	for _, o := range merged.Others {
		e := *merged
		e.Args = o.Args
		if f, err := (&trial{b.Author, l, &e, o.Answer}).answers(ctx); f != nil || err != nil {
			return f, err
		}
	}
	return nil, nil
}

// renameApart gives every tool a name of its own, and adds it to those taken. Tools that
// are shared keep one name.
func renameApart(environments []Environment, taken map[string]bool) {
	now := map[string]string{} // of shared tools
	for i := range environments {
		e := &environments[i]
		old := e.Tool.Name
		if name, ok := now[old]; ok && e.Merged {
			e.Tool.Name = name
			continue
		}
		for n := 2; taken[e.Tool.Name]; n++ {
			e.Tool.Name = fmt.Sprintf("%.58s_%d", old, n)
		}
		if taken[e.Tool.Name] = true; e.Merged {
			now[old] = e.Tool.Name
		}
	}
}
