package authortest

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
)

type object = map[string]any

// A kind is one kind of sub-question, known by how it begins, with the tool that answers it.
type kind struct {
	en, zh string   // how its sub-questions begin
	name   string   // of the tool
	needs  []string // required parameters
	gives  string   // the field that answers
	adds   bool     // it calculates: the sum of its parameters, or twice its only one
	free   bool     // it needs no tool
}

var kinds = []kind{
	{en: "Which record covers", zh: "哪条记录涵盖", name: "find_record", needs: []string{"topic"}, gives: "record"},
	{en: "What does that record charge", zh: "该记录收取多少", name: "record_amount", needs: []string{"record"}, gives: "amount"},
	{en: "What surcharge has that record", zh: "该记录附加多少", name: "record_surcharge", needs: []string{"record"}, gives: "surcharge"},
	{en: "What does the outbound part cost", zh: "去程部分多少钱", name: "part_price", needs: []string{"part", "topic"}, gives: "price"},
	{en: "What does the return part cost", zh: "返程部分多少钱", name: "part_price", needs: []string{"part", "topic"}, gives: "price"},
	{en: "What do both come to", zh: "两者合计多少", name: "add_amounts", needs: []string{"first", "second"}, gives: "total", adds: true},
	{en: "What is twice that amount", zh: "该数额的两倍", name: "double_amount", needs: []string{"amount"}, gives: "total", adds: true},
	{en: "Is that amount worth mentioning", zh: "该数额是否值得一提", free: true},
}

func kindOf(question string) *kind {
	for i := range kinds {
		if strings.HasPrefix(question, kinds[i].en) || strings.HasPrefix(question, kinds[i].zh) {
			return &kinds[i]
		}
	}
	return nil
}

// kindOfTool is by the required parameters and the field that answers: names may change.
func kindOfTool(tool object) *kind {
	name := text(tool["name"])
	for i := range kinds {
		if kinds[i].name != "" && strings.HasPrefix(name, kinds[i].name) {
			return &kinds[i]
		}
	}
	return nil
}

func text(v any) string { s, _ := v.(string); return s }

func dice(parts ...any) *rand.Rand {
	h := sha256.Sum256([]byte(fmt.Sprint(parts...)))
	return rand.New(rand.NewPCG(binary.BigEndian.Uint64(h[:]), 1))
}

// competent is the answer of a good author.
func competent(a *Asked) string {
	d := a.Document
	switch a.Step {
	case "instance":
		return a.server.remember(instance(d))
	case "necessity":
		return each(d, func(q object) object {
			return object{"tool": !kindOf(text(q["question"])).free, "reason": "by its kind"}
		})
	case "dependency", "atomicity":
		return each(d, func(object) object { return object{"verdict": "yes", "reason": "it is"} })
	case "serialisation":
		return `{"problems":[],"unsure":[]}`
	case "completeness":
		return `{"verdict":"yes","reason":"all is there"}`
	case "document":
		return document(d)
	case "scaling":
		return scaled(d["draft"].(object))
	case "call":
		return call(d)
	case "code":
		return code(d)
	case "clusters":
		return clusters(d)
	case "insertion":
		return insertion(d)
	case "plan": // of tools that only their arena's author knows
		return `{}`
	}
	a.server.t.Errorf("a step that no author has: %q", a.Step)
	return "{}"
}

func (s *Server) remember(instance object) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range instance["sub_questions"].([]object) {
		s.answers[text(n["question"])] = json.RawMessage(marshal(n["answer"]))
	}
	return marshal(instance)
}

func each(d object, f func(object) object) string {
	all := []any{}
	for _, q := range d["sub_questions"].([]any) {
		r := f(q.(object))
		r["id"] = q.(object)["id"]
		all = append(all, r)
	}
	return marshal(object{"sub_questions": all})
}

// topic is what of a question the tools are asked by.
func topic(question string) string {
	if words := strings.Fields(question); len(words) > 3 {
		return strings.Join(words[:min(len(words), 8)], " ")
	}
	r := []rune(question)
	return string(r[:min(len(r), 12)])
}

// instance makes one by template: which, and with what values, follows from the source.
func instance(d object) object {
	chinese := text(d["language"]) == "zh"
	rng := dice(d["question"], d["domain"], d["corpus"], d["path"], d["sample"])
	question := text(d["question"])
	if question == "" {
		question = fmt.Sprintf("For case %d in %s, what do we owe in the end, everything included?", 1000+rng.IntN(9000), text(d["domain"]))
		if chinese {
			question = fmt.Sprintf("关于%s的第%d号事项，全部算上我们最终应付多少？", text(d["domain"]), 1000+rng.IntN(9000))
		}
	}
	record, amount, more := fmt.Sprintf("K%d-%04d", 10+rng.IntN(90), rng.IntN(10000)), money(rng), money(rng)
	b := &shaper{chinese: chinese, about: topic(question)}
	switch dice("shape", question).IntN(4) {
	case 0:
		b.node(0, record)
		b.node(1, amount, "1")
		b.node(6, 2*amount, "2")
	case 1:
		b.node(3, amount)
		b.node(4, more)
		b.node(5, amount+more, "1", "2")
	case 2:
		b.node(0, record)
		b.node(1, amount, "1")
		b.node(2, more, "1")
		b.node(5, amount+more, "2", "3")
	case 3:
		b.node(0, record)
		b.node(1, amount, "1")
		b.node(6, 2*amount, "2")
		b.node(7, "indeed it is", "2")
	}
	return object{"main_question": question, "final_answer": b.final, "scenario_type": b.scenario(), "sub_questions": b.nodes}
}

// money has two binary digits after the point, so that sums are exact.
func money(rng *rand.Rand) float64 {
	return 1000 + float64(rng.IntN(8000)) + 0.25*float64(1+rng.IntN(3))
}

type shaper struct {
	chinese bool
	about   string
	nodes   []object
	levels  []int
	final   any
}

func (b *shaper) node(kind int, answer any, parents ...string) {
	level := 1
	for _, p := range parents {
		level = max(level, b.levels[p[0]-'1']+1)
	}
	question := fmt.Sprintf("%s for “%s”?", kinds[kind].en, b.about)
	if b.chinese {
		question = fmt.Sprintf("%s（“%s”）？", kinds[kind].zh, b.about)
	}
	if parents == nil {
		parents = []string{}
	}
	if !kinds[kind].free {
		b.final = answer
	}
	b.levels = append(b.levels, level)
	b.nodes = append(b.nodes, object{"id": fmt.Sprint(len(b.nodes) + 1), "question": question, "answer": answer, "depends_on": parents, "hop_level": level})
	for i := range b.nodes {
		b.nodes[i]["parallel"] = b.width(b.levels[i]) > 1
	}
}

func (b *shaper) width(level int) (n int) {
	for _, l := range b.levels {
		if l == level {
			n++
		}
	}
	return n
}

func (b *shaper) scenario() string {
	for _, l := range b.levels {
		if b.width(l) > 1 {
			return "Parallel Multi-Hop"
		}
	}
	return "Multi-Hop"
}
