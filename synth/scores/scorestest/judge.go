// Package scorestest judges conversations by simple rules, as a model would that is asked to
// give scores: it looks at what it is shown and at nothing else.
package scorestest

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// A document is what any step is sent.
type document struct {
	Tools []struct {
		Name string `json:"name"`
	} `json:"tools"`
	Messages []message `json:"messages"`
	History  []message `json:"history"`
	Round    message   `json:"round"`
	First    int       `json:"first"`
	Judge    []int     `json:"judge"`
	Said     []string  `json:"user"`
	Answer   string    `json:"answer"`
	Expected string    `json:"expected"`
}

type message struct {
	Number int    `json:"number"`
	Role   string `json:"role"`
	Text   string `json:"text"`
	Calls  []struct {
		Call int    `json:"call"`
		Tool string `json:"tool"`
		Args string `json:"arguments"`
	} `json:"calls"`
	Of int `json:"result_of"`
}

// Judge answers a step of the scores; false if it is none.
func Judge(step string, text json.RawMessage) (reply string, ok bool) {
	var d document
	if json.Unmarshal(text, &d) != nil {
		return "", false
	}
	switch step {
	case "query":
		m := d.Messages[d.First-1]
		return two(d.understood(m), d.planned(d.Messages[:d.First-1], m)), true
	case "round":
		return two(d.rests(), d.planned(d.History, d.Round)), true
	case "calls":
		return d.calls(), true
	case "correlation":
		return one(d.correlates()), true
	case "summary":
		return one(d.true()), true
	}
	return "", false
}

func two(understanding, plan string) string {
	return fmt.Sprintf(`{"understanding":{"grade":%q,"reason":"by rule"},"plan":{"grade":%q,"reason":"by rule"}}`, understanding, plan)
}

func one(grade string) string { return fmt.Sprintf(`{"grade":%q,"reason":"by rule"}`, grade) }

// understood: a request that could be served is not turned down, one that is to be declined
// is not begun, and where something is missing it is asked for.
func (d *document) understood(m message) string {
	asks := strings.Contains(m.Text, "?") || strings.Contains(m.Text, "？")
	switch {
	case d.Expected == "decline":
		return which(len(m.Calls) == 0)
	case d.Expected == "clarify":
		return which(asks && len(m.Calls) == 0)
	case refuses(m.Text) || asks && len(m.Calls) == 0:
		return "none"
	}
	return "full"
}

func refuses(text string) bool { return strings.Contains(text, "I cannot") }

func which(good bool) string {
	if good {
		return "full"
	}
	return "none"
}

// planned: no tool that is not there, and no name or number in the arguments that nobody said.
func (d *document) planned(history []message, m message) string {
	for _, c := range m.Calls {
		if !slices.ContainsFunc(d.Tools, func(t struct {
			Name string `json:"name"`
		}) bool {
			return t.Name == c.Tool
		}) {
			return "none"
		}
		for _, value := range telling.FindAllString(c.Args, -1) {
			if !said(history, value) {
				return "none"
			}
		}
	}
	return "full"
}

// telling values are ids and numbers of several digits.
var telling = regexp.MustCompile(`[A-Za-z]*-?\d{2,}`)

func said(messages []message, value string) bool {
	return slices.ContainsFunc(messages, func(m message) bool { return strings.Contains(m.Text, value) })
}

// rests: a step does not pass over a failure as though it were a result.
func (d *document) rests() string {
	last := d.History[len(d.History)-1]
	if last.Role == "tool" && failed(last.Text) && len(d.Round.Calls) == 0 && !tellsOf(d.Round.Text, last.Text) {
		return "none"
	}
	return "full"
}

// tellsOf: the answer speaks of the failure, or quotes it.
func tellsOf(answer, failure string) bool {
	return strings.Contains(answer, "fail") || strings.Contains(answer, failure)
}

func failed(text string) bool {
	return strings.HasPrefix(text, "HTTP 5") || strings.HasPrefix(text, "error") || strings.Contains(text, "timed out")
}

func (d *document) calls() string {
	results := map[int]string{}
	for _, m := range d.Messages {
		if m.Role == "tool" {
			results[m.Of] = m.Text
		}
	}
	var all []string
	for _, n := range d.Judge {
		yes := "yes"
		if failed(results[n]) {
			yes = "no"
		}
		need := "yes"
		if strings.Contains(results[n], "irrelevant") {
			need = "no"
		}
		all = append(all, fmt.Sprintf(`{"call":%d,"necessary":%q,"succeeded":%q,"reason":"by rule"}`, n, need, yes))
	}
	return `{"calls":[` + strings.Join(all, ",") + `]}`
}

// correlates: it answers and does not turn down what it could do.
func (d *document) correlates() string {
	if d.Expected == "decline" {
		return which(refuses(d.Answer))
	}
	return which(!refuses(d.Answer) && !strings.Contains(d.Answer, "You could"))
}

// true: every id and number of the answer was said by a tool or a user, and what failed in
// the end is not passed over.
func (d *document) true() string {
	last := d.Messages[len(d.Messages)-1]
	if n := len(d.Messages) - 2; n >= 0 && d.Messages[n].Role == "tool" && failed(d.Messages[n].Text) && !tellsOf(last.Text, d.Messages[n].Text) {
		return "none"
	}
	for _, value := range telling.FindAllString(last.Text, -1) {
		if !said(d.Messages[:len(d.Messages)-1], value) {
			return "none"
		}
	}
	return "full"
}
