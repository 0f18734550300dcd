package questions

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/synth"
)

// A Mode says what an instance is made from.
type Mode string

// The modes (ASTRA §2.2.1).
const (
	FromDomain   Mode = "domain"   // a domain's name alone
	FromCorpus   Mode = "corpus"   // knowledge about a domain
	FromQuestion Mode = "question" // a main question, which is kept as it is
	FromTaxonomy Mode = "taxonomy" // an intent with examples
	FromTools    Mode = "tools"    // the tools of an arena that there is already
)

// A Source is what instances are made from.
type Source struct {
	Mode        Mode           `json:"mode"`
	Language    synth.Language `json:"language"`
	Domain      string         `json:"domain,omitempty"`
	Corpus      string         `json:"corpus,omitempty"`
	Question    string         `json:"question,omitempty"`
	Path        []string       `json:"path,omitempty"` // in the taxonomy
	Description string         `json:"description,omitempty"`
	Examples    []string       `json:"examples,omitempty"`
	Arena       *astra.Arena   `json:"-"`               // of the mode tools
	Digest      astra.Digest   `json:"arena,omitempty"` // the arena's
}

// key names a source by its content.
func (s *Source) key() string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err) // it is made of text
	}
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:16])
}

// What a file of sources may hold.
const (
	maxLine     = 1 << 20
	maxTaxonomy = 16 << 20
	maxLevels   = 32
)

// ReadSources reads a line each of JSON objects: {"question", "domain"} asks for the
// decomposition of a question, {"domain", "knowledge_corpus"} for questions about a corpus,
// or, where it is empty, about a domain. Other keys are passed over. An empty language is
// told from the text. An error has the line's number, and is yielded last.
func ReadSources(r io.Reader, language synth.Language) iter.Seq2[Source, error] {
	return func(yield func(Source, error) bool) {
		lines := bufio.NewScanner(r)
		lines.Buffer(nil, maxLine)
		n := 0
		for lines.Scan() {
			n++
			line := bytes.TrimSpace(lines.Bytes())
			if len(line) == 0 {
				continue
			}
			s, err := readSource(line, language)
			if err != nil {
				yield(Source{}, fmt.Errorf("line %d: %w", n, err))
				return
			}
			if !yield(s, nil) {
				return
			}
		}
		if err := lines.Err(); err != nil {
			yield(Source{}, fmt.Errorf("line %d: %w: a line may have %d bytes", n+1, err, maxLine))
		}
	}
}

func readSource(line []byte, language synth.Language) (Source, error) {
	var in struct {
		Question string `json:"question"`
		Domain   string `json:"domain"`
		Corpus   string `json:"knowledge_corpus"`
	}
	if !utf8.Valid(line) {
		return Source{}, fmt.Errorf("not UTF-8")
	}
	if err := json.Unmarshal(line, &in); err != nil {
		return Source{}, fmt.Errorf("want a JSON object such as {\"question\": …, \"domain\": …}: %w", err)
	}
	s := Source{Domain: strings.TrimSpace(in.Domain), Question: strings.TrimSpace(in.Question), Corpus: strings.TrimSpace(in.Corpus)}
	switch {
	case s.Question != "":
		s.Mode, s.Corpus = FromQuestion, ""
	case s.Corpus != "":
		s.Mode = FromCorpus
	case s.Domain != "":
		s.Mode = FromDomain
	default:
		return Source{}, fmt.Errorf("there is no question, domain or knowledge_corpus in it")
	}
	s.Language = languageOf(language, s.Question+s.Corpus+s.Domain)
	return s, nil
}

// languageOf is the language given, else the one that a text looks to be in.
func languageOf(given synth.Language, text string) synth.Language {
	if given != "" {
		return given
	}
	if hasHan(text) {
		return synth.Chinese
	}
	return synth.English
}

func hasHan(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return unicode.Is(unicode.Han, r) })
}

// ReadTaxonomy reads a nested JSON object whose leaves are {"description", "examples":
// [{"query"}]}. The sources come in the order of the file.
func ReadTaxonomy(r io.Reader, language synth.Language) ([]Source, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxTaxonomy+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("taxonomy: %w", err)
	case len(b) > maxTaxonomy:
		return nil, fmt.Errorf("taxonomy: more than %d bytes: split it", maxTaxonomy)
	case !json.Valid(b):
		return nil, fmt.Errorf("taxonomy: it is no JSON")
	}
	t := taxonomist{language: language}
	if err := t.walk(b, nil); err != nil {
		return nil, fmt.Errorf("taxonomy: %w", err)
	}
	if len(t.found) == 0 {
		return nil, fmt.Errorf(`taxonomy: no leaf with a "description" or "examples" in it`)
	}
	return t.found, nil
}

type taxonomist struct {
	language synth.Language
	found    []Source
}

func (t *taxonomist) walk(b []byte, path []string) error {
	if len(path) > maxLevels {
		return fmt.Errorf("%.80q: more than %d levels", strings.Join(path[:3], "/"), maxLevels)
	}
	if leaf, ok := readLeaf(b); ok {
		if len(path) == 0 {
			return fmt.Errorf("the whole file is one leaf: put it under a name")
		}
		leaf.Mode, leaf.Path, leaf.Domain = FromTaxonomy, append([]string(nil), path...), path[0]
		leaf.Language = languageOf(t.language, leaf.Description+strings.Join(append(leaf.Path, leaf.Examples...), ""))
		t.found = append(t.found, leaf)
		return nil
	}
	return members(b, func(key string, value json.RawMessage) error { return t.walk(value, append(path, key)) }, path)
}

// readLeaf reports whether an object is a leaf: its keys are description and examples.
func readLeaf(b []byte) (Source, bool) {
	var leaf struct {
		Description *string `json:"description"`
		Examples    []struct {
			Query string `json:"query"`
		} `json:"examples"`
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if d.Decode(&leaf) != nil || leaf.Description == nil && leaf.Examples == nil {
		return Source{}, false
	}
	var s Source
	if leaf.Description != nil {
		s.Description = *leaf.Description
	}
	for _, e := range leaf.Examples {
		if q := strings.TrimSpace(e.Query); q != "" {
			s.Examples = append(s.Examples, q)
		}
	}
	return s, true
}

// members calls f with what an object holds, in its order.
func members(b []byte, f func(string, json.RawMessage) error, path []string) error {
	d := json.NewDecoder(bytes.NewReader(b))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return fmt.Errorf(`%.80q: want an object of intents, or a leaf {"description", "examples"}`, strings.Join(path, "/"))
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return err
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return err
		}
		if err := f(fmt.Sprint(key), value); err != nil {
			return err
		}
	}
	return nil
}

// ToolsOf is an arena's tools as a source. The arena stays as it is: new tasks are added.
func ToolsOf(a *astra.Arena, language synth.Language) Source {
	return Source{Mode: FromTools, Language: languageOf(language, a.Title+a.Description), Domain: a.Domain, Arena: a, Digest: a.Digest}
}
