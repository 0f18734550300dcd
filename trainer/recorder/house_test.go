package recorder

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
	"github.com/astra-arenas/astra/gateway/gatewaytest"
	"github.com/astra-arenas/astra/store"
)

const serverKey = "sk-of-the-policy-s-server"

// A house is a recorder between a gateway over real parts and a policy that is scripted.
type house struct {
	*Recorder
	t       testing.TB
	gateway *gateway.Gateway
	store   *store.Store
	policy  *policy
	web     *httptest.Server
	clock   *gatewaytest.Clock
}

func newHouse(t testing.TB, opts *Options) *house {
	t.Helper()
	h := &house{t: t, store: gatewaytest.Store(t, t.TempDir()), clock: gatewaytest.NewClock()}
	h.gateway = gatewaytest.Open(t, h.store, &gateway.Options{Now: h.clock.Now})
	gatewaytest.Add(t, h.gateway, "../../httpapi/testdata/shop")
	h.policy = newPolicy(t)
	h.Recorder = New(h.gateway, h.store, opts)
	must(t, h.Serve(Policy{BaseURL: h.policy.URL + "/v1", Model: "policy", Key: serverKey, Version: 7}))
	h.web = httptest.NewServer(h.Handler())
	t.Cleanup(h.web.Close)
	return h
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (h *house) open() *gateway.Opening {
	h.t.Helper()
	o, err := h.gateway.Open(h.t.Context(), gateway.OpenRequest{Arena: "shop", Mode: astra.Train, Task: "count", Principal: "test"})
	must(h.t, err)
	return o
}

// post sends a body to a path of the door, and reads what comes back.
func (h *house) post(path, body string, edit ...func(*http.Request)) (*http.Response, string) {
	h.t.Helper()
	req, err := http.NewRequestWithContext(h.t.Context(), http.MethodPost, h.web.URL+path, strings.NewReader(body))
	must(h.t, err)
	req.Header.Set("Content-Type", "application/json")
	for _, f := range edit {
		f(req)
	}
	res, err := http.DefaultClient.Do(req)
	must(h.t, err)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return res, string(b) + "\n" + err.Error()
	}
	return res, string(b)
}

func (h *house) chat(o *gateway.Opening, body string, edit ...func(*http.Request)) (*http.Response, string) {
	h.t.Helper()
	return h.post("/episodes/"+string(o.Key)+"/v1/chat/completions", body, edit...)
}

func (h *house) completions(id astra.EpisodeID) []Completion {
	h.t.Helper()
	all, err := h.Completions(h.t.Context(), id)
	must(h.t, err)
	return all
}

// A form is which of the servers' APIs a scripted policy speaks.
type form string

const (
	vllm   form = "vllm"
	sglang form = "sglang"
	strict form = "openai" // strict: it refuses what it does not know
	bare   form = "bare"   // it refuses log-probabilities too
)

// A policy is a scripted inference server. Its tokens are bytes: it has one template, in
// which a conversation that goes on is an extension of its beginning.
type policy struct {
	*httptest.Server
	t    testing.TB
	form form

	mu     sync.Mutex
	says   []string // one after another; then "ok"
	asked  []*http.Request
	bodies []map[string]any
	before func(n int, w http.ResponseWriter) bool // true: the request is answered
	chunk  func(n int, w http.ResponseWriter) bool // before the n-th chunk of a stream; true: it ends here
}

func newPolicy(t testing.TB) *policy {
	p := &policy{t: t, form: vllm}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/chat/completions", p.chat)
	mux.HandleFunc("POST /v1/messages", p.messages)
	mux.HandleFunc("POST /v1/responses", p.responses)
	p.Server = httptest.NewServer(mux)
	t.Cleanup(p.Close)
	return p
}

func (p *policy) take(w http.ResponseWriter, r *http.Request) (map[string]any, string, bool) {
	b, err := io.ReadAll(r.Body)
	var body map[string]any
	if err != nil || json.Unmarshal(b, &body) != nil {
		p.t.Errorf("request %s: %v", b, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked, p.bodies = append(p.asked, r), append(p.bodies, body)
	if p.before != nil && p.before(len(p.asked)-1, w) {
		return nil, "", false
	}
	says := "ok"
	if why := p.refuses(body); why != "" {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, `{"error":{"message":%q,"type":"BadRequestError","code":400}}`, why)
		return nil, "", false
	}
	if len(p.says) > 0 {
		says, p.says = p.says[0], p.says[1:]
	}
	return body, says, true
}

func (p *policy) refuses(body map[string]any) string {
	for _, name := range []string{"return_token_ids", "return_prompt_token_ids", "return_meta_info", "enable_response_messages"} {
		if (p.form == strict || p.form == bare) && body[name] != nil {
			return "unknown parameter " + name
		}
	}
	if p.form == bare && (body["logprobs"] == true || body["include"] != nil) {
		return "no log-probabilities here"
	}
	if p.form == sglang && body["stream"] == true && body["return_prompt_token_ids"] == true {
		return "return_prompt_token_ids is not supported with streaming"
	}
	return ""
}

func ids(text string) []int32 {
	list := []int32{}
	for _, b := range []byte(text) {
		list = append(list, int32(b))
	}
	return list
}

// template writes messages as tokens: "<role>text;".
func template(messages any) string {
	var b strings.Builder
	list, _ := messages.([]any)
	for _, m := range list {
		msg, _ := m.(map[string]any)
		fmt.Fprintf(&b, "<%v>%v;", msg["role"], msg["content"])
	}
	return b.String() + "<assistant>"
}

func logprobsOf(text string) map[string]any {
	content := []any{}
	for i := range len(text) {
		content = append(content, map[string]any{"token": text[i : i+1], "logprob": -0.25, "bytes": nil, "top_logprobs": []any{}})
	}
	return map[string]any{"content": content}
}

// says is a completion of a text, whose last token ends it.
func (p *policy) dress(choice map[string]any, body map[string]any, sampled string) {
	choice["logprobs"] = nil
	if body["logprobs"] == true {
		choice["logprobs"] = logprobsOf(sampled)
	}
	if p.form == vllm && body["return_token_ids"] == true {
		choice["token_ids"] = ids(sampled)
	}
	if p.form == sglang && body["return_meta_info"] == true {
		out := []any{}
		for _, id := range ids(sampled) {
			out = append(out, []any{-0.25, id, nil})
		}
		choice["meta_info"] = map[string]any{"output_token_logprobs": out, "finish_reason": map[string]any{"type": "stop"}}
	}
}

func (p *policy) chat(w http.ResponseWriter, r *http.Request) {
	body, says, ok := p.take(w, r)
	if !ok {
		return
	}
	prompt, sampled := template(body["messages"]), says+";"
	usage := map[string]any{"prompt_tokens": len(prompt), "completion_tokens": len(sampled), "total_tokens": len(prompt) + len(sampled)}
	answer := map[string]any{"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": body["model"]}
	if body["stream"] == true {
		p.stream(w, body, answer, prompt, sampled, usage)
		return
	}
	choice := map[string]any{"index": 0, "finish_reason": "stop", "message": map[string]any{"role": "assistant", "content": says}}
	p.dress(choice, body, sampled)
	if p.form == sglang && body["return_prompt_token_ids"] == true {
		choice["prompt_token_ids"] = ids(prompt)
	}
	if p.form == vllm && body["return_token_ids"] == true {
		answer["prompt_token_ids"] = ids(prompt)
	}
	answer["choices"], answer["usage"] = []any{choice}, usage
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Secret", "of the server")
	_ = json.NewEncoder(w).Encode(answer)
}

// stream sends one token a chunk, as vLLM does: the role first, with the prompt's ids.
func (p *policy) stream(w http.ResponseWriter, body, answer map[string]any, prompt, sampled string, usage map[string]any) {
	w.Header().Set("Content-Type", "text/event-stream")
	answer["object"] = "chat.completion.chunk"
	n := 0
	send := func(choices []any, more map[string]any) bool {
		chunk := map[string]any{"choices": choices}
		for _, m := range []map[string]any{answer, more} {
			for k, v := range m {
				chunk[k] = v
			}
		}
		if p.chunk != nil && p.chunk(n, w) {
			return false
		}
		n++
		b, _ := json.Marshal(chunk)
		fmt.Fprintf(w, "data: %s\n\n", b)
		_ = http.NewResponseController(w).Flush()
		return true
	}
	first := map[string]any{}
	if p.form == vllm && body["return_token_ids"] == true {
		first["prompt_token_ids"] = ids(prompt)
	}
	if !send([]any{map[string]any{"index": 0, "delta": map[string]any{"role": "assistant", "content": ""}, "logprobs": nil, "finish_reason": nil}}, first) {
		return
	}
	for i := range len(sampled) {
		choice := map[string]any{"index": 0, "delta": map[string]any{"content": sampled[i : i+1]}, "finish_reason": nil}
		if i == len(sampled)-1 {
			choice["delta"], choice["finish_reason"] = map[string]any{}, "stop"
		}
		p.dress(choice, body, sampled[i:i+1])
		if !send([]any{choice}, nil) {
			return
		}
	}
	if options, _ := body["stream_options"].(map[string]any); options["include_usage"] == true {
		send([]any{}, map[string]any{"usage": usage})
	}
	fmt.Fprint(w, "data: [DONE]\n\n")
}

func (p *policy) messages(w http.ResponseWriter, r *http.Request) {
	body, says, ok := p.take(w, r)
	if !ok {
		return
	}
	message := map[string]any{"id": "msg_1", "type": "message", "role": "assistant", "model": body["model"], "content": []any{}, "stop_reason": nil, "stop_sequence": nil,
		"usage": map[string]any{"input_tokens": 11, "output_tokens": 0}}
	if body["stream"] != true {
		message["content"], message["stop_reason"] = []any{map[string]any{"type": "text", "text": says}}, "end_turn"
		message["usage"] = map[string]any{"input_tokens": 11, "output_tokens": 5}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(message)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	for _, e := range []map[string]any{
		{"type": "message_start", "message": message},
		{"type": "content_block_start", "index": 0, "content_block": map[string]any{"type": "text", "text": ""}},
		{"type": "content_block_delta", "index": 0, "delta": map[string]any{"type": "text_delta", "text": says}},
		{"type": "content_block_stop", "index": 0},
		{"type": "message_delta", "delta": map[string]any{"stop_reason": "end_turn", "stop_sequence": nil}, "usage": map[string]any{"output_tokens": 5}},
		{"type": "message_stop"},
	} {
		b, _ := json.Marshal(e)
		fmt.Fprintf(w, "event: %s\ndata: %s\n\n", e["type"], b)
	}
}

func (p *policy) responses(w http.ResponseWriter, r *http.Request) {
	body, says, ok := p.take(w, r)
	if !ok {
		return
	}
	part := map[string]any{"type": "output_text", "text": says, "annotations": []any{}, "logprobs": []any{}}
	if include, _ := body["include"].([]any); slices.Contains(include, any(textLogprobs)) {
		part["logprobs"] = logprobsOf(says)["content"]
	}
	whole := map[string]any{"id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "model": body["model"], "parallel_tool_calls": true, "tool_choice": "auto", "tools": []any{},
		"output": []any{map[string]any{"type": "message", "id": "m", "role": "assistant", "status": "completed", "content": []any{part}}},
		"usage":  map[string]any{"input_tokens": 3, "output_tokens": 4, "total_tokens": 7, "input_tokens_details": map[string]any{"cached_tokens": 0}, "output_tokens_details": map[string]any{"reasoning_tokens": 0}}}
	if body["stream"] != true {
		if body["enable_response_messages"] == true {
			whole["input_messages"] = []any{map[string]any{"type": "raw_message_tokens", "message": "in", "tokens": []int{1, 2, 3}}}
			whole["output_messages"] = []any{map[string]any{"type": "raw_message_tokens", "message": says, "tokens": ids(says)}}
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(whole)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	for i, e := range []map[string]any{
		{"type": "response.created", "response": map[string]any{"id": "resp_1", "object": "response", "status": "in_progress", "model": body["model"], "output": []any{}}},
		{"type": "response.output_item.added", "output_index": 0, "item": map[string]any{"type": "message", "id": "m", "role": "assistant", "status": "in_progress", "content": []any{}}},
		{"type": "response.content_part.added", "item_id": "m", "output_index": 0, "content_index": 0, "part": map[string]any{"type": "output_text", "text": "", "annotations": []any{}, "logprobs": []any{}}},
		{"type": "response.output_text.delta", "item_id": "m", "output_index": 0, "content_index": 0, "delta": says, "logprobs": part["logprobs"]},
		{"type": "response.completed", "response": whole},
	} {
		e["sequence_number"] = i
		b, _ := json.Marshal(e)
		fmt.Fprintf(w, "event: %s\ndata: %s\n\n", e["type"], b)
	}
}

// seen is what the policy's server was asked, the last of all.
func (p *policy) seen() (*http.Request, map[string]any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked[len(p.asked)-1], p.bodies[len(p.bodies)-1]
}

func (p *policy) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.asked)
}

// dataOf are the objects of a stream's events.
func dataOf(t testing.TB, stream string) (all []map[string]any) {
	t.Helper()
	events := newEvents(strings.NewReader(stream), int64(len(stream)))
	for {
		e, err := events.next()
		if err == io.EOF {
			return all
		}
		must(t, err)
		var o map[string]any
		if !bytes.Equal(e.data, []byte(done)) {
			must(t, json.Unmarshal(e.data, &o))
			all = append(all, o)
		}
	}
}

// refusing is notes that cannot be written.
type refusing struct{ Notes }

func (refusing) PutNote(context.Context, string, []byte) error { return astra.ErrFull }
