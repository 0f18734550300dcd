package tables

import (
	"bytes"
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/synth"
)

//go:embed lib.js
var libJS string

// today is the clock of every arena: what is due is due after it.
var today = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// maxTools is how many tools an arena has at most; agents see some of them.
const maxTools = 120

// An arena is one bundle in the making: tables, the tools over them, perhaps a desk.
type arena struct {
	name   string
	domain string
	topic  map[string]string // by language
	tables []*Table
	tools  []*tool
	desk   *desk
	now    time.Time
}

// newArena makes the nth arena over some tables that belong together. Those after the
// first have another desk, and other tasks.
func newArena(seed int64, tables []*Table, n int, writes bool) *arena {
	first := tables[0]
	for _, t := range tables {
		if len(refsTo(t, tables)) > len(refsTo(first, tables)) {
			first = t
		}
	}
	a := &arena{name: strings.ReplaceAll(first.Name, "_", "-"), domain: first.Topic[en], topic: first.Topic, tables: tables, now: today}
	if n > 0 {
		a.name = fmt.Sprintf("%s-%d", a.name, n+1)
	}
	a.tools = catalogue(tables)
	if len(a.tools) > maxTools {
		a.tools = a.fewer(seed)
	}
	if served := servable(tables); writes && served != nil {
		rng := synth.Rand(seed, a.name, "desk")
		a.desk = newDesk(nouns[(rng.IntN(len(nouns))+n)%len(nouns)], served)
	}
	return a
}

// servable is the table whose rows a desk can serve, the one that most refer to; nil if none
// has names and rows enough.
func servable(tables []*Table) (best *Table) {
	for _, t := range tables {
		if t.Key < 0 || t.Title < 0 || len(t.Rows) < 2*deskRecords {
			continue
		}
		if best == nil || len(refsTo(t, tables)) > len(refsTo(best, tables)) {
			best = t
		}
	}
	return best
}

func refsTo(t *Table, tables []*Table) (refs []*Column) {
	for _, other := range tables {
		for _, c := range other.Columns {
			if c.Ref != nil && c.Ref.Table == t && other != t {
				refs = append(refs, c)
			}
		}
	}
	return refs
}

// fewer keeps some of the tools: the arithmetic, and others by lot.
func (a *arena) fewer(seed int64) []*tool {
	rng := synth.Rand(seed, a.name, "tools")
	keep := map[*tool]bool{}
	for _, i := range rng.Perm(len(a.tools)) {
		if t := a.tools[i]; t.table == nil || len(keep) < maxTools-12 {
			keep[t] = true
		}
	}
	return slices.DeleteFunc(a.tools, func(t *tool) bool { return !keep[t] })
}

// all is the arena's tools, in the order of its manifest.
func (a *arena) all() []*tool {
	all := slices.Clone(a.tools)
	if a.desk != nil {
		for _, v := range verbs {
			all = append(all, a.desk.tools[v])
		}
	}
	return all
}

// manifest is arena.yaml, in its order.
type manifest struct {
	Name        string         `yaml:"name"`
	Version     string         `yaml:"version"`
	Title       string         `yaml:"title"`
	Description string         `yaml:"description"`
	Domain      string         `yaml:"domain"`
	Runtime     string         `yaml:"runtime"`
	Entry       string         `yaml:"entry"`
	Now         string         `yaml:"now"`
	Limits      map[string]any `yaml:"limits,omitempty"`
	Provenance  map[string]any `yaml:"provenance"`
	Tools       []manifestTool `yaml:"tools"`
}

type manifestTool struct {
	Name        string          `yaml:"name"`
	Title       string          `yaml:"title"`
	Description string          `yaml:"description"`
	Input       yaml.Node       `yaml:"input"`
	Output      yaml.Node       `yaml:"output"`
	Annotations map[string]bool `yaml:"annotations"`
}

// files are the arena's bundle with these tasks. provenance says how it came about.
func (a *arena) files(tasks []*astra.Task, provenance map[string]any) ([]astra.File, error) {
	m := manifest{Name: a.name, Version: "1.0.0", Title: capital(a.topic[en]), Domain: a.domain, Runtime: "javascript", Entry: "tools.js",
		Description: "Questions about " + a.topic[en] + ", with tools over " + a.inventory() + ".", Now: a.now.Format(time.RFC3339), Provenance: provenance,
		Limits: map[string]any{"memory": "64MiB"}}
	for _, t := range a.all() {
		mt := manifestTool{Name: t.name, Title: t.title, Description: t.doc,
			Annotations: map[string]bool{"read_only": !t.writes, "destructive": strings.HasPrefix(t.name, "cancel_"), "idempotent": !t.writes, "open_world": false}}
		if err := flow(&mt.Input, t.schema()); err != nil {
			return nil, fmt.Errorf("tool %s: %w", t.name, err)
		}
		if err := flow(&mt.Output, []byte(t.output)); err != nil {
			return nil, fmt.Errorf("tool %s: %w", t.name, err)
		}
		m.Tools = append(m.Tools, mt)
	}
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(m); err != nil {
		return nil, err
	}
	files := []astra.File{{Path: "arena.yaml", Data: b.Bytes()}, {Path: "tools.js", Data: []byte(a.js())}, {Path: "tasks.jsonl", Data: lines(tasks)}}
	for _, t := range a.tables {
		files = append(files, astra.File{Path: "data/" + t.Name + ".json", Data: t.json()})
	}
	return files, nil
}

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

func (a *arena) inventory() string {
	var parts []string
	for _, t := range a.tables {
		parts = append(parts, fmt.Sprintf("%d %s", len(t.Rows), t.Many[en]))
	}
	return strings.Join(parts, ", ")
}

// flow reads JSON as YAML in the form that takes the least lines.
func flow(n *yaml.Node, json []byte) error {
	var doc yaml.Node
	if err := yaml.Unmarshal(json, &doc); err != nil {
		return err
	}
	*n = *doc.Content[0]
	var plain func(*yaml.Node)
	plain = func(n *yaml.Node) {
		n.Style &^= yaml.DoubleQuotedStyle // quoted again where it must be
		if n.Kind == yaml.MappingNode || n.Kind == yaml.SequenceNode {
			n.Style = yaml.FlowStyle
		}
		for _, c := range n.Content {
			plain(c)
		}
	}
	plain(n)
	return nil
}

func lines(tasks []*astra.Task) []byte {
	var b bytes.Buffer
	for _, t := range tasks {
		b.WriteString(encode(t))
		b.WriteByte('\n')
	}
	return b.Bytes()
}

// json is the table as the tools read it.
func (t *Table) json() []byte {
	var names []string
	for _, c := range t.Columns {
		names = append(names, c.Name)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "{\"columns\": %s,\n\"rows\": [\n", encode(names))
	for i, row := range t.Rows {
		if i > 0 {
			b.WriteString(",\n")
		}
		b.WriteString(encode(row))
	}
	b.WriteString("\n]}\n")
	return b.Bytes()
}

// js is the module: the library, the tables, one function a tool, the desk.
func (a *arena) js() string {
	var b strings.Builder
	b.WriteString(libJS)
	b.WriteString("\n// ---- the tables\n\n")
	for _, t := range a.tables {
		fmt.Fprintf(&b, "const T_%s = new Table(%s, %s, %d, %d, %s, {\n", t.Name, js(t.Name+".json"), js(t.One[en]), t.Key, t.Title, js(a.finders(t)))
		filters, _ := filtersOf(t)
		for _, f := range filters {
			fmt.Fprintf(&b, "  %s: [%d, %s],\n", f.param, f.col, js(f.how))
		}
		b.WriteString("});\n")
	}
	if a.desk != nil {
		b.WriteString(a.desk.js())
	}
	b.WriteString("\n// ---- the tools\n")
	for _, t := range a.all() {
		fmt.Fprintf(&b, "\nexport function %s(args, host) {\n  %s\n}\n", t.name, t.code)
	}
	return b.String()
}

// finders are the columns by which some tool finds rows of a table.
func (a *arena) finders(t *Table) []int {
	cols := []int{}
	for _, tl := range a.tools {
		switch {
		case tl.table != t:
		case tl.op == opFind:
			cols = append(cols, t.Title)
		case tl.op == opFindBy:
			cols = append(cols, tl.col)
		}
	}
	return cols
}

// describe is what provenance says of the tables.
func describe(tables []*Table) []any {
	var all []any
	for _, t := range tables {
		all = append(all, map[string]any{"table": t.Name, "file": t.origin, "rows": len(t.Rows), "digest": synthDigest(t.json())})
	}
	return all
}
