package rows

import (
	"encoding/json"
	"io"

	"github.com/astra-arenas/astra"
)

// A nemoTool is a tool in the flat form of the Responses API.
type nemoTool struct {
	Type        string          `json:"type"`
	Name        string          `json:"name"`
	Description string          `json:"description"`
	Parameters  json.RawMessage `json:"parameters"`
	Strict      bool            `json:"strict"`
}

type nemoRow struct {
	Params struct {
		Input    []Message  `json:"input"`
		Tools    []nemoTool `json:"tools"`
		Parallel bool       `json:"parallel_tool_calls"`
	} `json:"responses_create_params"`
	ID       string         `json:"id"`
	Metadata map[string]any `json:"verifier_metadata"`
	Category string         `json:"category,omitempty"`
	Name     string         `json:"environment_name"`
	Agent    struct {
		Type string `json:"type"`
		Name string `json:"name"`
	} `json:"agent_ref"`
}

// WriteNeMo writes a task as a NeMo Gym row, one line. The first message and the tools of the
// first turn are there to be shown; verifier_metadata names arena and task, by which astra
// finds the rest when the episode is seeded and verified. No answer, sub-task, verifier,
// solution, scenario or later turn is in the row, so nothing can leak from it.
func WriteNeMo(w io.Writer, a *astra.Arena, t *astra.Task) error {
	var row nemoRow
	row.Params.Input = []Message{{"user", t.Turns[0].Prompt}}
	for _, name := range a.InitialTools(t) {
		tool := a.Tool(name)
		row.Params.Tools = append(row.Params.Tools, nemoTool{"function", name, tool.Description, tool.Input, false})
	}
	row.ID = a.Name + "/" + t.ID
	row.Metadata = map[string]any{"arena": a.Ref(), "task": t.ID, "split": t.Split}
	row.Category, row.Name = a.Domain, "astra"
	row.Agent.Type, row.Agent.Name = "responses_api_agents", "astra_simple_agent"
	line, err := encode(row)
	if err == nil {
		_, err = w.Write(append(line, '\n'))
	}
	return err
}
