package verifiers

import "unicode/utf8"

// A source is a verifier's text, with what finding clauses in it needs: the parser knows
// where operators stand, in characters, but not where parentheses do.
type source struct {
	text    string
	offsets []int       // byte offset of each character, and of the end
	match   map[int]int // byte offsets of brackets, both ways
}

func newSource(text string) *source {
	s := &source{text: text, match: map[int]int{}}
	for i := range text {
		s.offsets = append(s.offsets, i)
	}
	s.offsets = append(s.offsets, len(text))
	s.matchBrackets()
	return s
}

// at turns a position in characters into one in bytes.
func (s *source) at(char int32) int {
	return s.offsets[max(0, min(int(char), len(s.offsets)-1))]
}

func (s *source) matchBrackets() {
	var open []int
	for i := 0; i < len(s.text); {
		switch c := s.text[i]; c {
		case '"', '\'':
			i = s.skipLiteral(i)
			continue
		case '/':
			if i+1 < len(s.text) && s.text[i+1] == '/' {
				i = s.skipComment(i)
				continue
			}
		case '(', '[', '{':
			open = append(open, i)
		case ')', ']', '}':
			if n := len(open); n > 0 {
				s.match[open[n-1]], s.match[i] = i, open[n-1]
				open = open[:n-1]
			}
		}
		i++
	}
}

// skipLiteral returns where the text literal that begins at i ends. Its prefix (r, b)
// says whether backslashes escape.
func (s *source) skipLiteral(i int) int {
	raw := false
	for j := i - 1; j >= 0 && j >= i-2; j-- {
		switch s.text[j] {
		case 'r', 'R':
			raw = true
		case 'b', 'B':
		default:
			j = 0
		}
	}
	quote := s.text[i : i+1]
	if triple := quote + quote + quote; len(s.text) >= i+3 && s.text[i:i+3] == triple {
		quote = triple
	}
	for j := i + len(quote); j < len(s.text); {
		switch {
		case s.text[j] == '\\' && !raw:
			j += 2
		case j+len(quote) <= len(s.text) && s.text[j:j+len(quote)] == quote:
			return j + len(quote)
		default:
			_, n := utf8.DecodeRuneInString(s.text[j:])
			j += n
		}
	}
	return len(s.text)
}

func (s *source) skipComment(i int) int {
	for i < len(s.text) && s.text[i] != '\n' {
		i++
	}
	return i
}

// trim narrows a range to the expression in it: without white space around, and without
// parentheses that have their other half outside or enclose it all.
func (s *source) trim(start, end int) [2]int {
	for start < end {
		switch {
		case space(s.text[start]):
			start++
		case space(s.text[end-1]):
			end--
		case s.text[start] == '(' && s.partner(start) >= end-1:
			start++
		case s.text[end-1] == ')' && s.partner(end-1) < start:
			end--
		default:
			return [2]int{start, end}
		}
	}
	return [2]int{start, end}
}

func (s *source) partner(i int) int {
	if j, ok := s.match[i]; ok {
		return j
	}
	return -1
}

func space(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' }
