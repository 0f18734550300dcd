package atropos

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/httpapi/harness"
	"github.com/astra-arenas/astra/trainer/batches"
	"github.com/astra-arenas/astra/trainer/groups"
)

// pair is a group of two episodes that tells something.
func pair(name string) groups.Group {
	return groups.Group{Name: name, Members: []astra.EpisodeID{astra.EpisodeID(name + "-1"), astra.EpisodeID(name + "-2")}, Rewards: []float64{1, 0.5}, Policy: 1}
}

// Episodes go out as rows of tokens.
func TestEpisodesAsRows(t *testing.T) {
	h := newHouse(t, 2)
	c := h.caller()
	c.expect("POST", "/register", registration)
	_, err := h.queue.Add(t.Context(), pair("g"))
	must(t, err)
	got, err := json.Marshal(c.batch())
	must(t, err)
	want := `[{"tokens":[[1,2,3,4,5],[1,2,3],[1,9,5]],"masks":[[-100,-100,3,-100,5],[-100,-100,3],[-100,-100,5]],"scores":[1,0.5,0.5],` +
		`"advantages":[[0,0,0.25,0,0.25],[0,0,-0.25],[0,0,-0.25]],"ref_logprobs":null,` +
		`"messages":[[{"role":"user","content":"hi"}],[{"role":"user","content":"hi"}],[{"role":"user","content":"hi"}]],"generation_params":null,` +
		`"inference_logprobs":[[1,1,-0.5,1,-0.25],[1,1,-0.5],[1,1,-0.25]],"overrides":null,"group_overrides":null,"images":null,"env_id":null,"distill_token_ids":null,"distill_logprobs":null}]`
	if string(got) != want {
		t.Errorf("batch\n%s\nwant\n%s", got, want)
	}
}

// A batch is done when the next is asked for, and not before, whatever process asks.
func TestAcknowledgedByTheNext(t *testing.T) {
	h := newHouse(t, 2)
	h.caller().expect("POST", "/register", registration)
	h.caller().batch() // environments may register now
	h.caller().expect("POST", "/register-env", environment)
	for n := range 3 {
		h.caller().expect("POST", "/scored_data", scored(n))
	}
	for n := range 3 {
		h.restart()
		if b := h.caller().batch(); len(b) != 1 || b[0].Tokens[0][0] != int32(n) {
			t.Fatalf("batch %d: %+v", n, b)
		}
		if s := h.queue.Status(); s.Done != n || s.Leased != 1 {
			t.Errorf("after batch %d: %+v", n, s)
		}
	}
	h.restart()
	h.caller().expect("POST", "/register", registration) // the trainer died over the last
	if b := h.caller().batch(); len(b) != 1 || b[0].Tokens[0][0] != 2 {
		t.Errorf("what the trainer had is not handed out again: %+v", b)
	}
	if b := h.caller().batch(); b != nil || h.queue.Status().Done != 3 {
		t.Errorf("batch %+v, status %+v", b, h.queue.Status())
	}
	var status struct {
		Step int `json:"current_step"`
	}
	must(t, json.Unmarshal([]byte(h.caller().expect("GET", "/status", "")), &status))
	if status.Step != 3+3 {
		t.Errorf("step %d after three batches from step 3", status.Step)
	}
}

func TestAcknowledgedByHeader(t *testing.T) {
	h := newHouse(t, 2)
	c := h.caller()
	c.expect("POST", "/register", registration)
	for _, name := range []string{"a", "b"} {
		_, err := h.queue.Add(t.Context(), pair(name))
		must(t, err)
	}
	ack := func(lease string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Astra-Ack", lease) }
	}
	_, one, _ := c.do("GET", "/batch", "", ack(""))
	_, two, _ := c.do("GET", "/batch", "", ack(""))
	if s := h.queue.Status(); s.Leased != 2 || s.Done != 0 || one.Get("Astra-Lease") == two.Get("Astra-Lease") {
		t.Errorf("two trainers: %+v", s)
	}
	c.do("GET", "/batch", "", ack(two.Get("Astra-Lease")))
	if s := h.queue.Status(); s.Leased != 1 || s.Done != 1 {
		t.Errorf("one is done: %+v", s)
	}
}

// What was handed in is there for trainers of any door, and taken once.
func TestHandedInGroups(t *testing.T) {
	h := newHouse(t, 4)
	c := h.caller()
	c.expect("POST", "/scored_data", scored(1))
	c.expect("POST", "/scored_data", scored(1)) // its answer was lost
	c.expect("POST", "/scored_data", strings.Replace(scored(2), `"scores":[1,0]`, `"scores":[-3,5]`, 1))
	c.expect("POST", "/scored_data", strings.Replace(scored(3), `"scores":[1,0]`, `"scores":[1,1]`, 1)) // tells nothing
	b, err := h.queue.Lease(t.Context())
	must(t, err)
	if b == nil || len(b.Groups) != 2 || b.Groups[1].Rewards[0] != 0 || b.Groups[1].Rewards[1] != 1 {
		t.Fatalf("batch %+v", b)
	}
	list, err := h.Samples(t.Context(), b.Groups[0])
	must(t, err)
	if len(list) != 2 || list[0].Reward != 1 || list[0].Advantage != 0.5 || list[0].Sequences[0].Sampled() != 1 || list[0].Sequences[0].Logprobs[2] != -0.5 || list[0].Sequences[0].Logprobs[0] != 0 {
		t.Errorf("samples %+v", list)
	}
	if list, err = h.Samples(t.Context(), pair("ours")); err != nil || len(list) != 2 || list[0].Trajectory == nil {
		t.Errorf("samples of our own group: %+v, %v", list, err)
	}
}

// Groups that are too small wait for others, over a restart too.
func TestPieces(t *testing.T) {
	h := newHouse(t, 2)
	h.caller().expect("POST", "/register", registration)
	h.caller().batch()
	h.caller().expect("POST", "/register-env", environment)
	piece := func(n int, score string) string {
		return fmt.Sprintf(`{"tokens":[[%d]],"masks":[[%d]],"scores":[%s],"env_id":0}`, n, n, score)
	}
	for _, want := range []string{`{"status":"buffered","buffer_size":1}`, `{"status":"buffered","buffer_size":1}`} {
		if got := h.caller().expect("POST", "/scored_data", piece(1, "1")); got != want {
			t.Errorf("answer %s, want %s", got, want)
		}
	}
	h.restart()
	h.caller().expect("POST", "/scored_data", piece(2, "0"))
	if b := h.caller().batch(); len(b) != 2 || b[0].Tokens[0][0] != 1 || b[1].Tokens[0][0] != 2 {
		t.Errorf("batch %+v", b)
	}
	for n := range maxPieces {
		h.caller().expect("POST", "/scored_data", fmt.Sprintf(`{"tokens":[[%d],[1],[1]],"masks":[[-100],[1],[1]],"scores":[0,1,1],"env_id":0}`, n))
	}
	if status, _, text := h.caller().do("POST", "/scored_data", piece(3, "0")); status != 422 {
		t.Errorf("there is no bound: %d %s", status, text)
	}
}

func TestRefusals(t *testing.T) {
	h := newHouse(t, 2)
	c := h.caller()
	for body, want := range map[string]string{
		`{}`: "rows", `{"tokens":[[1]],"masks":[[1]],"scores":[]}`: "scores",
		`{"tokens":[[1]],"masks":[[2]],"scores":[1]}`:                              "mask",
		`{"tokens":[[1]],"masks":[[1,1]],"scores":[1]}`:                            "masks",
		`{"tokens":[[-1]],"masks":[[-1]],"scores":[1]}`:                            "id",
		`{"tokens":[[1]],"masks":[[1]],"scores":[1],"inference_logprobs":[[0.5]]}`: "log-probability",
		`{"tokens":[[1]],"masks":[[1]],"scores":[1],"inference_logprobs":[[]]}`:    "log-probabilities",
		`{"tokens":[[1]],"masks":[[1]],"scores":[1],"advantages":[]}`:              "advantages",
		`{"tokens":[[1]],"masks":[[1]],"scores":[NaN]}`:                            "body",
		`{"tokens":[[99999999999]],"masks":[[1]],"scores":[1]}`:                    "body",
		`[` + scored(1) + `]`: "body",
	} {
		if status, _, text := c.do("POST", "/scored_data", body); status != 422 || !strings.Contains(text, want) {
			t.Errorf("%s: %d %s", body, status, text)
		}
	}
	if status, _, text := c.do("POST", "/register", strings.Replace(registration, `"batch_size":2`, `"batch_size":32`, 1)); status != 422 || !strings.Contains(text, "batches of 2") {
		t.Errorf("another batch size: %d %s", status, text)
	}
	if status, _, _ := c.do("GET", "/reset_data", "", func(r *http.Request) { r.Header.Set("Origin", "http://evil.example") }); status != 403 {
		t.Errorf("a page resets: %d", status)
	}
	for site, want := range map[string]int{"cross-site": 403, "same-site": 403, "none": 200} {
		if status, _, _ := c.do("GET", "/batch", "", func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", site) }); status != want {
			t.Errorf("an image whose address is a batch's, %s: %d, want %d", site, status, want)
		}
	}
	if status, _, _ := c.do("GET", "/batch", "", func(r *http.Request) { r.Host = "evil.example" }); status != 403 {
		t.Errorf("a page whose name points here takes a batch: %d", status)
	}
	if status, _, _ := c.do("POST", "/scored_data", "not packed", func(r *http.Request) { r.Header.Set("Content-Encoding", "gzip") }); status != 400 {
		t.Errorf("no gzip: %d", status)
	}
	if status, _, _ := c.do("POST", "/scored_data", strings.Repeat(" ", maxBody+1), packed); status != 413 {
		t.Errorf("a bomb: %d", status)
	}
}

func TestToken(t *testing.T) {
	h := newHouse(t, 2)
	s, err := New(t.Context(), h.store, h.queue, recorded{}, harness.NewGate("secret", nil), nil)
	must(t, err)
	for token, want := range map[string]int{"": 401, "Bearer other": 401, "Bearer secret": 200} {
		r := httptest.NewRequest("GET", "/batch", nil)
		r.Header.Set("Authorization", token)
		w := httptest.NewRecorder()
		if s.Handler().ServeHTTP(w, r); w.Code != want {
			t.Errorf("%q: %d", token, w.Code)
		}
	}
}

// Nothing was recorded of a batch's episodes: nobody is handed rows of nothing, and what is
// behind it is handed out.
func TestBatchWithoutTokens(t *testing.T) {
	h := newHouse(t, 2)
	h.Server.samples = nothing{}
	h.caller().expect("POST", "/register", registration)
	_, err := h.queue.Add(t.Context(), pair("g"))
	must(t, err)
	h.caller().expect("POST", "/scored_data", scored(1))
	if status, _, _ := h.caller().do("GET", "/batch", ""); status != 500 {
		t.Errorf("%d, %+v", status, h.queue.Status())
	}
	if b := h.caller().batch(); len(b) != 1 || b[0].Tokens[0][0] != 1 || h.queue.Status().Leased != 2 {
		t.Errorf("batch %+v, status %+v", b, h.queue.Status())
	}
}

// An environment that waits for its groups to be taken does not wait for those that were
// dropped, or that it handed in twice.
func TestNothingWaitsForEver(t *testing.T) {
	h := newHouse(t, 2)
	h.opts.MaxLag = 1
	h.restart()
	c := h.caller()
	c.expect("POST", "/register", registration)
	c.batch()
	c.expect("POST", "/register-env", environment)
	own := func() (n int) {
		t.Helper()
		var status envStatus
		must(t, json.Unmarshal([]byte(c.expect("GET", "/status-env", `{"env_id":0}`)), &status))
		return status.Own
	}
	c.expect("POST", "/scored_data", scored(1))
	c.expect("POST", "/scored_data", scored(1))
	if n := own(); n != 1 {
		t.Errorf("%d groups wait, want the one that was handed in twice", n)
	}
	must(t, h.queue.Publish(t.Context(), 5, ""))
	c.expect("POST", "/scored_data", scored(2))
	if b := c.batch(); len(b) != 1 || b[0].Tokens[0][0] != 2 || h.queue.Status().Dropped != 1 {
		t.Fatalf("batch %+v, %+v", b, h.queue.Status())
	}
	if n := own(); n != 0 {
		t.Errorf("%d groups wait, want none: one was dropped, one is out", n)
	}
	c.expect("POST", "/scored_data", scored(3))
	if n := own(); n != 1 {
		t.Errorf("%d groups wait, want the last", n)
	}
}

// Where no trainer takes batches, environments are told so.
func TestBacklog(t *testing.T) {
	h := newHouse(t, 2)
	h.opts.MaxOpen = 1
	h.restart()
	h.caller().expect("POST", "/scored_data", scored(1))
	if status, _, text := h.caller().do("POST", "/scored_data", scored(2)); status != 503 || !strings.Contains(text, "start a trainer") {
		t.Errorf("%d %s", status, text)
	}
}

// Environments hand in and a trainer takes, all at once: each group comes once.
func TestHammer(t *testing.T) {
	h := newHouse(t, 2)
	c := h.caller()
	c.expect("POST", "/register", registration)
	c.batch()
	c.expect("POST", "/register-env", environment)
	const all = 40
	var wg sync.WaitGroup
	for e := range 4 {
		wg.Go(func() {
			for n := e; n < all; n += 4 {
				c.expect("POST", "/scored_data", scored(n), packed)
			}
		})
	}
	seen := map[int32]int{}
	for len(seen) < all {
		for _, item := range c.batch() {
			seen[item.Tokens[0][0]]++
		}
	}
	wg.Wait()
	if b := c.batch(); b != nil {
		t.Errorf("one more: %+v", b)
	}
	for n, times := range seen {
		if times != 1 {
			t.Errorf("group %d was handed out %d times", n, times)
		}
	}
	if s := h.queue.Status(); s != (batches.Status{Done: all, Missing: 2}) {
		t.Errorf("status %+v", s)
	}
}

// FuzzScored hands in whatever it likes: it is refused, or can be handed out.
func FuzzScored(f *testing.F) {
	for _, seed := range []string{scored(1), "[" + scored(2) + "]", `{"tokens":[[1],[2]],"masks":[[1],[-100]],"scores":[1e308,-1e308],"messages":[[{}]]}`, `{"env_id":-1}`, `null`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		var d ScoredData
		if json.Unmarshal([]byte(body), &d) != nil || d.check() != nil {
			return
		}
		g := groupOf("g", []ScoredData{d}, 0)
		if err := g.Check(); err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		for i := range d.Tokens {
			q := d.sequence(i, 0)
			for _, p := range q.Logprobs {
				if p > 0 {
					t.Fatalf("%s: log-probability %g", body, p)
				}
			}
		}
	})
}

// What comes while too many large bodies do is refused, be they large only when unpacked.
func TestNoRoomForBodies(t *testing.T) {
	h := newHouse(t, 2)
	full := harness.Bodies(h.Handler(), 1)
	for how, edit := range map[string]func(*http.Request){"plain": func(*http.Request) {}, "packed": packed} {
		r, w := httptest.NewRequest("POST", "/scored_data", strings.NewReader(strings.Repeat(" ", 1<<20))), httptest.NewRecorder()
		edit(r)
		full.ServeHTTP(w, r)
		if w.Code != 503 || !strings.Contains(w.Body.String(), "too many large requests") {
			t.Errorf("%s: %d %s", how, w.Code, w.Body)
		}
	}
}
