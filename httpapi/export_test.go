package httpapi_test

import (
	"bytes"
	"errors"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
	"github.com/astra-arenas/astra/httpapi"
	"github.com/astra-arenas/astra/httpapi/client"
	"github.com/astra-arenas/astra/trainer/groups"
	"github.com/astra-arenas/astra/trainer/samples"
)

// newStock is a house that exports samples.
func newStock(t *testing.T) *house {
	t.Helper()
	h := &house{t: t, Gateway: newGateway(t, nil)}
	recorded := calls{{Prompt: []int32{1, 2}, Sampled: []int32{3}, Logprobs: []float64{-0.5}, Version: 4}}
	var err error
	h.handler, err = httpapi.New(h.Gateway, &httpapi.Options{Token: token, RL: samples.Stock{Store: h.Gateway, Recorder: recorded}.Export})
	must(t, err)
	h.server = httptest.NewServer(h.handler)
	t.Cleanup(h.server.Close)
	h.client, err = client.New(h.server.URL, token, nil)
	must(t, err)
	return h
}

// exported is what the client gets: names of groups with their rewards and advantages, and
// what makes none.
func (h *house) exported(q astra.Query, b groups.Baseline) (all [][]samples.Sample, omitted []samples.Omitted) {
	h.t.Helper()
	var lines bytes.Buffer
	must(h.t, h.client.ExportRL(h.t.Context(), &lines, q, b))
	for g, err := range samples.ReadExport(&lines) {
		if o, ok := errors.AsType[*samples.Omitted](err); ok {
			omitted = append(omitted, *o)
			continue
		}
		must(h.t, err)
		all = append(all, g)
	}
	return all, omitted
}

// Whole groups leave, oldest first; what makes no samples is told.
func TestExportRL(t *testing.T) {
	h := newStock(t)
	train := func(group string) gateway.OpenRequest {
		return gateway.OpenRequest{Task: "count", Mode: astra.Train, Group: group, Policy: "4", Principal: "t"}
	}
	h.pair("z-first")
	h.pair("a-second")
	h.play(train(""), look("nut"))
	h.play(train("open"), look("nut"))
	must(t, errOf(h.Open(t.Context(), withArena(train("open")))))
	gone, err := h.Open(t.Context(), withArena(train("z-first")))
	must(t, err)
	must(t, h.Abort(t.Context(), gone.Episode, "test"))
	h.play(gateway.OpenRequest{Task: "count", Mode: astra.Eval, Group: "eval"}, look("nut"))

	all, omitted := h.exported(astra.Query{}, groups.Mean)
	if len(all) != 2 || all[0][0].Group != "z-first" || all[1][0].Group != "a-second" || len(all[0]) != 2 {
		t.Fatalf("groups %+v", all)
	}
	s := all[0][0]
	if s.Reward != 1 || s.Advantage != 0.5 || all[0][1].Advantage != -0.5 || s.Policy != 4 || len(s.Sequences) != 1 || !slices.Equal(s.Sequences[0].Tokens, []int32{1, 2, 3}) || s.Trajectory == nil {
		t.Errorf("sample %+v", s)
	}
	for i, want := range []samples.Omitted{{Group: "z-first", Episodes: 1, Why: "they ended without a reward"}, {Group: "", Episodes: 1, Why: "they are in no group"},
		{Group: "open", Episodes: 2, Why: "not all of them may be trained on, or some are still played"}} {
		if len(omitted) != 3 || omitted[i].Group != want.Group || omitted[i].Episodes != want.Episodes || !strings.HasPrefix(omitted[i].Why, want.Why) {
			t.Fatalf("omitted %+v, want %+v", omitted, want)
		}
	}
	if all, omitted := h.exported(astra.Query{Group: "a-second"}, groups.Normalised); len(all) != 1 || len(omitted) != 0 || !(all[0][0].Advantage > 0.9) {
		t.Errorf("one group: %+v, %+v", all, omitted)
	}
	if r := h.do("GET", "/v1/export/rl?advantage=none", ""); r.StatusCode != 400 {
		t.Errorf("no such baseline: %d", r.StatusCode)
	}
	if r := newHouse(t).do("GET", "/v1/export/rl", ""); r.StatusCode != 501 {
		t.Errorf("a server without samples: %d", r.StatusCode)
	}
}

func errOf(_ *gateway.Opening, err error) error { return err }

func withArena(r gateway.OpenRequest) gateway.OpenRequest {
	r.Arena = "shop"
	return r
}
