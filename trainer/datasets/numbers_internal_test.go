package datasets

import (
	"bufio"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

func TestSpell(t *testing.T) {
	for _, tt := range []struct{ in, spelled, checked string }{
		{`{"a":0.5,"b":[1,-2,"0.7"]}`, `{"a":0.5,"b":[1,-2,"0.7"]}`, `{"a":0.5,"b":[1,-2,"0.7"]}`},
		{`0.7`, `0.700000`, ``},
		{`1.5e3`, `1500.0`, `1.5e3`},
		{`-0.0`, `-0.0`, `-0.0`},
		{`1e-12`, `0.000000000001`, ``},
		{`1e-20`, ``, ``},
		{`0.6933333333333334`, ``, ``},
		{`18446744073709551615`, `18446744073709551615`, `18446744073709551615`},
		{`18446744073709551616`, ``, ``},
		{`1e300`, ``, ``},
		{`1e999`, ``, ``},
		{`"a \" 0.7 \\"`, `"a \" 0.7 \\"`, `"a \" 0.7 \\"`},
	} {
		if got, err := spell(tt.in); got != tt.spelled || (err != nil) != (tt.spelled == "") {
			t.Errorf("spell(%s) = %s, %v; want %s", tt.in, got, err, tt.spelled)
		}
		if got, err := check(tt.in); got != tt.checked || (err != nil) != (tt.checked == "") {
			t.Errorf("check(%s) = %s, %v; want %s", tt.in, got, err, tt.checked)
		}
	}
}

func TestHalfCharacter(t *testing.T) {
	for text, want := range map[string]bool{
		`"\ud83d\ude00"`: false, `"\ud83d"`: true, `"\ud83dx"`: true, `"\ude00\ud83d"`: true, `"\\ud83d"`: false,
		`"\u00e9\uD83D\uDE00"`: false, `"\ud83d\n"`: true, `"\ud83d\u0041"`: true, `"é😀"`: false,
	} {
		if got := halfCharacter([]byte(text)); got != want {
			t.Errorf("halfCharacter(%s) = %v", text, got)
		}
	}
}

// The parser that the datasets package uses reads decimals as ujsonFloat says.
func TestUJSONFloat(t *testing.T) {
	python, err := filepath.Abs("../../.venv-datasets/bin/python")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(python); err != nil {
		t.Skip("the datasets package and its kind are not there: make peers")
	}
	dice := rand.New(rand.NewPCG(1, 1))
	var literals []string
	for range 20_000 {
		literals = append(literals, strconv.FormatFloat(dice.NormFloat64()*math.Pow(10, float64(dice.IntN(9))), 'f', dice.IntN(19), 64))
	}
	cmd := exec.CommandContext(t.Context(), python, "-c", `
import sys
from datasets.utils.json import ujson_loads
for line in sys.stdin: print(float(ujson_loads(line.strip())).hex())`)
	cmd.Stdin = strings.NewReader(strings.Join(literals, "\n"))
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	lines, exact := bufio.NewScanner(strings.NewReader(string(out))), 0
	for i := 0; lines.Scan(); i++ {
		want, err := strconv.ParseFloat(goHex(lines.Text()), 64)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := ujsonFloat(literals[i]); !ok || got != want {
			t.Fatalf("%s is read as %v, and we say %v", literals[i], want, got)
		}
		exact++
	}
	if exact != len(literals) {
		t.Errorf("%d of %d literals were read", exact, len(literals))
	}
}

// goHex has the exponent that Go asks for.
func goHex(s string) string {
	if strings.Contains(s, "p") {
		return s
	}
	return fmt.Sprint(s, "p0")
}
