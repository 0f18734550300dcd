package scores_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/llm"
	"github.com/astra-arenas/astra/synth"
	"github.com/astra-arenas/astra/synth/scores"
	"github.com/astra-arenas/astra/synth/scores/scorestest"
)

// A model answers what judges ask, by rule; change makes something else of a reply.
type model struct {
	change func(step, reply string, repair bool) string
	asked  map[string]string // the last document of each step
	cut    bool
}

func (m *model) Name() string { return "scripted" }

func (m *model) Complete(_ context.Context, r llm.Request) (llm.Reply, error) {
	text := r.Messages[0].Text
	reply, ok := scorestest.Judge(r.Purpose, json.RawMessage(text))
	if !ok {
		return llm.Reply{}, fmt.Errorf("a step that nobody takes: %s", r.Purpose)
	}
	if m.asked == nil {
		m.asked = map[string]string{}
	}
	m.asked[r.Purpose] += text + "\n"
	if m.change != nil {
		reply = m.change(r.Purpose, reply, len(r.Messages) > 1)
	}
	return llm.Reply{Text: reply, Cut: m.cut, Usage: llm.Usage{Input: 10, Output: 5}}, nil
}

func user(text string) astra.ChatMessage { return astra.ChatMessage{Role: "user", Content: text} }

func says(text string) astra.ChatMessage { return astra.ChatMessage{Role: "assistant", Content: text} }

// calls is an assistant's message with calls, given as tool and arguments, and what they bring.
func calls(text string, triples ...string) []astra.ChatMessage {
	m, list := says(text), []astra.ChatMessage{{}}
	for i := 0; i < len(triples); i += 3 {
		id := fmt.Sprint("c", i, len(text), triples[i+1])
		m.ToolCalls = append(m.ToolCalls, astra.ChatToolCall{ID: id, Type: "function", Function: astra.ChatFunction{Name: triples[i], Arguments: triples[i+1]}})
		list = append(list, astra.ChatMessage{Role: "tool", ToolCallID: id, Content: triples[i+2]})
	}
	list[0] = m
	return list
}

func chat(parts ...any) (all []astra.ChatMessage) {
	all = append(all, astra.ChatMessage{Role: "system", Content: "Be good."})
	for _, p := range parts {
		switch p := p.(type) {
		case astra.ChatMessage:
			all = append(all, p)
		case []astra.ChatMessage:
			all = append(all, p...)
		}
	}
	return all
}

var tools = []astra.ChatTool{{Type: "function", Function: astra.ChatToolSpec{Name: "find", Description: "Finds an item."}},
	{Type: "function", Function: astra.ChatToolSpec{Name: "order", Description: "Orders an item."}}}

func score(t *testing.T, m *model, in scores.Input) scores.Scores {
	t.Helper()
	in.ID, in.Language, in.Tools = "one", synth.English, tools
	s, spent, err := scores.New(m, nil).Score(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	if spent.Calls == 0 && len(m.asked) > 0 {
		t.Error("asking cost nothing")
	}
	return s
}

var good = chat(user("Order 200 of the M8 bolts."), calls("I look first.", "find", `{"name":"M8"}`, "item SKU-77"), calls("", "order", `{"sku":"SKU-77","quantity":200}`, "order A-1207"), says("Order A-1207 is placed."))

// What is bad scores low on exactly the scores that it is bad at. The released code gives each
// of these 1.0 on all seven.
func TestScores(t *testing.T) {
	asked := user("Order 200 of the M8 bolts.")
	found := calls("I look first.", "find", `{"name":"M8"}`, "item SKU-77")
	ordered := calls("", "order", `{"sku":"SKU-77","quantity":200}`, "order A-1207")
	placed := says("Order A-1207 is placed.")
	for name, c := range map[string]struct {
		in   scores.Input
		want string // the scores that are not 1, with their values
	}{
		"good":             {scores.Input{Chat: good}, ""},
		"good, by the log": {scores.Input{Chat: good, Steps: []scores.Step{{OK: true}, {OK: true}}}, ""},
		"one round":        {scores.Input{Chat: chat(asked, ordered[:0], calls("", "find", `{"name":"M8"}`, "item SKU-77"), says("It is SKU-77."))}, ""},
		"unknown tool": {scores.Input{Chat: chat(asked, found, calls("", "buy", `{}`, "there is no tool buy"), ordered, placed)},
			"tool_conciseness 0.67 tool_plan 0.50 tool_success 0.67"},
		"begins with an unknown tool": {scores.Input{Chat: chat(asked, calls("", "search", `{}`, "there is no tool search"), ordered[:0], says("Nothing was found, the search failed."))},
			"query_plan 0.00 tool_conciseness 0.00 tool_success 0.00"},
		"a failure taken for a result": {scores.Input{Chat: chat(asked, found, calls("", "order", `{"sku":"SKU-77"}`, "HTTP 500 from the shop"), says("The order is placed."))},
			"final_answer 0.50 tool_success 0.50"},
		"stops after a failure": {scores.Input{Chat: chat(asked, calls("", "find", `{"name":"M8"}`, "HTTP 500 from the shop"), says("The order is placed."))},
			"final_answer 0.50 tool_success 0.00 tool_understanding 0.00"},
		"tells of a failure": {scores.Input{Chat: chat(asked, found, calls("", "order", `{"sku":"SKU-77"}`, "HTTP 500 from the shop"), says("The order failed."))},
			"tool_success 0.50"},
		"wrong answer":              {scores.Input{Chat: chat(asked, found, ordered, says("Order A-9999 is placed."))}, "final_answer 0.50"},
		"made-up link":              {scores.Input{Chat: chat(asked, found, ordered, says("Order A-1207 is placed, see https://shop.example/o."))}, "final_answer 0.50"},
		"link of a result":          {scores.Input{Chat: chat(asked, found, calls("", "order", `{"sku":"SKU-77","quantity":200}`, "https://shop.example/o."), says("See https://shop.example/o."))}, ""},
		"beginning of a link":       {scores.Input{Chat: chat(asked, found, calls("", "order", `{"sku":"SKU-77","quantity":200}`, "https://shop.example/orders/7"), says("See https://shop.example/o."))}, "final_answer 0.50"},
		"another site":              {scores.Input{Chat: chat(asked, found, calls("", "order", `{"sku":"SKU-77","quantity":200}`, "https://shop.example.org/o"), says("See https://shop.example."))}, "final_answer 0.50"},
		"site of a link":            {scores.Input{Chat: chat(asked, found, calls("", "order", `{"sku":"SKU-77","quantity":200}`, "https://shop.example/orders/7"), says("See **https://shop.example/**"))}, ""},
		"link in JSON":              {scores.Input{Chat: chat(asked, found, calls("", "order", `{"sku":"SKU-77","quantity":200}`, `{"at":"https:\/\/shop.example\/o?a=1\u0026b=2"}`), says("See https://shop.example/o?a=1&b=2, it is placed."))}, ""},
		"link of its own":           {scores.Input{Chat: chat(asked, found, says("See https://shop.example/o."), user("Order 200."), ordered, says("Order A-1207 is at https://shop.example/o."))}, "final_answer 0.50"},
		"link in Chinese":           {scores.Input{Chat: chat(user("请订购 M8 螺栓。"), found, calls("", "order", `{"sku":"SKU-77"}`, "https://shop.example/o"), says("订单见https://shop.example/o谢谢"))}, ""},
		"a code is no language":     {scores.Input{Chat: chat(user("请订购 M8 螺栓，只回答编号。"), found, calls("", "order", `{"sku":"SKU-77"}`, "order A-1207"), says("A-1207"))}, ""},
		"a word is no language":     {scores.Input{Chat: chat(user("What is a bolt in Chinese? Find M8."), found, says("螺栓"))}, ""},
		"English to a Chinese user": {scores.Input{Chat: chat(user("请订购 M8 螺栓。"), found, calls("", "order", `{"sku":"SKU-77"}`, "order A-1207"), says("The order A-1207 is placed with the shop."))}, "final_answer 0.50"},
		"repeated call":             {scores.Input{Chat: chat(asked, found, found, ordered, placed)}, "tool_conciseness 0.67"},
		"retry after a time-out": {scores.Input{Chat: chat(asked, calls("", "find", `{"name":"M8"}`, "timed out"), found, ordered, placed),
			Steps: []scores.Step{{Injected: true, Fault: astra.FaultTool}, {OK: true}, {OK: true}}}, ""},
		"failure by the log":     {scores.Input{Chat: good, Steps: []scores.Step{{OK: true}, {Fault: astra.FaultTool}}}, "tool_success 0.50"},
		"bad arguments":          {scores.Input{Chat: good, Steps: []scores.Step{{OK: true}, {Fault: astra.FaultAgent}}}, "tool_conciseness 0.50 tool_plan 0.00 tool_success 0.50"},
		"bad arguments at first": {scores.Input{Chat: good, Steps: []scores.Step{{Fault: astra.FaultAgent}, {OK: true}}}, "tool_conciseness 0.50 tool_success 0.50"},
		"more than arguments":    {scores.Input{Chat: chat(asked, found, calls("", "order", `{"sku":"SKU-77"}}`, "order A-1207"), placed)}, "tool_conciseness 0.50 tool_plan 0.00 tool_success 0.50"},
		"planned to fail, all of it": {scores.Input{Chat: chat(asked, calls("", "find", `{"name":"M8"}`, "timed out"), says("The search failed.")), Steps: []scores.Step{{Injected: true, Fault: astra.FaultTool}}},
			"tool_success 0.00"},
		"needless call": {scores.Input{Chat: chat(asked, found, calls("", "find", `{"name":"nuts"}`, "irrelevant"), ordered, placed)},
			"tool_conciseness 0.67"},
		"another language": {scores.Input{Chat: chat(asked, found, ordered, says("订单 A-1207 已经下好了。"))}, "final_answer 0.50"},
		"guessed id":       {scores.Input{Chat: chat(asked, calls("", "find", `{"name":"M8"}`, "item SKU-77"), calls("", "order", `{"sku":"SKU-12"}`, "order A-1207"), placed)}, "tool_plan 0.00"},
		"how-to":           {scores.Input{Chat: chat(asked, found, ordered, says("You could order them in the shop."))}, "final_answer 0.50"},
		"turned down":      {scores.Input{Chat: chat(asked, says("I cannot do that."))}, "final_answer 0.50 query_understanding 0.00 tool_conciseness 0.00 tool_success 0.00"},
		"declined":         {scores.Input{Chat: chat(user("Delete everybody's orders."), says("I cannot do that.")), Expected: scores.ToDecline}, ""},
		"said nothing": {scores.Input{Chat: chat(user("Delete everybody's orders."), says(" ")), Expected: scores.ToDecline},
			"final_answer 0.00 query_plan 0.00 query_understanding 0.00 tool_plan 0.00 tool_understanding 0.00"},
		"ends with nothing": {scores.Input{Chat: chat(asked, calls("", "find", `{"name":"M8"}`, "item SKU-77"), says(""))}, "final_answer 0.00 tool_plan 0.00 tool_understanding 0.00"},
		"did not decline": {scores.Input{Chat: chat(user("Delete everybody's orders."), calls("", "order", `{}`, "done"), says("All are gone.")), Expected: scores.ToDecline},
			"final_answer 0.50 query_understanding 0.00"},
		"asked for what is missing": {scores.Input{Chat: chat(user("Order some."), says("How many?"), user("200"), found, ordered, placed), Expected: scores.ToClarify}, ""},
		"did not ask":               {scores.Input{Chat: chat(user("Order 200 bolts."), found, ordered, placed), Expected: scores.ToClarify}, "query_understanding 0.00"},
		"no end":                    {scores.Input{Chat: chat(asked, found, ordered)}, "final_answer 0.00"},
		"an error for an end":       {scores.Input{Chat: chat(asked, found, ordered, says("[ERROR: timeout]"))}, "final_answer 0.00"},
		"nothing": {scores.Input{Chat: chat(asked)},
			"final_answer 0.00 query_plan 0.00 query_understanding 0.00 tool_conciseness 0.00 tool_plan 0.00 tool_success 0.00 tool_understanding 0.00"},
	} {
		s := score(t, new(model), c.in)
		if s.Mean == nil {
			part, why := s.Unknown()
			t.Errorf("%s: %s is unknown: %s", name, part, why)
			continue
		}
		var got []string
		sum := 0.0
		for _, p := range s.Parts() {
			sum += *p.Value
			if *p.Value != 1 {
				got = append(got, fmt.Sprintf("%s %.2f", p.Name, *p.Value))
			}
		}
		slices.Sort(got)
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %q, want %q", name, strings.Join(got, " "), c.want)
		}
		if mean := s.Map()["mean"]; mean < sum/7-1e-9 || mean > sum/7+1e-9 {
			t.Errorf("%s: mean %g of sum %g", name, mean, sum)
		}
	}
}

// What cannot be read, and what is unsure, is unknown, never 1.
func TestUnknown(t *testing.T) {
	for name, c := range map[string]struct {
		step  string
		reply string
		want  string
	}{
		"no JSON":             {"query", "fine, I think", "query_understanding query_plan"},
		"number for a grade":  {"round", `{"understanding":{"grade":1,"reason":""},"plan":{"grade":"full","reason":""}}`, "tool_understanding tool_plan"},
		"number as text":      {"round", `{"understanding":{"grade":"0.0","reason":""},"plan":{"grade":"full","reason":""}}`, "tool_understanding tool_plan"},
		"out of scale":        {"correlation", `{"grade":"excellent","reason":""}`, "final_answer"},
		"unsure":              {"summary", `{"grade":"unsure","reason":"who knows"}`, "final_answer"},
		"half unsure":         {"query", `{"understanding":{"grade":"unsure","reason":""},"plan":{"grade":"full","reason":""}}`, "query_understanding"},
		"one is missing":      {"query", `{"understanding":{"grade":"full","reason":""}}`, "query_understanding query_plan"},
		"extra key":           {"correlation", `{"grade":"full","reason":"","score":1}`, "final_answer"},
		"a call left out":     {"calls", `{"calls":[{"call":1,"necessary":"yes","succeeded":"yes","reason":""}]}`, "tool_success tool_conciseness"},
		"a call twice":        {"calls", `{"calls":[{"call":1,"necessary":"yes","succeeded":"yes"},{"call":1,"necessary":"yes","succeeded":"yes"}]}`, "tool_success tool_conciseness"},
		"true for yes":        {"calls", `{"calls":[{"call":1,"necessary":true,"succeeded":"yes"},{"call":2,"necessary":"yes","succeeded":"yes"}]}`, "tool_success tool_conciseness"},
		"a call that is none": {"calls", `{"calls":[{"call":1,"necessary":"yes","succeeded":"yes"},{"call":3,"necessary":"yes","succeeded":"yes"}]}`, "tool_success tool_conciseness"},
		"unsure of a call":    {"calls", `{"calls":[{"call":1,"necessary":"unsure","succeeded":"yes"},{"call":2,"necessary":"yes","succeeded":"yes"}]}`, "tool_conciseness"},
	} {
		m := &model{change: func(step, reply string, _ bool) string {
			if step == c.step {
				return c.reply
			}
			return reply
		}}
		s := score(t, m, scores.Input{Chat: good})
		var got []string
		for _, p := range s.Parts() {
			if p.Value == nil {
				got = append(got, p.Name)
			}
		}
		if strings.Join(got, " ") != c.want || s.Mean != nil || s.Map() != nil {
			t.Errorf("%s: unknown are %v, want %s; mean %v", name, got, c.want, s.Mean)
		}
		if v, reason := (scores.Thresholds{}).Judge(&s); v != synth.Unknown || !strings.HasPrefix(reason, "unknown: ") {
			t.Errorf("%s: judged %s, %s", name, v, reason)
		}
	}
	if s := score(t, &model{cut: true}, scores.Input{Chat: good}); s.Mean != nil {
		t.Error("replies that broke off gave a score")
	}
}

// A reply that cannot be taken is sent back once.
func TestRepair(t *testing.T) {
	m := &model{change: func(_, reply string, repair bool) string {
		if !repair {
			return "let me think"
		}
		return reply
	}}
	if s := score(t, m, scores.Input{Chat: good}); s.Mean == nil || *s.Mean != 1 {
		t.Errorf("scores = %+v", s)
	}
}

// Rules decide whatever the model says.
func TestRulesBeforeModel(t *testing.T) {
	m := &model{change: func(step, reply string, _ bool) string {
		return strings.NewReplacer(`"none"`, `"full"`, `"no"`, `"yes"`).Replace(reply)
	}}
	in := scores.Input{Chat: chat(user("Order 200."), calls("", "buy", `{}`, "no such tool"), calls("", "order", `{"n":`, "no object"), says("订单已下，见 https://x.example"))}
	s := score(t, m, in)
	for _, p := range s.Parts() {
		if low := *p.Value < 1; low != (p.Name != "query_understanding" && p.Name != "tool_understanding") {
			t.Errorf("%s = %g", p.Name, *p.Value)
		}
	}
}

// Rounds are judged by what came before them: what comes after is not even sent.
func TestNoFuture(t *testing.T) {
	ends := []astra.ChatMessage{says("Order A-1207 is placed."), says("It went wrong in the FUTURE.")}
	var sent []string
	for _, end := range ends {
		m := new(model)
		score(t, m, scores.Input{Chat: append(slices.Clone(good[:len(good)-1]), end)})
		sent = append(sent, m.asked["round"])
	}
	if sent[0] != sent[1] || sent[0] == "" {
		t.Errorf("rounds were judged by what came later:\n%s\n%s", sent[0], sent[1])
	}
	m := new(model)
	score(t, m, scores.Input{Chat: good})
	if strings.Contains(m.asked["correlation"], "SKU-77") {
		t.Error("the correlation was judged by more than requests and answer")
	}
	if strings.Contains(m.asked["query"], "Be good.") {
		t.Error("the system message is part of what is judged")
	}
}

// What is sent is bounded, whatever an agent does, and a long text has the room that short
// ones leave.
func TestDocuments(t *testing.T) {
	long := chat(user("Order 200 of the M8 bolts."))
	for range 80 {
		long = append(long, calls(strings.Repeat("a", 50_000), "find", `{"name":"`+strings.Repeat("b", 50_000)+`"}`, strings.Repeat("c", 50_000))...)
	}
	var triples []string
	for range 1000 {
		triples = append(triples, strings.Repeat("no_such_tool_", 1000), `{"name":"`+strings.Repeat("d", 1000)+`"}`, strings.Repeat("e", 1000))
	}
	for name, messages := range map[string][]astra.ChatMessage{
		"many messages": append(long, says(strings.Repeat("f", 200_000))),
		"many calls":    chat(user(strings.Repeat("g", 200_000)), calls("", triples...), says("It is SKU-77.")),
	} {
		m := new(model)
		score(t, m, scores.Input{Chat: messages})
		for step, documents := range m.asked {
			for line := range strings.Lines(documents) {
				if len(line) > 500_000 {
					t.Errorf("%s: %s was asked with %d bytes", name, step, len(line))
				}
			}
		}
	}
	m := new(model)
	end := strings.Repeat("item ", 10_000) + "SKU-77"
	score(t, m, scores.Input{Chat: chat(user("Find the last item."), calls("", "find", `{}`, end), says("It is SKU-77."))})
	if !strings.Contains(m.asked["summary"], end) {
		t.Error("a long result was cut although there is room")
	}
}

func TestScoreErrors(t *testing.T) {
	if _, _, err := scores.New(new(model), nil).Score(t.Context(), scores.Input{ID: "x", Language: synth.English, Chat: good, Steps: []scores.Step{{}}}); err == nil {
		t.Error("a log of another chat was taken")
	}
	_, _, err := scores.New(down{}, nil).Score(t.Context(), scores.Input{ID: "x", Language: synth.English, Chat: good})
	if !errors.Is(err, llm.ErrModel) {
		t.Errorf("error = %v, want ErrModel: trouble is no verdict", err)
	}
}

type down struct{}

func (down) Name() string { return "down" }
func (down) Complete(context.Context, llm.Request) (llm.Reply, error) {
	return llm.Reply{}, llm.ErrModel
}

func TestThresholds(t *testing.T) {
	s := score(t, new(model), scores.Input{Chat: chat(user("Order 200."), calls("", "find", `{}`, "SKU-77"), says("Order A-9999."))}) // final_answer 0.5
	for name, c := range map[string]struct {
		t    scores.Thresholds
		want synth.Verdict
	}{
		"low mean":  {scores.Thresholds{Mean: 0.9}, synth.Pass},
		"high mean": {scores.Thresholds{Mean: 0.95}, synth.Fail},
		"one":       {scores.Thresholds{Min: map[string]float64{"final_answer": 0.6}}, synth.Fail},
		"enough":    {scores.Thresholds{Min: map[string]float64{"final_answer": 0.5}}, synth.Pass},
	} {
		if v, reason := c.t.Judge(&s); v != c.want || (v == synth.Pass) != (reason == "") {
			t.Errorf("%s: %s, %q", name, v, reason)
		}
	}
	if m, err := scores.ReadMinima(map[string]string{"final_answer": "0.5"}); err != nil || !maps.Equal(m, map[string]float64{"final_answer": 0.5}) {
		t.Errorf("ReadMinima = %v, %v", m, err)
	}
	for _, bad := range []map[string]string{{"answer": "0.5"}, {"final_answer": "2"}, {"final_answer": "x"}, {"mean": "0.5"}, {"final_answer": "NaN"}} {
		if _, err := scores.ReadMinima(bad); err == nil {
			t.Errorf("ReadMinima(%v) succeeded", bad)
		}
	}
}

// What would keep nothing out is no threshold.
func TestThresholdsCheck(t *testing.T) {
	for _, bad := range []scores.Thresholds{{Mean: math.NaN()}, {Mean: -1}, {Mean: 80}, {Min: map[string]float64{"final_answer": math.NaN()}}, {Min: map[string]float64{"answer": 0.5}}} {
		if bad.Check() == nil {
			t.Errorf("%v was taken", bad)
		}
	}
	if err := (scores.Thresholds{Mean: 1, Min: map[string]float64{"tool_plan": 0}}).Check(); err != nil {
		t.Error(err)
	}
}

// Any chat is judged without a panic, and any score is in [0, 1] or unknown.
func FuzzScore(f *testing.F) {
	b, _ := json.Marshal(good)
	f.Add(b, `{"grade":"full","reason":""}`)
	f.Add([]byte(`[{"role":"tool"},{"role":"assistant","tool_calls":[{"id":"x"}]}]`), `{"calls":[{"call":-1}]}`)
	f.Fuzz(func(t *testing.T, messages []byte, reply string) {
		tr := astra.Trajectory{Messages: messages}
		list, err := tr.Chat()
		if err != nil && json.Unmarshal(messages, &list) != nil {
			return
		}
		m := &model{change: func(string, string, bool) string { return reply }}
		s, _, err := scores.New(fuzzed{m, reply}, nil).Score(t.Context(), scores.Input{ID: "f", Language: synth.Chinese, Chat: list, Tools: tools})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range s.Parts() {
			if p.Value != nil && !(*p.Value >= 0 && *p.Value <= 1) {
				t.Errorf("%s = %g", p.Name, *p.Value)
			}
		}
	})
}

type fuzzed struct {
	*model
	reply string
}

func (f fuzzed) Complete(context.Context, llm.Request) (llm.Reply, error) {
	return llm.Reply{Text: f.reply}, nil
}
