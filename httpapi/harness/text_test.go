package harness_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/astra-arenas/astra/httpapi/harness"
)

func TestClip(t *testing.T) {
	for _, s := range []string{"", "short", strings.Repeat("é", harness.MaxText), "x" + strings.Repeat("é", harness.MaxText)} {
		got := harness.Clip(s)
		if len(got) > harness.MaxText || !utf8.ValidString(got) || !strings.HasPrefix(s, got) || len(got) < min(len(s), harness.MaxText-1) {
			t.Errorf("of %d bytes: %d", len(s), len(got))
		}
	}
}

func TestReadByPython(t *testing.T) {
	for text, want := range map[string]bool{
		`{"n":NaN}`:                    true,
		`[-Infinity, Infinity]`:        true,
		`{"NaN":"\\\"NaN", "n":NaN}`:   true,
		`{"n":1}`:                      false, // is JSON
		`{"n":"NaN"}`:                  false,
		`{"n":-NaN}`:                   false,
		`{"n":1NaN}`:                   false,
		`{"n":NaN`:                     false,
		`{"n":"NaN}`:                   false,
		strings.Repeat("[", 1<<20):     false,
		strings.Repeat(`"\`, 1<<16):    false,
		strings.Repeat("NaN", 100_000): false,
	} {
		if got := harness.ReadByPython([]byte(text)); got != want {
			t.Errorf("%.40s: %v", text, got)
		}
	}
}
