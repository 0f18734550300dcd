package httpapi_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
	"github.com/astra-arenas/astra/httpapi"
)

// TestLife plays a two-turn episode over REST as a trainer would.
func TestLife(t *testing.T) {
	h := newHouse(t)
	var o gateway.Opening
	h.expect(&o, 201, "POST", "/v1/episodes", `{"arena":"shop","task":"restock","mode":"train","group":"g1","policy":"p7","ttl":600}`)
	if o.Message != "How many bolts are left?" || o.Key == "" || len(o.Task.Tools) != 2 {
		t.Errorf("opening = %+v", o)
	}
	at := "/v1/episodes/" + string(o.Episode)

	var found httpapi.EpisodeReply
	h.expect(&found, 200, "POST", "/v1/keys/resolve", `{"key":"`+string(o.Key)+`"}`)
	if found.Episode != o.Episode {
		t.Errorf("the key is of %s, want %s", found.Episode, o.Episode)
	}

	var step, again astra.Step
	h.expect(&step, 200, "POST", at+"/calls", `{"tool":"stock","args":{"item":"bolt"}}`, header("Idempotency-Key", "k1"))
	h.expect(&again, 200, "POST", at+"/calls", `{"tool":"stock","args":{"item":"bolt"}}`, header("Idempotency-Key", "k1"))
	if step.Index != 1 || again.Index != 1 || string(step.Result.Value) != `{"item":"bolt","left":5}` {
		t.Errorf("step %+v, repeated %+v", step, again)
	}
	h.expect(&step, 200, "POST", at+"/calls", `{"tool":"label","args":{"item":"nut"}}`)
	if string(step.Result.Value) != `"<nut> & co"` {
		t.Errorf("value = %s: recorded bytes must arrive unchanged", step.Result.Value)
	}

	var next gateway.NextTurn
	h.expect(&next, 200, "POST", at+"/turns", `{"reply":"Five."}`)
	if next.Turn != 2 || next.Message == "" || len(next.ToolsAdded) != 1 {
		t.Errorf("turn = %+v", next)
	}
	var tools httpapi.ToolsReply
	h.expect(&tools, 200, "GET", at+"/tools", "")
	if len(tools.Tools) != 3 {
		t.Errorf("%d tools in view, want 3", len(tools.Tools))
	}
	h.expect(nil, 200, "POST", at+"/calls", `{"tool":"order","args":{"item":"bolt","quantity":200}}`)

	var scored httpapi.ScoreReply
	h.expect(&scored, 200, "POST", at+"/submit", `{"answer":{"left": 205}}`)
	if scored.Score == nil || scored.Score.Reward <= 0 {
		t.Fatalf("score = %+v", scored.Score)
	}
	var score astra.Score
	h.expect(&score, 200, "GET", at+"/score", "")
	if score.Reward != scored.Score.Reward {
		t.Errorf("score = %v, want %v", score.Reward, scored.Score.Reward)
	}

	var ep astra.Episode
	h.expect(&ep, 200, "GET", at, "")
	if len(ep.Steps) != 3 || ep.AnswerText() != `{"left":205}` || ep.Status != astra.StatusScored || ep.Principal != "control" || ep.KeyHash != "" {
		t.Errorf("record = %+v", ep)
	}
	var replay gateway.Replay
	h.expect(&replay, 200, "POST", at+"/replay", "")
	if !replay.Same || replay.Steps != 3 {
		t.Errorf("replay = %+v", replay)
	}
	h.expect(&score, 200, "POST", at+"/rescore", "")
	if score.Reward != scored.Score.Reward {
		t.Errorf("rescore = %v, want %v", score.Reward, scored.Score.Reward)
	}
}

func TestForkAndAbort(t *testing.T) {
	h := newHouse(t)
	id := h.play(gateway.OpenRequest{Task: "count", Mode: astra.Train}, look("nut"), look("bolt"))
	var forks httpapi.ForkReply
	h.expect(&forks, 201, "POST", "/v1/episodes/"+string(id)+"/fork", `{"at":1,"n":2,"group":"forks"}`)
	if len(forks.Episodes) != 2 || forks.Episodes[0].Episode == forks.Episodes[1].Episode {
		t.Fatalf("forks = %+v", forks.Episodes)
	}
	keyed := `{"at":1,"keys":["0123456789abcdef0123456789abcdef"]}`
	for range 2 {
		h.expect(&forks, 201, "POST", "/v1/episodes/"+string(id)+"/fork", keyed)
		h.expect(nil, 201, "POST", "/v1/episodes/"+string(id)+"/rewind", `{"step":0,"key":"00112233445566778899aabbccddeeff"}`)
	}
	var page astra.Page
	if h.expect(&page, 200, "GET", "/v1/episodes", ""); len(page.Episodes) != 5 {
		t.Errorf("%d episodes after one play, two forks, and a fork and a rewind asked for twice", len(page.Episodes))
	}
	for path, body := range map[string]string{"/fork": `{"keys":["guess"]}`, "/rewind": `{"step":0,"key":"guess"}`} {
		if p := h.do("POST", "/v1/episodes/"+string(id)+path, body).problem(t); p.Status != 422 || !strings.Contains(p.Detail, "128 random bits") {
			t.Errorf("%s with a key that is easy to guess: %+v", path, p)
		}
	}
	at := "/v1/episodes/" + string(forks.Episodes[0].Episode)
	var ep astra.Episode
	h.expect(&ep, 200, "GET", at, "")
	if ep.Parent != id || ep.At != 1 || len(ep.Steps) != 1 || ep.Group != "" {
		t.Errorf("fork = %+v", ep)
	}
	h.expect(nil, 204, "POST", at+"/abort", `{"reason":"enough"}`)
	h.expect(nil, 204, "POST", at+"/abort", "")
	if p := h.do("GET", at+"/score", "").problem(t); p.Status != 409 || p.Type != httpapi.ProblemType+"unscored" {
		t.Errorf("score of an aborted episode: %+v", p)
	}
	if p := h.do("POST", at+"/calls", `{"tool":"stock"}`).problem(t); p.Type != httpapi.ProblemType+"ended" {
		t.Errorf("call after the end: %+v", p)
	}
}

// Any step of a finished episode can be looked at and taken up again.
func TestStateAndRewind(t *testing.T) {
	h := newHouse(t)
	id := h.play(gateway.OpenRequest{Task: "count", Mode: astra.Train}, look("nut"), look("bolt"))
	at := "/v1/episodes/" + string(id)
	var state gateway.State
	h.expect(&state, 200, "GET", at+"/state?at=1", "")
	if state.Episode != id || state.At != 1 || string(state.State) != `{"shelves":{"bolt":5,"nut":7}}` {
		t.Errorf("state = %+v", state)
	}
	h.expect(&state, 200, "GET", at+"/state", "")
	if state.At != 2 {
		t.Errorf("without at it is the state after step %d, want 2", state.At)
	}
	for query, want := range map[string]string{"?at=3": "refused", "?at=-1": "refused", "?at=x": "malformed", "?at=1.5": "malformed"} {
		if p := h.do("GET", at+"/state"+query, "").problem(t); p.Type != httpapi.ProblemType+want {
			t.Errorf("state%s: %+v, want %s", query, p, want)
		}
	}
	var o gateway.Opening
	h.expect(&o, 201, "POST", at+"/rewind", `{"step":0,"principal":"me"}`)
	var ep astra.Episode
	h.expect(&ep, 200, "GET", "/v1/episodes/"+string(o.Episode), "")
	if ep.Parent != id || len(ep.Steps) != 0 || ep.Principal != "me" || ep.Status != astra.StatusOpen || o.Key == "" {
		t.Errorf("rewound to %+v", ep)
	}
	h.expect(&ep, 200, "GET", at, "")
	if len(ep.Steps) != 2 || ep.Status != astra.StatusScored {
		t.Errorf("after that the episode is %+v", ep)
	}
	for _, body := range []string{`{}`, `{"step":3}`, `{"step":-1}`, `{"step":null}`} {
		if p := h.do("POST", at+"/rewind", body).problem(t); p.Type != httpapi.ProblemType+"refused" {
			t.Errorf("rewind %s: %+v", body, p)
		}
	}
}

// An episode that cannot be judged has a fault, never a reward of 0.
func TestInvalidIsNoScore(t *testing.T) {
	h := newHouse(t)
	var o gateway.Opening
	h.expect(&o, 201, "POST", "/v1/episodes", `{"arena":"shop","task":"broken","mode":"train"}`)
	at := "/v1/episodes/" + string(o.Episode)
	for _, r := range []reply{h.do("POST", at+"/submit", `{"answer":"x"}`), h.do("GET", at+"/score", "")} {
		p := r.problem(t)
		if p.Status != 422 || p.Type != httpapi.ProblemType+"invalid" || p.Fault != astra.FaultVerifier || strings.Contains(string(r.body), "reward") {
			t.Errorf("invalid episode: %d %s", r.StatusCode, r.body)
		}
	}
}

func TestFreePlay(t *testing.T) {
	h := newHouse(t)
	var o gateway.Opening
	h.expect(&o, 201, "POST", "/v1/episodes", `{"arena":"shop"}`)
	if r := h.do("POST", "/v1/episodes/"+string(o.Episode)+"/submit", ""); r.StatusCode != 200 || strings.TrimSpace(string(r.body)) != `{"score":null}` {
		t.Errorf("submit of free play = %d %s", r.StatusCode, r.body)
	}
}

func TestAnswers(t *testing.T) {
	h := newHouse(t)
	for body, want := range map[string]string{
		`{"answer":"W3 "}`: `W3 `, `{"answer":[1, 2]}`: `[1,2]`, `{"answer":7.50}`: `7.50`, `{"answer":null}`: ``, `{}`: ``, ``: ``, `{"answer":true,"messages":null}`: `true`,
	} {
		var o gateway.Opening
		h.expect(&o, 201, "POST", "/v1/episodes", `{"arena":"shop","task":"count"}`)
		h.expect(nil, 200, "POST", "/v1/episodes/"+string(o.Episode)+"/submit", body)
		ep, err := h.Episode(t.Context(), o.Episode)
		must(t, err)
		if ep.AnswerText() != want {
			t.Errorf("submit %s: answer %q, want %q", body, ep.AnswerText(), want)
		}
	}
}

func TestMessagesMustAgree(t *testing.T) {
	h := newHouse(t)
	var o gateway.Opening
	h.expect(&o, 201, "POST", "/v1/episodes", `{"arena":"shop","task":"count","mode":"train"}`)
	at := "/v1/episodes/" + string(o.Episode)
	h.expect(nil, 200, "POST", at+"/calls", `{"tool":"stock","args":{"item":"nut"}}`)
	const messages = `[{"role":"user","content":"How many nuts are left?"},
{"role":"assistant","reasoning_content":"I look.","tool_calls":[{"id":"a","type":"function","function":{"name":"stock","arguments":"{\"item\": \"nut\"}"}}]},
{"role":"tool","tool_call_id":"a","content":"{\"item\":\"nut\",\"left\":7}"},{"role":"assistant","content":"7"}]`
	forged := strings.Replace(messages, `left\":7`, `left\":8`, 1)
	p := h.do("POST", at+"/submit", `{"answer":"7","messages":`+forged+`}`).problem(t)
	if p.Type != httpapi.ProblemType+"disagrees" || p.Message == nil || *p.Message != 2 {
		t.Errorf("forged messages: %+v", p)
	}
	h.expect(nil, 200, "POST", at+"/submit", `{"answer":"7","messages":`+messages+`}`)

	var tr astra.Trajectory
	h.expect(&tr, 200, "GET", at+"/trajectory", "")
	if tr.Metadata.Rebuilt || !strings.Contains(string(tr.Messages), "reasoning_content") {
		t.Errorf("trajectory = %+v, want the harness's own messages", tr)
	}
}

func TestListPages(t *testing.T) {
	h := newHouse(t)
	for range 5 {
		h.play(gateway.OpenRequest{Task: "count", Mode: astra.Eval, Group: "g"}, look("nut"))
	}
	h.play(gateway.OpenRequest{Task: "count"})
	seen, cursor := map[astra.EpisodeID]bool{}, ""
	for pages := 0; ; pages++ {
		var page astra.Page
		h.expect(&page, 200, "GET", "/v1/episodes?arena=shop&mode=eval&group=g&status=scored&limit=2&cursor="+cursor, "")
		for _, s := range page.Episodes {
			seen[s.Episode] = true
		}
		if cursor = page.Next; cursor == "" || pages > 5 {
			break
		}
	}
	if len(seen) != 5 {
		t.Errorf("listed %d episodes over pages of 2, want 5", len(seen))
	}
}

func TestArenas(t *testing.T) {
	h := newHouse(t)
	var all httpapi.ArenasReply
	h.expect(&all, 200, "GET", "/v1/arenas", "")
	if len(all.Arenas) != 1 || all.Arenas[0].Name != "shop" || len(all.Arenas[0].Tools) != 3 {
		t.Fatalf("arenas = %+v", all)
	}
	var one astra.PublicArena
	for _, ref := range []string{"shop", "shop@" + string(all.Arenas[0].Digest), "shop%40" + strings.Replace(string(all.Arenas[0].Digest), ":", "%3A", 1)} {
		h.expect(&one, 200, "GET", "/v1/arenas/"+ref, "")
		if one.Digest != all.Arenas[0].Digest {
			t.Errorf("%s has the digest %s", ref, one.Digest)
		}
	}
	var tasks httpapi.TasksReply
	h.expect(&tasks, 200, "GET", "/v1/arenas/shop/tasks?split=test", "")
	if len(tasks.Tasks) != 1 || tasks.Tasks[0].ID != "held" {
		t.Errorf("tasks = %+v", tasks)
	}
	var task astra.PublicTask
	h.expect(&task, 200, "GET", "/v1/arenas/shop/tasks/restock", "")
	if task.Title != "Restock the bolts" {
		t.Errorf("task = %+v", task)
	}
	if p := h.do("GET", "/v1/arenas/shop/certificate", "").problem(t); p.Status != 404 || !strings.Contains(p.Detail, "certificate of arena shop") {
		t.Errorf("certificate of an arena that nobody certified: %+v", p)
	}
	if p := h.do("GET", "/v1/arenas/shop/tasks/none", "").problem(t); p.Status != 404 {
		t.Errorf("unknown task: %+v", p)
	}
}

func TestUploadRefusals(t *testing.T) {
	h := newHouse(t)
	arena := header("Content-Type", "application/vnd.astra.arena")
	if p := h.do("POST", "/v1/arenas", "no zip", arena).problem(t); p.Status != 422 {
		t.Errorf("a body that is no bundle: %+v", p)
	}
	if r := h.do("POST", "/v1/arenas", "", arena); r.StatusCode != 422 {
		t.Errorf("no body: %d %s", r.StatusCode, r.body)
	}
}

// TestNothingHidden looks for the canaries of the hidden fields in every reply.
func TestNothingHidden(t *testing.T) {
	h := newHouse(t)
	var o gateway.Opening
	h.expect(&o, 201, "POST", "/v1/episodes", `{"arena":"shop","task":"restock","mode":"train"}`)
	at := "/v1/episodes/" + string(o.Episode)
	var all []reply
	see := func(method, path, body string) { all = append(all, h.do(method, path, body)) }
	see("POST", "/v1/episodes", `{"arena":"shop","task":"held","mode":"train"}`)
	see("POST", "/v1/episodes", `{"arena":"shop","task":"held","mode":"eval","seed":1}`)
	see("POST", "/v1/episodes", `{"arena":"shop","task":"held","mode":"eval"}`)
	var ep astra.Episode
	h.expect(&ep, 200, "GET", at, "")
	if len(ep.View.Added) != 1 {
		t.Errorf("the record tells what later turns add: %v", ep.View.Added)
	}
	see("POST", at+"/calls", `{"tool":"order","args":{}}`)
	see("POST", at+"/calls", `{"tool":"stock","args":{"item":"ghost"}}`)
	see("POST", at+"/fork", "")
	see("POST", at+"/submit", `{"answer":"wrong"}`)
	for _, path := range []string{at, at + "/task", at + "/tools", at + "/score", at + "/trajectory", "/v1/episodes", "/v1/arenas", "/v1/arenas/shop", "/v1/arenas/shop/tasks",
		"/v1/arenas/shop/tasks/restock", "/v1/export/sft", "/v1/stats", "/metrics", "/openapi.json", "/v1/episodes/ghost"} {
		see("GET", path, "")
	}
	see("POST", at+"/replay", "")
	see("POST", at+"/rescore", "")
	for _, r := range all {
		// Ids of sub-tasks are named by scores, which control may see; the rest is hidden.
		body := strings.ReplaceAll(string(r.body), "canary-subtask", "")
		if strings.Contains(body, "canary") || strings.Contains(body, "770077007741") {
			t.Errorf("a reply with status %d shows what is hidden: %s", r.StatusCode, r.body)
		}
		if i := strings.Index(body, string(o.Key)); i >= 0 {
			t.Errorf("the key is shown again: %s", r.body)
		}
	}
}

func TestMetrics(t *testing.T) {
	h := newHouse(t)
	h.play(gateway.OpenRequest{Task: "count", Mode: astra.Train}, look("nut"))
	h.do("GET", "/v1/arenas/shop", "")
	h.do("BREW", "/v1/pot-of-coffee", "")
	r := h.do("GET", "/metrics", "")
	for _, want := range []string{"astra_arenas 1\n", "astra_episodes_opened_total 1\n", "astra_calls_total 1\n", "astra_episodes_scored_total 1\n",
		`astra_http_request_duration_seconds_count{method="GET",route="/v1/arenas/{arena}",status="200"} 1`,
		`astra_http_request_duration_seconds_count{method="other",route="unknown",status="404"} 1`} {
		if !strings.Contains(string(r.body), want) {
			t.Errorf("metrics lack %s", want)
		}
	}
	for _, without := range []string{"shop", "BREW", "coffee"} {
		if strings.Contains(string(r.body), without) {
			t.Errorf("metrics name %s, which callers choose", without)
		}
	}
}

func TestHealth(t *testing.T) {
	h := newHouse(t)
	var got map[string]string
	h.expect(&got, 200, "GET", "/healthz", "", func(r *http.Request) { r.Header.Del("Authorization") })
	h.expect(&got, 200, "GET", "/readyz", "")
	if got["status"] != "ready" {
		t.Errorf("readyz = %v", got)
	}
}

func TestExport(t *testing.T) {
	h := newHouse(t)
	best := h.play(gateway.OpenRequest{Task: "count", Mode: astra.Train}, look("nut"))
	poor := h.play(gateway.OpenRequest{Task: "count", Mode: astra.Train}, look("nut"), look("bolt"))
	h.play(gateway.OpenRequest{Task: "count", Mode: astra.Eval}, look("nut"))
	h.play(gateway.OpenRequest{Task: "count"}, look("nut"))
	_, err := h.Open(t.Context(), gateway.OpenRequest{Arena: "shop", Task: "count", Mode: astra.Train})
	must(t, err)
	for query, want := range map[string][]astra.EpisodeID{
		"": {best, poor}, "?min_reward=0.9": {best}, "?arena=other": nil, "?arena=shop&task=count": {best, poor},
	} {
		r := h.do("GET", "/v1/export/sft"+query, "")
		if r.StatusCode != 200 || r.Header.Get("Content-Type") != "application/jsonl" {
			t.Fatalf("export%s = %d %s", query, r.StatusCode, r.body)
		}
		var got []astra.EpisodeID
		for line := range strings.Lines(string(r.body)) {
			var row astra.Trajectory
			must(t, json.Unmarshal([]byte(line), &row))
			got = append(got, row.Metadata.Episode)
			if !row.Metadata.Rebuilt || len(row.Tools) != 3 || row.Metadata.Reward == nil {
				t.Errorf("row = %s", line)
			}
		}
		if len(got) != len(want) || len(got) > 0 && got[0] != want[0] || len(got) > 1 && got[1] != want[1] {
			t.Errorf("export%s = %v, want %v", query, got, want)
		}
	}
}

// Who finds no room is told to come back, and when.
func TestCapacity(t *testing.T) {
	h := newHouseWith(t, &gateway.Options{MaxOpen: 1})
	c, err := h.client.Capacity(t.Context())
	if err != nil || c.Free != 1 || c.MaxOpen != 1 || c.RetryAfter != 0 {
		t.Errorf("%+v, %v", c, err)
	}
	open := `{"arena":"shop"}`
	if r := h.do("POST", "/v1/episodes", open); r.StatusCode != http.StatusCreated {
		t.Fatalf("%d %s", r.StatusCode, r.body)
	}
	r := h.do("POST", "/v1/episodes", open)
	if p := r.problem(t); p.Status != http.StatusTooManyRequests || p.Type != "urn:astra:problem:full" || r.Header.Get("Retry-After") != "15" {
		t.Errorf("%+v, Retry-After %q", p, r.Header.Get("Retry-After"))
	}
	if c, err = h.client.Capacity(t.Context()); err != nil || c.Free != 0 || c.RetryAfter != 15 {
		t.Errorf("%+v, %v", c, err)
	}
}
