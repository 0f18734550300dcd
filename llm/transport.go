package llm

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// A Transport answers again what a model's server has answered before, for clients that
// speak its protocol themselves, such as agents with tools. What it keeps of an answer is
//
//	{"schema": 1, "path": …, "request": …, "reply": …}
//
// under "llm/http/" and the SHA-256, in hex, of path and request. Where the server is, and
// what the headers say, is no part of it. Only answers of status 200 that are JSON are kept.
// It is safe for concurrent use.
type Transport struct {
	notes   Notes
	next    http.RoundTripper // nil: what is kept, and nothing else
	limiter *Limiter
	turns   *turns
}

// NewTransport returns a transport over notes. A nil next replays: what is not kept is an
// error. The limiter may be nil.
func NewTransport(notes Notes, next http.RoundTripper, limiter *Limiter) *Transport {
	return &Transport{notes: notes, next: next, limiter: limiter, turns: newTurns()}
}

// maxAsking bounds a request that is kept.
const maxAsking = 32 << 20

// An exchanged is one entry.
type exchanged struct {
	Schema  int             `json:"schema"`
	Path    string          `json:"path"`
	Request json.RawMessage `json:"request"`
	Reply   json.RawMessage `json:"reply,omitempty"`
}

// RoundTrip answers what is kept, else asks the server.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := readRequest(r)
	if err != nil {
		return nil, err
	}
	ctx, key := r.Context(), keyOf(r.URL.Path, body)
	done, err := t.turns.take(ctx, key)
	if err != nil {
		return nil, err
	}
	defer done()
	kept, err := t.kept(ctx, key)
	if kept != nil || err != nil {
		return replied(r, kept), err
	}
	if t.next == nil {
		return nil, ErrReplay
	}
	return t.ask(r, body, key)
}

func readRequest(r *http.Request) ([]byte, error) {
	if r.Body == nil {
		return nil, nil
	}
	defer r.Body.Close()
	body, err := io.ReadAll(io.LimitReader(r.Body, maxAsking+1))
	if err == nil && len(body) > maxAsking {
		err = fmt.Errorf("the request has more than %d bytes", maxAsking)
	}
	return body, err
}

func keyOf(path string, body []byte) string {
	h := sha256.New()
	fmt.Fprintf(h, "astra-http %d\n%s\n", cacheSchema, path)
	h.Write(body)
	return "llm/http/" + hex.EncodeToString(h.Sum(nil))
}

func (t *Transport) kept(ctx context.Context, key string) ([]byte, error) {
	b, err := t.notes.Note(ctx, key)
	if b == nil || err != nil {
		return nil, err
	}
	var e exchanged
	if err := json.Unmarshal(b, &e); err != nil || e.Schema != cacheSchema || e.Reply == nil {
		return nil, errors.New("the note " + key + " cannot be read")
	}
	return e.Reply, nil
}

// ask passes the request on, and keeps the answer if it is one.
func (t *Transport) ask(r *http.Request, body []byte, key string) (*http.Response, error) {
	finish, err := t.limiter.wait(r.Context(), Request{Messages: []Message{{User, string(body)}}})
	if err != nil {
		return nil, err
	}
	again := r.Clone(r.Context())
	again.Body, again.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	response, err := t.next.RoundTrip(again)
	if err != nil || response.StatusCode != http.StatusOK || !isJSON(response) {
		finish(Usage{})
		return response, err
	}
	defer response.Body.Close()
	reply, err := io.ReadAll(io.LimitReader(response.Body, maxCompletion+1))
	finish(usageOf(reply))
	switch {
	case err != nil:
		return nil, err
	case len(reply) > maxCompletion:
		return nil, fmt.Errorf("the server sent more than %d bytes", maxCompletion)
	case !isCompletion(reply): // for the client to tell
		return replied(r, reply), nil
	}
	entry, err := json.Marshal(exchanged{cacheSchema, r.URL.Path, body, reply})
	if err == nil {
		err = t.notes.PutNote(context.WithoutCancel(r.Context()), key, entry) // what was answered is not asked for again
	}
	if err != nil { // a response beside an error is lost on http.Client
		return nil, err
	}
	return replied(r, reply), nil
}

// isCompletion tells an answer from JSON that only says what went wrong, or that no client
// could read: kept, it would be in the way of every later run.
func isCompletion(reply []byte) bool {
	var c struct {
		Choices []struct {
			Message *struct {
				Content   *string           `json:"content"`
				ToolCalls []json.RawMessage `json:"tool_calls"`
			} `json:"message"`
		} `json:"choices"`
	}
	return json.Unmarshal(reply, &c) == nil && len(c.Choices) > 0 && c.Choices[0].Message != nil
}

func usageOf(reply []byte) Usage {
	var c struct {
		Usage struct {
			Input  int64 `json:"prompt_tokens"`
			Output int64 `json:"completion_tokens"`
		} `json:"usage"`
	}
	_ = json.Unmarshal(reply, &c) // a server that does not count
	return Usage{Input: c.Usage.Input, Output: c.Usage.Output}
}

func replied(r *http.Request, reply []byte) *http.Response {
	if reply == nil {
		return nil
	}
	return &http.Response{StatusCode: http.StatusOK, Status: "200 OK", Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(reply)), ContentLength: int64(len(reply))}
}

var _ http.RoundTripper = (*Transport)(nil)
