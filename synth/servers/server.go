package servers

import (
	"encoding/json"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/synth"
)

// A Server is a collection of tools that belong together, and what is said of them.
type Server struct {
	Name        string         `json:"name"` // an arena's name, [a-z][a-z0-9-]{0,63}; unique in a collection
	Title       string         `json:"title"`
	Description string         `json:"description"`
	Domain      string         `json:"domain,omitempty"`
	Tags        []string       `json:"tags,omitempty"`     // an OpenAPI document's
	Language    synth.Language `json:"language"`           // of its descriptions
	Upstream    string         `json:"upstream,omitempty"` // alias of a real MCP server; "" for documents alone
	Arena       astra.Digest   `json:"arena,omitempty"`    // the arena whose tools these are
	Tools       []Tool         `json:"tools"`
	Chains      [][]string     `json:"chains,omitempty"` // that its document brought with it, by tools' names; not validated
}

// A Tool is one function of a server, as its document has it.
type Tool struct {
	Name        string            `json:"name"`               // an identifier that an arena takes
	Original    string            `json:"original,omitempty"` // what its server calls it, if not Name
	Title       string            `json:"title,omitempty"`
	Description string            `json:"description"`
	Input       json.RawMessage   `json:"input"`            // JSON Schema of an object
	Output      json.RawMessage   `json:"output,omitempty"` // JSON Schema of the result, or nil
	Annotations astra.Annotations `json:"annotations"`
}

// Tool returns the server's tool of that name, or nil.
func (s *Server) Tool(name string) *Tool {
	for i := range s.Tools {
		if s.Tools[i].Name == name {
			return &s.Tools[i]
		}
	}
	return nil
}
