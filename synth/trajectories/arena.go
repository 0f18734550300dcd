package trajectories

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/synth"
	"github.com/astra-arenas/astra/synth/servers"
	"github.com/astra-arenas/astra/synth/tasks"
)

// A Collection is servers, and the arenas that some of them stand for.
type Collection struct {
	Servers []servers.Server
	Arenas  map[astra.Digest]*astra.Arena
}

// server is nil if there is none of that name.
func (c *Collection) server(name string) *servers.Server {
	i := slices.IndexFunc(c.Servers, func(s servers.Server) bool { return s.Name == name })
	if i < 0 {
		return nil
	}
	return &c.Servers[i]
}

// A manifest is arena.yaml, in the part of YAML that is JSON.
type manifest struct {
	Name        string              `json:"name"`
	Version     string              `json:"version"`
	Title       string              `json:"title"`
	Description string              `json:"description"`
	Domain      string              `json:"domain,omitempty"`
	License     string              `json:"license,omitempty"`
	Runtime     astra.RuntimeKind   `json:"runtime"`
	Match       astra.Match         `json:"match"`
	Upstreams   []map[string]string `json:"upstreams,omitempty"`
	Limits      map[string]string   `json:"limits"`
	Failures    *astra.FailurePlan  `json:"failures,omitempty"`
	Tools       []toolManifest      `json:"tools"`
}

type toolManifest struct {
	Name        string             `json:"name"`
	Title       string             `json:"title,omitempty"`
	Description string             `json:"description"`
	Original    string             `json:"original,omitempty"`
	Input       json.RawMessage    `json:"input"`
	Output      json.RawMessage    `json:"output,omitempty"`
	Annotations *astra.Annotations `json:"annotations,omitempty"`
}

// Bundle is the arena of a server with these tasks, or with none.
func (p *Player) Bundle(c *Collection, server string, list []tasks.Task) (*astra.Bundle, error) {
	s := c.server(server)
	if s == nil {
		return nil, fmt.Errorf("there is no server %q", server)
	}
	files, err := p.files(c, s)
	if err != nil {
		return nil, err
	}
	var lines bytes.Buffer
	for i := range list {
		line, err := synth.JSON(p.task(c, s, &list[i]))
		if err != nil {
			return nil, err
		}
		lines.Write(append(line, '\n'))
	}
	if lines.Len() > 0 {
		files = append(files, astra.File{Path: "tasks.jsonl", Data: lines.Bytes()})
	}
	return astra.NewBundle(files)
}

// files are all of an arena but its tasks.
func (p *Player) files(c *Collection, s *servers.Server) ([]astra.File, error) {
	if s.Arena != "" {
		a := c.Arenas[s.Arena]
		if a == nil {
			return nil, fmt.Errorf("the arena %s of %s is not at hand", s.Arena, s.Name)
		}
		return slices.DeleteFunc(slices.Clone(a.Bundle.Files()), func(f astra.File) bool { return f.Path == "tasks.jsonl" || f.Path == astra.CertificateFile }), nil
	}
	b, err := json.MarshalIndent(p.manifest(s), "", "  ")
	return []astra.File{{Path: "arena.yaml", Data: append(b, '\n')}}, err
}

// wall is how long a tool may take that is another server's, or a model.
const wall = "2m"

func (p *Player) manifest(s *servers.Server) manifest {
	m := manifest{Name: s.Name, Version: "1.0.0", Title: s.Title, Description: s.Description, Domain: s.Domain, License: p.opts.License,
		Runtime: astra.Emulated, Match: astra.MatchEpisode, Limits: map[string]string{"wall": wall}}
	if s.Upstream != "" {
		m.Runtime, m.Upstreams = astra.Upstream, []map[string]string{{"alias": s.Upstream}}
	}
	if p.opts.Failures.Rate > 0 {
		m.Failures = &p.opts.Failures
	}
	for i := range s.Tools {
		t := &s.Tools[i]
		w := toolManifest{Name: t.Name, Title: t.Title, Description: t.Description, Input: t.Input, Output: t.Output, Annotations: &t.Annotations}
		if s.Upstream != "" {
			w.Original = t.Original
		}
		m.Tools = append(m.Tools, w)
	}
	return m
}

// task is a task as its arena has it. Its reward is F1 over the tools that it was written
// for, in their order; one that is to be declined is a gate on what must not be called.
func (p *Player) task(c *Collection, s *servers.Server, t *tasks.Task) *astra.Task {
	at := &astra.Task{ID: t.ID, Split: astra.SplitTrain, Difficulty: float64(len(t.Targets)), Turns: []astra.TaskTurn{{Prompt: t.Question}}, User: t.User}
	if s.Arena != "" && p.opts.Failures.Rate > 0 {
		at.Failures = &p.opts.Failures
	}
	for i, n := range t.Targets {
		sub := astra.Subtask{ID: fmt.Sprintf("s%d", i+1), Solved: "step.ok", Tool: n.Tool}
		if n.Server != s.Name {
			sub.Tool, sub.Solved = "", fmt.Sprintf("step.ok && step.tool == %q", n.Tool)
			if ref := n.Server + "/" + n.Tool; !slices.Contains(at.Distractors, ref) {
				at.Distractors = append(at.Distractors, ref)
			}
		}
		if i > 0 {
			sub.DependsOn = []string{fmt.Sprintf("s%d", i)}
		}
		at.Subtasks = append(at.Subtasks, sub)
	}
	if len(t.Targets) == 0 {
		at.Verify = map[string]string{"declined": declined(s)}
	}
	return at
}

// declined is true where nothing was called that changes anything.
func declined(s *servers.Server) string {
	changing := []string{}
	for i := range s.Tools {
		if !s.Tools[i].Annotations.ReadOnly {
			changing = append(changing, s.Tools[i].Name)
		}
	}
	b, _ := json.Marshal(changing) // a list of names
	return fmt.Sprintf("!steps.exists(s, s.ok && s.tool in %s)", b)
}

// loads says why a task cannot be one of its arena; "" if it can.
func (p *Player) loads(c *Collection, t *tasks.Task) (why string, err error) {
	b, err := p.Bundle(c, t.Server, []tasks.Task{*t})
	if err != nil {
		return "", err
	}
	if _, err := b.Load(); err != nil {
		return err.Error(), nil
	}
	for _, n := range t.Targets {
		if n.Server != t.Server && c.server(t.Server).Tool(n.Tool) != nil {
			return fmt.Sprintf("%s has a tool %s as well", t.Server, n), nil
		}
	}
	return "", nil
}

// Bundles are the arenas of all servers that tasks need, by name.
func (p *Player) Bundles(c *Collection, list []tasks.Task) (map[string]*astra.Bundle, error) {
	of := map[string][]tasks.Task{}
	for i := range list {
		for _, name := range list[i].Servers()[1:] {
			of[name] = append(of[name], []tasks.Task(nil)...) // its tools are needed, and no task of its own
		}
		of[list[i].Server] = append(of[list[i].Server], list[i])
	}
	bundles := map[string]*astra.Bundle{}
	for _, name := range slices.Sorted(maps.Keys(of)) { // an error tells the same server each time
		b, err := p.Bundle(c, name, of[name])
		if err != nil {
			return nil, err
		}
		bundles[name] = b
	}
	return bundles, nil
}
