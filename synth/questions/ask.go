package questions

import (
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/astra-arenas/astra/llm"
	"github.com/astra-arenas/astra/synth"
)

//go:embed prompts
var prompts embed.FS

//go:embed schemas
var schemas embed.FS

// A question is one thing that the model is asked.
type question struct {
	step     string // what the prompt and the schema are called
	language synth.Language
	place    []any // in the seed tree
	document any   // marshals to an object
}

// A miss is a question that brought nothing. Either the model was understood, and what it
// said will not do; or it was not, and nothing is known.
type miss struct {
	reason, detail string
	understood     bool
}

func unknown(reason, detail string) *miss { return &miss{reason: reason, detail: detail} }

// Reasons why a reply says nothing; all others are about what it says.
const (
	noJSON    = "no JSON"
	cutShort  = "cut"
	noVerdict = "no verdict"
)

// errMisread is an answer that cannot be taken, with what to tell the model.
type errMisread struct{ reason, text string }

func (e *errMisread) Error() string { return e.text }

func misread(reason, format string, args ...any) error {
	return &errMisread{reason, fmt.Sprintf(format, args...)}
}

// ask asks, reads the reply into T and holds it to check, whose errors are for the model to
// read. A reply that cannot be taken is sent back once. The error is trouble: the model
// could not be asked.
func ask[T any](ctx context.Context, a *Author, spent *Spent, q question, check func(*T) error) (*T, *miss, error) {
	r, err := a.request(q)
	if err != nil {
		return nil, nil, err
	}
	var wrong error
	for range 2 {
		spent.Calls++
		reply, err := a.model.Complete(ctx, r)
		if errors.Is(err, llm.ErrRequest) {
			return nil, unknown(q.step+": refused by the server", err.Error()), nil
		}
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", q.step, err)
		}
		spent.Usage.Add(reply.Usage)
		var read T
		if wrong = readReply(reply, &read); wrong == nil {
			wrong = check(&read)
		}
		if wrong == nil {
			return &read, nil, nil
		}
		r = sendBack(r, reply.Text, wrong, q.language)
		spent.Repairs++
	}
	spent.Repairs--
	reason := noJSON
	if m, ok := errors.AsType[*errMisread](wrong); ok {
		reason = m.reason
	}
	return nil, &miss{q.step + ": " + reason, wrong.Error(), reason != noJSON && reason != cutShort && reason != noVerdict}, nil
}

func (a *Author) request(q question) (llm.Request, error) {
	system, err := prompts.ReadFile("prompts/" + string(q.language) + "/" + q.step + ".txt")
	if err != nil {
		return llm.Request{}, fmt.Errorf("no prompt for %s in the language %.20q: want en or zh", q.step, q.language)
	}
	schema, err := schemas.ReadFile("schemas/" + schemaOf(q.step) + ".json")
	if err != nil {
		return llm.Request{}, err
	}
	document, err := synth.JSON(q.document)
	if err != nil {
		return llm.Request{}, fmt.Errorf("%s: %w", q.step, err)
	}
	seed := synth.Rand(a.opts.Seed, append([]any{q.step}, q.place...)...).Int64N(1 << 31)
	return llm.Request{Purpose: q.step, System: strings.TrimSpace(string(system)), Messages: []llm.Message{{Role: llm.User, Text: string(document)}},
		Schema: compact(schema), MaxTokens: a.opts.MaxTokens, Temperature: a.opts.Temperature, Seed: &seed}, nil
}

// schemaOf is the schema of a step's replies; some steps reply alike.
func schemaOf(step string) string {
	switch step {
	case "dependency", "atomicity":
		return "judgements"
	case "scaling":
		return "document"
	}
	return step
}

func compact(b []byte) []byte {
	var c bytes.Buffer
	if json.Compact(&c, b) != nil {
		return b
	}
	return c.Bytes()
}

// maxRepeated is how much of a wrong reply is shown to the model again.
const maxRepeated = 24 << 10

func sendBack(r llm.Request, said string, wrong error, language synth.Language) llm.Request {
	if said = clip(said, maxRepeated); said == "" {
		said = "(nothing)" // servers refuse an empty message
	}
	text := "That reply was not taken: " + wrong.Error() + "\nAnswer the same again, with one JSON object as described and nothing else."
	if language == synth.Chinese {
		text = "该回复未被接受：" + wrong.Error() + "\n请重新回答同一请求，只给出一个符合说明的 JSON 对象，不要有其他内容。"
	}
	r.Messages = []llm.Message{r.Messages[0], {Role: llm.Assistant, Text: said}, {Role: llm.User, Text: text}}
	return r
}

// clip shortens text to at most n bytes of UTF-8.
func clip(s string, n int) string {
	s = strings.ToValidUTF8(s, "�")
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}

// readReply reads exactly one JSON object of known keys. Thoughts before it and a fence
// around it are taken off; nothing else is forgiven.
func readReply(reply llm.Reply, into any) error {
	text, err := bare(reply.Text)
	switch {
	case reply.Cut:
		return misread(cutShort, "the reply broke off before its end: be brief")
	case err != nil:
		return err
	case !strings.HasPrefix(text, "{"):
		return misread(noJSON, "the reply must be one JSON object and nothing else")
	}
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return misread(noJSON, "the reply cannot be read: %v", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return misread(noJSON, "the reply must be one JSON object and nothing else")
	}
	return nil
}

// bare takes thoughts and Markdown's fence off a reply.
func bare(text string) (string, error) {
	text = strings.TrimSpace(text)
	if !utf8.ValidString(text) {
		return "", misread(noJSON, "the reply is not UTF-8")
	}
	if !strings.HasPrefix(text, "{") { // some servers leave the opening tag out
		if i := strings.LastIndex(text, "</think>"); i >= 0 {
			text = strings.TrimSpace(text[i+len("</think>"):])
		} else if strings.HasPrefix(text, "<think>") {
			return "", misread(noJSON, "the reply is thought and nothing else")
		}
	}
	if body, ok := strings.CutPrefix(text, "```"); ok {
		_, body, _ = strings.Cut(body, "\n")
		body, closed := strings.CutSuffix(strings.TrimSpace(body), "```")
		if !closed {
			return "", misread(noJSON, "the fence around the reply is not closed")
		}
		text = strings.TrimSpace(body)
	}
	return text, nil
}
