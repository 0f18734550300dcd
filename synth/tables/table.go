package tables

import (
	"cmp"
	"regexp"
	"strconv"
	"strings"
)

// A Kind is what the cells of a column are.
type Kind string

// The kinds. A date is text of the form 2006-01-02; a list is texts that stood in one cell,
// apart by commas.
const (
	Text    Kind = "text"
	Number  Kind = "number"
	Integer Kind = "integer"
	Date    Kind = "date"
	Bool    Kind = "boolean"
	List    Kind = "list"
)

// numeric reports whether one can calculate with the kind.
func (k Kind) numeric() bool { return k == Number || k == Integer }

// A Table is what was read of a file: rows of cells, and what is known of its columns.
type Table struct {
	Name    string // an identifier
	Columns []*Column
	Rows    [][]any // by column: nil, string, float64, bool or []string

	Key   int // the column that identifies a row; -1 if none does
	Title int // the column by which people call a row, unique; -1 if there is none

	One, Many map[string]string // by language: what a row is called, and several
	Topic     map[string]string // by language: what the table is about
	byKey     map[string]int    // row by key
	source    string            // the file, for messages
	read      int               // rows of the file, if some were left out
	typed     bool              // the file says what is a number and what is text
	origin    string            // the name before labels gave another
}

// A Column is one attribute.
type Column struct {
	Name     string // an identifier, unique in the table
	Kind     Kind
	Unit     string // as it stood in the name: km, EUR, %
	Nulls    int
	Distinct int
	Unique   bool     // no two rows share a value, and none lacks it
	Values   []string // the distinct texts, sorted, if they are few: a category
	Min, Max float64  // of numbers
	Ref      *Ref     // whose key the cells are
	Skip     bool     // not asked about

	Label map[string]string // by language
}

// A Ref is a foreign key, found by inclusion.
type Ref struct {
	Table *Table
	Share float64 // of the cells that are keys there
}

// maxCategories is how many values a category has at most.
const maxCategories = 24

var (
	nameOfCode = regexp.MustCompile(`(^|_)(id|code|key|no|number|numeric|zip|postcode|phone)(_|$)`)
	nameOfMark = regexp.MustCompile(`(^|_)(year|latitude|longitude|rank|rating|score|temperature)(_|$)`)
)

// measure reports whether the column's numbers measure something, so that more and less
// have a meaning; adds, whether adding them up has one, too.
func (c *Column) measure() bool {
	return !c.Skip && c.Kind.numeric() && c.Ref == nil && !nameOfCode.MatchString(c.Name)
}

func (c *Column) adds() bool {
	return c.measure() && !nameOfMark.MatchString(c.Name) && c.Unit != "%" && c.Unit != "°C"
}

// quantity names what the column measures: numbers are set against their own kind alone.
func (c *Column) quantity() string { return cmp.Or(c.Unit, c.Name) }

// category reports whether a column sorts its rows into a few kinds.
func (c *Column) category() bool { return c.Values != nil && c.Ref == nil }

func (t *Table) column(name string) int {
	for i, c := range t.Columns {
		if c.Name == name {
			return i
		}
	}
	return -1
}

// key is a row's key as text.
func (t *Table) key(row int) string { return asText(t.Rows[row][t.Key]) }

// title is what people call a row; its key where there is no name.
func (t *Table) title(row int) string {
	if t.Title < 0 {
		return t.key(row)
	}
	return asText(t.Rows[row][t.Title])
}

// asText writes a cell the way that its column's values are compared.
func asText(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case bool:
		return strconv.FormatBool(v)
	case []string:
		return strings.Join(v, ",")
	}
	return ""
}

// holdsText reports whether a cell is a text, or a list that has it.
func holdsText(cell any, want string) bool {
	if list, ok := cell.([]string); ok {
		for _, s := range list {
			if s == want {
				return true
			}
		}
		return false
	}
	return cell != nil && asText(cell) == want
}
