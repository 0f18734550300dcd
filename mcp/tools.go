package mcp

import (
	"bytes"
	"encoding/json"

	"github.com/astra-arenas/astra"
	protocol "github.com/mark3labs/mcp-go/mcp"
)

// present turns a tool of an arena into what a client lists. Eras before 2026-07-28 want
// an object at the root of an output schema.
func present(t astra.PublicTool, modern bool) protocol.Tool {
	title := orName(t.Title, t.Name)
	out := t.Output
	if !modern {
		out = legacyOutput(out)
	}
	return protocol.Tool{
		Name: t.Name, Title: title, Description: clean(t.Description),
		RawInputSchema: t.Input, RawOutputSchema: out,
		Annotations: hints(title, t.Annotations),
	}
}

// hints are all four annotations: a client takes one that is missing for the worst.
func hints(title string, a astra.Annotations) protocol.ToolAnnotation {
	return protocol.ToolAnnotation{Title: title,
		ReadOnlyHint: &a.ReadOnly, DestructiveHint: &a.Destructive, IdempotentHint: &a.Idempotent, OpenWorldHint: &a.OpenWorld}
}

// registered is a tool as the library keeps it: it reads the schema, at every call, only
// to hold Mcp-Param headers to the arguments, and panics on annotations that are wrong.
func registered(t astra.PublicTool) protocol.Tool {
	tool := protocol.Tool{Name: t.Name, RawInputSchema: t.Input}
	if !bytes.Contains(t.Input, paramHeader) || protocol.ValidateParamHeaderAnnotations(&tool) != nil {
		tool.RawInputSchema = json.RawMessage(`{"type":"object"}`)
	}
	return tool
}

// legacyOutput is an output schema as the eras before 2026-07-28 want it. One that is
// surely no object is wrapped as its values are. Where that cannot be told, or where
// references would lead astray, none is better than a wrong one.
func legacyOutput(schema json.RawMessage) json.RawMessage {
	var root struct {
		Type json.RawMessage `json:"type"`
	}
	if json.Unmarshal(schema, &root) != nil {
		return nil // also no schema, and the schemas true and false
	}
	var kind string
	if json.Unmarshal(root.Type, &kind) != nil || kind == "" {
		return nil
	}
	if kind == "object" {
		return schema
	}
	if bytes.Contains(schema, []byte(`"$`)) {
		return nil
	}
	return json.RawMessage(`{"type":"object","properties":{"result":` + string(schema) + `},"required":["result"]}`)
}

// episodeArgument is what explorers may add to every call.
const episodeArgument = `"episode_id":{"type":"string","description":"Episode to act in, from episode_open. Without it: the one opened last in this session."}`

// withEpisode adds the optional argument episode_id, which no arena may use itself.
func withEpisode(t astra.PublicTool) (astra.PublicTool, error) {
	var root map[string]json.RawMessage
	if err := json.Unmarshal(t.Input, &root); err != nil {
		return t, err
	}
	own := bytes.TrimSpace(root["properties"])
	switch {
	case len(own) < 2 || own[0] != '{' || len(bytes.TrimSpace(own[1:len(own)-1])) == 0:
		root["properties"] = json.RawMessage("{" + episodeArgument + "}")
	default:
		root["properties"] = json.RawMessage(string(own[:len(own)-1]) + "," + episodeArgument + "}")
	}
	var err error
	t.Input, err = json.Marshal(root)
	return t, err
}
