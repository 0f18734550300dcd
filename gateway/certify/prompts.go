package certify

import (
	"context"
	"regexp"
	"strings"
	"unicode"
)

// prompts holds a task's prompts to two rules.
//
// They name no tool of the arena and no distractor. An identifier is a name wherever it
// stands alone, unless it is one plain word (search, convert): that one is looked for in
// backquotes and before "(" alone. Of names of three words and more, their words one after
// the other are a name, too: nobody says "get country currency" by chance, and everybody
// says "list orders".
//
// They keep one language, English or Chinese. Counted are Han characters and words in
// small Latin letters, a word as two, outside of quotation marks; names in capitals,
// identifiers and numbers say nothing. A prompt is in the language of most of it; less
// than a quarter may be in the other, and all prompts of a task are in the same.
func prompts(_ context.Context, t *trial, out *tally) error {
	first := ""
	for i, turn := range t.task.Turns {
		out.add("prompts", 1)
		if name := t.named(turn.Prompt); name != "" {
			f := t.finding("the prompt of turn %d names the tool %s; ask as somebody would who does not know the tools", i+1, name)
			f.Tool = name
			out.find(f)
		}
		lang, mixed := language(turn.Prompt)
		out.add(lang, 1)
		switch {
		case mixed:
			out.find(t.finding("the prompt of turn %d mixes English and Chinese; put what is quoted in quotation marks, or translate it", i+1))
		case lang != "other" && first != "" && lang != first:
			out.find(t.finding("the prompt of turn %d is in %s and an earlier one in %s; keep one language in a task", i+1, lang, first))
		case first == "" && lang != "other":
			first = lang
		}
	}
	return nil
}

var identifier = regexp.MustCompile(`[A-Za-z_][A-Za-z0-9_]*`)

func (t *trial) named(prompt string) string {
	var all []string
	for i := range t.in.arena.Tools {
		all = append(all, t.in.arena.Tools[i].Name)
	}
	for _, d := range t.task.Distractors {
		_, tool, _ := strings.Cut(d, "/")
		all = append(all, tool)
	}
	alone := map[string]bool{}
	for _, id := range identifier.FindAllString(prompt, -1) {
		alone[id] = true
	}
	said := words(prompt)
	for _, name := range all {
		parts := partsOf(name)
		switch {
		case len(parts) == 1 && (strings.Contains(prompt, "`"+name+"`") || strings.Contains(prompt, name+"(")):
			return name
		case len(parts) > 1 && alone[name], len(parts) > 2 && within(parts, said):
			return name
		}
	}
	return ""
}

// partsOf splits a name at underscores and where small letters are followed by a capital.
func partsOf(name string) []string {
	var b strings.Builder
	small := false
	for _, r := range name {
		if r == '_' || small && unicode.IsUpper(r) {
			b.WriteByte(' ')
		}
		if r != '_' {
			b.WriteRune(unicode.ToLower(r))
		}
		small = unicode.IsLower(r) || unicode.IsDigit(r)
	}
	return strings.Fields(b.String())
}

var (
	quoted    = regexp.MustCompile("“[^”]*”|「[^」]*」|『[^』]*』|《[^》]*》|\"[^\"]*\"|`[^`]*`|‘[^’]*’|\\B'[^']*'\\B")
	smallWord = regexp.MustCompile(`(^|[^\pL\pN_])\p{Ll}{2,}`)
)

// A word of small Latin letters weighs as much as two Han characters.
const wordWeight = 2

func language(prompt string) (lang string, mixed bool) {
	text := quoted.ReplaceAllString(prompt, " ")
	zh, en := 0, 0
	for _, r := range text {
		if unicode.Is(unicode.Han, r) {
			zh++
		}
	}
	for _, w := range smallWord.FindAllString(text, -1) {
		if last := w[len(w)-1]; last < 0x80 {
			en += wordWeight
		}
	}
	switch {
	case zh+en == 0:
		return "other", false
	case zh > en:
		return "zh", 4*en >= zh+en
	}
	return "en", 4*zh >= zh+en
}
