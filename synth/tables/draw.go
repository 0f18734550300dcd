package tables

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/synth"
)

// A wish is what a task is to be like.
type wish struct {
	Scenario synth.Scenario
	Hops     int // sub-questions, about
	Language synth.Language
	Writes   bool
}

// mix draws wishes in the proportions of the paper's data (ASTRA A.1.2): scenario types,
// hops with a mean of 4.4 up to 20, and 28.8 % Chinese.
type mix struct {
	rng       *rand.Rand
	languages []synth.Language
	writes    float64
}

type scenarioShare struct {
	scenario synth.Scenario
	share    float64
	hops     []int // as likely as each other
}

var scenarioShares = []scenarioShare{
	{synth.ParallelMultiHop, 0.478, []int{3, 3, 4, 4, 5, 5, 5, 6, 7, 7, 8, 9, 11, 13, 15, 17, 19, 20}},
	{synth.MultiHop, 0.348, []int{2, 2, 3, 3, 3, 4, 4, 5}},
	{synth.ParallelSingleHop, 0.106, []int{2, 2, 3, 3, 4, 5}},
	{synth.SingleHop, 0.068, []int{1}},
}

const chineseShare = 0.288

func (m *mix) wish() wish {
	w := wish{Language: m.languages[0], Writes: m.rng.Float64() < m.writes}
	if len(m.languages) > 1 && m.rng.Float64() < chineseShare {
		w.Language = m.languages[1]
	}
	at := m.rng.Float64()
	for _, s := range scenarioShares {
		if w.Scenario, w.Hops = s.scenario, pick(m.rng, s.hops); at < s.share {
			break
		}
		at -= s.share
	}
	if w.Writes && w.Scenario != synth.ParallelMultiHop { // a deed is found before it is done
		w.Scenario, w.Hops = synth.MultiHop, max(w.Hops, 2)
	}
	return w
}

// A drawn task, before it has a place in an arena.
type drawn struct {
	Instance *synth.Instance `json:"instance"`
	Task     *astra.Task     `json:"task"`
	Attempts int             `json:"attempts"`
	Why      map[string]int  `json:"why,omitempty"` // earlier attempts were thrown away
}

// maxAttempts bounds the drawing of one task.
const maxAttempts = 500

// draw draws until a task is as wished, and no answer of it comes out by accident.
func (a *arena) draw(rng *rand.Rand, w wish) synth.Result[drawn] {
	out := drawn{Why: map[string]int{}}
	why := ""
	for out.Attempts = 1; out.Attempts <= maxAttempts; out.Attempts++ {
		d := &drawer{rng: rng, lang: w.Language, say: grammarOf(w.Language, rng), tables: a.tables, tools: a.tools, now: a.now,
			chain: w.Scenario == synth.MultiHop, used: map[string]bool{}, those: map[*Table]bool{}}
		if out.Task, out.Instance, why = a.attempt(d, w); why == "" {
			return synth.Passed(out)
		}
		if out.Why[why]++; out.Attempts%patience == 0 {
			w = softer(rng, w)
		}
	}
	out.Task, out.Instance = nil, nil
	return synth.Result[drawn]{Verdict: synth.Fail, Reason: why, Detail: fmt.Sprintf("%s of %d sub-questions", w.Scenario, w.Hops), Value: out}
}

// patience is how many attempts a wish is worth.
const patience = 100

// softer is a wish that more tables can grant: of another length, at last of another shape.
func softer(rng *rand.Rand, w wish) wish {
	i := slices.IndexFunc(scenarioShares, func(s scenarioShare) bool { return s.scenario == w.Scenario })
	if w.Hops <= scenarioShares[i].hops[0] && !w.Writes {
		i = (i + 1) % len(scenarioShares)
	}
	w.Scenario, w.Hops = scenarioShares[i].scenario, scenarioShares[i].hops[rng.IntN(min(3, len(scenarioShares[i].hops)))]
	return w
}

// attempt draws once; why is the reason for throwing it away.
func (a *arena) attempt(d *drawer, w wish) (*astra.Task, *synth.Instance, string) {
	var task *astra.Task
	var body string
	var answer any
	var ok bool
	switch {
	case w.Writes:
		task, body, ok = a.write(d, w)
		answer = done
	case w.Scenario == synth.ParallelSingleHop:
		task, body, answer, ok = a.parallel(d, w)
	default:
		task, body, answer, ok = a.question(d, w.Hops)
	}
	if !ok {
		return nil, nil, "nothing to ask that works out"
	}
	in := d.plan.instance(w.Language, a.domain, "", answer)
	switch {
	case len(d.plan.nodes) == 0 || !in.Layer() || in.Scenario != w.Scenario:
		return nil, nil, "another scenario type"
	case len(in.Nodes) > w.Hops+1 || len(in.Nodes) < w.Hops-2 || len(in.Nodes) < 1:
		return nil, nil, "another number of hops"
	}
	if why := d.plan.accident(d.rng); why != "" {
		return nil, nil, why
	}
	in.Question = d.say.frame(d.rng, a.topic[string(w.Language)], d.say.paragraph(d.preface, body))
	a.fill(task, &d.plan, in)
	if a.leaks(task, &d.plan, in) {
		return nil, nil, "an answer stands in the prompt or a document"
	}
	in.ID = in.StableID()
	task.ID = taskName(in)
	return task, in, ""
}

func taskName(in *synth.Instance) string {
	words := map[synth.Scenario]string{synth.SingleHop: "single", synth.ParallelSingleHop: "several", synth.MultiHop: "chain", synth.ParallelMultiHop: "web"}
	return fmt.Sprintf("%s-%d-%s", words[in.Scenario], len(in.Nodes), in.ID[:10])
}

// question asks for one thing.
func (a *arena) question(d *drawer, hops int) (*astra.Task, string, any, bool) {
	o, ask, compare, ok := d.one(hops)
	if !ok {
		return nil, "", nil, false
	}
	return &astra.Task{Answer: &astra.Answer{Expected: json.RawMessage(encode(o.value)), Compare: compare}}, ask, o.value, true
}

// one draws something to ask for, and the question.
func (d *drawer) one(hops int) (o operand, ask string, compare *astra.Compare, ok bool) {
	switch d.rng.IntN(5) {
	case 0:
		t := pick(d.rng, d.tables)
		if o, ok = d.entity(t, hops); !ok || o.from == nil {
			return o, "", nil, false
		}
		return o, d.say.ask(askRow, t, nil, o.np), nil, true
	case 1:
		var t *Table
		if o, t, ok = d.list(hops); !ok {
			return o, "", nil, false
		}
		if d.plan.nodes[o.from.node].tool.op != opTop {
			compare = &astra.Compare{As: "set"}
		}
		return o, d.say.ask(askList, t, nil, o.np), compare, true
	case 2:
		o, ok = d.attribute(hops, func(c *Column) bool { return c.Kind == Text || c.Kind == Date })
		kind := askText
		if ok && isDate(asText(o.value)) {
			kind = askDate
		}
		if !ok {
			return o, "", nil, false
		}
		return o, d.say.ask(kind, nil, nil, o.np), nil, true
	}
	if o, ok = d.number(hops); !ok || o.from == nil {
		return o, "", nil, false
	}
	ask = d.say.ask(askNumber, nil, nil, o.np)
	if v := o.value.(float64); v != float64(int64(v)) {
		if v > -1 && v < 1 { // two decimals say too little
			return o, "", nil, false
		}
		ask += d.say.rounded()
		compare = &astra.Compare{Tolerance: 0.0051}
	}
	return o, ask, compare, true
}

// parallel asks for several things that have nothing to do with each other.
func (a *arena) parallel(d *drawer, w wish) (*astra.Task, string, any, bool) {
	var questions []string
	var answers []any
	for range w.Hops {
		o, ask, compare, ok := d.one(1)
		if _, isList := o.value.([]any); !ok || isList || compare != nil {
			return nil, "", nil, false
		}
		questions, answers = append(questions, ask), append(answers, o.value)
	}
	return &astra.Task{Answer: &astra.Answer{Expected: json.RawMessage(encode(answers))}}, d.say.several(questions), answers, true
}

// write asks for something to be done, most often with what must be looked up first.
func (a *arena) write(d *drawer, w wish) (*astra.Task, string, bool) {
	if a.desk == nil {
		return nil, "", false
	}
	records := a.desk.records(d.rng, a.now)
	if len(records) == 0 {
		return nil, "", false
	}
	v := pick(d.rng, []verb{verbCreate, verbCreate, verbMove, verbChange, verbTransfer, verbCancel})
	deed, ok := a.desk.deed(d, v, records, w.Hops)
	if !ok {
		return nil, "", false
	}
	task := &astra.Task{Scenario: json.RawMessage(encode(a.desk.scenario(records))), Verify: map[string]string{"same_end": "state == gold.state"}}
	return task, d.say.act(a.desk, deed), true
}

// particular finds a given row, named by its title.
func (d *drawer) particular(t *Table, row int) (operand, bool) {
	tools := d.of(t, opFind)
	if len(tools) == 0 || t.Rows[row][t.Title] == nil || !d.mention(t.Rows[row][t.Title]) {
		return operand{}, false
	}
	name := asText(t.Rows[row][t.Title])
	return d.call(tools[0], "/"+t.Columns[t.Key].Name, d.say.called(t, name), 0, known("name", name))
}

// fill completes a task: turns, sub-tasks, gold, view, budget.
func (a *arena) fill(task *astra.Task, p *plan, in *synth.Instance) {
	task.Turns = []astra.TaskTurn{{Prompt: in.Question}}
	task.Title = ""
	var gold []astra.GoldCall
	for i, n := range p.nodes {
		gold = append(gold, astra.GoldCall{Tool: n.tool.name, Args: n.gold()})
		sub := astra.Subtask{ID: fmt.Sprintf("s%d", i+1), Question: n.asks, Tool: n.tool.name}
		if n.solved != "" {
			sub.Solved = n.solved
		} else {
			sub.Answer, sub.At = json.RawMessage(encode(n.answer)), n.at
		}
		for _, parent := range n.parents {
			sub.DependsOn = append(sub.DependsOn, fmt.Sprintf("s%d", parent+1))
		}
		task.Subtasks = append(task.Subtasks, sub)
	}
	task.Gold = [][]astra.GoldCall{gold}
	task.Difficulty = float64(len(gold))
	task.Budget = &astra.Budget{Calls: 2*len(gold) + 6}
	task.Tools = a.view(p, in)
	if task.Answer != nil {
		task.Weights = map[string]float64{"f1": 0.8, "answer": 0.2}
	}
	task.Split = splitOf(in)
}

// splitOf puts eight tasks of ten into training, by what they ask.
func splitOf(in *synth.Instance) astra.Split {
	switch synth.Rand(0, "split", in.Question).IntN(10) {
	case 8:
		return astra.SplitValidation
	case 9:
		return astra.SplitTest
	}
	return astra.SplitTrain
}

// viewSpare is how many tools beside those of the gold calls an agent sees.
const viewSpare = 6

// view is the tools that an agent sees: those it needs and some others, in the arena's order.
func (a *arena) view(p *plan, in *synth.Instance) []string {
	need := map[string]bool{}
	for _, n := range p.nodes {
		need[n.tool.name] = true
	}
	rng := synth.Rand(0, "view", in.Question)
	all := a.all()
	for spare := 0; spare < viewSpare && len(need) < len(all); {
		if t := pick(rng, all); !need[t.name] {
			need[t.name] = true
			spare++
		}
	}
	var view []string
	for _, t := range all {
		if need[t.name] {
			view = append(view, t.name)
		}
	}
	return view
}

// leaks reports whether an answer can be read: in the prompt, or in a document in view.
func (a *arena) leaks(task *astra.Task, p *plan, in *synth.Instance) bool {
	text := in.Question
	for _, t := range a.all() {
		text += " \n " + t.doc + " " + t.title + " " + string(t.schema())
	}
	text = words(text)
	for _, n := range p.nodes {
		if n.solved != "" {
			continue
		}
		for _, v := range leaves(n.answer) {
			if w := words(strings.TrimPrefix(asText(v), "-")); len(w) > 3 && strings.Contains(text, w) {
				return true
			}
		}
	}
	return false
}

// leaves are the texts and numbers of an answer.
func leaves(v any) []any {
	switch v := v.(type) {
	case []any:
		var all []any
		for _, x := range v {
			all = append(all, leaves(x)...)
		}
		return all
	case object:
		var all []any
		for _, k := range sortedKeys(v) {
			all = append(all, leaves(v[k])...)
		}
		return all
	}
	return []any{v}
}

// words is text as its words in small letters, apart by single spaces.
func words(s string) string {
	return " " + strings.Join(strings.FieldsFunc(strings.ToLower(s), func(r rune) bool {
		return strings.ContainsRune(" \t\r\n\"'`,.;:!?()[]{}<>“”‘’，。；：！？（）「」、", r)
	}), " ") + " "
}
