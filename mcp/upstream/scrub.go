package upstream

import (
	"cmp"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
)

const (
	redacted  = "[redacted]"
	minSecret = 4  // bytes; what is shorter is in every text
	maxDeep   = 64 // nesting of what is read besides results
)

// A scrubber takes secrets out of texts, in the forms in which servers give them back.
type scrubber struct{ replacer *strings.Replacer }

// newScrubber knows the secrets of all targets: what one server says may have come from
// another.
func newScrubber(targets map[string]Target) *scrubber {
	var forms []string
	for _, t := range targets {
		for _, s := range secretsOf(t) {
			forms = append(forms, formsOf(s)...)
		}
	}
	// Of forms that begin at one place the first given is replaced: the longest.
	slices.SortFunc(forms, func(a, b string) int { return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b)) })
	var pairs []string
	for _, f := range slices.Compact(forms) {
		pairs = append(pairs, f, redacted)
	}
	return &scrubber{strings.NewReplacer(pairs...)}
}

func secretsOf(t Target) []string {
	secrets := slices.Clone(t.Secrets)
	for _, v := range t.Env {
		secrets = append(secrets, v)
	}
	for _, v := range t.Headers {
		_, credentials, _ := strings.Cut(v, " ") // after a scheme such as Bearer
		secrets = append(secrets, v, credentials)
	}
	if u, err := url.Parse(t.URL); err == nil {
		password, _ := u.User.Password()
		secrets = append(secrets, u.User.Username(), password)
		for _, values := range u.Query() {
			secrets = append(secrets, values...)
		}
	}
	return slices.DeleteFunc(secrets, func(s string) bool { return len(s) < minSecret })
}

// formsOf are a secret as it is, in JSON, in URLs, in hexadecimal, and in base64 at each
// place where it may begin.
func formsOf(s string) []string {
	quoted, _ := json.Marshal(s) // a string always encodes
	asJSON := string(quoted[1 : len(quoted)-1])
	forms := []string{s, asJSON, strings.ReplaceAll(asJSON, "/", `\/`), url.QueryEscape(s), url.PathEscape(s), hex.EncodeToString([]byte(s))}
	for _, e := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		for before := range 3 {
			forms = append(forms, within(e, before, s))
		}
	}
	return slices.DeleteFunc(forms, func(f string) bool { return len(f) < minSecret })
}

// within is the part of a secret's base64 that does not depend on what stands around it,
// where so many bytes stand before it.
func within(e *base64.Encoding, before int, s string) string {
	whole := e.EncodeToString(append(make([]byte, before), s...))
	first := (before*8 + 5) / 6
	last := (before + len(s)) * 8 / 6
	return whole[first:last]
}

func (c *scrubber) text(s string) string { return c.replacer.Replace(s) }

// unmarshal reads JSON every text of which is passed through clean.
func unmarshal(raw json.RawMessage, v any, clean func(string) string) error {
	raw, err := rewrite(raw, maxDeep, clean)
	if err != nil {
		return err
	}
	return json.Unmarshal(raw, v)
}
