package certify

import (
	"context"
	"encoding/json"
	"unicode/utf8"

	"github.com/astra-arenas/astra"
)

// A document is a text that an agent reads before it does anything.
type document struct {
	place string // for a finding: "the description of find_item"
	tool  string
	words []string
}

// documentsOf are a tool's texts: title, description, and every string and number in its
// schemas, under whatever keyword it stands (description, enum, const, default, examples).
// Keywords that bound or build values are not told apart from what they say.
func documentsOf(t *astra.Tool) []document {
	docs := []document{{"its title", t.Name, words(t.Title)}, {"its description", t.Name, words(t.Description)}}
	for _, schema := range []struct {
		place string
		raw   json.RawMessage
	}{{"its input schema", t.Input}, {"its output schema", t.Output}} {
		if len(schema.raw) == 0 {
			continue
		}
		leaves(decode(schema.raw), "", func(key string, leaf any) {
			if text := plain(leaf); key != "type" && key != "format" && key != "pattern" && key != "$ref" && key != "$schema" {
				docs = append(docs, document{schema.place + " (" + key + ")", t.Name, words(text)})
			}
		})
	}
	return docs
}

// leaks looks for every answer of a task, its own and its sub-tasks', in the documents of
// all tools of the arena and in the task's prompts. An answer stands in a text if its words
// stand there one after the other (see words); a list or an object does if all its leaves
// that are not trivial do, in one text.
//
// Trivial answers stand everywhere and are only counted: true, false, null, whole numbers
// below 100, and text of less than three letters (two if they are Chinese).
func leaks(_ context.Context, t *trial, out *tally) error {
	docs := t.in.documents
	var prompts []string
	for _, turn := range t.task.Turns {
		prompts = append(prompts, words(turn.Prompt)...)
		prompts = append(prompts, "\n")
	}
	prompt := document{place: "the prompt", words: prompts}
	leak := func(subtask string, raw json.RawMessage) {
		phrases := phrasesOf(raw)
		out.add("answers", 1)
		if len(phrases) == 0 {
			out.add("trivial", 1)
			return
		}
		for _, d := range append(docs[:len(docs):len(docs)], prompt) {
			if allWithin(phrases, d.words) {
				f := t.finding("the answer %s stands in %s; ask for something that must be found out, or say it otherwise there", quote(raw), d.place)
				f.Tool, f.Subtask = d.tool, subtask
				out.find(f)
				return
			}
		}
	}
	if a := t.task.Answer; a != nil && a.Expected != nil {
		leak("", a.Expected)
	}
	for i := range t.task.Subtasks {
		if s := &t.task.Subtasks[i]; s.Answer != nil {
			leak(s.ID, s.Answer)
		}
	}
	return nil
}

// phrasesOf are the words of each leaf of an answer that is not trivial.
func phrasesOf(raw json.RawMessage) [][]string {
	var list [][]string
	leaves(decode(raw), "", func(_ string, leaf any) {
		if !trivial(leaf) {
			list = append(list, words(plain(leaf)))
		}
	})
	return list
}

func trivial(leaf any) bool {
	switch v := leaf.(type) {
	case json.Number:
		return fewValued(json.RawMessage(v))
	case string:
		n, wide := utf8.RuneCountInString(v), len(v) > utf8.RuneCountInString(v)
		if w := words(v); len(w) == 1 && isDigit(w[0][0]) && fewValued(json.RawMessage(w[0])) {
			return true
		}
		return n < 2 || n < 3 && !wide
	}
	return true
}

func allWithin(phrases [][]string, text []string) bool {
	for _, p := range phrases {
		if !within(p, text) {
			return false
		}
	}
	return true
}
