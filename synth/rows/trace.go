package rows

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"strings"
	"unicode"

	"github.com/astra-arenas/astra/synth"
)

// A Trace is a decomposition_trace row (ASTRA §8.7).
type Trace struct {
	Instance   synth.Instance
	Legitimate *bool                      // tool_necessity_legitimacy; nil if nobody judged it
	Quality    *Quality                   // verify_result; nil if nobody judged it
	Metadata   map[string]json.RawMessage // _metadata without domain and language
	Extra      map[string]json.RawMessage // keys of the row that are not ours, kept as they are
}

// A Quality is what the paper's third step found: Score is QS = ¼(DC+SA+SR+TC), in [0,1]
// unless a file says otherwise.
type Quality struct {
	Score               float64
	Dependency          Dimension // DC
	Atomicity           Dimension // SA, "data_quality" in files
	ForcedSerialization Dimension // SR
	Completeness        Dimension // TC
}

// A Dimension is one of the four, with what its judge said.
type Dimension struct {
	Score float64         `json:"score"`
	Extra json.RawMessage `json:"extra_info,omitempty"`
}

// TraceOptions adjusts ReadTraces. A nil *TraceOptions means the defaults.
type TraceOptions struct {
	// Relayer sets what follows from the dependencies (order, hop levels, parallel, scenario)
	// instead of taking it as given, which Check then refuses where it is wrong.
	Relayer bool
}

type traceRow struct {
	UUID       id                         `json:"uuid"`
	Scenario   synth.Scenario             `json:"scenario_type"`
	Question   string                     `json:"main_question"`
	Answer     json.RawMessage            `json:"final_answer"`
	Metadata   map[string]json.RawMessage `json:"_metadata"`
	Nodes      []traceNode                `json:"decomposition_trace"`
	Legitimate *flag                      `json:"tool_necessity_legitimacy,omitempty"`
	Quality    *qualityRow                `json:"verify_result,omitempty"`
}

type traceNode struct {
	ID        id              `json:"_uuid"`
	Hop       count           `json:"hop_level"`
	Question  string          `json:"sub_question"`
	Parallel  flag            `json:"is_parallel"`
	DependsOn ids             `json:"dependency"`
	Answer    json.RawMessage `json:"sub_answer"`
	Tool      *flag           `json:"tool_necessity,omitempty"`
	Reason    string          `json:"reason,omitempty"`
}

type qualityRow struct {
	Score float64     `json:"score"`
	Extra qualityInfo `json:"extra_info"`
}

type qualityInfo struct {
	Dependency          Dimension `json:"dependency"`
	Atomicity           Dimension `json:"data_quality"`
	ForcedSerialization Dimension `json:"forced_serialization"`
	Completeness        Dimension `json:"completeness"`
}

// ReadTraces reads decomposition_trace rows. Answers keep their JSON types. A sub-question
// whose tool necessity nobody judged needs one. Row keys that are not the format's are kept
// in Extra; keys of sub-questions that are not are left out. Whether an instance is right is
// for its Check to say.
func ReadTraces(file string, r io.Reader, opts *TraceOptions) iter.Seq2[*Trace, error] {
	relayer := opts != nil && opts.Relayer
	return read(file, r, func(data json.RawMessage) (*Trace, *RowError) {
		t, why := readTrace(data)
		if why == nil && relayer && !t.Instance.Layer() {
			return nil, complain("mend the dependencies", "they are no DAG: an id comes twice, is missing, or waits for itself")
		}
		return t, why
	})
}

func readTrace(data json.RawMessage) (*Trace, *RowError) {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(data, &all); err != nil {
		return nil, complain("write one JSON object a line", "no JSON: %v", err)
	}
	if _, ok := all["decomposition_trace"]; !ok {
		return nil, noTrace(all)
	}
	var r traceRow
	if err := json.Unmarshal(data, &r); err != nil {
		return nil, complain("mend the value", "%v", valueTrouble(err))
	}
	t := &Trace{Instance: r.instance(), Metadata: r.Metadata, Extra: all, Legitimate: (*bool)(r.Legitimate)}
	if r.Quality != nil {
		t.Quality = &Quality{r.Quality.Score, r.Quality.Extra.Dependency, r.Quality.Extra.Atomicity, r.Quality.Extra.ForcedSerialization, r.Quality.Extra.Completeness}
	}
	for _, key := range []string{"uuid", "scenario_type", "main_question", "final_answer", "_metadata", "decomposition_trace", "tool_necessity_legitimacy", "verify_result"} {
		delete(t.Extra, key)
	}
	delete(t.Metadata, "domain")
	delete(t.Metadata, "language")
	return t, nil
}

// noTrace tells the raw output of the first step, which the paper's README takes for its
// input, from what is none of these files.
func noTrace(all map[string]json.RawMessage) *RowError {
	if all["prompt"] != nil && all["response"] != nil {
		return complain("use the file that ends in _processed.jsonl", "this is a model's raw output: decomposition_trace is missing")
	}
	return complain("use a file of decomposition_trace rows", "decomposition_trace is missing")
}

// valueTrouble names the key and not the Go type.
func valueTrouble(err error) error {
	if bad, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Errorf("%s is a %s, which it cannot be", bad.Field, bad.Value)
	}
	return err
}

func (r *traceRow) instance() synth.Instance {
	in := synth.Instance{ID: string(r.UUID), Scenario: r.Scenario, Question: r.Question, Answer: compact(r.Answer)}
	in.Domain = textOf(r.Metadata["domain"])
	in.Language = languageOf(textOf(r.Metadata["language"]), r.Question)
	for i := range r.Nodes {
		in.Nodes = append(in.Nodes, r.Nodes[i].node())
	}
	if in.ID == "" {
		in.ID = in.StableID()
	}
	return in
}

func (n *traceNode) node() synth.Node {
	node := synth.Node{ID: string(n.ID), Question: n.Question, Answer: compact(n.Answer), Hop: int(n.Hop), Parallel: bool(n.Parallel),
		Tool: n.Tool == nil || bool(*n.Tool), Reason: n.Reason}
	for _, p := range n.DependsOn {
		node.DependsOn = append(node.DependsOn, string(p))
	}
	return node
}

func textOf(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}

// languageOf is what a file says, or else what the question is written in.
func languageOf(said, question string) synth.Language {
	switch strings.ToLower(said) {
	case "zh", "zh-cn", "cn", "chinese", "中文":
		return synth.Chinese
	case "en", "english":
		return synth.English
	}
	if strings.ContainsFunc(question, func(r rune) bool { return unicode.Is(unicode.Han, r) }) {
		return synth.Chinese
	}
	return synth.English
}

// WriteTrace writes a row, one line. Ids that are whole numbers are written as numbers.
func WriteTrace(w io.Writer, t *Trace) error {
	all := maps.Clone(t.Extra)
	if all == nil {
		all = map[string]json.RawMessage{}
	}
	known, err := synth.JSON(t.row())
	if err != nil {
		return fmt.Errorf("instance %s: %w", t.Instance.ID, err)
	}
	if err := json.Unmarshal(known, &all); err != nil {
		return err
	}
	line, err := synth.JSON(all)
	if err != nil {
		return fmt.Errorf("instance %s: %w", t.Instance.ID, err)
	}
	_, err = w.Write(append(line, '\n'))
	return err
}

func (t *Trace) row() *traceRow {
	in := &t.Instance
	r := &traceRow{UUID: id(in.ID), Scenario: in.Scenario, Question: in.Question, Answer: in.Answer, Legitimate: (*flag)(t.Legitimate)}
	r.Metadata = maps.Clone(t.Metadata)
	if r.Metadata == nil {
		r.Metadata = map[string]json.RawMessage{}
	}
	r.Metadata["language"] = quoted(string(in.Language))
	if in.Domain != "" {
		r.Metadata["domain"] = quoted(in.Domain)
	}
	for i := range in.Nodes {
		r.Nodes = append(r.Nodes, nodeRow(&in.Nodes[i]))
	}
	if q := t.Quality; q != nil {
		r.Quality = &qualityRow{q.Score, qualityInfo{q.Dependency, q.Atomicity, q.ForcedSerialization, q.Completeness}}
	}
	return r
}

func nodeRow(n *synth.Node) traceNode {
	tool := flag(n.Tool)
	row := traceNode{ID: id(n.ID), Hop: count(n.Hop), Question: n.Question, Parallel: flag(n.Parallel), Answer: n.Answer, Tool: &tool, Reason: n.Reason}
	for _, p := range n.DependsOn {
		row.DependsOn = append(row.DependsOn, id(p))
	}
	return row
}

func quoted(s string) json.RawMessage {
	b, err := synth.JSON(s)
	if err != nil {
		panic(err) // text is always JSON
	}
	return b
}
