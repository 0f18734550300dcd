package rows

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/synth"
)

// Arena writes the row as an arena of one task, named by its content. Its tools are Python,
// run as it is, and return what they would have printed, as in an arena of an ASTRA-RL row.
// A sub-task whose call printed the answer and nothing else is solved by the same value;
// others by a text in which the answer is, the paper's rule. Gold calls are the call
// statements; a text argument that is all that a parent printed is taken from its call.
func (e *Environments) Arena() (*astra.Bundle, error) {
	in := &e.Instance
	content, err := synth.JSON(struct {
		Instance *synth.Instance
		Calls    []ToolCall
		Tools    []Tool
	}{in, e.Calls, e.Tools})
	if err != nil {
		return nil, err
	}
	name := nameOf(content)
	d := &draft{name: "astra-env-" + name, title: "ASTRA environment " + name, domain: in.Domain, printed: true, tools: e.Tools}
	d.description = "A question with an environment of the paper's. Its tools are Python, run as it is."
	d.provenance = map[string]any{"source": "env_result", "instance": in.ID}
	if e.Quality != nil {
		d.provenance["quality"] = e.Quality.Score
	}
	if len(e.Notes) > 0 {
		d.provenance["notes"] = e.Notes
	}
	task, err := e.task(name)
	if err != nil {
		return nil, err
	}
	d.tasks = []*astra.Task{task}
	return d.bundle()
}

func (e *Environments) task(name string) (*astra.Task, error) {
	in := &e.Instance
	t := &astra.Task{ID: name, Difficulty: float64(in.Hops()), Turns: []astra.TaskTurn{{Prompt: in.Question}}, Answer: &astra.Answer{Expected: in.Answer}}
	var calls []astra.GoldCall
	by := map[string]int{} // sub-question -> number of its call
	for i := range e.Calls {
		c := &e.Calls[i]
		args, err := e.refer(c, by)
		if err != nil {
			return nil, err
		}
		same := slices.IndexFunc(calls, func(g astra.GoldCall) bool { return g.Tool == c.Tool && string(g.Args) == string(args) })
		if same < 0 {
			calls = append(calls, astra.GoldCall{Tool: c.Tool, Args: args})
			same = len(calls) - 1
		}
		by[c.Node] = same + 1
	}
	for i := range in.Nodes {
		s, err := e.subtask(&in.Nodes[i])
		if err != nil {
			return nil, err
		}
		t.Subtasks = append(t.Subtasks, s)
	}
	t.Gold = [][]astra.GoldCall{calls}
	return t, nil
}

func (e *Environments) subtask(n *synth.Node) (astra.Subtask, error) {
	s := astra.Subtask{ID: n.ID, Question: n.Question, Answer: n.Answer, DependsOn: n.DependsOn}
	c := e.call(n.ID)
	if c == nil {
		return s, nil
	}
	s.Tool = c.Tool
	gold, err := printed(n.Answer)
	switch {
	case err != nil:
		return s, err
	case c.Printed == "" || c.Printed != gold:
		s.Solved = contains("step.value", gold)
	case !telling(n.Answer):
		s.Solved = "step.value == " + celText(gold)
	}
	return s, nil
}

func (e *Environments) call(node string) *ToolCall {
	i := slices.IndexFunc(e.Calls, func(c ToolCall) bool { return c.Node == node })
	if i < 0 {
		return nil
	}
	return &e.Calls[i]
}

// telling reports whether an answer is more than what any result may have by chance; what is
// not must be said with its place, or arenas refuse it.
func telling(answer json.RawMessage) bool {
	text := strings.TrimSpace(strings.Trim(string(answer), `"`))
	if f, err := strconv.ParseFloat(text, 64); err == nil {
		return f != math.Trunc(f) || math.Abs(f) >= 100
	}
	return answer[0] == '"' && len(text) > 3
}

// refer writes a call's arguments with what parents printed by reference. Other text that
// begins with $ is quoted.
func (e *Environments) refer(c *ToolCall, by map[string]int) (json.RawMessage, error) {
	args, err := decode(c.Args)
	if err != nil {
		return nil, err
	}
	told := map[string]string{}
	for _, p := range e.Instance.Node(c.Node).DependsOn {
		if parent := e.call(p); parent != nil && parent.Printed != "" && by[p] > 0 {
			told[parent.Printed] = "$" + strconv.Itoa(by[p]) + ".value"
		}
	}
	return synth.JSON(referred(args, told))
}

func referred(v any, told map[string]string) any {
	switch v := v.(type) {
	case string:
		if ref, ok := told[v]; ok {
			return ref
		}
		if strings.HasPrefix(v, "$") {
			return "$" + v
		}
	case []any:
		for i := range v {
			v[i] = referred(v[i], told)
		}
	case map[string]any:
		for k := range v {
			v[k] = referred(v[k], told)
		}
	}
	return v
}
