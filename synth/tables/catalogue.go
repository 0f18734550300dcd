package tables

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/astra-arenas/astra/synth"
)

// What a table's tools are made of at most.
const (
	maxFilters = 8
	enumerated = 12 // a category with more values is asked for as free text
)

const en = string(synth.English)

// catalogue is every tool that some tables offer, in a fixed order.
func catalogue(tables []*Table) []*tool {
	var all []*tool
	for _, t := range tables {
		if t.Key >= 0 {
			all = append(all, rowTools(t)...)
		}
		all = append(all, setTools(t)...)
	}
	names := map[string]bool{}
	return slices.DeleteFunc(append(all, arithmetic(tables)...), func(t *tool) bool {
		again := names[t.name] // a table called as another's tool
		names[t.name] = true
		return again
	})
}

func js(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // names and schemas of our own
	}
	return string(b)
}

// text is a schema of text with a description.
func textSchema(description string, more ...string) string {
	return `{"type": "string", "maxLength": 200, "description": ` + js(description) + strings.Join(more, "") + "}"
}

func dateSchema(description string) string {
	return `{"type": "string", "format": "date", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$", "description": ` + js(description) + "}"
}

func numberSchema(description string, more ...string) string {
	return `{"type": "number", "description": ` + js(description) + strings.Join(more, "") + "}"
}

// one is a table's rows in the singular as part of a tool's name.
func (t *Table) one() string { return singular(t.Name) }

func (t *Table) keyParam() param {
	c := t.Columns[t.Key]
	return param{c.Name, c.schema(fmt.Sprintf("The %s of the %s.", c.Label[en], t.One[en])), true}
}

// schema is that of one value of the column, as an argument.
func (c *Column) schema(description string) string {
	switch c.Kind {
	case Integer:
		return `{"type": "integer", "description": ` + js(description) + "}"
	case Number:
		return numberSchema(description)
	case Bool:
		return `{"type": "boolean", "description": ` + js(description) + "}"
	case Date:
		return dateSchema(description)
	}
	return textSchema(description)
}

// valueSchema is that of a column's value in a result.
func (c *Column) valueSchema() string {
	switch c.Kind {
	case Integer, Number:
		return `{"type": "number"}`
	case Bool:
		return `{"type": "boolean"}`
	case List:
		return `{"type": "array", "items": {"type": "string"}}`
	}
	return `{"type": "string"}`
}

func resultSchema(fields ...string) string {
	return `{"type": "object", "properties": {` + strings.Join(fields, ", ") + "}}"
}

func (t *Table) namedSchema(more ...string) string {
	fields := []string{fmt.Sprintf("%q: %s", t.Columns[t.Key].Name, t.Columns[t.Key].valueSchema())}
	if t.Title >= 0 {
		fields = append(fields, `"name": {"type": ["string", "null"]}`)
	}
	return resultSchema(append(fields, more...)...)
}

// rowTools find a row and tell of it.
func rowTools(t *Table) []*tool {
	var all []*tool
	key := t.Columns[t.Key]
	if t.Title >= 0 {
		all = append(all, &tool{op: opFind, table: t, name: "find_" + t.one(), title: "Find a " + t.One[en],
			doc:    fmt.Sprintf("Finds the %s of that name and tells its %s. Capitals do not matter. Fails if no %s, or more than one, is called so.", t.One[en], key.Label[en], t.One[en]),
			params: []param{{"name", textSchema("The whole name of the " + t.One[en] + "."), true}},
			output: t.namedSchema(), code: fmt.Sprintf("return T_%s.find(%d, args.name, args.match);", t.Name, t.Title)})
		find := all[0]
		find.params = append(find.params, param{"match", `{"type": "string", "enum": ["whole", "start"], "default": "whole", "description": "Whether the name is given whole or only its start."}`, false})
	}
	for i, c := range t.Columns {
		switch {
		case c.Skip || i == t.Key || i == t.Title:
		case c.Unique && c.Kind == Text && c.Ref == nil:
			all = append(all, &tool{op: opFindBy, table: t, col: i, name: "find_" + t.one() + "_by_" + c.Name, title: fmt.Sprintf("Find a %s by its %s", t.One[en], c.Label[en]),
				doc:    fmt.Sprintf("Finds the %s that has this %s and tells its %s. Capitals do not matter.", t.One[en], c.Label[en], key.Label[en]),
				params: []param{{c.Name, textSchema("The whole " + c.Label[en] + "."), true}},
				output: t.namedSchema(), code: fmt.Sprintf("return T_%s.find(%d, args.%s);", t.Name, i, c.Name)})
		}
		if !c.Skip && i != t.Key && i != t.Title && !c.listed() {
			all = append(all, getTool(t, i))
		}
	}
	return all
}

// listed reports whether the column's values stand in a tool's schema.
func (c *Column) listed() bool { return c.category() && len(c.Values) <= enumerated }

func getTool(t *Table, i int) *tool {
	c := t.Columns[i]
	params := []param{t.keyParam()}
	code := fmt.Sprintf("return T_%s.get(args.%s, %d);", t.Name, t.Columns[t.Key].Name, i)
	unit := ""
	if c.Unit != "" {
		unit = " in " + c.Unit
	}
	if c.Kind == Number {
		params = append(params, param{"decimals", `{"type": "integer", "minimum": 0, "maximum": 9, "description": "Round to so many decimals; as recorded if absent."}`, false})
		code = fmt.Sprintf("return T_%s.get(args.%s, %d, args.decimals);", t.Name, t.Columns[t.Key].Name, i)
	}
	return &tool{op: opGet, table: t, col: i, name: "get_" + t.one() + "_" + c.Name, title: fmt.Sprintf("Get the %s of a %s", c.Label[en], t.One[en]),
		doc:    fmt.Sprintf("Tells the %s of a %s%s. Fails if none is recorded.", c.Label[en], t.One[en], unit),
		params: params, output: resultSchema(fmt.Sprintf("%q: %s", c.Name, c.valueSchema())), code: code}
}

// filtersOf are the optional arguments by which a table's rows are told apart, and their schemas.
func filtersOf(t *Table) (filters []filter, params []param) {
	add := func(col int, how, name, schema string) {
		if len(filters) < maxFilters {
			filters, params = append(filters, filter{name, col, how}), append(params, param{name, schema, false})
		}
	}
	if t.Title >= 0 {
		add(t.Title, "word", "name_contains", textSchema("Only those whose name has this word or part of one; capitals do not matter."))
	}
	for i, c := range t.Columns {
		switch {
		case c.Skip || i == t.Key || i == t.Title:
		case c.Ref != nil:
			key := c.Ref.Table.Columns[c.Ref.Table.Key]
			add(i, "is", c.Name, key.schema(fmt.Sprintf("Only those of this %s, by its %s.", c.Ref.Table.One[en], key.Label[en])))
		case c.listed():
			add(i, "is", c.Name, textSchema(fmt.Sprintf("Only those with this %s.", c.Label[en]), `, "enum": `+js(c.Values)))
		case c.category():
			add(i, "is", c.Name, textSchema(fmt.Sprintf("Only those with this %s.", c.Label[en])))
		case c.Kind == Bool:
			add(i, "is", c.Name, fmt.Sprintf(`{"type": "boolean", "description": %s}`, js(fmt.Sprintf("Only those for which %s holds, or does not.", c.Label[en]))))
		case c.measure() && c.Distinct >= 5:
			add(i, "min", "min_"+c.Name, numberSchema(fmt.Sprintf("Only those with at least this %s%s.", c.Label[en], inUnit(c.Unit))))
			add(i, "max", "max_"+c.Name, numberSchema(fmt.Sprintf("Only those with at most this %s%s.", c.Label[en], inUnit(c.Unit))))
		case c.Kind == Date && c.Distinct >= 5:
			add(i, "min", c.Name+"_from", c.schema(fmt.Sprintf("Only those whose %s is this day or later.", c.Label[en])))
			add(i, "max", c.Name+"_to", c.schema(fmt.Sprintf("Only those whose %s is this day or earlier.", c.Label[en])))
		}
	}
	return filters, params
}

func inUnit(u string) string {
	if u == "" {
		return ""
	}
	return " (" + u + ")"
}

// setTools tell of the rows that fit.
func setTools(t *Table) []*tool {
	filters, params := filtersOf(t)
	if len(filters) == 0 {
		return nil
	}
	base := tool{table: t, filters: filters, params: params}
	var all []*tool
	add := func(o op, col int, name, title, doc, output, code string, more ...param) {
		c := base
		c.op, c.col, c.name, c.title, c.doc, c.output, c.code = o, col, name, title, doc, output, code
		c.params = append(append([]param{}, more...), params...)
		all = append(all, &c)
	}
	many := t.Many[en]
	if t.Key >= 0 {
		key := t.Columns[t.Key]
		add(opList, 0, "list_"+t.Name, "List "+many, fmt.Sprintf("Lists the %s of the %s that fit all that is asked for, in a fixed order, and how many they are. At least one argument is needed.", key.Label[en], many),
			resultSchema(`"total": {"type": "integer"}`, `"items": {"type": "array", "items": `+key.valueSchema()+"}"), "T_"+t.Name+".list(args, args.limit)",
			param{"limit", `{"type": "integer", "minimum": 1, "maximum": 1000, "default": 1000, "description": "List so many at most; the total counts all."}`, false})
	}
	add(opCount, 0, "count_"+t.Name, "Count "+many, fmt.Sprintf("Counts the %s that fit all that is asked for. At least one argument is needed.", many),
		resultSchema(`"count": {"type": "integer"}`), "T_"+t.Name+".count(args)")
	for i, c := range t.Columns {
		if c.Skip || i == t.Key || !c.measure() && c.Kind != Date || c.Distinct < 5 {
			continue
		}
		if t.Key >= 0 {
			extremes(t, i, add)
		}
		if c.adds() {
			add(opTotal, i, "total_"+c.Name+"_of_"+t.Name, fmt.Sprintf("Add up the %s of %s", c.Label[en], many), fmt.Sprintf("Adds up the %s%s of the %s that fit all that is asked for. At least one argument is needed.", c.Label[en], inUnit(c.Unit), many),
				resultSchema(`"value": {"type": "number"}`), fmt.Sprintf("T_%s.total(args, %d)", t.Name, i))
			add(opAverage, i, "average_"+c.Name+"_of_"+t.Name, fmt.Sprintf("Average the %s of %s", c.Label[en], many), fmt.Sprintf("Gives the mean %s%s of the %s that fit all that is asked for. At least one argument is needed.", c.Label[en], inUnit(c.Unit), many),
				resultSchema(`"value": {"type": "number"}`), fmt.Sprintf("T_%s.average(args, %d)", t.Name, i))
		}
	}
	for _, tl := range all {
		tl.code = "return " + tl.code + ";"
	}
	return all
}

// extremes are the tools that find the row with the most or the least of a column.
func extremes(t *Table, i int, add func(o op, col int, name, title, doc, output, code string, more ...param)) {
	c, many := t.Columns[i], t.Many[en]
	most, least := "highest", "lowest"
	if c.Kind == Date {
		most, least = "latest", "earliest"
	}
	rank := param{"rank", `{"type": "integer", "minimum": 1, "maximum": 100, "default": 1, "description": "Which of them in that order; the first if absent."}`, false}
	out := t.namedSchema(fmt.Sprintf("%q: %s", c.Name, c.valueSchema()))
	for _, e := range []struct {
		op    op
		which string
		sign  int
	}{{opHighest, most, -1}, {opLowest, least, 1}} {
		add(e.op, i, e.which+"_"+c.Name+"_"+t.one(), fmt.Sprintf("Find the %s with the %s %s", t.One[en], e.which, c.Label[en]),
			fmt.Sprintf("Among the %s that fit all that is asked for, finds the one with the %s %s%s. At least one argument other than rank is needed.", many, e.which, c.Label[en], inUnit(c.Unit)),
			out, fmt.Sprintf("T_%s.extreme(args, %d, %d, args.rank)", t.Name, i, e.sign), rank)
	}
	if c.Kind != Date {
		add(opTop, i, "top_"+t.Name+"_by_"+c.Name, fmt.Sprintf("Top %s by %s", many, c.Label[en]),
			fmt.Sprintf("Among the %s that fit all that is asked for, lists the %s of those with the highest %s%s, the highest first.", many, t.Columns[t.Key].Label[en], c.Label[en], inUnit(c.Unit)),
			resultSchema(`"items": {"type": "array", "items": `+t.Columns[t.Key].valueSchema()+"}"), fmt.Sprintf("T_%s.top(args, %d, args.count)", t.Name, i),
			param{"count", `{"type": "integer", "minimum": 2, "maximum": 50, "description": "How many to list."}`, true})
	}
}

// conversions are what units can be turned into, by factors to a common unit.
var conversions = []struct {
	name, quantity string
	factors        map[string]float64
}{
	{"convert_length", "length", map[string]float64{"m": 1, "km": 1000, "cm": 0.01, "mm": 0.001, "mi": 1609.344, "ft": 0.3048}},
	{"convert_mass", "mass", map[string]float64{"kg": 1, "g": 0.001, "t": 1000, "lb": 0.45359237}},
	{"convert_duration", "duration", map[string]float64{"min": 60, "h": 3600, "s": 1, "days": 86400}},
}

// arithmetic is what needs no table; units are converted only where a column has one.
func arithmetic(tables []*Table) []*tool {
	value := resultSchema(`"value": {"type": "number"}`)
	number := func(name, description string) param { return param{name, numberSchema(description), true} }
	all := []*tool{
		{op: opDifference, name: "calculate_difference", title: "Calculate a difference", doc: "Subtracts one number from another: a - b.", params: []param{number("a", "What is subtracted from."), number("b", "What is subtracted.")}, output: value, code: "return difference(args);"},
		{op: opRatio, name: "calculate_ratio", title: "Calculate a ratio", doc: "Divides one number by another: a / b, to six decimals.", params: []param{number("a", "What is divided."), number("b", "What it is divided by; not 0.")}, output: value, code: "return ratio(args, 1);"},
		{op: opPercent, name: "calculate_percentage", title: "Calculate a percentage", doc: "Tells how many percent of b a is: 100 a / b, to six decimals.", params: []param{number("a", "The part."), number("b", "The whole; not 0.")}, output: value, code: "return ratio(args, 100);"},
		{op: opSum, name: "calculate_sum", title: "Calculate a sum", doc: "Adds numbers up.", params: []param{{"values", `{"type": "array", "minItems": 2, "maxItems": 64, "items": {"type": "number"}, "description": "What is added."}`, true}}, output: value, code: "return sum(args);"},
		{op: opRank, name: "rank_values", title: "Rank values", doc: "Sorts labelled numbers, the largest first.", params: []param{{"items", `{"type": "array", "minItems": 2, "maxItems": 64, "description": "What is sorted.", "items": {"type": "object", "additionalProperties": false, "required": ["label", "value"], "properties": {"label": {"type": ["string", "number"], "description": "Whose number it is."}, "value": {"type": "number"}}}}`, true}},
			output: resultSchema(`"ranking": {"type": "array"}`), code: "return rank(args);"},
		{op: opCommon, name: "intersect_lists", title: "Intersect lists", doc: "Tells what is in all of several lists, in the order of the first.", params: []param{{"lists", `{"type": "array", "minItems": 2, "maxItems": 16, "items": {"type": "array", "maxItems": 2000, "items": {"type": ["string", "number"]}}, "description": "The lists."}`, true}},
			output: resultSchema(`"total": {"type": "integer"}`, `"items": {"type": "array"}`), code: "return common(args);"},
	}
	if anyColumn(tables, func(c *Column) bool { return c.Kind == Date }) {
		date := func(name, description string) param {
			return param{name, dateSchema(description), true}
		}
		all = append(all,
			&tool{op: opDays, name: "count_days", title: "Count days", doc: "Counts the days from one date to another; negative if the second is earlier.", params: []param{date("from", "The first day."), date("to", "The last day.")}, output: resultSchema(`"days": {"type": "integer"}`), code: "return days(args);"},
			&tool{op: opShift, name: "shift_date", title: "Shift a date", doc: "Tells the date some days after a date, or before it if days is negative.", params: []param{date("date", "Where to start."), {"days", `{"type": "integer", "minimum": -40000, "maximum": 40000, "description": "How many days later."}`, true}}, output: resultSchema(`"date": {"type": "string"}`), code: "return shift(args);"})
	}
	for _, u := range conversions {
		if !anyColumn(tables, func(c *Column) bool { return c.Kind.numeric() && u.factors[c.Unit] != 0 }) {
			continue
		}
		unit := func(name, description string) param {
			return param{name, `{"type": "string", "enum": ` + js(sortedKeys(u.factors)) + `, "description": ` + js(description) + "}", true}
		}
		all = append(all, &tool{op: opConvert, name: u.name, title: "Convert a " + u.quantity, doc: "Converts a " + u.quantity + " from one unit to another, to six decimals.", factors: u.factors,
			params: []param{number("value", "The number to convert."), unit("from", "Its unit."), unit("to", "The unit wanted.")}, output: value, code: "return convert(args, " + js(u.factors) + ");"})
	}
	return all
}

func anyColumn(tables []*Table, is func(*Column) bool) bool {
	for _, t := range tables {
		for _, c := range t.Columns {
			if !c.Skip && is(c) {
				return true
			}
		}
	}
	return false
}
