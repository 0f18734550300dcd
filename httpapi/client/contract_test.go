package client_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
	"github.com/astra-arenas/astra/gateway/gatewaytest"
	"github.com/astra-arenas/astra/httpapi"
	"github.com/astra-arenas/astra/httpapi/client"
	"github.com/astra-arenas/astra/trainer"
)

const token = "a-token-for-tests-only"

// episodes is what gateway and client have in common: doors cannot tell them apart.
type episodes interface {
	PublicArenas(ctx context.Context) ([]astra.PublicArena, error)
	PublicArena(ctx context.Context, ref string) (astra.PublicArena, error)
	Tasks(ctx context.Context, ref string, split astra.Split) ([]astra.PublicTask, error)
	Certificate(ctx context.Context, ref string) (*astra.Certificate, error)
	Open(ctx context.Context, req gateway.OpenRequest) (*gateway.Opening, error)
	Resolve(ctx context.Context, key astra.Key) (astra.EpisodeID, error)
	Tools(ctx context.Context, id astra.EpisodeID) ([]astra.PublicTool, error)
	Call(ctx context.Context, id astra.EpisodeID, c astra.Call) (astra.Step, error)
	Turn(ctx context.Context, id astra.EpisodeID, reply string) (*gateway.NextTurn, error)
	Submit(ctx context.Context, id astra.EpisodeID, s astra.Submitted) (*astra.Score, error)
	Fork(ctx context.Context, id astra.EpisodeID, req gateway.ForkRequest) ([]*gateway.Opening, error)
	Rewind(ctx context.Context, id astra.EpisodeID, req gateway.RewindRequest) (*gateway.Opening, error)
	StateAt(ctx context.Context, id astra.EpisodeID, at *int) (*gateway.State, error)
	Abort(ctx context.Context, id astra.EpisodeID, reason string) error
	Episode(ctx context.Context, id astra.EpisodeID) (*astra.Episode, error)
	Public(ctx context.Context, id astra.EpisodeID) (astra.PublicTask, error)
	List(ctx context.Context, q astra.Query) (astra.Page, error)
	Replay(ctx context.Context, id astra.EpisodeID) (*gateway.Replay, error)
	Rescore(ctx context.Context, id astra.EpisodeID) (*astra.Score, error)
}

var (
	_ episodes = (*gateway.Gateway)(nil)
	_ episodes = (*client.Client)(nil)
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func shop(t testing.TB) *astra.Bundle {
	t.Helper()
	b, err := astra.ReadBundle("../testdata/shop")
	must(t, err)
	return b
}

// house returns a gateway over real parts and a client that speaks to it over HTTP.
func house(t testing.TB) (*gateway.Gateway, *client.Client) {
	t.Helper()
	st := gatewaytest.Store(t, t.TempDir())
	must(t, st.PutCertificate(t.Context(), &astra.Certificate{Schema: astra.CertificateSchema, Arena: "shop", Digest: shop(t).Digest(), Runtime: astra.JavaScript,
		RuntimeDigest: "quickjs", Certifier: "checks-1", Checks: []astra.CertificateCheck{{Name: "gold", Unknown: 1, Findings: []astra.Finding{{Task: "restock", Text: "a <finding>"}}}}}))
	g := gatewaytest.Open(t, st, nil)
	h, err := httpapi.New(g, &httpapi.Options{Token: token, SFT: trainer.SFT{Episodes: g}.Export})
	must(t, err)
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	c, err := client.New(server.URL+"/", token, nil)
	must(t, err)
	return g, c
}

// TestContract plays the same script against the gateway and through the client; every
// answer and every error must be the same.
func TestContract(t *testing.T) {
	g, c := house(t)
	arena, err := c.AddArena(t.Context(), shop(t))
	must(t, err)
	if arena.Name != "shop" || arena.Digest != shop(t).Digest() {
		t.Errorf("added %s %s", arena.Name, arena.Digest)
	}
	local, remote := script(t, g), script(t, c)
	if len(local) != len(remote) {
		t.Fatalf("%d answers of the gateway, %d of the client", len(local), len(remote))
	}
	for i := range local {
		if local[i] != remote[i] {
			t.Errorf("answer %d:\ngateway %s\nclient  %s", i+1, local[i], remote[i])
		}
	}
}

// transcript collects answers as text in which the names of episodes are their numbers.
type transcript struct {
	t     *testing.T
	names []string
	lines []string
}

func (s *transcript) add(what string, v any, err error) {
	s.t.Helper()
	b, jsonErr := json.Marshal(v)
	must(s.t, jsonErr)
	line := what + ": " + string(b) + kindOf(err)
	for i, name := range s.names {
		line = strings.ReplaceAll(line, name, "#"+string(rune('a'+i)))
	}
	s.lines = append(s.lines, line)
}

// kindOf is all that a caller can tell of an error.
func kindOf(err error) string {
	if err == nil {
		return ""
	}
	text := " error " + err.Error()
	for _, e := range []error{astra.ErrNotFound, astra.ErrEnded, astra.ErrBudget, astra.ErrBusy, astra.ErrConflict, astra.ErrInvalid, astra.ErrUnscored,
		astra.ErrFull, astra.ErrRefused, astra.ErrDisagrees, astra.ErrUnsupported} {
		if errors.Is(err, e) {
			text += " is " + e.Error()
		}
	}
	if e, ok := errors.AsType[*astra.ScoreError](err); ok {
		text += " as ScoreError of " + string(e.Fault)
	}
	if e, ok := errors.AsType[*astra.Disagreement](err); ok {
		text += " as Disagreement at " + string(rune('0'+e.Message))
	}
	return text
}

func (s *transcript) opening(what string, o *gateway.Opening, err error) astra.EpisodeID {
	s.t.Helper()
	if err != nil {
		s.add(what, nil, err)
		return ""
	}
	s.names = append(s.names, string(o.Episode), string(o.Key))
	if o.Expires.IsZero() {
		s.t.Errorf("%s: it never expires", what)
	}
	clean := *o
	clean.Expires = time.Time{}
	s.add(what, clean, nil)
	return o.Episode
}

func (s *transcript) record(eps episodes, id astra.EpisodeID) {
	s.t.Helper()
	ep, err := eps.Episode(s.t.Context(), id)
	if err == nil {
		ep.OpenedAt, ep.EndedAt, ep.Expires = time.Time{}, time.Time{}, time.Time{}
	}
	s.add("record", ep, err)
}

func text(s string) *string { return &s }

func script(t *testing.T, eps episodes) []string {
	s := &transcript{t: t}
	ctx := t.Context()
	arenas, err := eps.PublicArenas(ctx)
	s.add("arenas", arenas, err)
	arena, err := eps.PublicArena(ctx, "shop@"+string(arenas[0].Digest))
	s.add("arena", arena, err)
	arena, err = eps.PublicArena(ctx, "a b/c?d#e%")
	s.add("strange arena", arena, err)
	tasks, err := eps.Tasks(ctx, "shop", astra.SplitTest)
	s.add("tasks", tasks, err)
	certificate, err := eps.Certificate(ctx, "shop")
	s.add("certificate", certificate, err)
	if err != nil || certificate.Checks[0].Findings[0].Text != "a <finding>" {
		t.Errorf("certificate = %+v, %v", certificate, err)
	}
	certificate, err = eps.Certificate(ctx, "none")
	s.add("no certificate", certificate, err)

	seed := int64(42)
	o, err := eps.Open(ctx, gateway.OpenRequest{Arena: "shop", Task: "restock", Seed: &seed, Mode: astra.Train, Group: "g", Policy: "p", Principal: "ann", TTL: time.Minute,
		Failures: &astra.FailurePlan{Rate: 0.3, Kinds: []astra.FailureKind{astra.RateLimited}}})
	id := s.opening("open", o, err)
	play(s, eps, id, o.Key)
	refusals(s, eps)
	forks(s, eps, id)
	return s.lines
}

// play goes through the life of one episode.
func play(s *transcript, eps episodes, id astra.EpisodeID, key astra.Key) {
	ctx := s.t.Context()
	found, err := eps.Resolve(ctx, key)
	s.add("resolve", found, err)
	for _, c := range []astra.Call{
		{Tool: "stock", Args: json.RawMessage(`{"item": "bolt"}`), Key: "k \n é"},
		{Tool: "stock", Args: json.RawMessage(`{"item":"bolt"}`), Key: "k \n é"},
		{Tool: "stock", Args: json.RawMessage(`{"item":"nut"}`), Key: "k \n é"},
		{Tool: "label", Args: json.RawMessage(`{"item":"nut"}`)},
		{Tool: "ghost"}, {Tool: "stock", Args: json.RawMessage(`{oops`)}, {Tool: "stock", Args: json.RawMessage(`[1]`)},
		{Tool: "stock", Args: json.RawMessage(`{"item":"<é>"}`)}, {Tool: "stock"}, {Tool: "stock"}, {Tool: "stock", Key: strings.Repeat("k", 300)},
	} {
		step, err := eps.Call(ctx, id, c)
		s.add("call", step, err)
	}
	public, err := eps.Public(ctx, id)
	s.add("public", public, err)
	next, err := eps.Turn(ctx, id, "Five <b>.")
	s.add("turn", next, err)
	tools, err := eps.Tools(ctx, id)
	s.add("tools", tools, err)
	score, err := eps.Submit(ctx, id, astra.Submitted{Messages: json.RawMessage(`[{"role":"assistant","content":"x"}]`)})
	s.add("submit foreign messages", score, err)
	score, err = eps.Submit(ctx, id, astra.Submitted{Answer: text(`null`)})
	s.add("submit", score, err)
	score, err = eps.Submit(ctx, id, astra.Submitted{Answer: text(`null`)})
	s.add("submit again", score, err)
	step, err := eps.Call(ctx, id, astra.Call{Tool: "stock"})
	s.add("call after the end", step, err)
	s.record(eps, id)
	replay, err := eps.Replay(ctx, id)
	s.add("replay", replay, err)
	score, err = eps.Rescore(ctx, id)
	s.add("rescore", score, err)
}

// refusals asks for what cannot be had.
func refusals(s *transcript, eps episodes) {
	ctx := s.t.Context()
	for _, req := range []gateway.OpenRequest{{Arena: "none"}, {Arena: "shop", Task: "none"}, {Arena: "shop", Task: "held", Mode: astra.Train},
		{Arena: "shop", Mode: astra.Eval}, {Arena: "shop", Mode: "other"}, {Arena: "shop", Failures: &astra.FailurePlan{Rate: 7}}, {Arena: "shop", Group: strings.Repeat("g", 300)}} {
		o, err := eps.Open(ctx, req)
		s.opening("open", o, err)
	}
	_, err := eps.Resolve(ctx, "00")
	s.add("resolve", nil, err)
	_, err = eps.Tools(ctx, "ep-none")
	s.add("tools", nil, err)
	_, err = eps.Episode(ctx, "../arenas")
	s.add("record", nil, err)

	o, err := eps.Open(ctx, gateway.OpenRequest{Arena: "shop", Task: "broken", Mode: astra.Train})
	id := s.opening("open", o, err)
	_, err = eps.Rescore(ctx, id)
	s.add("rescore", nil, err)
	score, err := eps.Submit(ctx, id, astra.Submitted{})
	s.add("submit", score, err)
	o, err = eps.Open(ctx, gateway.OpenRequest{Arena: "shop"})
	id = s.opening("open free play", o, err)
	score, err = eps.Submit(ctx, id, astra.Submitted{})
	s.add("submit free play", score, err)
}

func forks(s *transcript, eps episodes, id astra.EpisodeID) {
	ctx, at := s.t.Context(), 2
	made, err := eps.Fork(ctx, id, gateway.ForkRequest{At: &at, N: 2, Group: "forks of " + string(id), Principal: "bob", TTL: time.Minute})
	if err != nil || len(made) != 2 {
		s.t.Fatalf("%d forks, %v", len(made), err)
	}
	first := s.opening("fork", made[0], nil)
	s.opening("fork", made[1], nil)
	s.add("abort", nil, eps.Abort(ctx, first, "enough"))
	s.record(eps, first)
	for _, at := range []int{0, 2, 7, -1} {
		state, err := eps.StateAt(ctx, id, &at)
		s.add("state", state, err)
		back, err := eps.Rewind(ctx, id, gateway.RewindRequest{Step: at, Principal: "bob", TTL: time.Minute})
		if made := s.opening("rewind", back, err); made != "" {
			s.record(eps, made)
		}
	}
	state, err := eps.StateAt(ctx, id, nil)
	s.add("state now", state, err)
	page, err := eps.List(ctx, astra.Query{Group: "forks of " + string(id), Arena: "shop", Limit: 1})
	if err != nil || len(page.Episodes) != 1 || page.Next == "" {
		s.t.Errorf("listed %+v, %v", page, err)
	}
	_, err = eps.List(ctx, astra.Query{Cursor: "no cursor"})
	s.add("list", nil, err)
	_, err = eps.Fork(ctx, "ep-none", gateway.ForkRequest{})
	s.add("fork", nil, err)
}

func TestStatsAndExport(t *testing.T) {
	g, c := house(t)
	_, err := c.AddArena(t.Context(), shop(t))
	must(t, err)
	o, err := c.Open(t.Context(), gateway.OpenRequest{Arena: "shop", Task: "count", Mode: astra.Train})
	must(t, err)
	_, err = c.Call(t.Context(), o.Episode, astra.Call{Tool: "stock", Args: json.RawMessage(`{"item":"nut"}`)})
	must(t, err)
	_, err = c.Submit(t.Context(), o.Episode, astra.Submitted{Answer: text("7")})
	must(t, err)
	must(t, c.Health(t.Context()))
	stats, err := c.Stats(t.Context())
	must(t, err)
	if want := g.Stats(); !reflect.DeepEqual(stats, want) {
		t.Errorf("stats = %+v, want %+v", stats, want)
	}
	tr, err := c.Trajectory(t.Context(), o.Episode)
	must(t, err)
	var rows, want bytes.Buffer
	must(t, c.ExportSFT(t.Context(), &rows, astra.Query{Arena: "shop"}, 0.5))
	must(t, trainer.WriteSFT(&want, tr))
	if rows.String() != want.String() {
		t.Errorf("exported %s, want %s", rows.String(), want.String())
	}
}

// A client must not take another server's pages for answers, nor carry its token away.
func TestOtherServers(t *testing.T) {
	var seen []string
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, r.URL.Path)
		switch r.URL.Path {
		case "/v1/stats":
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
		case "/v1/arenas":
			io.WriteString(w, "<html>")
		default:
			http.Error(w, "nothing here", http.StatusNotFound)
		}
	}))
	defer other.Close()
	c, err := client.New(other.URL, token, nil)
	must(t, err)
	if _, err := c.Stats(t.Context()); err == nil {
		t.Error("a redirect passed for an answer")
	}
	if _, err := c.PublicArenas(t.Context()); err == nil {
		t.Error("a page passed for an answer")
	}
	if _, err := c.Episode(t.Context(), "x"); err == nil || errors.Is(err, astra.ErrNotFound) {
		t.Errorf("another server's 404 = %v, want an error that is no ErrNotFound", err)
	}
	if len(seen) != 3 {
		t.Errorf("requests: %v", seen)
	}
	for _, bad := range []string{"", "localhost:80", "ftp://localhost", "http://", "http://localhost?x=1", "http://[::1"} {
		if _, err := client.New(bad, token, nil); err == nil {
			t.Errorf("New(%q) took it", bad)
		}
	}
	if strings.Contains(c.String(), token) {
		t.Error("the client shows its token")
	}
}

func TestCancelledCall(t *testing.T) {
	_, c := house(t)
	why := errors.New("the trainer went home")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	if _, err := c.PublicArenas(ctx); !errors.Is(err, why) {
		t.Errorf("error = %v, want the cause", err)
	}
}

// Arguments that are too long are a failed step at every door, as long as a message may be.
func TestLongArguments(t *testing.T) {
	g, c := house(t)
	_, err := c.AddArena(t.Context(), shop(t))
	must(t, err)
	args := json.RawMessage(`{"item":"` + strings.Repeat("x", 3<<20) + `"}`)
	var told []string
	for _, eps := range []episodes{g, c} {
		o, err := eps.Open(t.Context(), gateway.OpenRequest{Arena: "shop"})
		must(t, err)
		step, err := eps.Call(t.Context(), o.Episode, astra.Call{Tool: "stock", Args: args})
		if err != nil || step.Result.Fault != astra.FaultAgent {
			t.Errorf("%T: %v %+v", eps, err, step.Result)
		}
		told = append(told, step.Result.Error)
	}
	if told[0] != told[1] {
		t.Errorf("gateway %q, client %q", told[0], told[1])
	}
}
