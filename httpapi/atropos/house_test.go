package atropos

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/httpapi/harness"
	"github.com/astra-arenas/astra/store"
	"github.com/astra-arenas/astra/trainer/batches"
	"github.com/astra-arenas/astra/trainer/groups"
	"github.com/astra-arenas/astra/trainer/samples"
	"github.com/astra-arenas/astra/trainer/sequences"
)

// A house is a server over a queue in a real store.
type house struct {
	*Server
	t     testing.TB
	store *store.Store
	queue *batches.Queue
	web   *httptest.Server
	opts  batches.Options
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newHouse(t testing.TB, size int) *house {
	t.Helper()
	h := &house{t: t, opts: batches.Options{Size: size}}
	var err error
	h.store, err = store.Open(t.TempDir(), nil)
	must(t, err)
	t.Cleanup(func() { must(t, h.store.Close()) })
	h.restart()
	return h
}

// restart is another process over the same store.
func (h *house) restart() {
	h.t.Helper()
	if h.web != nil {
		h.web.Close()
	}
	var err error
	h.queue, err = batches.Open(h.t.Context(), h.store, "train", &h.opts)
	must(h.t, err)
	h.Server, err = New(h.t.Context(), h.store, h.queue, recorded{}, harness.NewGate("", nil), &Options{BatchSize: h.opts.Size})
	must(h.t, err)
	h.web = httptest.NewServer(h.Handler())
	h.t.Cleanup(h.web.Close)
}

// recorded makes samples of two calls for the first member of a group, which are one
// sequence, and of a drifted one for others, which are two.
type recorded struct{}

func (recorded) Samples(_ context.Context, g groups.Group) ([]samples.Sample, error) {
	worth, err := groups.Advantages(g.Rewards, groups.Mean)
	if err != nil {
		return nil, err
	}
	var all []samples.Sample
	for i, id := range g.Members {
		calls := []sequences.Call{{Prompt: []int32{1, 2}, Sampled: []int32{3}, Logprobs: []float64{-0.5}}, {Prompt: []int32{1, 2, 3, 4}, Sampled: []int32{5}, Logprobs: []float64{-0.25}}}
		if i > 0 {
			calls[1].Prompt = []int32{1, 9}
		}
		s := samples.Sample{Episode: id, Reward: g.Rewards[i], Advantage: worth[i], Trajectory: &astra.Trajectory{Messages: json.RawMessage(`[{"role":"user","content":"hi"}]`)}}
		if s.Sequences, s.Splits, err = sequences.Merge(calls); err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

// A caller speaks to a server as Atropos's clients do.
type caller struct {
	t    testing.TB
	base string
}

func (h *house) caller() caller { return caller{h.t, h.web.URL} }

func (c caller) do(method, path, body string, edit ...func(*http.Request)) (int, http.Header, string) {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.base+path, strings.NewReader(body))
	must(c.t, err)
	req.Header.Set("Content-Type", "application/json")
	for _, f := range edit {
		f(req)
	}
	res, err := http.DefaultClient.Do(req)
	must(c.t, err)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	must(c.t, err)
	return res.StatusCode, res.Header, string(b)
}

// expect is do for what must succeed.
func (c caller) expect(method, path, body string, edit ...func(*http.Request)) string {
	c.t.Helper()
	status, _, text := c.do(method, path, body, edit...)
	if status != 200 {
		c.t.Fatalf("%s %s: %d %s", method, path, status, text)
	}
	return text
}

// batch asks for one; nil if there is none.
func (c caller) batch(edit ...func(*http.Request)) []ScoredData {
	c.t.Helper()
	var reply batchReply
	must(c.t, json.Unmarshal([]byte(c.expect("GET", "/batch", "", edit...)), &reply))
	return reply.Batch
}

// packed sends a body as Atropos's environments do where it is long.
func packed(r *http.Request) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = io.Copy(z, r.Body)
	_ = z.Close()
	r.Body, r.ContentLength = io.NopCloser(&b), int64(b.Len())
	r.Header.Set("Content-Encoding", "gzip")
}

const registration = `{"wandb_group":"g","wandb_project":"p","batch_size":2,"max_token_len":64,"checkpoint_dir":"c","save_checkpoint_interval":5,"starting_step":3,"num_steps":9}`
const environment = `{"max_token_length":64,"desired_name":"shop","weight":1.0,"group_size":2}`

// scored is a group of two whose first token tells it apart.
func scored(n int) string {
	b, err := json.Marshal(ScoredData{Tokens: [][]int32{{int32(n), 2, 3}, {int32(n), 4}}, Masks: [][]int32{{-100, -100, 3}, {-100, 4}}, Scores: []float64{1, 0},
		Logprobs: [][]float64{{1, 1, -0.5}, {1, -0.25}}, EnvID: new(int)})
	if err != nil {
		panic(err)
	}
	return string(b)
}

// nothing is samples without tokens.
type nothing struct{}

func (nothing) Samples(context.Context, groups.Group) ([]samples.Sample, error) {
	return []samples.Sample{{}}, nil
}
