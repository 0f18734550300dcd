package certify

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// words splits text into what is compared of it: runs of letters and digits, folded (NFKC,
// case), numbers whole and without signs and commas between thousands ("1,240.50" is
// 1240.5), and each Han character by itself, since Chinese has no spaces.
func words(s string) []string {
	s = cases.Fold().String(norm.NFKC.String(s))
	var list []string
	for i := 0; i < len(s); {
		n, word := nextWord(s[i:])
		if word != "" {
			list = append(list, word)
		}
		i += n
	}
	return list
}

// nextWord is the word that s begins with, if any, and how many bytes it took.
func nextWord(s string) (int, string) {
	if n := numberLen(s); n > 0 {
		digits := strings.ReplaceAll(s[:n], ",", "")
		if x, err := strconv.ParseFloat(digits, 64); err == nil {
			return n, strconv.FormatFloat(x, 'g', -1, 64)
		}
		return n, digits
	}
	n := 0
	for i, r := range s {
		if unicode.Is(unicode.Han, r) {
			if i == 0 {
				return len(string(r)), string(r)
			}
			break
		}
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r) {
			break
		}
		n = i + len(string(r))
	}
	if n == 0 {
		for i := range s {
			if i > 0 {
				return i, ""
			}
		}
		return len(s), ""
	}
	return n, s[:n]
}

// numberLen is the length of the number that s begins with; 0 where a letter follows it,
// as in the name of a thing.
func numberLen(s string) int {
	n := 0
	for n < len(s) && (isDigit(s[n]) || n > 0 && (s[n] == ',' || s[n] == '.') && n+1 < len(s) && isDigit(s[n+1])) {
		n++
	}
	if r, _ := utf8.DecodeRuneInString(s[n:]); unicode.IsLetter(r) && !unicode.Is(unicode.Han, r) {
		return 0
	}
	return n
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// within reports whether words stand in a text one after the other.
func within(phrase, text []string) bool {
	if len(phrase) == 0 {
		return false
	}
	for i := 0; i+len(phrase) <= len(text); i++ {
		j := 0
		for j < len(phrase) && text[i+j] == phrase[j] {
			j++
		}
		if j == len(phrase) {
			return true
		}
	}
	return false
}
