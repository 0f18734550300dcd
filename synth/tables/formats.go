package tables

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
)

func stem(path string) string {
	base := filepath.Base(path)
	return strings.TrimSuffix(base, filepath.Ext(base))
}

// readCSV reads comma-separated values, or, where the first line has more of them,
// semicolon-separated ones; the first line names the columns.
func readCSV(path string, data []byte) ([]sheet, error) {
	first, _, _ := bytes.Cut(data, []byte("\n"))
	comma := ','
	if bytes.Count(first, []byte(";")) > bytes.Count(first, []byte(",")) {
		comma = ';'
	}
	return separated(path, data, comma, nil)
}

// readTSV reads tab-separated values. Lines that begin with # are comments; where there
// are some, the last one before the first row names the columns, as in tzdata's tables.
func readTSV(path string, data []byte) ([]sheet, error) {
	var header []string
	var rest bytes.Buffer
	rows := false
	for line := range bytes.Lines(data) {
		if !bytes.HasPrefix(line, []byte("#")) {
			rows = rows || len(bytes.TrimSpace(line)) > 0
			rest.Write(line)
			continue
		}
		rest.WriteByte('\n') // line numbers stay
		if text := strings.TrimSpace(string(line[1:])); !rows && strings.Contains(text, "\t") {
			header = strings.Split(text, "\t")
		}
	}
	return separated(path, rest.Bytes(), '\t', header)
}

func separated(path string, data []byte, comma rune, header []string) ([]sheet, error) {
	r := csv.NewReader(bytes.NewReader(data))
	r.Comma, r.LazyQuotes, r.FieldsPerRecord, r.TrimLeadingSpace = comma, comma == '\t', -1, comma != '\t'
	s := sheet{name: stem(path), header: header}
	for {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			return []sheet{s}, nil
		}
		if err != nil {
			return nil, err // says the line
		}
		line, _ := r.FieldPos(0)
		switch {
		case s.header == nil:
			s.header = slices.Clone(record)
		case len(record) > len(s.header):
			return nil, fmt.Errorf("line %d has %d values; the header names %d", line, len(record), len(s.header))
		default:
			s.rows = append(s.rows, cells(record, len(s.header)))
		}
		if len(s.rows) > maxRows {
			return nil, errTooMany
		}
	}
}

func cells(record []string, n int) []any {
	row := make([]any, n)
	for i, v := range record {
		if v = strings.TrimSpace(v); v != "" {
			row[i] = v
		}
	}
	return row
}

// readJSON reads a list of objects, or an object with such a list, or several, as members:
// each is a table.
func readJSON(path string, data []byte) ([]sheet, error) {
	if t := bytes.TrimSpace(data); len(t) > 0 && t[0] == '[' {
		s, err := objects(stem(path), data)
		return []sheet{s}, err
	}
	d := json.NewDecoder(bytes.NewReader(data))
	if _, err := d.Token(); err != nil {
		return nil, fmt.Errorf("want a list of objects: %w", err)
	}
	var sheets []sheet
	for d.More() {
		key, err := d.Token()
		var raw json.RawMessage
		if err == nil {
			err = d.Decode(&raw)
		}
		if err != nil {
			return nil, err
		}
		if raw[0] != '[' {
			continue
		}
		name := fmt.Sprint(key)
		if s, err := objects(name, raw); err == nil && len(s.rows) > 0 {
			sheets = append(sheets, s)
		} else if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	if len(sheets) == 1 { // the file's name says more than the key of its only list
		sheets[0].name = stem(path)
	}
	return sheets, nil
}

func readJSONL(path string, data []byte) ([]sheet, error) {
	var b builder
	line := 0
	for text := range bytes.Lines(data) {
		if line++; len(bytes.TrimSpace(text)) == 0 {
			continue
		}
		var o map[string]any
		if err := json.Unmarshal(text, &o); err != nil {
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		if err := b.add(o); err != nil {
			return nil, err
		}
	}
	return []sheet{b.sheet(stem(path))}, nil
}

func objects(name string, raw json.RawMessage) (sheet, error) {
	var list []map[string]any
	if err := json.Unmarshal(raw, &list); err != nil {
		return sheet{}, fmt.Errorf("want a list of objects: %w", err)
	}
	var b builder
	for _, o := range list {
		if err := b.add(o); err != nil {
			return sheet{}, err
		}
	}
	return b.sheet(name), nil
}

// A builder collects objects whose keys may differ; its columns are sorted by name.
type builder struct {
	rows []map[string]any
	keys map[string]bool
}

func (b *builder) add(o map[string]any) error {
	if b.keys == nil {
		b.keys = map[string]bool{}
	}
	if len(b.rows) == maxRows {
		return errTooMany
	}
	for k := range o {
		if b.keys[k] = true; len(b.keys) > maxColumns {
			return fmt.Errorf("more than %d columns", maxColumns)
		}
	}
	b.rows = append(b.rows, o)
	return nil
}

func (b *builder) sheet(name string) sheet {
	s := sheet{name: name, typed: true}
	for k := range b.keys {
		s.header = append(s.header, k)
	}
	slices.Sort(s.header)
	for _, o := range b.rows {
		row := make([]any, len(s.header))
		for i, k := range s.header {
			row[i] = scalar(o[k])
		}
		s.rows = append(s.rows, row)
	}
	return s
}

// scalar is a JSON value as a cell: lists of texts are written as in a CSV file, other
// compounds are no cells.
func scalar(v any) any {
	switch v := v.(type) {
	case string:
		if v = strings.TrimSpace(v); v == "" {
			return nil
		}
		return v
	case float64, bool:
		return v
	case []any:
		var parts []string
		for _, p := range v {
			text, ok := p.(string)
			if !ok || strings.Contains(text, ",") {
				return nil
			}
			parts = append(parts, text)
		}
		if len(parts) > 0 {
			return strings.Join(parts, ",")
		}
	}
	return nil
}
