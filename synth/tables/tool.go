package tables

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// An op is an operator of the query algebra.
type op string

// The operators. Those over a table come once for each table, or for each of its columns.
const (
	opFind       op = "find"       // a row by its title
	opFindBy     op = "find_by"    // a row by another of its unique values
	opGet        op = "get"        // an attribute of a row
	opList       op = "list"       // the rows that fit a filter
	opCount      op = "count"      // how many fit
	opHighest    op = "highest"    // the row with the most of something, among those that fit
	opLowest     op = "lowest"     // with the least
	opTop        op = "top"        // several with the most, in order
	opTotal      op = "total"      // the sum of a column, over those that fit
	opAverage    op = "average"    // its mean
	opDifference op = "difference" // a - b
	opSum        op = "sum"
	opRatio      op = "ratio"   // a / b
	opPercent    op = "percent" // 100 a / b
	opRank       op = "rank"    // labelled values, in order
	opCommon     op = "common"  // what several lists share
	opDays       op = "days"    // from one date to another
	opShift      op = "shift"   // a date some days later
	opConvert    op = "convert" // between units
)

// A tool is one operator at one place: what an agent may call.
type tool struct {
	op     op
	table  *Table // nil: pure arithmetic
	col    int
	name   string
	title  string
	doc    string
	params []param
	output string // JSON Schema of the result
	code   string // body of the JavaScript function
	writes bool

	filters []filter // of table
	factors map[string]float64
}

// A param is an argument of a tool, with its schema as JSON.
type param struct {
	name     string
	schema   string
	required bool
}

// A filter is an optional argument that keeps only some rows.
type filter struct {
	param string
	col   int
	how   string // is, min, max, word
}

// A call's arguments and result are as encoding/json would have them: text, float64, bool,
// []any and map[string]any.
type object = map[string]any

var errNone = fmt.Errorf("the tool would fail")

// eval computes what the tool's JavaScript answers. It fails where that throws.
func (t *tool) eval(args object) (object, error) {
	switch t.op {
	case opFind:
		return t.find(args, t.table.Title, "name")
	case opFindBy:
		return t.find(args, t.col, t.table.Columns[t.col].Name)
	case opGet:
		return t.get(args)
	case opList:
		keys := t.keys(t.rows(args))
		return object{"total": float64(len(keys)), "items": keys}, nil
	case opCount:
		return object{"count": float64(len(t.rows(args)))}, nil
	case opHighest, opLowest, opTop:
		return t.extreme(args)
	case opTotal, opAverage:
		return t.aggregate(args)
	}
	return t.calculate(args)
}

// rows are those that fit the filters that args give.
func (t *tool) rows(args object) []int {
	var fit []int
	for i, row := range t.table.Rows {
		if !slices.ContainsFunc(t.filters, func(f filter) bool { return !f.fits(row, args) }) {
			fit = append(fit, i)
		}
	}
	return fit
}

func (f *filter) fits(row []any, args object) bool {
	want, given := args[f.param]
	if !given {
		return true
	}
	cell := row[f.col]
	switch f.how {
	case "min":
		return cell != nil && compareCells(cell, want) >= 0
	case "max":
		return cell != nil && compareCells(cell, want) <= 0
	}
	if f.how == "word" {
		return strings.Contains(strings.ToLower(asText(cell)), strings.ToLower(asText(want)))
	}
	if b, ok := want.(bool); ok {
		return cell == b
	}
	return holdsText(cell, asText(want))
}

// compareCells orders numbers by value and dates, which are texts, by their letters.
func compareCells(a, b any) int {
	x, okX := a.(float64)
	y, okY := b.(float64)
	if okX && okY {
		return cmp.Compare(x, y)
	}
	return cmp.Compare(asText(a), asText(b))
}

func (t *tool) keys(rows []int) []any {
	keys := make([]any, len(rows))
	for i, r := range rows {
		keys[i] = t.table.Rows[r][t.table.Key]
	}
	return keys
}

// find is the one row with a text in a column, whatever its case.
func (t *tool) find(args object, col int, param string) (object, error) {
	want := strings.ToLower(asText(args[param]))
	found := -1
	for i, row := range t.table.Rows {
		if row[col] == nil || strings.ToLower(asText(row[col])) != want {
			continue
		}
		if found >= 0 {
			return nil, errNone
		}
		found = i
	}
	if found < 0 {
		return nil, errNone
	}
	return t.named(found), nil
}

// named is a row as tools return it: its key and what people call it.
func (t *tool) named(row int) object {
	o := object{t.table.Columns[t.table.Key].Name: t.table.Rows[row][t.table.Key]}
	if t.table.Title >= 0 {
		o["name"] = t.table.Rows[row][t.table.Title]
	}
	return o
}

func (t *tool) row(args object) (int, bool) {
	i, ok := t.table.byKey[asText(args[t.table.Columns[t.table.Key].Name])]
	return i, ok
}

func (t *tool) get(args object) (object, error) {
	i, ok := t.row(args)
	if !ok || t.table.Rows[i][t.col] == nil {
		return nil, errNone
	}
	v := t.table.Rows[i][t.col]
	if list, ok := v.([]string); ok {
		v = anyList(list)
	}
	return object{t.table.Columns[t.col].Name: v}, nil
}

func anyList(list []string) []any {
	out := make([]any, len(list))
	for i, s := range list {
		out[i] = s
	}
	return out
}

// extreme orders the rows that have the column by it, the most first (the least first for
// lowest), rows with equal values in the order of the table.
func (t *tool) extreme(args object) (object, error) {
	rows := slices.DeleteFunc(t.rows(args), func(i int) bool { return t.table.Rows[i][t.col] == nil })
	slices.SortStableFunc(rows, func(a, b int) int {
		c := compareCells(t.table.Rows[b][t.col], t.table.Rows[a][t.col])
		if t.op == opLowest {
			c = -c
		}
		return c
	})
	if t.op == opTop {
		n := int(args["count"].(float64))
		if len(rows) < n {
			return nil, errNone
		}
		return object{"items": t.keys(rows[:n])}, nil
	}
	rank := 1
	if r, ok := args["rank"].(float64); ok {
		rank = int(r)
	}
	if rank > len(rows) {
		return nil, errNone
	}
	o := t.named(rows[rank-1])
	o[t.table.Columns[t.col].Name] = t.table.Rows[rows[rank-1]][t.col]
	return o, nil
}

func (t *tool) aggregate(args object) (object, error) {
	sum, n := 0.0, 0
	for _, i := range t.rows(args) {
		if f, ok := t.table.Rows[i][t.col].(float64); ok {
			sum, n = sum+f, n+1
		}
	}
	if n == 0 {
		return nil, errNone
	}
	if t.op == opAverage {
		sum /= float64(n)
	}
	return object{"value": round6(sum)}, nil
}

// round6 keeps six decimals: enough, and the same in both languages.
func round6(f float64) float64 { return math.Round(f*1e6) / 1e6 }

// calculate is the arithmetic that needs no table.
func (t *tool) calculate(args object) (object, error) {
	switch t.op {
	case opDifference:
		return object{"value": round6(args["a"].(float64) - args["b"].(float64))}, nil
	case opRatio, opPercent:
		b := args["b"].(float64)
		if b == 0 {
			return nil, errNone
		}
		times := 1.0
		if t.op == opPercent {
			times = 100
		}
		return object{"value": round6(times * args["a"].(float64) / b)}, nil
	case opSum:
		sum := 0.0
		for _, v := range args["values"].([]any) {
			sum += v.(float64)
		}
		return object{"value": round6(sum)}, nil
	case opConvert:
		from, to := t.factors[args["from"].(string)], t.factors[args["to"].(string)]
		return object{"value": round6(args["value"].(float64) * from / to)}, nil
	case opRank:
		return ranked(args["items"].([]any)), nil
	case opCommon:
		items := shared(args["lists"].([]any))
		return object{"total": float64(len(items)), "items": items}, nil
	}
	return datework(t.op, args)
}

// ranked sorts {label, value} items, the largest value first, equal ones as they came.
func ranked(items []any) object {
	sorted := slices.Clone(items)
	slices.SortStableFunc(sorted, func(a, b any) int { return cmp.Compare(b.(object)["value"].(float64), a.(object)["value"].(float64)) })
	return object{"ranking": sorted}
}

// shared is what is in every list, in the order of the first.
func shared(lists []any) []any {
	out := []any{}
	for _, v := range lists[0].([]any) {
		everywhere := true
		for _, l := range lists[1:] {
			everywhere = everywhere && slices.Contains(l.([]any), v)
		}
		if everywhere && !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	return out
}

func datework(o op, args object) (object, error) {
	day := func(name string) (time.Time, error) {
		s, _ := args[name].(string)
		return time.Parse(time.DateOnly, s)
	}
	if o == opShift {
		d, err := day("date")
		if err != nil {
			return nil, errNone
		}
		return object{"date": d.AddDate(0, 0, int(args["days"].(float64))).Format(time.DateOnly)}, nil
	}
	from, err := day("from")
	to, err2 := day("to")
	if err != nil || err2 != nil {
		return nil, errNone
	}
	return object{"days": math.Round(to.Sub(from).Hours() / 24)}, nil
}

// schema is the tool's input schema.
func (t *tool) schema() json.RawMessage {
	var props, required []string
	for _, p := range t.params {
		props = append(props, fmt.Sprintf("%q: %s", p.name, p.schema))
		if p.required {
			required = append(required, fmt.Sprintf("%q", p.name))
		}
	}
	s := `{"type": "object", "additionalProperties": false, "properties": {` + strings.Join(props, ", ") + "}"
	if required != nil {
		s += `, "required": [` + strings.Join(required, ", ") + "]"
	}
	return json.RawMessage(s + "}")
}
