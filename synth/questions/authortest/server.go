package authortest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
)

// A Server is a chat server. Its base URL is URL + "/v1".
type Server struct {
	*httptest.Server
	t     testing.TB
	fault Fault

	mu      sync.Mutex
	asked   []*Asked
	answers map[string]json.RawMessage // sub-question -> answer, of all instances so far
}

// An Asked is one request.
type Asked struct {
	Step     string         // what the document calls it
	Document map[string]any // what it is about
	Text     string         // the document as it was sent
	Repair   bool           // an answer was sent back
	Again    int            // how often the very same was asked before
	Stream   bool
	Schema   bool // the answer is to be held to one

	server *Server
}

// An Answer is what the server says, or how it fails to.
type Answer struct {
	Text   string
	Finish string // default stop
	Status int    // default 200; else Text is the error's message
	Stall  bool   // it begins to answer, and stops
}

// A Fault makes another answer of a competent one.
type Fault func(*Asked, Answer) Answer

// New starts a server, which is competent where fault is nil, and stopped with the test.
func New(t testing.TB, fault Fault) *Server {
	s := &Server{t: t, fault: fault, answers: map[string]json.RawMessage{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/chat/completions", s.complete)
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

// Asked are the requests so far.
func (s *Server) Asked() []*Asked {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*Asked(nil), s.asked...)
}

type chatRequest struct {
	Messages       []struct{ Role, Content string }
	Stream         bool
	ResponseFormat *struct{ Type string } `json:"response_format"`
}

func (s *Server) complete(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // whoever asked is gone
	}
	var req chatRequest
	if err = json.Unmarshal(body, &req); err != nil || len(req.Messages) < 2 || req.Messages[0].Role != "system" || req.Messages[1].Role != "user" {
		s.t.Errorf("a request that no author makes: %v: %.300s", err, body)
		http.Error(w, "bad request", http.StatusBadRequest)
		return
	}
	a := &Asked{Text: req.Messages[1].Content, Repair: len(req.Messages) > 2, Stream: req.Stream, Schema: req.ResponseFormat != nil, server: s}
	if err := json.Unmarshal([]byte(a.Text), &a.Document); err != nil {
		s.t.Errorf("a document that is no JSON: %v: %.300s", err, a.Text)
	}
	a.Step, _ = a.Document["step"].(string)
	s.send(w, r, a, s.answer(a))
}

func (s *Server) answer(a *Asked) Answer {
	s.mu.Lock()
	for _, b := range s.asked {
		if b.Text == a.Text && b.Repair == a.Repair {
			a.Again++
		}
	}
	s.asked = append(s.asked, a)
	s.mu.Unlock()
	said := Answer{Text: competent(a)}
	if s.fault != nil {
		said = s.fault(a, said)
	}
	if said.Finish == "" {
		said.Finish = "stop"
	}
	return said
}

func (s *Server) send(w http.ResponseWriter, r *http.Request, a *Asked, said Answer) {
	switch {
	case said.Status != 0:
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Retry-After-Ms", "1")
		w.WriteHeader(said.Status)
		fmt.Fprintf(w, `{"error":{"message":%s,"type":"t","code":"c","param":""}}`, marshal(said.Text))
	case a.Stream:
		s.stream(w, r, said)
	case said.Stall:
		<-r.Context().Done()
	default:
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, marshal(map[string]any{"id": "c", "object": "chat.completion", "created": 1, "model": "m", "usage": usage(said.Text),
			"choices": []any{map[string]any{"index": 0, "finish_reason": said.Finish, "message": map[string]any{"role": "assistant", "content": said.Text}}}}))
	}
}

func (s *Server) stream(w http.ResponseWriter, r *http.Request, said Answer) {
	w.Header().Set("Content-Type", "text/event-stream")
	send := func(choices []any, more map[string]any) {
		chunk := map[string]any{"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choices}
		for k, v := range more {
			chunk[k] = v
		}
		fmt.Fprintf(w, "data: %s\n\n", marshal(chunk))
		w.(http.Flusher).Flush()
	}
	piece := func(text string) {
		send([]any{map[string]any{"index": 0, "delta": map[string]any{"content": text}}}, nil)
	}
	half := len(said.Text) / 2
	for half > 0 && said.Text[half]&0xC0 == 0x80 {
		half--
	}
	piece(said.Text[:half])
	if said.Stall {
		<-r.Context().Done()
		return
	}
	piece(said.Text[half:])
	send([]any{map[string]any{"index": 0, "delta": map[string]any{}, "finish_reason": said.Finish}}, nil)
	send([]any{}, map[string]any{"usage": usage(said.Text)})
	fmt.Fprint(w, "data: [DONE]\n\n")
}

func usage(text string) map[string]int {
	return map[string]int{"prompt_tokens": 100, "completion_tokens": len(text) / 4, "total_tokens": 100 + len(text)/4}
}

func marshal(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // it is made of what JSON has
	}
	return string(b)
}
