package servers

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/synth/rows"
)

// A Document is a server that was read, and what was not taken of it.
type Document struct {
	Server   Server
	Reach    *Reach      // how its real server is reached; nil for documents alone
	Rejected []Rejection // tools and chains that could not be read
	Line     int         // of a file of rows, from 1
}

// ReadPaper reads mcp_servers.jsonl (ASTRA §8.1), the same as one .json document, and the
// stage files that carry such rows as mcp_info, with the chains that a model proposed there.
// What cannot be read of one row is an error there, and the next is read. Stage files repeat
// a server for each of its chains: a row whose server came before is passed over.
//
// Names are taken from names, which may be nil where this is the only source.
func ReadPaper(file string, r io.Reader, names *Names) iter.Seq2[Document, error] {
	if names == nil {
		names = new(Names)
	}
	return func(yield func(Document, error) bool) {
		seen := map[[sha256.Size]byte]bool{}
		for row, err := range rows.Objects(file, r) {
			var in *paperRow
			if err == nil {
				in, err = readPaperRow(row.Data)
			}
			var d Document
			if err == nil {
				sum := in.sum()
				if seen[sum] {
					continue
				}
				seen[sum] = true
				d, err = in.document(names)
			}
			d.Line = row.Line
			if why, ok := errors.AsType[*rows.RowError](err); ok {
				why.File, why.Line = file, row.Line
			}
			if !yield(d, err) {
				return
			}
		}
	}
}

// A paperRow is a row of mcp_servers.jsonl, or of a stage file around it. Keys that are not
// here are passed over.
type paperRow struct {
	Base  *paperBase      `json:"base_info"`
	Call  *paperCall      `json:"call_info"`
	Info  json.RawMessage `json:"mcp_info"` // the row, or its JSON as text
	Graph struct {
		Detect []paperChain `json:"graph_detect"`
	} `json:"graph"`
	Detect []paperChain `json:"graph_detect"` // of older files
}

type paperBase struct {
	Group struct {
		Title       string `json:"server_title"`
		Server      string `json:"server_name"`
		Description string `json:"server_description"`
		Domain      string `json:"domain"`
		Tool        string `json:"tool_name"`
		Name        string `json:"name"`
	} `json:"group_info"`
	Tools []paperTool `json:"tool_list"`
}

type paperTool struct {
	Name        string          `json:"name"`
	Description string          `json:"description"`
	Parameters  json.RawMessage `json:"parameters"`
}

// A paperChain is what a model said of one chain. Wrapped is a later form, around the same
// or instead of it.
type paperChain struct {
	Detected string          `json:"tool_graph_detect"`
	Chain    json.RawMessage `json:"tool_graph_detect_chain"`
	Wrapped  json.RawMessage `json:"new_chain"`
	Trouble  any             `json:"error_info"` // "1" is none
}

// names are those of the chain: none where the model was not sure of it.
func (c paperChain) names() (chain []string, err error) {
	if bytes.HasPrefix(c.Wrapped, []byte("{")) {
		if err := json.Unmarshal(c.Wrapped, &c); err != nil {
			return nil, err
		}
	} else if c.Wrapped != nil {
		c.Chain = c.Wrapped
	}
	if c.Detected != "yes" || c.Trouble != nil && fmt.Sprint(c.Trouble) != "1" {
		return nil, nil
	}
	return chain, json.Unmarshal(c.Chain, &chain)
}

func readPaperRow(data json.RawMessage) (*paperRow, error) {
	in := new(paperRow)
	if err := json.Unmarshal(data, in); err != nil {
		return nil, badRow("no row of mcp_servers.jsonl: %v", err)
	}
	if in.Base == nil && in.Info != nil {
		inner := new(paperRow)
		if err := unwrap(in.Info, inner); err != nil {
			return nil, badRow("mcp_info: %v", err)
		}
		in.Base, in.Call = inner.Base, cmp.Or(inner.Call, in.Call)
	}
	if in.Base == nil {
		return nil, badRow("there is no base_info, and no mcp_info that has one")
	}
	return in, nil
}

// unwrap reads JSON, or text that is JSON.
func unwrap(raw json.RawMessage, v any) error {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		raw = json.RawMessage(text)
	}
	return json.Unmarshal(raw, v)
}

func badRow(format string, args ...any) *rows.RowError {
	return &rows.RowError{Msg: fmt.Sprintf(format, args...), Fix: "write {base_info: {group_info, tool_list}, call_info}"}
}

// sum is equal for rows that say the same of a server.
func (in *paperRow) sum() [sha256.Size]byte {
	b, err := json.Marshal([]any{in.Base, in.Call, in.Graph, in.Detect})
	if err != nil {
		b = fmt.Appendf(nil, "%+v", in) // what is no JSON came in as JSON: not met
	}
	return sha256.Sum256(b)
}

// document makes a server of a row.
func (in *paperRow) document(names *Names) (Document, error) {
	group := &in.Base.Group
	called := cmp.Or(group.Server, group.Name, group.Tool, group.Title)
	if called == "" {
		return Document{}, badRow("base_info.group_info has no server_name")
	}
	d := Document{Server: Server{Name: names.Take(called), Title: cmp.Or(group.Title, called), Description: group.Description, Domain: group.Domain}}
	s := &d.Server
	tools := namesOf(s.Name)
	for i := range in.Base.Tools {
		t, err := in.Base.Tools[i].tool(tools)
		if err != nil {
			d.Rejected = append(d.Rejected, Rejection{s.Name, in.Base.Tools[i].Name, Unreadable, err.Error()})
			continue
		}
		s.Tools = append(s.Tools, t)
	}
	in.chains(&d, tools)
	reach, err := in.Call.reach(s.Name)
	if err != nil {
		d.Rejected = append(d.Rejected, Rejection{s.Name, "", Unreachable, err.Error()})
	} else if reach != nil {
		d.Reach, s.Upstream = reach, s.Name
	}
	s.speak()
	return d, nil
}

func (p *paperTool) tool(names *toolNames) (Tool, error) {
	if p.Name == "" {
		return Tool{}, fmt.Errorf("a tool has no name")
	}
	input, err := inputOf(p.Parameters)
	if err != nil {
		return Tool{}, fmt.Errorf("parameters: %w", err)
	}
	t := Tool{Name: names.take(p.Name), Description: p.Description, Input: input, Annotations: silent}
	if t.Name != p.Name {
		t.Original = p.Name
	}
	return t, nil
}

// silent is what a tool is that does not say what it does: what the protocol takes it for.
var silent = astra.Annotations{Destructive: true, OpenWorld: true}

// chains takes what a model was sure of, by the names that the tools have here. An unknown
// tool stays in: it breaks the chain in the graph, and must not bridge it.
func (in *paperRow) chains(d *Document, names *toolNames) {
	for i, c := range append(in.Graph.Detect, in.Detect...) {
		chain, err := c.names()
		if err != nil {
			d.Rejected = append(d.Rejected, Rejection{d.Server.Name, "", Unreadable, fmt.Sprintf("graph_detect[%d]: its chain is no list of names", i)})
			continue
		}
		for j := range chain {
			chain[j] = names.known(chain[j])
		}
		if len(chain) > 0 {
			d.Server.Chains = append(d.Server.Chains, chain)
		}
	}
	d.Server.Chains = joined(d.Server.Chains, nil)
}
