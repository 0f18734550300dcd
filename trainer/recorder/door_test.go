package recorder

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/astra-arenas/astra"
)

func header(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

func TestKeys(t *testing.T) {
	h := newHouse(t, nil)
	o := h.open()
	for _, ok := range []func(*http.Request){header("Authorization", "Bearer "+string(o.Key)), header("X-Api-Key", string(o.Key))} {
		if res, body := h.post("/episode/v1/chat/completions", hello, ok); res.StatusCode != 200 {
			t.Errorf("%d %s", res.StatusCode, body)
		}
	}
	for _, path := range []string{"/episodes/" + string(astra.NewKey()) + "/v1/chat/completions", "/episodes/" + string(o.Episode) + "/v1/messages", "/episode/v1/responses", "/episodes/" + strings.Repeat("k", 300) + "/v1/responses"} {
		if res, body := h.post(path, hello); res.StatusCode != 404 || !strings.Contains(body, "no such door") {
			t.Errorf("%s: %d %s", path, res.StatusCode, body)
		}
	}
}

func TestAfterTheEnd(t *testing.T) {
	h := newHouse(t, nil)
	o := h.open()
	must(t, h.gateway.Abort(t.Context(), o.Episode, "enough"))
	if res, body := h.chat(o, hello); res.StatusCode != 410 || !strings.Contains(body, "the episode is over") {
		t.Errorf("%d %s", res.StatusCode, body)
	}
	h.clock.Pass(time.Hour)
	must(t, h.gateway.Sweep(t.Context()))
	if res, _ := h.chat(o, hello); res.StatusCode != 404 {
		t.Errorf("long after the end: %d", res.StatusCode)
	}
	if h.policy.count() != 0 {
		t.Error("the policy was asked after the end")
	}
}

func TestModels(t *testing.T) {
	h := newHouse(t, nil)
	res, err := http.Get(h.web.URL + "/episodes/" + string(h.open().Key) + "/v1/models")
	must(t, err)
	defer res.Body.Close()
	if res.StatusCode != 200 {
		t.Errorf("models: %d", res.StatusCode)
	}
}

func TestBadRequests(t *testing.T) {
	h := newHouse(t, &Options{MaxBody: 1000})
	o := h.open()
	for body, want := range map[string]int{"": 400, "[]": 400, "null": 400, "{": 400, `{"messages":[],"stream":1}`: 400, `{"model":"m"}`: 400, `{"messages":"` + strings.Repeat("x", 1000) + `"}`: 413} {
		for _, d := range dialects {
			if res, text := h.post("/episodes/"+string(o.Key)+"/v1/"+d.path(), body); res.StatusCode != want || !strings.Contains(text, `"error"`) {
				t.Errorf("%s %.40s: %d %s", d.path(), body, res.StatusCode, text)
			}
		}
	}
	if h.policy.count() != 0 || len(h.completions(o.Episode)) != 0 {
		t.Error("a bad request went on")
	}
}

// An episode has a budget, and one that is used up leaves others theirs.
func TestBudgets(t *testing.T) {
	for _, opts := range []*Options{{MaxCalls: 2}, {MaxTokens: 40}} {
		h := newHouse(t, opts)
		o := h.open()
		for i, want := range []int{200, 200, 403} {
			if res, body := h.chat(o, hello); res.StatusCode != want {
				t.Errorf("call %d: %d %s", i, res.StatusCode, body)
			}
		}
		if res, body := h.chat(h.open(), hello); res.StatusCode != 200 {
			t.Errorf("another episode: %d %s", res.StatusCode, body)
		}
	}
}

func TestServerErrors(t *testing.T) {
	h := newHouse(t, nil)
	o := h.open()
	for _, test := range []struct {
		status  int
		body    string
		want    int
		message string
	}{
		{400, `{"error":{"message":"too long for ` + serverKey + `"}}`, 400, "too long for ***"},
		{401, `{"error":"bad key ` + serverKey + `"}`, 502, "did not answer as it should"},
		{429, `{"message":"slow down"}`, 429, "slow down"},
		{500, `<html>` + serverKey, 500, "500"},
		{302, ``, 502, "did not answer as it should"},
		{200, `{"choices":[]}`, 502, "did not answer as it should"},
		{200, `nonsense`, 502, "did not answer as it should"},
	} {
		h.policy.before = func(_ int, w http.ResponseWriter) bool {
			w.Header().Set("Location", "http://elsewhere.invalid/")
			w.WriteHeader(test.status)
			fmt.Fprint(w, test.body)
			return true
		}
		res, body := h.chat(o, hello)
		if res.StatusCode != test.want || !strings.Contains(body, test.message) || strings.Contains(body, serverKey) {
			t.Errorf("%d %s: %d %s", test.status, test.body, res.StatusCode, body)
		}
	}
	all := h.completions(o.Episode)
	if len(all) != 2 || all[0].Trouble == "" || all[1].Trouble == "" { // the two answers that cannot be read
		t.Errorf("completions %+v", all)
	}
	calls, left, err := h.Calls(t.Context(), o.Episode)
	if err != nil || len(calls) != 0 || len(left) != 2 {
		t.Errorf("calls %v, left %v, %v", calls, left, err)
	}
}

// What broke off is kept, told, and not trained on; the agent sees that it is not whole.
func TestStreamBreaksOff(t *testing.T) {
	for name, chunk := range map[string]func(int, http.ResponseWriter) bool{
		"ends early": func(n int, w http.ResponseWriter) bool { return n == 3 },
		"is cut": func(n int, w http.ResponseWriter) bool {
			if n == 3 {
				panic(http.ErrAbortHandler)
			}
			return false
		},
		"has an error": func(n int, w http.ResponseWriter) bool {
			if n == 3 {
				fmt.Fprint(w, "data: {\"error\":{\"message\":\""+serverKey+"\"}}\n\n")
			}
			return false
		},
		"is no JSON": func(n int, w http.ResponseWriter) bool {
			if n == 3 {
				fmt.Fprint(w, "data: {\n\n")
			}
			return false
		},
	} {
		h := newHouse(t, nil)
		o := h.open()
		h.policy.says, h.policy.chunk = []string{"seven"}, chunk
		_, body := h.chat(o, helloStream)
		if !strings.Contains(body, "unexpected EOF") || strings.Contains(body, "[DONE]") || strings.Contains(body, serverKey) {
			t.Errorf("%s: the agent cannot see it: %s", name, body)
		}
		calls, left, err := h.Calls(t.Context(), o.Episode)
		must(t, err)
		if all := h.completions(o.Episode); len(all) != 1 || all[0].Trouble == "" || len(all[0].Sampled) != 2 || len(calls) != 0 || len(left) != 1 {
			t.Errorf("%s: completions %+v, calls %v, left %v", name, all, calls, left)
		}
	}
}

// What ends a stream reaches the agent when the completion is in the store, not before.
func TestKeptBeforeTheEnd(t *testing.T) {
	h := newHouse(t, nil)
	o := h.open()
	h.policy.chunk = func(n int, _ http.ResponseWriter) bool {
		if len(h.completions(o.Episode)) != 0 {
			t.Error("kept before it was whole")
		}
		return false
	}
	h.Recorder.notes = refusing{h.Recorder.notes}
	if _, body := h.chat(o, helloStream); strings.Contains(body, `"finish_reason":"stop"`) || strings.Contains(body, "[DONE]") || !strings.Contains(body, "unexpected EOF") {
		t.Errorf("the agent has an answer that nobody kept: %s", body)
	}
	if res, body := h.chat(o, hello); res.StatusCode != 500 || strings.Contains(body, "ok") {
		t.Errorf("the agent has an answer that nobody kept: %d %s", res.StatusCode, body)
	}
}

// Many episodes at once keep their own, in order and whole.
func TestHammer(t *testing.T) {
	h := newHouse(t, &Options{AtOnce: 4})
	var wg sync.WaitGroup
	keys := []string{}
	episodes := []astra.EpisodeID{}
	for range 6 {
		o := h.open()
		keys, episodes = append(keys, string(o.Key)), append(episodes, o.Episode)
	}
	for i, key := range keys {
		for j := range 4 {
			wg.Go(func() {
				for k := range 3 {
					body := fmt.Sprintf(`{"stream":%v,"messages":[{"role":"user","content":"%s-%d-%d"}]}`, k%2 == 0, episodes[i], j, k)
					if res, text := h.post("/episodes/"+key+"/v1/chat/completions", body); res.StatusCode != 200 {
						t.Errorf("%d %s", res.StatusCode, text)
					}
				}
			})
		}
	}
	wg.Wait()
	for _, id := range episodes {
		all := h.completions(id)
		if len(all) != 12 {
			t.Errorf("%s has %d completions", id, len(all))
		}
		for n, c := range all {
			if c.N != n || !strings.Contains(string(c.Request), string(id)) || c.Trouble != "" {
				t.Errorf("%s: completion %+v", id, c)
			}
		}
	}
}
