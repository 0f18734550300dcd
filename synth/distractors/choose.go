package distractors

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/synth"
)

// A Mode says how distractors are chosen.
type Mode string

// The modes (ASTRA §3.2.2 and its ablation, §4.1).
const (
	ByBands Mode = "bands"  // up to K from each band
	Random  Mode = "random" // 5 to 9 from other domains, however near
	None    Mode = "none"
)

// DefaultK is how many are drawn from each band. The paper does not give its K; its
// released row has five, which 2 can make.
const DefaultK = 2

// Options adjusts a choice. A zero field, or a nil *Options, means the default.
type Options struct {
	Mode Mode  // default ByBands
	K    int   // from each band at most; default DefaultK
	Seed int64 // of what is drawn
}

func (o *Options) withDefaults() Options {
	var c Options
	if o != nil {
		c = *o
	}
	if c.Mode == "" {
		c.Mode = ByBands
	}
	if c.K <= 0 {
		c.K = DefaultK
	}
	return c
}

// Choose draws the distractors of a task of a, as arena/tool, sorted. None has the name of a
// tool of a, or comes from its domain.
func (x *Index) Choose(a *astra.Arena, t *astra.Task, opts *Options) []string {
	o := opts.withDefaults()
	rng := synth.Rand(o.Seed, "distractors", a.Name, t.ID)
	chosen := map[string]bool{}
	draw := func(names []string, n int) {
		names = slices.DeleteFunc(slices.Clone(names), func(name string) bool { return a.Tool(name) != nil || chosen[name] })
		for _, i := range rng.Perm(len(names))[:min(n, len(names))] {
			chosen[names[i]] = true
		}
	}
	switch o.Mode {
	case ByBands:
		pool := x.pool(a, t)
		for _, band := range Bands {
			draw(pool[band], o.K)
		}
	case Random:
		draw(x.others(a.Domain), 5+rng.IntN(5))
	}
	list := []string{}
	for name := range chosen {
		list = append(list, x.tools[x.byName[name]].arena+"/"+name)
	}
	slices.Sort(list)
	return list
}

// pool is, for each band, what is in it for at least one tool of the task (eq. 27).
func (x *Index) pool(a *astra.Arena, t *astra.Task) map[Band][]string {
	pool := map[Band][]string{}
	for _, name := range inScope(a, t) {
		for band, names := range x.Row(name, map[string]bool{a.Domain: true}) {
			pool[band] = append(pool[band], names...)
		}
	}
	for band := range pool {
		slices.Sort(pool[band])
		pool[band] = slices.Compact(pool[band])
	}
	return pool
}

// inScope are the tools that a task is about: those of its gold calls, else all of its own.
func inScope(a *astra.Arena, t *astra.Task) []string {
	var names []string
	calls, _ := t.GoldCalls()
	for _, c := range calls {
		names = append(names, c.Tool)
	}
	if names == nil {
		names = a.InitialTools(t)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (x *Index) others(domain string) []string {
	var names []string
	for i := range x.tools {
		if x.tools[i].domain != domain {
			names = append(names, x.tools[i].name)
		}
	}
	return names
}

// Rewrite returns the arena's files with new distractors for every task; those it had are
// gone, and so is its certificate, which was another arena's.
func (x *Index) Rewrite(a *astra.Arena, opts *Options) ([]astra.File, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	for i := range a.Tasks {
		t := a.Tasks[i]
		t.Distractors = x.Choose(a, &t, opts)
		if err := e.Encode(t); err != nil {
			return nil, fmt.Errorf("task %s: %w", t.ID, err)
		}
	}
	var files []astra.File
	for _, f := range a.Bundle.Files() {
		switch f.Path {
		case astra.CertificateFile:
		case astra.TasksFile:
			files = append(files, astra.File{Path: f.Path, Data: b.Bytes()})
		default:
			files = append(files, f)
		}
	}
	return files, nil
}
