package servers

import (
	"fmt"
	"strings"
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
	words, han := Words(t.Description)
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
	inName, _ := Words(t.Name)
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
