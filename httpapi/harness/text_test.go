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

func TestFromPython(t *testing.T) {
	for text, want := range map[string]string{
		`{"n":NaN}`:                  `{"n":"NaN"}`,
		`[-Infinity, Infinity]`:      `["-Infinity", "Infinity"]`,
		`{"NaN":"\\\"NaN", "n":NaN}`: `{"NaN":"\\\"NaN", "n":"NaN"}`,
	} {
		if got := string(harness.FromPython([]byte(text))); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
	for _, same := range []string{`{"n":1}`, `{"n":"NaN"}`, `{"n":-NaN}`, `{"n":1NaN}`, `{NaN:1}`, `{"n":NaN`, `{"n":"NaN}`, `{"n":nan}`, "",
		strings.Repeat("[", 1<<20), strings.Repeat(`"\`, 1<<16), strings.Repeat("NaN", 100_000), `"` + strings.Repeat(`NaN\"`, 200_000)} {
		if got := string(harness.FromPython([]byte(same))); got != same {
			t.Errorf("%.40s became %.40s", same, got)
		}
	}
}
