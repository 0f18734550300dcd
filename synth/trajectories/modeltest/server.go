package modeltest

import (
	"crypto/sha256"
	"encoding/hex"
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
	t    testing.TB
	opts Options

	mu    sync.Mutex
	asked map[string]int // by step; agent and emulator are steps, too
}

// Options say what a server is to be like.
type Options struct {
	Path  string                                                     // what it gives for an argument that is a path; default "."
	Fault Fault                                                      // nil: it is competent
	Judge func(step string, document json.RawMessage) (string, bool) // answers steps that are not its own, such as those of the scores
}

// A Fault makes another answer of a competent one.
type Fault func(*Asked, Answer) Answer

// An Asked is one request.
type Asked struct {
	Step   string // what the document calls it; agent and emulator else
	Text   string // the document, or the last message to the agent
	Repair bool   // an answer was sent back
	Number int    // of this step's requests, from 1
}

// An Answer is what the server says, or how it fails to.
type Answer struct {
	Text   string
	Calls  []Call // of an agent
	Finish string // default stop
	Status int    // default 200; else Text is the error's message
}

// A Call is one that an agent wants made.
type Call struct {
	Tool string
	Args string // JSON
}

// New starts a server that is stopped with the test.
func New(t testing.TB, opts *Options) *Server {
	s := &Server{t: t, asked: map[string]int{}}
	if opts != nil {
		s.opts = *opts
	}
	if s.opts.Path == "" {
		s.opts.Path = "."
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/chat/completions", s.complete)
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

// Asked is how often each step was asked for.
func (s *Server) Asked() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[string]int{}
	for step, n := range s.asked {
		all[step] = n
	}
	return all
}

// A request is a chat to be continued.
type request struct {
	Messages []message `json:"messages"`
	Tools    []struct {
		Function struct {
			Name       string          `json:"name"`
			Parameters json.RawMessage `json:"parameters"`
		} `json:"function"`
	} `json:"tools"`
}

type message struct {
	Role      string `json:"role"`
	Content   string `json:"content"`
	ToolCalls []struct {
		Function struct {
			Name      string `json:"name"`
			Arguments string `json:"arguments"`
		} `json:"function"`
	} `json:"tool_calls"`
}

func (s *Server) complete(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // whoever asked is gone
	}
	var req request
	if err := json.Unmarshal(body, &req); err != nil || len(req.Messages) < 2 || req.Messages[0].Role != "system" {
		s.t.Errorf("a request that nobody makes: %v: %.300s", err, body)
		http.Error(w, "bad request", http.StatusBadRequest)
		return
	}
	s.send(w, s.answer(&req))
}

func (s *Server) answer(r *request) Answer {
	a := &Asked{Step: "agent", Text: r.Messages[len(r.Messages)-1].Content}
	var said Answer
	if len(r.Tools) > 0 {
		said = s.play(r)
	} else {
		a.Text, a.Repair = r.Messages[1].Content, len(r.Messages) > 2
		a.Step, said = s.write([]byte(a.Text))
	}
	s.mu.Lock()
	s.asked[a.Step]++
	a.Number = s.asked[a.Step]
	s.mu.Unlock()
	if s.opts.Fault != nil {
		said = s.opts.Fault(a, said)
	}
	return said
}

func (s *Server) send(w http.ResponseWriter, said Answer) {
	w.Header().Set("Content-Type", "application/json")
	if said.Status != 0 {
		w.Header().Set("Retry-After-Ms", "1")
		w.WriteHeader(said.Status)
		fmt.Fprintf(w, `{"error":{"message":%s,"type":"t","code":"c","param":""}}`, marshal(said.Text))
		return
	}
	m := map[string]any{"role": "assistant", "content": said.Text}
	if said.Finish == "" {
		said.Finish = "stop"
	}
	if len(said.Calls) > 0 {
		var calls []any
		for i, c := range said.Calls { // ids that repeat, as those of some servers do
			calls = append(calls, map[string]any{"id": fmt.Sprint("call_", i), "type": "function", "function": map[string]any{"name": c.Tool, "arguments": c.Args}})
		}
		m["tool_calls"], said.Finish = calls, "tool_calls"
	}
	n := len(said.Text)/4 + 20*len(said.Calls)
	fmt.Fprint(w, marshal(map[string]any{"id": "c", "object": "chat.completion", "created": 1, "model": "m",
		"usage":   map[string]int{"prompt_tokens": 100, "completion_tokens": n, "total_tokens": 100 + n},
		"choices": []any{map[string]any{"index": 0, "finish_reason": said.Finish, "message": m}}}))
}

func marshal(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // it is made of what JSON has
	}
	return string(b)
}

// code stands for a tool's name in a reference.
func code(tool string) string { return digest(tool)[:4] }

func digest(s string) string {
	h := sha256.Sum256([]byte(s))
	return hex.EncodeToString(h[:])
}
