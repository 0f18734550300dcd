package rows

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/astra-arenas/astra"
)

// Export makes an RL row of a task. The format wants Python that stands by itself, one
// answer of one tool for each sub-task, and one message: tasks of arenas in another
// language, with turns, or with verifiers that are no answers, have no such form, and the
// error says so.
func Export(a *astra.Arena, t *astra.Task) (*RL, error) {
	if a.Runtime != astra.Python {
		return nil, fmt.Errorf("the tools of arena %s are %s; the format has Python: synthesize with --runtime python", a.Name, a.Runtime)
	}
	if len(t.Turns) != 1 || t.Verify != nil {
		return nil, fmt.Errorf("task %s has %d turns and %d verifiers; the format has one message and no verifiers", t.ID, len(t.Turns), len(t.Verify))
	}
	row := &RL{Prompt: []Message{{"user", t.Turns[0].Prompt}}, Code: map[string]string{}, Answer: map[string][]string{}}
	for _, name := range a.InitialTools(t) {
		code, err := source(a, name)
		if err != nil {
			return nil, err
		}
		tool := a.Tool(name)
		f := FunctionTool{Type: "function"}
		f.Function.Name, f.Function.Description, f.Function.Parameters = name, tool.Description, tool.Input
		row.Schema, row.Code[name] = append(row.Schema, f), code
	}
	for i := range t.Subtasks {
		if err := row.answer(t, &t.Subtasks[i]); err != nil {
			return nil, err
		}
	}
	if len(row.Answer) == 0 {
		return nil, fmt.Errorf("task %s has no sub-task with an answer", t.ID)
	}
	return row, nil
}

// contains is the only verifier that is an answer: what Import writes.
var contains = regexp.MustCompile(`^step\.value\.contains\((".*")\)$`)

func (row *RL) answer(t *astra.Task, s *astra.Subtask) error {
	if !s.Counts() {
		return nil
	}
	answer := s.Answer
	if m := contains.FindStringSubmatch(s.Solved); m != nil && json.Valid([]byte(m[1])) {
		answer = json.RawMessage(m[1])
	}
	if s.Tool == "" || answer == nil {
		return fmt.Errorf("task %s: sub-task %s is solved by a verifier; the format has answers of tools alone", t.ID, s.ID)
	}
	text, err := answerText(answer)
	if err != nil {
		return fmt.Errorf("task %s: the answer of sub-task %s: %w", t.ID, s.ID, err)
	}
	row.Answer[s.Tool] = append(row.Answer[s.Tool], text)
	return nil
}

// source is Python that defines a tool and needs nothing else.
func source(a *astra.Arena, tool string) (string, error) {
	if own, ok := a.Bundle.File("data/tool_" + tool + ".py"); ok {
		if regexp.MustCompile(`(?m)^def ` + regexp.QuoteMeta(tool) + `\b`).Match(own) {
			return string(own), nil
		}
		if data, ok := a.Bundle.File("data/" + tool + ".json"); ok && strings.Contains(string(own), "def run(") {
			return withData(tool, string(own), data)
		}
	}
	entry, _ := a.Bundle.File(a.Entry)
	if a.Class != "" || strings.Contains(string(entry), "import astra") || regexp.MustCompile(`(?m)^def (setup|state)\b`).Match(entry) {
		return "", fmt.Errorf("the tools of arena %s share a world or files, and the format has a function by itself for each", a.Name)
	}
	if !regexp.MustCompile(`(?m)^def ` + regexp.QuoteMeta(tool) + `\b`).Match(entry) {
		return "", errors.New("no function " + tool + " is defined in " + a.Entry)
	}
	return string(entry), nil
}

// withData puts a tool of the model author together with what it knows.
func withData(tool, code string, data []byte) (string, error) {
	literal, err := encode(string(data)) // a JSON string is a Python string
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("import json\n\n%s\n\n_DATA = %s\n\n\ndef %s(**args):\n    return run(args, json.loads(_DATA))\n", strings.TrimRight(code, "\n"), literal, tool), nil
}

// WithGold is an imported arena with a solution: calls with their arguments as they are.
// What is shipped is certified by playing them on what was read back.
func (im *Imported) WithGold(calls []astra.GoldCall) (*astra.Bundle, error) {
	t := im.Arena.Tasks[0]
	t.Gold = [][]astra.GoldCall{calls}
	line, err := encode(t)
	if err != nil {
		return nil, err
	}
	var files []astra.File
	for _, f := range im.Bundle.Files() {
		if f.Path == astra.TasksFile {
			f.Data = append(line, '\n')
		}
		files = append(files, f)
	}
	return astra.NewBundle(files)
}
