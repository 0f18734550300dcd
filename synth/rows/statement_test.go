package rows

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestParseCall(t *testing.T) {
	for statement, want := range map[string]string{
		`f(a="x", b=2)`:                     `{"a":"x","b":2}`,
		`f()`:                               `{}`,
		` f ( a = 'it\'s' , ) `:             `{"a":"it's"}`,
		`f(True, None, c=[1, -2.5, 1_000])`: `{"c":[1,-2.5,1000],"p":true,"q":null}`,
		`f(a={"k": (1, "two"), 'e': {}})`:   `{"a":{"e":{},"k":[1,"two"]}}`,
		`f(a=("one" " text"), b=(1,))`:      `{"a":"one text","b":[1]}`,
		"f(a=\"\"\"two\nlines\"\"\")":       `{"a":"two\nlines"}`,
		`f(a="\u00e9\x41\t\\")`:             `{"a":"éA\t\\"}`,
		`f(a=1., b=.5, c=1e3, d=+4)`:        `{"a":1,"b":0.5,"c":1e3,"d":4}`,
		`f(a="$5 <now>")`:                   `{"a":"$5 <now>"}`,
	} {
		name, args, err := parseCall(statement, []string{"p", "q"})
		if err != nil || name != "f" || string(args) != want {
			t.Errorf("%s is %s%s, %v; want %s", statement, name, args, err, want)
		}
	}
	for _, statement := range []string{``, `f`, `f(`, `f(a=)`, `f(a=b)`, `f(a=g())`, `f(1, 2, 3)`, `f(a=1, a=2)`, `f(a="x)`, `f(a=1) or 2`, `f(a={1: 2})`, `f(a=__import__("os"))`, `f(a=` + strings.Repeat("[", 100), "f(a='x\ny')", `f(a="\xzz")`} {
		if _, args, err := parseCall(statement, []string{"p", "q"}); err == nil {
			t.Errorf("%s was read as %s", statement, args)
		}
	}
}

func FuzzParseCall(f *testing.F) {
	f.Add(`f(a="x", b=[1, {"k": None}])`)
	f.Add(`f('\u00e9', """x""")`)
	f.Fuzz(func(t *testing.T, s string) {
		if _, args, err := parseCall(s, []string{"p"}); err == nil && !json.Valid(args) {
			t.Fatalf("%q became %s", s, args)
		}
	})
}
