package rows

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"regexp"
	"slices"
	"strings"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/synth"
)

// An RLRow is an ASTRA-RL row (ASTRA §8.9): one prompt, tools with their code, and the
// answers that their output should contain.
type RLRow struct {
	Prompt  string
	Tools   []Tool    // in the order of tool_schema
	Answers []Answers // in the order of sub_qa_dict
	Notes   []string  // what was left out of the row, or is odd about it
	Line    int       // in its file, from 1; 0 if it is from none
}

// Answers are those of one tool, text as the paper's sandbox prints it.
type Answers struct {
	Tool string
	Gold []string
}

// maxGold bounds one answer, which becomes part of a verifier. The published ones have at
// most some 1,500 characters together.
const maxGold = 4096

// ReadRL reads ASTRA-RL rows. tool_schema, tool_dict and sub_qa_dict may be JSON text or
// JSON. What cannot be played is refused: a target, which is a tool that sub_qa_dict
// names, without schema, code or function; an empty answer, which is in every output. What
// can be is taken, and noted: two schemas of one name (the first stays), and other tools that
// lack schema or code (they are left out). Other keys of a row are passed over.
func ReadRL(file string, r io.Reader) iter.Seq2[*RLRow, error] {
	return func(yield func(*RLRow, error) bool) {
		for row, err := range Objects(file, r) {
			if err != nil {
				if !yield(nil, err) {
					return
				}
				continue
			}
			rl, why := readRL(row.Data)
			if why != nil {
				why.File, why.Line = file, row.Line
				if !yield(nil, why) {
					return
				}
				continue
			}
			if rl.Line = row.Line; !yield(rl, nil) {
				return
			}
		}
	}
}

type rlFile struct {
	Prompt json.RawMessage `json:"prompt"`
	Schema json.RawMessage `json:"tool_schema"`
	Dict   json.RawMessage `json:"tool_dict"`
	QA     json.RawMessage `json:"sub_qa_dict"`
}

type rlSchema struct {
	Type     string `json:"type"`
	Function struct {
		Name        string          `json:"name"`
		Description string          `json:"description"`
		Parameters  json.RawMessage `json:"parameters,omitempty"`
	} `json:"function"`
}

// An rlReader takes one row apart.
type rlReader struct {
	row     RLRow
	sources map[string]string
	names   []string // of tool_dict, in its order
}

func readRL(data json.RawMessage) (*RLRow, *RowError) {
	var f rlFile
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, complain("write one JSON object a line", "%v", valueTrouble(err))
	}
	r := &rlReader{sources: map[string]string{}}
	for _, part := range []struct {
		key  string
		raw  json.RawMessage
		read func(json.RawMessage) *RowError
	}{{"prompt", f.Prompt, r.prompt}, {"tool_dict", f.Dict, r.dict}, {"tool_schema", f.Schema, r.schema}, {"sub_qa_dict", f.QA, r.answers}} {
		raw := unwrapped(part.raw, part.key != "prompt")
		if len(raw) == 0 || string(raw) == "null" {
			return nil, complain("an ASTRA-RL row has prompt, tool_schema, tool_dict and sub_qa_dict", "%s is missing", part.key)
		}
		if why := part.read(raw); why != nil {
			return nil, why
		}
	}
	if why := r.targets(); why != nil {
		return nil, why
	}
	return &r.row, nil
}

// unwrapped is the JSON that a JSON text holds, or the JSON itself.
func unwrapped(raw json.RawMessage, inText bool) json.RawMessage {
	var text string
	if inText && json.Unmarshal(raw, &text) == nil {
		return bytes.TrimSpace([]byte(text))
	}
	return bytes.TrimSpace(raw)
}

func (r *rlReader) prompt(raw json.RawMessage) *RowError {
	var list []struct {
		Role    string          `json:"role"`
		Content json.RawMessage `json:"content"`
	}
	if json.Unmarshal(raw, &r.row.Prompt) != nil {
		if json.Unmarshal(raw, &list) != nil || len(list) != 1 || list[0].Role != "user" && list[0].Role != "" || json.Unmarshal(list[0].Content, &r.row.Prompt) != nil {
			return complain(`write [{"role": "user", "content": "…"}]`, "prompt is not one message of a user")
		}
	}
	if strings.TrimSpace(r.row.Prompt) == "" {
		return complain("write what is asked", "prompt is empty")
	}
	return nil
}

func (r *rlReader) dict(raw json.RawMessage) *RowError {
	return members("tool_dict", raw, func(name string, value json.RawMessage) *RowError {
		var source string
		if json.Unmarshal(value, &source) != nil || value[0] != '"' {
			return complain("write Python as text", "tool_dict: the code of %.80q is no text", name)
		}
		r.sources[name] = source
		r.names = append(r.names, name)
		return nil
	})
}

func (r *rlReader) schema(raw json.RawMessage) *RowError {
	var list []rlSchema
	if err := json.Unmarshal(raw, &list); err != nil {
		return complain(`write a list of {"type": "function", "function": {…}}`, "tool_schema: %v", valueTrouble(err))
	}
	for i := range list {
		s := &list[i].Function
		source, coded := r.sources[s.Name]
		switch {
		case astra.ToolNameError(s.Name) != nil:
			return complain("", "tool_schema: %v", astra.ToolNameError(s.Name))
		case r.tool(s.Name) != nil:
			r.note("tool_schema has two tools named %s: the first stays, as no call could tell them apart", s.Name)
		case !coded:
			r.note("tool_dict has no code of %s: it is left out", s.Name)
		default:
			r.row.Tools = append(r.row.Tools, Tool{s.Name, s.Description, compactSchema(s.Parameters), source})
		}
	}
	for _, name := range r.names {
		if r.tool(name) == nil {
			r.note("tool_schema has no %s: it is left out", name)
		}
	}
	return nil
}

func compactSchema(raw json.RawMessage) json.RawMessage {
	if raw = compact(raw); string(raw) == "null" || string(raw) == "{}" {
		return json.RawMessage(`{"type":"object","properties":{}}`)
	}
	return raw
}

func (r *rlReader) answers(raw json.RawMessage) *RowError {
	why := members("sub_qa_dict", raw, func(name string, value json.RawMessage) *RowError {
		var list []json.RawMessage
		if json.Unmarshal(value, &list) != nil {
			list = []json.RawMessage{value} // one answer without its list
		}
		a := Answers{Tool: name}
		for _, item := range list {
			gold, err := printed(item)
			if err != nil || strings.TrimSpace(gold) == "" || len(gold) > maxGold {
				return complain("", "sub_qa_dict: an answer of %s has %d bytes, and may have 1 to %d: an empty one is in every output", name, len(gold), maxGold)
			}
			a.Gold = append(a.Gold, gold)
		}
		if len(a.Gold) == 0 {
			return complain("", "sub_qa_dict: %.80q has no answer", name)
		}
		r.row.Answers = append(r.row.Answers, a)
		return nil
	})
	if why == nil && len(r.row.Answers) == 0 {
		return complain("", "sub_qa_dict is empty: nothing could be scored")
	}
	return why
}

// targets holds the tools that have answers to what a play needs of them.
func (r *rlReader) targets() *RowError {
	for _, a := range r.row.Answers {
		t := r.tool(a.Tool)
		switch _, coded := r.sources[a.Tool]; {
		case !coded:
			return complain("", "sub_qa_dict names %.80q, of which tool_dict has no code", a.Tool)
		case t == nil:
			return complain("", "sub_qa_dict names %.80q, which is not in tool_schema: no agent can call it", a.Tool)
		case !defines(t.Source, t.Name):
			return complain("", "the code of %.80q has no function of that name", a.Tool)
		}
	}
	for i := range r.row.Tools {
		if t := &r.row.Tools[i]; !defines(t.Source, t.Name) {
			r.note("the code of %s has no function of that name: its calls fail", t.Name)
		}
	}
	return nil
}

func (r *rlReader) tool(name string) *Tool { return r.row.tool(name) }

func (r *RLRow) tool(name string) *Tool {
	i := slices.IndexFunc(r.Tools, func(t Tool) bool { return t.Name == name })
	if i < 0 {
		return nil
	}
	return &r.Tools[i]
}

func (r *rlReader) note(format string, args ...any) {
	r.row.Notes = append(r.row.Notes, fmt.Sprintf(format, args...))
}

// defines reports whether code makes something of a name at its top level.
func defines(source, name string) bool {
	return regexp.MustCompile(`(?m)^((async\s+)?def|class)\s+`+regexp.QuoteMeta(name)+`\b|^`+regexp.QuoteMeta(name)+`\s*[=:]`).MatchString(source) ||
		regexp.MustCompile(`(?m)^(from|import)\s.*\b`+regexp.QuoteMeta(name)+`\b`).MatchString(source)
}

// members calls f with each member of an object, in the object's order. A name that comes
// twice is refused: no dict of Python's has one.
func members(key string, raw json.RawMessage, f func(string, json.RawMessage) *RowError) *RowError {
	d := json.NewDecoder(bytes.NewReader(raw))
	if t, err := d.Token(); err != nil || t != json.Delim('{') || !json.Valid(raw) {
		return complain("write a JSON object, or one as text", "%s is no JSON object", key)
	}
	seen := map[string]bool{}
	for d.More() {
		name, err := d.Token()
		var value json.RawMessage
		if err == nil {
			err = d.Decode(&value)
		}
		if err != nil {
			return complain("write a JSON object", "%s: %v", key, err)
		}
		text := name.(string) // a valid object's
		if seen[text] {
			return complain("keep one", "%s has %.80q twice", key, text)
		}
		seen[text] = true
		if why := f(text, value); why != nil {
			return why
		}
	}
	return nil
}

// WriteRL writes a row, one line.
func WriteRL(w io.Writer, r *RLRow) error {
	line, err := r.line()
	if err != nil {
		return err
	}
	_, err = w.Write(append(line, '\n'))
	return err
}

// line has the keys in the paper's order, and names in the row's own.
func (r *RLRow) line() ([]byte, error) {
	schema := []rlSchema{}
	var dict, qa object
	for i := range r.Tools {
		t := &r.Tools[i]
		s := rlSchema{Type: "function"}
		s.Function.Name, s.Function.Description, s.Function.Parameters = t.Name, t.Description, t.Parameters
		schema = append(schema, s)
		dict.add(t.Name, t.Source)
	}
	for _, a := range r.Answers {
		qa.add(a.Tool, a.Gold)
	}
	list, err := synth.JSON(schema)
	if err != nil {
		return nil, err
	}
	var all object
	all.add("prompt", []map[string]string{{"role": "user", "content": r.Prompt}})
	all.add("tool_schema", string(list))
	all.add("tool_dict", string(dict.bytes()))
	all.add("sub_qa_dict", string(qa.bytes()))
	return all.bytes(), errorsOf(dict, qa, all)
}

// An object is JSON with members in the order in which they were added.
type object struct {
	b   []byte
	err error
}

func (o *object) add(key string, v any) {
	text, err := synth.JSON(v)
	if err != nil && o.err == nil {
		o.err = err
	}
	if len(o.b) > 0 {
		o.b = append(o.b, ',')
	}
	o.b = append(append(append(o.b, quoted(key)...), ':'), text...)
}

func (o *object) bytes() []byte { return append(append([]byte{'{'}, o.b...), '}') }

func errorsOf(all ...object) error {
	for _, o := range all {
		if o.err != nil {
			return o.err
		}
	}
	return nil
}
