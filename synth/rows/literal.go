package rows

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/astra-arenas/astra/synth"
)

// What a literal of Python's may hold.
const (
	maxLiteral      = 1 << 20 // bytes
	maxLiteralDepth = 64
)

// A pythonReader reads a literal of Python's, or a call of a function with literals, as JSON
// values: text with its escapes and prefixes, numbers, True, False and None, lists, tuples and
// sets (as lists), dictionaries, and what stands in brackets. It evaluates nothing.
type pythonReader struct {
	s     string
	i     int
	depth int
}

var errNotUTF8 = errors.New("it is not UTF-8")

// ParseLiteral reads a literal of Python's, such as print shows of a value, as JSON. Members
// of a dictionary come in sorted order; of those with one name the last stays, as in Python.
func ParseLiteral(text string) (json.RawMessage, error) {
	p := &pythonReader{s: text}
	if len(text) > maxLiteral {
		return nil, fmt.Errorf("%d bytes; a literal may have %d", len(text), maxLiteral)
	}
	if !utf8.ValidString(text) {
		return nil, errNotUTF8
	}
	v, err := p.value()
	if err == nil {
		err = p.end()
	}
	if err != nil {
		return nil, err
	}
	return synth.JSON(v)
}

// A Statement is a call statement, f(a="x", b=2).
type Statement struct {
	Function   string
	Positional []json.RawMessage
	Named      map[string]json.RawMessage
}

// ParseStatement reads a call of one function with literals as arguments. print(f(…)) and
// an assignment before the call are passed over: models write them.
func ParseStatement(text string) (*Statement, error) {
	if len(text) > maxLiteral {
		return nil, fmt.Errorf("%d bytes; a call statement may have %d", len(text), maxLiteral)
	}
	if !utf8.ValidString(text) {
		return nil, errNotUTF8
	}
	p := &pythonReader{s: strings.TrimRight(text, " \t\r\n;")}
	name, err := p.name()
	if err == nil && p.take("=") {
		name, err = p.name()
	}
	inside := err == nil && name == "print" && p.take("(")
	if inside {
		name, err = p.name()
	}
	if err != nil {
		return nil, err
	}
	s := &Statement{Function: name, Named: map[string]json.RawMessage{}}
	if err := p.arguments(s); err != nil {
		return nil, err
	}
	if inside && !p.take(")") {
		return nil, p.expected("a ) after the call")
	}
	return s, p.end()
}

// Arguments are the call's as an object: positional ones get the names of the tool's
// parameters, in their order.
func (s *Statement) Arguments(parameters []string) (json.RawMessage, error) {
	if len(s.Positional) > len(parameters) {
		return nil, fmt.Errorf("the call has %d arguments without a name, and the tool %d parameters", len(s.Positional), len(parameters))
	}
	all := map[string]json.RawMessage{}
	for i, v := range s.Positional {
		if _, named := s.Named[parameters[i]]; named {
			return nil, fmt.Errorf("the argument %s is given twice", parameters[i])
		}
		all[parameters[i]] = v
	}
	for k, v := range s.Named {
		all[k] = v
	}
	return synth.JSON(all)
}

func (p *pythonReader) arguments(s *Statement) error {
	if !p.take("(") {
		return p.expected("a ( after the function's name")
	}
	for !p.take(")") {
		if err := p.argument(s); err != nil {
			return err
		}
		if !p.take(",") && p.peek() != ')' {
			return p.expected("a , or a )")
		}
	}
	return nil
}

func (p *pythonReader) argument(s *Statement) error {
	start := p.i
	name, err := p.name()
	named := err == nil && p.peek() == '=' && p.take("=")
	if !named {
		p.i = start
	}
	v, err := p.value()
	if err != nil {
		return err
	}
	raw, err := synth.JSON(v)
	if err != nil {
		return err
	}
	switch _, twice := s.Named[name]; {
	case !named && len(s.Named) > 0:
		return p.expected("a name: one came before")
	case !named:
		s.Positional = append(s.Positional, raw)
	case twice:
		return fmt.Errorf("the argument %s is given twice", name)
	default:
		s.Named[name] = raw
	}
	return nil
}

func (p *pythonReader) expected(what string) error {
	rest := p.s[min(p.i, len(p.s)):]
	if rest == "" {
		return fmt.Errorf("want %s, not the end", what)
	}
	return fmt.Errorf("want %s at byte %d, before %.20q", what, p.i+1, rest)
}

func (p *pythonReader) end() error {
	if p.space(); p.i < len(p.s) {
		return p.expected("nothing more")
	}
	return nil
}

// space passes over white space, comments and joined lines.
func (p *pythonReader) space() {
	for p.i < len(p.s) {
		switch c := p.s[p.i]; {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f':
			p.i++
		case c == '#':
			for p.i < len(p.s) && p.s[p.i] != '\n' {
				p.i++
			}
		case strings.HasPrefix(p.s[p.i:], "\\\n"):
			p.i += 2
		default:
			return
		}
	}
}

// peek is the next byte that is no space, 0 at the end.
func (p *pythonReader) peek() byte {
	if p.space(); p.i < len(p.s) {
		return p.s[p.i]
	}
	return 0
}

func (p *pythonReader) take(text string) bool {
	p.space()
	if !strings.HasPrefix(p.s[p.i:], text) {
		return false
	}
	p.i += len(text)
	return true
}

func (p *pythonReader) name() (string, error) {
	p.space()
	start := p.i
	for p.i < len(p.s) {
		r, n := utf8.DecodeRuneInString(p.s[p.i:])
		if r != '_' && !unicode.IsLetter(r) && (p.i == start || !unicode.IsDigit(r)) {
			break
		}
		p.i += n
	}
	if p.i == start {
		return "", p.expected("a name")
	}
	return p.s[start:p.i], nil
}

func (p *pythonReader) value() (any, error) {
	if p.depth++; p.depth > maxLiteralDepth {
		return nil, fmt.Errorf("nested more than %d deep", maxLiteralDepth)
	}
	defer func() { p.depth-- }()
	switch c := p.peek(); {
	case c == '[':
		return p.list("[", "]")
	case c == '(':
		return p.tuple()
	case c == '{':
		return p.braces()
	case c == '"' || c == '\'':
		return p.texts()
	case c == '-' || c == '+' || c == '.' || c >= '0' && c <= '9':
		return p.number()
	}
	return p.word()
}

// word is True, False, None, set(), or text with a prefix.
func (p *pythonReader) word() (any, error) {
	start := p.i
	name, err := p.name()
	if err != nil {
		return nil, p.expected("a literal")
	}
	if p.i < len(p.s) && (p.s[p.i] == '"' || p.s[p.i] == '\'') {
		p.i = start
		return p.texts()
	}
	switch name {
	case "True", "true":
		return true, nil
	case "False", "false":
		return false, nil
	case "None", "null":
		return nil, nil
	case "set":
		if p.take("(") && p.take(")") {
			return []any{}, nil
		}
	}
	p.i = start
	return nil, p.expected("a literal")
}

func (p *pythonReader) list(open, end string) ([]any, error) {
	p.take(open)
	all := []any{}
	for !p.take(end) {
		v, err := p.value()
		if err != nil {
			return nil, err
		}
		all = append(all, v)
		if !p.take(",") && p.peek() != end[0] {
			return nil, p.expected("a , or a " + end)
		}
	}
	return all, nil
}

// tuple is a list in round brackets, or one value in them.
func (p *pythonReader) tuple() (any, error) {
	start := p.i
	all, err := p.list("(", ")")
	if err != nil {
		return nil, err
	}
	last := strings.TrimRight(p.s[start:p.i-1], " \t\r\n\f")
	if len(all) == 1 && !strings.HasSuffix(last, ",") {
		return all[0], nil
	}
	return all, nil
}

// braces are a dictionary or a set.
func (p *pythonReader) braces() (any, error) {
	p.take("{")
	m, set := map[string]any{}, []any{}
	for first := true; !p.take("}"); first = false {
		k, err := p.value()
		if err != nil {
			return nil, err
		}
		pair := p.take(":")
		if !first && pair != (len(set) == 0) {
			return nil, p.expected("a dictionary or a set, not both")
		}
		if !pair {
			set = append(set, k)
		} else if m[keyText(k)], err = p.value(); err != nil {
			return nil, err
		}
		if !p.take(",") && p.peek() != '}' {
			return nil, p.expected("a , or a }")
		}
	}
	if len(set) > 0 {
		return set, nil
	}
	return m, nil
}

// keyText is a key that is no text as Python's str has it.
func keyText(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	var b strings.Builder
	repr(&b, v)
	return b.String()
}

func (p *pythonReader) number() (any, error) {
	start := p.i
	sign := ""
	for p.i < len(p.s) && (p.s[p.i] == '-' || p.s[p.i] == '+') {
		if p.s[p.i] == '-' {
			sign = map[string]string{"": "-", "-": ""}[sign]
		}
		p.i++
		p.space()
	}
	digits := p.i
	for p.i < len(p.s) && (isWordByte(p.s[p.i]) || p.s[p.i] == '.' || exponentSign(p.s, p.i, digits)) {
		p.i++
	}
	n, ok := jsonNumber(sign, p.s[digits:p.i])
	if !ok {
		p.i = start
		return nil, p.expected("a number that JSON has")
	}
	return n, nil
}

func isWordByte(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// exponentSign reports whether the sign at i belongs to a decimal number's exponent.
func exponentSign(s string, i, start int) bool {
	return (s[i] == '-' || s[i] == '+') && i > start && (s[i-1] == 'e' || s[i-1] == 'E') && !strings.HasPrefix(strings.ToLower(s[start:]), "0x")
}

// jsonNumber writes a number of Python's as JSON has it; 1_000, 0x1f, .5 and 1. are such.
func jsonNumber(sign, text string) (json.Number, bool) {
	if strings.HasPrefix(text, "_") || strings.HasSuffix(text, "_") || strings.Contains(text, "__") {
		return "", false
	}
	if i, ok := new(big.Int).SetString(text, 0); ok && (len(text) < 2 || text[0] != '0' || text[1] > '9' && text[1] != '_') {
		if i.Sign() == 0 {
			sign = ""
		}
		return json.Number(sign + i.String()), true
	}
	plain := strings.ReplaceAll(text, "_", "")
	f, err := strconv.ParseFloat(plain, 64)
	if err != nil || !strings.ContainsAny(plain, ".eE") || strings.ContainsAny(strings.ToLower(plain), "xpin") {
		return "", false
	}
	b, err := json.Marshal(f)
	if err != nil {
		return "", false
	}
	if !bytes.ContainsAny(b, ".e") {
		b = append(b, ".0"...)
	}
	return json.Number(sign + string(b)), true
}
