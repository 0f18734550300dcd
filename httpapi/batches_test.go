package httpapi_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
	"github.com/astra-arenas/astra/gateway/gatewaytest"
	"github.com/astra-arenas/astra/httpapi"
	"github.com/astra-arenas/astra/httpapi/client"
	"github.com/astra-arenas/astra/trainer/batches"
	"github.com/astra-arenas/astra/trainer/groups"
	"github.com/astra-arenas/astra/trainer/samples"
	"github.com/astra-arenas/astra/trainer/sequences"
)

// calls are completions of any episode.
type calls []sequences.Call

func (c calls) Calls(context.Context, astra.EpisodeID) ([]sequences.Call, []sequences.Left, error) {
	return c, []sequences.Left{{Completion: 1, Why: "broke off"}}, nil
}

// newTrainers is a house that hands out batches of two samples.
func newTrainers(t testing.TB) (*house, *batches.Queue) {
	t.Helper()
	h := &house{t: t, Gateway: newGateway(t, nil)}
	q, err := batches.Open(t.Context(), gatewaytest.Store(t, t.TempDir()), "train", &batches.Options{Size: 2})
	must(t, err)
	recorded := calls{{Prompt: []int32{1, 2}, Sampled: []int32{3}, Logprobs: []float64{-0.5}, Version: 4}}
	reader := samples.Reader{Episodes: h.Gateway, Recorder: recorded, Baseline: groups.Mean}
	h.handler, err = httpapi.New(h.Gateway, &httpapi.Options{Token: token, Batches: q, Samples: reader})
	must(t, err)
	h.server = httptest.NewServer(h.handler)
	t.Cleanup(h.server.Close)
	h.client, err = client.New(h.server.URL, token, nil)
	must(t, err)
	return h, q
}

// pair plays a group of which one episode solves its task.
func (h *house) pair(name string) groups.Group {
	h.t.Helper()
	g := groups.Group{Name: name, Policy: 4}
	for _, made := range [][]astra.Call{{look("nut")}, nil} {
		id := h.play(gateway.OpenRequest{Task: "count", Mode: astra.Train, Group: name, Policy: "4", Principal: "t"}, made...)
		ep, err := h.Episode(h.t.Context(), id)
		must(h.t, err)
		g.Members, g.Rewards = append(g.Members, id), append(g.Rewards, ep.Score.Reward)
	}
	return g
}

func TestTrainersTakeBatches(t *testing.T) {
	h, q := newTrainers(t)
	ctx := t.Context()
	if b, err := h.client.LeaseBatch(ctx, 0); b != nil || err != nil {
		t.Errorf("a batch out of nothing: %v, %v", b, err)
	}
	g := h.pair("g1")
	_, err := q.Add(ctx, g)
	must(t, err)
	b, err := h.client.LeaseBatch(ctx, time.Second)
	must(t, err)
	if len(b.Samples) != 2 || b.Policy != 4 || b.Lease == "" || b.Tries != 1 || b.Groups[0].Name != "g1" {
		t.Fatalf("batch %+v", b)
	}
	s := b.Samples[0]
	if s.Episode != g.Members[0] || s.Task != "count" || s.Group != "g1" || s.Reward != 1 || s.Advantage != 0.5 || !strings.HasPrefix(s.Arena, "shop@sha256:") ||
		len(s.Sequences) != 1 || !slices.Equal(s.Sequences[0].Tokens, []int32{1, 2, 3}) || s.Trajectory == nil || len(s.Left) != 1 {
		t.Errorf("sample %+v", s)
	}
	must(t, h.client.ExtendBatch(ctx, b.Lease))
	must(t, h.client.NackBatch(ctx, b.Lease))
	if err := h.client.AckBatch(ctx, b.Lease); !errors.Is(err, batches.ErrLease) {
		t.Errorf("ack of a batch that was given back: %v", err)
	}
	b, err = h.client.LeaseBatch(ctx, 0)
	must(t, err)
	must(t, h.client.AckBatch(ctx, b.Lease))
	must(t, h.client.PublishPolicy(ctx, 5, ""))
	if err := h.client.PublishPolicy(ctx, 3, ""); !errors.Is(err, astra.ErrRefused) {
		t.Errorf("an older version: %v", err)
	}
	got, err := h.client.BatchStatus(ctx)
	if want := (batches.Status{Done: 1, Missing: 2, Policy: 5}); err != nil || got != want {
		t.Errorf("status %+v, %v; want %+v", got, err, want)
	}
}

// Groups that somebody else rolled out are added by name, once each.
func TestAddGroup(t *testing.T) {
	h, q := newTrainers(t)
	g := h.pair("g1")
	for range 2 {
		got, err := h.client.AddGroup(t.Context(), "g1")
		if err != nil || !got.Kept || !slices.Equal(got.Members, g.Members) || !slices.Equal(got.Rewards, g.Rewards) {
			t.Errorf("added %+v, %v; want %+v", got, err, g)
		}
	}
	if s := q.Status(); s.Ready != 1 || s.Groups != 0 {
		t.Errorf("status %+v", s)
	}
	if _, err := h.client.AddGroup(t.Context(), "none"); !errors.Is(err, astra.ErrNotFound) {
		t.Errorf("a group that nobody played: %v", err)
	}
	h.expect(nil, 200, "POST", "/v1/batches/groups", `{"group":"g1"}`)
}

// The replies are as the OpenAPI document says, which do checks.
func TestBatchReplies(t *testing.T) {
	h, q := newTrainers(t)
	h.expect(nil, 204, "POST", "/v1/batches/lease", "")
	_, err := q.Add(t.Context(), h.pair("g1"))
	must(t, err)
	var b httpapi.BatchReply
	h.expect(&b, 200, "POST", "/v1/batches/lease", `{"wait":1}`)
	h.expect(nil, 200, "GET", "/v1/batches/status", "")
	h.expect(nil, 204, "POST", "/v1/batches/ack", `{"lease":"`+b.Lease+`"}`)
	h.expect(nil, 204, "POST", "/v1/batches/publish", `{"version":9}`)
	for body, path := range map[string]string{`{"wait":61}`: "lease", `{"wait":-1}`: "lease", `{"version":-1}`: "publish", `{}`: "publish"} {
		if r := h.do("POST", "/v1/batches/"+path, body); r.StatusCode != 422 {
			t.Errorf("%s %s: %d", path, body, r.StatusCode)
		}
	}
	if r := h.do("POST", "/v1/batches/ack", `{"lease":"none"}`); r.StatusCode != 409 {
		t.Errorf("a lease that is none: %d %s", r.StatusCode, r.body)
	}
	plain := newHouse(t)
	for _, path := range []string{"lease", "ack", "nack", "extend", "publish", "groups"} {
		if r := plain.do("POST", "/v1/batches/"+path, `{}`); r.StatusCode != 501 || r.problem(t).Detail == "" {
			t.Errorf("%s where there are no batches: %d", path, r.StatusCode)
		}
	}
}

// A batch with an episode that may not be trained on is not handed out, not lost, and in
// nobody's way.
func TestBatchThatCannotBeRead(t *testing.T) {
	h, q := newTrainers(t)
	_, err := q.Add(t.Context(), groups.Group{Name: "ghosts", Members: []astra.EpisodeID{"ep-a", "ep-b"}, Rewards: []float64{0, 1}})
	must(t, err)
	_, err = q.Add(t.Context(), h.pair("g1"))
	must(t, err)
	if _, err := h.client.LeaseBatch(t.Context(), 0); !errors.Is(err, astra.ErrNotFound) {
		t.Errorf("lease: %v", err)
	}
	b, err := h.client.LeaseBatch(t.Context(), 0)
	if err != nil || b == nil || b.Groups[0].Name != "g1" {
		t.Errorf("the one behind it: %+v, %v", b, err)
	}
	if s := q.Status(); s.Leased != 2 {
		t.Errorf("status %+v", s)
	}
}

// Of many trainers that wait, each batch has one.
func TestTrainersHammer(t *testing.T) {
	h, q := newTrainers(t)
	var mu sync.Mutex
	seen := map[string]int{}
	var wg sync.WaitGroup
	const all = 8
	for range 4 {
		wg.Go(func() {
			for {
				b, err := h.client.LeaseBatch(t.Context(), 20*time.Second)
				if err != nil || b == nil {
					t.Errorf("lease: %v, %v", b, err)
					return
				}
				mu.Lock()
				seen[b.Groups[0].Name]++
				mu.Unlock()
				if err := h.client.AckBatch(t.Context(), b.Lease); err != nil {
					t.Error(err)
				}
				if strings.HasPrefix(b.Groups[0].Name, "end") {
					return
				}
			}
		})
	}
	for i := range all {
		_, err := q.Add(t.Context(), h.pair(fmt.Sprint("g", i)))
		must(t, err)
	}
	for i := range 4 {
		_, err := q.Add(t.Context(), h.pair(fmt.Sprint("end", i)))
		must(t, err)
	}
	wg.Wait()
	for i := range all {
		if n := seen[fmt.Sprint("g", i)]; n != 1 {
			t.Errorf("batch %d was handed out %d times", i, n)
		}
	}
}
