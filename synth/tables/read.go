package tables

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"
)

// What is read of a file. The largest table becomes a file of a bundle.
const (
	maxFile    = 64 << 20
	maxRows    = 100_000
	maxColumns = 128
	maxCell    = 2 << 10
	maxTables  = 64
)

// A sheet is a table as read: texts under names.
type sheet struct {
	name   string
	header []string
	rows   [][]any // nil, string, float64, bool; as long as header
	typed  bool    // texts are texts, even if they could be read as numbers
}

var errTooMany = fmt.Errorf("more than %d rows; take a part of it", maxRows)

// readers are the formats, by the ending of a file's name.
var readers = map[string]func(path string, data []byte) ([]sheet, error){
	".csv": readCSV, ".tsv": readTSV, ".tab": readTSV, ".json": readJSON, ".jsonl": readJSONL, ".ndjson": readJSONL,
	".parquet": readParquet, ".sqlite": readSQLite, ".sqlite3": readSQLite, ".db": readSQLite,
}

// Endings lists the file name endings that are read.
func Endings() []string {
	var all []string
	for e := range readers {
		all = append(all, e)
	}
	slices.Sort(all)
	return all
}

// Read reads tables from files, and from the files of directories (not of what is below
// them) that have one of the Endings. Tables come in the order of the paths, and of their
// place in a file; they are not profiled yet. An error says the file and, where it has one,
// the line.
func Read(paths []string) ([]*Table, error) {
	files, err := expand(paths)
	if err != nil {
		return nil, err
	}
	var tables []*Table
	for _, path := range files {
		sheets, err := readFile(path)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		for _, s := range sheets {
			t, err := s.table(path)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", path, err)
			}
			if tables = append(tables, t); len(tables) > maxTables {
				return nil, fmt.Errorf("%s: more than %d tables; take fewer files", path, maxTables)
			}
		}
	}
	rename(tables)
	return tables, nil
}

func expand(paths []string) ([]string, error) {
	var files []string
	for _, p := range paths {
		info, err := os.Stat(p)
		if err != nil {
			return nil, err
		}
		if !info.IsDir() {
			if readers[ending(p)] == nil {
				return nil, fmt.Errorf("%s: tables are read from %s", p, strings.Join(Endings(), ", "))
			}
			files = append(files, p)
			continue
		}
		found, err := inDirectory(p)
		if err != nil {
			return nil, err
		}
		if len(found) == 0 {
			return nil, fmt.Errorf("%s: no tables in it: they are read from %s", p, strings.Join(Endings(), ", "))
		}
		files = append(files, found...)
	}
	return files, nil
}

func inDirectory(dir string) (files []string, err error) {
	entries, err := os.ReadDir(dir) // sorted by name
	for _, e := range entries {
		if e.Type().IsRegular() && readers[ending(e.Name())] != nil && !strings.HasPrefix(e.Name(), ".") {
			files = append(files, filepath.Join(dir, e.Name()))
		}
	}
	return files, err
}

func ending(path string) string { return strings.ToLower(filepath.Ext(path)) }

func readFile(path string) ([]sheet, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, plainError(err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, plainError(err)
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("more than %d MiB; take a part of it", maxFile>>20)
	}
	return readers[ending(path)](path, bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")))
}

// plainError leaves out the path, which the caller says.
func plainError(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// table checks a sheet and gives its columns names that are identifiers.
func (s *sheet) table(path string) (*Table, error) {
	if len(s.header) > maxColumns {
		return nil, fmt.Errorf("table %s has %d columns; %d are read", s.name, len(s.header), maxColumns)
	}
	if len(s.rows) == 0 || len(s.header) == 0 {
		return nil, fmt.Errorf("table %s has no rows", s.name)
	}
	t := &Table{Name: identifier(s.name, "table"), Rows: s.rows, Key: -1, Title: -1, source: path, origin: s.name, typed: s.typed}
	for i, h := range s.header {
		name := identifier(h, fmt.Sprintf("column_%d", i+1))
		if reservedNames[name] {
			name += "_value"
		}
		c := &Column{Name: name, Unit: unitOf(h)}
		for n := 2; t.column(c.Name) >= 0; n++ {
			c.Name = fmt.Sprintf("%s_%d", name, n)
		}
		t.Columns = append(t.Columns, c)
	}
	for i, row := range s.rows {
		for j, cell := range row {
			text, ok := cell.(string)
			switch {
			case !ok:
			case len(text) > maxCell:
				return nil, fmt.Errorf("table %s, row %d, column %s: %d bytes; a cell may have %d", s.name, i+1, s.header[j], len(text), maxCell)
			case !utf8.ValidString(text):
				return nil, fmt.Errorf("table %s, row %d, column %s: it is not UTF-8", s.name, i+1, s.header[j])
			}
		}
	}
	return t, nil
}

// rename makes the names of tables differ.
func rename(tables []*Table) {
	taken := map[string]bool{}
	for _, t := range tables {
		base := t.Name
		for n := 2; taken[singular(t.Name)]; n++ { // tools are called by both numbers
			t.Name = fmt.Sprintf("%s_%d", base, n)
		}
		taken[singular(t.Name)] = true
	}
}

// reservedNames are names that tools give arguments of their own, or that an arena may not use.
var reservedNames = map[string]bool{"limit": true, "rank": true, "count": true, "match": true, "decimals": true, "name_contains": true, "episode_id": true}

// maxIdentifier leaves room for what tools put before and behind a name.
const maxIdentifier = 24

// identifier makes a name of letters, digits and _ of any name.
func identifier(name, otherwise string) string {
	if i := strings.IndexAny(name, "([{"); i > 0 { // "price (EUR)"
		name = name[:i]
	}
	var b strings.Builder
	for _, r := range strings.ToLower(strings.TrimSpace(name)) {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			b.WriteRune(r)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "_"):
			b.WriteByte('_')
		}
	}
	id := strings.Trim(b.String(), "_")
	if len(id) > maxIdentifier {
		id = strings.Trim(id[:maxIdentifier], "_")
	}
	if id == "" {
		return otherwise
	}
	if id[0] >= '0' && id[0] <= '9' {
		return "t" + id
	}
	return id
}
