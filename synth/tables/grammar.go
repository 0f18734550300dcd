package tables

import (
	"math/rand/v2"

	"github.com/astra-arenas/astra/synth"
)

// A grammar says what plans find, as people say it. Its phrases are noun phrases, which
// nest; filters are phrases that follow what they tell apart.
type grammar interface {
	// Rows.
	called(t *Table, name string) string                                       // Germany
	which(t *Table, c *Column, value string) string                            // the country whose code is DEU
	get(c *Column, of string) string                                           // the capital of …
	extreme(t *Table, c *Column, most bool, rank int, filters []string) string // the … with the second highest …
	winner(t *Table, rows []string, measured string) string                    // whichever of … has the most …
	ranking(rows []string, measured string) string                             // the order of … by …
	those(t *Table, filters []string) string                                   // the … that …
	top(t *Table, c *Column, n int, filters []string) string                   // the three … with the highest …
	both(t *Table, a, b []string) string                                       // the … that … and also …

	// Filters.
	belonging(c *Column, row string) string
	having(c *Column, value string) string
	containing(word string) string
	bounded(c *Column, how, value string) string
	literal(c *Column, v any) string

	// Numbers and dates.
	label(c *Column) string
	numberOf(t *Table, filters []string) string
	total(t *Table, c *Column, filters []string) string
	average(t *Table, c *Column, filters []string) string
	of(measured, row string) string
	together(measured string, rows []string) string
	difference(a, b string) string
	ratio(a, b string) string
	percentage(a, b string) string
	inUnit(np, unit string) string
	days(a, b string) string
	later(date string, days int) string

	// Sentences.
	consider(np string) string    // a sentence of its own, before that
	that(t *Table) string         // the row that was considered
	let(letter, np string) string // a sentence that gives what is found a name
	ask(k asked, t *Table, c *Column, np string) string
	several(questions []string) string               // questions of which each is answered, as one message
	frame(rng *rand.Rand, topic, body string) string // as somebody would send it
	record(w *desk, row string) string               // the open booking of a row
	act(w *desk, a deed) string                      // asks for something to be done
	paragraph(preface []string, body string) string
	rounded() string // says how exact a number is wanted
}

// asked is what an answer is to be.
type asked string

const (
	askRow    asked = "row" // its key
	askNumber asked = "number"
	askText   asked = "text"
	askDate   asked = "date"
	askList   asked = "list" // of keys
)

// grammars by language; rng chooses among surface forms.
func grammarOf(lang synth.Language, rng *rand.Rand) grammar {
	if lang == synth.Chinese {
		return &chinese{rng}
	}
	return &english{rng}
}
