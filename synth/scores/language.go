package scores

import (
	"strings"
	"unicode"
)

// few words of another script may be a name, a code or a quotation: of so short an answer
// no rule can tell its language.
const few = 6

// otherLanguage reports an answer in a script that the user did not write in.
func otherLanguage(said []string, answer string) bool {
	askedHan, askedOther := words(strings.Join(said, " "))
	han, other := words(link.ReplaceAllString(answer, " "))
	asked, told := share(askedHan, askedOther), share(han, other)
	return asked < 0.1 && told > 0.5 && han >= few || asked > 0.3 && told < 0.05 && other >= few
}

// words are counted by script: each Han character is one, and so is each run of other letters.
func words(s string) (han, other int) {
	inside := false // a run
	for _, r := range s {
		letter := unicode.IsLetter(r)
		switch {
		case unicode.Is(unicode.Han, r):
			han, letter = han+1, false
		case letter && !inside:
			other++
		}
		inside = letter
	}
	return han, other
}

func share(n, rest int) float64 {
	if n == 0 {
		return 0
	}
	return float64(n) / float64(n+rest)
}
