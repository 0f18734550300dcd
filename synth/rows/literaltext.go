package rows

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// texts are one text literal, or several that stand beside each other, which are one.
func (p *pythonReader) texts() (string, error) {
	var all strings.Builder
	for {
		if err := p.text(&all); err != nil {
			return "", err
		}
		if !p.startsText() {
			return all.String(), nil
		}
	}
}

func (p *pythonReader) startsText() bool {
	c := p.peek()
	_, n := prefix(p.s[p.i:])
	return c == '"' || c == '\'' || n > 0
}

// prefix is what stands before the quotes of a text: r or u, b in which there is no text for
// JSON, f which is code.
func prefix(s string) (letters string, n int) {
	i := strings.IndexAny(s, `"'`)
	if i < 1 || i > 2 || strings.Trim(strings.ToLower(s[:i]), "rubf") != "" {
		return "", 0
	}
	return strings.ToLower(s[:i]), i
}

func (p *pythonReader) text(to *strings.Builder) error {
	letters, n := prefix(p.s[p.i:])
	if strings.ContainsAny(letters, "bf") || len(letters) > 1 {
		return p.expected("plain text, not bytes or a formatted one")
	}
	p.i += n
	quote := p.s[p.i : p.i+1]
	if long := strings.Repeat(quote, 3); strings.HasPrefix(p.s[p.i:], long) {
		quote = long
	}
	p.i += len(quote)
	for !strings.HasPrefix(p.s[p.i:], quote) {
		if p.i >= len(p.s) || len(quote) == 1 && p.s[p.i] == '\n' {
			return p.expected("the text's end")
		}
		if p.s[p.i] != '\\' {
			r, n := utf8.DecodeRuneInString(p.s[p.i:])
			to.WriteRune(r)
			p.i += n
			continue
		}
		if err := p.escape(to, letters == "r"); err != nil {
			return err
		}
	}
	p.i += len(quote)
	return nil
}

var escapes = map[byte]string{'\n': "", '\\': `\`, '\'': "'", '"': `"`, 'a': "\a", 'b': "\b", 'f': "\f", 'n': "\n", 'r': "\r", 't': "\t", 'v': "\v"}

// escape reads a backslash and what belongs to it. As in Python, one that means nothing
// stands for itself.
func (p *pythonReader) escape(to *strings.Builder, raw bool) error {
	if p.i+1 >= len(p.s) {
		return p.expected("the text's end")
	}
	c := p.s[p.i+1]
	if raw {
		_, n := utf8.DecodeRuneInString(p.s[p.i+1:])
		to.WriteString(p.s[p.i : p.i+1+n])
		p.i += 1 + n
		return nil
	}
	if text, ok := escapes[c]; ok {
		to.WriteString(text)
		p.i += 2
		return nil
	}
	if digits := map[byte]int{'x': 2, 'u': 4, 'U': 8}[c]; digits > 0 {
		return p.code(to, p.i+2, digits, 16)
	}
	if c >= '0' && c <= '7' {
		n := 1
		for n < 3 && p.i+1+n < len(p.s) && p.s[p.i+1+n] >= '0' && p.s[p.i+1+n] <= '7' {
			n++
		}
		return p.code(to, p.i+1, n, 8)
	}
	if c == 'N' {
		return p.expected("text without names of characters")
	}
	to.WriteByte('\\')
	p.i++
	return nil
}

// code reads a character by its number.
func (p *pythonReader) code(to *strings.Builder, at, digits, base int) error {
	if at+digits > len(p.s) {
		return p.expected("a whole escape")
	}
	n, err := strconv.ParseUint(p.s[at:at+digits], base, 32)
	if err != nil || !utf8.ValidRune(rune(n)) || n > utf8.MaxRune {
		return fmt.Errorf("%q at byte %d is no character", p.s[p.i:at+digits], p.i+1)
	}
	to.WriteRune(rune(n))
	p.i = at + digits
	return nil
}
