package tables

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

type english struct{ rng *rand.Rand }

func (g *english) form(forms ...string) string { return forms[g.rng.IntN(len(forms))] }

func (g *english) filters(filters []string) string {
	if len(filters) == 0 {
		return ""
	}
	return " " + strings.Join(filters, " and ")
}

func (g *english) called(t *Table, name string) string { return name }

func (g *english) which(t *Table, c *Column, value string) string {
	return g.form(
		fmt.Sprintf("the %s whose %s is %s", t.One[en], c.Label[en], value),
		fmt.Sprintf("the %s with the %s %s", t.One[en], c.Label[en], value),
		fmt.Sprintf("the %s that has %s as its %s", t.One[en], value, c.Label[en]))
}

func (g *english) get(c *Column, of string) string {
	if c.Ref != nil {
		return g.form(fmt.Sprintf("the %s that %s belongs to", c.Label[en], of), fmt.Sprintf("the %s of %s", c.Label[en], of))
	}
	return g.form(fmt.Sprintf("the %s of %s", c.Label[en], of), fmt.Sprintf("the %s recorded for %s", c.Label[en], of))
}

var ordinals = []string{"", "", "second ", "third "}

func (g *english) extreme(t *Table, c *Column, most bool, rank int, filters []string) string {
	word := "highest"
	switch {
	case c.Kind == Date && most:
		word = "latest"
	case c.Kind == Date:
		word = "earliest"
	case !most:
		word = "lowest"
	}
	return g.form(
		fmt.Sprintf("the %s with the %s%s %s among those%s", t.One[en], ordinals[rank], word, c.Label[en], g.filters(filters)),
		fmt.Sprintf("whichever of the %s%s has the %s%s %s", t.Many[en], g.filters(filters), ordinals[rank], word, c.Label[en]))
}

func (g *english) join(list []string) string {
	return strings.Join(list[:len(list)-1], ", ") + " and " + list[len(list)-1]
}

func (g *english) winner(t *Table, rows []string, measured string) string {
	return fmt.Sprintf("whichever of %s has the largest %s", g.join(rows), strings.TrimPrefix(measured, "the "))
}

func (g *english) ranking(rows []string, measured string) string {
	return fmt.Sprintf("the order of %s by %s", g.join(rows), measured)
}

func (g *english) those(t *Table, filters []string) string {
	return "the " + t.Many[en] + g.filters(filters)
}

var numerals = []string{"no", "one", "two", "three", "four", "five", "six"}

func (g *english) top(t *Table, c *Column, n int, filters []string) string {
	return fmt.Sprintf("the %s %s%s that have the highest %s, in descending order", numerals[n], t.Many[en], g.filters(filters), c.Label[en])
}

func (g *english) both(t *Table, a, b []string) string {
	return fmt.Sprintf("the %s%s and also%s", t.Many[en], g.filters(a), g.filters(b))
}

func (g *english) belonging(c *Column, row string) string {
	return g.form("that belong to "+row, "whose "+c.Label[en]+" is "+row)
}

func (g *english) having(c *Column, value string) string {
	return g.form(fmt.Sprintf("whose %s is “%s”", c.Label[en], value), fmt.Sprintf("that have “%s” as their %s", value, c.Label[en]))
}

func (g *english) bounded(c *Column, how, value string) string {
	switch {
	case c.Kind == Bool && value == "true":
		return "for which “" + c.Label[en] + "” holds"
	case c.Kind == Bool:
		return "for which “" + c.Label[en] + "” does not hold"
	case c.Kind == Date && how == "min":
		return fmt.Sprintf("whose %s is %s or later", c.Label[en], value)
	case c.Kind == Date:
		return fmt.Sprintf("whose %s is %s or earlier", c.Label[en], value)
	case how == "min":
		return fmt.Sprintf("whose %s is at least %s", c.Label[en], value)
	}
	return fmt.Sprintf("whose %s is at most %s", c.Label[en], value)
}

func (g *english) literal(c *Column, v any) string {
	if c.Unit != "" {
		return asText(v) + " " + c.Unit
	}
	return asText(v)
}

func (g *english) label(c *Column) string { return "the " + c.Label[en] }

func (g *english) numberOf(t *Table, filters []string) string {
	return "the number of " + t.Many[en] + g.filters(filters)
}

func (g *english) total(t *Table, c *Column, filters []string) string {
	return fmt.Sprintf("the combined %s of the %s%s", c.Label[en], t.Many[en], g.filters(filters))
}

func (g *english) average(t *Table, c *Column, filters []string) string {
	return fmt.Sprintf("the average %s of the %s%s", c.Label[en], t.Many[en], g.filters(filters))
}

func (g *english) of(measured, row string) string {
	if strings.HasPrefix(measured, "the number of") || strings.HasPrefix(measured, "the combined") || strings.HasPrefix(measured, "the average") {
		return measured + " that belong to " + row
	}
	return measured + " of " + row
}

func (g *english) together(measured string, rows []string) string {
	return fmt.Sprintf("%s of %s taken together", measured, g.join(rows))
}

func (g *english) difference(a, b string) string {
	return g.form(fmt.Sprintf("the difference when %s is taken away from %s", b, a), fmt.Sprintf("%s minus %s", a, b))
}

func (g *english) ratio(a, b string) string {
	return g.form(fmt.Sprintf("the ratio of %s to %s", a, b), fmt.Sprintf("%s divided by %s", a, b))
}

func (g *english) percentage(a, b string) string {
	return fmt.Sprintf("%s as a percentage of %s", a, b)
}

func (g *english) inUnit(np, unit string) string { return np + " in " + unitName(unit) }

var unitNames = map[string]string{"m": "metres", "km": "kilometres", "cm": "centimetres", "mm": "millimetres", "mi": "miles", "ft": "feet",
	"kg": "kilograms", "g": "grams", "t": "tonnes", "lb": "pounds", "min": "minutes", "h": "hours", "s": "seconds"}

func unitName(u string) string {
	if n, ok := unitNames[u]; ok {
		return n
	}
	return u
}

func (g *english) days(a, b string) string {
	return g.form(fmt.Sprintf("the number of days from %s to %s", a, b), fmt.Sprintf("the number of days between %s and %s, counted from the first to the second", a, b))
}

func (g *english) later(date string, days int) string {
	return fmt.Sprintf("the day %d days after %s", days, date)
}

func (g *english) consider(np string) string {
	return g.form("Take "+np+".", "I am interested in "+np+".", "Start from "+np+".", "Think of "+np+".")
}

func (g *english) that(t *Table) string { return g.form("that "+t.One[en], "this "+t.One[en]) }

func (g *english) let(letter, np string) string {
	return g.form(fmt.Sprintf("Call %s %s.", np, letter), fmt.Sprintf("Let %s stand for %s.", letter, np))
}

func (g *english) ask(k asked, t *Table, c *Column, np string) string {
	switch k {
	case askRow:
		return g.form(
			fmt.Sprintf("Which %s is %s? Give its %s.", t.One[en], np, t.Columns[t.Key].Label[en]),
			fmt.Sprintf("I am looking for %s; what is its %s?", np, t.Columns[t.Key].Label[en]),
			fmt.Sprintf("Please find out the %s of %s.", t.Columns[t.Key].Label[en], np),
			fmt.Sprintf("Could you tell me the %s of %s?", t.Columns[t.Key].Label[en], np))
	case askList:
		return g.form(
			fmt.Sprintf("Which are %s? Answer with a JSON list of their %s values.", np, t.Columns[t.Key].Label[en]),
			fmt.Sprintf("Please list %s, as a JSON list with the %s of each.", np, t.Columns[t.Key].Label[en]),
			fmt.Sprintf("I need %s. A JSON list of each one's %s will do.", np, t.Columns[t.Key].Label[en]))
	case askNumber:
		return g.form(
			"What is "+np+"?",
			"I would like to know "+np+".",
			"Please work out "+np+".",
			"Can you tell me "+np+"?",
			"How much is "+np+"?",
			"Could you find out "+np+" for me?")
	}
	return g.form(
		"What is "+np+"?",
		"I would like to know "+np+".",
		"Please look up "+np+".",
		"Can you tell me "+np+"?",
		"Do you know "+np+"?",
		"Could you find out "+np+" for me?")
}

func (g *english) several(questions []string) string {
	lead := g.form("I have several things to ask.", "A few questions at once.", "Please answer these together.", "There are a few facts I need.")
	return lead + " " + strings.Join(questions, " ") + " " + g.form("Answer with a JSON list, in the order of my questions.", "Give me one JSON list with the answers in this order.")
}

var englishOpeners = []string{
	"", "", "",
	"Hi, I am preparing a quiz about %s for my class.",
	"I'm writing a short article about %s and have to get the facts right.",
	"For a report on %s I still miss one thing.",
	"My colleague and I disagree about something to do with %s.",
	"Quick question about %s.",
	"I am checking an entry in our handbook on %s.",
	"We are cleaning up our records about %s.",
	"I'm new here and have to learn about %s.",
	"A reader wrote to us about %s.",
	"I'm helping my daughter with her homework on %s.",
}

func (g *english) frame(rng *rand.Rand, topic, body string) string {
	opener := englishOpeners[rng.IntN(len(englishOpeners))]
	if opener == "" {
		return body
	}
	return fmt.Sprintf(opener, topic) + " " + body
}

func (g *english) rounded() string {
	return g.form(" Two decimals will do.", " Round it to two decimals.", " Please round to two decimals.")
}

func (g *english) record(w *desk, row string) string {
	return fmt.Sprintf("the open %s for %s", w.noun.en, row)
}

// units says how many: a number, or as many as something.
func (g *english) units(quantity string) string {
	if strings.HasPrefix(quantity, "the ") {
		return "as many units as " + quantity
	}
	return quantity + " units"
}

func (g *english) act(w *desk, a deed) string {
	n := w.noun.en
	switch a.verb {
	case verbCreate:
		return g.form(
			fmt.Sprintf("Please set up %s for %s: %s, due on %s.", article(n), a.row, g.units(a.quantity), a.date),
			fmt.Sprintf("We need %s for %s on %s, with %s.", article(n), a.row, a.date, g.units(a.quantity)),
			fmt.Sprintf("Could you arrange %s of %s for %s? It is due on %s.", article(n), g.units(a.quantity), a.row, a.date))
	case verbMove:
		return g.form(
			fmt.Sprintf("The %s for %s has to wait until %s; please see to it.", n, a.row, a.date),
			fmt.Sprintf("Please put off the %s for %s to %s.", n, a.row, a.date),
			fmt.Sprintf("%s is the new date of the %s for %s. Would you enter that?", a.date, n, a.row))
	case verbChange:
		return g.form(
			fmt.Sprintf("The %s for %s should be over %s now. Please correct it.", n, a.row, g.units(a.quantity)),
			fmt.Sprintf("Could you correct the %s for %s, so that it is for %s?", n, a.row, g.units(a.quantity)))
	case verbTransfer:
		return g.form(
			fmt.Sprintf("The %s for %s was meant for %s. Please put that right.", n, a.row, a.other),
			fmt.Sprintf("Please hand the %s for %s over to %s.", n, a.row, a.other))
	}
	return g.form(
		fmt.Sprintf("The %s for %s is not needed any more; please call it off.", n, a.row),
		fmt.Sprintf("Please withdraw the %s for %s.", n, a.row))
}

func (g *english) containing(word string) string {
	return g.form(fmt.Sprintf("whose name contains “%s”", word), fmt.Sprintf("that have “%s” in their name", word))
}

func (g *english) paragraph(preface []string, body string) string {
	return strings.Join(append(slices.Clone(preface), body), " ")
}
