package authortest

import (
	"encoding/json"
	"fmt"
	"strings"
)

func document(d object) string {
	k := kindOf(text(d["question"]))
	name := k.name
	for _, taken := range list(d["names_taken"]) {
		if taken == name {
			name += "_again"
		}
	}
	props := object{}
	for _, p := range k.needs {
		props[p] = object{"type": "string", "description": "Which one is meant."}
		if k.adds {
			props[p] = object{"type": "number", "description": "An amount."}
		}
	}
	return marshal(object{"at": "/" + k.gives, "tool": object{"name": name, "title": strings.ReplaceAll(k.name, "_", " "), "description": "Tells the " + k.gives + " of what it is asked about; fails where nothing is known.",
		"input":  object{"type": "object", "properties": props, "required": k.needs, "additionalProperties": false},
		"output": object{"type": "object", "properties": object{k.gives: object{"type": d["answer_type"]}}, "required": []string{k.gives}}}})
}

func list(v any) []any { l, _ := v.([]any); return l }

// scaled adds an optional parameter that does something.
func scaled(draft object) string {
	tool := draft["tool"].(object)
	tool["input"].(object)["properties"].(object)["details"] = object{"type": "boolean", "default": false, "description": "Whether to say how it was found."}
	tool["output"].(object)["properties"].(object)["how"] = object{"type": "string"}
	return marshal(object{"tool": tool, "at": draft["at"]})
}

func call(d object) string {
	k := kindOf(text(d["question"]))
	args := object{}
	parents := list(d["parents"])
	for i, p := range k.needs {
		switch {
		case p == "topic":
			args[p] = topic(text(d["main_question"]))
		case p == "part":
			args[p] = "outbound"
			if strings.Contains(k.en, "return") {
				args[p] = "return"
			}
		default:
			args[p] = parents[i].(object)["answer"]
		}
	}
	return marshal(object{"args": args})
}

// code writes a look-up in rows, or a sum.
func code(d object) string {
	tool := d["tool"].(object)
	k := kindOfTool(tool)
	args := d["args"].(object)
	if k.adds {
		return marshal(object{"code": sumCode(d, k), "data": object{}, "others": sums(k)})
	}
	rng := dice(args, d["answer"], d["at"])
	rows, others := []any{}, []any{}
	for i := range 9 {
		if i == 4 {
			rows = append(rows, object{"key": key(k, args), "value": d["answer"]})
		}
		other := object{}
		for _, p := range k.needs {
			other[p] = fmt.Sprintf("%s no. %d", p, 100+i*7+rng.IntN(6))
		}
		var value any = money(rng)
		if k.gives == "record" {
			value = fmt.Sprintf("Q%d-%04d", 10+i, rng.IntN(10000))
		}
		rows = append(rows, object{"key": key(k, other), "value": value})
		if others = append(others, object{"args": other, "answer": value}); len(others) > 3 {
			others = others[:3]
		}
	}
	return marshal(object{"code": lookupCode(d, k), "data": object{"rows": rows}, "others": others})
}

func key(k *kind, args object) string {
	parts := []string{}
	for _, p := range k.needs {
		parts = append(parts, fmt.Sprint(args[p]))
	}
	return strings.Join(parts, " / ")
}

func sums(k *kind) []any {
	others := []any{}
	for i := range 3 {
		args, total := object{}, 0.0
		for j, p := range k.needs {
			args[p] = float64(10*i + j + 1)
			total += args[p].(float64)
		}
		if len(k.needs) == 1 {
			total *= 2
		}
		others = append(others, object{"args": args, "answer": total})
	}
	return others
}

func lookupCode(d object, k *kind) string {
	if d["runtime"] == "python" {
		return fmt.Sprintf("def run(args, data):\n    key = \" / \".join(args[p] for p in %s)\n    for row in data[\"rows\"]:\n        if row[\"key\"] == key:\n            found = {%q: row[\"value\"]}\n            if args.get(\"details\"):\n                found[\"how\"] = \"looked up\"\n            return found\n    raise ValueError(\"nothing is known of \" + key)\n",
			marshal(k.needs), k.gives)
	}
	return fmt.Sprintf("function run(args, data) {\n  const key = %s.map((p) => args[p]).join(\" / \");\n  const row = data.rows.find((r) => r.key === key);\n  if (!row) throw new Error(\"nothing is known of \" + key);\n  const found = { %s: row.value };\n  if (args.details) found.how = \"looked up\";\n  return found;\n}",
		marshal(k.needs), k.gives)
}

func sumCode(d object, k *kind) string {
	terms := []string{}
	for _, p := range k.needs {
		terms = append(terms, fmt.Sprintf("args[%q]", p))
	}
	sum := strings.Join(terms, " + ")
	if len(terms) == 1 {
		sum += " * 2"
	}
	if d["runtime"] == "python" {
		return fmt.Sprintf("def run(args, data):\n    return {%q: %s}\n", k.gives, sum)
	}
	return fmt.Sprintf("function run(args) {\n  return { %s: %s };\n}", k.gives, sum)
}

func clusters(d object) string {
	ids := []any{}
	for _, t := range list(d["tools"]) {
		if strings.HasPrefix(text(t.(object)["tool"].(object)["name"]), "part_price") {
			ids = append(ids, t.(object)["id"])
		}
	}
	found := []any{}
	if len(ids) > 1 {
		found = append(found, object{"ids": ids, "intent": "prices of parts"})
	}
	return marshal(object{"clusters": found})
}

func insertion(d object) string {
	member := d["member"].(object)
	data := d["data"].(object)
	known := map[string]bool{}
	rows := list(data["rows"])
	for _, r := range rows {
		known[text(r.(object)["key"])] = true
	}
	for _, r := range list(member["data"].(object)["rows"]) {
		if !known[text(r.(object)["key"])] {
			rows = append(rows, r)
		}
	}
	return marshal(object{"data": object{"rows": rows}, "args": json.RawMessage(marshal(member["args"]))})
}
