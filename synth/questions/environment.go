package questions

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"

	"github.com/astra-arenas/astra/synth"
	"github.com/astra-arenas/astra/synth/ask"
)

var (
	nodeID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,15}$`)
	// plainPointer is a JSON Pointer that gold calls can refer to with dots.
	plainPointer = regexp.MustCompile(`^(/[A-Za-z0-9_-]{1,64}){1,8}$`)
)

// An Environment is the tool of one sub-question: ASTRA's independent environment.
type Environment struct {
	Node   string          `json:"node"`
	Tool   Document        `json:"tool"`
	At     string          `json:"at"`   // JSON Pointer to the answer in what the tool returns
	Args   json.RawMessage `json:"args"` // of the call that answers; parents' answers stand in it as values
	Code   string          `json:"code"` // has a function run(args, data)
	Data   json.RawMessage `json:"data"`
	Others []Sample        `json:"others"`           // calls with other answers
	Merged bool            `json:"merged,omitempty"` // it shares the tool of others with its name
}

// A Document is what an agent is shown of a tool.
type Document struct {
	Name        string          `json:"name"`
	Title       string          `json:"title"`
	Description string          `json:"description"`
	Input       json.RawMessage `json:"input"`
	Output      json.RawMessage `json:"output"`
}

// A Sample is a call and the answer that it gives.
type Sample struct {
	Args   json.RawMessage `json:"args"`
	Answer json.RawMessage `json:"answer"`
}

// A builder makes the environments of one instance.
type builder struct {
	*Author
	draft *Draft
	done  map[string]*Environment // by node
}

// build makes a tool for each sub-question that needs one (step d), parents first.
func (a *Author) build(ctx context.Context, d Draft) (synth.Result[Draft], error) {
	d.Spent = ask.Spent{}
	if madeOfCalls(&d) {
		return synth.Passed(d), nil
	}
	b := &builder{a, &d, map[string]*Environment{}}
	for i := range d.Instance.Nodes {
		n := &d.Instance.Nodes[i]
		if !n.Tool {
			continue
		}
		e, f, err := b.environment(ctx, n)
		if err != nil {
			return synth.Result[Draft]{}, err
		}
		if f != nil {
			d.Environments = nil
			return f.result(d), nil
		}
		b.done[n.ID] = e
		d.Environments = append(d.Environments, *e)
	}
	return synth.Passed(d), nil
}

// A failed attempt says what was wrong: to the report, and to the model.
type failed struct {
	reason  string
	text    string
	unknown bool // the model could not be understood
}

func (f *failed) result(d Draft) synth.Result[Draft] {
	r := spoiled(d, f.reason, "%s", f.text)
	if f.unknown {
		r.Verdict = synth.Unknown
	}
	return r
}

func fault(reason, format string, args ...any) *failed {
	return &failed{reason: reason, text: ask.Clip(fmt.Sprintf(format, args...), 2000)}
}

// failing is a failure for want of an answer; nil if there was one.
func failing(m *ask.Miss) *failed {
	if m == nil {
		return nil
	}
	return &failed{m.Reason, m.Detail, !m.Understood}
}

// environment goes from the question to a tool that answers it. What went wrong is told to
// the next attempt; two that end alike are enough.
func (b *builder) environment(ctx context.Context, n *synth.Node) (*Environment, *failed, error) {
	var last *failed
	for try := range b.opts.CallTries {
		e, f, err := b.attempt(ctx, n, try, last)
		if err != nil || f == nil {
			return e, nil, err
		}
		if last != nil && last.text == f.text || f.reason == "budget" {
			return nil, f, nil
		}
		last = f
	}
	return nil, last, nil
}

// attempt is one document, made richer, one call, and code for it.
func (b *builder) attempt(ctx context.Context, n *synth.Node, try int, last *failed) (*Environment, *failed, error) {
	e := &Environment{Node: n.ID}
	for _, step := range []string{"document", "scaling"} {
		if f, err := b.document(ctx, n, e, step, try, last); f != nil || err != nil {
			return nil, f, err
		}
	}
	if f, err := b.call(ctx, n, e, try, last); f != nil || err != nil {
		return nil, f, err
	}
	f, err := b.deploy(ctx, n, e, try)
	return e, f, err
}

// question is one that counts against the instance's budget.
func (b *builder) question(n *synth.Node, step string, document any, place ...any) (ask.Question, *failed) {
	if b.draft.Spent.Calls >= b.opts.Calls {
		return ask.Question{}, fault("budget", "%d calls of the model are used up", b.opts.Calls)
	}
	return ask.Question{Step: step, Language: b.draft.Instance.Language, Place: append([]any{b.draft.Instance.ID, n.ID}, place...), Document: document}, nil
}

type documentAsked struct {
	Step     string         `json:"step"`
	Domain   string         `json:"domain,omitempty"`
	Question string         `json:"question"`
	Parents  []parentTyped  `json:"parents,omitempty"`
	Answer   string         `json:"answer_type"`
	Taken    []string       `json:"names_taken,omitempty"`
	Draft    *documentReply `json:"draft,omitempty"`
	Feedback string         `json:"feedback,omitempty"`
}

// A parentTyped is a parent without its answer: what a document does not know it cannot tell.
type parentTyped struct {
	Question string `json:"question"`
	Answer   string `json:"answer_type"`
}

type documentReply struct {
	Analysis string   `json:"analysis,omitempty"`
	Tool     Document `json:"tool"`
	At       string   `json:"at"`
}

func (b *builder) document(ctx context.Context, n *synth.Node, e *Environment, step string, try int, last *failed) (*failed, error) {
	asked := documentAsked{Step: step, Domain: b.draft.Instance.Domain, Question: n.Question, Answer: typeOf(n.Answer)}
	for _, p := range n.DependsOn {
		parent := b.draft.Instance.Node(p)
		asked.Parents = append(asked.Parents, parentTyped{parent.Question, typeOf(parent.Answer)})
	}
	for i := range b.draft.Environments {
		asked.Taken = append(asked.Taken, b.draft.Environments[i].Tool.Name)
	}
	if asked.Feedback = last.String(); step == "scaling" {
		asked.Draft = &documentReply{Tool: e.Tool, At: e.At}
	}
	q, f := b.question(n, step, asked, try)
	if f != nil {
		return f, nil
	}
	reply, missed, err := askModel(ctx, b.Author, &b.draft.Spent, q, func(r *documentReply) error {
		if step == "scaling" && r.Tool.Name != e.Tool.Name {
			return ask.Misread("document", "the tool's name is %s: keep it", e.Tool.Name)
		}
		return b.checkDocument(r)
	})
	if missed != nil || err != nil {
		return failing(missed), err
	}
	e.Tool, e.At = reply.Tool, reply.At
	return nil, nil
}

func (f *failed) String() string {
	if f == nil {
		return ""
	}
	return f.text
}

func typeOf(answer json.RawMessage) string {
	v, err := decode(answer)
	if err != nil {
		return "text"
	}
	return kindOf(v)
}

// checkDocument holds a document to what an arena's tool must be, and to telling nothing.
func (b *builder) checkDocument(r *documentReply) error {
	if _, err := documented(&r.Tool); err != nil {
		return ask.Misread("document", "%v", err)
	}
	if len(required(r.Tool.Input)) == 0 {
		return ask.Misread("document", "the tool needs a required parameter: what it tells must depend on what it is asked")
	}
	if !plainPointer.MatchString(r.At) {
		return ask.Misread("document", `"at" must be a JSON Pointer to the answer in the tool's output, such as "/price"`)
	}
	for i := range b.draft.Instance.Nodes {
		n := &b.draft.Instance.Nodes[i]
		if where := r.Tool.tells(n.Answer); where != "" {
			return ask.Misread("leak", "the document tells the answer of a sub-question, in %s: describe the tool for all who use it, with values of no question", where)
		}
	}
	return nil
}

func required(schema json.RawMessage) []string {
	var s struct {
		Required []string `json:"required"`
	}
	if json.Unmarshal(schema, &s) != nil {
		return nil
	}
	return s.Required
}

type callAsked struct {
	Step         string      `json:"step"`
	MainQuestion string      `json:"main_question"`
	Question     string      `json:"question"`
	Parents      []shownNode `json:"parents,omitempty"`
	Tool         Document    `json:"tool"`
	Feedback     string      `json:"feedback,omitempty"`
}

type callReply struct {
	Analysis   string          `json:"analysis"`
	Args       json.RawMessage `json:"args"`
	Impossible string          `json:"impossible"`
}

func (b *builder) call(ctx context.Context, n *synth.Node, e *Environment, try int, last *failed) (*failed, error) {
	asked := callAsked{Step: "call", MainQuestion: b.draft.Instance.Question, Question: n.Question, Tool: e.Tool, Feedback: last.String()}
	for _, p := range n.DependsOn {
		parent := b.draft.Instance.Node(p)
		asked.Parents = append(asked.Parents, shownNode{parent.ID, parent.Question, parent.Answer, append([]string{}, parent.DependsOn...)})
	}
	q, f := b.question(n, "call", asked, try)
	if f != nil {
		return f, nil
	}
	reply, missed, err := askModel(ctx, b.Author, &b.draft.Spent, q, func(r *callReply) error {
		if r.Impossible != "" {
			return nil
		}
		return b.checkCall(n, e, r.Args)
	})
	if missed != nil || err != nil {
		return failing(missed), err
	}
	if reply.Impossible != "" {
		return fault("impossible call", "the tool %s could not be called for the question: %s", e.Tool.Name, reply.Impossible), nil
	}
	e.Args = ask.Compact(reply.Args)
	return nil, nil
}

// checkCall wants arguments that fit the document and hold the answer of every parent, in
// an argument that must be given.
func (b *builder) checkCall(n *synth.Node, e *Environment, args json.RawMessage) error {
	tool, err := documented(&e.Tool)
	if err != nil {
		return err
	}
	given := object(args)
	if given == nil {
		return ask.Misread("call", `"args" must be an object of arguments`)
	}
	if err := tool.CheckArgs(args); err != nil {
		return ask.Misread("call", "the arguments do not fit the tool: %v", err)
	}
	needed := required(e.Tool.Input)
	for _, p := range n.DependsOn {
		answer := b.draft.Instance.Node(p).Answer
		if !slices.ContainsFunc(needed, func(key string) bool { return uses(given[key], answer) }) {
			return ask.Misread("call", "no required argument has the answer of the parent %s, which is %s: the tool must be asked with it, as it is", p, ask.Clip(string(answer), 200))
		}
	}
	return nil
}

// uses reports whether an argument has an answer in it, or a part of it.
func uses(arg any, answer json.RawMessage) bool {
	v, err := decode(answer)
	if err != nil {
		return false
	}
	for _, r := range references("", v) {
		if holds(arg, r.value) {
			return true
		}
	}
	return false
}

// holds reports whether a value is another, or has it somewhere in it.
func holds(v, part any) bool {
	if sameValue(part, v) {
		return true
	}
	switch v := v.(type) {
	case []any:
		return slices.ContainsFunc(v, func(x any) bool { return holds(x, part) })
	case map[string]any:
		return slices.ContainsFunc(sortedKeys(v), func(k string) bool { return holds(v[k], part) })
	}
	return false
}

type codeAsked struct {
	Step     string          `json:"step"`
	Runtime  string          `json:"runtime"`
	Tool     Document        `json:"tool"`
	At       string          `json:"at"`
	Question string          `json:"question"`
	Args     json.RawMessage `json:"args"`
	Answer   json.RawMessage `json:"answer"`
	Others   int             `json:"others"`
	Try      int             `json:"try"`
	Previous *codeReply      `json:"previous,omitempty"`
	Feedback string          `json:"feedback,omitempty"`
}

type codeReply struct {
	Analysis string          `json:"analysis,omitempty"`
	Code     string          `json:"code"`
	Data     json.RawMessage `json:"data"`
	Others   []Sample        `json:"others"`
}

// What code may be.
const (
	maxCode = 64 << 10
	maxData = 256 << 10
)

func (r *codeReply) check() error {
	switch {
	case r.Code == "" || len(r.Code) > maxCode:
		return ask.Misread("code", "the code has %d bytes: want 1 to %d", len(r.Code), maxCode)
	case r.Data == nil || len(r.Data) > maxData:
		return ask.Misread("code", "the data has %d bytes: want JSON of 1 to %d", len(r.Data), maxData)
	}
	return nil
}

// deploy has code written until the sandbox finds nothing wrong with it.
func (b *builder) deploy(ctx context.Context, n *synth.Node, e *Environment, outer int) (*failed, error) {
	asked := codeAsked{Step: "code", Runtime: string(b.runtime.Kind()), Tool: e.Tool, At: e.At, Question: n.Question, Args: e.Args, Answer: n.Answer, Others: b.opts.Entities}
	var last *failed
	for try := range b.opts.CodeTries {
		asked.Try = try + 1
		q, f := b.question(n, "code", asked, outer, try)
		if f != nil {
			return f, nil
		}
		reply, missed, err := askModel(ctx, b.Author, &b.draft.Spent, q, (*codeReply).check)
		if missed != nil || err != nil {
			return failing(missed), err
		}
		e.Code, e.Data, e.Others = reply.Code, ask.Compact(reply.Data), reply.Others
		f, err = b.try(ctx, e, n.Answer)
		if f == nil || err != nil {
			return nil, err
		}
		if last != nil && last.text == f.text && try > 1 {
			return f, nil // it does not learn from what it is told
		}
		last = f
		reply.Analysis = ""
		asked.Previous, asked.Feedback = reply, f.text
	}
	return last, nil
}
