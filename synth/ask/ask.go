// Package ask has a chat model answer in JSON that can be held to something.
//
// A [Question] is a step of an author: a prompt in the language asked in, a document, and a
// schema for the reply. A reply is read strictly, and held to what the step knows of it;
// one that cannot be taken is sent back once with what is wrong with it. What was not
// understood then is a [Miss]: nothing is known, which is never a pass.
package ask

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/astra-arenas/astra/llm"
	"github.com/astra-arenas/astra/synth"
)

// An Asker is a model with the prompts of an author. It is safe for concurrent use.
type Asker struct {
	Model       llm.Model
	Prompts     fs.FS    // prompts/LANGUAGE/STEP.txt
	Schemas     fs.FS    // schemas/NAME.json
	Seed        int64    // of the run; each question has its own place in its tree
	MaxTokens   int64    // of one reply
	Temperature *float64 // default the server's
}

// A Question is one thing that the model is asked.
type Question struct {
	Step     string // what the prompt is called
	Schema   string // what the schema of the reply is called; default as the step
	Language synth.Language
	Place    []any // in the seed tree
	Document any   // marshals to an object
}

// A Miss is a question that brought nothing. Either the model was understood, and what it
// said will not do; or it was not, and nothing is known.
type Miss struct {
	Reason, Detail string // Reason is short and counted by
	Understood     bool
}

// Unsure is a miss of which nothing is known.
func Unsure(reason, detail string) *Miss { return &Miss{Reason: reason, Detail: detail} }

// Verdict is what a result makes of a miss.
func (m *Miss) Verdict() synth.Verdict {
	if m.Understood {
		return synth.Fail
	}
	return synth.Unknown
}

// Reasons why a reply says nothing; all others are about what it says.
const (
	NoJSON    = "no JSON"
	CutShort  = "cut"
	NoVerdict = "no verdict"
)

// A misread is an answer that cannot be taken, with what to tell the model.
type misread struct{ reason, text string }

func (e *misread) Error() string { return e.text }

// Misread is an error for the model to read, and a reason to count by.
func Misread(reason, format string, args ...any) error {
	return &misread{reason, fmt.Sprintf(format, args...)}
}

// Ask asks, reads the reply into T and holds it to check, whose errors are for the model to
// read. A reply that cannot be taken is sent back once. The error is trouble: the model
// could not be asked.
func Ask[T any](ctx context.Context, a *Asker, spent *Spent, q Question, check func(*T) error) (*T, *Miss, error) {
	r, err := a.request(q)
	if err != nil {
		return nil, nil, err
	}
	var wrong error
	for range 2 {
		spent.Calls++
		reply, err := a.Model.Complete(ctx, r)
		if errors.Is(err, llm.ErrRequest) { // an ErrReplay is trouble: nothing is known of the request
			return nil, Unsure(q.Step+": refused by the server", err.Error()), nil
		}
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", q.Step, err)
		}
		spent.Usage.Add(reply.Usage)
		var read T
		if wrong = ReadReply(reply, &read); wrong == nil {
			wrong = check(&read)
		}
		if wrong == nil {
			return &read, nil, nil
		}
		r = sendBack(r, reply.Text, wrong, q.Language)
		spent.Repairs++
	}
	spent.Repairs--
	reason := NoJSON
	if m, ok := errors.AsType[*misread](wrong); ok {
		reason = m.reason
	}
	return nil, &Miss{q.Step + ": " + reason, wrong.Error(), reason != NoJSON && reason != CutShort && reason != NoVerdict}, nil
}

func (a *Asker) request(q Question) (llm.Request, error) {
	system, err := fs.ReadFile(a.Prompts, "prompts/"+string(q.Language)+"/"+q.Step+".txt")
	if err != nil {
		return llm.Request{}, fmt.Errorf("no prompt for %s in the language %.20q: want en or zh", q.Step, q.Language)
	}
	name := q.Schema
	if name == "" {
		name = q.Step
	}
	schema, err := fs.ReadFile(a.Schemas, "schemas/"+name+".json")
	if err != nil {
		return llm.Request{}, err
	}
	document, err := synth.JSON(q.Document)
	if err != nil {
		return llm.Request{}, fmt.Errorf("%s: %w", q.Step, err)
	}
	seed := synth.Rand(a.Seed, append([]any{q.Step}, q.Place...)...).Int64N(1 << 31)
	return llm.Request{Purpose: q.Step, System: strings.TrimSpace(string(system)), Messages: []llm.Message{{Role: llm.User, Text: string(document)}},
		Schema: Compact(schema), MaxTokens: a.MaxTokens, Temperature: a.Temperature, Seed: &seed}, nil
}

// Compact is JSON without white space; what is no JSON stays as it is.
func Compact(b []byte) []byte {
	var c bytes.Buffer
	if json.Compact(&c, b) != nil {
		return b
	}
	return c.Bytes()
}

// maxRepeated is how much of a wrong reply is shown to the model again.
const maxRepeated = 24 << 10

func sendBack(r llm.Request, said string, wrong error, language synth.Language) llm.Request {
	if said = Clip(said, maxRepeated); said == "" {
		said = "(nothing)" // servers refuse an empty message
	}
	text := "That reply was not taken: " + wrong.Error() + "\nAnswer the same again, with one JSON object as described and nothing else."
	if language == synth.Chinese {
		text = "该回复未被接受：" + wrong.Error() + "\n请重新回答同一请求，只给出一个符合说明的 JSON 对象，不要有其他内容。"
	}
	r.Messages = []llm.Message{r.Messages[0], {Role: llm.Assistant, Text: said}, {Role: llm.User, Text: text}}
	return r
}
