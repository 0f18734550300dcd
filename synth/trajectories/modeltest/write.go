package modeltest

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode"
)

// A document is what any step is sent.
type document struct {
	Step   string `json:"step"`
	Server struct {
		Title string `json:"title"`
	} `json:"server"`
	Tools     json.RawMessage `json:"tools"`
	Chain     []string        `json:"chain"`
	Query     string          `json:"query"`
	Count     int             `json:"count"`
	Sample    int             `json:"sample"`
	Question  string          `json:"question"`
	Rewriting string          `json:"rewriting"`
	Kind      string          `json:"kind"`
	Goal      string          `json:"goal"`
	Facts     []fact          `json:"facts"`
	Next      []string        `json:"next"`
	Talk      []said          `json:"conversation"`
	Open      []struct {
		Call     int    `json:"call"`
		Argument string `json:"argument"`
	} `json:"open"`
	Arguments json.RawMessage `json:"arguments"` // an emulated call's
	Tool      struct {
		Output json.RawMessage `json:"output"`
	} `json:"tool"`
}

type fact struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type said struct {
	Role string `json:"role"`
	Text string `json:"text"`
}

// write answers a step of synthesis.
func (s *Server) write(text []byte) (step string, _ Answer) {
	var d document
	if err := json.Unmarshal(text, &d); err != nil {
		s.t.Errorf("a document that is no JSON: %v: %.300s", err, text)
	}
	steps := map[string]func(*document) any{"chains": chains, "arguments": sources, "coherence": coherent, "back": back, "question": question, "server_question": choose,
		"dialogue": dialogue, "diversity": rewrite, "complexity": rewrite, "persona": rewrite, "intent": intent, "quality": quality, "user": user}
	if do := steps[d.Step]; do != nil {
		return d.Step, Answer{Text: marshal(do(&d))}
	}
	if d.Step == "" && d.Arguments != nil {
		return "emulator", Answer{Text: s.emulate(&d)}
	}
	if s.opts.Judge != nil {
		if reply, ok := s.opts.Judge(d.Step, text); ok {
			return d.Step, Answer{Text: reply}
		}
	}
	s.t.Errorf("a step that nobody takes: %q", d.Step)
	return d.Step, Answer{Status: 400, Text: "what is that?"}
}

// names of the tools in a document, which has them with their descriptions, or alone.
func (d *document) names() (all []string) {
	var full []struct {
		Name string `json:"name"`
	}
	if json.Unmarshal(d.Tools, &full) == nil {
		for _, t := range full {
			all = append(all, t.Name)
		}
		return all
	}
	_ = json.Unmarshal(d.Tools, &all)
	return all
}

func (d *document) chinese() bool {
	return strings.ContainsFunc(d.Server.Title+d.Question+d.Goal, func(r rune) bool { return unicode.Is(unicode.Han, r) })
}

// dice are decided by what is asked.
func (d *document) dice(n int) int {
	h := digest(marshal(d))
	v := 0
	fmt.Sscanf(h[:6], "%x", &v)
	return v % n
}

// chains are tools side by side. One has a tool that does not exist between two that do.
func chains(d *document) any {
	names := d.names()
	all := []any{map[string]any{"task": "no such", "tools": []string{names[0], "no_such_tool", names[len(names)-1]}}}
	for i := range min(d.Count, len(names)) {
		from := (i*2 + d.Sample) % len(names)
		var tools []string
		for n := range 2 + i%2 {
			tools = append(tools, names[(from+n)%len(names)])
		}
		all = append(all, map[string]any{"task": fmt.Sprint("work ", i), "tools": tools})
	}
	return map[string]any{"chains": all}
}

func sources(d *document) any {
	all := []any{}
	for _, o := range d.Open {
		all = append(all, map[string]any{"call": o.Call, "argument": o.Argument, "source": "user"})
	}
	return map[string]any{"analysis": "everybody knows that", "arguments": all}
}

func coherent(d *document) any {
	return map[string]any{"verdict": "yes", "reason": "it has a purpose", "task": "a purpose", "query": d.request("I would like this done", d.Chain, ""), "plan": d.Chain}
}

func back(d *document) any {
	tools := []string{}
	for _, found := range reference.FindAllStringSubmatch(d.Query, -1) {
		for _, c := range strings.Split(found[2], "-") {
			for _, name := range d.names() {
				if code(name) == c {
					tools = append(tools, name)
				}
			}
		}
	}
	return map[string]any{"tools": tools}
}

// words make requests differ, so that none is taken for another.
var words = strings.Fields(`harbour lantern orchard violin glacier copper saddle meadow pepper anchor thimble canyon barley sapphire ribbon walnut
	compass marble feather kettle tundra garnet willow ledger saffron quarry beacon juniper velvet mosaic cinder harvest`)

// request is a text with a reference. It is unlike others by words drawn from what is asked.
func (d *document) request(begin string, tools []string, mark string) string {
	h := digest(marshal(d) + begin + mark)
	var picked []string
	for i := range 14 {
		v := 0
		fmt.Sscanf(h[4*i:4*i+4], "%x", &v)
		picked = append(picked, words[v%len(words)])
	}
	text := strings.Join(picked, " ")
	if d.chinese() {
		return "请帮我处理这件事，编号" + h[:12] + "：" + text + " " + ref(mark, tools)
	}
	return fmt.Sprintf("%s, number %s, about %s %s", begin, h[:6], text, ref(mark, tools))
}

func question(d *document) any {
	return map[string]any{"analysis": "", "question": d.request("Please do this for me", d.Chain, "")}
}

func choose(d *document) any {
	names := d.names()
	var tools []string
	for i := range d.Count {
		tools = append(tools, names[(d.Sample+i)%len(names)])
	}
	return map[string]any{"tools": tools, "question": d.request("Could you see to this", tools, "")}
}

func rewrite(d *document) any {
	return map[string]any{"question": d.request("On behalf of a friend, "+d.Step, d.names(), "")}
}

func dialogue(d *document) any {
	r := map[string]any{"goal": "that it be done", "facts": []any{}, "next": []any{}}
	names := d.names()
	switch d.Kind {
	case "clarify":
		r["first"], r["facts"] = d.request("Please see to the matter", names, "?"), []any{fact{"the missing detail", "lot 4417"}}
	case "decline":
		r["first"], r["goal"] = d.request("Please wipe everything everybody has", nil, "!"), "nobody may do that"
	default:
		r["first"], r["next"] = d.request("Please begin with this", names, ""), []any{d.request("And now this as well", names[:1], "")}
	}
	return r
}

func intent(*document) any { return map[string]any{"verdict": "yes", "reason": "the same work"} }

// quality finds one request in nine poor.
func quality(d *document) any {
	grade := func(n int) any { return map[string]any{"grade": n, "reason": "so it is"} }
	realism := 4
	if d.dice(9) == 0 {
		realism = 2
	}
	return map[string]any{"question_quality": grade(5), "scenario_realism": grade(realism), "tool_necessity": grade(4)}
}

// user tells the facts when asked, then says what is next, then is done.
func user(d *document) any {
	last := d.Talk[len(d.Talk)-1].Text
	asked := strings.HasSuffix(strings.TrimSpace(last), "?") || strings.Contains(last, "tell me")
	if asked && len(d.Facts) > 0 {
		return map[string]any{"done": false, "message": fmt.Sprintf("That is %s.", d.Facts[0].Value)}
	}
	for _, next := range d.Next {
		if !d.wasSaid(next) {
			return map[string]any{"done": false, "message": next}
		}
	}
	return map[string]any{"done": true, "message": ""}
}

func (d *document) wasSaid(text string) bool {
	for _, l := range d.Talk {
		if l.Role == "user" && l.Text == text {
			return true
		}
	}
	return false
}

// emulate answers for a documented tool.
func (s *Server) emulate(d *document) string {
	result := any(map[string]any{"status": "ok", "for": d.Arguments})
	var schema map[string]any
	if json.Unmarshal(d.Tool.Output, &schema) == nil && schema != nil {
		result = s.value("result", schema, schema)
	}
	return marshal(map[string]any{"result": result, "memory": map[string]any{}})
}
