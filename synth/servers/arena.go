package servers

import "github.com/astra-arenas/astra"

// FromArena is an arena's tools as a document. Input schemas that the code derives must have
// been put in (astra.Arena.WithInputs); until then they allow everything.
func FromArena(a *astra.Arena) Server {
	s := Server{Name: a.Name, Title: a.Title, Description: a.Description, Domain: a.Domain, Arena: a.Digest}
	for _, t := range a.Tools {
		s.Tools = append(s.Tools, Tool{Name: t.Name, Title: t.Title, Description: t.Description, Input: t.Input, Output: t.Output, Annotations: t.Annotations})
	}
	s.speak()
	return s
}

// FromTools is what an MCP server offers as a document: alias is what the operator calls the
// server, tools what mirroring it returned.
func FromTools(alias, title, description string, tools []astra.Tool) Server {
	s := Server{Name: alias, Title: title, Description: description, Upstream: alias}
	for _, t := range tools {
		doc := Tool{Name: t.Name, Title: t.Title, Description: t.Description, Input: t.Input, Output: t.Output, Annotations: t.Annotations}
		if t.Original != t.Name {
			doc.Original = t.Original
		}
		s.Tools = append(s.Tools, doc)
	}
	s.speak()
	return s
}
