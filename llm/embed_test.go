package llm_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"

	"github.com/astra-arenas/astra/llm"
)

// embeddings serves the protocol: the vector of a text is its length, and 1. spoil may
// change the answer.
func embeddings(t *testing.T, requests *int, spoil func(map[string]any)) *llm.Embedder {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*requests++
		var body struct {
			Model string
			Input []string
		}
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil || r.URL.Path != "/v1/embeddings" || body.Model != "small" {
			t.Errorf("%s: %v", r.URL, err)
		}
		data := []any{}
		for i := range body.Input { // in another order: the index counts
			k := len(body.Input) - 1 - i
			data = append(data, map[string]any{"object": "embedding", "index": k, "embedding": []int{len(body.Input[k]), 1}})
		}
		answer := map[string]any{"object": "list", "data": data, "model": "small", "usage": map[string]int{"prompt_tokens": 1, "total_tokens": 1}}
		if spoil != nil {
			spoil(answer)
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(answer)
	}))
	t.Cleanup(s.Close)
	e, err := llm.NewEmbedder(llm.Options{BaseURL: s.URL + "/v1", Model: "small", Retries: -1})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestEmbed(t *testing.T) {
	requests := 0
	e := embeddings(t, &requests, nil)
	var texts []string
	for i := range 150 {
		texts = append(texts, strconv.Itoa(i))
	}
	vectors, err := e.Embed(t.Context(), texts)
	if err != nil || len(vectors) != 150 || requests != 3 {
		t.Fatalf("%d vectors of 150 texts in %d requests, %v", len(vectors), requests, err)
	}
	for i, v := range vectors {
		if len(v) != 2 || v[0] != float32(len(texts[i])) {
			t.Fatalf("the vector of %s is %v", texts[i], v)
		}
	}
}

func TestEmbedRefuses(t *testing.T) {
	for name, spoil := range map[string]func(map[string]any){
		"too few":   func(a map[string]any) { a["data"] = a["data"].([]any)[1:] },
		"twice":     func(a map[string]any) { a["data"] = append(a["data"].([]any), a["data"].([]any)[0]) },
		"too many":  func(a map[string]any) { a["data"].([]any)[0].(map[string]any)["index"] = 7 },
		"no vector": func(a map[string]any) { a["data"].([]any)[0].(map[string]any)["embedding"] = []int{} },
	} {
		requests := 0
		if _, err := embeddings(t, &requests, spoil).Embed(t.Context(), []string{"a", "b"}); !errors.Is(err, llm.ErrModel) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
