package tables

import (
	"bytes"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
)

func file(t testing.TB, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// boat is a row of the table that every format writes.
type boat struct {
	Code   string  `parquet:"code"`
	Name   *string `parquet:"name"`
	Length float64 `parquet:"length_m"`
	Open   bool    `parquet:"open"`
}

func inParquet(t *testing.T) string {
	t.Helper()
	name := "Tern"
	path := filepath.Join(t.TempDir(), "boats.parquet")
	if err := parquet.WriteFile(path, []boat{{"a1", &name, 12.5, true}, {"a2", nil, 7, false}}); err != nil {
		t.Fatal(err)
	}
	return path
}

func inSQLite(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "fleet.db")
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(`CREATE TABLE boats (code TEXT, name TEXT, length_m REAL, open BOOLEAN); CREATE VIEW v AS SELECT 1;
		INSERT INTO boats VALUES ('a1', 'Tern', 12.5, TRUE), ('a2', NULL, 7, FALSE)`); err != nil {
		t.Fatal(err)
	}
	return path
}

// The same table comes out of every format.
func TestFormats(t *testing.T) {
	want := [][]any{{"a1", "Tern", 12.5, true}, {"a2", nil, 7.0, false}}
	for format, path := range map[string]string{
		"csv":           file(t, "boats.csv", "code,name,length_m,open\na1,Tern,12.5,yes\na2,,7,no\n"),
		"semicolons":    file(t, "boats.csv", "\xef\xbb\xbfcode;name;length_m;open\na1; Tern ;12.5;true\na2;;7;false\n"),
		"tab":           file(t, "boats.tab", "# boats\n#\n#code\tname\tlength_m\topen\na1\tTern\t12.5\ttrue\na2\t\t7\tfalse\n"),
		"json":          file(t, "boats.json", `[{"code":"a1","name":"Tern","length_m":12.5,"open":true},{"code":"a2","name":null,"length_m":7,"open":false}]`),
		"json in json":  file(t, "boats.json", `{"made":"today","list":[{"code":"a1","name":"Tern","length_m":12.5,"open":true},{"code":"a2","length_m":7,"open":false}]}`),
		"jsonl":         file(t, "boats.jsonl", "{\"code\":\"a1\",\"name\":\"Tern\",\"length_m\":12.5,\"open\":true}\n\n{\"code\":\"a2\",\"length_m\":7,\"open\":false}\n"),
		"parquet":       inParquet(t),
		"sqlite":        inSQLite(t),
		"csv directory": filepath.Dir(file(t, "boats.csv", "code,name,length_m,open\na1,Tern,12.5,yes\na2,,7,no\n")),
	} {
		all, err := Read([]string{path})
		if err == nil {
			err = Profile(all, nil)
		}
		if err != nil || len(all) != 1 || all[0].Name != "boats" {
			t.Errorf("%s: %d tables, %v", format, len(all), err)
			continue
		}
		got := [][]any{}
		for _, row := range all[0].Rows {
			cells := make([]any, 4)
			for i, name := range []string{"code", "name", "length_m", "open"} {
				cells[i] = row[all[0].column(name)]
			}
			if s, ok := cells[3].(float64); ok { // SQLite has no booleans
				cells[3] = s == 1
			}
			got = append(got, cells)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, want %v", format, got, want)
		}
		if u := all[0].Columns[all[0].column("length_m")].Unit; u != "m" {
			t.Errorf("%s: length is in %q", format, u)
		}
	}
}

// Errors say the file, and where in it.
func TestReadRefuses(t *testing.T) {
	for want, path := range map[string]string{
		"boats.csv: line 3 has 3 values":        file(t, "boats.csv", "a,b\n1,2\n1,2,3\n"),
		"boats.csv: table boats has no rows":    file(t, "boats.csv", "a,b\n"),
		"boats.jsonl: line 2":                   file(t, "boats.jsonl", "{\"a\":1}\n{\"a\":\n"),
		"boats.json: want a list of objects":    file(t, "boats.json", `[1]`),
		"boats.csv: table boats, row 1, column": file(t, "boats.csv", "a,b\n\xff\xfe,2\n"),
		"3000 bytes; a cell may have":           file(t, "boats.csv", "a,b\n"+strings.Repeat("x", 3000)+",2\n"),
		"129 columns; 128 are read":             file(t, "boats.csv", strings.Repeat("a,", 128)+"a\n"+strings.Repeat("1,", 128)+"1\n"),
		"tables are read from .csv":             file(t, "boats.txt", "a"),
		"boats.parquet":                         file(t, "boats.parquet", "PAR1 and nothing"),
		"boats.sqlite":                          file(t, "boats.sqlite", "SQLite format 3\x00 and nothing"),
		"no such file":                          filepath.Join(t.TempDir(), "none.csv"),
		"no tables in it":                       t.TempDir(),
	} {
		if _, err := Read([]string{path}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

// What is found of a folder of tables.
func TestProfile(t *testing.T) {
	all := ferries(t)
	for name, want := range map[string]string{
		"ports.code": "key", "ports.name": "title", "ports.region": "category", "ports.customs": "boolean", "ports.opened": "date", "ports.depth_m": "number in m",
		"ships.home_port": "refers to ports", "ships.class": "category", "ships.year_built": "integer", "ships.id": "key", "ships.length_m": "number in m", "ships.speed_kn": "number in knots",
		"sailings.ship": "refers to ships", "sailings.from_port": "refers to ports", "sailings.to_port": "refers to ports", "sailings.number": "key",
		"sailings.fare_eur": "number in EUR", "sailings.departs": "date", "sailings.duration_min": "integer in min",
	} {
		table, column, _ := strings.Cut(name, ".")
		for _, tb := range all {
			if i := tb.column(column); tb.Name == table && found(tb, i) != want {
				t.Errorf("%s is %s, want %s", name, found(tb, i), want)
			}
		}
	}
}

func found(t *Table, i int) string {
	c := t.Columns[i]
	switch {
	case i == t.Key:
		return "key"
	case i == t.Title:
		return "title"
	case c.Ref != nil:
		return "refers to " + c.Ref.Table.Name
	case c.category():
		return "category"
	case c.Unit != "":
		return fmt.Sprintf("%s in %s", c.Kind, c.Unit)
	}
	return string(c.Kind)
}

// A key's beginning can be a foreign key, codes with leading zeros are no numbers, lists
// refer too, coordinates are two numbers, and a name that comes twice is nobody's title.
func TestProfileOfCodes(t *testing.T) {
	lands := file(t, "lands.csv", "code,name,no\nAA,Aland,001\nBB,Beland,002\nCC,Celand,003\n")
	parts := file(t, "parts.csv", "id,name,spot\nAA-1,North,+4230+00131\nAA-2,South,-0130-01030\nBB-1,North,+000000+0000000\nCC-1,West,+1000+02000\n")
	zones := file(t, "zones.csv", "zone,used_by\nZ1,\"AA,BB\"\nZ2,CC\nZ3,BB\nZ4,AA\n")
	all, err := Read([]string{lands, parts, zones})
	if err == nil {
		err = Profile(all, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	land := all[1].column("land")
	if land < 0 || all[1].Columns[land].Ref == nil || all[1].Columns[land].Ref.Table != all[0] || all[1].Rows[2][land] != "BB" {
		t.Errorf("no reference by prefix: %s", all[1].Describe())
	}
	if c := all[0].Columns[all[0].column("no")]; c.Kind != Text {
		t.Errorf("001 is %s", c.Kind)
	}
	if c := all[2].Columns[1]; c.Kind != List || c.Ref == nil {
		t.Errorf("lists: %s", all[2].Describe())
	}
	lat, lon := all[1].column("latitude"), all[1].column("longitude")
	if lat < 0 || lon < 0 || all[1].Rows[1][lat] != -1.5 || all[1].Rows[1][lon] != -10.5 {
		t.Errorf("coordinates: %v", all[1].Rows)
	}
}

// Names can be keys, numbers are none by accident, and a table can refer to itself.
func TestProfileOfPeople(t *testing.T) {
	var people strings.Builder
	people.WriteString("Person ID,Full Name,Team,Salary (USD),Manager ID\n")
	for i := range 40 {
		fmt.Fprintf(&people, "%d,Person %d,%s,%d,%d\n", i+1, i, []string{"North", "South", "West"}[i%3], 1000*i, 1+i%5)
	}
	all, err := Read([]string{file(t, "teams.csv", "Budget,Name\n900,North\n800,South\n700,West\n"), file(t, "people.csv", people.String())})
	if err == nil {
		err = Profile(all, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	if k := all[0].Key; k != 1 || all[0].Columns[k].Name != "key_name" || all[0].Columns[k].Label[en] != "name" {
		t.Errorf("teams: %s", all[0].Describe())
	}
	for column, want := range map[string]*Table{"team": all[0], "manager_id": all[1]} {
		if ref := all[1].Columns[all[1].column(column)].Ref; ref == nil || ref.Table != want {
			t.Errorf("%s refers to %+v", column, ref)
		}
	}
}

// Of a large table that nothing refers to, evenly spaced rows go into an arena; one that is
// referred to stays whole.
func TestProfileThins(t *testing.T) {
	var sales, people strings.Builder
	sales.WriteString("sale_no,person,quantity\n")
	people.WriteString("person_id,joined\n")
	for i := range 2 * maxShipped {
		fmt.Fprintf(&sales, "S%06d,P%06d,%d\n", i, i, i%7)
		fmt.Fprintf(&people, "P%06d,2026-01-01\n", i)
	}
	all, err := Read([]string{file(t, "sales.csv", sales.String()), file(t, "persons.csv", people.String())})
	if err == nil {
		err = Profile(all, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	if n := len(all[0].Rows); n != maxShipped || all[0].key(1) != "S000002" || all[0].byKey["S000002"] != 1 || all[0].Columns[0].Distinct != n || all[0].Columns[2].Name != "quantity" {
		t.Errorf("%s", all[0].Describe())
	}
	if len(all[1].Rows) != 2*maxShipped || all[0].Columns[1].Ref == nil {
		t.Errorf("%s", all[1].Describe())
	}
}

func TestLabelsRefuse(t *testing.T) {
	for text, want := range map[string]string{
		"tables: {ports: {columns: {colour: {en: colour}}}}": `no column "colour"`,
		"tables: {ports: {key: region}}":                     "is no key",
		"tables: {ports: {skip: [colour]}}":                  `no column "colour"`,
		"tables: {ports: {name: The Ports}}":                 "use up to",
	} {
		labels, err := ReadLabels(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		all, err := Read([]string{"../../examples/tables/ferries"})
		if err != nil {
			t.Fatal(err)
		}
		if err := Profile(all, labels); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
	for _, text := range []string{"tables: [", "shelves: {}", "tables: {a: {one: en}}"} {
		if _, err := ReadLabels(strings.NewReader(text)); err == nil {
			t.Errorf("%s was read", text)
		}
	}
}

// Whatever the bytes are, reading ends, and what was read can be profiled and asked about.
func FuzzRead(f *testing.F) {
	endings := Endings()
	f.Add(0, []byte("a,b\n1,2\n"))
	f.Add(2, []byte(`{"x":[{"a":[1,"b"]},{"a":{}}]}`))
	f.Add(3, []byte("{\"a\":1}\n"))
	f.Add(8, []byte("#a\tb\n1\t+4230+00131\n2\tX\n"))
	f.Fuzz(func(t *testing.T, n int, data []byte) {
		ending := endings[((n%len(endings))+len(endings))%len(endings)]
		if ending == ".parquet" || ending == ".db" || strings.HasPrefix(ending, ".sqlite") {
			return // FuzzParquet; and SQLite's own file format is fuzzed by its authors
		}
		sheets, err := readers[ending]("fuzz"+ending, data)
		if err != nil {
			return
		}
		var all []*Table
		for i := range sheets {
			if tb, err := sheets[i].table("fuzz"); err == nil {
				all = append(all, tb)
			}
		}
		rename(all)
		if err := Profile(all, nil); err != nil {
			t.Fatalf("Profile: %v", err)
		}
		for _, tl := range catalogue(all) {
			if !plainName.MatchString(tl.name) || len(tl.name) > 64 {
				t.Fatalf("a tool is called %q", tl.name)
			}
		}
	})
}

// Whatever the bytes are, a Parquet file is read or refused.
func FuzzParquet(f *testing.F) {
	name := "Tern"
	var whole bytes.Buffer
	if err := parquet.Write(&whole, []boat{{"a1", &name, 12.5, true}, {"a2", nil, 7, false}}); err != nil {
		f.Fatal(err)
	}
	f.Add(whole.Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		sheets, err := readParquet("fuzz.parquet", data)
		if err == nil && len(sheets[0].rows) > maxRows {
			t.Fatalf("%d rows", len(sheets[0].rows))
		}
	})
}
