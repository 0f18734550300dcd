package servers

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/synth"
	"github.com/astra-arenas/astra/synth/rows"
)

// File is what a collection is called.
const File = "servers.jsonl"

// Write writes servers one a line: servers.jsonl.
func Write(w io.Writer, all []Server) error {
	for i := range all {
		line, err := synth.JSON(&all[i])
		if err != nil {
			return fmt.Errorf("server %s: %w", all[i].Name, err)
		}
		if _, err := w.Write(append(line, '\n')); err != nil {
			return err
		}
	}
	return nil
}

// Read reads what Write wrote. It is strict: an error has the line.
func Read(r io.Reader) ([]Server, error) {
	var all []Server
	byName := map[string]int{}
	for row, err := range rows.Objects(File, r) {
		if err != nil {
			return nil, err
		}
		s, err := readServer(row.Data)
		if err == nil && byName[s.Name] > 0 {
			err = fmt.Errorf("the server %s is that of line %d already", s.Name, byName[s.Name])
		}
		if err != nil {
			return nil, &rows.RowError{File: File, Line: row.Line, Msg: err.Error(), Fix: "write it with `astra synth tools import`"}
		}
		byName[s.Name] = row.Line
		all = append(all, s)
	}
	return all, nil
}

func readServer(data json.RawMessage) (s Server, err error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		return s, err
	}
	switch {
	case !arenaName.MatchString(s.Name):
		return s, fmt.Errorf("name: %.80q is none: it takes a-z, 0-9 and - after a letter, at most 64 in all", s.Name)
	case s.Upstream != "" && !arenaName.MatchString(s.Upstream):
		return s, fmt.Errorf("upstream: %.80q is no alias", s.Upstream)
	case s.Language != synth.English && s.Language != synth.Chinese:
		return s, fmt.Errorf("language: %.20q is none; write en or zh", s.Language)
	}
	seen := map[string]bool{}
	for i := range s.Tools {
		t := &s.Tools[i]
		if err := t.check(); err != nil {
			return s, fmt.Errorf("tools[%d]: %w", i, err)
		}
		if seen[t.Name] {
			return s, fmt.Errorf("tools[%d]: the tool %s comes twice", i, t.Name)
		}
		seen[t.Name] = true
	}
	return s, nil
}

// check holds a tool to what the rest of the house relies on; that an arena takes it was
// found out when it was written.
func (t *Tool) check() error {
	if err := astra.ToolNameError(t.Name); err != nil {
		return err
	}
	if !isObject(t.Input) {
		return fmt.Errorf("%s: input is no object", t.Name)
	}
	if t.Output != nil && !isObject(t.Output) {
		return fmt.Errorf("%s: output is no object", t.Name)
	}
	return nil
}

func isObject(raw json.RawMessage) bool {
	raw = bytes.TrimSpace(raw)
	return len(raw) > 0 && raw[0] == '{'
}
