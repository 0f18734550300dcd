package scores

import (
	"regexp"
	"slices"
	"strings"
)

// A link has the characters of a URL and no others: in Chinese a text goes on without a space.
// Brackets and quotes are left out, since they are around links more often than in them.
var link = regexp.MustCompile(`(?i:https?)://[A-Za-z0-9._~:/?#@!$&*+,;=%-]+`)

// after ends sentences, lists and Markdown's emphasis, and no link.
const after = ".,;:!?*_~/"

// goesOn tells what is the rest of a longer link. What comes after / ? and # may be left out:
// to name a site is not to make up a page.
var goesOn = regexp.MustCompile(`^[.,;:!*_~]*[A-Za-z0-9%=&+@$-]`)

// written undoes what encoders make of links in JSON and HTML.
var written = strings.NewReplacer(`\/`, `/`, `\u0026`, `&`, `&amp;`, `&`)

// madeUp is a link of the answer that nobody told the assistant; "" if there is none.
func (b *bench) madeUp(answer string) string {
	var told []string
	for _, found := range link.FindAllString(written.Replace(answer), -1) {
		if found = strings.TrimRight(found, after); told == nil {
			told = b.told()
		}
		if !slices.ContainsFunc(told, func(text string) bool { return hasLink(text, found) }) {
			return found
		}
	}
	return ""
}

// told are the texts that a link may come from: what others said, the documents of tools, and
// the arguments of calls that went well. What the assistant said before proves nothing.
func (b *bench) told() []string {
	all := []string{""}
	for _, m := range b.in.Chat {
		if m.Role != "assistant" {
			all = append(all, written.Replace(m.Content))
		}
	}
	for _, t := range b.in.Tools {
		all = append(all, written.Replace(t.Function.Description))
	}
	for _, c := range b.calls {
		if c.step == nil || c.step.OK {
			all = append(all, written.Replace(c.args))
		}
	}
	return all
}

// hasLink reports whether a text has a link, and not only the beginning of another.
func hasLink(text, link string) bool {
	for {
		_, rest, found := strings.Cut(text, link)
		if !found || !goesOn.MatchString(rest) {
			return found
		}
		text = rest
	}
}
