package upstream

import (
	"encoding/base64"
	"strings"
	"testing"
)

func TestScrub(t *testing.T) {
	c := newScrubber(map[string]Target{
		"a": {Env: map[string]string{"KEY": "pa/ss\"wörd", "SHORT": "abc"}, Secrets: []string{"spelled-out"}},
		"b": {URL: "https://someone:hidden!@example.com/mcp?key=query-secret", Headers: map[string]string{"Authorization": "Bearer tok-tok", "X-Key": "tok-tok-longer"}},
	})
	for _, secret := range []string{
		`pa/ss"wörd`, `pa/ss\"wörd`, `pa\/ss\"wörd`, "pa%2Fss%22w%C3%B6rd", "spelled-out", "someone", "hidden!", "query-secret", "Bearer tok-tok", "tok-tok", "tok-tok-longer",
		"70612f73732277c3b67264",
	} {
		if got := c.text("a " + secret + " z"); got != "a [redacted] z" {
			t.Errorf("%s: %s", secret, got)
		}
	}
	for before := range 4 {
		for after := range 4 {
			whole := strings.Repeat("<", before) + `pa/ss"wörd` + strings.Repeat(">", after)
			for _, e := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
				got := c.text(e.EncodeToString([]byte(whole)))
				if !strings.Contains(got, redacted) || len(got)-len(redacted) > (before+after+4)*4/3+6 {
					t.Errorf("%q in base64: %s", whole, got)
				}
			}
		}
	}
	if got := c.text("abc, token, and nothing else"); got != "abc, token, and nothing else" {
		t.Error(got)
	}
}
