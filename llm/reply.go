package llm

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/astra-arenas/astra"
)

// What a model may say.
const (
	maxReply   = 2 * astra.MaxResult // bytes: a result may be escaped, and stands beside a patch
	maxFailure = 2000                // bytes of an error
)

// A tooMuch is an answer beyond a limit: a breach, which no second attempt would mend.
type tooMuch struct {
	what string
	most int64
	unit string
}

func (e *tooMuch) Error() string {
	return fmt.Sprintf("%s limit: more than %d %s", e.what, e.most, e.unit)
}

// An answer is what a model made of a call.
type answer struct {
	value   json.RawMessage // compact; nil if it failed
	failure string          // "" if it did not
	memory  patch
}

// result is the answer as a step keeps it.
func (a *answer) result(model string) (astra.Result, error) {
	r := astra.Result{Value: a.value}
	if a.value == nil {
		r = astra.Failed(astra.FaultTool, a.failure)
	}
	var err error
	r.Log, err = a.memory.line(model)
	return r, err
}

// readReply reads what the model said about a call of the tool. An error is for the model to
// read, or a *tooMuch.
func readReply(tool *astra.Tool, l astra.Limits, text string) (*answer, error) {
	parts, err := readParts(text)
	if err != nil {
		return nil, err
	}
	a := new(answer)
	if parts.memory == nil {
		return nil, errors.New(`"memory" is missing: say what changed, or {}`)
	}
	if a.memory, err = readPatch(parts.memory); err != nil {
		return nil, err
	}
	if parts.failure != nil {
		a.failure, err = readFailure(parts)
		return a, err
	}
	if parts.result == nil {
		return nil, errors.New(`there is neither "result" nor "error": give one`)
	}
	a.value, err = readValue(tool, l, parts.result)
	return a, err
}

// readFailure wants an error's text. A null beside it is how some models leave the result out.
func readFailure(p *replyParts) (string, error) {
	var s string
	if err := json.Unmarshal(p.failure, &s); err != nil || strings.TrimSpace(s) == "" {
		return "", errors.New(`"error" must be text that says what is wrong with the call`)
	}
	if p.result != nil && string(p.result) != "null" {
		return "", errors.New(`there are both "result" and "error": give one`)
	}
	if len(s) > maxFailure {
		s = strings.ToValidUTF8(s[:maxFailure], "")
	}
	return s, nil
}

// readValue holds a result to the arena's limits and the tool's schema.
func readValue(tool *astra.Tool, l astra.Limits, raw json.RawMessage) (json.RawMessage, error) {
	var b bytes.Buffer
	if err := json.Compact(&b, raw); err != nil {
		return nil, err
	}
	if int64(b.Len()) > l.Result {
		return nil, &tooMuch{"result", l.Result, "bytes"}
	}
	if nesting(b.Bytes()) > l.Depth {
		return nil, &tooMuch{"nesting", int64(l.Depth), "levels"}
	}
	if err := tool.CheckResult(b.Bytes()); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// nesting is how deep valid JSON goes.
func nesting(b []byte) int {
	depth, deepest, quoted := 0, 0, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			depth++
			deepest = max(deepest, depth)
		case c == '}' || c == ']':
			depth--
		}
	}
	return deepest
}

// replyParts are a reply's members as written; nil where there is none.
type replyParts struct{ result, failure, memory json.RawMessage }

// readParts takes a reply apart: exactly one JSON object of known keys, alone or in a fence.
func readParts(text string) (*replyParts, error) {
	text = unfenced(text)
	if len(text) > maxReply {
		return nil, &tooMuch{"answer", maxReply, "bytes"}
	}
	if !utf8.ValidString(text) {
		return nil, errors.New("the answer is not UTF-8")
	}
	p := new(replyParts)
	d := json.NewDecoder(strings.NewReader(text))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("the answer must be one JSON object and nothing else")
	}
	for d.More() {
		if err := p.member(d); err != nil {
			return nil, err
		}
	}
	if _, err := d.Token(); err != nil {
		return nil, fmt.Errorf("the answer is not JSON: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("the answer must be one JSON object and nothing else")
	}
	if s := string(p.failure); s == "null" || s == `""` { // how some models leave it out
		p.failure = nil
	}
	return p, nil
}

func (p *replyParts) member(d *json.Decoder) error {
	key, err := d.Token()
	if err != nil {
		return fmt.Errorf("the answer is not JSON: %w", err)
	}
	var at *json.RawMessage
	switch key {
	case "result":
		at = &p.result
	case "error":
		at = &p.failure
	case "memory":
		at = &p.memory
	default:
		return fmt.Errorf(`the answer has the key %.60q: only "result", "error" and "memory" are read`, key)
	}
	if *at != nil {
		return fmt.Errorf("%q comes twice", key)
	}
	if err := d.Decode(at); err != nil {
		return fmt.Errorf("the answer is not JSON: %w", err)
	}
	return nil
}

// unfenced takes an answer out of the Markdown that many models put around code.
func unfenced(text string) string {
	text = strings.TrimSpace(text)
	if body, ok := strings.CutPrefix(text, "```"); ok {
		if first, rest, ok := strings.Cut(body, "\n"); ok && strings.TrimSpace(first) != "{" {
			if rest, ok := strings.CutSuffix(strings.TrimSpace(rest), "```"); ok {
				return strings.TrimSpace(rest)
			}
		}
	}
	return text
}
