package tables

import (
	"cmp"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Profile finds out what the columns of tables are: kinds and units, then keys and titles,
// then whose keys they hold. Labels overrule what is found.
func Profile(tables []*Table, labels *Labels) error {
	if err := labels.name(tables); err != nil {
		return err
	}
	for _, t := range tables {
		t.locations()
		for i := range t.Columns {
			t.kind(i)
		}
		t.count()
		t.findKey()
		t.findTitle()
	}
	if err := labels.keys(tables); err != nil {
		return err
	}
	for _, t := range tables {
		if t.index(); t.Key >= 0 && t.Columns[t.Key].Name == "name" {
			t.Columns[t.Key].Name, t.Columns[t.Key].Label = "key_name", map[string]string{"en": "name"} // a result has both
		}
	}
	for _, t := range tables {
		t.prefixRef(tables)
		for i := range t.Columns {
			t.findRef(i, tables)
		}
	}
	for _, t := range tables {
		t.thin(tables)
	}
	return labels.columns(tables)
}

// maxShipped is how many rows of a table go into an arena: they are held by every world's image.
const maxShipped = 20_000

// thin keeps evenly spaced rows of a large table. One that others refer to stays whole.
func (t *Table) thin(tables []*Table) {
	n := len(t.Rows)
	if n <= maxShipped || len(refsTo(t, tables)) > 0 {
		return
	}
	rows := make([][]any, maxShipped)
	for i := range rows {
		rows[i] = t.Rows[i*n/maxShipped]
	}
	t.Rows, t.read = rows, n
	t.count()
	t.index()
}

var (
	wholeNumber = regexp.MustCompile(`^-?(0|[1-9][0-9]{0,14})$`)
	anyNumber   = regexp.MustCompile(`^-?(0|[1-9][0-9]{0,14})(\.[0-9]{1,9})?$`)
	calendarDay = regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2}$`)
	location    = regexp.MustCompile(`^([+-][0-9]{4}(?:[0-9]{2})?)([+-][0-9]{5}(?:[0-9]{2})?)$`)
	codeList    = regexp.MustCompile(`^[^\s,]{1,12}(,[^\s,]{1,12})*$`)
)

// kind decides what a column is, and turns its cells into that. A number with leading
// zeros is a code.
func (t *Table) kind(col int) {
	c := t.Columns[col]
	all := func(fits func(string) bool) bool {
		n := 0
		for _, row := range t.Rows {
			if row[col] == nil {
				continue
			}
			if n++; !fits(asText(row[col])) {
				return false
			}
		}
		return n > 0
	}
	switch {
	case t.typed && t.texts(col) && !all(isDate):
		c.Kind = Text
		if all(codeList.MatchString) && t.commas(col) {
			c.Kind = List
		}
	case all(wholeNumber.MatchString):
		c.Kind = Integer
	case all(anyNumber.MatchString):
		c.Kind = Number
	case all(isDate):
		c.Kind = Date
	case all(isBool):
		c.Kind = Bool
	case all(codeList.MatchString) && t.commas(col):
		c.Kind = List
	default:
		c.Kind = Text
	}
	for _, row := range t.Rows {
		row[col] = c.cell(row[col])
	}
}

// texts reports whether a column of a typed table holds texts, which are no numbers then.
func (t *Table) texts(col int) bool {
	return slices.ContainsFunc(t.Rows, func(row []any) bool { _, text := row[col].(string); return text })
}

func isDate(s string) bool {
	if !calendarDay.MatchString(s) {
		return false
	}
	_, err := time.Parse(time.DateOnly, s)
	return err == nil
}

func isBool(s string) bool {
	switch strings.ToLower(s) {
	case "true", "false", "yes", "no":
		return true
	}
	return false
}

func (t *Table) commas(col int) bool {
	return slices.ContainsFunc(t.Rows, func(row []any) bool { return strings.Contains(asText(row[col]), ",") })
}

func (c *Column) cell(v any) any {
	if v == nil {
		return nil
	}
	text := asText(v)
	switch c.Kind {
	case Integer, Number:
		f, err := strconv.ParseFloat(text, 64)
		if err != nil || math.Abs(f) > 1<<53 {
			return nil
		}
		return f
	case Bool:
		text = strings.ToLower(text)
		return text == "true" || text == "yes"
	case List:
		return strings.Split(text, ",")
	}
	return text
}

// locations replaces a column of ISO 6709 coordinates (+4230+00131) by latitude and
// longitude in degrees.
func (t *Table) locations() {
	for col := range t.Columns {
		n := 0
		for _, row := range t.Rows {
			if location.MatchString(asText(row[col])) {
				n++
			}
		}
		if n < len(t.Rows)*9/10 {
			continue
		}
		t.Columns[col] = &Column{Name: "latitude", Unit: "degrees", Label: t.Columns[col].Label}
		t.Columns = append(t.Columns, &Column{Name: "longitude", Unit: "degrees"})
		for i, row := range t.Rows {
			m := location.FindStringSubmatch(asText(row[col]))
			if m == nil {
				row[col] = nil
				t.Rows[i] = append(row, nil)
				continue
			}
			row[col] = degrees(m[1], 3)
			t.Rows[i] = append(row, degrees(m[2], 4))
		}
		return
	}
}

// degrees reads ±DDMM or ±DDMMSS; digits is how many characters the degrees have, sign included.
func degrees(s string, digits int) float64 {
	number := func(part string) float64 {
		f, _ := strconv.ParseFloat(part, 64) // the expression has let digits through only
		return f
	}
	d := number(s[1:digits]) + number(s[digits:digits+2])/60
	if len(s) > digits+2 {
		d += number(s[digits+2:]) / 3600
	}
	if s[0] == '-' {
		d = -d
	}
	return math.Round(d*1e4) / 1e4
}

// count fills in what is counted: nulls, distinct values, ranges, categories.
func (t *Table) count() {
	for i, c := range t.Columns {
		seen := map[string]int{}
		c.Nulls, c.Values = 0, nil
		c.Min, c.Max = math.Inf(1), math.Inf(-1)
		for _, row := range t.Rows {
			if row[i] == nil {
				c.Nulls++
				continue
			}
			seen[asText(row[i])]++
			if f, ok := row[i].(float64); ok {
				c.Min, c.Max = min(c.Min, f), max(c.Max, f)
			}
		}
		c.Distinct = len(seen)
		c.Unique = c.Nulls == 0 && len(seen) == len(t.Rows)
		if c.Kind == Text && len(seen) >= 2 && len(seen) <= maxCategories && len(t.Rows) >= 3*len(seen) {
			for v := range seen {
				c.Values = append(c.Values, v)
			}
			slices.Sort(c.Values)
		}
	}
}

var keyName = regexp.MustCompile(`(^|_)(id|code|key|sku|uuid|no|number|ref|alpha|iata|icao|isbn|tz)(_|$|[0-9])`)

// findKey chooses the unique column that looks most like a key: by its name, then by being
// short, then by standing first. Whole numbers are one only where their name or place says so.
func (t *Table) findKey() {
	best := 0.0
	for i, c := range t.Columns {
		named := keyName.MatchString(c.Name)
		if !c.Unique || c.Kind != Text && !(c.Kind == Integer && (named || i == 0 && t.counts(c))) || len(t.Rows) < 2 {
			continue
		}
		length, spaces := t.lengths(i)
		if spaces || length > 40 {
			continue
		}
		score := 10 - length/8 - float64(i)/100
		if named {
			score += 5
		}
		if score > best {
			best, t.Key = score, i
		}
	}
}

// counts reports whether a column of whole numbers just counts the rows.
func (t *Table) counts(c *Column) bool { return c.Max-c.Min+1 == float64(len(t.Rows)) }

// lengths is the mean length of a column's texts, and whether one has a space.
func (t *Table) lengths(col int) (mean float64, spaces bool) {
	for _, row := range t.Rows {
		text := asText(row[col])
		mean += float64(utf8.RuneCountInString(text))
		spaces = spaces || strings.ContainsAny(text, " \t\n")
	}
	return mean / float64(len(t.Rows)), spaces
}

var titleNames = []string{"name", "title", "label", "full_name", "display_name", "common_name", "city", "product", "model"}

// findTitle chooses the column by which people call a row: by its name, else the first of
// several words that differ. Most, not all, must differ: those that do not are not called so.
func (t *Table) findTitle() {
	good := func(i int) bool {
		c := t.Columns[i]
		return i != t.Key && c.Kind == Text && c.Nulls*10 < len(t.Rows) && c.Distinct*10 >= len(t.Rows)*6
	}
	for _, name := range titleNames {
		for i, c := range t.Columns {
			if good(i) && (c.Name == name || strings.HasSuffix(c.Name, "_"+name)) {
				t.Title = i
				return
			}
		}
	}
	for i, c := range t.Columns {
		if _, words := t.lengths(i); good(i) && c.Unique && words { // one word is a code
			t.Title = i
			return
		}
	}
}

func (t *Table) index() {
	t.byKey = map[string]int{}
	if t.Key < 0 {
		return
	}
	for i := range t.Rows {
		t.byKey[t.key(i)] = i
	}
}

const (
	enough       = 0.98 // of a foreign key's cells must be keys of the other table
	fewestValues = 3
)

// findRef finds the table whose keys a column holds. Small whole numbers are in every
// table's keys: of them the name must speak.
func (t *Table) findRef(col int, tables []*Table) {
	c := t.Columns[col]
	if col == t.Key || col == t.Title || c.Ref != nil || c.Distinct < fewestValues {
		return
	}
	var best *Ref
	for _, other := range tables {
		if other.Key < 0 || other == t && c.Unique {
			continue
		}
		named := alludes(c.Name, other) || other == t && keyName.MatchString(c.Name) // a manager is an employee
		if c.Kind != List && c.Kind != other.Columns[other.Key].Kind || c.Kind == Integer && !named {
			continue
		}
		r := &Ref{other, t.share(col, other)}
		if r.Share >= enough && (best == nil || named && !alludes(c.Name, best.Table) || named == alludes(c.Name, best.Table) && len(other.Rows) < len(best.Table.Rows)) {
			best = r
		}
	}
	c.Ref = best
}

func alludes(column string, t *Table) bool {
	one := singular(t.Name)
	return column == one || strings.HasPrefix(column, one+"_") || strings.HasSuffix(column, "_"+one) || column == t.Name
}

// share is how many of a column's values are keys of another table.
func (t *Table) share(col int, other *Table) float64 {
	n, found := 0, 0
	for _, row := range t.Rows {
		values, ok := row[col].([]string)
		if !ok && row[col] != nil {
			values = []string{asText(row[col])}
		}
		for _, v := range values {
			n++
			if _, ok := other.byKey[v]; ok {
				found++
			}
		}
	}
	if n == 0 {
		return 0
	}
	return float64(found) / float64(n)
}

var prefixed = regexp.MustCompile(`^([0-9A-Za-z]{1,12})[-/:.]`)

// prefixRef adds a column for what the key begins with, where that is another table's key:
// DE-BY belongs to DE.
func (t *Table) prefixRef(tables []*Table) {
	if t.Key < 0 || t.Columns[t.Key].Kind != Text {
		return
	}
	prefixes := make([]any, len(t.Rows))
	seen := map[string]bool{}
	for i := range t.Rows {
		m := prefixed.FindStringSubmatch(t.key(i))
		if m == nil {
			return
		}
		prefixes[i], seen[m[1]] = m[1], true
	}
	for _, other := range tables {
		name := singular(other.Name)
		if other == t || other.Key < 0 || len(seen) < fewestValues || t.column(name) >= 0 {
			continue
		}
		part := &Table{Columns: []*Column{{}}, Rows: make([][]any, len(prefixes))}
		for i, p := range prefixes {
			part.Rows[i] = []any{p}
		}
		if share := part.share(0, other); share >= enough {
			t.Columns = append(t.Columns, &Column{Name: name, Kind: Text, Distinct: len(seen), Ref: &Ref{other, share}, Label: other.One})
			for i := range t.Rows {
				t.Rows[i] = append(t.Rows[i], prefixes[i])
			}
			return
		}
	}
}

// singular is the name of one of what a table's name is the plural of, in English.
func singular(s string) string {
	switch {
	case strings.HasSuffix(s, "ies") && len(s) > 4:
		return s[:len(s)-3] + "y"
	case strings.HasSuffix(s, "sses"), strings.HasSuffix(s, "xes"), strings.HasSuffix(s, "ches"), strings.HasSuffix(s, "shes"):
		return s[:len(s)-2]
	case strings.HasSuffix(s, "s") && !strings.HasSuffix(s, "ss") && !strings.HasSuffix(s, "us") && len(s) > 3:
		return s[:len(s)-1]
	}
	return s
}

func plural(s string) string {
	switch {
	case strings.HasSuffix(s, "y") && len(s) > 2 && !strings.ContainsRune("aeiou", rune(s[len(s)-2])):
		return s[:len(s)-1] + "ies"
	case strings.HasSuffix(s, "s"), strings.HasSuffix(s, "x"), strings.HasSuffix(s, "ch"), strings.HasSuffix(s, "sh"):
		return s + "es"
	}
	return s + "s"
}

// units are what the end of a column's name may say of its numbers.
var units = []string{"km2", "km", "mm", "cm", "m", "mi", "ft", "kg", "g", "t", "lb", "l", "ml", "eur", "usd", "gbp", "chf", "cny", "jpy",
	"pct", "percent", "c", "kwh", "kw", "mw", "s", "min", "h", "days", "hours", "minutes", "gb", "mb"}

var inBrackets = regexp.MustCompile(`[(\[]([^)\]]{1,12})[)\]]\s*$`)

// unitOf reads a unit from a column's name: "price (EUR)", weight_kg.
func unitOf(header string) string {
	if m := inBrackets.FindStringSubmatch(header); m != nil {
		return m[1]
	}
	lower := strings.ToLower(strings.TrimSpace(header))
	for _, u := range units {
		if strings.HasSuffix(lower, "_"+u) {
			switch u {
			case "pct", "percent":
				return "%"
			case "eur", "usd", "gbp", "chf", "cny", "jpy":
				return strings.ToUpper(u)
			case "kwh":
				return "kWh"
			case "kw":
				return "kW"
			case "mw":
				return "MW"
			case "gb", "mb":
				return strings.ToUpper(u)
			case "c":
				return "°C"
			}
			return u
		}
	}
	return ""
}

// components groups tables that refer to each other, in the order of their first tables.
func components(tables []*Table) [][]*Table {
	group := map[*Table]int{}
	for i, t := range tables {
		group[t] = i
	}
	join := func(a, b int) {
		for t, g := range group {
			if g == max(a, b) {
				group[t] = min(a, b)
			}
		}
	}
	for _, t := range tables {
		for _, c := range t.Columns {
			if c.Ref != nil {
				join(group[t], group[c.Ref.Table])
			}
		}
	}
	var order []int
	members := map[int][]*Table{}
	for _, t := range tables {
		if members[group[t]] == nil {
			order = append(order, group[t])
		}
		members[group[t]] = append(members[group[t]], t)
	}
	slices.Sort(order)
	var all [][]*Table
	for _, g := range order {
		all = append(all, members[g])
	}
	return all
}

// Describe says what was found of a table, for people.
func (t *Table) Describe() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d rows", t.Name, len(t.Rows))
	if t.read > 0 {
		fmt.Fprintf(&b, " of %d", t.read)
	}
	for i, c := range t.Columns {
		fmt.Fprintf(&b, "\n  %-24s %-8s %6d distinct", c.Name, cmp.Or(c.Kind, Text), c.Distinct)
		switch {
		case i == t.Key:
			b.WriteString("  key")
		case i == t.Title:
			b.WriteString("  title")
		case c.Ref != nil:
			fmt.Fprintf(&b, "  refers to %s (%.0f %%)", c.Ref.Table.Name, 100*c.Ref.Share)
		case c.Skip:
			b.WriteString("  left out")
		case c.category():
			b.WriteString("  category")
		case c.Kind.numeric():
			fmt.Fprintf(&b, "  %g to %g %s", c.Min, c.Max, c.Unit)
		}
	}
	return b.String()
}
