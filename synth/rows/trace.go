package rows

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"

	"github.com/astra-arenas/astra/synth"
)

// A Trace is a decomposition_trace row: an instance, and what became of it.
type Trace struct {
	Instance *synth.Instance
	Legal    *bool    // tool_necessity_legitimacy; nil before step 2
	Score    *float64 // verify_result.score, QS; nil before step 3
	// Environments are those of env_result, by the node's id; nil before step 4. A nil one
	// could not be made.
	Environments map[string]*Environment
}

// An Environment is the tool of one sub-question, as env_result has it.
type Environment struct {
	Name        string
	Description string
	Parameters  json.RawMessage
	Code        string // Python that defines a function of that name
	Call        string // the statement that answers: f(a="x")
	Output      string // what it printed
	Merged      bool   // the tool is another's, too
}

type traceRow struct {
	UUID         json.RawMessage            `json:"uuid,omitempty"`
	Scenario     string                     `json:"scenario_type"`
	Question     string                     `json:"main_question"`
	Answer       json.RawMessage            `json:"final_answer"`
	Metadata     map[string]any             `json:"_metadata,omitempty"`
	Nodes        []traceNode                `json:"decomposition_trace"`
	Legal        *bool                      `json:"tool_necessity_legitimacy,omitempty"`
	Verify       *traceVerify               `json:"verify_result,omitempty"`
	Environments map[string]json.RawMessage `json:"env_result,omitempty"`
}

type traceVerify struct {
	Score *float64 `json:"score"`
}

type traceNode struct {
	UUID       json.RawMessage `json:"_uuid"`
	Hop        int             `json:"hop_level"`
	Question   string          `json:"sub_question"`
	Parallel   bool            `json:"is_parallel"`
	Dependency json.RawMessage `json:"dependency"`
	Answer     json.RawMessage `json:"sub_answer"`
	Necessity  *bool           `json:"tool_necessity,omitempty"`
	Reason     string          `json:"reason,omitempty"`
}

// ReadTraces yields the rows of a decomposition_trace file (processed results of the
// repository's steps 1 to 4). An error is a *LineError, and the next row follows it. What a
// row says is not held to any rule: see synth.Instance.Check.
func ReadTraces(r io.Reader) iter.Seq2[*Trace, error] { return read(r, parseTrace) }

func parseTrace(line []byte) (*Trace, error) {
	var row traceRow
	if err := json.Unmarshal(line, &row); err != nil {
		return nil, err
	}
	if len(row.Nodes) == 0 || len(row.Nodes) > synth.MaxNodes {
		return nil, fmt.Errorf("decomposition_trace has %d sub-questions; 1 to %d are read", len(row.Nodes), synth.MaxNodes)
	}
	in := &synth.Instance{Language: language(row.Metadata, row.Question), Domain: text(row.Metadata["domain"]), Scenario: synth.Scenario(row.Scenario),
		Question: row.Question, Answer: orNull(row.Answer)}
	for i := range row.Nodes {
		n, err := row.Nodes[i].node()
		if err != nil {
			return nil, fmt.Errorf("sub-question %d: %w", i+1, err)
		}
		in.Nodes = append(in.Nodes, n)
	}
	if in.ID, _ = identity(row.UUID); in.ID == "" {
		in.ID = in.StableID()
	}
	t := &Trace{Instance: in, Legal: row.Legal}
	if row.Verify != nil {
		t.Score = row.Verify.Score
	}
	var err error
	t.Environments, err = environments(row.Environments)
	return t, err
}

// language is what the metadata says, else Chinese if the question has Chinese characters.
func language(meta map[string]any, question string) synth.Language {
	if l := synth.Language(text(meta["language"])); l == synth.English || l == synth.Chinese {
		return l
	}
	if strings.ContainsFunc(question, func(r rune) bool { return r >= 0x4e00 && r <= 0x9fff }) {
		return synth.Chinese
	}
	return synth.English
}

func text(v any) string { s, _ := v.(string); return s }

func orNull(raw json.RawMessage) json.RawMessage {
	if raw == nil {
		return json.RawMessage("null")
	}
	return raw
}

func (n *traceNode) node() (synth.Node, error) {
	id, ok := identity(n.UUID)
	if !ok {
		return synth.Node{}, fmt.Errorf("_uuid %s is neither a number nor text", clip(string(n.UUID)))
	}
	parents, err := dependencies(n.Dependency)
	if err != nil {
		return synth.Node{}, err
	}
	return synth.Node{ID: id, Question: n.Question, Answer: orNull(n.Answer), DependsOn: parents, Hop: n.Hop, Parallel: n.Parallel,
		Tool: n.Necessity == nil || *n.Necessity, Reason: n.Reason}, nil
}

// identity reads an id that is a whole number or text; "01" and 1 are two.
func identity(raw json.RawMessage) (string, bool) {
	var s string
	if json.Unmarshal(raw, &s) == nil && len(raw) > 0 && raw[0] == '"' {
		return strings.TrimSpace(s), strings.TrimSpace(s) != ""
	}
	var n int64
	if len(raw) > 0 && json.Unmarshal(raw, &n) == nil && string(raw) != "null" {
		return strconv.FormatInt(n, 10), true
	}
	return "", false
}

// dependencies reads null, [], 3, [1, "2"], "null", "None", "[1, 2]" and "1,2".
func dependencies(raw json.RawMessage) ([]string, error) {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || string(raw) == "null" {
		return nil, nil
	}
	if id, ok := identity(raw); ok && raw[0] != '"' {
		return []string{id}, nil
	}
	if raw[0] == '[' {
		return idList(raw)
	}
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		return nil, fmt.Errorf("dependency %s is neither a list nor an id", clip(string(raw)))
	}
	switch s = strings.TrimSpace(s); {
	case s == "" || strings.EqualFold(s, "null") || strings.EqualFold(s, "none"):
		return nil, nil
	case s[0] == '[':
		return idList(json.RawMessage(s))
	}
	var ids []string
	for part := range strings.SplitSeq(s, ",") {
		if part = strings.TrimSpace(part); part != "" {
			ids = append(ids, part)
		}
	}
	return ids, nil
}

func idList(raw json.RawMessage) ([]string, error) {
	var list []json.RawMessage
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, fmt.Errorf("dependency %s: %w", clip(string(raw)), err)
	}
	var ids []string
	for _, item := range list {
		id, ok := identity(item)
		if !ok {
			return nil, fmt.Errorf("dependency %s has an item that is no id", clip(string(raw)))
		}
		ids = append(ids, id)
	}
	return ids, nil
}

type environmentRow struct {
	Merged bool `json:"merge_flag"`
	Result struct {
		Data *struct {
			Document struct {
				Name        string          `json:"name"`
				Description string          `json:"description"`
				Parameters  json.RawMessage `json:"parameters"`
			} `json:"tool_document"`
			Call   string `json:"tool_call_statement"`
			Code   string `json:"code"`
			Output string `json:"tool_call_ans"`
		} `json:"data"`
	} `json:"env_synthesis_result"`
}

func environments(rows map[string]json.RawMessage) (map[string]*Environment, error) {
	if rows == nil {
		return nil, nil
	}
	all := map[string]*Environment{}
	for id, raw := range rows {
		var row *environmentRow
		if err := json.Unmarshal(raw, &row); err != nil {
			return nil, fmt.Errorf("env_result %s: %w", clip(id), err)
		}
		all[id] = nil
		if row == nil || row.Result.Data == nil {
			continue
		}
		d := row.Result.Data
		all[id] = &Environment{d.Document.Name, d.Document.Description, d.Document.Parameters, d.Code, d.Call, d.Output, row.Merged}
	}
	return all, nil
}

// WriteTrace writes a row as the repository's steps read it: one line.
func WriteTrace(w io.Writer, t *Trace) error {
	in := t.Instance
	uuid, err := encode(in.ID)
	if err != nil {
		return err
	}
	row := traceRow{UUID: uuid, Scenario: string(in.Scenario), Question: in.Question, Answer: in.Answer, Legal: t.Legal,
		Metadata: map[string]any{"domain": in.Domain, "language": in.Language}}
	if t.Score != nil {
		row.Verify = &traceVerify{t.Score}
	}
	for i := range in.Nodes {
		n, err := traceOf(&in.Nodes[i])
		if err != nil {
			return err
		}
		row.Nodes = append(row.Nodes, n)
	}
	if t.Environments != nil {
		return errors.New("environments are read, and not written: export arenas as RL rows")
	}
	line, err := encode(row)
	if err != nil {
		return err
	}
	_, err = w.Write(append(line, '\n'))
	return err
}

func traceOf(n *synth.Node) (traceNode, error) {
	id := func(s string) json.RawMessage { // numbers as numbers: the repository counts
		if v, err := strconv.ParseInt(s, 10, 64); err == nil && strconv.FormatInt(v, 10) == s {
			return json.RawMessage(s)
		}
		b, _ := encode(s) // text always encodes
		return b
	}
	row := traceNode{UUID: id(n.ID), Hop: n.Hop, Question: n.Question, Parallel: n.Parallel, Answer: n.Answer, Necessity: &n.Tool, Reason: n.Reason}
	if n.DependsOn == nil {
		row.Dependency = json.RawMessage("null")
		return row, nil
	}
	var ids []json.RawMessage
	for _, p := range n.DependsOn {
		ids = append(ids, id(p))
	}
	var err error
	row.Dependency, err = encode(ids)
	return row, err
}
