package tasks_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/astra-arenas/astra/llm"
	"github.com/astra-arenas/astra/store"
	"github.com/astra-arenas/astra/synth"
	"github.com/astra-arenas/astra/synth/graph"
	"github.com/astra-arenas/astra/synth/servers"
	"github.com/astra-arenas/astra/synth/tasks"
	"github.com/astra-arenas/astra/synth/trajectories/modeltest"
)

// collection is two servers, of which one speaks Chinese.
func collection() []servers.Server {
	tool := func(name, description, input string) servers.Tool {
		return servers.Tool{Name: name, Description: description, Input: json.RawMessage(input)}
	}
	return []servers.Server{
		{Name: "shop", Title: "Shop", Description: "Items and orders of a shop.", Domain: "trade", Language: synth.English, Tools: []servers.Tool{
			tool("find_item", "Finds an item by its name.", `{"type":"object","properties":{"name":{"type":"string"}},"required":["name"]}`),
			tool("stock_level", "Says how many of an item are left.", `{"type":"object","properties":{"sku":{"type":"string"}},"required":["sku"]}`),
			tool("create_order", "Orders some of an item.", `{"type":"object","properties":{"sku":{"type":"string"},"quantity":{"type":"integer"}},"required":["sku","quantity"]}`),
			tool("cancel_order", "Cancels an order.", `{"type":"object","properties":{"order":{"type":"string"}},"required":["order"]}`)}},
		{Name: "school", Title: "学校", Description: "一所学校的课程和学生。", Domain: "education", Language: synth.Chinese, Tools: []servers.Tool{
			tool("find_student", "按姓名查找学生。", `{"type":"object","properties":{"name":{"type":"string"}},"required":["name"]}`),
			tool("list_courses", "列出学生所选的课程。", `{"type":"object","properties":{"student":{"type":"string"}},"required":["student"]}`),
			tool("course_time", "查询课程的上课时间。", `{"type":"object","properties":{"course":{"type":"string"}},"required":["course"]}`)}},
	}
}

// A desk is an author at work.
type desk struct {
	t      *testing.T
	store  *store.Store
	run    *synth.Run
	author *tasks.Author
	server *modeltest.Server
}

func newDesk(t *testing.T, fault modeltest.Fault, opts *tasks.Options) *desk {
	t.Helper()
	d := &desk{t: t, server: modeltest.New(t, &modeltest.Options{Fault: fault})}
	var err error
	if d.store, err = store.Open(t.TempDir(), nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.store.Close() })
	m, err := llm.NewOpenAI(llm.Options{BaseURL: d.server.URL + "/v1", Model: "scripted"})
	if err != nil {
		t.Fatal(err)
	}
	if d.author, err = tasks.New(llm.NewNotedCache(d.store, "scripted", m), opts); err != nil {
		t.Fatal(err)
	}
	id, err := synth.RunID(d.author.Settings(), collection())
	if err != nil {
		t.Fatal(err)
	}
	d.run = synth.NewRun(id, d.store, nil)
	return d
}

func (d *desk) write(all []servers.Server) (chains []tasks.Chain, list []tasks.Task) {
	d.t.Helper()
	g, err := d.author.Graph(d.t.Context(), d.run, all)
	if err != nil {
		d.t.Fatal(err)
	}
	for c, err := range d.author.Chains(d.t.Context(), d.run, all, g) {
		if err != nil {
			d.t.Fatal(err)
		}
		chains = append(chains, c)
	}
	for t, err := range d.author.Tasks(d.t.Context(), d.run, all, chains) {
		if err != nil {
			d.t.Fatal(err)
		}
		list = append(list, t)
	}
	return chains, list
}

func (d *desk) yield(stage string) synth.Yield {
	for _, y := range d.run.Yields() {
		if y.Stage == stage {
			return y
		}
	}
	return synth.Yield{}
}

func (d *desk) reasons() map[string]int {
	sum := map[string]int{}
	for _, y := range d.run.Yields() {
		for why, n := range y.Rejected {
			sum[y.Stage+"/"+why] += n
		}
	}
	return sum
}

func TestWrite(t *testing.T) {
	d := newDesk(t, nil, &tasks.Options{Seed: 3})
	chains, list := d.write(collection())
	if len(chains) < 6 || len(list) < 30 {
		t.Fatalf("%d chains, %d tasks: %v", len(chains), len(list), d.run.Yields())
	}
	kinds, ids := map[tasks.Kind]int{}, map[string]bool{}
	for _, task := range list {
		kinds[task.Kind]++
		if ids[task.ID] {
			t.Errorf("the id %s comes twice", task.ID)
		}
		ids[task.ID] = true
		han := strings.ContainsFunc(task.Question, func(r rune) bool { return r > 0x2e80 })
		if han != (task.Server == "school") {
			t.Errorf("%s is in the wrong language: %s", task.ID, task.Question)
		}
		if task.Quality == nil || task.Quality.Realism < 0.5 {
			t.Errorf("%s has the quality %+v", task.ID, task.Quality)
		}
		if (task.Kind == tasks.Decline) != (len(task.Targets) == 0) || (task.User != nil) != (task.Kind != tasks.FromChain && task.Kind != tasks.FromServer) {
			t.Errorf("%s of kind %s has %d targets and user %+v", task.ID, task.Kind, len(task.Targets), task.User)
		}
	}
	for _, k := range []tasks.Kind{tasks.FromChain, tasks.FromServer, tasks.FollowUp, tasks.Clarify, tasks.Change, tasks.Decline} {
		if kinds[k] == 0 {
			t.Errorf("there is no task of kind %s: %v", k, kinds)
		}
	}
	if y := d.yield("thresholds"); y.Failed == 0 || y.Rejected["below: scenario realism"] != y.Failed {
		t.Errorf("thresholds: %+v", y)
	}
	var stages []string
	for _, y := range d.run.Yields() {
		stages = append(stages, y.Stage)
	}
	if want := "proposals arguments coherence back-translation questions versions intent distinct quality thresholds"; strings.Join(stages, " ") != want {
		t.Errorf("stages = %v, want %s", stages, want)
	}
}

// A run that goes on has the same, asks nothing, and costs the same.
func TestResume(t *testing.T) {
	opts := &tasks.Options{Percentile: 0.3}
	d := newDesk(t, nil, opts)
	_, first := d.write(collection())
	asked, spent := d.server.Asked(), d.author.Spent()
	again, err := tasks.New(llm.NewNotedCache(d.store, "scripted", nil), opts)
	if err != nil {
		t.Fatal(err)
	}
	d.author, d.run = again, synth.NewRun(d.run.ID(), d.store, nil)
	_, second := d.write(collection())
	a, _ := json.Marshal(first)
	b, _ := json.Marshal(second)
	if !bytes.Equal(a, b) || len(first) == 0 {
		t.Errorf("%d tasks, and then %d others", len(first), len(second))
	}
	if !maps.Equal(d.server.Asked(), asked) || fmt.Sprint(again.Spent()) != fmt.Sprint(spent) {
		t.Errorf("asked %v, then %v; spent %v, then %v", asked, d.server.Asked(), spent, again.Spent())
	}
	for _, y := range d.run.Yields() {
		if y.Resumed != y.Items {
			t.Errorf("%s: %d of %d were resumed", y.Stage, y.Resumed, y.Items)
		}
	}
}

// The same seed draws the same; another draws other walks.
func TestSeed(t *testing.T) {
	draw := func(seed int64) string {
		chains, _ := newDesk(t, nil, &tasks.Options{Seed: seed, Chains: 3, PerServer: -1, Variants: -1, Dialogues: -1}).write(collection())
		b, _ := json.Marshal(chains)
		return string(b)
	}
	if one, again, two := draw(1), draw(1), draw(2); one != again || one == two {
		t.Error("walks do not go by the seed")
	}
}

func says(step, text string) modeltest.Fault {
	return func(a *modeltest.Asked, said modeltest.Answer) modeltest.Answer {
		if a.Step == step {
			said.Text = text
		}
		return said
	}
}

func replaces(step, old, new string) modeltest.Fault {
	return func(a *modeltest.Asked, said modeltest.Answer) modeltest.Answer {
		if a.Step == step {
			said.Text = strings.ReplaceAll(said.Text, old, new)
		}
		return said
	}
}

// keeps gives a request back as it was.
func keeps(a *modeltest.Asked, said modeltest.Answer) modeltest.Answer {
	if a.Step == "persona" {
		var d struct{ Question string }
		_ = json.Unmarshal([]byte(a.Text), &d)
		b, _ := json.Marshal(map[string]string{"question": d.Question})
		said.Text = string(b)
	}
	return said
}

func refuses(a *modeltest.Asked, said modeltest.Answer) modeltest.Answer {
	if a.Step == "question" {
		return modeltest.Answer{Status: 400, Text: "too long"}
	}
	return said
}

// What a model does badly is mended, rejected for a reason that fits, or unknown: none of
// it comes out as if it were good.
func TestFaults(t *testing.T) {
	grades := func(g string) string {
		return `{"question_quality":{"grade":` + g + `,"reason":""},"scenario_realism":{"grade":5,"reason":""},"tool_necessity":{"grade":5,"reason":""}}`
	}
	for name, c := range map[string]struct {
		fault modeltest.Fault
		want  string     // how a reason begins
		none  tasks.Kind // must not come out but by augmentation
	}{
		"proposals are prose":       {says("chains", "I would use find_item."), "proposals/chains: no JSON", ""},
		"no proposals":              {says("chains", `{"chains":[]}`), "proposals/no chains", ""},
		"arguments nobody asked of": {says("arguments", `{"arguments":[{"call":1,"argument":"colour","source":"user"}]}`), "arguments/arguments: no verdict", tasks.FromChain},
		"no source":                 {replaces("arguments", `"user"`, `"none"`), "arguments/no source", tasks.FromChain},
		"unsure of sources":         {replaces("arguments", `"user"`, `"unsure"`), "arguments/arguments: unsure", tasks.FromChain},
		"no sense":                  {says("coherence", `{"verdict":"no","reason":"why would anybody"}`), "coherence/incoherent", tasks.FromChain},
		"unsure of sense":           {says("coherence", `{"verdict":"unsure"}`), "coherence/coherence: unsure", tasks.FromChain},
		"false for no":              {says("coherence", `{"verdict":false}`), "coherence/coherence: unsure", tasks.FromChain},
		"another plan":              {says("back", `{"tools":[]}`), "back-translation/another way", tasks.FromChain},
		"an unknown tool in a plan": {says("back", `{"tools":["buy"]}`), "back-translation/back: unknown tool", tasks.FromChain},
		"names a tool":              {replaces("question", "Please do this", "Please find_item this"), "questions/question: tool name", ""},
		"too short":                 {says("question", `{"question":"Go."}`), "questions/question: length", tasks.FromChain},
		"tools that are not there":  {replaces("server_question", `"tools":["`, `"tools":["no_`), "questions/server_question: tools", tasks.FromServer},
		"unchanged":                 {keeps, "versions/persona: unchanged", ""},
		"another intent":            {says("intent", `{"verdict":"no","reason":"less is asked"}`), "intent/another intent", ""},
		"unsure of intent":          {says("intent", `{"verdict":"unsure","reason":""}`), "intent/intent: unsure", ""},
		"always the same":           {replaces("diversity", "On behalf", "on behalf"), "", ""},
		"grades as text":            {says("quality", grades(`"5"`)), "quality/quality: no JSON", ""},
		"grades beyond five":        {says("quality", grades(`9`)), "quality/quality: no verdict", ""},
		"no grade to give":          {says("quality", grades(`0`)), "quality/quality: unsure", ""},
		"poor":                      {says("quality", grades(`2`)), "thresholds/below: question quality", ""},
		"a dialogue that tells all": {replaces("dialogue", "Please see to the matter", "Please see to lot 4417"), "versions/dialogue: facts", tasks.Clarify},
		"refused":                   {refuses, "questions/question: refused by the server", tasks.FromChain},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, c.fault, &tasks.Options{Chains: 4, Dialogues: 1, Kinds: []tasks.Kind{tasks.Clarify}})
			_, list := d.write(collection()[:1])
			if got := d.reasons(); c.want != "" && !slices.ContainsFunc(slices.Collect(maps.Keys(got)), func(why string) bool { return strings.HasPrefix(why, c.want) }) {
				t.Errorf("reasons are %v, want %s", got, c.want)
			}
			for _, task := range list {
				if task.Kind == c.none {
					t.Errorf("a task of kind %s came out: %s", task.Kind, task.Question)
				}
			}
		})
	}
}

// A request that comes again is dropped, whoever wrote it.
func TestDistinct(t *testing.T) {
	d := newDesk(t, says("diversity", `{"question":"Please do just what I asked for before, and nothing else at all, many thanks."}`), nil)
	_, list := d.write(collection()[:1])
	same := 0
	for _, task := range list {
		if strings.HasPrefix(task.Question, "Please do just") {
			same++
		}
	}
	if got := d.reasons()["distinct/nearly the same"]; same > 1 || got < 5 {
		t.Errorf("%d are the same, %d were dropped", same, got)
	}
}

// One unreadable reply is mended; a server that is down ends the run, which can go on.
func TestTrouble(t *testing.T) {
	first := func(a *modeltest.Asked, said modeltest.Answer) modeltest.Answer {
		if !a.Repair {
			said.Text = "Sure! " + said.Text
		}
		return said
	}
	d := newDesk(t, first, &tasks.Options{Chains: 2})
	if _, list := d.write(collection()); len(list) == 0 {
		t.Error("replies were not mended")
	}
	for _, s := range d.author.Spent() {
		if s.Repairs == 0 || s.Repairs > s.Calls {
			t.Errorf("%+v", s)
		}
	}
	d = newDesk(t, func(*modeltest.Asked, modeltest.Answer) modeltest.Answer {
		return modeltest.Answer{Status: 503, Text: "down"}
	}, nil)
	if _, err := d.author.Graph(t.Context(), d.run, collection()); err == nil {
		t.Error("a server that is down brought a graph")
	}
}

// Chains go from one server to another only where that is asked for, and names of tools
// must differ then.
func TestAcross(t *testing.T) {
	all := collection()
	all[1].Language, all[1].Title, all[1].Description = synth.English, "School", "Students and courses of a school."
	across := graph.New(all, &graph.Options{Across: true})
	across.AddChain([]graph.Node{{Server: "shop", Tool: "find_item"}, {Server: "school", Tool: "find_student"}, {Server: "shop", Tool: "create_order"}})
	d := newDesk(t, nil, &tasks.Options{Across: true, Chains: 10})
	mixed := func(all []servers.Server) (n int) {
		for c, err := range d.author.Chains(t.Context(), d.run, all, across) {
			if err != nil {
				t.Fatal(err)
			}
			if named := fmt.Sprint(c.Tools); strings.Contains(named, "shop/") && strings.Contains(named, "school/") {
				n++
			}
		}
		return n
	}
	if mixed(all) == 0 {
		t.Errorf("no chain goes across: %v", d.run.Yields())
	}
	all[1].Tools[1].Name = "cancel_order"
	d.run = synth.NewRun("another", d.store, nil)
	if mixed(all) != 0 || d.reasons()["arguments/names collide"] == 0 {
		t.Errorf("tools of one name: %v", d.reasons())
	}
}

func TestOptions(t *testing.T) {
	m := llm.NewNotedCache(nil, "none", nil)
	for name, o := range map[string]tasks.Options{
		"tools":      {MinTools: 4, MaxTools: 2},
		"many tools": {MaxTools: 99},
		"votes":      {Votes: -1},
		"dialogues":  {Dialogues: 2},
		"similarity": {Similarity: 1.5},
		"percentile": {Percentile: 1},
		"threshold":  {Thresholds: tasks.Thresholds{Realism: math.NaN()}},
		"a grade":    {Thresholds: tasks.Thresholds{Realism: 3}},
	} {
		if _, err := tasks.New(m, &o); err == nil {
			t.Errorf("%s: %+v was taken", name, o)
		}
	}
	a, err := tasks.New(m, nil)
	b, err2 := tasks.New(m, &tasks.Options{Thresholds: tasks.Thresholds{Question: 0.9}})
	if err != nil || err2 != nil || fmt.Sprint(a.Settings()) != fmt.Sprint(b.Settings()) {
		t.Error("thresholds make another run")
	}
	nobody, err := tasks.New(m, &tasks.Options{Personas: []tasks.Persona{}})
	if err != nil || fmt.Sprint(nobody.Settings()) != fmt.Sprint(a.Settings()) {
		t.Errorf("a list of nobody is not the default: %v", err)
	}
}
