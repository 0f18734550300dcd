package modeltest

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

var reference = regexp.MustCompile(`\(ref ([?!]?)([0-9a-f-]*)\)`)

// Reference is what a request is to be served with: its tools' codes, and a mark, "?" where
// something is to be asked for first, "!" where it is to be declined.
func Reference(mark string, tools ...string) string { return ref(mark, tools) }

func ref(mark string, tools []string) string {
	codes := make([]string, len(tools))
	for i, t := range tools {
		codes[i] = code(t)
	}
	return fmt.Sprintf("(ref %s%s)", mark, strings.Join(codes, "-"))
}

// transient reports a failure that a good agent tries again.
func transient(text string) bool {
	lower := strings.ToLower(text)
	return slices.ContainsFunc([]string{"timed out", "timeout", "unreachable", "rate limit", "too many requests", "malformed", "temporarily", "try again", "could not be reached"},
		func(mark string) bool { return strings.Contains(lower, mark) })
}

// play is the agent: it makes the calls of all references so far, in order, each again
// while it fails for the moment, and answers with what the last one returned.
func (s *Server) play(r *request) Answer {
	var plan []string
	asks, declines, users := false, false, 0
	for _, m := range r.Messages {
		if m.Role != "user" {
			continue
		}
		users++
		for _, found := range reference.FindAllStringSubmatch(m.Content, -1) {
			asks, declines = asks || found[1] == "?", declines || found[1] == "!"
			if found[2] != "" {
				plan = append(plan, strings.Split(found[2], "-")...)
			}
		}
	}
	switch {
	case declines:
		return Answer{Text: "I cannot do that: it is beyond what I may do here, and nothing was changed."}
	case asks && users == 1:
		return Answer{Text: "Before I begin: which detail do you mean? Please tell me the missing one."}
	}
	return s.carryOn(r, plan)
}

// carryOn makes the next call of a plan.
func (s *Server) carryOn(r *request, plan []string) Answer {
	done, tries, last := 0, 0, ""
	for _, m := range r.Messages {
		if m.Role != "tool" {
			continue
		}
		last = m.Content
		if tries++; transient(m.Content) && tries < 4 {
			continue
		}
		done, tries = done+1, 0
	}
	if done >= len(plan) {
		return Answer{Text: "Done. This is what came of it: " + clip(last, 300)}
	}
	for _, t := range r.Tools {
		if code(t.Function.Name) == plan[done] {
			return Answer{Calls: []Call{{t.Function.Name, s.arguments(t.Function.Parameters)}}}
		}
	}
	return Answer{Text: "There is no tool for what is asked."}
}

func clip(s string, n int) string {
	if len(s) > n {
		s = s[:n]
	}
	return strings.ToValidUTF8(s, "")
}

// arguments are the required ones of a schema, the same each time.
func (s *Server) arguments(schema json.RawMessage) string {
	var root map[string]any
	if json.Unmarshal(schema, &root) != nil {
		return "{}"
	}
	return marshal(s.object(root, root))
}

func (s *Server) object(schema, root map[string]any) map[string]any {
	all := map[string]any{}
	properties, _ := schema["properties"].(map[string]any)
	required, _ := schema["required"].([]any)
	for _, name := range required {
		sub, _ := properties[fmt.Sprint(name)].(map[string]any)
		all[fmt.Sprint(name)] = s.value(fmt.Sprint(name), sub, root)
	}
	return all
}

func (s *Server) value(name string, schema, root map[string]any) any {
	if to, ok := schema["$ref"].(string); ok {
		at := root
		for _, part := range strings.Split(strings.TrimPrefix(to, "#/"), "/") {
			at, _ = at[part].(map[string]any)
		}
		schema = at
	}
	if some, ok := schema["anyOf"].([]any); ok && len(some) > 0 {
		schema, _ = some[0].(map[string]any)
	}
	if v, ok := schema["default"]; ok {
		return v
	}
	if list, ok := schema["enum"].([]any); ok && len(list) > 0 {
		return list[0]
	}
	switch schema["type"] {
	case "integer", "number":
		return least(2, schema["minimum"])
	case "boolean":
		return true
	case "array":
		item, _ := schema["items"].(map[string]any)
		return []any{s.value(strings.TrimSuffix(name, "s"), item, root)}
	case "object":
		return s.object(schema, root)
	}
	if strings.Contains(strings.ToLower(name), "path") {
		return s.opts.Path
	}
	return "alpha"
}

// least is a small number that a bound allows.
func least(n float64, bound any) float64 {
	if f, ok := bound.(float64); ok {
		return max(n, f)
	}
	return n
}
