package servers

import (
	"strings"
	"unicode"
)

// Words splits a text into words in lower case, at underscores and within camelCase too,
// and counts its Han characters, which are no words.
func Words(s string) (words []string, han int) {
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
