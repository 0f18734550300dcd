package rows

import (
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"

	"github.com/astra-arenas/astra/synth"
)

// Environments are a row with env_result, and perhaps merged environments (ASTRA §8.8): a
// decomposition whose sub-questions have tools.
type Environments struct {
	Trace
	Calls []ToolCall // one for each sub-question with a tool, parents before children
	Tools []Tool     // those that the calls use, in the order of their first use
	Notes []string
	Line  int // in its file, from 1
}

// A ToolCall answers one sub-question.
type ToolCall struct {
	Node    string
	Tool    string
	Args    json.RawMessage
	Printed string // what the call printed when the environment was made; "" if that is not known
}

type environmentRow struct {
	Results  map[string]*environmentResult `json:"env_result"`
	Clusters []mergedRow                   `json:"aggregated_env"`
}

type environmentResult struct {
	Merged bool `json:"merge_flag"`
	Result struct {
		Data environmentData `json:"data"`
	} `json:"env_synthesis_result"`
}

type environmentData struct {
	Document  document        `json:"tool_document"`
	Statement string          `json:"tool_call_statement"`
	Code      string          `json:"code"`
	Printed   json.RawMessage `json:"tool_call_ans"` // text; what is merged keeps what was printed before
}

type document struct {
	Name        string          `json:"name"`
	Description string          `json:"description"`
	Parameters  json.RawMessage `json:"parameters"`
}

type mergedRow struct {
	Status     string   `json:"status"`
	Code       string   `json:"merged_code"`
	Document   document `json:"tool_document"`
	Statements []struct {
		ID        id     `json:"_uuid"`
		Statement string `json:"tool_call_statement"`
	} `json:"tool_call_statements"`
	Verification struct {
		Results []struct {
			ID     id     `json:"uuid"`
			Status string `json:"status"`
			Stdout string `json:"stdout"`
		} `json:"test_results"`
	} `json:"verification"`
}

// ReadEnvironments reads rows with env_result. Where aggregated_env has a merged tool that was
// made with success, it stands for those of its members. Hop levels, order and the scenario are
// set by the dependencies. A sub-question that needs a tool and has none, or whose call is no
// call with literals, is an error of the row: a part of a question is another question. Two
// tools of one name and different code are both kept: the second is renamed, and noted.
func ReadEnvironments(file string, r io.Reader) iter.Seq2[*Environments, error] {
	return func(yield func(*Environments, error) bool) {
		for row, err := range Objects(file, r) {
			var e *Environments
			if err == nil {
				var why *RowError
				if e, why = readEnvironments(row.Data); why != nil {
					why.File, why.Line = file, row.Line
					err = why
				} else {
					e.Line = row.Line
				}
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

func readEnvironments(data json.RawMessage) (*Environments, *RowError) {
	t, why := readTrace(data)
	if why != nil {
		return nil, why
	}
	var r environmentRow
	if err := json.Unmarshal(data, &r); err != nil {
		return nil, complain("mend the value", "%v", valueTrouble(err))
	}
	if r.Results == nil {
		return nil, complain("use what the paper's fourth step wrote", "env_result is missing")
	}
	e := &environmentReader{e: Environments{Trace: *t}, data: map[string]*environmentData{}}
	if !e.e.Instance.Layer() {
		return nil, complain("mend the dependencies", "they are no DAG: an id comes twice, is missing, or waits for itself")
	}
	e.results(r.Results)
	e.merged(r.Clusters)
	if why := e.calls(); why != nil {
		return nil, why
	}
	return &e.e, nil
}

// An environmentReader takes one row apart.
type environmentReader struct {
	e    Environments
	data map[string]*environmentData // by sub-question
}

func (r *environmentReader) note(format string, args ...any) {
	r.e.Notes = append(r.e.Notes, fmt.Sprintf(format, args...))
}

func (r *environmentReader) results(all map[string]*environmentResult) {
	for _, key := range sortedKeys(all) {
		one := all[key]
		if one == nil {
			continue
		}
		d := one.Result.Data
		if one.Merged { // it was printed by the code before
			d.Printed = nil
		}
		r.data[key] = &d
	}
}

// merged puts merged tools in the place of those that they were made of.
func (r *environmentReader) merged(clusters []mergedRow) {
	for i := range clusters {
		c := &clusters[i]
		if c.Status != "success" || strings.TrimSpace(c.Code) == "" {
			if len(c.Statements) > 0 {
				r.note("aggregated_env %d has the status %.40q: its members keep their own tools", i+1, c.Status)
			}
			continue
		}
		for _, s := range c.Statements {
			d := &environmentData{Document: c.Document, Statement: s.Statement, Code: c.Code}
			for _, t := range c.Verification.Results {
				if t.ID == s.ID && t.Status == "passed" {
					d.Printed = quoted(t.Stdout)
				}
			}
			if old := r.data[string(s.ID)]; old != nil && d.Document.Name == "" {
				d.Document = old.Document
			}
			r.data[string(s.ID)] = d
		}
	}
}

// calls makes the calls in the order of the sub-questions.
func (r *environmentReader) calls() *RowError {
	for i := range r.e.Instance.Nodes {
		n := &r.e.Instance.Nodes[i]
		d := r.data[n.ID]
		if d == nil && n.Tool {
			return complain("", "sub-question %s needs a tool, and env_result has none for it", n.ID)
		}
		if d == nil {
			continue
		}
		if why := r.call(n, d); why != nil {
			why.Msg = "sub-question " + n.ID + ": " + why.Msg
			return why
		}
		n.Tool = true
	}
	if len(r.e.Calls) == 0 {
		return complain("", "no sub-question has a tool")
	}
	return nil
}

func (r *environmentReader) call(n *synth.Node, d *environmentData) *RowError {
	s, err := ParseStatement(d.Statement)
	if err != nil {
		return complain("write a call with literals, such as f(a=\"x\")", "tool_call_statement: %v", err)
	}
	args, err := s.Arguments(parametersOf(d.Document.Parameters))
	if err != nil {
		return complain("", "tool_call_statement: %v", err)
	}
	name, why := r.tool(d, s.Function)
	if why != nil {
		return why
	}
	c := ToolCall{Node: n.ID, Tool: name, Args: args}
	if len(d.Printed) > 0 && string(d.Printed) != "null" {
		if c.Printed, err = printed(d.Printed); err != nil {
			return complain("", "tool_call_ans: %v", err)
		}
		c.Printed = strings.TrimRight(c.Printed, "\r\n")
	}
	gold, err := printed(n.Answer)
	if err != nil || strings.TrimSpace(gold) == "" || len(gold) > maxGold {
		return complain("", "the answer has %d bytes, and may have 1 to %d: an empty one is in every output", len(gold), maxGold)
	}
	if c.Printed != "" && !strings.Contains(c.Printed, gold) {
		return complain("", "the call printed %.80q, in which the answer %.80q is not", c.Printed, gold)
	}
	r.e.Calls = append(r.e.Calls, c)
	return nil
}

// tool finds or takes up the tool of an environment, and tells its name.
func (r *environmentReader) tool(d *environmentData, function string) (string, *RowError) {
	name := d.Document.Name
	if name == "" {
		name = function
	}
	if !defines(d.Code, function) {
		return "", complain("", "the code has no function %.80q, which tool_call_statement calls", function)
	}
	for i, free := 2, name; ; i++ {
		source := aliased(d.Code, free, function)
		at := slices.IndexFunc(r.e.Tools, func(t Tool) bool { return t.Name == free })
		if at < 0 {
			if free != name {
				r.note("two tools named %s have different code: the second is renamed %s", name, free)
			}
			r.e.Tools = append(r.e.Tools, Tool{free, d.Document.Description, compactSchema(d.Document.Parameters), source})
			return free, nil
		}
		if r.e.Tools[at].Source == source {
			return free, nil
		}
		free = fmt.Sprintf("%s_%d", name, i)
	}
}

// aliased is code with a function under another name beside its own.
func aliased(code, name, function string) string {
	if name == function || defines(code, name) {
		return code
	}
	return strings.TrimRight(code, "\n") + "\n\n\n" + name + " = " + function + "\n"
}

// parametersOf are the names of a schema's properties in their order.
func parametersOf(schema json.RawMessage) []string {
	var s struct {
		Properties json.RawMessage `json:"properties"`
	}
	if json.Unmarshal(schema, &s) != nil || len(s.Properties) == 0 {
		return nil
	}
	var names []string
	members("properties", s.Properties, func(name string, _ json.RawMessage) *RowError {
		names = append(names, name)
		return nil
	})
	return names
}
