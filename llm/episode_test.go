package llm_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
	"github.com/astra-arenas/astra/gateway/gatewaytest"
	"github.com/astra-arenas/astra/llm"
)

const parcels = `name: parcels
version: 1.0.0
title: Parcels
description: A parcel service.
domain: logistics
license: Apache-2.0
runtime: emulated
tools:
  - {name: send, title: Send, description: Sends a parcel., input: {type: object, properties: {to: {type: string}}, required: [to]}, output: {type: object, properties: {id: {type: string}}, required: [id]}}
  - {name: other, title: CANARY-other, description: CANARY-other, input: {type: object}}
provenance: {from: CANARY-provenance}
`

// A canary stands in everything about a task that is not the called tool's business.
const parcelTasks = `{"id":"CANARY-id","title":"CANARY-title","seed":3,"turns":[{"prompt":"CANARY-prompt"},{"prompt":"CANARY-later"}],"tools":["send","other"],"scenario":{"entities":{"depot":{"city":"Ulm"}}},` +
	`"subtasks":[{"id":"s1","question":"CANARY-question","tool":"send","solved":"step.value.id == 'P1' && step.args.to != 'CANARY-solved'"},{"id":"s2","tool":"send","answer":"CANARY-answer","at":"/CANARY-at"}],` +
	`"gold":[[{"tool":"send","args":{"to":"CANARY-gold"}}]],"answer":{"expected":"CANARY-expected"},` +
	`"verify":{"CANARY_verifier":"state.entities.P1.to == 'Bonn' && !('CANARY-state' in state.entities)"},"weights":{"CANARY_verifier":1}}` + "\n" +
	`{"id":"gold","turns":[{"prompt":"Send one to Bonn."}],"gold":[[{"tool":"send","args":{"to":"Bonn"}}]],"verify":{"same":"state == gold.state && gold.steps[0].value.id == 'P1'"}}`

// A post is a gateway over real parts, and an emulator whose model is a fake.
type post struct {
	*gateway.Gateway
	*testing.T
	dir   string
	model llm.Model
	seen  strings.Builder // every byte that the model's server got
	says  string          // instead of an answer
}

func newPost(t *testing.T) *post {
	p := &post{T: t, dir: t.TempDir()}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(&p.seen, "%s %s %v\n", r.Method, r.URL, r.Header)
		var req struct{ Messages []struct{ Content string } }
		body := json.NewDecoder(teeReader{r.Body, &p.seen})
		if err := body.Decode(&req); err != nil {
			t.Error(err)
		}
		said := p.says
		if said == "" {
			said = send(t, req.Messages[1].Content)
		}
		w.Header().Set("Content-Type", "application/json")
		text, _ := json.Marshal(said)
		fmt.Fprintf(w, `{"choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":%s}}]}`, text)
	}))
	t.Cleanup(server.Close)
	m, err := llm.NewOpenAI(llm.Options{BaseURL: server.URL, Model: "m"})
	if err != nil {
		t.Fatal(err)
	}
	p.model = m
	return p
}

type teeReader struct {
	from interface{ Read([]byte) (int, error) }
	to   *strings.Builder
}

func (r teeReader) Read(b []byte) (int, error) {
	n, err := r.from.Read(b)
	r.to.Write(b[:n])
	return n, err
}

// send is a model that numbers parcels by what it remembers.
func send(t *testing.T, text string) string {
	var d struct {
		Memory    map[string]json.RawMessage
		Arguments struct{ To json.RawMessage }
	}
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		t.Error(err)
	}
	id := 1
	for d.Memory[fmt.Sprint("P", id)] != nil {
		id++
	}
	return fmt.Sprintf(`{"result":{"id":"P%d"},"memory":{"P%d":{"to":%s}}}`, id, id, d.Arguments.To)
}

// open opens the gateway on the store, with the arena in it.
func (p *post) open(files ...astra.File) (down func()) {
	p.Helper()
	st := gatewaytest.Store(p.T, p.dir)
	p.Gateway = gatewaytest.Open(p.T, st, nil, llm.NewEmulated(p.model, nil))
	b, err := astra.NewBundle(append(files, astra.File{Path: "arena.yaml", Data: []byte(parcels)}, astra.File{Path: "tasks.jsonl", Data: []byte(parcelTasks)}))
	if err != nil {
		p.Fatal(err)
	}
	if _, err := p.AddArena(p.Context(), b); err != nil {
		p.Fatal(err)
	}
	return func() {
		if err := errors.Join(p.Gateway.Close(), st.Close()); err != nil {
			p.Error(err)
		}
	}
}

func (p *post) begin(task string) astra.EpisodeID {
	p.Helper()
	o, err := p.Open(p.Context(), gateway.OpenRequest{Arena: "parcels", Task: task, Mode: astra.Eval})
	if err != nil {
		p.Fatal(err)
	}
	return o.Episode
}

func (p *post) send(id astra.EpisodeID, to, want string) astra.Step {
	p.Helper()
	step, err := p.Call(p.Context(), id, astra.Call{Tool: "send", Args: json.RawMessage(`{"to":"` + to + `"}`)})
	if err != nil || string(step.Result.Value) != want {
		p.Errorf("send to %s: %s %q %v, want %s", to, step.Result.Value, step.Result.Error, err, want)
	}
	return step
}

// TestEpisode plays an episode across a restart, and looks for canaries in every byte that
// the model was sent.
func TestEpisode(t *testing.T) {
	p := newPost(t)
	down := p.open()
	id := p.begin("CANARY-id")
	p.send(id, "Bonn", `{"id":"P1"}`)
	if _, err := p.Turn(t.Context(), id, "CANARY-reply"); err != nil {
		t.Fatal(err)
	}
	down()

	down = p.open()
	defer down()
	p.send(id, "Kiel", `{"id":"P2"}`) // so P1 is remembered
	forks, err := p.Fork(t.Context(), id, gateway.ForkRequest{At: new(int)})
	if err != nil {
		t.Fatal(err)
	}
	p.send(forks[0].Episode, "Jena", `{"id":"P1"}`)
	answer := "CANARY-submitted"
	score, err := p.Submit(t.Context(), id, astra.Submitted{Answer: &answer})
	if err != nil || score.Reward != 1 {
		t.Errorf("Submit = %+v, %v", score, err)
	}
	if r, err := p.Replay(t.Context(), id); err != nil || !r.Same {
		t.Errorf("Replay = %+v, %v", r, err)
	}
	seen := p.seen.String()
	if found := regexp.MustCompile(`CANARY[-_]\w*`).FindAllString(seen, -1); found != nil {
		t.Errorf("the model was shown %q", found)
	}
	for _, shown := range []string{"A parcel service.", "Sends a parcel.", "Ulm", "Kiel", "P1"} {
		if !strings.Contains(seen, shown) {
			t.Errorf("the model was not shown %q", shown)
		}
	}
}

// TestEpisodeInvalid: what a model says that fits nothing scores nobody 0.
func TestEpisodeInvalid(t *testing.T) {
	p := newPost(t)
	p.says = "I am only a model."
	defer p.open()()
	id := p.begin("gold")
	_, err := p.Call(t.Context(), id, astra.Call{Tool: "send", Args: json.RawMessage(`{"to":"Bonn"}`)})
	if se, ok := errors.AsType[*astra.StepError](err); !ok || se.Fault != astra.FaultUpstream || !errors.Is(err, astra.ErrInvalid) {
		t.Errorf("Call = %v, want the fault upstream", err)
	}
	if ep, err := p.Episode(t.Context(), id); err != nil || ep.Status != astra.StatusInvalid || len(ep.Steps) != 0 {
		t.Errorf("episode = %+v, %v", ep, err)
	}
}

// TestEpisodeFromCassette: gold and episode play without a model what was recorded with one.
func TestEpisodeFromCassette(t *testing.T) {
	p := newPost(t)
	down := p.open()
	id := p.begin("gold")
	step := p.send(id, "Bonn", `{"id":"P1"}`)
	if score, err := p.Submit(t.Context(), id, astra.Submitted{}); err != nil || score.Reward != 1 {
		t.Errorf("Submit = %+v, %v", score, err)
	}
	down()
	var c astra.Cassette
	c.Add(astra.Recording{Key: astra.MatchEpisode.Next(astra.CassetteStart(nil), step.Tool, step.Args), Tool: step.Tool, Args: step.Args, Result: step.Result})
	text, err := c.Bytes()
	if err != nil {
		t.Fatal(err)
	}

	p.dir, p.model = t.TempDir(), nil
	defer p.open(astra.File{Path: astra.CassetteFile, Data: text})()
	id = p.begin("gold")
	p.send(id, "Kiel", "")
	if again := p.send(id, "Bonn", `{"id":"P1"}`); again.Result.Log != step.Result.Log {
		t.Errorf("log = %s, was %s", again.Result.Log, step.Result.Log)
	}
	if score, err := p.Submit(t.Context(), id, astra.Submitted{}); err != nil || score.Reward != 1 {
		t.Errorf("Submit = %+v, %v", score, err)
	}
}
