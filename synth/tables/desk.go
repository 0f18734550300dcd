package tables

import (
	_ "embed"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

//go:embed desk.js
var deskJS string

// What a desk asks for.
const (
	notice      = 3   // days ahead that a date must be, and a record may be cancelled
	mostAtOnce  = 500 // quantity of a record
	deskRecords = 6   // that are open when a task begins
)

// A desk is where things are done, not looked up: it keeps records, each for a row of a
// table. They are opened, moved, changed, transferred and cancelled, by rules.
type desk struct {
	noun  noun
	table *Table
	tools map[verb]*tool
}

// A noun is what a record is called.
type noun struct{ id, prefix, en, zh string }

var nouns = []noun{
	{"booking", "BK", "booking", "预订"}, {"order", "OR", "order", "订单"}, {"request", "RQ", "request", "申请"},
	{"inspection", "IN", "inspection", "检查"}, {"shipment", "SH", "shipment", "发货"}, {"survey", "SV", "survey", "调查"},
}

// A verb is what can be done at a desk.
type verb string

const (
	verbFind     verb = "find"
	verbCreate   verb = "create"
	verbMove     verb = "move"
	verbChange   verb = "change"
	verbTransfer verb = "transfer"
	verbCancel   verb = "cancel"
)

// A record is one that is open when a task begins.
type record struct {
	id       string
	row      int
	quantity int
	date     string
}

// A deed is a verb with its operands, for the grammar.
type deed struct {
	verb           verb
	row, other     string // noun phrases
	quantity, date string
}

func newDesk(n noun, t *Table) *desk {
	d := &desk{noun: n, table: t, tools: map[verb]*tool{}}
	key := t.Columns[t.Key]
	row := param{d.rowParam(), key.schema(fmt.Sprintf("Whom it is for: the %s of the %s.", key.Label[en], t.One[en])), true}
	id := param{"id", textSchema("The " + n.en + "'s id."), true}
	quantity := param{"quantity", fmt.Sprintf(`{"type": "integer", "minimum": 1, "maximum": %d, "description": "How many units."}`, mostAtOnce), true}
	date := param{"date", dateSchema("The day it is due."), true}
	out := resultSchema(`"id": {"type": "string"}`, fmt.Sprintf("%q: %s", d.rowParam(), key.valueSchema()), `"quantity": {"type": "integer"}`, `"date": {"type": "string"}`, `"status": {"type": "string"}`)
	add := func(v verb, name, title, doc string, params ...param) {
		d.tools[v] = &tool{name: name, title: title, doc: doc, params: params, output: out, writes: v != verbFind, code: "return desk." + string(v) + "(args, host);"}
	}
	add(verbFind, "find_"+n.id, "Find the open "+n.en, fmt.Sprintf("Finds the open %s for a %s: its id, quantity and date. Fails if there is none.", n.en, t.One[en]), row)
	d.tools[verbFind].code = "return desk.find(args." + d.rowParam() + ");"
	add(verbCreate, "open_"+n.id, "Open "+article(n.en), fmt.Sprintf("Opens %s for a %s that has no open one yet. It must be due later than within the period of notice.", article(n.en), t.One[en]), row, quantity, date)
	add(verbMove, "move_"+n.id, "Move "+article(n.en), fmt.Sprintf("Gives an open %s another date, later than within the period of notice.", n.en), id, date)
	add(verbChange, "change_"+n.id+"_quantity", "Change a quantity", fmt.Sprintf("Changes the quantity of an open %s.", n.en), id, quantity)
	add(verbTransfer, "transfer_"+n.id, "Transfer "+article(n.en), fmt.Sprintf("Gives an open %s to another %s, which must have no open one.", n.en, t.One[en]), id, row)
	add(verbCancel, "cancel_"+n.id, "Cancel "+article(n.en), fmt.Sprintf("Cancels an open %s. Refused within the period of notice. This cannot be undone.", n.en), id)
	return d
}

func article(noun string) string {
	if strings.ContainsRune("aeiou", rune(noun[0])) {
		return "an " + noun
	}
	return "a " + noun
}

// rowParam is the argument that says which row a record is for.
func (d *desk) rowParam() string {
	switch one := d.table.one(); one {
	case "id", "quantity", "date", "status":
		return "for_" + one
	default:
		return one
	}
}

// verbs is the fixed order of the desk's tools.
var verbs = []verb{verbFind, verbCreate, verbMove, verbChange, verbTransfer, verbCancel}

// js is the desk's part of the module: its settings, then desk.js.
func (d *desk) js() string {
	return fmt.Sprintf("\nconst DESK = { table: T_%s, one: %s, noun: %s, prefix: %s, notice: %d };\n\n%s", d.table.Name, js(d.rowParam()), js(d.noun.en), js(d.noun.prefix), notice, deskJS)
}

// records draws what is open when a task begins, each for another row.
func (d *desk) records(rng *rand.Rand, now time.Time) []record {
	var all []record
	for _, row := range rng.Perm(len(d.table.Rows))[:min(deskRecords, len(d.table.Rows)/2)] {
		r := record{row: row, quantity: 1 + rng.IntN(120), date: day(now, notice+2+rng.IntN(60))}
		r.id = fmt.Sprintf("%s-%s", d.noun.prefix, strings.ToUpper(fmt.Sprintf("%07x", rng.IntN(1<<28))))
		all = append(all, r)
	}
	return all
}

func day(now time.Time, later int) string { return now.AddDate(0, 0, later).Format(time.DateOnly) }

// scenario is what setup is told.
func (d *desk) scenario(records []record) object {
	list := []any{}
	for _, r := range records {
		list = append(list, object{"id": r.id, d.rowParam(): d.table.Rows[r.row][d.table.Key], "quantity": r.quantity, "date": r.date})
	}
	return object{"records": list}
}

// deed draws something to be done, and adds its calls to the drawer's plan.
func (d *desk) deed(dr *drawer, v verb, records []record, hops int) (deed, bool) {
	t := d.table
	if v == verbCreate {
		return d.create(dr, records, hops)
	}
	r := records[dr.rng.IntN(len(records))]
	row, ok := dr.particular(t, r.row)
	if !ok {
		return deed{}, false
	}
	found := dr.say.record(d, row.np)
	at := len(dr.plan.nodes)
	n := &node{tool: d.tools[verbFind], args: []argument{arg(d.rowParam(), row)}, at: "/id", answer: r.id, asks: found}
	n.parents = parentsOf(n.args)
	dr.plan.nodes = append(dr.plan.nodes, n)
	id := argument{"id", r.id, from{at, "/id"}}
	done := deed{verb: v, row: row.np}
	solved := fmt.Sprintf("step.value.id == %s", cel(r.id))
	switch v {
	case verbMove:
		done.date = day(dr.now, notice+70+dr.rng.IntN(90))
		d.write(dr, v, solved+" && step.value.date == "+cel(done.date), id, known("date", done.date))
	case verbCancel:
		d.write(dr, v, solved+` && step.value.status == "cancelled"`, id)
	case verbChange:
		q, ok := d.quantity(dr, hops-3)
		if !ok || q.value == float64(r.quantity) {
			return done, false
		}
		done.quantity = q.np
		d.write(dr, v, solved+" && step.value.quantity == "+cel(q.value), id, arg("quantity", q))
	case verbTransfer:
		other, ok := dr.entity(t, max(hops-3, 1))
		if !ok || taken(t, records, other.value) {
			return done, false
		}
		done.other = other.np
		d.write(dr, v, solved+fmt.Sprintf(" && step.value.%s == %s", d.rowParam(), cel(other.value)), id, arg(d.rowParam(), other))
	}
	return done, true
}

func (d *desk) create(dr *drawer, records []record, hops int) (deed, bool) {
	row, ok := dr.entity(d.table, max(1, min(hops-1, 3)))
	if !ok || taken(d.table, records, row.value) {
		return deed{}, false
	}
	q, ok := d.quantity(dr, hops-1-row.deep)
	if !ok {
		return deed{}, false
	}
	date := day(dr.now, notice+4+dr.rng.IntN(120))
	solved := fmt.Sprintf("step.value.%s == %s && step.value.quantity == %s && step.value.date == %s", d.rowParam(), cel(row.value), cel(q.value), cel(date))
	d.write(dr, verbCreate, solved, arg(d.rowParam(), row), arg("quantity", q), known("date", date))
	return deed{verb: verbCreate, row: row.np, quantity: q.np, date: date}, true
}

// quantity is a number of units: known, or as many as something that is looked up.
func (d *desk) quantity(dr *drawer, hops int) (operand, bool) {
	if hops < 1 {
		q := float64(2 + dr.rng.IntN(90))
		return operand{value: q, np: asText(q)}, true
	}
	q, ok := dr.number(hops)
	if !ok {
		return q, false
	}
	v := q.value.(float64)
	return q, v == float64(int(v)) && v >= 1 && v <= mostAtOnce
}

func (d *desk) write(dr *drawer, v verb, solved string, args ...argument) {
	dr.plan.nodes = append(dr.plan.nodes, &node{tool: d.tools[v], args: args, solved: solved, asks: string(v) + " the " + d.noun.en, parents: parentsOf(args)})
}

func taken(t *Table, records []record, key any) bool {
	for _, r := range records {
		if t.key(r.row) == asText(key) {
			return true
		}
	}
	return false
}

// cel writes a value as a CEL literal. JSON's strings are CEL's, but for the escape of /.
func cel(v any) string { return encode(v) }
