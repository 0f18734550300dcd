package servers

import (
	"fmt"
	"strings"
	"unicode"
)

// What a description must have. The paper asks for clear documentation and gives no measure;
// this lets short ones pass and keeps out those that a reader of the name could have written.
const (
	leastWords = 3
	leastHan   = 4 // characters; one says about half of what a word does
)

// hollow are words that say nothing about what a tool does.
var hollow = wordSet(`a an and api are as be call calls can description do documentation does dolor endpoint for from function functionality
	in into ipsum is it its lorem me method missing my n na name no none not null of on operation or parameter placeholder provided
	tbd that the this to todo tool undefined unknown use used uses using via which will with you your`)

func wordSet(words string) map[string]bool {
	set := map[string]bool{}
	for w := range strings.FieldsSeq(words) {
		set[w] = true
	}
	return set
}

// saysNothing says what a tool's description lacks; "" if nothing.
func saysNothing(t *Tool) string {
	words, han := wordsOf(t.Description)
	if len(words) == 0 && han == 0 {
		return "there is no description"
	}
	if len(words) < leastWords && han < leastHan {
		return fmt.Sprintf("%.60q is too short", t.Description)
	}
	if han >= leastHan {
		return ""
	}
	named := map[string]bool{}
	inName, _ := wordsOf(t.Name)
	for _, w := range inName {
		named[stem(w)] = true
	}
	for _, w := range words {
		if !hollow[w] && !named[stem(w)] {
			return ""
		}
	}
	return fmt.Sprintf("%.60q says no more than the name", t.Description)
}

// wordsOf splits a text into words in lower case, at underscores and within camelCase too,
// and counts its Han characters, which are no words.
func wordsOf(s string) (words []string, han int) {
	var word strings.Builder
	end := func() {
		if word.Len() > 0 {
			words = append(words, strings.ToLower(word.String()))
			word.Reset()
		}
	}
	before := ' '
	for _, r := range s {
		switch {
		case isHan(r):
			han++
			end()
		case !unicode.IsLetter(r) && !unicode.IsDigit(r):
			end()
		default:
			if unicode.IsUpper(r) && unicode.IsLower(before) {
				end()
			}
			word.WriteRune(r)
		}
		before = r
	}
	end()
	return words, han
}

// stem takes what English grammar puts behind a word: gets is get.
func stem(w string) string {
	for _, end := range []string{"ing", "es", "ed", "s"} {
		if len(w) > len(end)+2 && strings.HasSuffix(w, end) {
			w = strings.TrimSuffix(w, end)
			break
		}
	}
	return strings.TrimSuffix(w, "e") // creates is creat, and so is create
}
