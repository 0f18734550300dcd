package openenv

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/astra-arenas/astra"
)

func (s *Server) health(r *http.Request) (any, error) {
	_, err := s.house.PublicArena(r.Context(), r.PathValue("arena"))
	return map[string]string{"status": "healthy"}, err
}

// metadata has all members of OpenEnv's EnvironmentMetadata, null where an arena says nothing.
type metadata struct {
	Name        string  `json:"name"`
	Description string  `json:"description"`
	Readme      *string `json:"readme_content"`
	Version     string  `json:"version"`
	Author      *string `json:"author"`
	URL         *string `json:"documentation_url"`
}

func (s *Server) metadata(r *http.Request) (any, error) {
	a, err := s.house.PublicArena(r.Context(), r.PathValue("arena"))
	return metadata{Name: a.Name, Description: a.Description, Version: a.Version}, err
}

// noState is the state of an environment that was just made.
func (s *Server) noState(r *http.Request) (any, error) {
	_, err := s.house.PublicArena(r.Context(), r.PathValue("arena"))
	return state{}, err
}

// schemas are those of OpenEnv's MCP environments, whatever the arena. By the title of the
// action clients know that there are tools to list.
var schemas = json.RawMessage(`{
"action": {"title": "CallToolAction", "type": "object", "additionalProperties": false, "required": ["tool_name"],
  "description": "Call one of the tools that list_tools lists.",
  "properties": {
    "type": {"const": "call_tool", "default": "call_tool", "title": "Type", "type": "string"},
    "tool_name": {"title": "Tool Name", "type": "string"},
    "arguments": {"additionalProperties": true, "title": "Arguments", "type": "object"},
    "metadata": {"additionalProperties": true, "title": "Metadata", "type": "object"}}},
"observation": {"title": "CallToolObservation", "type": "object", "additionalProperties": false, "required": ["tool_name"],
  "properties": {
    "tool_name": {"title": "Tool Name", "type": "string"},
    "result": {"title": "Result", "default": null},
    "error": {"title": "Error", "default": null, "anyOf": [{"type": "null"},
      {"type": "object", "additionalProperties": false, "required": ["error_type", "message"], "properties": {
        "error_type": {"type": "string", "enum": ["execution_error", "invalid_args", "transport_error", "tool_not_found", "timeout"]},
        "message": {"type": "string"}}}]},
    "done": {"title": "Done", "type": "boolean", "default": false},
    "reward": {"title": "Reward", "anyOf": [{"type": "number"}, {"type": "null"}], "default": null},
    "metadata": {"additionalProperties": true, "title": "Metadata", "type": "object"}}},
"state": {"title": "State", "type": "object", "additionalProperties": true,
  "properties": {
    "episode_id": {"title": "Episode Id", "anyOf": [{"type": "string"}, {"type": "null"}], "default": null},
    "step_count": {"title": "Step Count", "type": "integer", "minimum": 0, "default": 0}}}}`)

func (s *Server) schema(r *http.Request) (any, error) {
	_, err := s.house.PublicArena(r.Context(), r.PathValue("arena"))
	return schemas, err
}

// toolsOf lists every tool that a task of an arena may show: the arena's own, then
// distractors, each once.
func (s *Server) toolsOf(ctx context.Context, arena string) ([]tool, error) {
	a, list, err := s.house.Tasks(ctx, arena)
	if err != nil {
		return nil, err
	}
	all, known, turns := append([]astra.PublicTool(nil), a.Tools...), map[string]bool{}, false
	for _, t := range all {
		known[t.Name] = true
	}
	for _, e := range list {
		turns = turns || e.Own > 1
		for _, t := range e.Tools {
			if !known[t.Name] {
				known[t.Name] = true
				all = append(all, t)
			}
		}
	}
	return withOurs(all, turns), nil
}
