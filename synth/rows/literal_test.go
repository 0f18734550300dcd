package rows_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/astra-arenas/astra/synth/rows"
)

func TestParseLiteral(t *testing.T) {
	for given, want := range map[string]string{
		`'a'`: `"a"`, `"it's"`: `"it's"`, `'a' "b"`: `"ab"`, `"""x "y" z"""`: `"x \"y\" z"`, `r'\n'`: `"\\n"`, `u'é'`: `"é"`, `''`: `""`,
		`'\x41\u00e9\U0001F600\101\q\\\n'`: `"Aé😀A\\q\\\n"`, "'a\\\nb'": `"ab"`,
		`1`: `1`, `-1`: `-1`, `+1`: `1`, `- 2`: `-2`, `1_000`: `1000`, `0x1f`: `31`, `0b11`: `3`, `0o17`: `15`, `1.5`: `1.5`, `.5`: `0.5`, `1.`: `1.0`, `1e3`: `1000.0`, `-1.5E-3`: `-0.0015`, `007.5`: `7.5`, `0`: `0`, `-0`: `0`,
		`123456789012345678901234567890`: `123456789012345678901234567890`,
		`True`:                           `true`, `False`: `false`, `None`: `null`,
		`[1, 'a', [], ]`: `[1,"a",[]]`, `(1, 2)`: `[1,2]`, `(1)`: `1`, `(1,)`: `[1]`, `()`: `[]`, `{1, 2}`: `[1,2]`, `set()`: `[]`, `{}`: `{}`,
		`{'b': 1, "a": {2: None, True: [1.0]}}`: `{"a":{"2":null,"True":[1.0]},"b":1}`, "[1, # one\n 2]": `[1,2]`,
	} {
		got, err := rows.ParseLiteral(given)
		if err != nil || string(got) != want && !sameJSON(string(got), want) {
			t.Errorf("%s: %s %v, want %s", given, got, err, want)
		}
	}
	for _, given := range []string{``, `x`, `f(1)`, `1 + 2`, `'a`, "'a\nb'", `b'a'`, `f'{x}'`, `[1 2]`, `[1`, `{1: 2, 3}`, `{1, 2: 3}`, `1__0`, `1e999`, `inf`, `nan`, `0x1p3`, `012`, `'\ud800'`, `'\x4'`, `1j`, `a.b`, `[i for i in x]`, `-True`,
		strings.Repeat("[", 100) + strings.Repeat("]", 100)} {
		if got, err := rows.ParseLiteral(given); err == nil {
			t.Errorf("%q: taken as %s", given, got)
		}
	}
}

func sameJSON(a, b string) bool {
	var x, y any
	if json.Unmarshal([]byte(a), &x) != nil || json.Unmarshal([]byte(b), &y) != nil {
		return false
	}
	s, _ := json.Marshal(x)
	u, _ := json.Marshal(y)
	return string(s) == string(u)
}

func TestParseStatement(t *testing.T) {
	for given, want := range map[string]string{
		`f(a="x", b=2)`: `{"a":"x","b":2}`, `f()`: `{}`, `f("x", 2)`: `{"p":"x","q":2}`, `f('x', q=None,)`: `{"p":"x","q":null}`,
		"f(\n  a = [1, {'k': (True, 0.5)}],\n)": `{"a":[1,{"k":[true,0.5]}]}`, `print(f(a=1))`: `{"a":1}`, `result = f(a=1);`: `{"a":1}`,
	} {
		s, err := rows.ParseStatement(given)
		if err != nil || s.Function != "f" {
			t.Errorf("%s: %+v %v", given, s, err)
			continue
		}
		if got, err := s.Arguments([]string{"p", "q"}); err != nil || string(got) != want {
			t.Errorf("%s: %s %v, want %s", given, got, err, want)
		}
	}
	for _, given := range []string{``, `f`, `f(`, `f(a=)`, `f(a=1 b=2)`, `f(a=1, 2)`, `f(a=1, a=2)`, `f(a=g(1))`, `f(a=1).x`, `f(a=1); g()`, `f(*x)`, `f(**{})`, `print(f(a=1)`, `import os`, `None`} {
		if s, err := rows.ParseStatement(given); err == nil {
			t.Errorf("%q: taken as %+v", given, s)
		}
	}
	for _, given := range []string{`f(1, 2, 3)`, `f(1, p=2)`} {
		s, err := rows.ParseStatement(given)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := s.Arguments([]string{"p", "q"}); err == nil {
			t.Errorf("%s: %s", given, got)
		}
	}
}

func FuzzParseLiteral(f *testing.F) {
	for _, s := range []string{`{'a': [1, -2.5e3, None], "b": ('x',), 3: {True}}`, `"""a\x41"""`, `r'\d' "b"`, `- - 1_0`, `(((1)))`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := rows.ParseLiteral(text)
		if err != nil {
			return
		}
		if !json.Valid(got) {
			t.Fatalf("%q became %s", text, got)
		}
		if again, err := rows.ParseLiteral(string(got)); err != nil || string(again) != string(got) {
			t.Fatalf("%q became %s became %s, %v", text, got, again, err)
		}
	})
}

func FuzzParseStatement(f *testing.F) {
	for _, s := range []string{`f(a="x", b=2)`, `print(f(1, c={}))`, `r = f(a=[(1,2)])`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if s, err := rows.ParseStatement(text); err == nil {
			if args, err := s.Arguments([]string{"a", "b"}); err == nil && !json.Valid(args) {
				t.Fatalf("%q became %s", text, args)
			}
		}
	})
}
