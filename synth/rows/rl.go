package rows

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"

	"github.com/astra-arenas/astra"
)

// An RL is a row of the paper's RL data (ASTRA-RL): a prompt, the tools that are shown,
// their Python code, and for each tool that is needed the answers that it must give.
type RL struct {
	Prompt []Message           `json:"prompt"` // one message of the user
	Schema []FunctionTool      `json:"tool_schema"`
	Code   map[string]string   `json:"tool_dict"`
	Answer map[string][]string `json:"sub_qa_dict"`
}

// A Message is one of a chat.
type Message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

// A FunctionTool is a tool in OpenAI's form.
type FunctionTool struct {
	Type     string `json:"type"`
	Function struct {
		Name        string          `json:"name"`
		Description string          `json:"description"`
		Parameters  json.RawMessage `json:"parameters"`
	} `json:"function"`
}

// ReadRL yields the rows of an RL file. An error is a *LineError, and the next row follows it.
func ReadRL(r io.Reader) iter.Seq2[*RL, error] { return read(r, parseRL) }

func parseRL(line []byte) (*RL, error) {
	var raw struct {
		Prompt json.RawMessage `json:"prompt"`
		Schema json.RawMessage `json:"tool_schema"`
		Code   json.RawMessage `json:"tool_dict"`
		Answer json.RawMessage `json:"sub_qa_dict"`
	}
	if err := json.Unmarshal(line, &raw); err != nil {
		return nil, err
	}
	var row RL
	var answers map[string]json.RawMessage
	for _, f := range []struct {
		key  string
		raw  json.RawMessage
		into any
	}{{"prompt", raw.Prompt, &row.Prompt}, {"tool_schema", raw.Schema, &row.Schema}, {"tool_dict", raw.Code, &row.Code}, {"sub_qa_dict", raw.Answer, &answers}} {
		if f.raw == nil {
			return nil, fmt.Errorf("%s is missing", f.key)
		}
		if err := decode(f.raw, f.into); err != nil {
			return nil, fmt.Errorf("%s: %w", f.key, err)
		}
	}
	row.Answer = map[string][]string{}
	for _, tool := range sorted(answers) {
		list, err := answerList(answers[tool])
		if err != nil {
			return nil, fmt.Errorf("sub_qa_dict, %s: %w", clip(tool), err)
		}
		row.Answer[tool] = list
	}
	return &row, nil
}

// answerList reads a list of answers, or one.
func answerList(raw json.RawMessage) ([]string, error) {
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) != nil {
		list = []json.RawMessage{raw}
	}
	var answers []string
	for _, item := range list {
		s, err := answerText(item)
		if err != nil {
			return nil, fmt.Errorf("the answer %s: %w", clip(string(item)), err)
		}
		if strings.TrimSpace(s) == "" {
			return nil, errors.New("an answer is empty: any output has it")
		}
		answers = append(answers, s)
	}
	return answers, nil
}

// WriteRL writes a row as the released data has it: one line, with JSON in strings.
func WriteRL(w io.Writer, row *RL) error {
	text := func(v any) (string, error) {
		b, err := encode(v)
		return string(b), err
	}
	schema, err1 := text(row.Schema)
	code, err2 := text(row.Code)
	answers, err3 := text(row.Answer)
	line, err4 := encode(map[string]any{"prompt": row.Prompt, "tool_schema": schema, "tool_dict": code, "sub_qa_dict": answers})
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return err
	}
	_, err := w.Write(append(line, '\n'))
	return err
}

// An Imported arena has one row's tools and its one task.
type Imported struct {
	Bundle *astra.Bundle
	Arena  *astra.Arena
	// Notes say what of the row is not in the arena, or not as it should be: tools that come
	// twice, or without code.
	Notes []string
}

// Import makes an arena of a row. Its tools are the row's Python, run as it is; its task is
// solved by the paper's rule: each answer must stand in what a call of its tool printed. A
// row has no solution, so the arena has no gold, and its certificate says unknown.
func (row *RL) Import() (*Imported, error) {
	id, err := row.id()
	if err != nil {
		return nil, err
	}
	if len(row.Prompt) != 1 || row.Prompt[0].Role != "user" {
		return nil, fmt.Errorf("prompt has %d messages; it is one of the user", len(row.Prompt))
	}
	a := &pythonArena{name: "astra-rl-" + id, title: "ASTRA-RL row " + id, description: "One row of RL data in the paper's form, with its tools as they came."}
	out := &Imported{}
	if a.tools, out.Notes, err = row.tools(); err != nil {
		return nil, err
	}
	task, err := row.task(id, a.tools)
	if err != nil {
		return nil, err
	}
	a.tasks = []*astra.Task{task}
	a.provenance = map[string]any{"origin": "an ASTRA-RL row", "row": id, "notes": append([]string{}, out.Notes...)}
	if out.Bundle, err = a.bundle(); err != nil {
		return nil, err
	}
	out.Arena, err = out.Bundle.Load()
	return out, err
}

// id names a row by its content.
func (row *RL) id() (string, error) {
	b, err := encode(row)
	if err != nil {
		return "", err
	}
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:6]), nil
}

func (row *RL) tools() (tools []pythonTool, notes []string, err error) {
	for _, s := range row.Schema {
		f := s.Function
		t := pythonTool{name: f.Name, function: f.Name, description: f.Description, parameters: schema(f.Parameters), code: row.Code[f.Name]}
		if strings.TrimSpace(t.description) == "" {
			t.description = t.name
		}
		switch {
		case slices.ContainsFunc(tools, func(o pythonTool) bool { return o.name == t.name }):
			notes = append(notes, fmt.Sprintf("the tool %s comes twice in tool_schema: the first is kept, and there is code for one of them alone", clip(t.name)))
		case row.Code[f.Name] == "" && row.Answer[f.Name] == nil:
			notes = append(notes, fmt.Sprintf("the tool %s has no code, and is left out", clip(t.name)))
		default:
			if err := t.check(); err != nil {
				return nil, nil, err
			}
			tools = append(tools, t)
		}
	}
	return tools, notes, nil
}

func (row *RL) task(id string, tools []pythonTool) (*astra.Task, error) {
	t := &astra.Task{ID: "row-" + id, Turns: []astra.TaskTurn{{Prompt: row.Prompt[0].Content}}}
	for _, tool := range sorted(row.Answer) {
		if !slices.ContainsFunc(tools, func(o pythonTool) bool { return o.name == tool }) {
			return nil, fmt.Errorf("sub_qa_dict wants an answer of %s, which is not in tool_schema", clip(tool))
		}
		for i, answer := range row.Answer[tool] {
			solved, err := containing(answer)
			if err != nil {
				return nil, err
			}
			t.Subtasks = append(t.Subtasks, astra.Subtask{ID: fmt.Sprintf("%s-%d", tool, i+1), Tool: tool, Solved: solved})
		}
	}
	if len(t.Subtasks) == 0 {
		return nil, errors.New("sub_qa_dict has no answers: nothing could be scored")
	}
	return t, nil
}
