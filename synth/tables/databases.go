package tables

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"
	_ "modernc.org/sqlite" // the driver "sqlite"
)

// readParquet reads flat columns of texts, numbers and booleans; others are left out.
func readParquet(path string, data []byte) (sheets []sheet, err error) {
	defer func() { // the library panics on some damage
		if r := recover(); r != nil {
			sheets, err = nil, fmt.Errorf("it is damaged: %v", r)
		}
	}()
	if n := len(data); n < 12 || int(binary.LittleEndian.Uint32(data[n-8:])) > n-12 {
		return nil, errors.New("it is damaged: it has no whole footer") // the library makes room for what it says
	}
	f, err := parquet.OpenFile(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, err
	}
	if f.NumRows() > maxRows {
		return nil, errTooMany
	}
	s := sheet{name: stem(path), typed: true}
	var leaves []parquet.LeafColumn
	for _, name := range f.Schema().Columns() {
		if leaf, ok := f.Schema().Lookup(name...); ok && len(name) == 1 && leaf.MaxRepetitionLevel == 0 {
			s.header, leaves = append(s.header, name[0]), append(leaves, leaf)
		}
	}
	for _, group := range f.RowGroups() {
		if err := s.readGroup(group, leaves); err != nil {
			return nil, err
		}
	}
	return []sheet{s}, nil
}

func (s *sheet) readGroup(group parquet.RowGroup, leaves []parquet.LeafColumn) error {
	at := map[int]int{}
	for i, l := range leaves {
		at[l.ColumnIndex] = i
	}
	rows := group.Rows()
	defer rows.Close()
	buffer := make([]parquet.Row, 256)
	for {
		n, err := rows.ReadRows(buffer)
		for _, row := range buffer[:n] {
			cells := make([]any, len(leaves))
			for _, v := range row {
				if i, ok := at[v.Column()]; ok {
					cells[i] = parquetCell(v, leaves[i].Node)
				}
			}
			if s.rows = append(s.rows, cells); len(s.rows) > maxRows {
				return errTooMany
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil && n == 0 {
			err = errors.New("it is damaged: rows are missing")
		}
		if err != nil {
			return err
		}
	}
}

func parquetCell(v parquet.Value, node parquet.Node) any {
	if v.IsNull() {
		return nil
	}
	switch logical := node.Type().LogicalType(); {
	case v.Kind() == parquet.Boolean:
		return v.Boolean()
	case v.Kind() == parquet.Int32 && logical != nil && logical.String() == "DATE":
		return time.Unix(int64(v.Int32())*24*3600, 0).UTC().Format(time.DateOnly)
	case v.Kind() == parquet.Int32:
		return float64(v.Int32())
	case v.Kind() == parquet.Int64:
		return float64(v.Int64())
	case v.Kind() == parquet.Float:
		return float64(v.Float())
	case v.Kind() == parquet.Double:
		return v.Double()
	case v.Kind() == parquet.ByteArray:
		return scalar(string(v.ByteArray()))
	}
	return nil
}

// sqliteTime bounds one file: views of a hostile one could run for ever.
const sqliteTime = 30 * time.Second

// readSQLite reads the tables of a database, by name; views are not looked at. The file is
// opened read-only and as it is, without its journal.
func readSQLite(path string, _ []byte) ([]sheet, error) {
	ctx, cancel := context.WithTimeout(context.Background(), sqliteTime)
	defer cancel()
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?mode=ro&immutable=1&_pragma=trusted_schema(0)")
	if err != nil {
		return nil, err
	}
	defer db.Close()
	names, err := tableNames(ctx, db)
	if err != nil {
		return nil, err
	}
	var sheets []sheet
	for _, name := range names {
		s, err := selectAll(ctx, db, name)
		if err != nil {
			return nil, fmt.Errorf("table %s: %w", name, err)
		}
		if len(s.rows) > 0 {
			sheets = append(sheets, s)
		}
	}
	if len(sheets) == 0 {
		return nil, errors.New("no table in it has rows")
	}
	return sheets, nil
}

func tableNames(ctx context.Context, db *sql.DB) (names []string, err error) {
	rows, err := db.QueryContext(ctx, `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND sql NOT LIKE 'CREATE VIRTUAL%' ORDER BY name LIMIT ?`, maxTables+1)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, rows.Err()
}

func selectAll(ctx context.Context, db *sql.DB, name string) (sheet, error) {
	s := sheet{name: name, typed: true}
	rows, err := db.QueryContext(ctx, fmt.Sprintf(`SELECT * FROM "%s" LIMIT %d`, strings.ReplaceAll(name, `"`, `""`), maxRows+1))
	if err != nil {
		return s, err
	}
	defer rows.Close()
	if s.header, err = rows.Columns(); err != nil {
		return s, err
	}
	for rows.Next() {
		into := make([]any, len(s.header))
		for i := range into {
			into[i] = new(any)
		}
		if err := rows.Scan(into...); err != nil {
			return s, err
		}
		for i := range into {
			into[i] = sqliteCell(*into[i].(*any))
		}
		if s.rows = append(s.rows, into); len(s.rows) > maxRows {
			return s, errTooMany
		}
	}
	return s, rows.Err()
}

func sqliteCell(v any) any {
	switch v := v.(type) {
	case int64:
		return float64(v)
	case float64, bool:
		return v
	case string:
		return scalar(v)
	case time.Time:
		return v.UTC().Format(time.DateOnly)
	}
	return nil
}
