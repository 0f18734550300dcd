package servers

import "github.com/astra-arenas/astra"

// FromArena is an arena's tools as a document.
func FromArena(a *astra.Arena) Server { return Server{} }

// FromTools is what an MCP server offers as a document: alias is what the operator calls the
// server, tools what mirroring it returned.
func FromTools(alias, title, description string, tools []astra.Tool) Server { return Server{} }
