package tiny

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Tokens are names of text, not rows of a table: any word of up to six letters, any code of
// up to five capitals and digits, any date and any small decimal number is one token, whose id
// spells it. So there is no vocabulary to learn or to keep, equal text has equal tokens in
// every process, and a value that was never seen ("F179") is one token to be copied.
//
//	0 … 255     bytes
//	256 … 319   marks of the template
//	320 … 1023  "the nth tool of the list"
//	1024 …      chunks: words, codes, dates, decimals; each apart from the chunk before, or glued to it
//
// One space between two chunks is not written: it is what stands between them unless the
// second is glued. Every other byte that no chunk covers is written as itself, and so are
// chunks of one letter or digit.
const (
	firstMark  = 256
	firstNth   = 320
	firstChunk = 1024
	maxTools   = firstChunk - firstNth

	wordLetters = 6
	codeLetters = 5
	wordNames   = 387420489 // 27^6
	codeNames   = 69343957  // 37^5
	firstCode   = firstChunk + wordNames*4
	firstDate   = firstCode + codeNames*2
	dateNames   = 10000 * 12 * 31
	firstPoint  = firstDate + dateNames*2
	pointNames  = 10000 * 100 * 2           // 0.0 to 9999.99, with one digit behind the point or two
	endOfTokens = firstPoint + pointNames*2 // fits an int32
)

func isChunk(id int32) bool { return id >= firstChunk && int(id) < endOfTokens }
func isNth(id int32) bool   { return id >= firstNth && id < firstChunk }
func isMark(id int32) bool  { return id >= firstMark && id < firstNth }

func lower(c byte) bool { return 'a' <= c && c <= 'z' }
func upper(c byte) bool { return 'A' <= c && c <= 'Z' }
func digit(c byte) bool { return '0' <= c && c <= '9' }
func alnum(c byte) bool { return lower(c) || upper(c) || digit(c) }

// chunks are the lengths that the chunk at the beginning of s, which is a letter or digit, can
// have: of a date or a decimal, and of a word, perhaps capitalised, or a code, whichever is longer.
func chunks(s string) []int {
	word, code := 1, 0
	for word < min(len(s), wordLetters) && lower(s[word]) {
		word++
	}
	if digit(s[0]) {
		word = 0
	}
	for code < min(len(s), codeLetters) && (upper(s[code]) || digit(s[code])) {
		code++
	}
	if n := max(date(s), decimal(s)); n > 0 {
		return []int{n, max(word, code)}
	}
	return []int{max(word, code)}
}

// digits is how many digits s begins with, up to five, which is more than any part of a chunk has.
func digits(s string) int {
	n := 0
	for n < min(len(s), 5) && digit(s[n]) {
		n++
	}
	return n
}

// date is the length of a date at the beginning of s, 2026-03-02, or 0.
func date(s string) int {
	if len(s) < 10 || digits(s) != 4 || s[4] != '-' || digits(s[5:]) != 2 || s[7] != '-' || digits(s[8:]) != 2 {
		return 0
	}
	if month, day := number(s[5:7]), number(s[8:10]); month < 1 || month > 12 || day < 1 || day > 31 {
		return 0
	}
	return 10
}

// decimal is the length of a number with a point at the beginning of s, 37.81, or 0.
func decimal(s string) int {
	whole := digits(s)
	if whole == 0 || whole > 4 || whole > 1 && s[0] == '0' || whole == len(s) || s[whole] != '.' {
		return 0
	}
	if part := digits(s[whole+1:]); part == 1 || part == 2 {
		return whole + 1 + part
	}
	return 0
}

// number is that of a few digits.
func number(s string) (n int) {
	for i := range len(s) {
		n = n*10 + int(s[i]-'0')
	}
	return n
}

// pack is the token of a chunk of at least two bytes.
func pack(s string, glued bool) int32 {
	id := firstChunk
	switch point := strings.IndexByte(s, '.'); {
	case len(s) == 10:
		id = firstDate + 2*((number(s[:4])*12+number(s[5:7])-1)*31+number(s[8:])-1)
	case point > 0:
		part := s[point+1:]
		id = firstPoint + 2*((number(s[:point])*100+number(part))*2+len(part)-1)
	case lower(s[len(s)-1]):
		n := 0
		for i := range len(s) {
			n = n*27 + int(s[i]|0x20-'a') + 1
		}
		id = firstChunk + 2*(n*2+b2i(upper(s[0])))
	default:
		n := 0
		for i := range len(s) {
			n *= 37
			if digit(s[i]) {
				n += int(s[i]-'0') + 1
			} else {
				n += int(s[i]-'A') + 11
			}
		}
		id = firstCode + 2*n
	}
	return int32(id + b2i(glued))
}

// unpack is the text of a chunk, and whether it is glued to the one before. Of ids that no
// text has, it is some text or none: strangers' tokens come here.
func unpack(token int32) (s string, glued bool) {
	id := int(token)
	glued = id%2 == 1
	switch {
	case id >= firstPoint:
		n := (id - firstPoint) / 2
		return fmt.Sprintf("%d.%0*d", n/200, n%2+1, n/2%100), glued
	case id >= firstDate:
		n := (id - firstDate) / 2
		return fmt.Sprintf("%04d-%02d-%02d", n/31/12, n/31%12+1, n%31+1), glued
	case id >= firstCode:
		return spell((id-firstCode)/2, 37, "?0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"), glued
	}
	s = spell((id-firstChunk)/4, 27, "?abcdefghijklmnopqrstuvwxyz")
	if (id-firstChunk)/2%2 == 1 && s != "" {
		s = strings.ToUpper(s[:1]) + s[1:]
	}
	return s, glued
}

func spell(n, base int, letters string) string {
	var b [wordLetters]byte
	i := len(b)
	for ; n > 0 && i > 0; n /= base {
		i--
		b[i] = letters[n%base]
	}
	return string(b[i:])
}

// encode appends the tokens of a text. Where seen is given, only chunks in it are written as
// such and all others as bytes: the policy can say words that were shown to it, and spell others.
func encode(to []int32, s string, seen map[int32]bool) []int32 {
	return encodeAfter(to, s, seen, false, false)
}

// encodeAfter is encode where the text may go on after a chunk, and where no chunk ends a text
// that is cut: what ends it goes on behind the cut, and was not seen.
func encodeAfter(to []int32, s string, seen map[int32]bool, after, cut bool) []int32 {
	for i := 0; i < len(s); {
		start, glued := i, after
		if after && s[i] == ' ' && i+1 < len(s) && alnum(s[i+1]) {
			start, glued = i+1, false
		}
		n := 1
		if after = false; alnum(s[start]) {
			for _, n = range chunks(s[start:]) {
				if id := pack(s[start:start+n], glued); n > 1 && (seen == nil || seen[id]) && (!cut || start+n < len(s)) {
					to, after = append(to, id), true
					break
				}
			}
		}
		if after {
			i = start + n
			continue
		}
		for ; i < start+n; i++ {
			to = append(to, int32(s[i]))
		}
	}
	return to
}

// decode is the text of tokens that are bytes and chunks; others are left out.
func decode(tokens []int32) string {
	var b strings.Builder
	after := false
	for _, id := range tokens {
		switch {
		case id >= 0 && id < firstMark:
			b.WriteByte(byte(id))
			after = false
		case isChunk(id):
			s, glued := unpack(id)
			if after && !glued {
				b.WriteByte(' ')
			}
			b.WriteString(s)
			after = true
		}
	}
	return b.String()
}

// A tail is what is not settled yet of text that is being written, token by token, as
// encode would write it.
type tail struct {
	after  bool // a chunk
	tokens []int32
	part   []byte // of a character of several bytes
}

// inside reports whether a byte can be in a chunk but is no letter or digit.
func inside(id int32) bool { return id == '-' || id == '.' }

func ends(id int32) bool { return id < firstMark && !alnum(byte(id)) && id != ' ' && !inside(id) }

// write adds a token, and lets go of what it settles.
func (t *tail) write(id int32) {
	if id >= utf8.RuneSelf && id < firstMark {
		if t.part = append(t.part, byte(id)); utf8.FullRune(t.part) {
			t.part = t.part[:0]
		}
	}
	n := len(t.tokens)
	switch {
	case ends(id), id == ' ' && (n == 0 || !isChunk(t.tokens[n-1])):
		t.drop(n)
	case isChunk(id) && (n == 0 || !inside(t.tokens[n-1])):
		t.after, t.tokens = id%2 == 1, append(t.tokens[:0], id)
	default:
		t.tokens = append(t.tokens, id)
		t.trim()
	}
}

func (t *tail) drop(n int) { t.after, t.tokens = false, append(t.tokens[:0], t.tokens[n:]...) }

// trim lets go of all before what the longest chunk, a date, could be made of: three parts,
// each of them spelled.
func (t *tail) trim() {
	parts, first := 0, -1
	for i, id := range t.tokens {
		if inside(id) {
			if parts++; first < 0 {
				first = i
			}
		}
	}
	if parts > 2 {
		t.drop(first + 1)
	} else if text := decode(t.tokens); first < 0 && spelled(t.tokens) && chunks(text)[0] < len(text) {
		t.drop(chunks(text)[0])
	}
}

func spelled(tokens []int32) bool {
	return !slices.ContainsFunc(tokens, func(id int32) bool { return id >= firstMark || !alnum(byte(id)) })
}

// settled reports whether encode would have written the same tokens.
func (t *tail) settled(seen map[int32]bool) bool {
	return len(t.part) == 0 && slices.Equal(encodeAfter(nil, decode(t.tokens), seen, t.after, false), t.tokens)
}

// takes reports whether id may come next: whether encode would have written it, or will once
// the chunk that is being spelled has become one that was not seen.
func (t *tail) takes(id int32, seen map[int32]bool) bool {
	if len(t.part) > 0 || id >= utf8.RuneSelf && id < firstMark {
		return id < firstMark && t.whole(byte(id)) && (len(t.part) > 0 || t.settled(seen))
	}
	if ends(id) {
		return t.settled(seen)
	}
	tokens := append(t.tokens[:len(t.tokens):len(t.tokens)], id)
	text := decode(tokens)
	want := encodeAfter(nil, text, seen, t.after, false)
	if slices.Equal(want, tokens) {
		return true
	}
	return open(want[len(want)-1]) && slices.Equal(encodeAfter(nil, text, seen, t.after, true), tokens)
}

// whole reports whether a byte begins a character of several bytes or goes on with one: what is
// no UTF-8 would be replaced by others on its way as JSON.
func (t *tail) whole(b byte) bool {
	part := append(t.part[:len(t.part):len(t.part)], b)
	r, _ := utf8.DecodeRune(part)
	return !utf8.FullRune(part) || r != utf8.RuneError || len(part) == 3 && string(part) == "\uFFFD"
}

// open reports whether text that begins as a chunk may become none.
func open(id int32) bool {
	s, _ := unpack(id)
	switch {
	case !isChunk(id):
		return false
	case int(id) < firstCode:
		return len(s) < wordLetters
	case int(id) < firstDate:
		return len(s) < codeLetters
	}
	return true
}
