package rows

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/synth"
)

// Arena makes an arena of a row that has been through environment synthesis (step 4), or
// merging (step 5), which has put the merged tools in their members' places. Its gold calls
// are the row's call statements; what was printed must have the answer, as in the paper.
// Two tools of one name and different code are told apart by a number.
func (t *Trace) Arena() (*Imported, error) {
	in := t.Instance
	a := &pythonArena{title: "A synthesized environment", domain: in.Domain,
		description: "An instance in the paper's form with its environments, as they came.",
		provenance:  map[string]any{"origin": "env_result", "instance": in.ID}}
	task := &astra.Task{ID: "instance", Turns: []astra.TaskTurn{{Prompt: in.Question}}, Gold: [][]astra.GoldCall{{}}}
	w := &weaver{arena: a, task: task, step: map[string]int{}, printed: map[string]string{}}
	for i := range in.Nodes {
		if err := w.node(&in.Nodes[i], t.Environments[in.Nodes[i].ID]); err != nil {
			return nil, fmt.Errorf("sub-question %s: %w", clip(in.Nodes[i].ID), err)
		}
	}
	if len(a.tools) == 0 {
		return nil, errors.New("no sub-question has a tool")
	}
	a.tasks = []*astra.Task{task}
	a.name = "astra-env-" + a.id()
	b, err := a.bundle()
	if err != nil {
		return nil, err
	}
	arena, err := b.Load()
	return &Imported{Bundle: b, Arena: arena, Notes: w.notes}, err
}

// A weaver puts the nodes of an instance into a task, parents first.
type weaver struct {
	arena   *pythonArena
	task    *astra.Task
	step    map[string]int    // gold call of a node, from 1
	printed map[string]string // by node
	notes   []string
}

func (w *weaver) node(n *synth.Node, e *Environment) error {
	sub := astra.Subtask{ID: "q" + n.ID, Question: n.Question}
	if e == nil {
		if n.Tool {
			return errors.New("it needs a tool, and env_result has none")
		}
		w.task.Subtasks = append(w.task.Subtasks, sub)
		return nil
	}
	tool, err := w.tool(e)
	if err != nil {
		return err
	}
	answer, err := answerText(n.Answer)
	if err != nil {
		return fmt.Errorf("the answer %s: %w", clip(string(n.Answer)), err)
	}
	if sub.Tool = tool; strings.TrimSpace(answer) == "" {
		return errors.New("the answer is empty: any output has it")
	}
	if sub.Solved, err = containing(answer); err != nil {
		return err
	}
	call, err := w.call(n, e, tool)
	if err != nil {
		return err
	}
	for _, p := range n.DependsOn {
		if _, known := w.step[p]; known {
			sub.DependsOn = append(sub.DependsOn, "q"+p)
		}
	}
	w.task.Subtasks = append(w.task.Subtasks, sub)
	w.task.Gold[0] = append(w.task.Gold[0], call)
	w.step[n.ID], w.printed[n.ID] = len(w.task.Gold[0]), strings.TrimSpace(e.Output)
	return nil
}

// tool is the name under which the arena has a tool.
func (w *weaver) tool(e *Environment) (string, error) {
	t := pythonTool{name: e.Name, function: e.Name, description: e.Description, parameters: schema(e.Parameters), code: e.Code}
	if strings.TrimSpace(t.description) == "" {
		t.description = t.name
	}
	for n := 2; ; n++ {
		have := w.find(t.name)
		if have == nil {
			break
		}
		if have.code == t.code {
			return t.name, nil
		}
		t.name = fmt.Sprintf("%s_%d", e.Name, n)
	}
	if t.name != e.Name {
		w.notes = append(w.notes, fmt.Sprintf("two tools are called %s: one is now %s", clip(e.Name), t.name))
	}
	if err := t.check(); err != nil {
		return "", err
	}
	w.arena.tools = append(w.arena.tools, t)
	return t.name, nil
}

func (w *weaver) find(name string) *pythonTool {
	for i := range w.arena.tools {
		if w.arena.tools[i].name == name {
			return &w.arena.tools[i]
		}
	}
	return nil
}

// call is the gold call of a node. An argument that is just what a parent printed is taken
// from there.
func (w *weaver) call(n *synth.Node, e *Environment, tool string) (astra.GoldCall, error) {
	function, args, err := parseCall(e.Call, parameters(e.Parameters))
	if err != nil {
		return astra.GoldCall{}, err
	}
	if function != e.Name {
		return astra.GoldCall{}, fmt.Errorf("the statement calls %s, and the tool is %s", clip(function), clip(e.Name))
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(args, &object); err != nil {
		return astra.GoldCall{}, err
	}
	for name, raw := range object {
		var text string
		if json.Unmarshal(raw, &text) != nil {
			continue
		}
		if object[name], err = encode(w.spliced(n, text)); err != nil {
			return astra.GoldCall{}, err
		}
	}
	args, err = encode(object)
	return astra.GoldCall{Tool: tool, Args: args}, err
}

func (w *weaver) spliced(n *synth.Node, text string) string {
	for _, p := range n.DependsOn {
		if step, ok := w.step[p]; ok && w.printed[p] == text && text != "" {
			return fmt.Sprintf("$%d.value", step)
		}
	}
	if strings.HasPrefix(text, "$") {
		return "$" + text
	}
	return text
}
