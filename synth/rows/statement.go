package rows

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// parseCall reads a call statement, such as f(a="x", b=2): a Python call whose arguments
// are keywords with literal values. Positional arguments are given the names in order.
// Nothing is evaluated.
func parseCall(statement string, names []string) (function string, args json.RawMessage, err error) {
	p := &literals{s: statement}
	defer func() {
		if err != nil {
			err = fmt.Errorf("call statement %q, byte %d: %w", clip(statement), p.at+1, err)
		}
	}()
	if function = p.name(); function == "" {
		return "", nil, fmt.Errorf("want the name of a function")
	}
	if !p.eat("(") {
		return "", nil, fmt.Errorf("want (")
	}
	object, err := p.arguments(names)
	if err != nil {
		return "", nil, err
	}
	if p.space(); p.at != len(p.s) {
		return "", nil, fmt.Errorf("something follows the call")
	}
	args, err = encode(object)
	return function, args, err
}

// A literals reads Python literals of bounded nesting.
type literals struct {
	s     string
	at    int
	depth int
}

const maxNesting = 32

func (p *literals) space() {
	for p.at < len(p.s) && strings.IndexByte(" \t\r\n", p.s[p.at]) >= 0 {
		p.at++
	}
}

func (p *literals) eat(token string) bool {
	p.space()
	if strings.HasPrefix(p.s[p.at:], token) {
		p.at += len(token)
		return true
	}
	return false
}

func (p *literals) name() string {
	p.space()
	from := p.at
	for p.at < len(p.s) {
		c := p.s[p.at]
		if c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || p.at > from && c >= '0' && c <= '9' {
			p.at++
			continue
		}
		break
	}
	return p.s[from:p.at]
}

func (p *literals) arguments(names []string) (map[string]any, error) {
	args := map[string]any{}
	for n := 0; !p.eat(")"); n++ {
		from := p.at
		name := p.name()
		if name == "" || !p.eat("=") {
			p.at = from
			if n >= len(names) {
				return nil, fmt.Errorf("want an argument such as name=value")
			}
			name = names[n]
		}
		if _, twice := args[name]; twice {
			return nil, fmt.Errorf("the argument %s comes twice", clip(name))
		}
		v, err := p.value()
		if err != nil {
			return nil, err
		}
		if args[name] = v; !p.eat(",") {
			if !p.eat(")") {
				return nil, fmt.Errorf("want , or )")
			}
			return args, nil
		}
	}
	return args, nil
}

func (p *literals) value() (any, error) {
	if p.depth++; p.depth > maxNesting {
		return nil, fmt.Errorf("nested deeper than %d", maxNesting)
	}
	defer func() { p.depth-- }()
	p.space()
	if p.at == len(p.s) {
		return nil, fmt.Errorf("want a value")
	}
	switch c := p.s[p.at]; {
	case c == '"' || c == '\'':
		return p.texts()
	case c == '[':
		p.at++
		return p.list("]")
	case c == '(':
		p.at++
		return p.tuple()
	case c == '{':
		p.at++
		return p.dict()
	case c == '-' || c == '+' || c == '.' || c >= '0' && c <= '9':
		return p.number()
	}
	switch word := p.name(); word {
	case "True":
		return true, nil
	case "False":
		return false, nil
	case "None":
		return nil, nil
	default:
		return nil, fmt.Errorf("%q is no literal", clip(word))
	}
}

// texts are strings side by side, which Python joins.
func (p *literals) texts() (string, error) {
	var b strings.Builder
	for p.space(); p.at < len(p.s) && (p.s[p.at] == '"' || p.s[p.at] == '\''); p.space() {
		if err := p.text(&b); err != nil {
			return "", err
		}
	}
	return b.String(), nil
}

func (p *literals) text(b *strings.Builder) error {
	quote := p.s[p.at : p.at+1]
	if triple := strings.Repeat(quote, 3); strings.HasPrefix(p.s[p.at:], triple) {
		quote = triple
	}
	p.at += len(quote)
	for p.at < len(p.s) {
		switch {
		case strings.HasPrefix(p.s[p.at:], quote):
			p.at += len(quote)
			return nil
		case p.s[p.at] == '\\':
			if err := p.escape(b); err != nil {
				return err
			}
		case p.s[p.at] == '\n' && len(quote) == 1:
			return fmt.Errorf("a text ends at the end of its line")
		default:
			b.WriteByte(p.s[p.at])
			p.at++
		}
	}
	return fmt.Errorf("a text does not end")
}

var escapes = map[byte]string{'n': "\n", 't': "\t", 'r': "\r", '\\': "\\", '\'': "'", '"': "\"", '\n': "", 'b': "\b", 'f': "\f", 'v': "\v", 'a': "\a", '0': "\x00"}

func (p *literals) escape(b *strings.Builder) error {
	if p.at+1 >= len(p.s) {
		return fmt.Errorf("a text does not end")
	}
	c := p.s[p.at+1]
	if digits := map[byte]int{'x': 2, 'u': 4, 'U': 8}[c]; digits > 0 {
		end := p.at + 2 + digits
		if end > len(p.s) {
			return fmt.Errorf("an escape is cut off")
		}
		n, err := strconv.ParseUint(p.s[p.at+2:end], 16, 32)
		if err != nil || n > utf8.MaxRune {
			return fmt.Errorf("%q is no escape", p.s[p.at:end])
		}
		b.WriteRune(rune(n))
		p.at = end
		return nil
	}
	if s, ok := escapes[c]; ok {
		b.WriteString(s)
	} else {
		b.WriteString(p.s[p.at : p.at+2]) // Python keeps what it does not know
	}
	p.at += 2
	return nil
}

func (p *literals) number() (json.Number, error) {
	from := p.at
	for p.at < len(p.s) && strings.IndexByte("+-0123456789._eE", p.s[p.at]) >= 0 {
		p.at++
	}
	digits := strings.TrimPrefix(strings.ReplaceAll(p.s[from:p.at], "_", ""), "+")
	f, err := strconv.ParseFloat(digits, 64)
	if err != nil {
		return "", fmt.Errorf("%q is no number", clip(digits))
	}
	if json.Valid([]byte(digits)) {
		return json.Number(digits), nil
	}
	return json.Number(strconv.FormatFloat(f, 'g', -1, 64)), nil // 1. and .5 are Python's, not JSON's
}

func (p *literals) list(end string) ([]any, error) {
	list := []any{}
	for !p.eat(end) {
		v, err := p.value()
		if err != nil {
			return nil, err
		}
		if list = append(list, v); !p.eat(",") {
			if !p.eat(end) {
				return nil, fmt.Errorf("want , or %s", end)
			}
			break
		}
	}
	return list, nil
}

// tuple is a list, or the one value that stands in brackets without a comma.
func (p *literals) tuple() (any, error) {
	list, err := p.list(")")
	if err == nil && len(list) == 1 && !strings.HasSuffix(strings.TrimRight(p.s[:p.at-1], " \t\r\n"), ",") {
		return list[0], nil
	}
	return list, err
}

func (p *literals) dict() (map[string]any, error) {
	dict := map[string]any{}
	for !p.eat("}") {
		p.space()
		key, err := p.value()
		name, ok := key.(string)
		if err != nil || !ok {
			return nil, fmt.Errorf("want a text as a key")
		}
		if !p.eat(":") {
			return nil, errors.New("want a colon")
		}
		if dict[name], err = p.value(); err != nil {
			return nil, err
		}
		if !p.eat(",") {
			if !p.eat("}") {
				return nil, fmt.Errorf("want , or }")
			}
			break
		}
	}
	return dict, nil
}
