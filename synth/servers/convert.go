package servers

import (
	"encoding/json"
	"errors"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/synth"
)

// refusal says why an arena cannot have these tools of a server; "" if it can. The root's own
// loader is asked, so that what is kept here can never be refused there.
func refusal(s *Server, tools []Tool) string {
	if len(tools) == 0 {
		return ""
	}
	text, err := synth.JSON(manifestOf(s, tools)) // which is YAML
	if err != nil {
		return "its schema is no JSON: " + err.Error()
	}
	b, err := astra.NewBundle([]astra.File{{Path: "arena.yaml", Data: text}})
	if err == nil {
		_, err = b.Load()
	}
	if all, ok := errors.AsType[*astra.BundleErrors](err); ok {
		return all.List[0].Msg
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

// A manifest is as much of arena.yaml as documents fill.
type manifest struct {
	Name        string              `json:"name"`
	Version     string              `json:"version"`
	Title       string              `json:"title"`
	Description string              `json:"description"`
	Domain      string              `json:"domain"`
	Runtime     astra.RuntimeKind   `json:"runtime"`
	Upstreams   []map[string]string `json:"upstreams,omitempty"`
	Tools       []manifestTool      `json:"tools"`
}

type manifestTool struct {
	Name        string            `json:"name"`
	Original    string            `json:"original,omitempty"`
	Title       string            `json:"title"`
	Description string            `json:"description"`
	Input       json.RawMessage   `json:"input"`
	Output      json.RawMessage   `json:"output,omitempty"`
	Annotations astra.Annotations `json:"annotations"`
}

func manifestOf(s *Server, tools []Tool) manifest {
	m := manifest{Name: s.Name, Version: "0.0.0", Title: s.Title, Description: s.Description, Domain: s.Domain, Runtime: astra.Emulated}
	if s.Upstream != "" {
		m.Runtime, m.Upstreams = astra.Upstream, []map[string]string{{"alias": s.Upstream}}
	}
	for _, t := range tools {
		w := manifestTool{Name: t.Name, Title: t.Title, Description: t.Description, Input: t.Input, Output: t.Output, Annotations: t.Annotations}
		if s.Upstream != "" {
			w.Original = t.Original
		}
		m.Tools = append(m.Tools, w)
	}
	return m
}
