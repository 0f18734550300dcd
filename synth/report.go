package synth

import (
	"bytes"
	"cmp"
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"slices"
	"strconv"
)

// A Report says what came of a run. Equal runs have equal reports: there is no clock in it,
// and what an earlier process had done already counts like the rest.
type Report struct {
	Author    string         `json:"author"`
	Data      string         `json:"data"` // which of ASTRA's it is set beside: SFT or RL
	Run       string         `json:"run"`
	Settings  map[string]any `json:"settings"`
	Arenas    []ReportArena  `json:"arenas"`
	Tasks     int            `json:"tasks"`
	Kept      int            `json:"trajectories,omitempty"` // that were accepted, where any were made
	Yields    []Yield        `json:"yields"`
	Usage     *ReportUsage   `json:"usage,omitempty"` // of models; none was asked without it
	Figures   []Figure       `json:"figures"`
	Breakdown []Distribution `json:"distributions"`
}

// A ReportArena is one arena that came out.
type ReportArena struct {
	Name     string  `json:"name"`
	Digest   string  `json:"digest"`
	Tasks    int     `json:"tasks"`
	Tools    int     `json:"tools"`
	Mutation float64 `json:"mutation_score,omitempty"` // mutated answers that were refused, a share
}

// ReportUsage is what the models of a run took, whoever paid for it: a run that went on
// where it was counts like one that did not stop.
type ReportUsage struct {
	Calls   int64   `json:"calls"`
	Repairs int64   `json:"repairs"` // replies that had to be sent back, of the calls
	Input   int64   `json:"input"`   // tokens
	Output  int64   `json:"output"`
	Cost    float64 `json:"cost"` // in the money of the prices given
}

// A Figure is a number beside that of the paper.
type Figure struct {
	Name  string   `json:"name"`
	Value float64  `json:"value"`
	Paper *float64 `json:"paper,omitempty"` // of ASTRA's data (A.1.1, A.1.2)
}

// A Distribution counts instances by something.
type Distribution struct {
	Name  string `json:"name"`
	Parts []Part `json:"parts"`
}

// A Part is one bar of a distribution.
type Part struct {
	Label string   `json:"label"`
	Count int      `json:"count"`
	Share float64  `json:"share"`
	Paper *float64 `json:"paper,omitempty"`
}

// What the paper says of its RL data (ASTRA A.1.2), as shares.
var (
	paperScenarios = map[string]float64{string(ParallelMultiHop): 0.478, string(MultiHop): 0.348, string(ParallelSingleHop): 0.106, string(SingleHop): 0.068}
	paperLanguages = map[string]float64{string(English): 0.712, string(Chinese): 0.288}
)

const (
	paperHops     = 4.37
	paperMedian   = 4
	paperCalls    = 3.98
	paperTools    = 0.913 // of sub-questions need one
	paperParallel = 0.442 // of steps
)

// A Tally collects what a report says of instances. Instances may be added in any order.
type Tally struct {
	n, nodes, tools, parallel int
	hops, calls               []int
	by                        map[string]map[string]int
}

// Add counts an instance, and how many calls its gold makes.
func (t *Tally) Add(in *Instance, calls int) {
	if t.by == nil {
		t.by = map[string]map[string]int{}
	}
	t.n++
	t.nodes += in.Hops()
	t.tools += in.Tools()
	for i := range in.Nodes {
		if in.Nodes[i].Parallel {
			t.parallel++
		}
	}
	t.hops, t.calls = append(t.hops, in.Hops()), append(t.calls, calls)
	t.count("scenario type", string(in.Scenario))
	t.count("language", string(in.Language))
	t.count("domain", cmp.Or(in.Domain, "none"))
	t.count("sub-questions", strconv.Itoa(in.Hops()))
	t.count("gold calls", strconv.Itoa(calls))
}

func (t *Tally) count(name, label string) {
	if t.by[name] == nil {
		t.by[name] = map[string]int{}
	}
	t.by[name][label]++
}

// Fill writes the figures and distributions into a report.
func (t *Tally) Fill(r *Report) {
	r.Tasks = t.n
	if t.n == 0 {
		return
	}
	paper := func(f float64) *float64 { return &f }
	n := float64(t.n)
	r.Figures = []Figure{
		{"sub-questions, mean", float64(t.nodes) / n, paper(paperHops)},
		{"sub-questions, median", median(t.hops), paper(paperMedian)},
		{"gold calls, mean", mean(t.calls), paper(paperCalls)},
		{"sub-questions that need a tool, share", float64(t.tools) / float64(t.nodes), paper(paperTools)},
		{"sub-questions beside others, share", float64(t.parallel) / float64(t.nodes), paper(paperParallel)},
	}
	for _, name := range []string{"scenario type", "language", "sub-questions", "gold calls", "domain"} {
		r.Breakdown = append(r.Breakdown, t.distribution(name))
	}
}

func (t *Tally) distribution(name string) Distribution {
	d := Distribution{Name: name}
	paper := map[string]map[string]float64{"scenario type": paperScenarios, "language": paperLanguages}[name]
	for label, count := range t.by[name] {
		p := Part{Label: label, Count: count, Share: float64(count) / float64(t.n)}
		if f, ok := paper[label]; ok {
			p.Paper = &f
		}
		d.Parts = append(d.Parts, p)
	}
	slices.SortFunc(d.Parts, func(a, b Part) int {
		x, errX := strconv.Atoi(a.Label)
		y, errY := strconv.Atoi(b.Label)
		if errX == nil && errY == nil {
			return x - y
		}
		return cmp.Or(b.Count-a.Count, cmp.Compare(a.Label, b.Label))
	})
	return d
}

func mean(list []int) float64 {
	sum := 0
	for _, v := range list {
		sum += v
	}
	return float64(sum) / float64(len(list))
}

func median(list []int) float64 {
	s := slices.Sorted(slices.Values(list))
	return float64(s[(len(s)-1)/2]+s[len(s)/2]) / 2
}

// JSON is the report as indented JSON.
func (r *Report) JSON() ([]byte, error) {
	b, err := json.MarshalIndent(r, "", "  ")
	return append(b, '\n'), err
}

//go:embed report.html.tmpl
var reportFiles embed.FS

var reportPage = template.Must(template.New("report.html.tmpl").Funcs(template.FuncMap{
	"percent": func(f float64) string { return fmt.Sprintf("%.1f %%", 100*f) },
	"width":   func(f float64) string { return fmt.Sprintf("%.2f", 100*min(max(f, 0), 1)) },
	"number":  func(f float64) string { return fmt.Sprintf("%.2f", f) },
	"deref":   func(f *float64) float64 { return *f },
	"share": func(n, of int) float64 {
		if of == 0 {
			return 0
		}
		return float64(n) / float64(of)
	},
}).ParseFS(reportFiles, "report.html.tmpl"))

// HTML is the report as one page that needs nothing else.
func (r *Report) HTML() ([]byte, error) {
	var b bytes.Buffer
	err := reportPage.Execute(&b, r)
	return b.Bytes(), err
}
