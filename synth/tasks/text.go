package tasks

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"regexp"
	"strings"
	"unicode"

	"github.com/astra-arenas/astra/synth"
	"github.com/astra-arenas/astra/synth/ask"
	"github.com/astra-arenas/astra/synth/servers"
)

// What a request may have.
const (
	leastText = 12   // bytes
	mostText  = 4000 // bytes
)

// A shownTool is a tool as the model is shown it.
type shownTool struct {
	Name        string          `json:"name"`
	Description string          `json:"description"`
	Input       json.RawMessage `json:"input,omitempty"`
	Output      json.RawMessage `json:"output,omitempty"`
}

// What a prompt has of tools: schemas that are longer are left out of it, and all of them
// where they would be too much together.
const (
	mostShown     = 4 << 10  // bytes of a schema
	mostOfSchemas = 64 << 10 // bytes of all
	mostOfText    = 1200     // bytes of a description
	mostOfName    = 64       // bytes of a tool's name, as the root has it
)

func showTool(t *servers.Tool, schemas bool) shownTool {
	shown := shownTool{Name: t.Name, Description: ask.Clip(t.Description, mostOfText)}
	if schemas && len(t.Input) <= mostShown {
		shown.Input = t.Input
	}
	if schemas && len(t.Output) <= mostShown {
		shown.Output = t.Output
	}
	return shown
}

// showTools shows all of a server's tools. Of many each has less of a description.
func showTools(s *servers.Server, schemas bool) (all []shownTool) {
	size := 0
	for i := range s.Tools {
		size += min(len(s.Tools[i].Input), mostShown) + min(len(s.Tools[i].Output), mostShown)
	}
	schemas = schemas && size <= mostOfSchemas
	for i := range s.Tools {
		shown := showTool(&s.Tools[i], schemas)
		shown.Description = ask.Clip(shown.Description, max(mostOfSchemas/len(s.Tools), mostOfName))
		all = append(all, shown)
	}
	return all
}

// checkText holds what a user says to the rules: its length, its language, and no tool's
// name in it.
func checkText(b *book, names []string, language synth.Language, what, text string) error {
	text = strings.TrimSpace(text)
	switch {
	case len(text) < leastText || len(text) > mostText:
		return ask.Misread("length", "%q has %d bytes: want %d to %d", what, len(text), leastText, mostText)
	case garbled(text):
		return ask.Misread("text", "%q has no letters, or characters that are no text", what)
	case !speaks(text, language):
		return ask.Misread("language", "%q is not in the language %s", what, language)
	}
	for _, name := range names {
		for i := range b.byName[name].Tools {
			t := &b.byName[name].Tools[i]
			if told := named(text, t.Name, t.Original); told != "" {
				return ask.Misread("tool name", "%q names the tool %s: a user does not know of it", what, told)
			}
		}
	}
	return nil
}

// garbled reports a text that is none. Without a letter it would be like no other for
// neardup, and could come twice.
func garbled(s string) bool {
	return !strings.ContainsFunc(s, unicode.IsLetter) || ask.Garbled(s)
}

var latinWord = regexp.MustCompile(`[A-Za-z]{2,}`)

// speaks reports whether a text is in a language. A Chinese one may have names and codes in
// ours, but one that has a Chinese name is not Chinese for it.
func speaks(text string, language synth.Language) bool {
	han := 0
	for _, r := range text {
		if unicode.Is(unicode.Han, r) {
			han++
		}
	}
	if language != synth.Chinese {
		return han == 0
	}
	return han > 0 && 3*han >= len(latinWord.FindAllString(text, -1))
}

// named is the first of these names that a text has as a name. A name of plain words, such
// as search or "list pets", is one only where the text calls it a tool.
func named(text string, names ...string) string {
	lower := strings.ToLower(text)
	for _, name := range names {
		switch {
		case name == "":
		case plainWords.MatchString(name):
			if calledTool(lower, strings.ToLower(name)) {
				return name
			}
		case wordIn(lower, strings.ToLower(name)):
			return name
		}
	}
	return ""
}

var plainWords = regexp.MustCompile(`^([a-z]+|[A-Z][a-z]*)( [A-Za-z]+)*$`)

// calledTool reports whether a word stands beside what makes it a tool's name.
func calledTool(text, word string) bool {
	for _, form := range []string{"`" + word + "`", word + "()", word + " tool", word + " function", "tool " + word, "function " + word, word + " 工具", word + "工具", "工具" + word} {
		if wordIn(text, form) {
			return true
		}
	}
	return false
}

// wordIn reports whether part stands in text with no letter, digit or _ on either side.
func wordIn(text, part string) bool {
	for from := 0; ; {
		i := strings.Index(text[from:], part)
		if i < 0 {
			return false
		}
		i += from
		before, after := text[:i], text[i+len(part):]
		if !endsInWord(before) && !beginsWord(after) {
			return true
		}
		from = i + 1
	}
}

func asciiWord(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

func endsInWord(s string) bool { return s != "" && asciiWord(s[len(s)-1]) }
func beginsWord(s string) bool { return s != "" && asciiWord(s[0]) }

// brief is enough of a digest to name a few million things apart.
func brief(s string) string {
	h := sha256.Sum256([]byte(s))
	return hex.EncodeToString(h[:8])
}
