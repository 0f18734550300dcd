package tasks

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"

	"github.com/astra-arenas/astra/synth"
	"github.com/astra-arenas/astra/synth/ask"
	"github.com/astra-arenas/astra/synth/graph"
	"github.com/astra-arenas/astra/synth/rows"
	"github.com/astra-arenas/astra/synth/servers"
)

// A Row is a task of the released code's tasks.jsonl (ASTRA §8.3).
type Row struct {
	File      string     `json:"file"`
	Line      int        `json:"line"`   // from 1
	Server    string     `json:"server"` // its title
	Question  string     `json:"question"`
	Mode      Mode       `json:"mode,omitempty"`
	Targets   []string   `json:"targets"` // as its server calls them
	Planned   bool       `json:"planned"` // written for a chain
	Published *Published `json:"published,omitempty"`
}

// rowForm is such a row as it is written. Keys that are not here are passed over.
type rowForm struct {
	Query *struct {
		Planned   bool            `json:"have_plan"`
		Targets   json.RawMessage `json:"target_tools"` // a list
		Question  string          `json:"generated_question"`
		Augmented struct {
			Mode     string `json:"mode"`
			Question string `json:"augmented_question"`
		} `json:"augmented_query_info"`
		Scores struct {
			Quality *Published `json:"quality_scores"`
		} `json:"query_score_info"`
	} `json:"query_info"`
	Info json.RawMessage `json:"mcp_info"` // an object, or its JSON as text
}

var publishedModes = map[string]Mode{"": "", "diverse": Diversity, "complicate": Complexity, "add_ug": InPersona}

// ReadPaper reads tasks.jsonl. A row that cannot be read is a *rows.RowError there, and the
// next is read.
func ReadPaper(file string, r io.Reader) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		for object, err := range rows.Objects(file, r) {
			row := Row{File: file, Line: object.Line}
			if err == nil {
				err = row.read(object.Data)
			}
			if bad, ok := errors.AsType[*rows.RowError](err); ok {
				bad.File, bad.Line = file, object.Line
			}
			if !yield(row, err) {
				return
			}
		}
	}
}

func (row *Row) read(data json.RawMessage) error {
	var in rowForm
	if err := json.Unmarshal(data, &in); err != nil || in.Query == nil {
		return badRow("no row of tasks.jsonl: there is no query_info, or it is none")
	}
	q, ok := in.Query, false
	row.Planned, row.Question = q.Planned, strings.TrimSpace(cmp.Or(q.Augmented.Question, q.Question))
	if row.Mode, ok = publishedModes[q.Augmented.Mode]; !ok {
		return badRow("augmented_query_info.mode is %.40q", q.Augmented.Mode)
	}
	if p := q.Scores.Quality; p != nil {
		for _, grade := range []float64{p.Difficulty, p.Uniqueness, p.Question, p.Realism} {
			if !(grade >= 1 && grade <= 5) {
				return badRow("quality_scores has %g: the four are from 1 to 5", grade)
			}
		}
		row.Published = p
	}
	if err := json.Unmarshal(q.Targets, &row.Targets); err != nil || len(row.Targets) == 0 {
		return badRow("target_tools is no list of tools")
	}
	return row.readServer(in.Info)
}

func (row *Row) readServer(info json.RawMessage) error {
	var text string
	if json.Unmarshal(info, &text) == nil {
		info = json.RawMessage(text)
	}
	var in struct {
		Base struct {
			Group struct {
				Title  string `json:"server_title"`
				Server string `json:"server_name"`
				Name   string `json:"name"`
				Tool   string `json:"tool_name"`
			} `json:"group_info"`
		} `json:"base_info"`
	}
	if err := json.Unmarshal(info, &in); err != nil {
		return badRow("mcp_info: %v", err)
	}
	g := in.Base.Group
	if row.Server = cmp.Or(g.Title, g.Server, g.Name, g.Tool); row.Server == "" {
		return badRow("mcp_info has no base_info.group_info.server_name")
	}
	return nil
}

func badRow(format string, args ...any) *rows.RowError {
	return &rows.RowError{Msg: fmt.Sprintf(format, args...), Fix: "write {query_info: {generated_question, target_tools}, mcp_info: {base_info}}"}
}

// Import takes tasks that were written elsewhere through the checks that come after
// writing. Question quality and scenario realism are theirs where a row has grades.
func (a *Author) Import(ctx context.Context, run *synth.Run, all []servers.Server, given []Row) iter.Seq2[Task, error] {
	b := newBook(all)
	each := func(yield func(Row, error) bool) {
		for _, row := range given {
			if !yield(row, nil) {
				return
			}
		}
	}
	return a.graded(ctx, run, b, func(run *synth.Run, t *ask.Tally) iter.Seq2[Task, error] {
		return ask.Stage(ctx, run, t, "import", each, func(row Row) string { return fmt.Sprint(row.File, ":", row.Line) }, func(_ context.Context, row Row) (synth.Result[Task], error) {
			return b.imported(row), nil
		})
	})
}

// imported is a row as a task of one of the servers.
func (b *book) imported(row Row) synth.Result[Task] {
	t := Task{Kind: FromServer, Question: row.Question, Mode: row.Mode, Published: row.Published}
	if row.Planned {
		t.Kind = FromChain
	}
	for i := range b.all {
		if s := &b.all[i]; s.Title == row.Server && t.Targets == nil {
			t.Server, t.Language, t.Domain, t.Targets = s.Name, s.Language, s.Domain, row.nodes(s)
		}
	}
	if t.Targets == nil {
		return spoiled(t, "unknown tool", "%s:%d: no server %q that was kept has all of %s", row.File, row.Line, ask.Clip(row.Server, 80), strings.Join(row.Targets, ", "))
	}
	if err := checkText(b, []string{t.Server}, t.Language, "question", t.Question); err != nil {
		return spoiled(t, "request", "%s:%d: %v", row.File, row.Line, err)
	}
	return synth.Passed(t.identified())
}

// nodes are a row's targets, by the names that they have here; nil if one is not there.
func (row *Row) nodes(s *servers.Server) []graph.Node {
	var list []graph.Node
	for _, name := range row.Targets {
		found := ""
		for i := range s.Tools {
			if t := &s.Tools[i]; t.Name == name || t.Original == name {
				found = t.Name
			}
		}
		if found == "" {
			return nil
		}
		list = append(list, graph.Node{Server: s.Name, Tool: found})
	}
	return list
}
