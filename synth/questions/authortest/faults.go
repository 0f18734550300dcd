package authortest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// Faults are the ways in which authors and their servers are known to go wrong, by name.
// Those that end in -once are mended by asking again.
var Faults = map[string]Fault{
	// What the server does.
	"busy-once": atFirst(func(Answer) Answer { return Answer{Status: http.StatusTooManyRequests, Text: "slow down"} }),
	"down-once": atFirst(func(Answer) Answer { return Answer{Status: http.StatusInternalServerError, Text: "oh"} }),
	"stall-once": func(a *Asked, said Answer) Answer {
		said.Stall = a.Step == "instance" && a.Again == 0
		return said
	},
	"schemaless": func(a *Asked, said Answer) Answer {
		if a.Schema {
			return Answer{Status: http.StatusBadRequest, Text: "response_format is not supported"}
		}
		return said
	},
	"too-long": at("necessity", func(*Asked, object) any { return nil }, Answer{Status: http.StatusRequestEntityTooLarge, Text: "too long"}),

	// How replies look.
	"think": func(_ *Asked, said Answer) Answer {
		said.Text = "<think>Should I {\"lie\"}? No.</think>\n\n```json\n" + said.Text + "\n```"
		return said
	},
	"malformed-once": unlessRepair(func(said Answer) Answer { said.Text = said.Text[:len(said.Text)-1]; return said }),
	"chatty-once":    unlessRepair(func(said Answer) Answer { said.Text = "Gladly! " + said.Text; return said }),
	"malformed":      always("verification", func(said Answer) Answer { said.Text = said.Text[1:]; return said }),
	"refusal":        always("instance", func(Answer) Answer { return Answer{Text: "I cannot help with that."} }),
	"cut":            always("code", func(said Answer) Answer { said.Finish = "length"; return said }),
	"thoughts-only":  always("necessity", func(Answer) Answer { return Answer{Text: "<think>What a question."} }),

	// Decompositions that are none.
	"cycle": at("instance", func(_ *Asked, r object) any {
		nodes := list(r["sub_questions"])
		nodes[0].(object)["depends_on"] = []any{nodes[len(nodes)-1].(object)["id"]}
		return r
	}),
	"hop-levels": at("instance", func(_ *Asked, r object) any {
		nodes := list(r["sub_questions"])
		nodes[len(nodes)-1].(object)["hop_level"] = 7
		return r
	}),
	"children-first": at("instance", func(_ *Asked, r object) any {
		slices.Reverse(list(r["sub_questions"]))
		return r
	}),
	"scenario": at("instance", func(_ *Asked, r object) any { r["scenario_type"] = "Single-Hop"; return r }),
	"empty-answer": at("instance", func(_ *Asked, r object) any {
		list(r["sub_questions"])[0].(object)["answer"] = ""
		return r
	}),
	"other-language": at("instance", func(_ *Asked, r object) any {
		list(r["sub_questions"])[0].(object)["question"] = "哪一个？"
		return r
	}),
	"inner-without-tool": at("necessity", func(_ *Asked, r object) any {
		list(r["sub_questions"])[0].(object)["tool"] = false
		return r
	}),

	// Judges.
	"strict-judge": at("atomicity", func(_ *Asked, r object) any {
		for _, n := range list(r["sub_questions"]) {
			n.(object)["verdict"] = "no"
		}
		return r
	}),
	"unsure-judge": at("completeness", func(_ *Asked, r object) any { r["verdict"] = "unsure"; return r }),
	"unsure-of-one": at("atomicity", func(_ *Asked, r object) any {
		list(r["sub_questions"])[1].(object)["verdict"] = "unsure"
		return r
	}),
	"unsure-of-series": at("serialisation", func(_ *Asked, r object) any { r["unsure"] = []any{"1"}; return r }),
	"series-judge": at("serialisation", func(_ *Asked, r object) any {
		r["problems"] = []any{object{"id": "1"}, object{"id": "2"}, object{"id": "3"}}
		return r
	}),
	"absent-judge": at("dependency", func(_ *Asked, r object) any { r["sub_questions"] = list(r["sub_questions"])[1:]; return r }),
	"score-judge":  at("completeness", func(_ *Asked, r object) any { return object{"score": "0.0"} }),
	"empty-judge":  at("serialisation", func(*Asked, object) any { return object{} }),

	// Tools that cheat, or fail.
	"constant": at("code", func(a *Asked, r object) any {
		r["code"], r["data"] = constantCode(a), object{"v": a.Document["answer"]}
		return r
	}),
	"constant-in-code": at("code", func(a *Asked, r object) any {
		r["code"] = strings.Replace(text(r["code"]), "data", "data /* "+marshal(a.Document["answer"])+" */", 1)
		if a.Document["runtime"] == "python" {
			r["code"] = "# " + marshal(a.Document["answer"]) + "\n" + text(r["code"])
		}
		return r
	}),
	"answers-anything": at("code", func(_ *Asked, r object) any {
		r["code"] = strings.NewReplacer("if (!row) throw", "if (false) throw", "r.key === key)", "r.key === key) ?? data.rows[4]").Replace(text(r["code"]))
		return r
	}),
	"needless-argument": at("call", func(a *Asked, r object) any {
		r["args"].(object)["details"] = false
		return r
	}),
	"random": at("code", func(a *Asked, r object) any {
		r["code"] = strings.Replace(text(r["code"]), "return ", "const noise = Math.random(); return ", 1)
		r["code"] = strings.Replace(text(r["code"]), "const found = {", "const found = { how: String(Math.random()),", 1)
		r["code"] = strings.Replace(text(r["code"]), "noise; return {", "noise; return { how: String(noise),", 1)
		return r
	}),
	"wrong-value": at("code", func(a *Asked, r object) any {
		r["code"] = strings.NewReplacer("row.value", `row.value + "!"`, "args[", "1 + args[").Replace(text(r["code"]))
		return r
	}),
	"syntax-error":      at("code", func(_ *Asked, r object) any { r["code"] = "function run( {"; return r }),
	"endless":           at("code", func(_ *Asked, r object) any { r["code"] = "function run() { for (;;); }"; return r }),
	"no-others":         at("code", func(_ *Asked, r object) any { r["others"] = []any{}; return r }),
	"code-once":         codeOnce,
	"impossible":        at("call", func(*Asked, object) any { return object{"impossible": "nothing fits"} }),
	"ignores-parents":   at("call", func(a *Asked, r object) any { return withoutParents(a, r) }),
	"optional-parents":  at("scaling", func(_ *Asked, r object) any { r["tool"].(object)["input"].(object)["required"] = []any{}; return r }),
	"leaking-document":  at("document", leak),
	"leaking-default":   at("scaling", leakDefault),
	"reserved-name":     at("document", func(_ *Asked, r object) any { r["tool"].(object)["name"] = "episode_open"; return r }),
	"bad-schema":        at("document", func(_ *Asked, r object) any { r["tool"].(object)["input"] = object{"type": "obj"}; return r }),
	"name-collision":    nameCollision,
	"merge-forgets":     mergeForgets,
	"merge-everything":  at("clusters", mergeEverything),
	"merge-unreadable":  always("clusters", func(Answer) Answer { return Answer{Text: "All of them!"} }),
	"merge-forget-once": mergeForgetsOnce,
}

// steps of the stage verification
var verification = map[string]bool{"dependency": true, "atomicity": true, "serialisation": true, "completeness": true}

func concerns(step string, a *Asked) bool {
	return a.Step == step || step == "verification" && verification[a.Step]
}

func atFirst(spoil func(Answer) Answer) Fault {
	return func(a *Asked, said Answer) Answer {
		if a.Again == 0 {
			return spoil(said)
		}
		return said
	}
}

func unlessRepair(spoil func(Answer) Answer) Fault {
	return func(a *Asked, said Answer) Answer {
		if a.Repair {
			return said
		}
		return spoil(said)
	}
}

func always(step string, spoil func(Answer) Answer) Fault {
	return func(a *Asked, said Answer) Answer {
		if concerns(step, a) {
			return spoil(said)
		}
		return said
	}
}

// at changes the reply of a step, or, where there is an answer, gives that.
func at(step string, change func(*Asked, object) any, instead ...Answer) Fault {
	return func(a *Asked, said Answer) Answer {
		if a.Step != step {
			return said
		}
		if len(instead) > 0 {
			return instead[0]
		}
		var r object
		if err := json.Unmarshal([]byte(said.Text), &r); err != nil {
			a.server.t.Errorf("a competent reply that is no object: %v", err)
		}
		return Answer{Text: marshal(change(a, r))}
	}
}

func constantCode(a *Asked) string {
	gives := strings.TrimPrefix(text(a.Document["at"]), "/")
	if a.Document["runtime"] == "python" {
		return fmt.Sprintf("def run(args, data):\n    return {%q: data[\"v\"]}\n", gives)
	}
	return fmt.Sprintf("function run(args, data) { return { %s: data.v }; }", gives)
}

// codeOnce is wrong until it is told.
func codeOnce(a *Asked, said Answer) Answer {
	if a.Step == "code" && a.Document["feedback"] == nil {
		return Answer{Text: marshal(object{"code": constantCode(a), "data": object{"v": a.Document["answer"]}, "others": []any{}})}
	}
	return said
}

// mergeForgets leaves out what the first call of the shared tool asks for.
var mergeForgets = at("insertion", func(a *Asked, r object) any {
	first := marshal(list(a.Document["calls"])[0].(object)["answer"])
	kept := []any{}
	for _, row := range list(r["data"].(object)["rows"]) {
		if marshal(row.(object)["value"]) != first {
			kept = append(kept, row)
		}
	}
	r["data"] = object{"rows": kept}
	return r
})

func mergeForgetsOnce(a *Asked, said Answer) Answer {
	if a.Step == "insertion" && a.Document["feedback"] == nil {
		return mergeForgets(a, said)
	}
	return said
}

func withoutParents(a *Asked, r object) any {
	for key, v := range r["args"].(object) {
		for _, p := range list(a.Document["parents"]) {
			if marshal(p.(object)["answer"]) == marshal(v) {
				r["args"].(object)[key] = map[bool]any{true: 1.5, false: "something"}[fmt.Sprintf("%T", v) == "float64"]
			}
		}
	}
	return r
}

func (a *Asked) answerOf(question string) any {
	a.server.mu.Lock()
	defer a.server.mu.Unlock()
	var v any
	_ = json.Unmarshal(a.server.answers[question], &v)
	return v
}

func leak(a *Asked, r object) any {
	answer := strings.Trim(marshal(a.answerOf(text(a.Document["question"]))), `"`)
	r["tool"].(object)["description"] = "Tells what is known; for example " + answer + "."
	return r
}

func leakDefault(a *Asked, r object) any {
	for _, p := range r["tool"].(object)["input"].(object)["properties"].(object) {
		p.(object)["examples"] = []any{a.answerOf(text(a.Document["question"]))}
	}
	return r
}

func nameCollision(a *Asked, said Answer) Answer {
	for _, field := range []string{"document", "scaling"} {
		said = at(field, func(_ *Asked, r object) any { r["tool"].(object)["name"] = kinds[0].name; return r })(a, said)
	}
	if a.Step != "scaling" && a.Step != "code" {
		return said
	}
	if a.Step == "code" {
		return Answer{Text: codeByAt(a)}
	}
	return said
}

// codeByAt is competent code for a tool of another name.
func codeByAt(a *Asked) string {
	gives := strings.TrimPrefix(text(a.Document["at"]), "/")
	for i := range kinds {
		args, _ := a.Document["args"].(object)
		if kinds[i].gives == gives && len(args) == len(kinds[i].needs) {
			a.Document["tool"].(object)["name"] = kinds[i].name
			return code(a.Document)
		}
	}
	return "{}"
}

func mergeEverything(a *Asked, _ object) any {
	ids := []any{}
	for _, t := range list(a.Document["tools"]) {
		ids = append(ids, t.(object)["id"])
	}
	return object{"clusters": []any{object{"ids": ids, "intent": "all"}}}
}
